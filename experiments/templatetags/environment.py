"""A run's environment, whatever JSON it is, as lines to read and texts to open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from django import template

register = template.Library()

LONGEST_LINE = 200
LONGEST_TEXT = 100_000
# More entries than this, such as the packages installed, are opened by who needs them.
MOST_LINES = 12
MOST_PARTS, MOST_PAIRS = 200, 2_000
DIFF_NAME = re.compile(r"\b(patch|diff)$", re.IGNORECASE)
DIFF_START = re.compile(r"diff --git |--- \S")
# What a line of a patch is, by how it begins; the first that fits.
DIFF_KINDS = (
    (("+++", "---", "diff ", "index "), "head"),
    (("@@",), "place"),
    (("+",), "add"),
    (("-",), "remove"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing known of an environment: a `text` of one line, or a long one to open, with
    `extent` saying how long; `pairs` where it is a list of names and values."""

    name: str
    text: str
    extent: str = ""
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def is_diff(self) -> bool:
        """Whether the text is a patch, by its name or by how it begins."""
        return (
            bool(self.extent)
            and not self.pairs
            and bool(DIFF_NAME.search(self.name) or DIFF_START.match(self.text))
        )


@register.filter
def environment_parts(data: dict) -> list[Part]:
    """The parts of an environment in the order they were sent, short ones first."""
    parts = [part for name, value in data.items() for part in parts_of(str(name), value)]
    return sorted(parts[:MOST_PARTS], key=lambda part: bool(part.extent))


def parts_of(name: str, value: object) -> Iterator[Part]:
    """One entry; a small object becomes an entry for each of its members."""
    if value is None or value == "" or value == {} or value == []:
        return
    if isinstance(value, dict) and len(value) <= MOST_LINES:
        for key, item in value.items():
            yield from parts_of(f"{name} {key}", item)
    elif isinstance(value, dict):
        pairs = tuple((str(key), cut(inline(item), LONGEST_LINE)) for key, item in value.items())
        yield Part(name, "", f"{len(pairs):,} entries", pairs[:MOST_PAIRS])
    else:
        text = inline(value)
        lines = text.count("\n") + 1
        if lines == 1 and len(text) <= LONGEST_LINE:
            yield Part(name, text)
        else:
            extent = f"{lines:,} lines" if lines > 1 else f"{len(text):,} characters"
            yield Part(name, cut(text), extent)


def inline(value: object) -> str:
    """A value in a line, as far as it is one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def cut(text: str, most: int = LONGEST_TEXT) -> str:
    """A text short enough for a page; the API has all of it."""
    return text if len(text) <= most else f"{text[:most]}… cut here"


@register.filter
def diff_lines(text: str) -> list[tuple[str, str]]:
    """The lines of a patch, each with its kind: head, place, add, remove, or "" for what stays."""
    return [(kind_of_line(line), line) for line in text.split("\n")]


def kind_of_line(line: str) -> str:
    return next((kind for starts, kind in DIFF_KINDS if line.startswith(starts)), "")

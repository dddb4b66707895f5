"""A run's environment, whatever JSON it is, as lines to read and texts to open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from django import template

register = template.Library()

LONGEST_LINE = 200
LONGEST_TEXT = 100_000
# More entries than this, such as the packages installed, are opened by who needs them.
MOST_LINES = 12
MOST_PARTS = 200


@dataclass(frozen=True, slots=True)
class Part:
    """One thing known of an environment: a `text` of one line, or a long one to open, with
    `extent` saying how long."""

    name: str
    text: str
    extent: str = ""


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
        lines = [f"{key} {inline(item)}" for key, item in value.items()]
        yield Part(name, "\n".join(lines)[:LONGEST_TEXT], f"{len(lines):,} entries")
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


def cut(text: str) -> str:
    """A text short enough for a page; the API has all of it."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "\n… cut here"

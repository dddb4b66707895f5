"""The runs table as it is looked at: a row a run, in columns whose numbers stand under one another.

A hundred rows of thirty cells are most of what the page costs and weighs. So values are read as
tuples, a cell is a piece of markup of ours with a slot for whatever a person typed, and a row is
one call of `format_html`, which escapes that; to escape digits too, three thousand times, took a
tenth of the page's time. What all cells have in common the table's class says: a number needs none
of its own, and a text is the cell that says its direction.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import chain

from django.template.loader import get_template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from experiments.fields import NOT_ORDERED, Field
from experiments.models import Run
from experiments.named_rows import values_of_runs
from experiments.tables import PARTS, RECKONED, attribute, best_of, least_is_best
from experiments.templatetags.format import NOTHING, ago_parts, duration, number

# Markup with a slot for each text, and the texts.
Cell = tuple
Maker = Callable[[Field], tuple[list[Cell], bool]]

# Up to here a param is shown as it was logged; a longer number is rounded.
LONGEST_NUMBER_AS_LOGGED = 10
MOST_PLACES = 8
# A text longer than this may be cut by its column, and is whole on hover.
LONGEST_UNCUT = 20
BEST = "Best shown"
MOMENTS = ("created", "started", "ended", "last_seen")

ROW = (
    '<tr><th scope="row"><input class="pick" type="checkbox" form="picked" name="run" '
    'value="%(id)s" aria-label="Select {}"><a href="%(url)s"{}><bdi>{}</bdi></a></th>%(cells)s</tr>'
)
NO_NUMBER = (f'<td class="faint">{NOTHING}</td>',)
NO_TEXT = (f'<td class="faint cell-start">{NOTHING}</td>',)
TEXT = '<td dir="auto">{}</td>'
LONG_TEXT = '<td dir="auto" title="{}">{}</td>'
BARE_TAG = (LONG_TEXT, "This tag is set, without a text.", "✓")
PLAIN = '<td class="cell-start">%s</td>'


@dataclass(slots=True)
class Column:
    """One column: what its head says, and a cell for each run."""

    field: Field
    label: str
    cells: list[Cell]
    numeric: bool = False

    @property
    def word(self) -> str:
        """What names it in an address."""
        return str(self.field)

    @property
    def sortable(self) -> bool:
        field = self.field
        return field.kind != "tag" and (field.kind != "attribute" or field.name not in NOT_ORDERED)

    @property
    def first(self) -> str:
        """The direction that a first click sorts in: the best, the newest and the longest come
        first."""
        if self.field.kind == "metric":
            return "" if least_is_best(self.field.name) else "desc"
        return "desc" if self.field.name in (*MOMENTS, "duration") else ""


def columns_of(runs: Sequence[Run], fields: Sequence[Field]) -> list[Column]:
    """The columns of these runs; a statement for each kind of field. Where a param and a metric
    have the same name, their heads say which is which."""
    makers = {kind: maker(runs, fields) for kind, maker in MAKERS.items()}
    labels = Counter(field.label for field in fields)
    columns = []
    for field in fields:
        label = field.label if labels[field.label] == 1 else str(field)
        cells, numeric = makers[field.kind](field)
        columns.append(Column(field, label, cells, numeric))
    return columns


def rows_of(runs: Sequence[Run], columns: Sequence[Column]) -> list[SafeString]:
    """The <tr> of each run; the first column, its name, is the head of the row."""
    rows = []
    for run, *cells in zip(runs, *(column.cells for column in columns[1:]), strict=True):
        markup = ROW % {
            "id": run.pk,
            "url": reverse("run-detail", args=[run.pk]),
            "cells": "".join(markup for markup, *_ in cells),
        }
        texts = chain.from_iterable(texts for _, *texts in cells)
        rows.append(format_html(markup, run.name, whole_title(run.name), run.name, *texts))
    return rows


# --- Cells of each kind: what makes those of a column, with whether they are numbers ------------


def of_attributes(runs: Sequence[Run], fields: Sequence[Field]) -> Maker:
    """A run's own values."""

    def cells(field: Field) -> tuple[list[Cell], bool]:
        if field.name == "status":
            return [(PLAIN % status_badge(run.shown_status),) for run in runs], False
        if field.name == "duration":
            return [(f"<td>{running_time(run)}</td>",) for run in runs], True
        return [own_cell(attribute(run, field.name)) for run in runs], False

    return cells


def own_cell(value: object) -> Cell:
    """A run's own value as its type asks for."""
    if value is None:
        return NO_TEXT
    if isinstance(value, datetime):
        element, *parts = ago_parts(value)
        return (PLAIN % element.format(*parts),)
    if isinstance(value, uuid.UUID):
        return (PLAIN % f"<code>{value}</code>",)
    return (PLAIN % number(value),) if isinstance(value, int) else text_cell(str(value))


def of_metrics(runs: Sequence[Run], fields: Sequence[Field]) -> Maker:
    """Numbers, the best of them marked."""
    metrics = [field for field in fields if field.kind == "metric"]
    parts = list(dict.fromkeys(part for field in metrics for part in PARTS[field.aggregate]))
    names = {field.name for field in metrics}
    found = values_of_runs(runs, "metrics", names, *parts)

    def cells(field: Field) -> tuple[list[Cell], bool]:
        reckoned, rows = RECKONED[field.aggregate], found[field.name]
        at = [parts.index(part) for part in PARTS[field.aggregate]]
        values = [
            None if (row := rows.get(run.pk)) is None else reckoned(*[row[place] for place in at])
            for run in runs
        ]
        best = best_of(field, values)
        texts = [None if value is None else number(value) for value in values]
        width = places(filter(None, texts))
        return [
            NO_NUMBER if text is None else number_cell(value, text, width, value == best)
            for value, text in zip(values, texts, strict=True)
        ], True

    return cells


def of_params(runs: Sequence[Run], fields: Sequence[Field]) -> Maker:
    """Texts, or numbers where all are. Of a sweep's few values each is made once."""
    names = [field.name for field in fields if field.kind == "param"]
    found = values_of_runs(runs, "params", names, "text_head", "number")

    def cells(field: Field) -> tuple[list[Cell], bool]:
        values = set(found[field.name].values())
        numeric = bool(values) and all(real is not None for _, real in values)
        texts = {head: param_text(head, real) for head, real in values}
        width = places(texts.values()) if numeric else 0
        made = {
            (head, real): typed_number_cell(head, texts[head], width)
            if numeric
            else text_cell(head)
            for head, real in values
        }
        absent = NO_NUMBER if numeric else NO_TEXT
        return [made.get(found[field.name].get(run.pk), absent) for run in runs], numeric

    return cells


def of_tags(runs: Sequence[Run], fields: Sequence[Field]) -> Maker:
    """Texts; a mark for a tag without one."""
    names = [field.name for field in fields if field.kind == "tag"]
    found = values_of_runs(runs, "tags", names, "text_head")

    def cells(field: Field) -> tuple[list[Cell], bool]:
        texts = [found[field.name].get(run.pk) for run in runs]
        return [
            NO_TEXT if text is None else text_cell(*text) if text[0] else BARE_TAG for text in texts
        ], False

    return cells


MAKERS = {"attribute": of_attributes, "metric": of_metrics, "param": of_params, "tag": of_tags}


def text_cell(text: str) -> Cell:
    """A text, cut by the column's width; a long one whole on hover."""
    return (LONG_TEXT, text, text) if len(text) > LONGEST_UNCUT else (TEXT, text)


def number_cell(value: float, text: str, width: int, is_best: bool) -> Cell:
    """A number with its point under the points of the column, behind which `width` characters
    stand at most; exact on hover."""
    exact = repr(value)
    title = f' title="{exact}"' if exact != text else ""
    kind = " ".join(filter(None, (short_of(text, width), "cell-best" * is_best)))
    return (f"<td{class_of(kind)}{title}>{best_mark() if is_best else ''}{text}</td>",)


def typed_number_cell(exact: str, text: str, width: int) -> Cell:
    """The same of a number that came as a text."""
    kind = class_of(short_of(text, width))
    if exact == text:
        return f"<td{kind}>{{}}</td>", text
    return f'<td{kind} title="{{}}">{{}}</td>', exact, text


def class_of(words: str) -> str:
    return f' class="{words}"' if words else ""


def short_of(text: str, width: int) -> str:
    """The class of a number that has less behind its point than others of the column."""
    if not width or not text[-1].isdigit():  # NaN and ∞ have no point
        return ""
    if tail := tail_of(text):
        return f"short-{width - len(tail)}" if len(tail) < width else ""
    return f"whole short-{width - 1}"


def places(texts: Iterable[str]) -> int:
    """The most characters that any of these numbers has from its point on."""
    return min(max((len(tail_of(text)) for text in texts), default=0), MOST_PLACES)


def tail_of(text: str) -> str:
    """A number's text from the point on: `.25`, `.2e-5`; nothing without one."""
    _, point, tail = text.partition(".")
    return point + tail


def param_text(head: str, real: float | None) -> str:
    """A param's value, short: what was logged, a long number rounded."""
    return head if real is None or len(head) <= LONGEST_NUMBER_AS_LOGGED else number(real)


# --- Marks ---------------------------------------------------------------------------------------


@lru_cache(maxsize=64)  # what it says holds what somebody typed
def best_mark(words: str = BEST) -> SafeString:
    """What says "best" beside the colour."""
    icon = get_template("components/icon.html")
    return icon.render({"name": "star", "label": words})


@cache
def status_badge(status: str) -> SafeString:
    return get_template("components/status_badge.html").render({"status": status})


def title(text: str) -> SafeString:
    """What is said on hover."""
    return format_html(' title="{}"', text)


def whole_title(text: str) -> SafeString | str:
    """The attribute that tells a long name whole on hover; a short one is never cut."""
    return title(text) if len(text) > LONGEST_UNCUT else ""


def running_time(run: Run) -> SafeString | str:
    """How long a run took; of one that is running it goes on in an open page."""
    words = duration(run.duration)
    if run.shown_status != "running" or run.duration is None:
        return words
    seconds = round(run.duration.total_seconds())
    return format_html('<span data-seconds="{}">{}</span>', seconds, words)

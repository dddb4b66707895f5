"""Tags of the comparison: a row's cells, one a run, with what differs and what is best marked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from experiments.cells import best_mark, param_text, title
from experiments.comparing import Compared
from experiments.fields import Field
from experiments.models import Metric, Param, Run, Tag
from experiments.tables import RunTable
from experiments.templatetags.format import NOTHING, number

register = template.Library()

# Longer texts, such as a patch, are opened below the table.
LONGEST_CELL = 200
KINDS = {
    "metric": "Metrics",
    "param": "Parameters",
    "tag": "Tags",
    "environment": "Environment",
}
CELL = '<td class="{}"{}>{}{}{}</td>'


@dataclass(frozen=True, slots=True)
class Comparison:
    """Some runs with those of their rows that a page shows. Cells are compared with the run
    `baseline`; `deltas` says that metrics tell by how much they differ from it."""

    runs: list[Run]
    baseline: Run
    rows: list[Compared]
    table: RunTable
    texts: Mapping[uuid.UUID, Mapping[str, str]]
    aggregate: str
    deltas: bool

    @property
    def groups(self) -> list[tuple[str, list[Compared]]]:
        """The rows by their kind."""
        by_kind = groupby(self.rows, lambda row: row.kind)
        return [(KINDS[kind], list(rows)) for kind, rows in by_kind]

    def value(self, row: Compared, run: Run) -> Metric | Param | Tag | str | None:
        """What a run has of a row."""
        if row.kind == "environment":
            return self.texts.get(run.pk, {}).get(row.name)
        return self.table.row(run, row.kind, row.name)


@register.simple_tag
def compared_cells(comparison: Comparison, row: Compared) -> SafeString:
    """The <td>s of a row."""
    cells = metric_cells if row.kind == "metric" else text_cells
    return format_html_join("", CELL, cells(comparison, row))


def metric_cells(comparison: Comparison, row: Compared) -> list[tuple]:
    """Class, title, mark, text and delta of each run's value of a metric."""
    field = Field("metric", row.name, comparison.aggregate)
    best = comparison.table.best(field)
    values = {run.pk: comparison.table.value(run, field) for run in comparison.runs}
    base = values.get(comparison.baseline.pk) if comparison.deltas else None
    cells = []
    for run in comparison.runs:
        value = values.get(run.pk)
        if value is None:
            cells.append(("cell-number faint", "", "", NOTHING, ""))
            continue
        is_best = best is not None and value == best
        delta = "" if base is None or run == comparison.baseline else delta_of(value - base)
        kind = "cell-number cell-best" if is_best else "cell-number"
        mark = best_mark() if is_best else ""
        cells.append((kind, title(repr(value)), mark, number(value), delta))
    return cells


def delta_of(difference: float) -> SafeString:
    """By how much a value lies above or below the baseline's."""
    sign = "+" if difference > 0 else ""
    return format_html('<span class="delta">{}{}</span>', sign, number(difference))


def text_cells(comparison: Comparison, row: Compared) -> list[tuple]:
    """The same of a param, a tag or an entry of the environment."""
    base = equal_as(comparison.value(row, comparison.baseline))
    cells = []
    for run in comparison.runs:
        found = comparison.value(row, run)
        text, is_number = shown(found)
        kind = "cell-number" if is_number else "cell-name"
        if found is None:
            kind += " faint"
        if row.differs and equal_as(found) != base:
            kind += " cell-differs"
        cells.append((kind, title(whole(found)), "", text, ""))
    return cells


def equal_as(found: Param | Tag | str | None) -> object:
    """What two cells have in common when nothing marks one of them."""
    if isinstance(found, Param):
        return found.kind, found.text_head
    return found.text_head if isinstance(found, Tag) else found


def shown(found: Param | Tag | str | None) -> tuple[object, bool]:
    """The text of a cell, and whether it is a number."""
    if found is None:
        return NOTHING, False
    if isinstance(found, Param):
        is_number = found.number is not None
        return bidi(param_text(found.text_head, found.number)), is_number
    text = found if isinstance(found, str) else found.text_head
    if isinstance(found, Tag) and not text:
        return "✓", False
    lines = text.count("\n") + 1
    if lines > 1 or len(text) > LONGEST_CELL:
        return f"{lines:,} lines" if lines > 1 else f"{len(text):,} characters", False
    return bidi(text), False


def bidi(text: str) -> SafeString:
    return format_html("<bdi>{}</bdi>", text)


def whole(found: Param | Tag | str | None) -> str:
    """What a cell says on hover."""
    if found is None:
        return "This run has none."
    return found[:LONGEST_CELL] if isinstance(found, str) else found.text_head

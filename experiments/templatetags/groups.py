"""Tags of the table of groups: keys, and mean ± standard deviation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from experiments.cells import BEST, LONGEST_UNCUT, best_mark, places, tail_of, title
from experiments.fields import Field
from experiments.grouping import Group, Grouped, Key, Spread
from experiments.tables import least_is_best
from experiments.templatetags.format import NOTHING, number

register = template.Library()

CELL = (
    '<td class="cell-number{}" title="{}">{}{}<span class="places-{}">{}</span>'
    '<span class="spread">{}</span></td>'
)
STD_DIGITS = 2


@register.simple_tag
def group_key(key: Key) -> SafeString:
    """The value that the runs of a group share, as it was logged."""
    if not key.shown:
        text, what = ("none", "Runs without it") if key.shown is None else ("✓", "Without a text")
        return format_html('<span class="faint"{}>{}</span>', title(what), text)
    whole = title(key.shown) if len(key.shown) > LONGEST_UNCUT else ""
    return format_html("<bdi{}>{}</bdi>", whole, key.shown)


@register.simple_tag
def spread_cell(
    group: Group, column: Field, marks: Mapping[tuple[Key, ...], str], width: int
) -> SafeString:
    """The <td> of a metric over the runs of a group, its point under the points of the column
    (`width` characters stand behind it at most); everything exact on hover. `marks` tells what
    of the column is the best, and of what."""
    spread = group.spreads.get(column)
    if spread is None:
        return format_html('<td class="cell-number faint">{}</td>', NOTHING)
    mark = marks.get(group.keys)
    mean = number(spread.mean)
    tail = tail_of(mean)
    return format_html(
        CELL,
        {None: "", BEST: " cell-best"}.get(mark, " cell-best-alike"),
        spread_words(spread, len(group.run_ids)),
        best_mark(mark) if mark else "",
        mean.removesuffix(tail),
        width,
        tail,
        "" if spread.std is None else f"± {short(spread.std)}",
    )


def spread_words(spread: Spread, runs: int) -> str:
    """A spread in full: what it is of, and how it was reckoned."""
    deviation = (
        "one run has no standard deviation"
        if spread.std is None
        else f"sample standard deviation (n − 1) {spread.std!r}"
    )
    without = runs - spread.count
    return (
        f"Mean {spread.mean!r} of {spread.count:,} run{'' if spread.count == 1 else 's'}, "
        f"{deviation}, least {spread.least!r}, greatest {spread.greatest!r}"
        + (f"; {without:,} without a finite value" if without else "")
    )


def short(value: float) -> str:
    """A deviation in two digits: more would say nothing."""
    if value == 0 or not math.isfinite(value):
        return number(value)
    return number(float(f"{value:.{STD_DIGITS - 1}e}"))


def mean_places(groups: list[Group], column: Field) -> int:
    """The most characters that any of these groups' means has from its point on."""
    return places(
        [number(group.spreads[column].mean) for group in groups if column in group.spreads]
    )


@register.filter
def first_direction(column: Field) -> str:
    """The direction that a first click sorts in: the best comes first."""
    return "" if least_is_best(column.name) else "desc"


@register.simple_tag
def groups_shown(found: Grouped, shown: list) -> str:
    """How many groups of how many runs: "24 groups of 10,000 runs", "100 of 3,214 groups of …"."""
    count = len(found.groups)
    words = f"{count:,} group{'' if count == 1 else 's'} of {found.runs:,} runs"
    return words if count == len(shown) else f"{len(shown):,} of {words}"

"""Tags of tables of runs: what stands in a cell, and in words below."""

from __future__ import annotations

from itertools import groupby

from django import template

from experiments import cells, charts
from experiments.cells import Column
from experiments.models import Metric, Param
from experiments.templatetags.format import number

register = template.Library()

TEXT_SHOWN = 2_000  # characters of one param

register.filter("run_colour", charts.run_colour)
register.filter("running_time", cells.running_time)
register.simple_tag(cells.whole_title)


@register.filter
def spans(columns: list[Column]) -> list[int]:
    """How many columns of one kind stand side by side, for a line between the kinds."""
    return [len(list(group)) for _, group in groupby(columns, lambda column: column.field.kind)]


@register.simple_tag
def shown_of(rows: list, total: tuple[int, bool], noun: str) -> str:
    """How many rows of how many: "100 of 10,000+ runs", "3 runs"."""
    count, is_exact = total
    amount = f"{count:,}" if is_exact else f"{count:,}+"
    words = f"{amount} {noun}" if count == 1 and is_exact else f"{amount} {noun}s"
    return words if is_exact and count == len(rows) else f"{len(rows):,} of {words}"


@register.filter
def chart_words(metric: Metric) -> str:
    """A metric's curve for who cannot see it."""
    steps = f"{metric.count:,} points from step {metric.first_step:,} to {metric.last_step:,}"
    words = f"{metric.name} over steps: {steps}; last {number(metric.last_value)}"
    if metric.min is None:
        return f"{words}; none is finite."
    return (
        f"{words}; min {number(metric.min)} at step {metric.min_step:,}, "
        f"max {number(metric.max)} at step {metric.max_step:,}."
    )


@register.filter
def param_shown(param: Param) -> str:
    """A param's value as far as it was read (`shown`), with a mark where it goes on."""
    return f"{param.shown[:-1]}…" if len(param.shown) > TEXT_SHOWN else param.shown

"""Tags of the runs table: cells whose numbers stand under one another, and steady colours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from django import template
from django.template.loader import get_template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from experiments import charts
from experiments.fields import Field
from experiments.models import Metric, Param, Run, Tag
from experiments.tables import RunTable, least_is_best
from experiments.templatetags.format import NOTHING, ago, duration, number

register = template.Library()

# Up to here a param is shown as it was logged; a longer number is rounded.
LONGEST_NUMBER_AS_LOGGED = 10
MOST_PLACES = 8
NUMERIC_ATTRIBUTES = ("duration",)
TEXT_SHOWN = 2_000  # characters of one param
NUMBER = '<td class="cell-number{}"{}>{}{}</td>'
ALIGNED = '<td class="cell-number{}"{}>{}{}<span class="places-{}">{}</span></td>'
# A text longer than this may be cut by its column, and is whole on hover.
LONGEST_UNCUT = 20
MOMENTS = ("created", "started", "ended")


@dataclass(slots=True)
class Column:
    """One column of a runs table as it is looked at: `places` is how many characters stand
    behind the decimal point at most, `best` the value to mark."""

    field: Field
    numeric: bool
    places: int
    best: float | None
    label: str = ""

    @property
    def word(self) -> str:
        """What names it in an address."""
        return str(self.field)

    @property
    def sortable(self) -> bool:
        return self.field.kind != "tag" and self.field.name != "id"

    @property
    def first(self) -> str:
        """The direction that a first click sorts in: the best, the newest and the longest come
        first."""
        if self.field.kind == "metric":
            return "" if least_is_best(self.field.name) else "desc"
        return "desc" if self.field.name in (*MOMENTS, "duration") else ""


def looked_at(table: RunTable) -> list[Column]:
    """The columns of a table with all that depends on every row. Where a param and a metric
    have the same name, their heads say which is which."""
    columns = [column_of(table, field) for field in table.columns]
    labels = Counter(field.label for field in table.columns)
    for column in columns:
        label = column.field.label
        column.label = label if labels[label] == 1 else column.word
    return columns


@register.filter
def spans(columns: list[Column]) -> list[int]:
    """How many columns of one kind stand side by side, for a line between the kinds."""
    return [len(list(group)) for _, group in groupby(columns, lambda column: column.field.kind)]


def column_of(table: RunTable, field: Field) -> Column:
    rows = (
        [row for run in table.runs if (row := table.row(run, field.kind, field.name))]
        if field.kind != "attribute"
        else []
    )
    if field.kind == "metric":
        texts = [metric_text(row, field) for row in rows]
        return Column(field, True, places(texts), table.best(field))
    if field.kind == "param" and rows and all(row.number is not None for row in rows):
        return Column(field, True, places([param_text(row) for row in rows]), None)
    return Column(field, field.name in NUMERIC_ATTRIBUTES, 0, None)


def places(texts: list[str]) -> int:
    """The most characters that any of these numbers has from its point on."""
    return min(max((len(tail_of(text)) for text in texts), default=0), MOST_PLACES)


def tail_of(text: str) -> str:
    """A number's text from the point on: `.25`, `.2e-5`; nothing without one."""
    _, point, tail = text.partition(".")
    return point + tail


def metric_value(metric: Metric, field: Field) -> float | int | None:
    return metric.last_value if field.aggregate == "last" else getattr(metric, field.aggregate)


def metric_text(metric: Metric, field: Field) -> str:
    return number(metric_value(metric, field))


def param_text(param: Param) -> str:
    """A param's value, short: what was logged, a long number rounded."""
    if param.number is None or len(param.text_head) <= LONGEST_NUMBER_AS_LOGGED:
        return param.text_head
    return number(param.number)


@register.simple_tag
def cell(table: RunTable, run: Run, column: Column) -> SafeString:
    """The <td> of a run in a column."""
    field = column.field
    if field.kind == "attribute":
        return attribute_cell(run, field.name)
    row = table.row(run, field.kind, field.name)
    if row is None:
        return absent(column)
    if field.kind == "metric":
        value = metric_value(row, field)
        if value is None:
            return absent(column)
        is_best = column.best is not None and value == column.best
        return number_cell(number(value), repr(value), column.places, is_best)
    if field.kind == "param" and column.numeric:
        return number_cell(param_text(row), row.text_head, column.places, False)
    return text_cell(row)


def absent(column: Column) -> SafeString:
    kind = " cell-number" if column.numeric else ""
    return format_html('<td class="faint{}">{}</td>', kind, NOTHING)


def number_cell(text: str, exact: str, width: int, is_best: bool) -> SafeString:
    """A number, its point under the points of the column; exact on hover."""
    kind, mark = (" cell-best", best_mark()) if is_best else ("", "")
    exact = title(exact) if exact != text else ""
    if not width or not text[-1].isdigit():  # NaN and ∞ have no point
        return format_html(NUMBER, kind, exact, mark, text)
    tail = tail_of(text)
    return format_html(ALIGNED, kind, exact, mark, text.removesuffix(tail), width, tail)


@cache
def best_mark() -> SafeString:
    """What says "best" beside the colour."""
    icon = get_template("components/icon.html")
    return icon.render({"name": "star", "label": "Best shown"})


def text_cell(row: Param | Tag) -> SafeString:
    """A text, cut by the column's width; what is known of it on hover."""
    text = row.text_head
    if isinstance(row, Tag) and not text:
        return format_html("<td{}>✓</td>", title("This tag is set, without a text."))
    whole = title(text) if len(text) > LONGEST_UNCUT else ""
    return format_html('<td class="cell-name"{}><bdi>{}</bdi></td>', whole, text)


def title(text: str) -> SafeString:
    """What is said on hover."""
    return format_html(' title="{}"', text)


@register.simple_tag
def whole_title(text: str) -> SafeString | str:
    """The attribute that tells a long name whole on hover; a short one is never cut."""
    return title(text) if len(text) > LONGEST_UNCUT else ""


def attribute_cell(run: Run, name: str) -> SafeString:
    """A run's own value."""
    if name == "status":
        return format_html("<td>{}</td>", status_badge(run.shown_status))
    if name == "duration":
        return format_html('<td class="cell-number">{}</td>', running_time(run))
    if name in MOMENTS:
        return format_html('<td class="number">{}</td>', ago(getattr(run, f"{name}_at")))
    if name == "id":
        return format_html("<td><code>{}</code></td>", run.pk)
    text = run.owner.username if name == "owner" else run.experiment.name
    return format_html('<td class="cell-name"><bdi>{}</bdi></td>', text)


@register.filter
def running_time(run: Run) -> SafeString | str:
    """How long a run took; of one that is running it goes on in an open page."""
    words = duration(run.duration)
    if run.shown_status != "running" or run.duration is None:
        return words
    seconds = round(run.duration.total_seconds())
    return format_html('<span data-seconds="{}">{}</span>', seconds, words)


@cache
def status_badge(status: str) -> SafeString:
    return get_template("components/status_badge.html").render({"status": status})


register.filter("run_colour", charts.run_colour)


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

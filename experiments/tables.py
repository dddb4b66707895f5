"""The runs table: which columns, what stands in each cell, and the same as CSV."""

from __future__ import annotations

import csv
import io
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.db.models import QuerySet

from experiments.fields import Field, Ordering, parse_field
from experiments.models import Metric, Param, Run, Tag
from experiments.paging import every_page
from experiments.querysets import rows_of_runs
from experiments.values import InvalidValue

MAX_COLUMNS = 100
DEFAULT_ATTRIBUTES = ("name", "status", "started", "duration")
CSV_ATTRIBUTES = ("id", "name", "experiment", "owner", "status", "started", "ended", "duration")
DEFAULT_PARAMS = DEFAULT_METRICS = 6
CSV_RUNS_AT_ONCE = 500
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(slots=True)
class RunTable:
    """Some runs with the params, metrics and tags of theirs that were asked for."""

    runs: list[Run]
    columns: list[Field] = field(default_factory=list)
    params: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    truncated: set = field(default_factory=set)

    def row(self, run: Run, kind: str, name: str) -> Param | Metric | Tag | None:
        """The stored row of a param, metric or tag of one run."""
        return getattr(self, f"{kind}s")[run.pk].get(name)

    def value(self, run: Run, column: Field) -> object:
        """What stands in a cell: a plain value, None where there is none."""
        if column.kind == "attribute":
            return attribute(run, column.name)
        row = self.row(run, column.kind, column.name)
        if row is None:
            return None
        if column.kind == "metric":
            return row.last_value if column.aggregate == "last" else getattr(row, column.aggregate)
        return row.value if column.kind == "param" else row.text

    def best(self, column: Field) -> tuple[float, float] | None:
        """Least and greatest finite value of a metric column, where they differ."""
        values = [
            value
            for run in self.runs
            if (value := self.value(run, column)) is not None and value - value == 0
        ]
        return (min(values), max(values)) if values and min(values) != max(values) else None


def attribute(run: Run, name: str) -> object:
    """A run's own value of one of `fields.ATTRIBUTES`."""
    if name == "status":
        return run.shown_status
    if name == "owner":
        return run.owner.username
    if name == "experiment":
        return run.experiment.name
    if name in ("created", "started", "ended"):
        return getattr(run, f"{name}_at")
    return getattr(run, name)


def parse_columns(text: str) -> list[Field]:
    """The columns a comma-separated text names, each once, or InvalidValue."""
    fields = list(dict.fromkeys(parse_field(part.strip()) for part in text.split(",") if part))
    if len(fields) > MAX_COLUMNS:
        raise InvalidValue(f"At most {MAX_COLUMNS} fields can be asked for at once.")
    return fields


def chosen(runs: Sequence[Run], columns: list[Field]) -> RunTable:
    """The table of some runs with exactly these columns; a statement for each kind."""
    table = RunTable(list(runs), columns)
    for kind in ("param", "metric", "tag"):
        names = [column.name for column in columns if column.kind == kind]
        rows, _ = rows_of_runs(table.runs, f"{kind}s", names)
        setattr(table, f"{kind}s", rows)
    return table


def complete(runs: Sequence[Run]) -> RunTable:
    """The table of some runs with the first 100 params, metrics and tags of each."""
    table = RunTable(list(runs))
    for kind in ("param", "metric", "tag"):
        rows, more = rows_of_runs(table.runs, f"{kind}s")
        setattr(table, f"{kind}s", rows)
        table.truncated |= more
    return table


def with_default_columns(runs: Sequence[Run]) -> RunTable:
    """What is shown before anyone chooses: attributes, up to six params that differ between
    these runs, and up to six metrics that most of them have."""
    table = complete(runs)
    table.columns = [
        *(Field("attribute", name) for name in DEFAULT_ATTRIBUTES),
        *(Field("param", name) for name in differing_params(table)[:DEFAULT_PARAMS]),
        *(Field("metric", name, "last") for name in usual_metrics(table)[:DEFAULT_METRICS]),
    ]
    return table


def differing_params(table: RunTable) -> list[str]:
    """Names of the params whose values differ between the runs, or that only some have."""
    values: dict[str, set] = {}
    counts: Counter[str] = Counter()
    for params in table.params.values():
        for name, param in params.items():
            values.setdefault(name, set()).add((param.kind, param.text_head))
            counts[name] += 1
    differ = [n for n in values if len(values[n]) > 1 or counts[n] < len(table.runs)]
    return sorted(differ, key=lambda name: (-counts[name], name))


def usual_metrics(table: RunTable) -> list[str]:
    """Names of the metrics, those that most runs have first."""
    counts = Counter(name for metrics in table.metrics.values() for name in metrics)
    return sorted(counts, key=lambda name: (-counts[name], name))


def all_columns(table: RunTable) -> list[Field]:
    """Every param and metric the table holds, behind the attributes: what a CSV shows."""
    params = sorted({name for row in table.params.values() for name in row})
    metrics = sorted({name for row in table.metrics.values() for name in row})
    return [
        *(Field("attribute", name) for name in CSV_ATTRIBUTES),
        *(Field("param", name) for name in params),
        *(Field("metric", name, "last") for name in metrics),
    ]


def csv_of_runs(
    rows: QuerySet,
    ordering: Ordering,
    experiment_id: uuid.UUID | None,
    columns: list[Field] | None,
) -> Iterator[str]:
    """The CSV of all these runs, a page at a time. Without chosen columns they are those of
    the first page's runs."""
    segments = rows.segments(ordering, experiment_id)
    for number, runs in enumerate(
        every_page(segments, descending=ordering.descending, size=CSV_RUNS_AT_ONCE)
    ):
        table = complete(runs) if columns is None else chosen(runs, columns)
        table.columns = columns = columns or all_columns(table)
        if number == 0:
            yield csv_line([str(column) for column in columns])
        yield from csv_lines(table)


def csv_lines(table: RunTable) -> Iterator[str]:
    """The table's runs as lines of CSV, numbers exact."""
    for run in table.runs:
        yield csv_line([table.value(run, column) for column in table.columns])


def csv_line(cells: Sequence[object]) -> str:
    """One quoted line. Text that a spreadsheet would run as a formula gets a leading '."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_MINIMAL).writerow([csv_cell(cell) for cell in cells])
    return buffer.getvalue()


def csv_cell(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return repr(cell)
    if hasattr(cell, "total_seconds"):
        return repr(cell.total_seconds())
    text = cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text

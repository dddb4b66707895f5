"""What runs hold, as plain values: for the API's answers and for CSV, thousands of runs at a time.

Rows come as tuples. As instances of their models the 20 params and 10 metrics of each run took ten
times as long, most of it in the garbage collector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from accounts.models import User
from experiments import access
from experiments.csv_text import csv_cell, csv_line, csv_lines
from experiments.fields import Field, Ordering
from experiments.models import Run
from experiments.named_rows import NAMES_SHOWN, first_cuts, octets_of_runs, read_of_runs
from experiments.paging import Segment, every_page, portions
from experiments.storing import OpenSeries
from experiments.tables import PARTS, RECKONED, attribute
from exptrack.databases import limited

CSV_ATTRIBUTES = ("id", "name", "experiment", "owner", "status", "started", "ended", "duration")
CSV_RUNS_AT_ONCE = 500
# So many columns as runs of all kinds may have make short blocks.
CELLS_AT_ONCE = 100_000
PARENT = Field("attribute", "parent")
# What is read of each kind of row.
READ = {"params": "value", "tags": "text", "metrics": PARTS["last"]}


@dataclass(slots=True)
class RunValues:
    """Some runs, and by run and name the values of their params, the texts of their tags, and of
    their metrics the columns `parts`; where `columns` were chosen, of these alone."""

    runs: list[Run]
    columns: list[Field] = field(default_factory=list)
    params: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    parts: tuple[str, ...] = PARTS["last"]
    truncated: set = field(default_factory=set)

    def of_column(self, column: Field, runs: Sequence[Run]) -> list:
        """What stands in a column for some of the runs; None where nothing does."""
        if column.kind == "attribute":
            return [attribute(run, column.name) for run in runs]
        rows, name = getattr(self, f"{column.kind}s"), column.name
        found = [rows[run.pk].get(name) for run in runs]
        if column.kind != "metric":
            return found
        places = [self.parts.index(part) for part in PARTS[column.aggregate]]
        reckoned = RECKONED[column.aggregate]
        return [
            None if row is None else reckoned(*[row[place] for place in places]) for row in found
        ]


def complete(runs: Sequence[Run]) -> RunValues:
    """Of each run the first 100 params and tags, and the last values of as many metrics; four
    statements."""
    cuts = first_cuts(runs, *READ)
    found = {
        relation: read_of_runs(runs, relation, read, cuts=cuts[relation])
        for relation, read in READ.items()
    }
    return RunValues(list(runs), truncated=set().union(*cuts.values()), **found)


def chosen(runs: Sequence[Run], columns: list[Field]) -> RunValues:
    """Exactly these columns; a statement for each kind."""
    asked = [PARTS[column.aggregate] for column in columns if column.kind == "metric"]
    parts = tuple(dict.fromkeys(part for some in asked for part in some))
    found = {
        relation: read_of_runs(runs, relation, read, names=names_of(relation, columns))
        for relation, read in {**READ, "metrics": parts}.items()
    }
    return RunValues(list(runs), columns, parts=parts, **found)


def names_of(relation: str, columns: Sequence[Field]) -> list[str]:
    """The names of the params, tags or metrics among some columns."""
    return [column.name for column in columns if f"{column.kind}s" == relation]


def octets(runs: Sequence[Run], columns: list[Field] | None) -> list[int]:
    """How many bytes of text `chosen` would read of each run, or `complete` without columns. Of
    chosen metrics only numbers are read. At most one statement."""
    if columns is None:
        return octets_of_runs(runs, dict.fromkeys(READ))
    return octets_of_runs(
        runs, {relation: names_of(relation, columns) for relation in ("params", "tags")}
    )


def as_started(
    run: Run, params: Mapping[str, object], tags: Mapping[str, str], series: Sequence[OpenSeries]
) -> RunValues:
    """Those of a run that has nothing but what it was started with; nothing is asked."""
    if max(len(params), len(tags), len(series)) > NAMES_SHOWN:
        return complete([run])
    last = {held.name: (held.summary.last, held.summary.last_kind) for held in series}
    return RunValues([run], params={run.pk: params}, tags={run.pk: tags}, metrics={run.pk: last})


# --- CSV -----------------------------------------------------------------------------------------


def csv_of_runs(
    user: User, segments: Sequence[Segment], ordering: Ordering, columns: list[Field] | None
) -> Iterator[str]:
    """The CSV of all runs of a listing, as a user sees them: its head, then a page of lines at a
    time, or less of one whose values are long. Without chosen columns they are those of the first
    page's runs."""
    pages = every_page(segments, descending=ordering.descending, size=CSV_RUNS_AT_ONCE)
    for number, runs in enumerate(limited(pages)):
        columns = columns or all_columns(runs)
        if PARENT in columns:
            access.hide_parents(user, runs)
        if number == 0:
            yield csv_line([str(column) for column in columns])
        for some in portions(runs, octets(runs, columns)):
            yield from csv_blocks(chosen(some, columns))


def all_columns(runs: Sequence[Run]) -> list[Field]:
    """The first params and metrics that any of the runs has, behind the attributes."""
    cuts = first_cuts(runs, "params", "metrics")
    params, metrics = (
        sorted(set().union(*read_of_runs(runs, relation, (), cuts=cuts[relation]).values()))
        for relation in ("params", "metrics")
    )
    return [
        *(Field("attribute", name) for name in CSV_ATTRIBUTES),
        *(Field("param", name) for name in params),
        *(Field("metric", name, "last") for name in metrics),
    ]


def csv_blocks(values: RunValues) -> Iterator[str]:
    """The runs as lines of CSV, numbers exact; many lines at a time."""
    size = max(CELLS_AT_ONCE // len(values.columns), 1)
    for start in range(0, len(values.runs), size):
        runs = values.runs[start : start + size]
        cells = [map(csv_cell, values.of_column(column, runs)) for column in values.columns]
        yield csv_lines(zip(*cells, strict=True))

"""Points into rows: summaries brought up to date, tails filled, chunks sealed and merged.

Everything here runs inside the transaction of its caller, who holds the lock on the run. The
statements of the hot path are written out: composing them anew for every batch cost three times
what the database needs to run them. They are the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
from django.db import connection
from uuid_utils.compat import uuid7

from experiments import series, summaries
from experiments.models import Experiment, Run
from experiments.refusals import Gone, Invalid, checked
from experiments.series import Points
from experiments.statements import ROWS_PER_STATEMENT, Insert, Statement, as_pk, inserts, key
from experiments.summaries import Summary
from experiments.values import INT64_MAX, field_name
from exptrack.databases import write_together

FLOATS = ("last", "min", "max", "sum")
SUMMARY_COLUMNS = tuple(Summary.__dataclass_fields__)
SUMMARY_TYPES = tuple(
    {"last_kind": "text"}.get(column, "float8" if column in FLOATS else "int8")
    for column in SUMMARY_COLUMNS
)
QUOTED_SUMMARY = ", ".join(f'"{column}"' for column in SUMMARY_COLUMNS)
RUN_COLUMNS = "r.experiment_id, r.owner_id, e.owner_id, e.visibility, r.status, r.revision"
SERIES_COLUMNS = f"""m.id, m.name, t.position, t.small_chunks, t.data,
           {", ".join(f'm."{column}"' for column in SUMMARY_COLUMNS)}"""
SELECT_SERIES = f"""
    SELECT {SERIES_COLUMNS}
    FROM experiments_metric m JOIN experiments_tail t ON t.metric_id = m.id
    WHERE m.run_id = %s"""  # noqa: S608
METRICS = Insert(
    f"""INSERT INTO experiments_metric (id, run_id, experiment_id, name, {QUOTED_SUMMARY})""",
    ("uuid", "uuid", "uuid", "text", *SUMMARY_TYPES),
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f'"{column}" = EXCLUDED."{column}"' for column in SUMMARY_COLUMNS),
)
TAILS = Insert(
    "INSERT INTO experiments_tail (metric_id, position, small_chunks, data)",
    ("uuid", "int8", "int4", "bytea"),
    """ON CONFLICT (metric_id) DO UPDATE SET position = EXCLUDED.position,
    small_chunks = EXCLUDED.small_chunks, data = EXCLUDED.data""",
)
CHUNKS = Insert(
    """INSERT INTO experiments_chunk (id, metric_id, position, count, min_step, max_step,
    min_value, max_value, format, data)""",
    ("uuid", "uuid", "int8", "int8", "int8", "int8", "float8", "float8", "int2", "bytea"),
)
MARKS = Insert(
    "INSERT INTO experiments_writer (id, run_id, name, seq, digest)",
    ("uuid", "uuid", "text", "int8", "bytea"),
    "ON CONFLICT (run_id, name) DO UPDATE SET seq = EXCLUDED.seq, digest = EXCLUDED.digest",
)
SELECT_LAST_CHUNKS = """
    SELECT position, format, data FROM experiments_chunk
    WHERE metric_id = %s ORDER BY position DESC LIMIT %s"""
DELETE_CHUNKS_FROM = "DELETE FROM experiments_chunk WHERE metric_id = %s AND position >= %s"


@dataclass(slots=True)
class Columns:
    """New points of one series, as they came. `values` float64[n]; `steps` and `times` int64[n],
    or None where the server is to count and to look at its clock. A list may hold None for
    single points."""

    values: np.ndarray
    steps: np.ndarray | Sequence[int | None] | None = None
    times: np.ndarray | Sequence[int | None] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: points stored by this call, whether it had been stored before,
    and the run's revision now."""

    accepted: int
    duplicate: bool
    revision: int


class Mark(NamedTuple):
    """What tells a repeat: who wrote a batch, which of theirs it is, and its body's digest."""

    writer: str
    seq: int
    digest: bytes


@dataclass(slots=True)
class Extended:
    """What a batch makes of the series it touches: those series, the rows of chunks sealed
    meanwhile, and how many points came."""

    touched: list[OpenSeries] = field(default_factory=list)
    chunks: list[tuple] = field(default_factory=list)
    accepted: int = 0

    @property
    def to_merge(self) -> list[OpenSeries]:
        """Series that end in enough small chunks to be merged."""
        return [held for held in self.touched if held.small_chunks >= series.MERGE_AT]


@dataclass(slots=True)
class OpenSeries:
    """A series as its writer holds it: key, name, summary (None before the first point), and
    the tail: how many points are sealed before it, how many small chunks they end in, and the
    open points, packed."""

    id: object
    name: str
    position: int = 0
    small_chunks: int = 0
    data: bytes = b""
    summary: Summary | None = None


def lock_run(run_id: uuid.UUID) -> Run:
    """The run, its row locked until the transaction ends. On SQLite the transaction itself is
    the lock: it began as IMMEDIATE."""
    run = Run.objects.select_for_update(no_key=True).filter(pk=run_id).first()
    if run is None:
        raise Gone("This run has been purged.")
    return run


def run_from(run_id: uuid.UUID, row: Sequence[object]) -> Run:
    """As much of a run and its experiment as access and a batch ask for, from the columns
    RUN_COLUMNS."""
    experiment_id, owner_id, experiment_owner_id, visibility, status, revision = row
    experiment = Experiment(
        id=as_pk(experiment_id), owner_id=as_pk(experiment_owner_id), visibility=visibility
    )
    return Run(
        id=run_id,
        experiment=experiment,
        owner_id=as_pk(owner_id),
        status=status,
        revision=revision,
    )


def milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


# --- Adding points ---------------------------------------------------------------------------


def add_points(
    *,
    run_id: uuid.UUID,
    experiment_id: uuid.UUID,
    metrics: Mapping[str, Columns],
    now_ms: int,
) -> tuple[int, list[Statement]]:
    """Put a batch's points behind the series of a locked run; how many they were, and the
    statements that store them, for the caller to run with its own."""
    columns = merged_by_name(metrics)
    if not columns:
        return 0, []
    new = extended(open_series(run_id, sorted(columns)), columns, now_ms)
    chunks = new.chunks
    if to_merge := new.to_merge:  # what is merged must be there first
        write_together(list(inserts(CHUNKS, chunks)))
        chunks = []
        for held in to_merge:
            merge_small_chunks(held)
    return new.accepted, [
        *inserts(METRICS, summary_rows(run_id, experiment_id, new.touched)),
        *inserts(CHUNKS, chunks),
        *inserts(TAILS, tail_rows(new.touched)),
    ]


def extended(
    held_series: Iterable[OpenSeries], columns: Mapping[str, Columns], now_ms: int
) -> Extended:
    """The series with a batch's points behind them; those not yet held begin."""
    known = {held.name: held for held in held_series}
    new = Extended()
    for name in sorted(columns):
        held = known.get(name) or OpenSeries(key(uuid7()), name)
        greatest = held.summary.last_step if held.summary else None
        points = placed(columns[name], greatest, now_ms, name)
        held.summary = summaries.extend(held.summary, points)
        new.chunks += keep(held, points)
        new.touched.append(held)
        new.accepted += len(points)
    return new


def merged_by_name(metrics: Mapping[str, Columns]) -> dict[str, Columns]:
    """The batch by checked name, series without a point left out."""
    merged = {}
    for name, columns in metrics.items():
        if not len(columns.values):
            continue
        checked_name = checked(field_name, name, f"metrics.{name}")
        if checked_name in merged:
            raise Invalid(
                f"The metric {checked_name!r} comes twice in one batch.",
                {f"metrics.{name}": ["This name equals another one when normalized (NFC)."]},
            )
        merged[checked_name] = columns
    return merged


def open_series(run_id: uuid.UUID, names: Sequence[str]) -> Iterator[OpenSeries]:
    """The run's series of these names, in name order."""
    for start in range(0, len(names), ROWS_PER_STATEMENT):
        some = names[start : start + ROWS_PER_STATEMENT]
        marks = ", ".join(["%s"] * len(some))
        yield from fetch_series(f"{SELECT_SERIES} AND m.name IN ({marks})", [key(run_id), *some])


def fetch_series(sql: str, params: Sequence[object]) -> list[OpenSeries]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [open_from(row) for row in cursor.fetchall()]


def open_from(row: Sequence[object]) -> OpenSeries:
    """A series from a row of SERIES_COLUMNS."""
    return OpenSeries(*row[:4], bytes(row[4]), Summary(*row[5:]))


def placed(columns: Columns, greatest: int | None, now_ms: int, name: str) -> Points:
    """The points with every step and time filled in: steps count up from the greatest one, None
    before the first point."""
    n = len(columns.values)
    steps, times = columns.steps, columns.times
    try:
        if steps is None:
            first = 0 if greatest is None else greatest + 1
            if first + n - 1 > INT64_MAX:
                raise OverflowError
            steps = np.arange(first, first + n, dtype=np.int64)
        elif not isinstance(steps, np.ndarray) and None in steps:
            steps = counted(steps, greatest)
        if times is None:
            times = np.full(n, now_ms, dtype=np.int64)
        elif not isinstance(times, np.ndarray) and None in times:
            times = [now_ms if time is None else time for time in times]
        return Points.of(steps, times, columns.values)
    except OverflowError as error:
        raise Invalid(
            f"A step or time of {name!r} does not fit into 64 bits.",
            {f"metrics.{name}": ["Steps and times are integers from -2^63 to 2^63 - 1."]},
        ) from error


def counted(steps: Iterable[int | None], greatest: int | None) -> list[int]:
    """Each missing step as the greatest one so far + 1, the very first as 0."""
    placed_steps = []
    for step in steps:
        if step is None:
            step = 0 if greatest is None else greatest + 1
        greatest = step if greatest is None else max(greatest, step)
        placed_steps.append(step)
    return placed_steps


def summary_rows(
    run_id: uuid.UUID, experiment_id: uuid.UUID, touched: Sequence[OpenSeries]
) -> list[tuple]:
    """Rows of METRICS."""
    owner = key(run_id), key(experiment_id)
    return [(held.id, *owner, held.name, *summary_values(held.summary)) for held in touched]


def summary_values(summary: Summary) -> list[object]:
    """The columns of a metric's row, in their order."""
    return [getattr(summary, column) for column in SUMMARY_COLUMNS]


def tail_rows(touched: Sequence[OpenSeries]) -> list[tuple]:
    """Rows of TAILS."""
    return [(held.id, held.position, held.small_chunks, held.data) for held in touched]


# --- Tails and chunks ------------------------------------------------------------------------


def keep(held: OpenSeries, points: Points) -> list[tuple]:
    """Put points behind a series. While its tail stays short nothing is sealed; else all of it
    is, into the rows of chunks returned, and the tail is empty."""
    open_points = len(held.data) // series.POINT.itemsize
    if open_points + len(points) < series.TAIL_POINTS:
        held.data += series.pack(points)
        return []
    if open_points:
        points = Points.concat([series.unpack(held.data), points])
    return seal(held, points)


def seal(held: OpenSeries, points: Points) -> list[tuple]:
    """Rows of chunks for all the points from the tail's position on; the tail is emptied and
    moved behind them."""
    chunks = []
    for block in series.split(points):
        chunks.append(chunk_row(held.id, held.position, block))
        held.position += len(block)
        small = len(block) < series.SMALL_CHUNK_POINTS
        held.small_chunks = held.small_chunks + 1 if small else 0
    held.data = b""
    return chunks


def chunk_row(metric_id: object, position: int, points: Points) -> tuple:
    """One chunk, in the order of CHUNKS."""
    code, data = series.encode(points)
    least, greatest = summaries.finite_range(points.values)
    steps = int(points.steps.min()), int(points.steps.max())
    return key(uuid7()), metric_id, position, len(points), *steps, least, greatest, code, data


def merge_small_chunks(held: OpenSeries) -> None:
    """Write the small chunks at the end of the sealed points anew as few big ones: small ones
    compress badly. In one transaction, so a reader sees the old ones or the new."""
    if held.small_chunks < 2:
        return
    with connection.cursor() as cursor:
        cursor.execute(SELECT_LAST_CHUNKS, [held.id, held.small_chunks])
        small = cursor.fetchall()[::-1]
        points = Points.concat([series.decode(code, bytes(data)) for _, code, data in small])
        first = small[0][0]
        cursor.execute(DELETE_CHUNKS_FROM, [held.id, first])
    open_points, held.position, held.small_chunks = held.data, first, 0
    write_together(list(inserts(CHUNKS, seal(held, points))))
    held.data = open_points

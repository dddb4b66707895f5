"""Points into rows: summaries brought up to date, tails filled, chunks sealed and merged.

Everything here runs inside the transaction of its caller, who holds the lock on the run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from django.db import transaction
from django.db.models import Q

from experiments import reading, series
from experiments.models import Chunk, Metric, Run, Tail
from experiments.refusals import Gone, Invalid, checked
from experiments.series import Points, Summary
from experiments.values import field_name

# Rows in one statement: far below SQLite's 32,766 and PostgreSQL's 65,535 parameters.
ROWS_PER_STATEMENT = 1_000
LARGEST_STEP = 2**63 - 1
SUMMARY_COLUMNS = tuple(Summary.__dataclass_fields__)


@dataclass(slots=True)
class Columns:
    """New points of one series, as they came. `values` float64[n]; `steps` and `times` int64[n],
    or None where the server is to count and to look at its clock. A list of steps may hold None
    for single points."""

    values: np.ndarray
    steps: np.ndarray | Sequence[int | None] | None = None
    times: np.ndarray | Sequence[int | None] | None = None


def lock_run(run_id: uuid.UUID) -> Run:
    """The run, its row locked until the transaction ends. On SQLite the transaction itself is
    the lock: it began as IMMEDIATE."""
    run = Run.objects.select_for_update(no_key=True).filter(pk=run_id).first()
    if run is None:
        raise Gone("This run has been purged.")
    return run


def add_points(run: Run, metrics: Mapping[str, Columns], now_ms: int) -> int:
    """Add a batch's points to the series of a locked run; how many they were."""
    columns = merged_by_name(metrics)
    if not columns:
        return 0
    known = {metric.name: metric for metric in known_metrics(run, sorted(columns))}
    rows, tails, chunks, merges = [], [], [], []
    accepted = 0
    for name in sorted(columns):
        metric = known.get(name)
        points = placed(columns[name], metric.last_step if metric else None, now_ms, name)
        if metric is None:
            metric = Metric(run=run, experiment_id=run.experiment_id, name=name)
            tail = Tail(metric=metric, position=0, data=b"")
            summary = series.extend(None, points)
        else:
            tail = metric.tail
            summary = series.extend(summary_of(metric), points)
        for column in SUMMARY_COLUMNS:
            setattr(metric, column, getattr(summary, column))
        chunks += sealed_by(tail, metric, points)
        if tail.small_chunks >= series.MERGE_AT:
            merges.append((metric, tail))
        rows.append(metric)
        tails.append(tail)
        accepted += len(points)
    upsert(Metric, rows, SUMMARY_COLUMNS)
    Chunk.objects.bulk_create(chunks, batch_size=ROWS_PER_STATEMENT)
    for metric, tail in merges:
        merge_small_chunks(metric, tail)
    upsert(Tail, tails, ("position", "small_chunks", "data"))
    return accepted


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


def known_metrics(run: Run, names: Sequence[str]) -> Iterable[Metric]:
    """The run's series of these names with their tails, in name order."""
    for start in range(0, len(names), ROWS_PER_STATEMENT):
        some = names[start : start + ROWS_PER_STATEMENT]
        yield from Metric.objects.filter(run=run, name__in=some).select_related("tail")


def placed(columns: Columns, last_step: int | None, now_ms: int, name: str) -> Points:
    """The points with every step and time filled in: steps count up from the greatest one."""
    n = len(columns.values)
    steps, times = columns.steps, columns.times
    greatest = -1 if last_step is None else last_step
    try:
        if steps is None:
            steps = counted([None] * n, greatest) if n < 16 else np.arange(n) + (greatest + 1)
            if greatest + n > LARGEST_STEP:
                raise OverflowError
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


def counted(steps: Iterable[int | None], greatest: int) -> list[int]:
    """Each missing step as the greatest one so far + 1."""
    placed_steps = []
    for step in steps:
        step = greatest + 1 if step is None else step
        greatest = max(greatest, step)
        placed_steps.append(step)
    return placed_steps


def summary_of(metric: Metric) -> Summary:
    """The summary kept in a metric's row."""
    return Summary(*[getattr(metric, column) for column in SUMMARY_COLUMNS])


def sealed_by(tail: Tail, metric: Metric, points: Points) -> list[Chunk]:
    """Add points to a tail. While it stays short nothing is sealed; else all of it is, into
    the chunks returned, and the tail is empty."""
    held = len(tail.data) // series.POINT.itemsize
    if held + len(points) < series.TAIL_POINTS:
        tail.data = bytes(tail.data) + series.pack(points)
        return []
    if held:
        points = Points.concat([series.unpack(tail.data), points])
    return seal(tail, metric, points)


def seal(tail: Tail, metric: Metric, points: Points) -> list[Chunk]:
    """Chunks, not saved, of all the points from the tail's position on; the tail is emptied
    and moved behind them."""
    chunks = []
    for block in series.split(points):
        chunks.append(chunk_of(metric, tail.position, block))
        tail.position += len(block)
        small = len(block) < series.SMALL_CHUNK_POINTS
        tail.small_chunks = tail.small_chunks + 1 if small else 0
    tail.data = b""
    return chunks


def chunk_of(metric: Metric, position: int, points: Points) -> Chunk:
    """One chunk, not saved."""
    code, data = series.encode(points)
    low, high = series.finite_range(points.values)
    return Chunk(
        metric=metric,
        position=position,
        count=len(points),
        min_step=int(points.steps.min()),
        max_step=int(points.steps.max()),
        min_value=low,
        max_value=high,
        format=code,
        data=data,
    )


def merge_small_chunks(metric: Metric, tail: Tail) -> None:
    """Write the small chunks at the end of the sealed points anew as few big ones: small ones
    compress badly. In one transaction, so a reader sees the old ones or the new."""
    found = metric.chunks.order_by("-position")[: tail.small_chunks]
    small = sorted(found, key=lambda chunk: chunk.position)
    if len(small) > 1:
        points = Points.concat([series.decode(chunk.format, chunk.data) for chunk in small])
        Chunk.objects.filter(pk__in=[chunk.pk for chunk in small]).delete()
        tail.position = small[0].position
        open_points, tail.small_chunks = tail.data, 0
        Chunk.objects.bulk_create(seal(tail, metric, points))
        tail.data = open_points
    tail.small_chunks = 0


def upsert(model: type, rows: list, columns: Iterable[str]) -> None:
    """Insert rows, or update these columns of those whose key is known."""
    model.objects.bulk_create(
        rows,
        batch_size=ROWS_PER_STATEMENT,
        update_conflicts=True,
        unique_fields=["pk"],
        update_fields=list(columns),
    )


def compact_run(*, run: Run, at_most: int | None = None) -> int:
    """Seal the tails and merge the small chunks of a run's series; how many were touched.
    Points stay the same to the bit, and so does every summary."""
    with transaction.atomic():
        lock_run(run.pk)
        open_series = (
            Metric.objects.filter(run=run)
            .filter(Q(tail__small_chunks__gt=1) | ~Q(tail__data=b""))
            .select_related("tail")
        )
        touched = list(open_series[:at_most])
        chunks = []
        for metric in touched:
            tail = metric.tail
            if tail.data:
                chunks += seal(tail, metric, series.unpack(tail.data))
        Chunk.objects.bulk_create(chunks, batch_size=ROWS_PER_STATEMENT)
        for metric in touched:
            merge_small_chunks(metric, metric.tail)
        upsert(Tail, [metric.tail for metric in touched], ("position", "small_chunks", "data"))
    return len(touched)


def verify_metric(metric: Metric) -> list[str]:
    """What is wrong with a series: its summary recomputed from its points; [] when nothing."""
    summary, held = None, 0
    for points in reading.blocks(metric):
        summary = series.extend(summary, points)
        held += len(points)
    if held != metric.count or summary is None:
        return [f"count: the row says {metric.count}, there are {held} points"]
    stored, found = asdict(summary_of(metric)), asdict(summary)
    return [
        f"{column}: the row says {stored[column]!r}, the points give {found[column]!r}"
        for column in SUMMARY_COLUMNS
        if stored[column] != found[column]
    ]

"""Reading points. A reader takes no lock and sees every committed point once.

The metric and its tail come in one statement, which fixes how many points there are; then the
chunks before the tail. Whatever was sealed or merged in between is cut to that, so no point is
missing or comes twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.db.models import F, Q, QuerySet

from experiments import series
from experiments.models import Chunk, Metric
from experiments.refusals import Gone
from experiments.series import Points
from exptrack.databases import rows_in_binary

CHUNKS_AT_ONCE = 8
COLUMNS = ("metric_id", "position", "count", "format", "data")
# Series are loaded together up to this many points: about 50 MB decoded.
POINTS_AT_ONCE = 2_000_000
METRICS_AT_ONCE = 200


class MissingPoints(Exception):
    """Points that should be there are not: the store is damaged."""


def missing(metric: Metric, what: str) -> Exception:
    """Why points are not there: the run was purged meanwhile, or they are lost."""
    if not Metric.objects.filter(pk=metric.pk).exists():
        return Gone("This run has been purged.")
    return MissingPoints(f"Series {metric.pk} has {what}.")


def blocks(metric: Metric, start: int = 0, stop: int | None = None) -> Iterator[Points]:
    """The points of a metric, loaded with its tail, in order of arrival from position `start`
    up to `stop`, a bounded block at a time: a series of any length in constant memory."""
    sealed = metric.tail.position
    open_points = series.unpack(metric.tail.data)
    end = sealed + len(open_points)
    stop = end if stop is None else min(stop, end)
    position, last_sealed = start, min(sealed, stop)
    while position < last_sealed:
        for chunk in chunks_from(metric, position, last_sealed):
            block = held_between(chunk, position, last_sealed)
            yield block
            position += len(block)
    if stop > max(sealed, start):
        yield open_points.slice(max(start - sealed, 0), stop - sealed)


class Sealed(NamedTuple):
    """A chunk as it is read: the columns of `models.Chunk` that points come from."""

    metric_id: uuid.UUID
    position: int
    count: int
    format: int
    data: bytes | memoryview


def read_chunks(chunks: QuerySet, most: int | None = None) -> list[Sealed]:
    """Chunks in the order of their positions, the first `most` of them. One statement."""
    rows = chunks.order_by("position").values_list(*COLUMNS)[:most]
    return [Sealed(*row) for row in rows_in_binary(rows)]


def chunks_from(metric: Metric, position: int, stop: int) -> list[Sealed]:
    """The next few chunks that hold points from `position` on, none beyond `stop`.

    The one that holds `position` is the last to begin at or before it; both bounds walk the
    index (metric, position)."""
    begun = metric.chunks.filter(position__lte=position).order_by("-position").values("position")
    found = metric.chunks.filter(position__gte=begun[:1], position__lt=stop)
    chunks = read_chunks(found, CHUNKS_AT_ONCE)
    if not chunks or chunks[0].position + chunks[0].count <= position:
        raise missing(metric, f"no points from position {position} on")
    return chunks


def held_between(chunk: Sealed, start: int, stop: int) -> Points:
    """The points of a chunk at positions from `start` up to `stop`."""
    points = series.decode(chunk.format, chunk.data)
    first, last = max(start - chunk.position, 0), min(stop - chunk.position, len(points))
    return points if (first, last) == (0, len(points)) else points.slice(first, last)


def loaded(
    metrics: Sequence[Metric],
    steps: tuple[int | None, int | None] = (None, None),
    *,
    with_times: bool = True,
) -> Iterator[tuple[Metric, Points]]:
    """Each metric, loaded with its tail, with all its points in order of arrival; without times
    where they are not wanted and of no account (see `series.decode_all`). With `steps` (least,
    greatest) blocks wholly outside that range may be left out. Many short series come in one
    statement, long ones one by one."""
    for group in together(metrics):
        chunks: dict[object, list[Sealed]] = {metric.pk: [] for metric in group}
        for chunk in read_chunks(Chunk.objects.filter(in_steps(*steps), metric__in=group)):
            chunks[chunk.metric_id].append(chunk)
        for metric in group:
            end = metric.tail.position
            kept = [chunk for chunk in chunks.pop(metric.pk) if chunk.position < end]
            points = sealed_points(kept, end, with_times)
            if steps == (None, None) and len(points) != end:
                raise missing(metric, f"not all of its {end} points")
            tail = series.unpack(metric.tail.data)
            if not series.follows(points, tail):
                points = sealed_points(kept, end, with_times=True)
            yield metric, Points.concat([part for part in (points, tail) if len(part)])


def sealed_points(chunks: Sequence[Sealed], end: int, with_times: bool) -> Points:
    """The points of a series' chunks at positions up to `end`."""
    if not chunks:
        return Points.empty()
    points = series.decode_all([(c.format, c.data) for c in chunks], with_times=with_times)
    beyond = max(chunks[-1].position + chunks[-1].count - end, 0)
    return points.slice(0, len(points) - beyond) if beyond else points


def newest(positions: Mapping[Metric, int]) -> Iterator[tuple[Metric, Points]]:
    """Each metric, loaded with its tail, with its points from a position on. Most are in the
    tail; the chunks that hold the others come together, some hundred metrics a statement."""
    sealed = [metric for metric, position in positions.items() if position < metric.tail.position]
    chunks: dict[object, list[Sealed]] = {metric.pk: [] for metric in sealed}
    for start in range(0, len(sealed), METRICS_AT_ONCE):
        conditions = [
            Q(
                metric=metric,
                position__gt=positions[metric] - series.LARGEST_CHUNK_POINTS,
                position__gte=positions[metric] + 1 - F("count"),
                position__lt=metric.tail.position,
            )
            for metric in sealed[start : start + METRICS_AT_ONCE]
        ]
        for chunk in read_chunks(Chunk.objects.filter(reduce(or_, conditions))):
            chunks[chunk.metric_id].append(chunk)
    for metric, position in positions.items():
        tail, end = series.unpack(metric.tail.data), metric.tail.position
        parts = [held_between(chunk, position, end) for chunk in chunks.get(metric.pk, ())]
        points = Points.concat([*parts, tail.slice(max(position - end, 0), None)])
        if len(points) != metric.count - position:
            raise missing(metric, f"not all of its points from position {position} on")
        yield metric, points


def together(metrics: Iterable[Metric]) -> Iterator[list[Metric]]:
    """Metrics in groups of at most POINTS_AT_ONCE points, or one that has more."""
    group, points = [], 0
    for metric in metrics:
        if group and points + metric.count > POINTS_AT_ONCE:
            yield group
            group, points = [], 0
        group.append(metric)
        points += metric.count
    if group:
        yield group


def in_steps(least: int | None, greatest: int | None) -> Q:
    """Chunks that may hold points of these steps."""
    condition = Q()
    if least is not None:
        condition &= Q(max_step__gte=least)
    if greatest is not None:
        condition &= Q(min_step__lte=greatest)
    return condition

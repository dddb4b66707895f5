"""Series made ready to draw: joined, ordered, smoothed, cut to a range, thinned out.

One function serves the API, the run page and the compare page.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from django.db.models import Count, Sum

from experiments import compact, curves, reading
from experiments.csv_text import csv_line, csv_of_points
from experiments.curves import Buckets
from experiments.models import Metric, Run
from experiments.querysets import folded_contains
from experiments.series import Points
from experiments.tables import A_MEASURE, how_telling
from experiments.values import NAME_LENGTH, InvalidValue, field_name
from experiments.wire import encoded

MAX_BUCKETS = 2_000
DEFAULT_BUCKETS = 500
MAX_SERIES = 200
MAX_SMOOTHING = 0.999
X_AXES = ("step", "time", "relative")
LONGEST_AXIS = len("metric:") + NAME_LENGTH
INT64 = np.iinfo(np.int64)
RUN_COLOURS = 12


# --- Lines -----------------------------------------------------------------------------------


def run_colour(run_id: uuid.UUID) -> int:
    """Which of the twelve colours of runs a run has by itself."""
    return run_id.int % RUN_COLOURS + 1


def lines_of(runs: Iterable[Run]) -> list[dict]:
    """How each run's line is told from the others where these runs are drawn together."""
    runs = list(runs)
    inks = inks_of((run_id, run_id.int) for run_id in sorted(run.pk for run in runs))
    return [{"id": str(run.pk), "name": run.name, **inks[run.pk]} for run in runs]


def inks_of(lines: Iterable[tuple[Hashable, int]]) -> dict:
    """For lines, each known by a name and a number of its own, `ink`, one of the twelve colours,
    and `dash`, 0 for an unbroken line.

    A line has its own colour unless one before it has taken that; then the next that is free. So
    up to twelve lines have twelve colours, and one added at the end changes no other's. Beyond,
    lines of one colour are told apart by their dashes."""
    chosen: dict = {}
    used: set[int] = set()
    for place, (name, number) in enumerate(lines):
        if place % RUN_COLOURS == 0:
            used = set()
        inks = ((number + offset) % RUN_COLOURS + 1 for offset in range(RUN_COLOURS))
        ink = next(ink for ink in inks if ink not in used)
        used.add(ink)
        chosen[name] = {"ink": ink, "dash": place // RUN_COLOURS}
    return chosen


OTHERS = "Others"


@dataclass(frozen=True, slots=True)
class Overlaid:
    """One metric as several runs have it: how many of them, and their points together."""

    name: str
    runs: int
    count: int
    nan_count: int
    inf_count: int


def overlaid(runs: Sequence[Run | uuid.UUID], part: str, start: int, size: int) -> list[Overlaid]:
    """The metrics of these runs whose names contain a text, in any case: `size` of them from
    number `start` on, by name. One statement."""
    rows = Metric.objects.filter(run__in=list(runs))
    if part:
        rows = rows.filter(folded_contains("name", part))
    sums = rows.values("name").annotate(
        runs=Count("pk"), points=Sum("count"), nans=Sum("nan_count"), infs=Sum("inf_count")
    )
    columns = ("name", "runs", "points", "nans", "infs")
    found = sums.order_by("name").values_list(*columns)[start : start + size]
    return [Overlaid(*row) for row in found]


def grouped(metrics: Iterable[Metric | Overlaid]) -> list[tuple[str, list]]:
    """Metrics by the part of their name before the first slash; those without one, and those that
    are alone with theirs, under "". In front what tells how good a run is, since one looks
    whether it still learns: of those under "" what tells nothing of it goes to OTHERS, and clocks
    and loads come last."""
    groups: dict[str, list] = {"": []}
    for metric in metrics:
        head, slash, _ = metric.name.partition("/")
        groups.setdefault(head if slash else "", []).append(metric)
    single = groups.pop("")
    single += [groups.pop(head)[0] for head in [*groups] if len(groups[head]) == 1]
    single.sort(key=lambda metric: (how_telling(metric.name), metric.name))
    if not groups:
        return [("", single)] if single else []
    front = [metric for metric in single if how_telling(metric.name) <= A_MEASURE]
    if others := single[len(front) :]:
        groups[OTHERS] = groups.get(OTHERS, []) + others
    order = sorted(
        groups, key=lambda head: (min(how_telling(metric.name) for metric in groups[head]), head)
    )
    return [*([("", front)] if front else []), *((head, groups[head]) for head in order)]


# --- Points ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Axis:
    """How series are drawn. `x` is step, time (ms), relative (seconds from the run's start) or
    `metric:<name>` (that metric's value at the equal step); `low` and `high` are in its units
    and inclusive; `smoothing` is the weight of TensorBoard's moving average, 0 for none. Buckets
    are equally wide on a linear axis, on a logarithmic one with `is_log`."""

    x: str = "step"
    low: float | None = None
    high: float | None = None
    buckets: int = DEFAULT_BUCKETS
    smoothing: float = 0.0
    is_log: bool = False

    @property
    def other_metric(self) -> str | None:
        return self.x.removeprefix("metric:") if self.x.startswith("metric:") else None


def checked_axis(x: str) -> str:
    """`x` itself in normal form, or InvalidValue."""
    if x in X_AXES:
        return x
    if x.startswith("metric:"):
        return f"metric:{field_name(x.removeprefix('metric:'))}"
    raise InvalidValue(f"{x[:80]!r} is no x axis: step, time, relative or metric:<name>.")


@dataclass(frozen=True, slots=True)
class Curve:
    """One series ready to draw: of a run, or the mean of a group of runs."""

    line: uuid.UUID | str  # a run's id, or a group's word
    metric: str
    count: int  # points behind what is drawn
    total: int  # points logged by now
    thin: Buckets
    smooth: np.ndarray | None = None  # beside thin.y
    runs: np.ndarray | None = None  # beside thin.y: of how many runs a mean is
    members: int = 1  # runs that have the series …
    averaged: int = 1  # … and how many of them the mean is of


def chart_series(
    runs: Sequence[Run], names: Sequence[str], axis: Axis, *, brief: bool = False
) -> list[dict]:
    """Every series that exists of these runs and metric names, runs first, as `/series/`
    answers it; `brief` for scripts that know how to read it."""
    by_id = {run.pk: run for run in runs}
    written = as_compact_json if brief else as_json
    return [
        written(drawn(by_id[metric.run_id], metric, points, other, axis))
        for metric, points, other in pairs_of(by_id, names, axis)
    ]


def pairs_of(
    runs: Mapping[uuid.UUID, Run], names: Sequence[str], axis: Axis
) -> Iterator[tuple[Metric, Points, Points | None]]:
    """The series of these runs, in their order, and names, with the points that serve as x where
    another metric does. Of long series few are in memory at a time."""
    wanted = {*names} | ({axis.other_metric} if axis.other_metric else set())
    found = Metric.objects.filter(run__in=list(runs), name__in=wanted).select_related("tail")
    metrics = {(metric.run_id, metric.name): metric for metric in found}
    pairs = [metrics[run, name] for run in runs for name in names if (run, name) in metrics]
    if axis.other_metric is None:
        read = reading.loaded(pairs, needed_steps(axis), with_times=axis.x != "step")
        yield from ((metric, points, None) for metric, points in read)
        return
    found_x = (metrics.get((run, axis.other_metric)) for run in runs)
    for group in reading.together(metric for metric in found_x if metric is not None):
        read = reading.loaded(group, with_times=False)
        others = {metric.run_id: points for metric, points in read}
        joined = [metric for metric in pairs if metric.run_id in others]
        for metric, points in reading.loaded(joined, with_times=False):
            yield metric, points, others[metric.run_id]


def needed_steps(axis: Axis) -> tuple[int | None, int | None]:
    """The steps that must be read. A moving average needs what came before; other axes do not
    follow the steps."""
    if axis.x != "step" or axis.smoothing:
        return None, None
    low = None if axis.low is None else math.ceil(max(axis.low, INT64.min))
    high = None if axis.high is None else math.floor(min(axis.high, INT64.max))
    return low, high


def drawn(run: Run, metric: Metric, points: Points, other: Points | None, axis: Axis) -> Curve:
    """One series in the range and the buckets of the axis."""
    x, y = along(axis, run, points, other)
    smooth = curves.smooth(y, axis.smoothing) if axis.smoothing else None
    first = 0 if axis.low is None else np.searchsorted(x, axis.low, "left")
    last = len(x) if axis.high is None else np.searchsorted(x, axis.high, "right")
    x, y = x[first:last], y[first:last]
    thin = curves.downsample(x, y, axis.buckets, axis.is_log)
    if smooth is not None:
        smooth = smooth[first:last][thin.index]
    return Curve(run.pk, metric.name, len(x), metric.count, thin, smooth)


def along(
    axis: Axis, run: Run, points: Points, other: Points | None
) -> tuple[np.ndarray, np.ndarray]:
    """One point a step, ordered along the axis: x (int64 or float64) and y float64."""
    if other is not None:
        x, positions = curves.align(points, other)
        return x, curves.canonical(points).values[positions]
    chosen = curves.canonical(points)
    if axis.x == "step":
        return chosen.steps, chosen.values
    order = np.argsort(chosen.times, kind="stable")
    times, values = chosen.times[order], chosen.values[order]
    if axis.x == "time":
        return times, values
    start = run.started_at or run.created_at
    return (times - start.timestamp() * 1000) / 1000, values


# --- As JSON ---------------------------------------------------------------------------------


def as_json(curve: Curve) -> dict:
    """One curve as the API writes it, numbers exact."""
    thin = curve.thin
    answer = head_of(curve) | {
        "x": numbers(thin.x),
        "y": numbers(thin.y),
        "lo": finite_or_none(thin.lo),
        "hi": finite_or_none(thin.hi),
        "nan": numbers(thin.nan),
        "inf": numbers(thin.inf),
    }
    if curve.smooth is not None:
        answer["smooth"] = numbers(curve.smooth)
    return answer


def as_compact_json(curve: Curve) -> dict:
    """The same in few bytes: numbers as short as a chart allows, whole x as differences (`dx`),
    and no extremes and counts that say nothing. NaN, infinities and a `raw` curve's extremes
    are in its y."""
    thin, answer = curve.thin, head_of(curve)
    if (steps := compact.differences(thin.x)) is not None:
        answer["dx"] = msgspec.Raw(msgspec.json.encode(steps))
    else:
        answer["x"] = numbers(compact.shortened(thin.x))
    answer["y"] = numbers(compact.shortened(thin.y))
    if not thin.raw:
        answer["lo"] = finite_or_none(compact.shortened(thin.lo))
        answer["hi"] = finite_or_none(compact.shortened(thin.hi))
        answer |= {name: numbers(counts) for name in ("nan", "inf")
                   if (counts := getattr(thin, name)).any()}  # fmt: skip
    if curve.smooth is not None:
        answer["smooth"] = numbers(compact.shortened(curve.smooth))
    if curve.runs is not None:
        answer["n"] = numbers(curve.runs)
    return answer


def head_of(curve: Curve) -> dict:
    """What a curve is of."""
    answer = {
        "run": curve.line,
        "metric": curve.metric,
        "count": curve.count,
        "total": curve.total,
        "raw": curve.thin.raw,
    }
    if curve.runs is not None:
        answer |= {"members": curve.members, "averaged": curve.averaged}
    return answer


def numbers(values: np.ndarray) -> msgspec.Raw:
    """Numbers written out; one by one, as `wire` must look at them, only where they are odd."""
    is_plain = values.dtype.kind != "f" or np.isfinite(values).all()
    listed = values.tolist()
    return msgspec.Raw(msgspec.json.encode(listed) if is_plain else encoded(listed))


def finite_or_none(values: np.ndarray) -> msgspec.Raw:
    """Numbers written out, with null for NaN, which marks a bucket without a finite value."""
    return msgspec.Raw(msgspec.json.encode(values.tolist()))


# --- As CSV ----------------------------------------------------------------------------------


def points_csv(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    """Every point of these series as lines of CSV, runs first, in order of arrival, numbers
    exact; a bounded number in memory at a time."""
    yield csv_line(["run", "name", "metric", "step", "time", "value"])
    by_id = {run.pk: run for run in runs}
    found = Metric.objects.filter(run__in=list(by_id), name__in=list(names)).select_related("tail")
    metrics = {(metric.run_id, metric.name): metric for metric in found}
    for run in runs:
        for metric in (metrics[run.pk, name] for name in names if (run.pk, name) in metrics):
            first = [run.pk, run.name, metric.name]
            yield from csv_of_points(first, reading.blocks(metric))

"""What a series' points come to: how many, the last, the least, the greatest, the sum.

Pure. Among the points of one step the greatest (time, value) speaks for it, NaN being the lowest
value: a choice that does not depend on the order of arrival. A zero of either sign counts as
0.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiments.series import Points

FEW_POINTS = 32  # up to here a loop over Python numbers beats the fixed cost of numpy
KIND_ORDER = {"nan": 0, "-inf": 1, "finite": 2, "inf": 3}


@dataclass(slots=True)
class Summary:
    """What a metric's row says of its points; the columns of `models.Metric`, in their order."""

    count: int
    first_step: int
    last_step: int
    last: float | None
    last_kind: str
    last_time: int
    min: float | None
    min_step: int | None
    max: float | None
    max_step: int | None
    sum: float
    nan_count: int
    inf_count: int

    @property
    def mean(self) -> float | None:
        """Of the finite values; None when there are none, infinite when their sum overflows."""
        finite = self.count - self.nan_count - self.inf_count
        return self.sum / finite if finite else None


def extend(summary: Summary | None, points: Points) -> Summary:
    """A new summary of what `summary` covers and then of these points, the same to the bit for
    any split of a series into batches. ValueError when there are no points."""
    if not len(points):
        raise ValueError("There are no points to sum up.")
    total = 0.0 if summary is None else summary.sum
    added = sum_up_few(points, total) if len(points) <= FEW_POINTS else sum_up(points, total)
    return added if summary is None else merged(summary, added)


def sum_up_few(points: Points, total: float) -> Summary:
    """`sum_up` for a handful of points, without numpy's fixed costs."""
    steps, values = points.steps.tolist(), points.values.tolist()
    low = high = low_step = high_step = None
    nan_count = inf_count = 0
    greatest = None
    for step, time, value in zip(steps, points.times.tolist(), values, strict=True):
        value += 0.0
        if math.isfinite(value):
            total += value
            if low is None or value < low or (value == low and step < low_step):
                low, low_step = value, step
            if high is None or value > high or (value == high and step < high_step):
                high, high_step = value, step
        elif value == value:
            inf_count += 1
        else:
            nan_count += 1
        key = (step, time, value == value, value)
        if greatest is None or key > greatest:
            greatest = key
    last_step, last_time, _, last = greatest
    kind = kind_of(last)
    return Summary(
        len(steps), min(steps), last_step, last if kind == "finite" else None, kind, last_time,
        low, low_step, high, high_step, total, nan_count, inf_count,
    )  # fmt: skip


def sum_up(points: Points, total: float) -> Summary:
    """The summary of these points alone, except that `sum` goes on from `total`."""
    steps, values = points.steps, points.values
    last_step, last_time, last = last_point(points)
    kind = kind_of(last)
    finite, finite_steps = values, steps
    nan_count = inf_count = 0
    is_finite = np.isfinite(values)
    if np.count_nonzero(is_finite) < len(values):
        finite, finite_steps = values[is_finite], steps[is_finite]
        nan_count = int(np.count_nonzero(np.isnan(values)))
        inf_count = len(values) - len(finite) - nan_count
    low = high = low_step = high_step = None
    if len(finite):
        low, low_step = with_lowest_step(finite[finite.argmin()], finite, finite_steps)
        high, high_step = with_lowest_step(finite[finite.argmax()], finite, finite_steps)
        total = folded(total, finite)
    return Summary(
        len(values), int(steps.min()), last_step, last if kind == "finite" else None, kind,
        last_time, low, low_step, high, high_step, total, nan_count, inf_count,
    )  # fmt: skip


def with_lowest_step(value: float, finite: np.ndarray, steps: np.ndarray) -> tuple[float, int]:
    """One of the finite values and the lowest of the steps that have it."""
    return float(value) + 0.0, int(steps[finite == value].min())


def last_point(points: Points) -> tuple[int, int, float]:
    """The greatest (step, time, value), NaN lowest."""
    step = points.steps[points.steps.argmax()]
    at = np.flatnonzero(points.steps == step)
    if len(at) > 1:
        time = points.times[at].max()
        at = at[points.times[at] == time]
    values = points.values[at].tolist()
    known = [value for value in values if value == value]
    value = max(known) if known else math.nan
    return int(step), int(points.times[at[0]]), value + 0.0


def folded(total: float, finite: np.ndarray) -> float:
    """`total` plus each value in turn: numpy's own sum adds in pairs, so that its last bits
    would depend on how the points were split into batches."""
    sums = finite.copy()
    with np.errstate(over="ignore"):
        sums[0] += total
        return float(np.add.accumulate(sums, out=sums)[-1])


def merged(before: Summary, added: Summary) -> Summary:
    """One summary of both, where the sum of `added` already goes on from `before`."""
    newer = last_key(added) > last_key(before)
    last = added if newer else before
    low, low_step = before.min, before.min_step
    if added.min is not None and (low is None or (added.min, added.min_step) < (low, low_step)):
        low, low_step = added.min, added.min_step
    high, high_step = before.max, before.max_step
    if added.max is not None and (
        high is None or (added.max, -added.max_step) > (high, -high_step)
    ):
        high, high_step = added.max, added.max_step
    return Summary(
        before.count + added.count, min(before.first_step, added.first_step),
        last.last_step, last.last, last.last_kind, last.last_time,
        low, low_step, high, high_step,
        added.sum, before.nan_count + added.nan_count, before.inf_count + added.inf_count,
    )  # fmt: skip


def last_key(summary: Summary) -> tuple[int, int, float, float]:
    """What decides between the last points of two summaries: the greater one is the last."""
    value = summary.last if summary.last_kind == "finite" else 0.0
    return summary.last_step, summary.last_time, KIND_ORDER[summary.last_kind], value


def kind_of(value: float) -> str:
    """Which of `models.Metric.Kind` a value is."""
    if math.isfinite(value):
        return "finite"
    if value != value:
        return "nan"
    return "inf" if value > 0 else "-inf"


def finite_range(values: np.ndarray) -> tuple[float | None, float | None]:
    """The least and the greatest finite value; None and None when there is none."""
    is_finite = np.isfinite(values)
    if not is_finite.all():
        values = values[is_finite]
    if not len(values):
        return None, None
    return float(values.min()) + 0.0, float(values.max()) + 0.0

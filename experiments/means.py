"""The mean of a group's curves, with its spread. Pure: numpy in, numpy out.

Runs are brought together as W&B's full fidelity mode draws one of them (docs.wandb.ai, "Point
aggregation"): x is cut into buckets, the same for all runs of the group, and a run's value in a
bucket is its last finite one there, not an average, so that noise counts towards the spread as it
was logged. A run that skips a bucket between two of its points, because it logs more seldom than
the others, has there what lies on the straight line between them; otherwise the mean would jump
to and fro between those that happen to have a point. Before its first and beyond its last point a
run does not count, and neither does it where it has no finite value: nothing is carried on, so
that a run which stopped early does not hold the mean down, and `runs` says how many are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.curves import Buckets, bucket_starts


@dataclass(slots=True)
class Mean:
    """A group's mean by buckets of x: arrays with one row a bucket.

    `x` is the greatest x of the bucket that any run has a point at; `mean`, `std` (sample
    standard deviation, n - 1; NaN for one run), `least` and `greatest` are over the `runs` that
    have a value there, NaN where none has; `smooth` is the mean of the smoothed values; `nan` and
    `inf` count what the runs logged in the bucket.
    """

    x: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    runs: np.ndarray
    nan: np.ndarray
    inf: np.ndarray
    smooth: np.ndarray | None


def mean_curve(
    curves: Sequence[Buckets],
    buckets: int,
    *,
    is_log: bool = False,
    smooths: Sequence[np.ndarray] | None = None,
) -> Mean:
    """The mean of at least one curve of a point or more each, in at most `buckets` rows; with as
    many x as that or fewer, each x is a row. `smooths` has each curve's smoothed y. `least` and
    `greatest` are those of all points of a run's bucket, not of its last one alone."""
    x = np.concatenate([curve.x for curve in curves])
    run = np.repeat(np.arange(len(curves)), [len(curve.x) for curve in curves])
    at, place = places(x, buckets, is_log)
    cells = Cells.of(run, place, x, at, len(curves))
    y = np.concatenate([curve.y for curve in curves])
    values = cells.filled(y)
    low = np.concatenate([curve.lo for curve in curves])
    high = np.concatenate([curve.hi for curve in curves])
    mean, std, counts = spread_of(values)
    least, greatest = np.fmin.reduce(values), np.fmax.reduce(values)
    np.fmin.at(least, place, low)
    np.fmax.at(greatest, place, high)
    odd = [
        np.bincount(place, np.concatenate([getattr(curve, name) for curve in curves]), len(at))
        for name in ("nan", "inf")
    ]
    smooth = None if smooths is None else spread_of(cells.filled(np.concatenate(smooths)))[0]
    return Mean(
        at, mean, std, least, greatest, counts, *(each.astype(np.int64) for each in odd), smooth
    )


def places(x: np.ndarray, buckets: int, is_log: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where the buckets of all x stand, and the number of the bucket that each x is in."""
    distinct = np.unique(x)
    if len(distinct) <= buckets:
        return distinct, np.searchsorted(distinct, x)
    starts = bucket_starts(distinct, buckets, is_log)
    ends = np.append(starts[1:], len(distinct)) - 1
    return distinct[ends], np.searchsorted(distinct[starts], x, "right") - 1


@dataclass(slots=True)
class Cells:
    """Which points stand for which run in which bucket: a table of runs by buckets."""

    shape: tuple[int, int]
    starts: np.ndarray  # where each run's points in a bucket begin …
    cells: np.ndarray  # … and the number of that cell of the table
    x: np.ndarray
    at: np.ndarray

    @classmethod
    def of(
        cls, run: np.ndarray, place: np.ndarray, x: np.ndarray, at: np.ndarray, runs: int
    ) -> Cells:
        """Of points ordered by run and then by x."""
        number = run * len(at) + place
        starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
        return cls((runs, len(at)), starts, number[starts], x.astype(float), at.astype(float))

    def filled(self, y: np.ndarray) -> np.ndarray:
        """Each run's value in each bucket, float64[runs, buckets], NaN where it has none."""
        last = np.maximum.reduceat(np.where(np.isfinite(y), np.arange(len(y)), -1), self.starts)
        values, places_ = np.full(self.shape, np.nan), np.tile(self.at, (self.shape[0], 1))
        values.flat[self.cells] = np.where(last < 0, np.nan, y[last])
        places_.flat[self.cells[last >= 0]] = self.x[last[last >= 0]]
        is_met = np.zeros(self.shape, bool)
        is_met.flat[self.cells] = True
        self.bridge(values, places_, is_met)
        return values

    def bridge(self, values: np.ndarray, x: np.ndarray, is_met: np.ndarray) -> None:
        """Put what lies on the line between a run's points where it has none between them."""
        columns = np.arange(self.shape[1])
        before = np.maximum.accumulate(np.where(is_met, columns, -1), axis=1)
        after = np.where(is_met, columns, self.shape[1])[:, ::-1]
        after = np.minimum.accumulate(after, axis=1)[:, ::-1]
        rows, gaps = np.nonzero(~is_met & (before >= 0) & (after < self.shape[1]))
        one, other = before[rows, gaps], after[rows, gaps]
        # Halved, so that ends of both signs near the greatest double have a difference.
        begun, width = x[rows, one] / 2, x[rows, other] / 2 - x[rows, one] / 2
        share = (self.at[gaps] / 2 - begun) / width
        values[rows, gaps] = values[rows, one] * (1 - share) + values[rows, other] * share


def spread_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, sample standard deviation and number of the values of each column that has any, NaN
    being none."""
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    with np.errstate(all="ignore"):
        mean = np.nansum(values, axis=0) / np.maximum(counts, 1)
        if not np.isfinite(mean).all():  # a sum of values near the greatest double is none
            mean = np.nansum(values / np.maximum(counts, 1), axis=0)
        mean = np.clip(mean, np.fmin.reduce(values), np.fmax.reduce(values))
        squares = np.nansum((values - mean) ** 2, axis=0)
        std = np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.nan)
    return np.where(counts > 0, mean, np.nan), std, counts

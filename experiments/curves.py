"""What is drawn of a series: one point a step, thinned out, smoothed, set against another.

Pure: numpy in, numpy out. Of the points of one step the same one is drawn that speaks for it in
its summary, and a zero of either sign is 0.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from experiments.series import Points

BLOCK = 64  # points that one product smooths, …
ROWS_AT_ONCE = 32  # … for so many blocks at a time
LARGEST_FLOAT_IN_INT64 = 2.0**63 - 1024
LARGEST_FLOAT = float(np.finfo(np.float64).max)


def canonical(points: Points) -> Points:
    """One point a step, sorted by step: of each step the greatest (time, value), NaN lowest."""
    steps, times, values = points.steps, points.times, zeros_alike(points.values)
    if (steps[1:] > steps[:-1]).all():
        return Points(steps, times, values)
    order = np.argsort(steps, kind="stable")
    steps, times, values = steps[order], times[order], values[order]
    starts = np.flatnonzero(np.append(True, steps[1:] != steps[:-1]))
    if len(starts) == len(steps):
        return Points(steps, times, values)
    latest = np.maximum.reduceat(times, starts)
    sizes = np.diff(starts, append=len(steps))
    rivals = np.where(times == np.repeat(latest, sizes), values, np.nan)
    with np.errstate(invalid="ignore"):  # which a signalling NaN would set off
        return Points(steps[starts], latest, np.fmax.reduceat(rivals, starts))


def zeros_alike(values: np.ndarray) -> np.ndarray:
    """The values with 0.0 for -0.0, and every NaN quiet; the same array where there is neither: to
    write a million anew took a twentieth of a chart's time."""
    with np.errstate(invalid="ignore"):
        return values if ((values < 0) | (values > 0)).all() else values + 0.0


@dataclass(slots=True)
class Buckets:
    """A curve's points by intervals of x, for a chart: arrays with one row a bucket.

    `x`, `y` is one real point of the bucket, number `index` of those given; `lo` and `hi` are
    its least and greatest finite y, NaN where there is none; `nan` and `inf` count the others.
    `raw` says that every row is one point, none left out.
    """

    x: np.ndarray
    y: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    nan: np.ndarray
    inf: np.ndarray
    raw: bool
    index: np.ndarray


def downsample(x: np.ndarray, y: np.ndarray, buckets: int, is_log: bool = False) -> Buckets:
    """At most `buckets` rows for the points (x, y), every point in just one of them.

    `x` int64[n] or float64[n], sorted, no NaN; `y` float64[n]. As many points as buckets or
    fewer come as they are. Otherwise the first point is a row of its own, the others are put
    into buckets of equal widths of x, and empty ones are left out. A row stands at the last
    finite point of its bucket (at the last one when none is finite), the last row always at
    the very last point, so a line through the rows has both ends of the curve. With a single
    bucket there is one row, at the last point. With `is_log` the widths are equal in log x, so
    that every decade of a logarithmic axis is as fine as the others; what is not above 0 is a
    row of its own. ValueError when `buckets` is below 1.
    """
    if buckets < 1:
        raise ValueError(f"There must be at least 1 bucket, not {buckets}.")
    n = len(x)
    is_finite = np.isfinite(y)
    if n <= buckets:
        known = np.where(is_finite, y, np.nan)
        nan, inf = np.isnan(y).astype(np.int64), np.isinf(y).astype(np.int64)
        return Buckets(x, y, known, known, nan, inf, True, np.arange(n))
    starts = bucket_starts(x, buckets, is_log)
    index = np.append(starts[1:], n) - 1
    if is_finite.all():
        lo, hi = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
        nan = inf = np.zeros(len(starts), np.int64)
    else:
        lo = np.minimum.reduceat(np.where(is_finite, y, np.inf), starts)
        hi = np.maximum.reduceat(np.where(is_finite, y, -np.inf), starts)
        lo[lo == np.inf] = np.nan
        hi[hi == -np.inf] = np.nan
        nan = np.add.reduceat(np.isnan(y), starts, dtype=np.int64)
        inf = np.add.reduceat(np.isinf(y), starts, dtype=np.int64)
        last_finite = np.maximum.reduceat(np.where(is_finite, np.arange(n), -1), starts)
        index = np.where(last_finite < 0, index, last_finite)
        index[-1] = n - 1
    return Buckets(x[index], y[index], lo, hi, nan, inf, False, index)


def bucket_starts(x: np.ndarray, buckets: int, is_log: bool) -> np.ndarray:
    """Where each bucket that is not empty begins in x: the first point alone, then at most
    `buckets` - 1 of equal widths. One bucket in all for `buckets` 1. With `is_log` the widths
    are equal in log x, behind a bucket for all that is not above 0."""
    if buckets == 1:
        return np.zeros(1, np.int64)
    below = int(np.searchsorted(x, 0, "right")) if is_log else 0
    widths = buckets - 1 - (below > 0)
    if below == len(x) or widths < 1:
        return np.array([0, below] if 0 < below < len(x) else [0])
    edges = (log_edges if is_log else edges_within)(x[below], x[-1], widths)
    starts = np.unique(np.concatenate([[0, below, below + 1], np.searchsorted(x, edges)]))
    return starts[starts < len(x)]


def log_edges(low: np.number, high: np.number, widths: int) -> np.ndarray:
    """The `widths` - 1 inner edges that cut low … high, above 0, into widths equal in log x, of
    the type of x."""
    ends = np.log(float(low)), np.log(min(float(high), LARGEST_FLOAT))
    edges = np.exp(np.linspace(*ends, widths + 1)[1:-1])
    if isinstance(low, np.integer):
        # A whole x is at or beyond an edge when it is at or beyond the next whole number.
        return np.minimum(np.ceil(edges), LARGEST_FLOAT_IN_INT64).astype(np.int64).clip(low, high)
    return np.clip(edges, low, high)


def edges_within(low: np.number, high: np.number, widths: int) -> np.ndarray:
    """The `widths` - 1 inner edges that cut low … high into equal widths, of the type of x.

    A point belongs to the width that begins at or before it. Without overflow, also where
    high - low does not fit: integers are cut exactly, modulo 2^64, floats by weighing both ends.
    """
    parts = np.arange(1, widths)
    if isinstance(low, np.integer):
        whole, rest = divmod(int(high) - int(low), widths)
        offsets = parts.astype(np.uint64) * np.uint64(whole)
        offsets += ((parts * rest + widths - 1) // widths).astype(np.uint64)
        return (offsets + np.uint64(int(low) % 2**64)).view(np.int64)
    low, high = max(float(low), -LARGEST_FLOAT), min(float(high), LARGEST_FLOAT)
    share = parts / widths
    return np.clip(low * (1 - share) + high * share, low, high)


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
    """The curve's debiased exponential moving average, float64[n], as TensorBoard's line chart
    smooths (classicSmoothing in its line_chart_v2/data_transformer.ts): over the finite values,
    in the order given,

        s = weight * s + (1 - weight) * value, from 0;  shown is s / (1 - weight ^ count)

    Other values stay as they are and do not count. A constant curve stays constant and none
    leaves the range of its values. ValueError unless 0 <= weight < 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"The smoothing weight must be at least 0 and below 1, not {weight}.")
    smoothed = np.array(values, dtype=np.float64)
    is_finite = np.isfinite(smoothed)
    finite = smoothed[is_finite]
    if weight == 0 or len(finite) < 2:
        return smoothed
    low, high = finite.min(), finite.max()
    # Rounding may carry an average past the largest double on the way.
    scale = 2.0**-64 if max(-low, high) > 2.0**1000 else 1.0
    average = moving_average(finite * ((1 - weight) * scale), weight)
    # Beyond this many points the correction is 1 to the last bit.
    biased = int(min(len(average), 1 + 38 / -math.log(weight)))
    average[:biased] /= -np.expm1(np.arange(1, biased + 1) * math.log(weight))
    with np.errstate(over="ignore"):
        average /= scale
    smoothed[is_finite] = np.clip(average, low, high, out=average)
    return smoothed


def moving_average(terms: np.ndarray, weight: float) -> np.ndarray:
    """s[i] = weight * s[i - 1] + terms[i], from 0: float64[n], n > 0. Block by block with one
    matrix of the weight's powers, then the end of each block is carried into the next."""
    rows = -(-len(terms) // BLOCK)
    # A product of few rows stays in this thread. A taller one goes to BLAS's own threads, which
    # on a busy machine wait for each other: 256 rows took 0.86 ms of processor time, now 0.06.
    height = min(rows, ROWS_AT_ONCE)
    blocks = np.zeros((-(-rows // height), height, BLOCK))
    blocks.reshape(-1)[: len(terms)] = terms
    powers = weight ** np.arange(BLOCK + 1.0)
    at = np.arange(BLOCK)
    ages = at - at[:, None]
    sums = blocks @ np.where(ages >= 0, powers[np.abs(ages)], 0.0)
    sums = sums.reshape(-1, BLOCK)[:rows]
    whole = float(powers[-1])
    ends = accumulate(sums[:-1, -1].tolist(), lambda carry, end: carry * whole + end, initial=0.0)
    sums += np.fromiter(ends, np.float64, rows)[:, None] * powers[1:]
    return sums.reshape(-1)[: len(terms)]


def align(points: Points, other: Points) -> tuple[np.ndarray, np.ndarray]:
    """Another series as x: its values at equal steps, float64[m], sorted, and for each the
    position, int64[m], of the point of `canonical(points)` that stands there.

    Steps that one of them lacks are left out, and so are those where x is not finite. Points
    of equal x stay in the order of their steps.
    """
    points, other = canonical(points), canonical(other)
    if np.array_equal(points.steps, other.steps):
        positions, x = np.arange(len(points)), other.values
    else:
        places = np.searchsorted(other.steps, points.steps)
        inside = np.flatnonzero(places < len(other))
        met = other.steps[places[inside]] == points.steps[inside]
        positions = inside[met]
        x = other.values[places[positions]]
    is_finite = np.isfinite(x)
    x, positions = x[is_finite], positions[is_finite]
    order = np.argsort(x, kind="stable")
    return x[order], positions[order]

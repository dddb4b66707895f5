"""Points as bytes and as numbers: pack, compress, sum up, thin out, smooth, join.

Pure: numpy in, numpy out. The only module that knows how points look in the database; what it
writes must stay readable for ever, so a new layout gets a new format number.

Among the points of one step the greatest (time, value) speaks for it, NaN being the lowest
value: a choice that does not depend on the order of arrival. A zero of either sign counts as
0.0 wherever points are compared or summed up; stored points keep every bit.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from pcodec import ChunkConfig, DeltaSpec
from pcodec.standalone import simple_compress, simple_decompress_into

TAIL_POINTS = 64  # a tail holds fewer than this; at this many it is sealed
SMALL_CHUNK_POINTS = 4_096  # a chunk below this is small, to be merged
MERGE_AT = 64  # that many small chunks in a row are merged into one
LARGEST_CHUNK_POINTS = 65_536

RAW, PCO = 0, 1  # formats of a chunk

POINT = np.dtype([("step", "<i8"), ("time", "<i8"), ("value", "<f8")])

FEW_POINTS = 32  # up to here a loop over Python numbers beats the fixed cost of numpy
BLOCK = 64  # points that one product smooths, …
ROWS_AT_ONCE = 32  # … for so many blocks at a time
LARGEST_INT64 = 2**63 - 1
LARGEST_FLOAT_IN_INT64 = 2.0**63 - 1024
LARGEST_FLOAT = float(np.finfo(np.float64).max)

# --- Points ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of one series in order of arrival: `steps` int64[n], `times` int64[n] in
    milliseconds since the epoch (empty where nobody asks for them, see `decode_all`), `values`
    float64[n]."""

    steps: np.ndarray
    times: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def slice(self, start: int, stop: int | None) -> Points:
        """The points from position `start` up to `stop`, sharing memory with these."""
        return Points(self.steps[start:stop], self.times[start:stop], self.values[start:stop])

    @classmethod
    def of(
        cls,
        steps: Sequence[int] | np.ndarray,
        times: Sequence[int] | np.ndarray,
        values: Sequence[float] | np.ndarray,
    ) -> Points:
        """Points of three columns, lists or arrays. OverflowError for an integer past int64 (or
        one past double as a value), ValueError for columns of unequal length."""
        points = cls(int64(steps), int64(times), np.asarray(values, dtype=np.float64))
        if not points.steps.shape == points.times.shape == points.values.shape == (len(points),):
            raise ValueError("Steps, times and values must be flat and equally long.")
        return points

    @staticmethod
    def concat(parts: Sequence[Points]) -> Points:
        """All points of the parts, one part after the other; where one of them has no times,
        none has any."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Points.empty()
        timed = all(len(part.times) == len(part) for part in parts)
        return Points(
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.times for part in parts]) if timed else np.empty(0, np.int64),
            np.concatenate([part.values for part in parts]),
        )

    @staticmethod
    def empty() -> Points:
        """No points."""
        return Points(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def int64(integers: Sequence[int] | np.ndarray) -> np.ndarray:
    """The integers as int64[n]; OverflowError when one does not fit, TypeError for an array of
    another kind."""
    if isinstance(integers, np.ndarray) and integers.dtype != np.int64:
        if integers.dtype.kind not in "iu" and integers.size:
            raise TypeError(f"Steps and times are integers, not {integers.dtype}.")
        # numpy would wrap them round without a word.
        if integers.dtype.kind == "u" and integers.size and integers.max() > LARGEST_INT64:
            raise OverflowError(f"{integers.max()} does not fit into int64.")
    return np.asarray(integers, dtype=np.int64)


# --- Bytes -----------------------------------------------------------------------------------


def pack(points: Points) -> bytes:
    """The bytes of a tail: 24 little-endian ones a point, so `pack(a) + pack(b)` packs a + b."""
    rows = np.empty(len(points), POINT)
    rows["step"] = points.steps
    rows["time"] = points.times
    rows["value"] = points.values
    return rows.tobytes()


def unpack(data: bytes | memoryview) -> Points:
    """The points of a tail; ValueError when the bytes are no whole number of points."""
    if len(data) % POINT.itemsize:
        raise ValueError(f"{len(data)} bytes are no whole number of points: the data is damaged.")
    rows = np.frombuffer(data, POINT)
    return Points(
        rows["step"].astype(np.int64),
        rows["time"].astype(np.int64),
        rows["value"].astype(np.float64),
    )


CHECKSUM = struct.Struct("<I")  # before either format: CRC-32 of all that follows
PCO_HEAD = struct.Struct("<III")  # points, bytes of the steps, bytes of the times

# Steps and times grow steadily: to name their delta gives the bytes that pcodec's own search
# finds, at 64 points in 84 instead of 232 ns a point. Values are left to the search, for 64
# points at level 4 (losses of 4 decimals: 2.5 B and 300 ns a point; level 8: 2.5 B, 580 ns): a
# small chunk is soon encoded anew. A large one stays, and level 6 pays: 65,536 points of a
# cosine schedule take 0.92 B a point (level 4: 1.42, 8: 0.80), of losses 1.57 (1.61, 1.57), of
# float32 losses 3.14 (3.24, 3.11), while level 8 needs up to 3 times as long (4,096 points: 57
# and 144 ns a point).
STEADY = DeltaSpec.try_consecutive(1)
SMALL = ChunkConfig(compression_level=4)
SMALL_STEADY = ChunkConfig(compression_level=4, delta_spec=STEADY)
LARGE = ChunkConfig(compression_level=6)
LARGE_STEADY = ChunkConfig(compression_level=6, delta_spec=STEADY)


def encode(points: Points) -> tuple[int, bytes]:
    """A chunk's (format, data), bit-exact, the smaller of packed and compressed by column.
    ValueError when there are none (pcodec could not give them back) or too many."""
    if not 0 < len(points) <= LARGEST_CHUNK_POINTS:
        raise ValueError(
            f"A chunk holds 1 to {LARGEST_CHUNK_POINTS} points, {len(points)} cannot be encoded."
        )
    small = len(points) < SMALL_CHUNK_POINTS
    steady, free = (SMALL_STEADY, SMALL) if small else (LARGE_STEADY, LARGE)
    steps = simple_compress(np.ascontiguousarray(points.steps), steady)
    times = simple_compress(np.ascontiguousarray(points.times), steady)
    values = simple_compress(np.ascontiguousarray(points.values), free)
    body = PCO_HEAD.pack(len(points), len(steps), len(times)) + steps + times + values
    if len(body) < len(points) * POINT.itemsize:
        return PCO, CHECKSUM.pack(zlib.crc32(body)) + body
    body = pack(points)
    return RAW, CHECKSUM.pack(zlib.crc32(body)) + body


def decode(format: int, data: bytes | memoryview) -> Points:  # noqa: A002, a column's name
    """The points of a chunk; ValueError for an unknown format and for damaged data."""
    return decode_all([(format, data)])


def decode_all(
    chunks: Sequence[tuple[int, bytes | memoryview]], *, with_times: bool = True
) -> Points:
    """The points of several (format, data), one chunk after the other: into columns that are
    made once, for to join them costs as much as a third of decoding. ValueError as for one.

    Without times `times` is left empty, if the steps are in order and no two alike: only the
    choice among points of one step asks for them then.
    """
    bodies = [checked(*chunk) for chunk in chunks]
    counts = [count_in(kind, body) for kind, body in bodies]
    total = sum(counts)
    steps, values = np.empty(total, np.int64), np.empty(total, np.float64)
    times = np.empty(total if with_times else 0, np.int64)
    start = 0
    for (kind, body), count in zip(bodies, counts, strict=True):
        place = slice(start, start + count)
        into = decompress if kind == PCO else unpack_into
        into(body, steps[place], times[place] if with_times else None, values[place])
        start += count
    if not with_times and not (steps[1:] > steps[:-1]).all():
        return decode_all(chunks)
    return Points(steps, times, values)


def follows(points: Points, tail: Points) -> bool:
    """Whether a tail can be put behind points: whether these have their times, or no one will
    ask for them, since every step is beyond the one before."""
    if len(points.times) == len(points) or not len(tail):
        return True
    steps = np.concatenate([points.steps[-1:], tail.steps])
    return bool((steps[1:] > steps[:-1]).all())


def checked(format: int, data: bytes | memoryview) -> tuple[int, memoryview]:  # noqa: A002
    """A chunk's format and body; ValueError for an unknown format and for damaged data."""
    if format not in (RAW, PCO):
        raise ValueError(f"Chunk format {format} is unknown: a newer version may have written it.")
    body = memoryview(data)[CHECKSUM.size :]
    if not body or zlib.crc32(body) != CHECKSUM.unpack_from(data)[0]:
        raise ValueError("The chunk's checksum does not match: the data is damaged.")
    return format, body


def count_in(format: int, body: memoryview) -> int:  # noqa: A002
    """How many points a chunk's body holds; ValueError when there cannot be so many."""
    if format == RAW:
        return len(body) // POINT.itemsize
    if len(body) < PCO_HEAD.size:
        raise ValueError("The chunk ends within its head: the data is damaged.")
    count = PCO_HEAD.unpack_from(body)[0]
    if not 0 < count <= LARGEST_CHUNK_POINTS:
        raise ValueError(f"A chunk cannot hold {count} points: the data is damaged.")
    return count


def unpack_into(
    body: memoryview, steps: np.ndarray, times: np.ndarray | None, values: np.ndarray
) -> None:
    """Put the points of a packed chunk's body into columns; ValueError when damaged."""
    points = unpack(body)
    steps[:], values[:] = points.steps, points.values
    if times is not None:
        times[:] = points.times


def decompress(
    body: memoryview, steps: np.ndarray, times: np.ndarray | None, values: np.ndarray
) -> None:
    """Put the points of a compressed chunk's body, its head first, into columns; ValueError when
    damaged."""
    _, step_bytes, time_bytes = PCO_HEAD.unpack_from(body)
    times_at = PCO_HEAD.size + step_bytes
    values_at = times_at + time_bytes
    decompress_column(body[PCO_HEAD.size : times_at], steps)
    if times is not None:
        decompress_column(body[times_at:values_at], times)
    decompress_column(body[values_at:], values)


def decompress_column(data: memoryview, column: np.ndarray) -> None:
    """Fill a column; ValueError when the data holds fewer numbers, more or others."""
    try:
        progress = simple_decompress_into(bytes(data), column)
    except RuntimeError as error:
        raise ValueError(f"A column cannot be decompressed: {error}") from error
    if progress.n_processed != len(column) or not progress.finished:
        raise ValueError(f"A column does not hold {len(column)} numbers: the data is damaged.")


def split(points: Points) -> Iterator[Points]:
    """The points in as few blocks of at most LARGEST_CHUNK_POINTS as can be, equally long to a
    point, so that no small rest is left to be merged."""
    n = len(points)
    blocks = -(-n // LARGEST_CHUNK_POINTS)
    for block in range(blocks):
        yield points.slice(n * block // blocks, n * (block + 1) // blocks)


# --- Summaries -------------------------------------------------------------------------------


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


KIND_ORDER = {"nan": 0, "-inf": 1, "finite": 2, "inf": 3}


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


# --- Curves ----------------------------------------------------------------------------------


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
    """The values with 0.0 for -0.0."""
    with np.errstate(invalid="ignore"):
        return values + 0.0


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


def bucket_starts(x: np.ndarray, buckets: int, is_log: bool = False) -> np.ndarray:
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

"""Points as bytes and as numbers. References here are plain Python, written apart from the code."""

import math
import struct
import zlib
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from experiments import series
from experiments.series import (
    LARGEST_CHUNK_POINTS,
    PCO,
    RAW,
    SMALL_CHUNK_POINTS,
    Points,
    Summary,
    align,
    canonical,
    decode,
    decode_all,
    downsample,
    encode,
    extend,
    finite_range,
    pack,
    smooth,
    split,
    unpack,
)

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAN, INF = math.nan, math.inf
LEAST, GREATEST = -(2**63), 2**63 - 1

int64s = st.integers(LEAST, GREATEST) | st.sampled_from([LEAST, GREATEST, 0, -1])
float_bits = st.integers(0, 2**64 - 1) | st.sampled_from(
    [0x7FF0000000000001, 0x7FF8000000000000, 0xFFF8DEADBEEF0001, 0x8000000000000000]
)
few_steps = st.integers(-3, 5)
tricky_values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, NAN, INF, -INF, 1e308, 5e-324])
any_values = st.floats(allow_nan=True, allow_infinity=True) | tricky_values
finite_values = st.floats(allow_nan=False, allow_infinity=False)

tied_points = st.lists(st.tuples(few_steps, st.integers(0, 2), any_values), min_size=1, max_size=80)
wide_points = st.lists(st.tuples(int64s, int64s, any_values), min_size=1, max_size=80)


def of(rows):
    """Points from a list of (step, time, value)."""
    return Points.of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


@st.composite
def points_of_any_bits(draw, min_size=0, max_size=90):
    rows = draw(
        st.lists(st.tuples(int64s, int64s, float_bits), min_size=min_size, max_size=max_size)
    )
    steps, times, bits = zip(*rows, strict=True) if rows else ((), (), ())
    return Points(
        np.array(steps, np.int64), np.array(times, np.int64), np.array(bits, "u8").view("f8")
    )


def bits_of(points):
    """The three columns as bytes: equal only when every bit is."""
    assert points.steps.dtype == points.times.dtype == np.int64
    assert points.values.dtype == np.float64
    return points.steps.tobytes(), points.times.tobytes(), points.values.tobytes()


def exactly(summary):
    """A summary's columns, floats by their bits: 0.0 and -0.0 differ, and so do last digits."""
    columns = [getattr(summary, column) for column in Summary.__dataclass_fields__]
    return [column.hex() if isinstance(column, float) else column for column in columns]


def curve(n, seed=0):
    """n points as a training loop logs them: values of four decimals, uneven times."""
    rng = np.random.default_rng(seed)
    return Points(
        np.arange(n) * 10,
        1_700_000_000_000 + np.cumsum(rng.integers(20, 90, n)),
        np.round(np.exp(-3 * np.arange(n) / n) + rng.normal(0, 0.05, n), 4),
    )


# --- Points and their bytes ------------------------------------------------------------------


def test_points_are_made_of_lists_and_of_arrays_alike():
    listed = Points.of([1, 2], [3, 4], [0.5, 6])
    arrays = Points.of(np.array([1, 2], "u1"), np.array([3, 4], ">i8"), np.array([0.5, 6], "f4"))
    assert bits_of(listed) == bits_of(arrays)
    assert len(listed) == 2
    assert len(Points.of([], [], [])) == len(Points.empty()) == 0
    assert bits_of(Points.of(np.array([]), np.array([]), np.array([]))) == bits_of(Points.empty())


def test_points_are_cut_and_joined():
    points = curve(10)
    assert points.slice(2, 5).steps.tolist() == [20, 30, 40]
    assert points.slice(8, None).steps.tolist() == [80, 90]
    parts = [points.slice(0, 3), Points.empty(), points.slice(3, 10)]
    assert bits_of(Points.concat(parts)) == bits_of(points)
    assert bits_of(Points.concat([])) == bits_of(Points.empty())


@quick
@given(points_of_any_bits())
def test_a_packed_tail_gives_back_every_bit(points):
    data = pack(points)
    assert len(data) == 24 * len(points)
    assert bits_of(unpack(data)) == bits_of(points)
    assert bits_of(unpack(memoryview(data))) == bits_of(points)


@quick
@given(points_of_any_bits(), points_of_any_bits())
def test_packing_two_parts_is_packing_them_joined(first, second):
    assert pack(first) + pack(second) == pack(Points.concat([first, second]))


@quick
@given(points_of_any_bits(min_size=1))
def test_a_chunk_gives_back_every_bit(points):
    code, data = encode(points)
    assert bits_of(decode(code, data)) == bits_of(points)
    assert bits_of(decode(code, memoryview(data))) == bits_of(points)


@settings(quick, max_examples=40)
@given(
    n=st.sampled_from([63, 64, 1000, SMALL_CHUNK_POINTS, 20_000]),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["decimals", "single", "double", "constant", "bits", "holes"]),
)
def test_a_long_chunk_gives_back_every_bit(n, seed, kind):
    points, rng = curve(n, seed), np.random.default_rng(seed)
    values = {
        "decimals": points.values,
        "single": points.values.astype("f4").astype("f8"),
        "double": rng.normal(size=n),
        "constant": np.full(n, -0.0),
        "bits": rng.integers(LEAST, GREATEST, n).view("f8"),
        "holes": np.where(rng.random(n) < 0.1, NAN, points.values),
    }[kind]
    steps = rng.integers(LEAST, GREATEST, n) if kind == "bits" else points.steps
    points = Points(steps, points.times, values)
    assert bits_of(decode(*encode(points))) == bits_of(points)


def test_a_chunk_of_every_other_point_of_an_array_is_encoded_too():
    points = curve(500)
    thinned = Points(points.steps[::2], points.times[::2], points.values[::2])
    assert bits_of(decode(*encode(thinned))) == bits_of(thinned)


def test_a_chunk_is_never_bigger_than_its_points_packed():
    rng = np.random.default_rng(0)
    steps, times, bits = rng.integers(LEAST, GREATEST, (3, 200))
    noise = Points(steps, times, bits.view("f8"))
    for points in (curve(1), curve(3), noise):
        code, data = encode(points)
        assert code == RAW
        assert len(data) == len(pack(points)) + 4


def test_chunks_written_by_earlier_versions_stay_readable():
    compressed = bytes.fromhex(
        "01372a6240000000370000003700000070636f21030006100401043f0000a100000000000000100101800000"
        "000000000040000400100000000000000000cccccccccccccc0c0070636f21030006100401043f0000a10f00"
        "0000000000100101800000000000000040000400740000000000000000df13dd2c701283000070636f210300"
        "06100401063f0000d232c4b12e6ea3f11b43030022feffffffffffff33e4ffffffffffffff9f000400000000"
        "0000007d1000f8ffffffffffffff0b001027000000000080a9fbffffffffffffde00000000000000b9299834"
        "1b28d7fde80704600251379eebbce62e4787f42890421d000000000000000023750000000000000000750100"
        "000000000000740b11b3dcffffffffbfe68f6fb57fdfdcfedf0100"
    )
    points = decode(PCO, compressed)
    assert points.steps.tolist() == list(range(0, 640, 10))
    assert points.times.tolist() == [1_700_000_000_000 + 250 * i for i in range(64)]
    assert points.values[:63].tolist() == [round(1 / (1 + i / 8), 4) for i in range(63)]
    assert math.isnan(points.values[63])
    packed = bytes.fromhex("c8ea9b0effffffffffffffff0068e5cf8b0100000000000000000080")
    assert bits_of(decode(RAW, packed)) == bits_of(Points.of([-1], [1_700_000_000_000], [-0.0]))


@pytest.mark.parametrize("n", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_points_are_split_into_even_blocks_that_are_not_too_long(n):
    points = curve(n) if n else Points.empty()
    blocks = list(split(points))
    lengths = [len(block) for block in blocks]
    assert len(blocks) == math.ceil(n / LARGEST_CHUNK_POINTS)
    assert all(0 < length <= LARGEST_CHUNK_POINTS for length in lengths)
    assert not lengths or max(lengths) - min(lengths) <= 1
    assert bits_of(Points.concat(blocks)) == bits_of(points)


@pytest.mark.parametrize("integers", [[2**63], [-(2**63) - 1], np.array([2**63], "u8")])
def test_an_integer_past_int64_overflows(integers):
    with pytest.raises(OverflowError):
        Points.of(integers, [0], [0.0])
    with pytest.raises(OverflowError):
        Points.of([0], integers, [0.0])


def test_a_value_past_double_overflows():
    with pytest.raises(OverflowError):
        Points.of([0], [0], [10**400])


def test_an_array_of_other_numbers_is_no_column_of_steps():
    with pytest.raises(TypeError, match="integers"):
        Points.of(np.array([1.5]), [0], [0.0])


@pytest.mark.parametrize("columns", [([1], [1, 2], [1.0]), ([1], [1], []), ([[1]], [[1]], [[1.0]])])
def test_columns_of_unequal_length_are_refused(columns):
    with pytest.raises(ValueError, match="equally long"):
        Points.of(*columns)


def test_a_chunk_without_points_or_with_too_many_is_refused():
    for n in (0, LARGEST_CHUNK_POINTS + 1):
        with pytest.raises(ValueError, match=f"{n} cannot be encoded"):
            encode(Points(np.arange(n), np.arange(n), np.zeros(n)))


def test_a_tail_cut_short_is_refused():
    with pytest.raises(ValueError, match="damaged"):
        unpack(pack(curve(3))[:-1])


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format 2 is unknown"):
        decode(2, encode(curve(64))[1])


@quick
@given(st.data(), st.sampled_from([1, 2, 64, 500]))
def test_a_chunk_with_any_byte_changed_is_refused(data, n):
    code, sound = encode(curve(n))
    damaged = bytearray(sound)
    damaged[data.draw(st.integers(0, len(sound) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="damaged"):
        decode(code, bytes(damaged))


@quick
@given(st.data(), st.sampled_from([1, 64]))
def test_a_chunk_cut_short_or_grown_is_refused(data, n):
    code, sound = encode(curve(n))
    with pytest.raises(ValueError, match="damaged"):
        decode(code, sound[: data.draw(st.integers(0, len(sound) - 1))])
    with pytest.raises(ValueError, match="damaged"):
        decode(code, sound + data.draw(st.binary(min_size=1, max_size=30)))


@pytest.mark.parametrize("count", [0, 1, 63, 65, 65_537, 2**32 - 1])
def test_a_chunk_whose_counts_disagree_is_refused(count):
    body = bytearray(encode(curve(64))[1][4:])
    body[:4] = struct.pack("<I", count)
    with pytest.raises(ValueError, match="damaged"):
        decode(PCO, signed(body))


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\0" * 11, struct.pack("<III", 64, 9, 9) + b"x" * 40]
)
def test_a_chunk_that_is_no_chunk_is_refused(body):
    with pytest.raises(ValueError, match="damaged|cannot be decompressed"):
        decode(PCO, signed(body))


def test_a_chunk_with_columns_of_the_wrong_kind_is_refused():
    body = encode(curve(64))[1][4:]
    _, steps, times = struct.unpack_from("<III", body)
    steps_at_the_end = body[12 + steps :] + body[12 : 12 + steps]
    head = struct.pack("<III", 64, times, len(body) - 12 - steps - times)
    with pytest.raises(ValueError, match="cannot be decompressed"):
        decode(PCO, signed(head + steps_at_the_end))


def signed(body):
    """The body behind a checksum that matches it."""
    return struct.pack("<I", zlib.crc32(body)) + bytes(body)


# --- Summaries -------------------------------------------------------------------------------


def summed_up_plainly(rows):
    """What a summary must say, from the words of its definition."""
    rows = [(step, time, value + 0.0) for step, time, value in rows]
    finite = [(value, step) for step, _, value in rows if math.isfinite(value)]
    step, moment, last = max(rows, key=lambda row: (row[0], row[1], order_of(row[2])))
    low = min((value for value, _ in finite), default=None)
    high = max((value for value, _ in finite), default=None)
    return Summary(
        count=len(rows),
        first_step=min(row[0] for row in rows),
        last_step=step,
        last=last if math.isfinite(last) else None,
        last_kind="finite" if math.isfinite(last) else str(last),
        last_time=moment,
        min=low,
        min_step=min((step for value, step in finite if value == low), default=None),
        max=high,
        max_step=min((step for value, step in finite if value == high), default=None),
        sum=reduce(lambda total, value: total + value, (value for value, _ in finite), 0.0),
        nan_count=sum(math.isnan(value) for _, _, value in rows),
        inf_count=sum(math.isinf(value) for _, _, value in rows),
    )


def order_of(value):
    """A key that sorts NaN below everything."""
    return (0, 0.0) if math.isnan(value) else (1, value)


def test_a_summary_says_what_a_series_holds():
    rows = [(3, 30, 0.5), (1, 10, 2.0), (2, 20, NAN), (4, 40, INF), (0, 5, 0.5)]
    assert extend(None, of(rows)) == Summary(
        count=5, first_step=0, last_step=4, last=None, last_kind="inf", last_time=40,
        min=0.5, min_step=0, max=2.0, max_step=1, sum=3.0, nan_count=1, inf_count=1,
    )  # fmt: skip


@quick
@given(tied_points | wide_points, st.lists(st.integers(0, 80), max_size=6))
@example([(0, 0, NAN), (0, 0, -INF), (0, 0, 1.0), (0, 0, INF)], [1, 2, 3])
@example([(0, 0, INF), (0, 0, 1.0), (0, 0, -INF), (0, 0, NAN)], [1, 2, 3])
@example([(0, 0, NAN), (0, 0, -INF)], [1])
@example([(0, 0, -INF), (0, 0, NAN)], [1])
@example([(0, 0, -0.0), (0, 0, 0.0)], [1])
@example([(0, 0, -0.0)], [])
def test_a_summary_does_not_depend_on_the_split_into_batches(rows, cuts):
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    summary = None
    for start, stop in zip(bounds, bounds[1:], strict=False):
        if start < stop:
            summary = extend(summary, of(rows[start:stop]))
    assert exactly(summary) == exactly(extend(None, of(rows)))
    assert exactly(summary) == exactly(summed_up_plainly(rows))


@quick
@given(points_of_any_bits(min_size=1, max_size=series.FEW_POINTS) | tied_points.map(of))
def test_few_points_are_summed_up_as_many_are(points):
    plainly = exactly(summed_up_plainly(rows_of(points)))
    assert exactly(series.sum_up_few(points, 0.0)) == plainly
    assert exactly(series.sum_up(points, 0.0)) == plainly


def rows_of(points):
    """A list of (step, time, value)."""
    columns = points.steps.tolist(), points.times.tolist(), points.values.tolist()
    return list(zip(*columns, strict=True))


def test_a_long_series_has_one_sum_for_any_batches():
    rng = np.random.default_rng(0)
    values = rng.normal(size=50_000) * 10.0 ** rng.integers(-12, 12, 50_000)
    points = Points(np.arange(50_000), np.zeros(50_000, np.int64), values)
    whole = extend(None, points)
    assert whole.sum == reduce(lambda total, value: total + value, values.tolist(), 0.0)
    for size in (1, 40, 1000, 49_999):
        summary = None
        for start in range(0, 50_000 if size > 1 else 500, size):
            summary = extend(summary, points.slice(start, start + size))
        assert exactly(summary) == exactly(extend(None, points.slice(0, summary.count)))


def test_a_summary_is_not_changed_by_what_is_added():
    before = extend(None, of([(0, 0, 1.0)]))
    unchanged = exactly(before)
    extend(before, of([(1, 1, 5.0)]))
    assert exactly(before) == unchanged


def test_the_mean_is_over_the_finite_values():
    assert extend(None, of([(0, 0, 1.0), (1, 0, NAN), (2, 0, 4.0), (3, 0, INF)])).mean == 2.5
    assert extend(None, of([(0, 0, NAN), (1, 0, -INF)])).mean is None


@pytest.mark.parametrize("copies", [1, 100])
def test_a_sum_past_the_largest_double_is_infinite(copies):
    summary = extend(None, of([(0, 0, 1e308), (1, 0, 1e308)] * copies))
    assert summary.sum == summary.mean == INF
    assert extend(summary, of([(2, 0, -1e308)] * copies)).sum == INF


def test_no_points_cannot_be_summed_up():
    with pytest.raises(ValueError, match="no points"):
        extend(None, Points.empty())


@quick
@given(st.lists(any_values, max_size=60))
def test_the_finite_range_is_that_of_the_finite_values(values):
    finite = [value + 0.0 for value in values if math.isfinite(value)]
    low, high = finite_range(np.array(values))
    assert (low, high) == (min(finite, default=None), max(finite, default=None))
    assert all(bound is None or bound != 0 or math.copysign(1, bound) == 1 for bound in (low, high))


# --- Curves ----------------------------------------------------------------------------------


def one_a_step(rows):
    """The canonical points from the words of their definition, as {step: (time, value)}."""
    found = {}
    for step, moment, value in rows:
        if step not in found or (moment, order_of(value)) > (
            found[step][0],
            order_of(found[step][1]),
        ):
            found[step] = (moment, value + 0.0)
    return dict(sorted(found.items()))


def readable(points):
    """Rows that can be compared: NaN equals NaN, 0.0 is not -0.0."""
    return [(step, moment, repr(value)) for step, moment, value in rows_of(points)]


@quick
@given(tied_points | wide_points, st.randoms())
def test_of_each_step_the_greatest_point_stands_on_the_curve(rows, random):
    curved = readable(canonical(of(rows)))
    assert curved == [(step, *map_last(row)) for step, row in one_a_step(rows).items()]
    random.shuffle(rows)
    assert readable(canonical(of(rows))) == curved


def map_last(row):
    return row[0], repr(row[1])


@quick
@given(points_of_any_bits())
def test_a_curve_of_any_bits_is_canonical_once_and_for_all(points):
    curved = canonical(points)
    assert readable(canonical(curved)) == readable(curved)
    assert curved.steps.tolist() == sorted(set(points.steps.tolist()))


@quick
@given(st.lists(points_of_any_bits().filter(len), max_size=4))
def test_a_curve_over_steps_needs_no_times_but_where_a_step_comes_twice(blocks):
    chunks = [encode(block) for block in blocks]
    whole, read = Points.concat(blocks), decode_all(chunks, with_times=False)
    assert read.steps.tolist() == whole.steps.tolist()
    assert len(read.times) in (0, len(whole))
    steps = [(one.steps.tolist(), repr(one.values.tolist()))
             for one in (canonical(read), canonical(whole))]  # fmt: skip
    assert steps[0] == steps[1]
    assert readable(decode_all(chunks)) == readable(whole)


def bucketed_plainly(x, y, buckets):
    """The rows of an integer curve, (index, lo, hi, nan, inf), cut with exact fractions."""
    widths = buckets - 1
    span = x[-1] - x[0]
    groups = {}
    for i, place in enumerate(x):
        if i == 0 or widths == 0:
            number = -1 if widths else 0
        else:
            number = min(Fraction(place - x[0]) * widths // span, widths - 1) if span else widths
        groups.setdefault(number, []).append(i)
    rows = []
    for _, members in sorted(groups.items()):
        finite = [i for i in members if math.isfinite(y[i])]
        values = [y[i] for i in finite]
        index = len(x) - 1 if len(x) - 1 in members else (finite or members)[-1]
        rows.append(
            (
                index,
                repr(min(values, default=NAN) + 0.0),
                repr(max(values, default=NAN) + 0.0),
                sum(math.isnan(y[i]) for i in members),
                sum(math.isinf(y[i]) for i in members),
            )
        )
    return rows


def rows_of_buckets(thinned):
    columns = [
        thinned.index.tolist(),
        [repr(value + 0.0) for value in thinned.lo.tolist()],
        [repr(value + 0.0) for value in thinned.hi.tolist()],
        thinned.nan.tolist(),
        thinned.inf.tolist(),
    ]
    return list(zip(*columns, strict=True))


places = int64s | st.integers(0, 40) | st.integers(GREATEST - 40, GREATEST)
sorted_integers = st.lists(places, min_size=1, max_size=120).map(sorted)


@quick
@given(sorted_integers, st.data(), st.integers(1, 30))
def test_every_bucket_keeps_its_least_and_greatest_value_and_counts_the_rest(x, data, buckets):
    y = data.draw(st.lists(any_values, min_size=len(x), max_size=len(x)))
    thinned = downsample(np.array(x), np.array(y), buckets)
    if len(x) > buckets:
        assert rows_of_buckets(thinned) == bucketed_plainly(x, y, buckets)
    assert len(thinned.x) <= buckets or thinned.raw
    assert thinned.raw == (len(x) <= buckets)
    assert thinned.x.tolist() == [x[i] for i in thinned.index]
    assert repr(thinned.y.tolist()) == repr([y[i] for i in thinned.index])
    assert thinned.index[-1] == len(x) - 1
    assert thinned.index[0] == 0 or buckets == 1
    assert thinned.nan.sum() == sum(map(math.isnan, y))
    assert thinned.inf.sum() == sum(map(math.isinf, y))


@quick
@given(
    st.lists(st.floats(allow_nan=False), min_size=2, max_size=120).map(sorted),
    st.integers(1, 30),
    st.data(),
)
@example([0.1] * 7, 6, None)
@example([1.7976931348623157e308] * 7, 6, None)
@example([1.0] * 10 + [1.0 + 2**-52] * 10, 14, None)
@example([-INF, 0.0, 1.0, INF], 3, None)
@example([-5e-324, 0.0, 5e-324], 2, None)
def test_real_x_of_any_size_loses_no_point(x, buckets, data):
    y = data.draw(st.lists(any_values, min_size=len(x), max_size=len(x))) if data else x
    thinned = downsample(np.array(x), np.array(y), buckets)
    finite = [value for value in y if math.isfinite(value)]
    assert len(thinned.x) <= buckets or thinned.raw
    assert (np.diff(thinned.index) > 0).all()
    assert thinned.index[-1] == len(x) - 1
    assert thinned.index[0] == 0 or buckets == 1
    assert thinned.nan.sum() == sum(map(math.isnan, y))
    assert thinned.inf.sum() == sum(map(math.isinf, y))
    if finite:
        assert np.nanmin(thinned.lo) == min(finite)
        assert np.nanmax(thinned.hi) == max(finite)


@quick
@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=100).map(sorted),
    st.sampled_from([2, 3, 5, 9, 17]),
)
def test_real_x_falls_into_the_buckets_of_the_same_whole_x(x, buckets):
    y = np.arange(len(x), dtype=np.float64)
    whole, real = downsample(np.array(x), y, buckets), downsample(np.array(x, "f8"), y, buckets)
    assert rows_of_buckets(whole) == rows_of_buckets(real)


def test_real_x_of_a_range_past_the_largest_double_is_cut_in_the_middle():
    x = np.array([-1.7e308, -1e308, -1.0, 1.0, 1.7e308])
    thinned = downsample(x, np.arange(5.0), 3)
    assert thinned.index.tolist() == [0, 2, 4]
    assert thinned.lo.tolist() == [0, 1, 3]


@quick
@given(
    st.lists(int64s, min_size=2, max_size=120).map(sorted).map(np.array)
    | st.lists(st.floats(allow_nan=False), min_size=2, max_size=120).map(sorted).map(np.array),
    st.integers(1, 30),
)
@example(np.array([-3, -2, 0]), 2)
@example(np.array([-3, -2, 7]), 2)
@example(np.array([GREATEST - 9, *[GREATEST] * 9]), 5)
@example(np.array([5e-324, 1.0, 2.0, 1.7976931348623157e308, INF]), 4)
def test_logarithmic_buckets_hold_every_point_once_with_its_extremes(x, buckets):
    y = np.sin(np.arange(len(x)) * 7.0)
    thinned = downsample(x, y, buckets, True)
    assert len(thinned.x) <= buckets or thinned.raw
    assert thinned.index[-1] == len(x) - 1
    parts = np.split(y, thinned.index[:-1] + 1)  # every row stands at the last of its points
    assert thinned.lo.tolist() == [part.min() for part in parts]
    assert thinned.hi.tolist() == [part.max() for part in parts]
    assert thinned.x.tolist() == x[thinned.index].tolist()


def test_logarithmic_buckets_are_as_fine_in_each_decade():
    for kind in (np.int64, np.float64):
        x = np.arange(1_000_001, dtype=kind)
        thinned = downsample(x, np.zeros(len(x)), 602, True)
        per_decade = np.histogram(thinned.x, 10.0 ** np.arange(7))[0]
        assert thinned.x[:3].tolist() == [0, 1, 2]  # 0 apart, then the first to be drawn
        assert per_decade[0] == 9  # there are no more whole numbers
        assert 65 <= per_decade[1] <= 75
        assert (abs(per_decade[2:] - 100) <= 2).all()


def test_a_curve_as_long_as_the_buckets_comes_as_it_is():
    y = np.array([1.0, NAN, -INF, -2.0])
    thinned = downsample(np.arange(4), y, 4)
    assert thinned.raw
    assert thinned.index.tolist() == thinned.x.tolist() == [0, 1, 2, 3]
    assert repr(thinned.y.tolist()) == repr(y.tolist())
    assert repr(thinned.lo.tolist()) == repr(thinned.hi.tolist()) == repr([1.0, NAN, NAN, -2.0])
    assert thinned.nan.tolist() == [0, 1, 0, 0]
    assert thinned.inf.tolist() == [0, 0, 1, 0]


def test_a_curve_without_points_has_no_buckets():
    thinned = downsample(np.array([], np.int64), np.array([]), 10)
    assert thinned.raw
    assert len(thinned.x) == len(thinned.lo) == len(thinned.nan) == len(thinned.index) == 0


def test_a_single_bucket_stands_at_the_last_point():
    thinned = downsample(np.array([1, 2, 3]), np.array([5.0, 9.0, 7.0]), 1)
    assert rows_of_buckets(thinned) == [(2, "5.0", "9.0", 0, 0)]


def test_the_last_row_is_the_last_point_even_when_it_is_not_finite():
    thinned = downsample(np.array([0, 1, 2, 3]), np.array([5.0, 9.0, 7.0, NAN]), 2)
    assert rows_of_buckets(thinned) == [(0, "5.0", "5.0", 0, 0), (3, "7.0", "9.0", 1, 0)]
    assert math.isnan(thinned.y[-1])


def test_no_buckets_at_all_are_refused():
    with pytest.raises(ValueError, match="at least 1 bucket"):
        downsample(np.array([1]), np.array([1.0]), 0)


def smoothed_plainly(values, weight):
    """(debiased average, the same of the magnitudes) of each value, one after the other. The
    magnitudes tell how far rounding may carry the result."""
    average = magnitude = 0.0
    count, found = 0, []
    for value in values:
        if not math.isfinite(value):
            found.append((value, 0.0))
            continue
        count += 1
        average = weight * average + (1 - weight) * value
        magnitude = weight * magnitude + (1 - weight) * abs(value)
        share = 1 - weight**count
        found.append((average / share, magnitude / share))
    return found


def assert_smoothed(values, weight):
    smoothed = smooth(np.array(values), weight)
    assert smoothed.shape == (len(values),)
    pairs = zip(smoothed.tolist(), smoothed_plainly(values, weight), strict=True)
    for found, (expected, magnitude) in pairs:
        if math.isfinite(expected):
            assert abs(found - expected) <= 1e-9 * magnitude + 1e-300
        else:
            assert repr(found) == repr(expected)


weights = st.sampled_from([0.001, 0.5, 0.6, 0.9, 0.99, 0.999]) | st.floats(0.001, 0.999)
sane_values = st.floats(-1e300, 1e300) | st.sampled_from([NAN, INF, -INF, 0.0, 1e300, -1e300])


def test_a_curve_is_smoothed_as_tensorboard_does():
    smoothed = smooth(np.array([1.0, 0.5, NAN, 0.0]), 0.6)
    assert smoothed[:2].tolist() == pytest.approx([1, 0.6875], rel=1e-15)
    assert math.isnan(smoothed[2])
    assert smoothed[3] == pytest.approx(0.33673469387755106, rel=1e-15)


@quick
@given(st.lists(sane_values, max_size=300), weights)
def test_smoothing_equals_the_plain_average(values, weight):
    assert_smoothed(values, weight)


@pytest.mark.parametrize("weight", [0.001, 0.6, 0.97, 0.999])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 2048, 2049, 10_000])
def test_smoothing_a_long_curve_equals_the_plain_average(n, weight):
    rng = np.random.default_rng(n)
    values = rng.normal(size=n)
    values[rng.random(n) < 0.05] = NAN
    assert_smoothed(values.tolist(), weight)
    assert_smoothed((np.sign(values) * 1e300).tolist(), weight)


@quick
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200), weights, st.data())
def test_a_smoothed_point_does_not_depend_on_what_comes_later(values, weight, data):
    shown = data.draw(st.integers(1, len(values)))
    early = smooth(np.array(values[:shown]), weight)
    assert early == pytest.approx(smooth(np.array(values), weight)[:shown], rel=1e-9, abs=1e-6)


@quick
@given(finite_values, st.integers(1, 200), weights)
def test_a_constant_curve_stays_constant(value, n, weight):
    assert (smooth(np.full(n, value), weight) == value).all()


@quick
@given(st.lists(any_values, max_size=200), weights | st.sampled_from([1e-300, 1 - 2**-53]))
def test_a_smoothed_curve_stays_in_the_range_of_its_values(values, weight):
    smoothed = smooth(np.array(values), weight)
    low, high = finite_range(np.array(values))
    known = smoothed[np.isfinite(values)]
    assert low is None or (low <= known).all() & (known <= high).all()


def test_a_weight_of_nothing_leaves_the_curve_as_it_is():
    values = np.array([1.0, NAN, -INF, 3.0])
    smoothed = smooth(values, 0)
    assert smoothed.tobytes() == values.tobytes()
    assert smoothed is not values


@pytest.mark.parametrize("weight", [-0.1, 1, 1.5, NAN, INF])
def test_a_weight_outside_its_range_is_refused(weight):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        smooth(np.array([1.0]), weight)


def test_smoothing_leaves_the_values_given_alone():
    values = np.array([1.0, 5.0, NAN])
    smooth(values, 0.5)
    assert repr(values.tolist()) == repr([1.0, 5.0, NAN])


@quick
@given(tied_points | wide_points, tied_points | wide_points)
def test_another_series_as_x_meets_it_at_equal_steps(rows, other_rows):
    x, positions = align(of(rows), of(other_rows))
    others = one_a_step(other_rows)
    expected = [
        (others[step][1], position)
        for position, step in enumerate(one_a_step(rows))
        if step in others and math.isfinite(others[step][1])
    ]
    assert list(zip(x.tolist(), positions.tolist(), strict=True)) == sorted(expected)
    assert x.dtype == np.float64
    assert positions.dtype == np.int64


@quick
@given(tied_points, st.data())
def test_series_logged_together_meet_at_every_step(rows, data):
    other = [(step, moment, data.draw(any_values)) for step, moment, _ in rows]
    x, positions = align(of(rows), of(other))
    expected = [
        (value, position)
        for position, (_, value) in enumerate(one_a_step(other).values())
        if math.isfinite(value)
    ]
    assert list(zip(x.tolist(), positions.tolist(), strict=True)) == sorted(expected)


def test_series_that_share_no_step_do_not_meet():
    x, positions = align(of([(0, 0, 1.0)]), of([(1, 0, 1.0)]))
    assert len(x) == len(positions) == 0
    assert len(align(Points.empty(), curve(5))[0]) == 0
    assert len(align(curve(5), Points.empty())[0]) == 0


# --- The cost --------------------------------------------------------------------------------


def test_a_curve_takes_few_bytes_on_disk():
    for n, most in ((64, 6), (SMALL_CHUNK_POINTS, 3), (LARGEST_CHUNK_POINTS, 2.7)):
        code, data = encode(curve(n))
        assert code == PCO
        assert len(data) / n < most

"""What is drawn of a series. The references are plain Python, written apart."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experiments.curves import align, canonical, downsample, smooth
from experiments.series import Points, decode_all, encode
from experiments.summaries import finite_range
from experiments.tests.arbitrary_points import (
    GREATEST,
    INF,
    NAN,
    any_values,
    curve,
    finite_values,
    int64s,
    of,
    order_of,
    points_of_any_bits,
    quick,
    rows_of,
    tied_points,
    wide_points,
)


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

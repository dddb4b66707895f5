"""What the points of a series come to. The references are plain Python, written apart."""

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experiments import summaries
from experiments.series import Points
from experiments.summaries import Summary, extend, finite_range
from experiments.tests.arbitrary_points import (
    INF,
    NAN,
    any_values,
    of,
    order_of,
    points_of_any_bits,
    quick,
    rows_of,
    tied_points,
    wide_points,
)


def exactly(summary):
    """A summary's columns, floats by their bits: 0.0 and -0.0 differ, and so do last digits."""
    columns = [getattr(summary, column) for column in Summary.__dataclass_fields__]
    return [column.hex() if isinstance(column, float) else column for column in columns]


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
@example([(0, 0, 1.0), (0, 0, 2.0)], [1])
@example([(2, 0, 5.0), (7, 0, 5.0)], [1])
def test_a_summary_does_not_depend_on_the_split_into_batches(rows, cuts):
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    summary = None
    for start, stop in zip(bounds, bounds[1:], strict=False):
        if start < stop:
            summary = extend(summary, of(rows[start:stop]))
    assert exactly(summary) == exactly(extend(None, of(rows)))
    assert exactly(summary) == exactly(summed_up_plainly(rows))


@quick
@given(points_of_any_bits(min_size=1, max_size=summaries.FEW_POINTS) | tied_points.map(of))
def test_few_points_are_summed_up_as_many_are(points):
    plainly = exactly(summed_up_plainly(rows_of(points)))
    assert exactly(summaries.sum_up_few(points, 0.0)) == plainly
    assert exactly(summaries.sum_up(points, 0.0)) == plainly


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

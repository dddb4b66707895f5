"""The mean of a group's curves: against a plain reference, and at the edges."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.curves import downsample
from experiments.means import Mean, mean_curve

NAN, INF = math.nan, math.inf
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([NAN, INF, -INF])
CURVE = st.dictionaries(st.integers(0, 40), VALUES, min_size=1, max_size=30)


def mean_of(*curves: dict, buckets: int = 1000, **options) -> Mean:
    """The mean of curves given as {x: y}."""
    thin = []
    for curve in curves:
        x = sorted(curve)
        thin.append(downsample(np.array(x), np.array([curve[at] for at in x], float), 2_000,
                               options.get("is_log", False)))  # fmt: skip
    return mean_curve(thin, buckets, **options)


def plainly(curves: list[dict], buckets: list[list[int]]) -> list[tuple]:
    """(x, runs, mean, std, least, greatest, nan, inf) of each bucket, worked out by hand."""
    rows = []
    for bucket in buckets:
        values, all_values, odd = [], [], []
        for curve in curves:
            inside = [at for at in sorted(curve) if at in bucket]
            finite = [at for at in inside if math.isfinite(curve[at])]
            odd += [curve[at] for at in inside if not math.isfinite(curve[at])]
            all_values += [curve[at] for at in finite]
            if finite:
                values.append(curve[finite[-1]])
            elif not inside:
                values += between(curve, bucket, buckets)
        all_values += values
        rows.append((
            bucket[-1],
            len(values),
            statistics.fmean(values) if values else NAN,
            statistics.stdev(values) if len(values) > 1 else NAN,
            min(all_values, default=NAN),
            max(all_values, default=NAN),
            sum(math.isnan(value) for value in odd),
            sum(math.isinf(value) for value in odd),
        ))  # fmt: skip
    return rows


def between(curve: dict, bucket: list[int], buckets: list[list[int]]) -> list[float]:
    """The value of a run on the line across a bucket it has no point in; none beyond its ends or
    where what it has beside is not finite."""
    ends = []
    here = buckets.index(bucket)
    for others in (buckets[:here][::-1], buckets[here + 1 :]):
        met = next((other for other in others if set(other) & set(curve)), None)
        finite = [at for at in met or () if at in curve and math.isfinite(curve[at])]
        if not finite:
            return []
        ends.append((finite[-1], curve[finite[-1]]))
    (x0, y0), (x1, y1) = ends
    share = (bucket[-1] - x0) / (x1 - x0)
    return [y0 * (1 - share) + y1 * share]


# --- It works --------------------------------------------------------------------------------


def test_runs_count_between_their_ends_and_at_no_other_x():
    mean = mean_of({0: 1, 2: 3, 4: 5}, {0: 3, 1: 4, 2: 5, 3: 6}, {4: 8, 5: NAN, 6: 9})
    assert mean.x.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert mean.runs.tolist() == [2, 2, 2, 2, 2, 0, 1]
    assert mean.mean.tolist()[:5] == [2, 3, 4, 5, 6.5]
    assert math.isnan(mean.mean[5])
    assert mean.mean[6] == 9
    assert mean.nan.tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert mean.std[:4] == pytest.approx([math.sqrt(2)] * 4)
    assert np.isnan(mean.std[5:]).all()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CURVE, min_size=1, max_size=6), st.integers(1, 60))
def test_it_is_what_a_plain_reckoning_gives(curves, buckets):
    mean = mean_of(*curves, buckets=buckets)
    places = sorted({at for curve in curves for at in curve})
    edges = [places.index(at) for at in mean.x.tolist()]
    parts = [places[first + 1 : last + 1] for first, last in zip([-1, *edges], edges, strict=False)]
    assert len(parts) <= buckets or len(places) <= buckets
    columns = ("x", "runs", "mean", "std", "least", "greatest", "nan", "inf")
    found = zip(*(getattr(mean, name).tolist() for name in columns), strict=True)
    for row, expected in zip(found, plainly(curves, parts), strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-6, nan_ok=True)


def test_a_group_of_one_run_is_that_run():
    values = np.sin(np.arange(1500.0))
    curve = downsample(np.arange(1500), values, 2_000)
    mean, alone = mean_curve([curve], 100), downsample(np.arange(1500), values, 100)
    for name, own in (("x", "x"), ("mean", "y"), ("least", "lo"), ("greatest", "hi")):
        assert getattr(mean, name).tolist() == getattr(alone, own).tolist()
    assert np.isnan(mean.std).all()


def test_smoothed_values_have_their_own_mean():
    curves = [downsample(np.arange(3), np.array(y), 10) for y in ([1.0, 2, 3], [3.0, 4, 5])]
    mean = mean_curve(curves, 10, smooths=[np.array([0.0, 1, 2]), np.array([2.0, 3, 4])])
    assert mean.smooth.tolist() == [1, 2, 3]
    assert mean.mean.tolist() == [2, 3, 4]


def test_logarithmic_buckets_are_cut_for_all_runs_alike():
    mean = mean_of(*[{at: at for at in range(1, 10_001)}] * 2, buckets=41, is_log=True)
    assert (mean.x < 100).sum() > 15


# --- The edges -------------------------------------------------------------------------------


def test_values_of_any_size_have_a_mean():
    big = 1.7976931348623157e308
    mean = mean_of({0: big, 1: -big, 2**62: big}, {0: big, 2**62: big})
    assert mean.mean.tolist() == [big, pytest.approx(0), big]
    assert mean.runs.tolist() == [2, 2, 2]


def test_a_line_between_the_ends_of_all_doubles_is_still_a_line():
    far = 1.7e308
    found = mean_of({-far: 0.0, far: 2.0}, {0.0: 5.0})
    assert found.x.tolist() == [-far, 0.0, far]
    assert found.mean.tolist() == [0.0, 3.0, 2.0]

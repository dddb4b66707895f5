"""Points of every kind a series may hold, made up by hypothesis."""

import math

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from experiments.series import Points

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


def curve(n, seed=0):
    """n points as a training loop logs them: values of four decimals, uneven times."""
    rng = np.random.default_rng(seed)
    return Points(
        np.arange(n) * 10,
        1_700_000_000_000 + np.cumsum(rng.integers(20, 90, n)),
        np.round(np.exp(-3 * np.arange(n) / n) + rng.normal(0, 0.05, n), 4),
    )


def order_of(value):
    """A key that sorts NaN below everything."""
    return (0, 0.0) if math.isnan(value) else (1, value)


def rows_of(points):
    """A list of (step, time, value)."""
    columns = points.steps.tolist(), points.times.tolist(), points.values.tolist()
    return list(zip(*columns, strict=True))

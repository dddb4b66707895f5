"""Curves in few bytes: as good to draw as exact ones."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from experiments.compact import differences, shortened

# However busy the machine is.
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(st.lists(st.floats(), max_size=60))
@example([1e9, 1e9 + 1e-3, 1e9 + 2e-3])
@example([1.0, 1e-3, 1e-9, 1e-18])
@example([5e-324, 0.0, 1.7976931348623157e308])
@example([1.7976931348623157e308, -1.7976931348623157e308])
def test_no_value_moves_further_than_can_be_seen(values):
    given_ = np.array(values)
    kept = shortened(given_.copy())
    finite = [value for value in values if math.isfinite(value)]
    spread = max(finite) / 4 - min(finite) / 4 if finite else 0
    for value, short in zip(values, kept.tolist(), strict=True):
        if not math.isfinite(value):
            assert repr(short) == repr(value)
        else:
            # Six digits of its own, and a fiftieth of a pixel of a thousand on a linear axis.
            assert abs(short - value) <= abs(value) * 5.1e-6
            assert abs(short - value) / 4 <= spread * 2e-5 or len({*finite} - {0}) == 1


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.123456789, 0.7], "[0.123457, 0.7]"),
        ([1 / 3e9, 2e-9], "[3.33333e-10, 2e-09]"),
        ([123456789.0, 1.0], "[123457000.0, 1.0]"),
        ([1000.0001234, 1000.0002345], "[1000.000123400, 1000.000234500]"),
        ([0.0, math.inf, 7.0], "[0.0, inf, 7.0]"),
        ([1 / 3], "[0.3333333333333333]"),
    ],
)
def test_what_is_left_is_short(values, text):
    expected = [float(word) for word in text.strip("[]").split(", ")]
    assert shortened(np.array(values)).tolist() == expected


@quick
@given(st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=60).map(sorted))
def test_whole_numbers_are_added_up_again(x):
    assert list(accumulate(differences(np.array(x)))) == x


@pytest.mark.parametrize("x", [[-(2**63), 2**63 - 1], [0, 2**53], [-(2**53), 0]])
def test_what_javascript_cannot_add_up_is_not_taken_apart(x):
    assert differences(np.array(x)) is None


def test_there_are_no_differences_of_nothing_nor_of_real_numbers():
    assert differences(np.array([], np.int64)) is None
    assert differences(np.array([0.5, 1.0])) is None

"""Curves in few bytes, for the charts of our own pages.

A chart of fifty runs holds some ten thousand numbers that nobody reads and that no screen tells
apart beyond five digits or so: as doubles written out in full they would be most of what a page
weighs. `static/js/chart-board.js` makes what is written here whole again. Pure.
"""

from __future__ import annotations

import math

import numpy as np

# Behind the first digit in which the values of a curve differ: one pixel in a thousand, at a zoom
# of a thousand.
DIGITS = 6
ALL_DIGITS = 17  # that a double has
# Beyond these powers of ten a double times the power is no longer exact.
GREATEST_POWER = 22
EXACT_IN_JAVASCRIPT = 2**53


def shortened(values: np.ndarray) -> np.ndarray:
    """The values, float64[n], as the nearest doubles of few digits: six that tell the values from
    one another and from 0, so that a curve far from 0 and one that falls through many decades
    keep their shape alike. Values too great or too small for that, and NaN and infinities, stay
    as they are, and so does a single value: it is read, not drawn."""
    known = values[np.isfinite(values) & (values != 0)]
    if not len(known) or len(values) == 1:
        return values
    digits = DIGITS + digits_alike(known)
    if digits >= ALL_DIGITS - 2:
        return values
    with np.errstate(all="ignore"):
        magnitudes = np.floor(np.log10(np.abs(values)))
    is_short = np.isfinite(magnitudes) & (np.abs(digits - 1 - magnitudes) <= GREATEST_POWER)
    shift = digits - 1 - magnitudes[is_short]
    up, down = 10.0 ** np.maximum(shift, 0), 10.0 ** np.maximum(-shift, 0)
    answer = values.copy()
    answer[is_short] = np.round(values[is_short] * up / down) / up * down
    return answer


def digits_alike(known: np.ndarray) -> int:
    """How many leading digits these finite values, not 0, have in common, or nearly so."""
    low, high = float(known.min()), float(known.max())
    size = max(-low, high)
    spread = high / 2 - low / 2
    return 0 if spread == 0 else max(0, round(math.log10(size / 2) - math.log10(spread)))


def differences(x: np.ndarray) -> list[int] | None:
    """The first of sorted integers and by how much each is beyond the one before; None when
    JavaScript could not add them up again, or when there are none."""
    if x.dtype.kind != "i" or not len(x):
        return None
    if not -EXACT_IN_JAVASCRIPT < int(x[0]) <= int(x[-1]) < EXACT_IN_JAVASCRIPT:
        return None
    return np.diff(x, prepend=0).tolist()

"""How long something lasts, as people type it: 12h, 30d, 1y."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
FORM = re.compile(r"([1-9][0-9]{0,4})([hdwy])", re.ASCII)
LONGEST = timedelta(days=100 * 365)


def parse_duration(text: str) -> timedelta:
    """`text` as a time span; ValueError with a sentence about the form when it is none."""
    match = FORM.fullmatch(text.strip().lower())
    span = int(match[1]) * UNITS[match[2]] if match else None
    if span is None or span > LONGEST:
        raise ValueError(
            f"“{text}” is not a duration. Write a whole number and a unit: 12h, 30d, 2w or 1y."
        )
    return span

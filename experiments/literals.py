"""The values of the filter language: moments, durations and numbers, read from text. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from experiments.syntax import shortened
from experiments.values import InvalidValue, number_in

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=100_000)  # SQLite counts microseconds in 64 bits
DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?[smhdw])+", re.ASCII | re.IGNORECASE)
PIECE = re.compile(r"([\d.]+)([smhdw])", re.ASCII | re.IGNORECASE)
MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
# Numbers below are no milliseconds since the epoch that anyone means: 1973.
LEAST_MILLISECONDS = 1e11
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """The time a text means: from `start`, up to but not including `end`. A date is its whole
    day, 12:00 the whole minute."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Ago:
    """A moment so long before now."""

    delta: timedelta

    def at(self, now: datetime) -> Span:
        """The moment, as a span of a microsecond."""
        moment = now - self.delta
        return Span(moment, moment + timedelta(microseconds=1))


def duration_in(text: str) -> timedelta:
    """The duration a text means: `90s`, `1h30m`, `2d`, or a number of seconds; InvalidValue."""
    if (number := number_in(text)) is not None:
        seconds = number
    elif DURATION.fullmatch(text):
        seconds = sum(float(count) * UNITS[unit.lower()] for count, unit in PIECE.findall(text))
    else:
        raise InvalidValue(
            f"“{shortened(text)}” is no duration. Write 90s, 15m, 2h, 3d, 1h30m or seconds."
        )
    if abs(seconds) > LONGEST.total_seconds():
        raise InvalidValue(f"A duration has at most {LONGEST.days:,} days.")
    return timedelta(seconds=seconds)


def time_in(text: str) -> Span | Ago:
    """The time a text means: a date, a date and time (UTC unless it says otherwise), `-7d`, or
    milliseconds since the epoch; InvalidValue."""
    if text[:1] == "-" and DURATION.fullmatch(text[1:]):
        return Ago(duration_in(text[1:]))
    number = number_in(text)
    try:
        if number is not None and number >= LEAST_MILLISECONDS:
            start = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=number)
            return span_of(start, timedelta(milliseconds=1))
        if match := MOMENT.fullmatch(text):
            return moment_in(*match.groups())
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"There is no time “{shortened(text)}”.") from error
    raise InvalidValue(
        f"“{shortened(text)}” is no time. Write 2026-01-31, 2026-01-31T12:00Z, or -7d for seven "
        "days ago."
    )


def moment_in(day: str, minute: str | None, second: str | None, zone: str | None) -> Span:
    """The span that the parts of a written time mean."""
    if minute is None:
        return span_of(datetime.fromisoformat(day).replace(tzinfo=UTC), timedelta(days=1))
    written = f"{day}T{minute}{second or ''}{(zone or 'Z').upper()}"
    start = datetime.fromisoformat(written).astimezone(UTC)
    if second is None:
        return span_of(start, timedelta(minutes=1))
    fine = timedelta(microseconds=1) if "." in second else timedelta(seconds=1)
    return span_of(start, fine)


def span_of(start: datetime, length: timedelta) -> Span:
    """From a moment on, no further than there are dates."""
    return Span(start, start + length if LAST_MOMENT - start >= length else LAST_MOMENT)


def exact_number(text: str) -> int | float | None:
    """The number a text reads as, an integer without a fraction exactly; None when it is none
    or not finite."""
    number = number_in(text)
    if number is None or not math.isfinite(number):
        return None
    digits = text.lstrip("+-")
    return int(text) if digits.isdigit() and len(digits) < 20 else number

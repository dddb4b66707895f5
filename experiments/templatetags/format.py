"""How values look on a page: short enough to read, exact on hover.

Exact values stay where they are copied from: in `title`, in CSV and in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html

register = template.Library()

NOTHING = "–"
SIGNIFICANT_DIGITS = 4
# Outside of these a number reads better with an exponent.
SMALLEST_PLAIN, GREATEST_PLAIN = 1e-4, 1e6
GREATEST_EXACT_INTEGER = 10**15
COUNTED_UP_TO = 10_000
PAST_ELEMENT = '<time datetime="{}" title="{}" data-ago>{}</time>'
FUTURE_ELEMENT = '<time datetime="{}" title="{}">{}</time>'

STATUSES = ("running", "queued", "finished", "failed", "killed", "lost")
# A status with one run among thousands must still be seen in the bar, in hundredths of it.
THINNEST_SEGMENT = 2.0


@register.filter
def number(value: object) -> object:
    """A number to 4 significant digits, with thousands: 0.1235, 12,346, 1.235e7, 1.2e-5.

    Integers stay whole up to 10^15. NaN and infinities are NaN, ∞ and -∞; None is a dash. What is
    no number is handed back as it came.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < GREATEST_EXACT_INTEGER else exponent(value)
    if isinstance(value, float):
        return float_text(value)
    return value


def float_text(value: float) -> str:
    """`number` of a float."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    # Rounded first: 999,999.9 would come out as a million without its exponent.
    size = abs(float(f"{value:.{SIGNIFICANT_DIGITS - 1}e}"))
    if size == 0:
        return "0"
    if size < SMALLEST_PLAIN or size >= GREATEST_PLAIN:
        return exponent(value)
    places = max(SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(size)), 0)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text


def exponent(value: float) -> str:
    """A number as 1.235e-5: no zeros that say nothing, no plus, no leading zero."""
    try:
        mantissa, power = f"{value:.{SIGNIFICANT_DIGITS - 1}e}".split("e")
    except OverflowError:  # an integer greater than any double
        digits = str(abs(value))
        sign = "-" if value < 0 else ""
        mantissa, power = f"{sign}{digits[0]}.{digits[1:SIGNIFICANT_DIGITS]}", len(digits) - 1
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


@register.filter
def capped(total: int) -> str:
    """A count with thousands; beyond ten thousand "10,000+": nobody waits for the exact one."""
    return f"{COUNTED_UP_TO:,}+" if total > COUNTED_UP_TO else f"{total:,}"


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A time span, or seconds, in its two greatest units: 2 h 13 min, 3 d 4 h, 5.3 s, 40 ms."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.9995:
        return "0 s" if seconds == 0 else f"{max(round(seconds * 1000), 1)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    return two_units(round(seconds))


def two_units(seconds: int) -> str:
    """Whole seconds in their two greatest units, the second left out when it is nought."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{count:,} {unit}" for count, unit in parts[:2] if count) or "0 s"


@register.filter
def ago(moment: datetime | None) -> str:
    """A moment seen from now, as a <time> with the exact one on hover: 3 min ago, 12 Mar 2026.

    `data-ago` lets the page keep it true while it stays open.
    """
    if moment is None:
        return NOTHING
    element, *parts = ago_parts(moment)
    return format_html(element, *parts)


def ago_parts(moment: datetime) -> tuple[str, str, str, str]:
    """The element of `ago` with its three slots, and what fills them: all of it ours."""
    element = PAST_ELEMENT if moment <= timezone.now() else FUTURE_ELEMENT
    stamp = moment.astimezone(UTC).isoformat(timespec="seconds")
    return element, stamp, exact(moment), from_now(moment)


def from_now(moment: datetime) -> str:
    """The words of `ago`."""
    seconds = (timezone.now() - moment).total_seconds()
    if abs(seconds) >= timedelta(days=30).total_seconds():
        return day(moment)
    if abs(seconds) < 10:
        return "just now"
    span = one_unit(int(abs(seconds)))
    return f"{span} ago" if seconds > 0 else f"in {span}"


def one_unit(seconds: int) -> str:
    """Whole seconds in their greatest unit, rounded down."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@register.filter
def day(moment: date | None) -> str:
    """A day, UTC: 12 Mar 2026."""
    if moment is None:
        return NOTHING
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%b} {moment.year}"


@register.filter
def exact(moment: datetime | None) -> str:
    """A moment to the second, UTC: 2026-03-12 14:05:09 UTC."""
    if moment is None:
        return NOTHING
    # By strftime it took five times as long, a hundred times a page.
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


@register.filter
def byte_size(count: int | None) -> str:
    """Bytes in the unit that leaves one to four digits: 812 B, 1.4 KiB, 16 MiB."""
    if count is None:
        return NOTHING
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1000 or unit == "TiB":
            break
        size /= 1024
    if unit == "B":
        return f"{count} B"
    return (f"{size:.1f}" if abs(size) < 9.95 else f"{size:,.0f}").removesuffix(".0") + f" {unit}"


@register.inclusion_tag("components/count_bar.html")
def count_bar(counts: Mapping[str, int], url: str = "") -> dict:
    """Runs by status as a bar. `counts` maps statuses, and whatever else, to numbers of runs; at
    `url` they are listed, if they are anywhere."""
    present = [(status, counts[status]) for status in STATUSES if counts.get(status)]
    total = sum(count for _, count in present)
    segments, x = [], 0.0
    for status, count in present:
        # A little for each, and what is left in proportion.
        width = THINNEST_SEGMENT + (100 - THINNEST_SEGMENT * len(present)) * count / total
        segments.append(
            {"status": status, "count": count, "x": round(x, 2), "width": round(width, 2)}
        )
        x += width
    return {"total": total, "segments": segments, "url": url}

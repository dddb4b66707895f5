"""What a person reads in a terminal: tables, sizes, ages, and progress in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from time import monotonic
from typing import TextIO

SAY_EVERY = 5.0
REDRAW_EVERY = 0.1


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns under their headings; numbers to the right."""
    texts = [[cell_text(cell) for cell in row] for row in rows]
    widths = [
        max(len(heading), *(len(row[place]) for row in texts)) if texts else len(heading)
        for place, heading in enumerate(headings)
    ]
    is_number = [
        bool(rows) and all(isinstance(row[place], (int, float, type(None))) for row in rows)
        for place in range(len(headings))
    ]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number)
        )
        return "  ".join(aligned).rstrip()

    return "\n".join(line(cells) for cells in [list(headings), *texts])


def cell_text(value: object) -> str:
    """A value in a table; what a stranger typed must not move the cursor."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "".join(char if char.isprintable() else " " for char in str(value))


def size_text(count: int) -> str:
    """Bytes as a person says them."""
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def age_text(moment: str | None) -> str:
    """How long ago an RFC 3339 time was."""
    try:
        then = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
        seconds = max((datetime.now(timezone.utc) - then).total_seconds(), 0)
    except (TypeError, ValueError):
        return "-"
    return f"{duration_text(seconds)} ago"


def duration_text(seconds: float | None) -> str:
    """Seconds as one or two units."""
    if seconds is None:
        return "-"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}h"
    if hours:
        return f"{hours}h {minute}m"
    return f"{minutes}m {second}s" if minutes else f"{second}s"


class Progress:
    """One line that says how far it is: redrawn on a terminal, now and then a new one in a log."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_drawn = self._stream is not None and self._stream.isatty()
        self._quiet = quiet or self._stream is None
        self._width = 0
        self._next_at = monotonic() + (0 if self._is_drawn else SAY_EVERY)

    def show(self, text: str) -> None:
        """The state now; not every one is shown."""
        if self._quiet or monotonic() < self._next_at:
            return
        self._next_at = monotonic() + (REDRAW_EVERY if self._is_drawn else SAY_EVERY)
        if self._is_drawn:
            self._stream.write(f"\r{text.ljust(self._width)}")
            self._width = len(text)
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, for others to be written."""
        if self._width:
            self._stream.write(f"\r{' ' * self._width}\r")
            self._stream.flush()
            self._width = 0

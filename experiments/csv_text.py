"""How values are written in a CSV: exact, and as nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from experiments.series import Points
from experiments.wire import token

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Sequence[object]) -> str:
    """One quoted line."""
    return csv_lines([map(csv_cell, cells)])


def csv_lines(rows: Iterable[Iterable[str]]) -> str:
    """Rows of written cells as quoted lines."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_MINIMAL).writerows(rows)
    return buffer.getvalue()


def csv_cell(cell: object) -> str:
    """A value as text. Text that a spreadsheet would run as a formula gets a leading '."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return exact(cell)
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, dict | list):
        return json.dumps(cell, ensure_ascii=False)
    if hasattr(cell, "total_seconds"):
        return repr(cell.total_seconds())
    text = cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def exact(number: float) -> str:
    """The shortest text that reads back as the same double."""
    return repr(number) if number - number == 0 else token(number)


def csv_of_points(first: Sequence[object], blocks: Iterable[Points]) -> Iterator[str]:
    """The points of a series, each a line of step, time and value behind the same first cells; a
    block of them at a time."""
    head = csv_line(first).rstrip("\r\n")
    for points in blocks:
        columns = (points.steps.tolist(), points.times.tolist(), points.values.tolist())
        yield "".join(
            f"{head},{step},{time},{exact(value)}\r\n"
            for step, time, value in zip(*columns, strict=True)
        )

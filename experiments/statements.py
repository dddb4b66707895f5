"""How the statements that are written out take their rows. What they insert is told beside what it
is: points in `storing`, params and tags in `labels`, runs in `starting`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import connection

# Rows in one statement: 500 metrics are 8,500 parameters; SQLite takes 32,766.
ROWS_PER_STATEMENT = 500

# A statement's text and its parameters.
Statement = tuple[str, Sequence[object]]


class Insert(NamedTuple):
    """An INSERT for any number of rows: what comes before, PostgreSQL's types of a row's values,
    and what comes after."""

    head: str
    types: tuple[str, ...]
    end: str = ""


def key(pk: uuid.UUID) -> object:
    """A primary key as the database keeps it: SQLite has it as 32 hexadecimal digits."""
    return pk.hex if connection.vendor == "sqlite" else pk


def as_pk(stored: object) -> uuid.UUID:
    """A primary key as Python has it, from how either database keeps it."""
    return stored if isinstance(stored, uuid.UUID) else uuid.UUID(stored)


def inserts(insert: Insert, rows: Sequence[Sequence[object]]) -> Iterator[Statement]:
    """The statements that insert these rows."""
    marks = f"({', '.join(['%s'] * len(rows[0]))})" if rows else ""
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        some = rows[start : start + ROWS_PER_STATEMENT]
        values = ", ".join([marks] * len(some))
        yield f"{insert.head} VALUES {values} {insert.end}", [v for row in some for v in row]


def conditional(writes: Sequence[tuple[Insert, int]], condition: str) -> Iterator[str]:
    """Each INSERT as a further CTE that writes nothing where the CTE `condition` has no row."""
    for number, (insert, rows) in enumerate(writes):
        if rows:
            row = f"({', '.join(f'%s::{kind}' for kind in insert.types)})"
            values = f"(VALUES {', '.join([row] * rows)}) v"
            yield (
                f", w{number} AS ({insert.head} SELECT * FROM {values} "  # noqa: S608
                f"WHERE EXISTS (SELECT FROM {condition}) {insert.end} RETURNING 1)"
            )

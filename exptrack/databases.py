"""What both databases must do alike, set up as each connection opens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

# Beyond this the statement's length outweighs what a wait costs.
WRITES_IN_ONE = 8


def prepare_connection(sender: object, connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """Give SQLite PostgreSQL's idea of lower and upper case: its own stops at ASCII."""
    if connection.vendor != "sqlite":
        return
    connection.connection.create_function("lower", 1, lowered, deterministic=True)


def lowered(text: object) -> object:
    """Text in lower case, letter by letter as PostgreSQL does it: one for one, whatever stands
    beside it. Python would write İ as two letters and Σ at a word's end as ς."""
    if not isinstance(text, str):
        return text
    return text.lower() if text.isascii() else "".join(map(lowered_letter, text))


def lowered_letter(letter: str) -> str:
    lower = letter.lower()
    return lower if len(lower) == 1 else "i"  # İ, the only letter that would become two


def write_together(statements: Sequence[tuple[str, Sequence[object]]]) -> tuple | None:
    """Run writes of different tables whose order is of no account; the last one's first row.

    On PostgreSQL they go as one statement, a CTE each: every statement of its own costs a wait
    for the server, which was half of a small batch's time.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and 1 < len(statements) <= WRITES_IN_ONE:
            *others, (sql, params) = statements
            parts = ", ".join(
                f"w{n} AS ({other} RETURNING 1)" for n, (other, _) in enumerate(others)
            )
            together = [value for _, values in others for value in values]
            cursor.execute(f"WITH {parts} {sql}", [*together, *params])
        else:
            for sql, params in statements:
                cursor.execute(sql, params)
        return cursor.fetchone() if cursor.description else None


def prepared_cursor() -> CursorWrapper:
    """A cursor for the statements of the hot path, which PostgreSQL then parses once."""
    if connection.vendor == "postgresql":
        return connection.prepared_cursor()
    return connection.cursor()


def insert_rows(model: type[Model], columns: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Insert rows given as tuples of plain values, at a tenth of what `bulk_create` costs: COPY
    on PostgreSQL, `executemany` on SQLite. JSON is given as text."""
    quote = connection.ops.quote_name
    table = f"{quote(model._meta.db_table)} ({', '.join(map(quote, columns))})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(columns))
        plain = (tuple(map(sqlite_value, row)) for row in rows)
        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", plain)  # noqa: S608, names of ours


def sqlite_value(value: object) -> object:
    """A value as Django stores it in SQLite."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value

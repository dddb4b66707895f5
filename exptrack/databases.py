"""What both databases must do alike, set up as each connection opens."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet

# Beyond this the statement's length outweighs what a wait costs.
WRITES_IN_ONE = 8
# With more values every text is another one, which nothing will send again.
VALUES_PREPARED = 2_000
# A few milliseconds of SQLite's machine.
STEPS_BETWEEN_LOOKS = 10_000
END = object()
Item = TypeVar("Item")


def prepare_connection(sender: object, connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """Give SQLite PostgreSQL's idea of lower and upper case, its own stops at ASCII, and of what
    reads as a number."""
    if connection.vendor != "sqlite":
        return
    create = connection.connection.create_function
    create("lower", 1, lowered, deterministic=True)
    create("number_in_text", 1, number_in_text, deterministic=True)


def lowered(text: object) -> object:
    """Text in lower case, letter by letter as PostgreSQL does it: one for one, whatever stands
    beside it. Python would write İ as two letters and Σ at a word's end as ς."""
    if not isinstance(text, str):
        return text
    return text.lower() if text.isascii() else "".join(map(lowered_letter, text))


def lowered_letter(letter: str) -> str:
    lower = letter.lower()
    return lower if len(lower) == 1 else "i"  # İ, the only letter that would become two


class TookTooLong(Exception):
    """A statement that was stopped at the limit for what people ask of lists."""

    def __init__(self) -> None:
        super().__init__(
            f"This took longer than {settings.QUERY_SECONDS:g} seconds and was stopped. Ask for "
            "less: one experiment, or a condition on a param or metric that few runs meet."
        )


@contextmanager
def time_limit() -> Iterator[None]:
    """Stop statements that take longer than QUERY_SECONDS, and raise TookTooLong: on PostgreSQL
    each of them, on SQLite all together.

    On PostgreSQL the block is a transaction, so that the limit ends with it also behind a pooler.
    On SQLite a transaction would lock out those who write, so there the limit is the
    connection's, and time is looked at every few thousand steps of its machine.
    """
    is_postgresql = connection.vendor == "postgresql"
    try:
        with transaction.atomic() if is_postgresql else sqlite_deadline():
            if is_postgresql:
                milliseconds = int(settings.QUERY_SECONDS * 1000)
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            yield
    except OperationalError as error:
        cause = error.__cause__
        if getattr(cause, "sqlstate", None) == "57014" or str(error) == "interrupted":
            raise TookTooLong from error
        raise


@contextmanager
def sqlite_deadline() -> Iterator[None]:
    """Interrupt what runs on this connection once its time is up. Inside another deadline, which
    ends sooner, there is nothing to do, and nothing to undo."""
    connection.ensure_connection()
    if getattr(connection, "has_deadline", False):
        yield
        return
    deadline = time.monotonic() + settings.QUERY_SECONDS
    raw, connection.has_deadline = connection.connection, True
    raw.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
        connection.has_deadline = False


def limited(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made within the limit: of a stream as a whole none is asked."""
    while True:
        with time_limit():
            item = next(items, END)
        if item is END:
            return
        yield item


NUMBER = re.compile(r"[+-]?(\d{1,99}(\.\d{0,99})?|\.\d{1,99})([eE][+-]?\d{1,2})?", re.ASCII)


def number_in_text(text: str | None) -> float | None:
    """The number a text reads as, within the limits that `NumberInText` sets for PostgreSQL."""
    return float(text) if text is not None and NUMBER.fullmatch(text) else None


def write_together(statements: Sequence[tuple[str, Sequence[object]]]) -> tuple | None:
    """Run writes of different tables whose order is of no account; the last one's first row.

    On PostgreSQL they go as one statement, a CTE each: every statement of its own costs a wait
    for the server, which was half of a small batch's time.
    """
    if goes_as_one(statements):
        statements = [as_one(statements)]
    row = None
    for sql, params in statements:
        with prepared_cursor() if len(params) <= VALUES_PREPARED else connection.cursor() as cursor:
            cursor.execute(sql, params)
            row = cursor.fetchone() if cursor.description else None
    return row


def goes_as_one(statements: Sequence[tuple[str, Sequence[object]]]) -> bool:
    """Whether `write_together` makes one statement of them, which is atomic by itself."""
    return connection.vendor == "postgresql" and 0 < len(statements) <= WRITES_IN_ONE


def as_one(statements: Sequence[tuple[str, Sequence[object]]]) -> tuple[str, list[object]]:
    """The last statement, with the others as CTEs before it."""
    *others, (sql, params) = statements
    if not others:
        return sql, list(params)
    parts = ", ".join(f"w{n} AS ({other} RETURNING 1)" for n, (other, _) in enumerate(others))
    together = [value for _, values in others for value in values]
    return f"WITH {parts} {sql}", [*together, *params]


def prepared_cursor() -> CursorWrapper:
    """A cursor for the statements of the hot path, which PostgreSQL then parses once."""
    if connection.vendor == "postgresql":
        return connection.prepared_cursor()
    return connection.cursor()


def rows_in_binary(rows: QuerySet) -> list[tuple]:
    """The rows of a `values_list` that holds many bytes. As text, in which Django asks for it,
    PostgreSQL writes a byte as two digits, and to write, send and read those takes five times as
    long as the bytes. For columns that need no converter there: numbers, bytes and UUIDs."""
    if connection.vendor != "postgresql":
        return list(rows)
    sql, params = rows.query.get_compiler(connection=connection).as_sql()
    with prepared_cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


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

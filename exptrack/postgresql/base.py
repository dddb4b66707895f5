"""Django's PostgreSQL backend, with what the hot path asks for: statements that the server parses
once a connection, and a health check that costs no question to the server."""

from __future__ import annotations

import select
from collections.abc import Sequence
from functools import lru_cache
from itertools import count

from django.db.backends.postgresql import base
from psycopg import Connection, RawCursor
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper


# A list of ids makes a text of its own for each length.
@lru_cache(maxsize=512)
def numbered(sql: str) -> bytes:
    """Django's %s as the server's $1, $2, … A text without other percent signs."""
    numbers = count(1)
    head, *rest = sql.split("%s")
    return (head + "".join(f"${next(numbers)}{part}" for part in rest)).encode()


class PreparedCursor(RawCursor):
    """Sends values apart from the statement's text, and has a text seen a few times parsed and
    planned once."""

    def execute(self, query: str, params: Sequence[object] = ()) -> PreparedCursor:
        return super().execute(numbered(query), params, binary=True)


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection to PostgreSQL."""

    def get_new_connection(self, conn_params: dict) -> Connection:
        """As Django makes it, with integers always sent as int8: psycopg would choose by size,
        and a statement is prepared anew for other types."""
        connection = super().get_new_connection(conn_params)
        for dumper in (Int8Dumper, Int8BinaryDumper):
            connection.adapters.register_dumper(int, dumper)
        return connection

    def prepared_cursor(self) -> base.CursorWrapper:
        """A cursor for statements that come again and again."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            return self._prepare_cursor(PreparedCursor(self.connection))

    def is_usable(self) -> bool:
        """Whether the server still listens. An idle server says nothing, one that went away has
        closed the socket, so only a socket with something to read is worth a question."""
        if self.connection is None or self.connection.closed:
            return False
        waiting = select.poll()
        waiting.register(self.connection.fileno(), select.POLLIN)
        return not waiting.poll(0) or super().is_usable()

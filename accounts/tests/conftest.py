"""What the tests of accounts share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import Model


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """What one test was throttled for is nothing to the next."""
    cache.clear()


@pytest.fixture
def everything_stored(db: None) -> Callable[[], str]:
    """All rows of all tables as one text, to look for what must not be there."""

    def dump() -> str:
        with connection.cursor() as cursor:
            rows = []
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f'SELECT * FROM "{table}"')
                rows.extend(cursor.fetchall())
        return repr(rows)

    return dump


@pytest.fixture
def fresh() -> Callable[[Model], Model]:
    """The row as the database has it now."""
    return lambda row: type(row)._default_manager.get(pk=row.pk)

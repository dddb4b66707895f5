"""What an action asks of the database, which must not grow with the rows there are."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.test.utils import CaptureQueriesContext


def statements_of(action: Callable[..., object], *given: object, **named: object) -> list[str]:
    """The statements that an action sends, in their order; an answer that it gets must be good."""
    with CaptureQueriesContext(connection) as captured:
        answer = action(*given, **named)
    assert getattr(answer, "status_code", 200) < 400, answer.content[:500]
    return [query["sql"] for query in captured]


def cost(action: Callable[..., object], *given: object, **named: object) -> int:
    """How many statements an action takes: `cost(visit.get, "/")`."""
    return len(statements_of(action, *given, **named))

"""What a batch and a start cost, where that does not depend on the machine."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext


@pytest.fixture
def cost(transactional_db):
    """Counts the statements of an action."""

    def counted(action) -> int:
        with CaptureQueriesContext(connection) as queries:
            action()
        return len(queries)

    return counted


def start(script, **body):
    answer = script.post("/api/v1/runs/", body)
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


def test_starting_a_run_takes_as_many_statements_with_few_names_as_with_many(api, alice, cost):
    script = api(alice)
    start(script, experiment="sweep")
    bare = cost(lambda: start(script, experiment="sweep"))
    names = {f"p{number}": number for number in range(100)}
    labels = {f"t{number}": "x" for number in range(100)}
    environment = {"host": "h"}
    rich = cost(lambda: start(script, experiment="sweep", params=names, tags=labels,
                              environment=environment))  # fmt: skip
    # token, experiment, and what is written: one statement, or one each in a transaction
    assert (bare, rich) == ((3, 3) if connection.vendor == "postgresql" else (6, 9))

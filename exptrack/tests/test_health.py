"""/health/live/ and /health/ready/: what a balancer asks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from django.db import connection

from exptrack.tests.postgres import PostgresServer
from exptrack.tests.servers import GunicornServer
from exptrack.tests.waiting import PATIENCE


def get(url: str) -> tuple[int, dict]:
    """Status and JSON of a GET, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_living_process_says_so_without_asking_the_database(
    client, django_assert_num_queries, db
):
    with django_assert_num_queries(0):
        assert client.get("/health/live/").json() == {"status": "ok"}


def test_a_process_that_can_work_says_so(client, db):
    assert client.get("/health/ready/").json() == {"status": "ok"}


def test_both_answer_on_a_real_server(gunicorn_server: GunicornServer):
    for path in ("live", "ready"):
        assert get(f"{gunicorn_server.url}/health/{path}/") == (200, {"status": "ok"})


@pytest.mark.only_on("postgresql")
def test_it_is_alive_but_not_ready_while_the_database_is_away(
    static_files, postgres_server: PostgresServer
):
    server = GunicornServer(DATABASE_URL=postgres_server.url()).start()
    try:
        assert get(f"{server.url}/health/ready/")[0] == 200
        postgres_server.kill()
        assert get(f"{server.url}/health/live/")[0] == 200
        assert get(f"{server.url}/health/ready/") == (503, {"status": "unavailable"})
        postgres_server.start()
        assert get(f"{server.url}/health/ready/") == (200, {"status": "ok"})
    finally:
        server.remove()


def test_the_database_folds_the_case_of_all_of_unicode_letter_by_letter(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT lower('ÄŽΩ İstanbul ΑΣ STRASSE')")
        assert cursor.fetchone() == ("äžω istanbul ασ strasse",)

"""Whatever people ask of lists ends at a limit, and says so."""

from __future__ import annotations

import pytest
from django.db import connection
from django.urls import reverse

from experiments import recording
from experiments.models import Experiment
from experiments.tests.crowds import crowd
from experiments.tests.reading_pages import page_of
from exptrack.databases import TookTooLong, time_limit
from exptrack.tests.statements import statements_of

# A second's work on either database.
ENDLESS = """
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000000)
    SELECT COUNT(*) FROM n
"""
SLOW = " or ".join(f'params.dataset ~ "{number}"' for number in range(50))


@pytest.fixture
def experiment(alice) -> Experiment:
    recording.start_run(user=alice, experiment="digits", params={"lr": 0.1})
    return Experiment.objects.get()


def count_for_ever() -> None:
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS)


def test_a_statement_is_stopped(db, settings):
    settings.QUERY_SECONDS = 0.002
    with pytest.raises(TookTooLong, match=r"longer than 0\.002 seconds"), time_limit():
        count_for_ever()


def test_a_limit_inside_another_leaves_it_on(db, settings):
    settings.QUERY_SECONDS = 0.002

    @time_limit()
    def count_behind_another():
        with time_limit():
            pass
        count_for_ever()

    with pytest.raises(TookTooLong):
        count_behind_another()


@pytest.mark.django_db(transaction=True)
def test_behind_the_limit_there_is_none(settings):
    settings.QUERY_SECONDS = 0.05  # longer than it takes to lift it
    with time_limit(), time_limit():
        pass
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS.replace("5000000", "1000000"))
        assert cursor.fetchone() == (1_000_000,)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    "address",
    ["/", "/trash/", "/experiments/{}/", "/experiments/{}/columns/", "/experiments/{}/complete/",
     "/experiments/{}/grouping/", "/experiments/{}/runs.csv", "/compare/runs/"],
)  # fmt: skip
def test_every_page_that_looks_for_something_has_it(signed_in, alice, experiment, address):
    visit = signed_in(alice)
    assert limits(lambda: visit.get(address.format(experiment.pk))) >= 1


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    "address",
    ["runs/", "runs.csv", "experiments/", "experiments/{}/summary/?metric=loss",
     "experiments/{}/runs.csv"],
)  # fmt: skip
def test_every_list_of_the_api_has_it(api, alice, experiment, address):
    script = api(alice)
    assert limits(lambda: script.get(f"/api/v1/{address.format(experiment.pk)}")) >= 1


def limits(action) -> int:
    return sum("SET LOCAL statement_timeout" in each for each in statements_of(action))


def test_a_page_without_an_answer_says_so_and_leads_back(signed_in, alice, experiment, settings):
    crowd(experiment, alice, 400)
    visit = signed_in(alice)
    settings.QUERY_SECONDS = 0.002
    here = reverse("experiment-columns", args=[experiment.pk])
    page = page_of(visit.get(here, {"q": SLOW}), 503)
    assert "took longer than 0.002 seconds" in page.words
    assert here in [link["href"] for link in page.all("a")]

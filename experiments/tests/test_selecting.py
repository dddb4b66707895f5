"""The runs of a selection, found once."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from experiments import paging, search
from experiments.fields import parse_ordering
from experiments.matching import matching
from experiments.models import Experiment, Run
from experiments.selecting import selection
from experiments.tests.crowds import crowd
from experiments.tests.reading_pages import page_of

QUERIES = ("params.lr > 0.01 and metrics.val/accuracy > 0.5", "name ~ a", "params.absent = 1",
           "metrics.val/loss.mean > 0", "not params.optimizer = adam")  # fmt: skip
ORDERINGS = ("started", "-metrics.val/loss", "params.lr", "-params.optimizer", "duration", "name")


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 40)
    return found


def asked(experiment, query):
    rows = Run.objects.inside(experiment).for_table()
    return matching(rows, search.parse(query), timezone.now())


def listed(rows, experiment, ordering):
    """The ids of all runs, a page of seven at a time."""
    order = parse_ordering(ordering)
    segments = rows.segments(order, experiment.pk, timezone.now())
    pages = paging.every_page(segments, descending=order.descending, size=7)
    return [run.pk for page in pages for run in page]


@pytest.mark.parametrize("limit", [3, 10_000])
@pytest.mark.parametrize("query", QUERIES)
def test_few_or_many_they_are_the_same_in_every_order(experiment, query, limit, monkeypatch):
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", limit)
    rows = asked(experiment, query)
    for ordering in ORDERINGS:
        found = selection(rows, parse_ordering(ordering))
        assert found.total == paging.bounded_count(rows)
        assert listed(found.rows, experiment, ordering) == listed(rows, experiment, ordering)


def test_up_to_the_limit_all_are_counted(experiment, monkeypatch):
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 40)
    assert selection(Run.objects.inside(experiment)).total == (40, True)
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 39)
    assert selection(Run.objects.inside(experiment)).total == (39, False)


@pytest.mark.parametrize("limit", [3, 10_000])
def test_the_table_pages_through_few_and_many_alike(
    signed_in, alice, experiment, limit, monkeypatch
):
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", limit)
    crowd(experiment, alice, 30, seed=2)
    here, visit = reverse("experiment-detail", args=[experiment.pk]), signed_in(alice)
    page = page_of(visit.get(f"{here}?q=params.lr&ordering=-metrics.val/loss&limit=50"))
    first = run_ids(page)
    second = run_ids(page_of(visit.get(here + page.one("a", rel="next")["href"])))
    assert (len(first), len(second)) == (50, 20)
    assert len({*first, *second}) == 70


def run_ids(page) -> list[str]:
    return [box["value"] for box in page.all("input", name="run")]


def test_a_selection_of_few_is_looked_for_once(signed_in, alice, experiment):
    here = reverse("experiment-detail", args=[experiment.pk])
    with CaptureQueriesContext(connection) as captured:
        signed_in(alice).get(here, {"q": "name ~ a", "ordering": "-metrics.val/loss"})
    looking = [each for each in captured if re.search(r"LOWER\(.*name", each["sql"])]
    assert len(looking) == 1

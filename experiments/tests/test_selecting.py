"""The runs of a selection, found once."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from experiments import paging, search
from experiments.fields import parse_ordering
from experiments.matching import matching
from experiments.models import Experiment, Metric, Run
from experiments.selecting import SAMPLE, everything, selection
from experiments.tests.crowds import crowd
from experiments.tests.reading_pages import page_of
from exptrack.tests.statements import statements_of

QUERIES = ("params.lr > 0.01 and metrics.val/accuracy > 0.5", "name ~ a", "params.absent = 1",
           "metrics.val/loss.mean > 0", "not params.optimizer = adam")  # fmt: skip
ORDERINGS = ("started", "-metrics.val/loss", "params.lr", "-params.optimizer", "duration", "name",
             "metrics.val/loss.min", "-metrics.val/loss.max", "-metrics.val/loss.mean",
             "-status")  # fmt: skip
BY_LOSS = parse_ordering("metrics.val/loss")


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 40)
    return found


def asked(experiment, query):
    rows = Run.objects.inside(experiment).for_table()
    return matching(rows, search.parse(query), timezone.now())


def listed(rows, experiment, ordering):
    """The ids of all runs of a queryset or selection, a page of seven at a time; the same from
    the last one back."""
    order = parse_ordering(ordering)
    segments = rows.segments(order, experiment.pk, timezone.now())
    pages = list(paging.every_page(segments, descending=order.descending, size=7))
    forward = [run.pk for page in pages for run in page]
    assert backward(segments, order.descending) == forward
    return forward


def backward(segments, descending):
    """The ids of all runs, from the last one back, in their order."""
    ids, position = [], None
    while found := paging.walk(segments, descending, 7, position, backward=True):
        ids = [run.pk for _, run in reversed(found)] + ids
        position = paging.position_of(*found[-1])
    return ids


@pytest.mark.parametrize(
    ("limit", "most", "few", "sparse"),
    [(3, 100_000, 5_000, 50), (3, 3, 5_000, 50), (10_000, 100_000, 5_000, 50),
     (10_000, 100_000, 2, 50), (13, 100_000, 2, 0)],
    ids=["many", "more", "few", "found", "somewhat more"],
)  # fmt: skip
@pytest.mark.parametrize("query", QUERIES)
def test_few_or_many_they_are_the_same_in_every_order(
    experiment, query, limit, most, few, sparse, monkeypatch
):
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", limit)
    monkeypatch.setattr("experiments.selecting.MOST_FOUND", most)
    monkeypatch.setattr("experiments.selecting.FEW", few)
    monkeypatch.setattr("experiments.selecting.SPARSE", sparse)
    monkeypatch.setattr("experiments.selecting.STRETCH", 9)
    monkeypatch.setattr("experiments.selecting.SAMPLE", 4)
    rows = asked(experiment, query)
    assert selection(rows).newest(experiment.pk, 5) == rows.newest(5)
    for ordering in ORDERINGS:
        found = selection(rows, experiment.pk)
        assert found.total == paging.bounded_count(rows)
        assert found.newest(experiment.pk, 5) == rows.newest(5)
        assert listed(found, experiment, ordering) == listed(rows, experiment, ordering)


@pytest.mark.parametrize("query", QUERIES[:3])
def test_uncounted_they_are_the_same_in_every_order(experiment, query, monkeypatch):
    monkeypatch.setattr("experiments.selecting.STRETCH", 9)
    rows = asked(experiment, query)
    found = selection(rows, experiment.pk, is_counted=False)
    assert (found.total is None) == rows.exists()
    for ordering in ORDERINGS:
        assert listed(found, experiment, ordering) == listed(rows, experiment, ordering)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("ordering", ["name", "-started_at"])
def test_a_list_of_the_api_is_planned_for_any_experiment(api, alice, experiment, ordering):
    query = {"experiment": str(experiment.pk), "q": QUERIES[0], "ordering": ordering}
    sent = statements_of(api(alice).get, "/api/v1/runs/", query)
    asking = [each for each in sent if "'val/accuracy'" in each]
    assert asking
    for each in asking:
        assert f"(SELECT '{experiment.pk.hex}'::uuid)" in each


def test_runs_in_the_trash_leave_no_gap_in_any_order(experiment, monkeypatch):
    monkeypatch.setattr("experiments.selecting.SPARE", 0)
    runs = Run.objects.inside(experiment)
    Run.objects.filter(pk__in=[run.pk for run in runs[::3]]).update(trashed_at=timezone.now())
    rows = runs.for_table()
    for ordering in ORDERINGS:
        found = listed(everything(rows), experiment, ordering)
        assert found == listed(rows, experiment, ordering)
        assert len(found) == rows.count()


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("ordering", ["-metrics.val/loss", "params.lr"])
def test_sqlite_chooses_a_page_before_it_reads_runs(experiment, ordering):
    order = parse_ordering(ordering)
    rows = everything(Run.objects.inside(experiment).for_table())
    segment = rows.segments(order, experiment.pk)[0]
    [page] = statements_of(segment.first, order.descending, None, 10)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {page}")
        plan = [row[-1] for row in cursor.fetchall()]
    assert any(step.startswith("LIST SUBQUERY") for step in plan)
    assert any("metric_last" in step or "param_number" in step for step in plan)


def test_runs_at_the_far_end_of_an_order_are_found_once_and_not_walked_to(experiment, monkeypatch):
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 3)
    monkeypatch.setattr("experiments.selecting.STRETCH", 5)
    last = sorted(Metric.objects.filter(name="val/loss").values_list("last", flat=True))
    rows = asked(experiment, f"metrics.val/loss < {last[15]}")
    found = selection(rows)
    sent = statements_of(listed, found, experiment, "-metrics.val/loss")
    assert len([each for each in sent if re.search("STRING_AGG|GROUP_CONCAT", each)]) == 1


@pytest.mark.only_on("postgresql")
def test_postgresql_is_not_told_of_which_experiment_it_joins_rows(experiment):
    """Of one that it does not know yet it would believe that each table has one row."""
    every_run = everything(Run.objects.inside(experiment))
    segment, _ = every_run.segments(BY_LOSS, experiment.pk)
    sent = [
        *statements_of(selection, asked(experiment, QUERIES[0]), experiment.pk),
        *statements_of(segment.first, True, None, 10),
    ]
    found, page = (sql for sql in sent if re.search('STRING_AGG|JOIN "experiments_metric"', sql))
    for joined, times in ((found, 1), (page, 2)):
        assert joined.count(f"(SELECT '{experiment.pk.hex}'::uuid)") == times
        assert joined.count(experiment.pk.hex) == times


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("query", [QUERIES[0], QUERIES[0].replace("and", "or"), QUERIES[-1]])
def test_of_many_only_as_many_are_asked_as_a_page_needs(experiment, query, monkeypatch):
    """A set of all that meet a condition is not gathered for it."""
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 3)
    found = selection(asked(experiment, query))
    newest, *_ = statements_of(found.newest, experiment.pk, 5)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {newest}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "hashed" not in plan
    assert "Semi Join" not in plan


@pytest.mark.only_on("postgresql")
def test_ids_that_were_found_are_rows_to_join_with_not_an_array_for_each_row(experiment):
    """Through which PostgreSQL goes anew for each row of an order that it walks."""
    few = selection(asked(experiment, QUERIES[0]), experiment.pk)
    segment, _ = few.segments(BY_LOSS, experiment.pk)
    page, *_ = statements_of(segment.first, True, None, 10)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {page}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "ANY (" not in plan
    assert "ProjectSet" in plan


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("ordering", ["-metrics.val/loss", "metrics.val/loss.min", "params.lr"])
@pytest.mark.parametrize("query", [None, "not params.absent = 1"])
def test_postgresql_searches_no_runs_by_what_all_of_a_table_have(
    experiment, ordering, query, monkeypatch
):
    """Of tables that it never looked at it went through all runs for each of a page."""
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 3)
    order, rows = parse_ordering(ordering), Run.objects.inside(experiment)
    found = everything(rows) if query is None else selection(asked(experiment, query))
    segment, *_ = found.segments(order, experiment.pk)
    [page, *_] = statements_of(paging.ordered(segment, order.descending, None)[:10].__len__)
    table = '"experiments_run".'
    assert f"({table}\"experiment_id\" = (SELECT '{experiment.pk.hex}'::uuid)) IS TRUE" in page
    assert f'({table}"trashed_at" IS NULL) IS TRUE' in page


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


def test_few_are_looked_for_once_after_a_look_at_the_newest(signed_in, alice, experiment):
    here = reverse("experiment-detail", args=[experiment.pk])
    query = {"q": "name ~ a", "ordering": "-metrics.val/loss"}
    sent = statements_of(lambda: signed_in(alice).get(here, query))
    looking = [each for each in sent if re.search(r"LOWER\(.*name", each)]
    assert len(looking) == 2
    assert f"LIMIT {SAMPLE}" in looking[0]

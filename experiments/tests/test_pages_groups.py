"""/experiments/<id>/?group=…: the runs of an experiment in groups."""

from __future__ import annotations

import csv
import io
from urllib.parse import unquote

import pytest
from django.urls import reverse

from experiments import appending, recording
from experiments.models import Experiment, Metric, Param, Run
from experiments.storing import Columns
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost


@pytest.fixture
def sweep(alice, experiment) -> None:
    """Two learning rates × three seeds, and a run without one."""
    for lr, optimizer, losses in ((0.1, "adam", (1, 2, 3)), (0.01, "sgd", (4, 4, 4))):
        for seed, loss in enumerate(losses):
            start(alice, {"lr": lr, "optimizer": optimizer, "seed": seed}, loss)
    start(alice, {"optimizer": "sgd", "seed": 9}, 0.5)


def start(user, params, loss=None):
    run, _ = recording.start_run(user=user, experiment="digits", params=params)
    metrics = {} if loss is None else {"loss": Columns(values=[loss], steps=[0])}
    appending.append(user=user, run_id=run.pk, metrics=metrics)
    return run


def test_a_row_a_group_with_mean_and_deviation(signed_in, alice, sweep, here):
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr"))
    assert table_of(page) == [
        {"lr": "0.01", "Runs": "3", "loss": "4± 0"},
        {"lr": "0.1", "Runs": "3", "loss": "2± 1"},
        {"lr": "none", "Runs": "1", "loss": "Best shown 0.5"} | {"loss": "0.5"},
    ]
    assert "3 groups of 7 runs" in page.words
    [cell] = [each for each in page.all("td") if each.words == "2± 1"]
    assert cell["title"] == (
        "Mean 2.0 of 3 runs, sample standard deviation (n − 1) 1.0, least 1.0, greatest 3.0"
    )
    assert [each.words for each in page.all("td", class_="cell-best")] == ["0.5"]


def test_the_best_with_each_value_of_the_first_key_is_marked(signed_in, alice, experiment, here):
    for optimizer, lr, loss in (("adam", 1, 5), ("adam", 2, 3), ("sgd", 1, 2), ("sgd", 2, 4)):
        start(alice, {"optimizer": optimizer, "lr": lr}, loss)
    start(alice, {"lr": 1}, 9)
    start(alice, {"lr": 2}, 8)
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?group=params.optimizer,params.lr"))
    assert [row["loss"] for row in table_of(page)] == ["5", "3", "2", "4", "9", "8"]
    assert marks_in(page) == [
        ("3", "Best with optimizer adam"), ("2", "Best shown"), ("8", "Best with optimizer none")
    ]  # fmt: skip
    page = page_of(visit.get(f"{here}?group=-params.seed"))
    assert marks_in(page) == [("2", "Best shown")]


def marks_in(page):
    """What is marked in a table of groups, and as what."""
    cells = [(cell, cell.all("svg")) for cell in page.one("tbody").all("td")]
    return [(cell.words, icons[0]["aria-label"]) for cell, icons in cells if icons]


def test_all_params_but_one_can_be_grouped_by(signed_in, alice, sweep, here):
    page = page_of(signed_in(alice).get(f"{here}?group=-params.seed"))
    assert [list(row.values())[:3] for row in table_of(page)] == [
        ["0.01", "sgd", "3"], ["0.1", "adam", "3"], ["none", "sgd", "1"]
    ]  # fmt: skip


def test_a_group_opens_to_its_runs(signed_in, alice, sweep, here):
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?group=-params.seed&ordering=-metrics.loss"))
    page = page_of(visit.get(page.one("tbody").all("a")[0]["href"]))
    rows = table_of(page)
    assert len(rows) == 3
    assert {row["loss"] for row in rows} == {"4"}
    assert "Runs with lr 0.01 optimizer sgd" in page.one("div", class_="group-note").words
    assert unquote(link(page, "All groups")) == f"{here}?group=params.lr,params.optimizer"
    ordered = page_of(visit.get(here + link(page.one("thead"), "seed")))
    assert [row["seed"] for row in table_of(ordered)] == ["0", "1", "2"]
    head, *lines = rows_of_csv(visit.get(link(page, "CSV")))
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("ordering", "first"),
    [("-runs", "0.01"), ("params.lr", "0.01"), ("-params.lr", "0.1"), ("metrics.loss", "none"),
     ("-metrics.loss", "0.01"), ("-started", "none"), ("started", "0.01")],
)  # fmt: skip
def test_groups_are_sorted(signed_in, alice, sweep, here, ordering, first):
    Run.objects.filter(params__name="lr", params__number=0.01).update(
        started_at="2026-01-01T00:00:00Z"
    )
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr&ordering={ordering}"))
    assert table_of(page)[0]["lr"] == first


def test_columns_choose_the_metrics_of_groups(signed_in, alice, sweep, here):
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr&columns=name,metrics.loss.max"))
    assert list(table_of(page)[0]) == ["lr", "Runs", "loss (max)"]


def test_filters_narrow_what_is_grouped(signed_in, alice, sweep, here):
    Run.objects.filter(params__name="lr").update(status="failed", ended_at="2026-01-01T00:00:00Z")
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr&status=failed"))
    assert [row["lr"] for row in table_of(page)] == ["0.01", "0.1"]
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr&status=killed"))
    assert "No run matches" in page.words


def test_many_groups_come_in_pages(signed_in, alice, experiment, here):
    for n in range(60):
        start(alice, {"n": n})
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?group=params.n&limit=50"))
    assert "50 of 60 groups of 60 runs" in page.words
    page = page_of(visit.get(page.one("a", rel="next")["href"]))
    assert [row["n"] for row in table_of(page)] == [str(n) for n in range(50, 60)]
    assert page.one("a", rel="prev")["href"] == f"{here}?group=params.n&limit=50"


def rows_of_csv(answer):
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_the_csv_has_every_group_exact(signed_in, alice, sweep, here):
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?group=params.lr&limit=50&ordering=-params.lr"))
    head, *lines = rows_of_csv(visit.get(link(page, "CSV")))
    whats = ("n", "mean", "std", "min", "max")
    assert head == ["params.lr", "runs", *(f"metrics.loss {what}" for what in whats)]
    assert lines == [
        ["0.1", "3", "3", "2.0", "1.0", "1.0", "3.0"],
        ["0.01", "3", "3", "4.0", "0.0", "4.0", "4.0"],
        ["", "1", "1", "0.5", "", "0.5", "0.5"],
    ]


# --- Who may not -----------------------------------------------------------------------------


def test_a_private_experiment_is_not_there_for_a_stranger(signed_in, bob, sweep, experiment, here):
    Experiment.objects.update(visibility="private")
    for address in (here, reverse("experiment-runs-csv", args=[experiment.pk])):
        assert signed_in(bob).get(f"{address}?group=params.lr").status_code == 404


def test_runs_in_the_trash_are_in_no_group(signed_in, alice, sweep, here):
    Run.objects.filter(params__name="lr").update(trashed_at="2026-01-01T00:00:00Z")
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr"))
    assert "1 group of 1 run" in page.words


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("group=metrics.loss", "“metrics.loss” cannot be used as group"),
        ("group=params.lr&ordering=name", "“name” cannot be used as ordering"),
        ("group=params.lr&inside=0123", "No group of this selection has those values."),
        ("group=params.lr&cursor=x", "This page of the list cannot be found"),
    ],
)
def test_what_an_address_asks_in_vain_is_told(signed_in, alice, sweep, here, query, fault):
    page = page_of(signed_in(alice).get(f"{here}?{query}"), 422)
    assert fault in page.words


def test_without_a_grouping_there_is_no_group_to_open(signed_in, alice, sweep, here):
    assert len(table_of(page_of(signed_in(alice).get(f"{here}?inside=0123")))) == 7


def test_what_does_not_differ_makes_one_group(signed_in, alice, here, experiment):
    for _ in range(2):
        start(alice, {"lr": 0.1, "seed": 1}, 1.0)
    page = page_of(signed_in(alice).get(f"{here}?group=-params.seed"))
    assert "No other param differs" in page.words
    assert table_of(page) == [{"Runs": "2", "loss": "1± 0"}]


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, sweep, here, payload):
    Param.objects.filter(name="optimizer").update(text=payload, text_head=payload[:200])
    Param.objects.filter(name="lr").update(name=payload[:250])
    Metric.objects.update(name=payload[:250])
    visit = signed_in(alice)
    for query in ("params.optimizer", "params.optimizer,params.seed", "-params.seed"):
        answer = visit.get(here, {"group": query})
        assert answer.status_code == 200
        assert is_inert(answer.content.decode())
        opened = page_of(answer).one("tbody").all("a")[0]["href"]
        assert is_inert(visit.get(opened).content.decode())


# --- The cost --------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["params.lr,params.optimizer", "-params.seed", "tags.stage"])
def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, here, group):
    visit = signed_in(alice)

    def statements():
        return cost(visit.get, f"{here}?group={group}&saved=none")

    crowd(experiment, alice, 20)
    few = statements()
    crowd(experiment, alice, 80, seed=2)
    assert statements() == few <= 18

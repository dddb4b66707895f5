"""/experiments/<id>/columns/: which columns the table of runs has, and in which order."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.models import Experiment, Metric, Param, Tag
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 6, metrics=("val/loss", "val/accuracy"))
    return found


@pytest.fixture
def here(experiment) -> str:
    return reverse("experiment-columns", args=[experiment.pk])


@pytest.fixture
def table(experiment) -> str:
    return reverse("experiment-detail", args=[experiment.pk])


def chosen(page):
    [shown] = page.all("ol", class_="column-list")
    return [box["value"] for box in shown.all("input", type="checkbox")]


def found(page):
    return [box["value"] for box in page.one("div", id="found-columns").all("input")]


def test_what_is_shown_is_chosen_and_the_rest_can_be_added(signed_in, alice, here):
    page = page_of(signed_in(alice).get(here))
    assert chosen(page) == [
        "status", "started", "duration", "params.batch_size", "params.lr", "params.optimizer",
        "params.seed", "metrics.val/accuracy", "metrics.val/loss",
    ]  # fmt: skip
    assert found(page) == [
        "ended", "owner", "created", "id",
        "metrics.val/accuracy.min", "metrics.val/accuracy.max", "metrics.val/accuracy.mean",
        "metrics.val/loss.min", "metrics.val/loss.max", "metrics.val/loss.mean",
        "params.dataset", "params.epochs", *(["tags.stage"] if Tag.objects.exists() else []),
    ]  # fmt: skip


def test_the_form_leads_to_the_table_with_its_columns(signed_in, alice, here, table):
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?columns=params.lr,owner&status=finished&ordering=-name"))
    form = page.one("form", id="column-form")
    assert form["action"] == table
    kept = {field["name"]: field["value"] for field in form.all("input", type="hidden")}
    assert kept == {"status": "finished", "ordering": "-name", "columns": "name"}
    boxes = "&columns=owner&columns=metrics.val/loss.min&find=x"
    shown = page_of(visit.get(f"{table}?columns=name{boxes}"))
    assert list(table_of(shown)[0]) == ["Name", "Owner", "val/loss (min)"]
    assert link(shown, "Columns") == f"{here}?columns=name%2Cowner%2Cmetrics.val%2Floss.min"


def test_the_order_of_groups_is_kept(signed_in, alice, here):
    page = page_of(signed_in(alice).get(f"{here}?group=params.lr&ordering=-runs"))
    form = page.one("form", id="column-form")
    kept = {field["name"]: field["value"] for field in form.all("input", type="hidden")}
    assert kept == {"group": "params.lr", "ordering": "-runs", "columns": "name"}


def test_the_name_alone_is_a_choice_too(signed_in, alice, table):
    page = page_of(signed_in(alice).get(f"{table}?columns=name"))
    assert list(table_of(page)[0]) == ["Name"]


def test_htmx_gets_a_dialog_and_its_table_a_tidy_address(signed_in, alice, here, table):
    visit = signed_in(alice)
    page = page_of(visit.get(here, headers=FRAGMENT))
    assert [element.tag for element in page.inside] == ["dialog"]
    answer = visit.get(
        f"{table}?owner=&columns=name&columns=params.lr&find=",
        headers={**FRAGMENT, "HX-Trigger": "column-form"},
    )
    assert answer["HX-Push-Url"] == f"{table}?columns=name,params.lr"


def test_names_are_searched_without_the_rest(signed_in, alice, here):
    visit = signed_in(alice)
    address = f"{here}?find=LOSS&columns=name&columns=metrics.val/loss.min"
    answer = visit.get(address, headers={**FRAGMENT, "HX-Target": "found-columns"})
    page = page_of(answer)
    assert [element["id"] for element in page.inside] == ["found-columns"]
    assert found(page) == ["metrics.val/loss", "metrics.val/loss.max", "metrics.val/loss.mean"]
    assert found(page_of(visit.get(f"{here}?find=start&columns=name"))) == ["started"]
    assert "Nothing of that name" in page_of(visit.get(f"{here}?find=zzz")).words


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        ("up=owner", ["owner", "params.lr", "status"]),
        ("down=params.lr", ["owner", "params.lr", "status"]),
        ("down=status", ["params.lr", "owner", "status"]),
        ("up=params.lr", ["params.lr", "owner", "status"]),
        ("up=frog", ["params.lr", "owner", "status"]),
        ("down=ended", ["params.lr", "owner", "status"]),
        ("up=,", ["params.lr", "owner", "status"]),
    ],
)
def test_columns_are_moved_without_a_script(signed_in, alice, here, move, expected):
    address = f"{here}?columns=name&columns=params.lr&columns=owner&columns=status&{move}"
    assert chosen(page_of(signed_in(alice).get(address))) == expected


def test_the_usual_columns_are_one_link_away(signed_in, alice, here, table):
    page = page_of(signed_in(alice).get(f"{here}?columns=owner&status=failed&find=x&up=owner"))
    assert link(page, "Reset to the usual ones") == f"{table}?status=failed"


def test_no_more_names_come_than_one_reads(signed_in, alice, experiment, here):
    run = experiment.runs.first()
    crowd(experiment, alice, 1, metrics=tuple(f"layer{n}" for n in range(60)))
    page = page_of(signed_in(alice).get(f"{here}?find=layer"))
    assert len(found(page)) == 40 * 4 - len([word for word in chosen(page) if "layer" in word])
    assert "There are more: type a part of the name." in page.words
    assert run is not None


# --- Who may not -----------------------------------------------------------------------------


def test_a_private_experiment_is_not_there_for_a_stranger(signed_in, bob, experiment, here):
    Experiment.objects.update(visibility="private")
    assert signed_in(bob).get(here).status_code == 404


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_names_stay_text(signed_in, alice, here, payload):
    Metric.objects.filter(name="val/loss").update(name=payload[:250])
    Param.objects.filter(name="seed").update(name=payload[:250])
    for address in (here, f"{here}?columns=name"):
        answer = signed_in(alice).get(
            address, {"find": payload[:100]} if "?" not in address else {}
        )
        assert answer.status_code == 200
        assert is_inert(answer.content.decode())


def test_an_experiment_without_runs_has_columns_all_the_same(signed_in, alice):
    empty = Experiment.objects.create(owner=alice, name="empty")
    page = page_of(signed_in(alice).get(reverse("experiment-columns", args=[empty.pk])))
    assert chosen(page) == ["status", "started", "duration"]


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, here):
    visit = signed_in(alice)

    def statements():
        return cost(visit.get, f"{here}?find=a")

    few = statements()
    crowd(experiment, alice, 60)
    assert statements() == few <= 14

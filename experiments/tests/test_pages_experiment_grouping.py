"""/experiments/<id>/grouping/: the menu of what to group runs by."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments import recording
from experiments.models import Experiment, Param
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of
from exptrack.tests.statements import cost


@pytest.fixture
def menu(experiment) -> str:
    return reverse("experiment-grouping", args=[experiment.pk])


def start(user, params, tags=None):
    recording.start_run(user=user, experiment="digits", params=params, tags=tags)


def offered(page):
    return [line.all("bdi")[0].words for line in page.one("ul", aria_label="Group by").all("li")]


def test_the_table_has_the_way_to_it_in_its_menu(signed_in, alice, experiment, here, menu):
    start(alice, {"lr": 1, "seed": 1})
    start(alice, {"lr": 2, "seed": 2})
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?status=running&group=params.lr&ordering=-runs&limit=50"))
    address = link(page, "What to group by")
    assert address == f"{menu}?status=running&group=params.lr&limit=50"
    assert page.one("div", id="group-by")["hx-get"] == address
    page = page_of(visit.get(f"{here}?group=-params.seed"))
    assert link(page, "What to group by") == f"{menu}?group=params.lr"


def test_it_adds_and_takes_away(signed_in, alice, experiment, here, menu):
    start(alice, {"lr": 0.1, "optimizer": "sgd", "seed": 9}, {"stage": "final"})
    page = page_of(signed_in(alice).get(f"{menu}?group=params.lr&ordering=-runs&limit=50"))
    assert offered(page) == ["lr", "optimizer", "seed", "stage"]
    lines = page.one("ul", aria_label="Group by")
    assert link(lines, "optimizer") == f"{here}?limit=50&group=params.lr,params.optimizer"
    assert link(lines, "stage tag") == f"{here}?limit=50&group=params.lr,tags.stage"
    assert link(lines, "lr") == f"{here}?limit=50"
    assert link(lines, "all but lr") == f"{here}?limit=50&group=-params.lr"
    assert link(page, "All params except seed") == f"{here}?limit=50&group=-params.seed"
    assert link(page, "Do not group") == f"{here}?limit=50"


def test_every_name_is_found_by_typing(signed_in, alice, experiment, menu):
    start(alice, {f"layer/{number:02}/width": number for number in range(60)})
    visit = signed_in(alice)
    page = page_of(visit.get(f"{menu}?group=params.layer/59/width"))
    assert offered(page)[:2] == ["layer/59/width", "layer/00/width"]
    assert len(offered(page)) == 41
    assert "There are more: type a part of the name." in page.words
    asked = {"HX-Request": "true", "HX-Target": "group-offers"}
    page = page_of(visit.get(f"{menu}?group=params.layer/00/width&find=WIDTH 59", headers=asked))
    assert offered(page) == ["layer/59/width"]
    assert page.one("p", id="group-said").words == "1 shown"
    page = page_of(visit.get(f"{menu}?find=nope", headers=asked))
    assert "No param and no tag has such a name." in page.words


def test_without_a_name_there_is_nothing_to_group_by(signed_in, alice, experiment, menu):
    assert "No run has a param or a tag" in page_of(signed_in(alice).get(menu)).words


# --- Who may not -----------------------------------------------------------------------------


def test_a_private_experiment_is_not_there_for_a_stranger(signed_in, charlie, experiment, menu):
    Experiment.objects.update(visibility="private")
    assert signed_in(charlie).get(menu).status_code == 404


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, experiment, menu, payload):
    start(alice, {"lr": 1}, {"stage": "final"})
    Param.objects.update(name=payload[:250])
    answer = signed_in(alice).get(menu, {"find": ""})
    page_of(answer)
    assert is_inert(answer.content.decode())
    assert is_inert(signed_in(alice).get(menu, {"find": payload}).content.decode())


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, menu):
    visit = signed_in(alice)

    def statements():
        return cost(visit.get, f"{menu}?group=params.lr")

    crowd(experiment, alice, 3)
    few = statements()
    crowd(experiment, alice, 57, seed=2)
    assert statements() == few <= 8

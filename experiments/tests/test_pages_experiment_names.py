"""/experiments/names/, and the token that is bound to an experiment by its name."""

from __future__ import annotations

from uuid import uuid4

from django.urls import reverse

from accounts.models import Token
from experiments.models import Experiment
from experiments.tests.hostile import PAYLOADS, is_inert
from experiments.tests.reading_pages import page_of
from exptrack.tests.statements import cost

NAMES = reverse("experiment-names")


def offered(visit, typed=""):
    page = page_of(visit.get(NAMES, {"experiment_id": typed}))
    return [option["value"] for option in page.one("datalist").all("option")]


def make_token(visit, experiment):
    fields = {"id": uuid4(), "name": "gpu", "scope": "log", "lifetime": "7d"}
    return visit.post(reverse("token-create"), {**fields, "experiment_id": experiment})


def test_experiments_are_offered_by_a_part_of_their_name(signed_in, alice):
    for name in ("Digits", "digits-2", "cifar"):
        Experiment.objects.create(owner=alice, name=name)
    assert set(offered(signed_in(alice), "DIG")) == {"Digits", "digits-2"}
    assert len(offered(signed_in(alice))) == 3


def test_the_case_of_any_script_is_of_no_account(signed_in, alice):
    Experiment.objects.create(owner=alice, name="Übung")
    assert offered(signed_in(alice), "üb") == ["Übung"]


def test_the_latest_come_first_and_those_without_a_run_last(signed_in, alice):
    for day, name in enumerate(("older", "newer"), 1):
        moment = f"2026-01-0{day}T00:00Z"
        Experiment.objects.create(owner=alice, name=name, last_run_at=moment)
    for number in range(20):
        Experiment.objects.create(owner=alice, name=f"empty {number}")
    assert offered(signed_in(alice))[:3] == ["newer", "older", "empty 19"]


def test_a_token_is_bound_to_the_experiment_of_a_name(signed_in, alice, charlie):
    mine = Experiment.objects.create(owner=alice, name="digits", visibility="private")
    assert make_token(signed_in(alice), " digits ").status_code == 200
    assert Token.objects.get().experiment_id == mine.pk
    refused = make_token(signed_in(charlie), "digits")
    assert refused.status_code == 422
    assert "You see no experiment of this name." in refused.content.decode()


def test_private_and_trashed_ones_are_not_offered(signed_in, alice, charlie):
    Experiment.objects.create(owner=alice, name="secret", visibility="private")
    assert offered(signed_in(charlie)) == []
    assert offered(signed_in(alice)) == ["secret"]
    Experiment.objects.update(trashed_at="2026-01-01T00:00Z")
    assert offered(signed_in(alice)) == []


def test_hostile_names_and_texts_do_nothing(signed_in, alice):
    for payload in PAYLOADS:
        Experiment.objects.create(owner=alice, name=payload[:250].replace("\0", ""))
        assert is_inert(signed_in(alice).get(NAMES).content.decode())


def test_it_takes_as_many_statements_for_many_as_for_few(signed_in, alice):
    visit, counts = signed_in(alice), []
    for _ in range(2):
        for n in range(10):
            Experiment.objects.create(owner=alice, name=f"e{n}-{len(counts)}")
        counts.append(cost(visit.get, NAMES))
    assert counts[0] == counts[1] <= 6

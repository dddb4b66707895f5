"""/experiments/<verb>/: what people do with the experiments they picked in the list."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.models import Collaborator, Experiment
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import page_of
from experiments.views import picked_experiments
from exptrack.tests.statements import cost

HERE = reverse("experiment-list")
STATUSES = {"complete": "completed", "archive": "archived", "reopen": "active"}
VERBS = (*STATUSES, "trash", "restore")


def make(owner, *names, **fields):
    return [Experiment.objects.create(owner=owner, name=name, **fields) for name in names]


@pytest.fixture
def send(signed_in):
    """Posts a verb with picked experiments as somebody; answers with the page one is led back
    to."""

    def sent(user, verb, experiments, **fields):
        data = {"experiment": [getattr(each, "pk", each) for each in experiments], **fields}
        return page_of(signed_in(user).post(reverse(f"experiments-{verb}"), data, follow=True))

    return sent


def said(page):
    return [
        message.words for message in page.one("div", id="messages").all("div", class_="message")
    ]


def alive():
    return sorted(Experiment.objects.alive().values_list("name", flat=True))


@pytest.mark.parametrize(("verb", "status"), STATUSES.items())
def test_several_get_a_status_at_once(send, alice, verb, status):
    a, b = make(alice, "a", "b", status="archived" if status == "active" else "active")
    [c] = make(alice, "c", status=status)
    became = {"active": "made active"}.get(status, status)
    assert said(send(alice, verb, [a, b, c])) == [
        f"2 experiments {became}. 1 experiment already {status}."
    ]
    assert set(Experiment.objects.values_list("status", flat=True)) == {status}


def test_several_go_to_the_trash_and_the_message_takes_that_back(send, signed_in, alice):
    a, b, _ = make(alice, "a", "b", "c")
    page = send(alice, "trash", [a, b], back="ordering=name&search=")
    assert said(page) == ["2 experiments moved to the trash. Undo"]
    assert alive() == ["c"]
    assert Experiment.objects.filter(trashed_by=alice).count() == 2
    undo = page.one("form", action=reverse("experiments-restore"))
    fields = {field["name"]: field["value"] for field in undo.all("input", type="hidden")}
    answer = signed_in(alice).post(undo["action"], fields)
    assert answer["Location"] == f"{HERE}?ordering=name&search="
    assert alive() == ["a", "b", "c"]


def test_all_that_match_are_found_whatever_the_page(signed_in, alice, monkeypatch):
    make(alice, "net-2", "mlp", "net-1")
    visit, address = signed_in(alice), reverse("experiments-matching")
    found = visit.get(f"{address}?search=net&ordering=name&cursor=x").json()["rows"]
    assert [name for _, name in found] == ["net-1", "net-2"]
    monkeypatch.setattr(picked_experiments, "MOST_PICKED", 1)
    assert len(visit.get(address).json()["rows"]) == 1
    answer = visit.get(f"{address}?status=frog")
    assert (answer.status_code, len(answer.json()["faults"])) == (400, 1)


def test_the_list_offers_it_to_those_who_may_write(signed_in, alice, bob):
    make(alice, "a")
    page = page_of(signed_in(alice).get(HERE))
    assert page.one("input", name="experiment")["aria-label"] == "Select a"
    assert "Archive" in page.words
    page = page_of(signed_in(bob).get(HERE))
    assert page.all("input", name="experiment") == []
    assert "Move to trash" not in page.words


# --- Who may not -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*STATUSES, "trash"])
def test_only_those_one_may_edit_are_changed_and_the_rest_is_counted(send, alice, charlie, verb):
    mine, shared, theirs = (
        *make(charlie, "mine", status="active" if verb != "reopen" else "archived"),
        *make(alice, "shared", "theirs", status="active" if verb != "reopen" else "archived"),
    )
    Collaborator.objects.create(experiment=shared, user=charlie, role="editor")
    before = Experiment.objects.values().get(pk=theirs.pk)
    done, left = said(send(charlie, verb, [mine, shared, theirs]))
    assert done.startswith("2 experiments")
    assert left == (
        "1 experiment left alone: only an experiment's owner, its editors and admins may change it."
    )
    assert Experiment.objects.values().get(pk=theirs.pk) == before


@pytest.mark.parametrize("verb", VERBS)
def test_who_only_reads_changes_nothing(send, alice, bob, verb):
    [experiment] = make(alice, "a", status="completed" if verb != "complete" else "active")
    Collaborator.objects.create(experiment=experiment, user=bob, role="editor")
    before = Experiment.objects.values().get()
    send(bob, verb, [experiment])
    assert Experiment.objects.values().get() == before


def test_of_a_private_one_a_stranger_learns_nothing(send, alice, charlie):
    [secret] = make(alice, "secret", visibility="private")
    assert said(send(charlie, "archive", [secret])) == ["1 experiment no longer there."]
    assert Experiment.objects.get().status == "active"


def test_what_others_put_in_the_trash_is_not_restored_by_its_moment(send, alice, charlie):
    moment = send(alice, "trash", make(alice, "a")).one("input", name="moment")["value"]
    assert said(send(charlie, "restore", [], moment=moment)) == ["0 experiments restored."]
    assert alive() == []


# --- The edges -------------------------------------------------------------------------------


def test_one_whose_name_was_taken_meanwhile_stays_in_the_trash(send, alice, charlie):
    trashed = [*make(alice, "a", "b"), *make(alice, "a", visibility="private")]
    moment = send(alice, "trash", trashed).one("input", name="moment")["value"]
    make(charlie, "a")
    restored, left = said(send(alice, "restore", [], moment=moment))
    assert "2 experiments restored." in restored
    assert "1 experiment left in the trash" in left
    assert alive() == ["a", "a", "b"]
    assert Experiment.objects.get(owner=alice, name="a", visibility="internal").trashed_at


@pytest.mark.parametrize("experiments", [[], ["junk", "\0", "{}"]])
def test_an_empty_selection_says_so(send, alice, experiments):
    make(alice, "a")
    assert "No experiment was selected." in said(send(alice, "archive", experiments))[0]


def test_one_in_the_trash_is_left_there_as_it_was(send, alice):
    [experiment] = make(alice, "a", trashed_at="2026-01-01T00:00:00Z")
    before = Experiment.objects.values().get()
    for verb in (*STATUSES, "trash"):
        send(alice, verb, [experiment])
    assert Experiment.objects.values().get() == before


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example", "a=b&\r\nX: y", "%"])
def test_one_is_led_back_to_the_list_and_nowhere_else(signed_in, alice, back):
    answer = signed_in(alice).post(reverse("experiments-archive"), {"back": back})
    assert answer["Location"].partition("?")[0] == HERE


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, payload):
    [experiment] = make(alice, payload.replace("\0", "") or "a")
    data = {"experiment": [experiment.pk, payload], "back": f"search={payload}", "moment": payload}
    for verb in VERBS:
        answer = signed_in(alice).post(reverse(f"experiments-{verb}"), data, follow=True)
        assert is_inert(answer.content.decode())


# --- The cost --------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_statements_do_not_grow_with_experiments(signed_in, alice, verb):
    def statements(prefix, count):
        made = make(alice, *(f"{prefix}{n}" for n in range(count)))
        moment = f"2026-01-0{count % 7 + 1}T00:00:00Z"
        if verb == "restore":
            Experiment.objects.filter(name__startswith=prefix).update(trashed_at=moment)
        data = {"experiment": [each.pk for each in made], "moment": moment}
        visit = signed_in(alice)
        return cost(visit.post, reverse(f"experiments-{verb}"), data)

    assert statements("a", 2) == statements("b", 30) <= 16

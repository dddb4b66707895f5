"""/experiments/<id>/runs/<verb>/: what people do with the runs they picked in the table."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from experiments import recording
from experiments.models import Collaborator, Experiment, Run, Tag
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import page_of
from experiments.views import picked_runs
from exptrack.tests.statements import cost

VERBS = ("tag", "untag", "stop", "trash", "restore")


@pytest.fixture
def send(signed_in, experiment):
    """Posts a verb with picked runs as somebody; answers with the page one is led back to."""

    def sent(user, verb, runs, **fields):
        address = reverse(f"runs-{verb}", args=[experiment.pk])
        data = {"run": [getattr(run, "pk", run) for run in runs], **fields}
        return page_of(signed_in(user).post(address, data, follow=True))

    return sent


def start(user, name):
    return recording.start_run(user=user, experiment="digits", name=name)[0]


def said(page):
    return [
        message.words for message in page.one("div", id="messages").all("div", class_="message")
    ]


def matching(visit, experiment, query=""):
    """The names that can be picked of a selection."""
    answer = visit.get(f"{reverse('runs-matching', args=[experiment.pk])}?{query}")
    assert answer.status_code == 200, answer.content
    runs = answer.json()["rows"]
    assert dict(Run.objects.values_list("pk", "name")).items() >= {
        (uuid.UUID(pk), name) for pk, name in runs
    }
    return [name for _, name in runs]


def test_all_runs_of_a_selection_are_found_in_its_order_whatever_the_page(
    signed_in, alice, experiment, monkeypatch
):
    for name in ("a1", "a2", "b1", "a3"):
        start(alice, name)
    visit = signed_in(alice)
    assert matching(visit, experiment) == ["a3", "b1", "a2", "a1"]
    assert matching(visit, experiment, "q=a&ordering=name&limit=50&cursor=x") == ["a1", "a2", "a3"]
    monkeypatch.setattr(picked_runs, "MOST_PICKED", 2)
    assert matching(visit, experiment, "ordering=name") == ["a1", "a2"]


def test_what_cannot_be_used_finds_nothing_rather_than_all(signed_in, alice, experiment):
    start(alice, "a")
    address = reverse("runs-matching", args=[experiment.pk])
    for query in ("status=frog", "q=metrics.", "ordering=frog"):
        answer = signed_in(alice).get(f"{address}?{query}")
        assert (answer.status_code, len(answer.json()["faults"])) == (400, 1)


def test_runs_of_a_private_experiment_are_nobody_else_s_to_find(signed_in, charlie, experiment):
    Experiment.objects.update(visibility="private")
    address = reverse("runs-matching", args=[experiment.pk])
    assert signed_in(charlie).get(address).status_code == 404


def test_a_tag_is_set_and_overwritten_and_taken_away(send, alice, experiment):
    runs = [start(alice, name) for name in "abc"]
    revision = Run.objects.get(pk=runs[0].pk).revision
    assert said(send(alice, "tag", runs[:2], tag=" stage ", text="one")) == [
        "2 runs tagged “stage”."
    ]
    send(alice, "tag", runs[1:], tag="stage", text="two")
    tags = dict(Tag.objects.order_by("run__name").values_list("run__name", "text"))
    assert tags == {"a": "one", "b": "two", "c": "two"}
    assert set(Tag.objects.values_list("experiment", "text_head")) == {
        (experiment.pk, "one"), (experiment.pk, "two")
    }  # fmt: skip
    assert Run.objects.get(pk=runs[0].pk).revision == revision + 1
    [words] = said(send(alice, "untag", runs[:2], tag="stage"))
    assert words == "The tag “stage” was taken from 2 runs."
    assert [tag.run.name for tag in Tag.objects.all()] == ["c"]


def test_what_still_runs_is_asked_to_stop(send, alice):
    going, ended = start(alice, "going"), start(alice, "ended")
    recording.finish_run(run=ended, status="finished")
    [words] = said(send(alice, "stop", [going, ended]))
    assert words == "1 run asked to stop. 1 run had ended already."
    assert [run.name for run in Run.objects.filter(stop_requested=True)] == ["going"]


def test_runs_go_to_the_trash_and_the_message_takes_that_back(send, signed_in, alice, experiment):
    runs = [start(alice, name) for name in "abc"]
    page = send(alice, "trash", runs[:2], back="ordering=name&search=")
    assert said(page) == ["2 runs moved to the trash. Undo"]
    assert [run.name for run in Run.objects.filter(trashed_at=None)] == ["c"]
    assert set(Run.objects.exclude(trashed_at=None).values_list("trashed_by", flat=True)) == {
        alice.pk
    }
    undo = page.one("form", action=reverse("runs-restore", args=[experiment.pk]))
    fields = {field["name"]: field["value"] for field in undo.all("input", type="hidden")}
    answer = signed_in(alice).post(undo["action"], fields)
    assert answer["Location"].endswith("/?ordering=name&search=")
    assert Run.objects.filter(trashed_at=None, trashed_by=None).count() == 3


def test_undoing_leaves_alone_what_went_to_the_trash_before(send, signed_in, alice, experiment):
    runs = [start(alice, name) for name in "ab"]
    send(alice, "trash", runs[:1])
    moment = send(alice, "trash", runs).one("input", name="moment")["value"]
    assert said(send(alice, "restore", [], moment=moment)) == ["1 run restored."]
    assert [run.name for run in Run.objects.exclude(trashed_at=None)] == ["a"]


def test_the_comparison_is_reached_without_a_script(signed_in, alice, experiment):
    run = start(alice, "a")
    address = reverse("runs-compare", args=[experiment.pk])
    answer = signed_in(alice).post(address, {"run": [run.pk, "junk"]})
    assert (answer.status_code, answer["Location"]) == (302, f"{reverse('compare')}?run={run.pk}")


# --- Who may not -----------------------------------------------------------------------------


def test_of_a_selection_only_ones_own_runs_are_changed_and_the_rest_is_counted(
    send, alice, charlie
):
    mine, other = start(charlie, "mine"), start(alice, "other")
    page = send(charlie, "trash", [mine, other])
    moved, left = said(page)
    assert moved == "1 run moved to the trash. Undo"
    assert left.startswith("1 run left alone: only a run's owner")
    assert [run.name for run in Run.objects.filter(trashed_at=None)] == ["other"]


def test_an_editor_changes_all_of_it(send, alice, charlie, experiment):
    Collaborator.objects.create(experiment=experiment, user=charlie, role="editor")
    assert said(send(charlie, "tag", [start(alice, "a")], tag="x")) == ["1 run tagged “x”."]


@pytest.mark.parametrize("verb", VERBS)
def test_who_only_reads_changes_nothing(send, alice, bob, verb):
    run = start(alice, "a")
    before = Run.objects.values().get()
    send(bob, verb, [run], tag="x")
    assert Run.objects.values().get() == before
    assert not Tag.objects.exists()


def test_who_only_reads_is_not_offered_it(signed_in, alice, bob, experiment):
    start(alice, "a")
    here = reverse("experiment-detail", args=[experiment.pk])
    assert "Move to trash" in page_of(signed_in(alice).get(here)).words
    assert "Move to trash" not in page_of(signed_in(bob).get(here)).words


@pytest.mark.parametrize("verb", [*VERBS, "compare"])
def test_a_private_experiment_is_not_there_for_a_stranger(
    signed_in, alice, charlie, experiment, verb
):
    run = start(alice, "a")
    Experiment.objects.update(visibility="private")
    address = reverse(f"runs-{verb}", args=[experiment.pk])
    assert signed_in(charlie).post(address, {"run": [run.pk], "tag": "x"}).status_code == 404
    assert Run.objects.get().trashed_at is None


@pytest.mark.parametrize("verb", VERBS)
def test_runs_of_another_experiment_are_out_of_reach(send, alice, verb):
    run = recording.start_run(user=alice, experiment="other")[0]
    page = send(alice, verb, [run], tag="x")
    if verb != "restore":
        assert said(page) == ["1 run no longer in this experiment."]
    assert not Tag.objects.exists()
    assert not Run.objects.get().stop_requested


def test_a_run_put_in_the_trash_by_others_is_not_restored_by_its_moment(send, alice, charlie):
    moment = send(alice, "trash", [start(alice, "a")]).one("input", name="moment")["value"]
    assert said(send(charlie, "restore", [], moment=moment)) == ["0 runs restored."]
    assert Run.objects.get().trashed_at is not None


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [[], ["junk", "\0", "{}"]])
def test_an_empty_selection_says_so(send, alice, runs):
    start(alice, "a")
    assert said(send(alice, "trash", runs)) == ["No run was selected."]


@pytest.mark.parametrize("tag", ["", "\0", 'a"b', "x" * 251])
def test_what_no_tag_is_called_is_refused_in_words(send, alice, tag):
    [words] = said(send(alice, "tag", [start(alice, "a")], tag=tag))
    assert words.startswith("Error") or "cannot be stored" in words
    assert not Tag.objects.exists()


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-02-31T00:00:00Z", "2026-01-01T00:00:00"])
def test_a_moment_that_is_none_restores_nothing(send, alice, moment):
    run = start(alice, "a")
    send(alice, "trash", [run])
    send(alice, "restore", [], moment=moment)
    assert Run.objects.get().trashed_at is not None


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example", "a=b&\r\nX: y", "%"])
def test_one_is_led_back_to_the_table_and_nowhere_else(signed_in, alice, experiment, back):
    address = reverse("runs-tag", args=[experiment.pk])
    answer = signed_in(alice).post(address, {"back": back})
    here = reverse("experiment-detail", args=[experiment.pk])
    assert answer["Location"].partition("?")[0] == here


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, experiment, payload):
    run = start(alice, "a")
    address = reverse("runs-trash", args=[experiment.pk])
    data = {"run": [run.pk], "back": f"search={payload}", "tag": payload}
    for verb in ("tag", "untag", "trash"):
        address = reverse(f"runs-{verb}", args=[experiment.pk])
        answer = signed_in(alice).post(address, data, follow=True)
        assert is_inert(answer.content.decode())


# --- The cost --------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_statements_do_not_grow_with_runs(signed_in, alice, charlie, experiment, verb):
    def statements(count):
        runs = [start(charlie, uuid.uuid4().hex) for _ in range(count)]
        if verb == "restore":
            Run.objects.update(trashed_at="2026-01-01T00:00:00Z")
        data = {"run": [run.pk for run in runs], "tag": "x", "moment": "2026-01-01T00:00:00Z"}
        visit = signed_in(charlie)
        return cost(visit.post, reverse(f"runs-{verb}", args=[experiment.pk]), data)

    assert statements(2) == statements(30) <= 16

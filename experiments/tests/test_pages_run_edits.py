"""What people correct on a run's page: name, tags, notes; moving it; the trash and back."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments import curating, recording
from experiments.models import Collaborator, Experiment, Param, Run
from experiments.tests.hostile import MARKDOWN, TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of

FRAGMENT = {"HX-Request": "true"}
EDITS = ("run-name", "run-notes", "run-tags", "run-move", "run-trash", "run-restore")


def start(user, name="calm-otter", experiment="digits", **fields) -> Run:
    return recording.start_run(user=user, experiment=experiment, name=name, **fields)[0]


@pytest.fixture
def run(alice) -> Run:
    return start(alice, tags={"stage": "warm-up"}, notes="old", params={"lr": 0.1})


@pytest.fixture
def at(run):
    """The address of a part of the run: `at("run-notes")`."""
    return lambda name: reverse(name, args=[run.pk])


def tags_of(run) -> dict[str, str]:
    return dict(run.tags.values_list("name", "text"))


def seen(page) -> str:
    return page.one("input", name="seen")["value"]


# --- Name ------------------------------------------------------------------------------------


def test_a_run_is_renamed_in_its_place(signed_in, alice, run, at):
    visit = signed_in(alice)
    form = page_of(visit.get(at("run-name"), headers=FRAGMENT))
    assert form.inside[0]["id"] == "run-title"
    assert form.one("input", name="name")["value"] == "calm-otter"
    answer = visit.post(at("run-name"), {"name": " Best so far "}, headers=FRAGMENT)
    assert page_of(answer).one("h1").words == "Best so far"
    assert Run.objects.get().name == "Best so far"
    assert "<title>Best so far · ExpTrack</title>" in answer.content.decode()


def test_without_a_script_a_form_on_its_own_page_does_it(signed_in, alice, run, at):
    visit = signed_in(alice)
    assert page_of(visit.get(at("run-name"))).one("h1").words == "Rename"
    answer = visit.post(at("run-name"), {"name": "better"})
    assert (answer.status_code, answer["Location"]) == (302, at("run-detail"))
    assert page_of(visit.get(at("run-detail"))).one("h1").words == "better"


def test_changing_one_s_mind_shows_it_as_it_was(signed_in, alice, at):
    visit = signed_in(alice)
    for name in ("run-name", "run-notes", "run-tags"):
        page = page_of(visit.get(f"{at(name)}?read", headers=FRAGMENT))
        assert page.one("a", href=at(name))
        assert visit.get(f"{at(name)}?read")["Location"] == at("run-detail")


@pytest.mark.parametrize("name", ["", " ", "a\u202eb", "x" * 251, "a\x07"])
def test_a_name_that_cannot_be_is_told_and_kept_to_be_mended(signed_in, alice, at, name):
    page = page_of(signed_in(alice).post(at("run-name"), {"name": name}, headers=FRAGMENT), 422)
    assert page.one("ul", class_="field-errors").words
    assert page.one("input", name="name").attributes.get("value", "").strip() == name.strip()
    assert Run.objects.get().name == "calm-otter"


# --- Notes -----------------------------------------------------------------------------------


def test_notes_are_written_in_markdown(signed_in, alice, at):
    visit = signed_in(alice)
    form = page_of(visit.get(at("run-notes"), headers=FRAGMENT))
    assert form.one("textarea").text.strip() == "old"
    answer = visit.post(
        at("run-notes"), {"notes": "# New\r\n\r\n- a", "seen": seen(form)}, headers=FRAGMENT
    )
    assert page_of(answer).one("div", class_="prose").one("h3").words == "New"
    assert Run.objects.get().notes == "# New\n\n- a"


def test_notes_written_meanwhile_are_not_lost(signed_in, alice, ada, run, at):
    visit = signed_in(alice)
    form = page_of(visit.get(at("run-notes")))
    curating.update_run(run=run, notes="Ada's finding")
    answer = visit.post(at("run-notes"), {"notes": "Alice's", "seen": seen(form)})
    page = page_of(answer, 422)
    assert "Somebody changed the notes meanwhile." in page.one("div", role="alert").words
    assert page.one("pre").text == "Ada's finding"
    assert page.one("textarea").text.strip() == "Alice's"
    assert Run.objects.get().notes == "Ada's finding"
    visit.post(at("run-notes"), {"notes": "Both", "seen": seen(page)})
    assert Run.objects.get().notes == "Both"


def test_points_that_come_meanwhile_are_no_conflict(signed_in, alice, run, at):
    visit = signed_in(alice)
    form = page_of(visit.get(at("run-notes")))
    recording.heartbeat(run=run)
    curating.tag_runs(runs=[run], name="x")
    visit.post(at("run-notes"), {"notes": "new", "seen": seen(form)})
    assert Run.objects.get().notes == "new"


def test_sending_the_same_notes_twice_is_fine(signed_in, alice, at):
    visit = signed_in(alice)
    form = {"notes": "new", "seen": seen(page_of(visit.get(at("run-notes"))))}
    for _ in range(2):
        assert visit.post(at("run-notes"), form).status_code == 302


def test_a_preview_saves_nothing(signed_in, alice, at):
    visit = signed_in(alice)
    sent = {"notes": "**bold**", "seen": "x", "preview": "1"}
    page = page_of(visit.post(at("run-notes"), sent))
    assert page.one("div", id="preview").one("strong").words == "bold"
    assert page.one("textarea").text.strip() == "**bold**"
    fragment = page_of(visit.post(reverse("markdown-preview"), sent, headers=FRAGMENT))
    assert fragment.inside[0]["id"] == "preview"
    assert fragment.one("strong").words == "bold"
    assert Run.objects.get().notes == "old"


def test_a_preview_of_hostile_text_does_nothing(signed_in, alice):
    answer = signed_in(alice).post(reverse("markdown-preview"), {"notes": MARKDOWN})
    assert is_inert(answer.content.decode())
    assert "javascript:" not in str([a.attributes for a in page_of(answer).all("a")])


# --- Tags ------------------------------------------------------------------------------------


def test_tags_are_added_overwritten_and_removed(signed_in, alice, run, at):
    visit = signed_in(alice)
    visit.post(at("run-tags"), {"name": "baseline", "text": ""}, headers=FRAGMENT)
    page = page_of(visit.post(at("run-tags"), {"name": "stage", "text": "final"}, headers=FRAGMENT))
    assert tags_of(run) == {"stage": "final", "baseline": ""}
    assert page.inside[0]["id"] == "run-tags"
    assert [form.one("input", name="remove")["value"] for form in page.all("form", class_="chip")]
    for name in ("stage", "never there", ""):
        assert visit.post(at("run-tags"), {"remove": name}).status_code == 200
    assert tags_of(run) == {"baseline": ""}


@pytest.mark.parametrize("name", ["", "a$b", "x" * 251])
def test_a_tag_that_cannot_be_is_told(signed_in, alice, run, at, name):
    sent = {"name": name, "text": "kept"}
    page = page_of(signed_in(alice).post(at("run-tags"), sent, headers=FRAGMENT), 422)
    assert page.one("ul", class_="field-errors")
    assert page.one("input", name="text")["value"] == "kept"
    assert tags_of(run) == {"stage": "warm-up"}


def test_a_text_that_is_too_long_in_bytes_is_told_too(signed_in, alice, run, at):
    sent = {"name": "long", "text": "ä" * 40_000}
    page = page_of(signed_in(alice).post(at("run-tags"), sent, headers=FRAGMENT), 422)
    assert "at most 64 KiB" in page.words


# --- Moving ----------------------------------------------------------------------------------


def test_a_run_moves_with_all_it_has(signed_in, alice, run, at):
    target = recording.create_experiment(user=alice, name="transformers")
    visit = signed_in(alice)
    page = page_of(visit.get(f"{at('run-move')}?search=TRANS", headers=FRAGMENT))
    assert [radio["value"] for radio in page.all("input", type="radio")] == [str(target.pk)]
    answer = visit.post(at("run-move"), {"experiment": target.pk}, follow=True)
    assert "belongs to “transformers” now" in page_of(answer).one("div", id="messages").words
    assert Run.objects.get().experiment == target
    assert Param.objects.get().experiment == target


def test_a_run_moves_only_where_one_may_add_runs(signed_in, alice, charlie, bob, run, at):
    hidden = recording.create_experiment(user=charlie, name="hidden", visibility="private")
    read = recording.create_experiment(user=charlie, name="read", visibility="private")
    edited = recording.create_experiment(user=charlie, name="edited", visibility="private")
    gone = recording.create_experiment(user=alice, name="gone")
    curating.trash_experiment(user=alice, experiment=gone)
    for experiment, role in ((read, "viewer"), (edited, "editor")):
        Collaborator.objects.create(experiment=experiment, user=alice, role=role)
    visit = signed_in(alice)
    offered = page_of(visit.get(at("run-move"))).all("input", type="radio")
    assert [radio["value"] for radio in offered] == [str(edited.pk)]
    for refused in (hidden.pk, read.pk, gone.pk, run.experiment_id, uuid.uuid4(), "x", ""):
        page = page_of(visit.post(at("run-move"), {"experiment": refused}), 422)
        assert "Choose an experiment" in page.one("div", role="alert").words
    assert Run.objects.get().experiment == run.experiment


# --- The trash -------------------------------------------------------------------------------


def test_a_run_goes_to_the_trash_and_undo_brings_it_back(signed_in, alice, run, at):
    visit = signed_in(alice)
    answer = visit.post(at("run-trash"), follow=True)
    assert answer.redirect_chain == [(reverse("experiment-detail", args=[run.experiment_id]), 302)]
    undo = page_of(answer).one("div", id="messages").one("form")
    assert undo["action"] == at("run-restore")
    assert undo.one("input", name="csrfmiddlewaretoken")
    found = Run.objects.get()
    assert (found.trashed_at is not None, found.trashed_by) == (True, alice)
    page = page_of(visit.post(undo["action"], follow=True))
    assert "is back from the trash" in page.one("div", id="messages").words
    assert Run.objects.get().trashed_at is None


def test_htmx_is_sent_on_as_a_whole(signed_in, alice, run, at):
    answer = signed_in(alice).post(at("run-restore"), headers=FRAGMENT)
    assert answer["HX-Redirect"] == at("run-detail")


def test_a_run_in_a_trashed_experiment_comes_back_with_that_only(signed_in, alice, run, at):
    curating.trash_experiment(user=alice, experiment=run.experiment)
    page = page_of(signed_in(alice).post(at("run-restore"), follow=True))
    assert "Restore the experiment instead." in page.words


# --- Who may not -----------------------------------------------------------------------------


def test_whoever_may_only_read_sees_no_way_to_edit(signed_in, bob, charlie, at):
    for user in (bob, charlie):
        visit = signed_in(user)
        page = page_of(visit.get(at("run-detail")))
        for name in EDITS:
            assert not page.all("a", href=at(name))
            assert not page.all("form", action=at(name))
            assert visit.post(at(name), {"name": "x", "notes": "x"}).status_code == 403


def test_strangers_to_a_private_run_find_nothing(signed_in, charlie, at, run):
    Experiment.objects.update(visibility="private")
    for name in EDITS:
        assert signed_in(charlie).post(at(name), {"name": "x"}).status_code == 404


def test_editors_and_admins_may(signed_in, charlie, ada, run, at):
    Collaborator.objects.create(experiment=run.experiment, user=charlie, role="editor")
    for user in (charlie, ada):
        signed_in(user).post(at("run-name"), {"name": user.username})
        assert Run.objects.get().name == user.username


def test_every_edit_needs_the_page_s_own_token(alice, at):
    visit = Client(enforce_csrf_checks=True)
    visit.force_login(alice, "django.contrib.auth.backends.ModelBackend")
    for name in EDITS:
        assert visit.post(at(name), {"name": "x"}).status_code == 403
    assert Run.objects.get().name == "calm-otter"
    assert Run.objects.get().trashed_at is None


# --- Params to take away, children -------------------------------------------------------------


def test_params_are_copied_as_json_and_yaml(signed_in, alice, at, run):
    given = {"lr": 1e-05, "betas": [0.9, 0.999], "name": "yes", "deep/x": None, "on": True}
    other = start(alice, params=given)
    visit = signed_in(alice)
    answer = visit.get(reverse("run-params-json", args=[other.pk]))
    assert (answer.json(), answer["Content-Type"]) == (given, "application/json")
    text = visit.get(reverse("run-params-yaml", args=[other.pk])).content.decode()
    assert text.splitlines() == [
        "betas:", "- 0.9", "- 0.999", "deep/x: null", "lr: 1.0e-05", "name: 'yes'", "'on': true",
    ]  # fmt: skip
    empty = start(alice)
    assert visit.get(reverse("run-params-yaml", args=[empty.pk])).content == b"{}\n"


def test_all_children_are_paged(signed_in, alice, run, at):
    for number in range(120):
        start(alice, f"fold {number}", parent=run.pk)
    visit = signed_in(alice)
    assert link(page_of(visit.get(at("run-detail"))), "All 120 child runs") == at("run-children")
    page = page_of(visit.get(at("run-children")))
    assert len(page.one("tbody").all("tr")) == 100
    rest = page_of(visit.get(at("run-children") + page.one("a", rel="next")["href"]))
    assert len(rest.one("tbody").all("tr")) == 20


def test_children_one_may_not_see_are_not_listed(signed_in, alice, charlie, run, at):
    start(alice, "sly", parent=run.pk, experiment="hidden")
    Experiment.objects.filter(name="hidden").update(visibility="private")
    assert "No child runs" in page_of(signed_in(charlie).get(at("run-children"))).words


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text_while_it_is_edited(signed_in, alice, run, at, payload):
    Run.objects.update(name=payload, notes=payload)
    run.tags.update(name=payload, text=payload, text_head=payload[:200])
    Experiment.objects.update(name=payload)
    start(alice, experiment="other")
    Experiment.objects.filter(name="other").update(name=f"{payload[:249]}!")
    visit = signed_in(alice)
    for name in ("run-name", "run-notes", "run-tags", "run-move", "run-children"):
        for headers in ({}, FRAGMENT):
            assert is_inert(visit.get(at(name), headers=headers).content.decode()), name
    assert is_inert(visit.post(at("run-trash"), follow=True).content.decode())


def test_a_run_in_the_trash_offers_to_be_restored(signed_in, alice, at):
    Run.objects.update(trashed_at=timezone.now())
    page = page_of(signed_in(alice).get(at("run-detail")))
    assert page.one("form", action=at("run-restore"))
    assert not page.all("form", action=at("run-trash"))

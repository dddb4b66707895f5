"""/experiments/<id>/settings/: what it is, its tags, who is in, and the way to the trash."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from experiments import curating, recording
from experiments.models import Collaborator, Experiment
from experiments.tests.hostile import MARKDOWN, TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of
from exptrack.tests.statements import cost

FRAGMENT = {"HX-Request": "true"}
POSTS = (
    "experiment-settings",
    "experiment-tags",
    "experiment-people",
    "experiment-person-remove",
    "experiment-trash",
)


@pytest.fixture
def experiment(alice) -> Experiment:
    return recording.create_experiment(
        user=alice, name="digits", description="Why?", tags={"team": "vision"}
    )


@pytest.fixture
def at(experiment):
    """An address of the experiment: `at("experiment-tags")`."""
    return lambda name: reverse(name, args=[experiment.pk])


@pytest.fixture
def here(at) -> str:
    return at("experiment-settings")


def form_of(page) -> dict[str, str]:
    """The fields of the general form as a browser would send them."""
    form = page.one("form", id="general")
    chosen = {
        select["name"]: next(o["value"] for o in select.all("option") if "selected" in o.attributes)
        for select in form.all("select")
    }
    for field in form.all("input"):
        if field.attributes.get("type") != "radio" or "checked" in field.attributes:
            chosen[field["name"]] = field.attributes.get("value", "")
    text = form.one("textarea", name="description").text.removeprefix("\n")
    return {**chosen, "description": text}


def names_in(page) -> list[str]:
    return [line.all("bdi")[0].words for line in page.one("div", id="people").all("li")]


def test_it_shows_what_is_set(signed_in, alice, experiment, here):
    page = page_of(signed_in(alice).get(here))
    shown = form_of(page)
    assert (shown["name"], shown["description"]) == ("digits", "Why?")
    assert (shown["status"], shown["visibility"]) == ("active", "internal")
    assert link(page, "digits") == reverse("experiment-detail", args=[experiment.pk])
    detail = page_of(signed_in(alice).get(reverse("experiment-detail", args=[experiment.pk])))
    assert detail.one("a", href=here)


def test_all_of_it_is_changed_at_once(signed_in, alice, here):
    visit = signed_in(alice)
    sent = form_of(page_of(visit.get(here)))
    changes = {"name": "numbers", "description": "# Because\r\nyes", "status": "archived",
               "visibility": "private"}  # fmt: skip
    page = page_of(visit.post(here, sent | changes, follow=True))
    assert "Saved." in page.one("div", id="messages").words
    found = Experiment.objects.get()
    assert (found.name, found.description) == ("numbers", "# Because\nyes")
    assert (found.status, found.visibility) == ("archived", "private")
    assert found.tags == {"team": "vision"}


def test_htmx_is_sent_to_the_page_anew(signed_in, alice, here):
    visit = signed_in(alice)
    sent = form_of(page_of(visit.get(here)))
    assert visit.post(here, sent | {"name": "x"}, headers=FRAGMENT)["HX-Redirect"] == here


@pytest.mark.parametrize("own_change", [{"name": "taken"}, {"visibility": "private"}])
def test_a_taken_name_is_told_and_nothing_typed_is_lost(
    signed_in, alice, experiment, here, own_change
):
    other = recording.create_experiment(
        user=alice, name=own_change.get("name", "digits"),
        visibility=own_change.get("visibility", "internal"),
    )  # fmt: skip
    visit = signed_in(alice)
    sent = form_of(page_of(visit.get(here))) | own_change | {"description": "A long story"}
    page = page_of(visit.post(here, sent, headers=FRAGMENT), 422)
    assert "is in use. Choose another one." in page.one("ul", class_="field-errors").words
    assert form_of(page) == sent | {"csrfmiddlewaretoken": form_of(page)["csrfmiddlewaretoken"]}
    assert page.one("a", href=reverse("experiment-detail", args=[other.pk]))
    found = Experiment.objects.get(pk=experiment.pk)
    assert (found.name, found.visibility, found.description) == ("digits", "internal", "Why?")


def test_the_owner_of_a_taken_name_stays_hidden(signed_in, ada, alice, experiment, here):
    Collaborator.objects.create(experiment=experiment, user=ada, role="editor")
    User.objects.filter(pk=ada.pk).update(role="member")
    recording.create_experiment(user=alice, name="digits", visibility="private")
    visit = signed_in(ada)
    sent = form_of(page_of(visit.get(here))) | {"visibility": "private"}
    page = page_of(visit.post(here, sent), 422)
    assert "is in use" in page.words
    assert "See the experiment" not in page.words


def test_a_description_written_meanwhile_is_not_lost(signed_in, alice, ada, experiment, here):
    visit = signed_in(alice)
    sent = form_of(page_of(visit.get(here))) | {"description": "Alice's"}
    curating.update_experiment(user=ada, experiment=experiment, description="Ada's")
    page = page_of(visit.post(here, sent), 422)
    assert "Somebody changed the description meanwhile." in page.words
    assert page.one("pre").text == "Ada's"
    assert form_of(page)["description"] == "Alice's"
    visit.post(here, form_of(page) | {"description": "Both"})
    assert Experiment.objects.get().description == "Both"


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "x" * 251), ("name", "a\u202eb"), ("name", f"{'0' * 32}"),
     ("status", "frog"), ("visibility", "public"), ("description", "x" * 70_000)],
)  # fmt: skip
def test_what_cannot_be_is_told(signed_in, alice, here, field, value):
    visit = signed_in(alice)
    sent = form_of(page_of(visit.get(here))) | {field: value}
    assert page_of(visit.post(here, sent), 422).one("ul", class_="field-errors").words
    assert Experiment.objects.get().name == "digits"


def test_a_preview_saves_nothing(signed_in, alice, here):
    visit = signed_in(alice)
    sent = form_of(page_of(visit.get(here))) | {"description": "**new**", "preview": "1"}
    page = page_of(visit.post(here, sent))
    assert page.one("div", id="preview").one("strong").words == "new"
    assert form_of(page)["description"] == "**new**"
    assert Experiment.objects.get().description == "Why?"


# --- Tags ------------------------------------------------------------------------------------


def test_tags_are_added_and_removed(signed_in, alice, at):
    visit = signed_in(alice)
    sent = {"name": "stage", "text": "final"}
    page = page_of(visit.post(at("experiment-tags"), sent, headers=FRAGMENT))
    assert page.inside[0]["id"] == "tags"
    assert Experiment.objects.get().tags == {"team": "vision", "stage": "final"}
    assert visit.post(at("experiment-tags"), {"remove": "team"}).status_code == 302
    assert Experiment.objects.get().tags == {"stage": "final"}


@pytest.mark.parametrize("sent", [{"name": "a$b"}, {"name": ""}, {"name": "x", "text": "y" * 1001}])
def test_a_tag_that_cannot_be_is_told(signed_in, alice, at, sent):
    page = page_of(signed_in(alice).post(at("experiment-tags"), sent, headers=FRAGMENT), 422)
    assert page.one("ul", class_="field-errors").words


def test_there_are_at_most_a_hundred_tags(signed_in, alice, at):
    Experiment.objects.update(tags={f"t{n}": "" for n in range(100)})
    visit = signed_in(alice)
    page = page_of(visit.post(at("experiment-tags"), {"name": "more"}, headers=FRAGMENT), 422)
    assert "at most 100 tags" in page.words
    assert visit.post(at("experiment-tags"), {"name": "t5", "text": "new"}).status_code == 302


# --- People ----------------------------------------------------------------------------------


def test_people_are_let_in_changed_and_let_out(signed_in, alice, charlie, experiment, at, here):
    visit = signed_in(alice)
    sent = {"user": "charlie", "role": "editor"}
    page = page_of(visit.post(at("experiment-people"), sent, headers=FRAGMENT))
    assert names_in(page) == ["alice", "charlie"]
    assert signed_in(charlie).get(here).status_code == 200
    visit.post(at("experiment-people"), {"user": "charlie", "role": "viewer"})
    assert signed_in(charlie).get(here).status_code == 403
    page = page_of(visit.post(at("experiment-person-remove"), {"user": "charlie"}, follow=True))
    assert names_in(page) == ["alice"]
    assert not Collaborator.objects.exists()


@pytest.mark.parametrize("name", ["nobody", "", "alice", "gone"])
def test_who_cannot_be_let_in_is_told(signed_in, alice, at, name):
    User.objects.create_user("gone", is_active=False)
    sent = {"user": name, "role": "viewer"}
    page = page_of(signed_in(alice).post(at("experiment-people"), sent, headers=FRAGMENT), 422)
    assert page.one("ul", class_="field-errors").words
    assert not Collaborator.objects.exists()


def test_who_leaves_is_led_to_what_they_still_see(signed_in, charlie, experiment, at):
    Experiment.objects.update(visibility="private")
    Collaborator.objects.create(experiment=experiment, user=charlie, role="editor")
    answer = signed_in(charlie).post(
        at("experiment-person-remove"), {"user": "charlie"}, headers=FRAGMENT
    )
    assert answer["HX-Redirect"] == reverse("experiment-list")


def test_user_names_are_completed_a_few_at_a_time(signed_in, alice, bob):
    for number in range(15):
        User.objects.create_user(f"dora{number:02}", is_active=number != 3)
    page = page_of(signed_in(alice).get(reverse("people"), {"user": "DOR"}))
    names = [option["value"] for option in page.all("option")]
    assert names == sorted(names)
    assert len(names) == 10
    assert "dora03" not in names
    for typed in ("", "\0", "%", "zz"):
        assert not page_of(signed_in(alice).get(reverse("people"), {"user": typed})).all("option")
    assert not page_of(signed_in(bob).get(reverse("people"), {"user": "dor"})).all("option")


# --- The trash -------------------------------------------------------------------------------


def test_it_goes_to_the_trash_and_undo_brings_it_back(signed_in, alice, experiment, at):
    visit = signed_in(alice)
    page = page_of(visit.post(at("experiment-trash"), follow=True))
    undo = page.one("div", id="messages").one("form")
    found = Experiment.objects.get()
    assert (found.trashed_at is not None, found.trashed_by) == (True, alice)
    answer = visit.post(undo["action"], follow=True)
    assert answer.redirect_chain[0][0] == reverse("experiment-detail", args=[experiment.pk])
    assert Experiment.objects.get().trashed_at is None


# --- Who may not -----------------------------------------------------------------------------


def test_whoever_may_only_read_is_refused(signed_in, bob, charlie, here, at, experiment):
    for user in (bob, charlie):
        visit = signed_in(user)
        assert visit.get(here).status_code == 403
        for name in POSTS:
            assert visit.post(at(name), {"name": "x", "user": "bob"}).status_code == 403
        detail = page_of(visit.get(reverse("experiment-detail", args=[experiment.pk])))
        assert not detail.all("a", href=here)


def test_strangers_to_a_private_one_find_nothing(signed_in, charlie, here, at):
    Experiment.objects.update(visibility="private")
    visit = signed_in(charlie)
    assert visit.get(here).status_code == 404
    for name in POSTS:
        assert visit.post(at(name), {"name": "x"}).status_code == 404


def test_every_change_needs_the_page_s_own_token(alice, at):
    visit = Client(enforce_csrf_checks=True)
    visit.force_login(alice, "django.contrib.auth.backends.ModelBackend")
    for name in POSTS:
        answer = visit.post(at(name), {"name": "x"})
        assert (answer.status_code, answer["X-Form-Expired"]) == (403, "true")
    assert Experiment.objects.get().trashed_at is None


# --- The edges and the cost --------------------------------------------------------------------


def test_what_was_purged_meanwhile_is_not_there(signed_in, alice, experiment):
    Experiment.objects.all().delete()
    with pytest.raises(curating.Gone):
        curating.tag_experiment(experiment=experiment, name="x", text="")


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, charlie, experiment, here, payload):
    Experiment.objects.update(name=payload, description=MARKDOWN, tags={payload: payload})
    User.objects.filter(pk=charlie.pk).update(username=payload[:150])
    Collaborator.objects.create(experiment=experiment, user=charlie, role="viewer")
    visit = signed_in(alice)
    assert is_inert(visit.get(here).content.decode())
    assert is_inert(visit.get(reverse("people"), {"user": payload[:3]}).content.decode())


def test_statements_do_not_grow_with_people_and_tags(signed_in, alice, experiment, here):
    visit = signed_in(alice)
    visit.get(here)
    few = cost(visit.get, here)
    for number in range(30):
        user = User.objects.create_user(f"u{number}")
        Collaborator.objects.create(experiment=experiment, user=user, role="viewer")
    Experiment.objects.update(tags={f"t{n}": "" for n in range(60)})
    assert cost(visit.get, here) == few <= 8

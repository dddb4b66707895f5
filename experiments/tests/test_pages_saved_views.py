"""/experiments/<id>/views/…: named selections of an experiment's runs."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.models import Collaborator, Experiment, SavedView
from experiments.refusals import Gone
from experiments.saved_views import delete_view, kept_query, save_view, update_view
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 12, metrics=("val/loss",))
    return found


@pytest.fixture
def here(experiment) -> str:
    return reverse("experiment-detail", args=[experiment.pk])


@pytest.fixture
def send(signed_in, experiment):
    """Posts to one of the addresses of views: `send(alice, "delete", view)`."""

    def sent(user, verb, view=None, **fields):
        args = [experiment.pk] if view is None else [experiment.pk, view.pk]
        return signed_in(user).post(reverse(f"view-{verb}", args=args), fields)

    return sent


def make(experiment, owner, name="mine", **fields):
    return SavedView.objects.create(experiment=experiment, owner=owner, name=name, **fields)


def menu(page):
    """The names in the menu of views."""
    links = page.one("ul", aria_label="Views").all("a", class_="menu-item")
    return [each.words for each in links]


def current(page):
    [button] = [
        each for each in page.all("button") if each.attributes.get("popovertarget") == "views"
    ]
    return button.words


def test_a_selection_is_kept_and_opened_again(signed_in, alice, experiment, here):
    query = "?status=finished&ordering=metrics.val/loss&columns=params.lr,metrics.val/loss&cursor=x"
    visit = signed_in(alice)
    address = reverse("view-create", args=[experiment.pk])
    answer = visit.post(address, {"name": " Best first ", "query": query})
    view = SavedView.objects.get()
    assert (view.name, view.owner, view.shared, view.is_default) == (
        "Best first",
        alice,
        False,
        False,
    )
    assert view.query == (
        "status=finished&ordering=metrics.val%2Floss&columns=params.lr,metrics.val%2Floss"
    )
    assert answer["Location"] == f"{here}?{view.query}&saved={view.pk}"
    page = page_of(visit.get(answer["Location"]))
    assert "The view “Best first” is saved." in page.words
    assert list(table_of(page)[0]) == ["Name", "lr", "val/loss"]
    assert menu(page) == ["All runs", "Best first"]
    assert current(page) == "Best first"


def test_a_view_that_was_changed_is_updated_or_left(send, signed_in, alice, experiment, here):
    view = make(experiment, alice, query="status=finished")
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?saved={view.pk}&status=finished"))
    assert current(page) == "mine"
    assert "Update" not in page.words
    page = page_of(visit.get(f"{here}?saved={view.pk}&status=failed&ordering=name"))
    assert current(page) == "mine, changed"
    update = page.one("form", action=reverse("view-update", args=[experiment.pk, view.pk]))
    query = update.one("input", name="query")["value"]
    answer = send(alice, "update", view, query=query)
    assert answer["Location"] == f"{here}?status=failed&ordering=name&saved={view.pk}"
    assert SavedView.objects.get().query == "status=failed&ordering=name"


def test_a_view_is_renamed_shared_and_deleted(send, signed_in, alice, experiment):
    view = make(experiment, alice, query="status=failed")
    page = page_of(signed_in(alice).get(reverse("view-edit", args=[experiment.pk, view.pk])))
    assert page.one("input", name="name")["value"] == "mine"
    send(alice, "edit", view, name="ours", shared="on")
    view.refresh_from_db()
    assert (view.name, view.shared, view.query) == ("ours", True, "status=failed")
    answer = send(alice, "delete", view)
    assert answer["Location"].endswith("?saved=none")
    assert not SavedView.objects.exists()


def test_the_default_is_what_the_experiment_opens_with(
    send, signed_in, alice, bob, experiment, here
):
    old = make(experiment, alice, "old", shared=True, is_default=True)
    new = make(experiment, alice, "new", query="status=failed&ordering=name")
    send(alice, "edit", new, name="new", is_default="on")
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.is_default, new.is_default, new.shared) == (False, True, True)
    visit = signed_in(bob)
    answer = visit.get(here)
    assert (answer.status_code, answer["Location"]) == (
        302, f"{here}?status=failed&ordering=name&saved={new.pk}"
    )  # fmt: skip
    page = page_of(visit.get(answer["Location"]))
    assert current(page) == "new"
    everything = link(page, "All runs")
    assert everything == "?saved=none"
    page = page_of(visit.get(here + everything))
    assert len(table_of(page)) == 12
    assert current(page) == "All runs"
    assert link(page_of(visit.get(f"{here}?status=failed")), "Clear") == "?saved=none"


def test_without_a_default_the_page_opens_as_ever(signed_in, alice, experiment, here):
    make(experiment, alice, shared=True)
    page = page_of(signed_in(alice).get(here))
    assert link(page, "All runs") == "?"


# --- Who may not -----------------------------------------------------------------------------


def test_a_private_view_stays_private(signed_in, send, alice, charlie, ada, experiment, here):
    view = make(experiment, alice, "secret plan")
    for user in (charlie, ada):
        page = page_of(signed_in(user).get(f"{here}?saved={view.pk}"))
        assert "secret plan" not in page.text
        assert current(page) == "All runs"
        for verb in ("edit", "update", "delete"):
            assert send(user, verb, view, name="x").status_code == 404
    assert SavedView.objects.get().name == "secret plan"


def test_a_shared_view_is_seen_by_who_sees_the_experiment(
    signed_in, alice, charlie, bob, experiment, here
):
    view = make(experiment, alice, "ours", shared=True)
    assert menu(page_of(signed_in(charlie).get(here))) == ["All runs", "ours alice"]
    Experiment.objects.update(visibility="private")
    edit = reverse("view-edit", args=[experiment.pk, view.pk])
    assert signed_in(charlie).get(here).status_code == 404
    assert signed_in(charlie).get(edit).status_code == 404
    Collaborator.objects.create(experiment=experiment, user=bob, role="viewer")
    assert menu(page_of(signed_in(bob).get(here))) == ["All runs", "ours alice"]


@pytest.mark.parametrize("verb", ["edit", "update", "delete"])
def test_a_shared_view_is_changed_by_its_owner_and_by_editors(
    send, alice, charlie, experiment, verb
):
    view = make(experiment, alice, shared=True)
    assert send(charlie, verb, view, name="x", query="status=failed").status_code == 403
    assert SavedView.objects.filter(name="mine", query="").exists()
    Collaborator.objects.create(experiment=experiment, user=charlie, role="editor")
    assert send(charlie, verb, view, name="x", query="status=failed").status_code == 302
    assert not SavedView.objects.filter(name="mine", query="").exists()


def test_only_editors_choose_the_default(send, signed_in, charlie, experiment):
    view = make(experiment, charlie)
    edit = reverse("view-edit", args=[experiment.pk, view.pk])
    assert not page_of(signed_in(charlie).get(edit)).all("input", name="is_default")
    send(charlie, "edit", view, name="mine", is_default="on")
    assert not SavedView.objects.get().is_default


def test_renaming_leaves_a_default_one(send, charlie, alice, experiment):
    view = make(experiment, charlie, shared=True, is_default=True)
    send(charlie, "edit", view, name="still", shared="on")
    view.refresh_from_db()
    assert (view.name, view.is_default) == ("still", True)


def test_who_only_reads_keeps_none(send, signed_in, bob, here):
    assert send(bob, "create", name="x").status_code == 403
    assert "Save view" not in page_of(signed_in(bob).get(here)).words


def test_a_view_belongs_to_its_experiment(send, signed_in, alice, experiment):
    other = Experiment.objects.create(owner=alice, name="other")
    view = make(other, alice)
    assert send(alice, "delete", view).status_code == 404
    assert (
        signed_in(alice).get(reverse("view-edit", args=[experiment.pk, view.pk])).status_code == 404
    )


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("?status=failed&cursor=abc&saved=x&find=y&evil=1", "status=failed"),
        ("limits=0~1~loss&limits=0~2~acc", "limits=0~1~loss&limits=0~2~acc"),
        ("https://evil.example/?status=failed", ""),
        ("//evil.example", ""),
        ("status=a%0d%0aX: y", "status=a%0D%0AX%3A+y"),
        ("", ""),
    ],
)
def test_of_a_query_only_what_the_page_reads_is_kept(query, kept):
    assert kept_query(query).replace(":", "%3A") == kept.replace(":", "%3A")


def test_a_name_of_ones_own_view_is_taken_and_what_was_typed_stays(
    send, alice, charlie, experiment
):
    make(experiment, charlie, "best")
    assert send(alice, "create", name="best", query="status=failed").status_code == 302
    page = page_of(send(alice, "create", name="best", shared="on", query="status=failed"), 422)
    assert "You have a view of this name already." in page.words
    assert page.one("input", name="name")["value"] == "best"
    assert "checked" in page.one("input", name="shared").attributes
    assert page.one("input", name="query")["value"] == "status=failed"
    assert SavedView.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 251}, "at most 250 characters"),
        ({"name": "a\u202eb"}, "A name"),
        ({"name": "x", "query": "search=" + "y" * 9000}, "too long to be kept"),
    ],
)
def test_what_cannot_be_kept_is_told(send, alice, fields, fault):
    page = page_of(send(alice, "create", **fields), 422)
    assert fault in page.words
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("saved", ["none", "x", "\0", "00000000-0000-0000-0000-000000000000"])
def test_a_view_that_is_not_there_is_no_fault(signed_in, alice, here, saved):
    page = page_of(signed_in(alice).get(here, {"saved": saved}))
    assert current(page) == "All runs"
    assert len(table_of(page)) == 12


def test_what_a_view_asks_in_vain_is_told_when_it_is_opened(signed_in, alice, experiment, here):
    view = make(experiment, alice, query="ordering=metrics.gone&status=dead")
    page = page_of(signed_in(alice).get(f"{here}?{view.query}&saved={view.pk}"), 422)
    assert "“dead” cannot be used as status" in page.words


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(send, signed_in, alice, experiment, here, payload):
    view = make(experiment, alice, payload[:250], query="search=" + payload[:50], shared=True)
    for address in (
        here,
        f"{here}?saved={view.pk}",
        reverse("view-edit", args=[experiment.pk, view.pk]),
    ):
        answer = signed_in(alice).get(address)
        assert is_inert(answer.content.decode())
    assert is_inert(send(alice, "create", name=payload, query=payload).content.decode())


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_views(signed_in, alice, charlie, experiment, here):
    visit = signed_in(charlie)

    def statements():
        return cost(visit.get, f"{here}?saved=none")

    make(experiment, alice, "one", shared=True)
    few = statements()
    for number in range(30):
        make(experiment, alice, f"view {number}", shared=True)
    # Two of them set and end PostgreSQL's time limit, one tells from where on changes are new.
    assert statements() == few <= 20


def test_a_view_that_is_deleted_meanwhile_is_neither_changed_nor_made_anew(experiment, alice):
    view = make(experiment, alice)
    delete_view(view=SavedView.objects.get())
    with pytest.raises(Gone):
        update_view(view=view, query="q=1")
    with pytest.raises(Gone):
        save_view(view=view, name="other", shared=True, is_default=True)
    assert not SavedView.objects.exists()

"""/trash/: what is in it, the way back, and the purge."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from experiments import curating, purging, recording, storage
from experiments.models import Collaborator, Experiment, Run, Tail
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import page_of, table_of
from exptrack.tests.statements import cost

TRASH, PURGE = reverse("trash"), reverse("trash-purge")
FRAGMENT = {"HX-Request": "true"}


def make(user, name, *, visibility="internal", trashed_by=None) -> Experiment:
    experiment = recording.create_experiment(user=user, name=name, visibility=visibility)
    if trashed_by is not None:
        curating.trash_experiment(user=trashed_by, experiment=experiment)
    return experiment


def start(user, name, experiment="digits", *, trashed_by=None) -> Run:
    run = recording.start_run(user=user, experiment=experiment, name=name)[0]
    if trashed_by is not None:
        curating.trash_runs(user=trashed_by, runs=[run])
    return run


def listed(answer) -> list[str]:
    page = page_of(answer)
    return [row["Name"] for row in table_of(page)] if page.all("table") else []


def test_it_lists_what_one_may_bring_back_last_first(signed_in, alice, ada):
    make(alice, "first", trashed_by=alice)
    make(alice, "second", trashed_by=ada)
    make(alice, "alive")
    rows = table_of(page_of(signed_in(alice).get(TRASH)))
    assert [(row["Name"], row["Owner"], row["Put there by"]) for row in rows] == [
        ("second", "alice", "ada"), ("first", "alice", "alice"),
    ]  # fmt: skip
    assert rows[0]["In the trash since"] == "just now"


def test_runs_are_listed_unless_they_are_there_with_their_experiment(signed_in, alice):
    start(alice, "gone", trashed_by=alice)
    start(alice, "with it", "other")
    curating.trash_experiment(user=alice, experiment=Experiment.objects.get(name="other"))
    page = page_of(signed_in(alice).get(f"{TRASH}?kind=runs"))
    [row] = table_of(page)
    kinds = page.one("div", id="filter-fields").all("a", class_="segment")
    assert [kind.words for kind in kinds] == ["Experiments 1", "Runs 1"]
    assert (row["Name"], row["Experiment"], row["Put there by"]) == ("gone", "digits", "alice")


def test_what_went_there_before_anybody_kept_names_says_so(signed_in, alice):
    Experiment.objects.filter(pk=make(alice, "old").pk).update(trashed_at=timezone.now())
    [row] = table_of(page_of(signed_in(alice).get(TRASH)))
    assert row["Put there by"] == "not known"


def test_names_are_searched_and_htmx_gets_the_table_alone(signed_in, alice):
    for name in ("resnet", "unet"):
        make(alice, name, trashed_by=alice)
    answer = signed_in(alice).get(f"{TRASH}?search=RES", headers=FRAGMENT)
    assert page_of(answer).inside[0]["id"] == "trash"
    assert listed(answer) == ["resnet"]


def test_it_is_paged(signed_in, alice):
    for number in range(60):
        start(alice, f"run {number}", trashed_by=alice)
    visit = signed_in(alice)
    answer = visit.get(f"{TRASH}?kind=runs")
    assert len(listed(answer)) == 50
    rest = visit.get(TRASH + page_of(answer).one("a", rel="next")["href"])
    assert sorted(listed(answer) + listed(rest)) == sorted(f"run {n}" for n in range(60))


def test_restore_brings_an_experiment_and_a_run_back(signed_in, alice):
    experiment = make(alice, "digits", trashed_by=alice)
    visit = signed_in(alice)
    form = page_of(visit.get(TRASH)).one("form", action=reverse("experiment-restore",
                                                                 args=[experiment.pk]))  # fmt: skip
    assert "is back from the trash" in page_of(visit.post(form["action"], follow=True)).words
    run = start(alice, "gone", trashed_by=alice)
    form = page_of(visit.get(f"{TRASH}?kind=runs")).one(
        "form", action=reverse("run-restore", args=[run.pk])
    )
    visit.post(form["action"])
    assert not Experiment.objects.exclude(trashed_at=None).exists()
    assert not Run.objects.exclude(trashed_at=None).exists()


def test_a_name_taken_meanwhile_asks_for_another(signed_in, alice):
    experiment = make(alice, "digits", trashed_by=alice)
    make(alice, "digits")
    path = reverse("experiment-restore", args=[experiment.pk])
    visit = signed_in(alice)
    page = page_of(visit.post(path), 422)
    assert "is in use. Choose another one." in page.words
    assert page.one("input", name="name")["value"] == "digits"
    assert "is in use" in page_of(visit.post(path, {"name": "digits"}), 422).words
    assert page_of(visit.post(path, {"name": " "}), 422).one("ul", class_="field-errors")
    assert visit.post(path, {"name": "digits, older"}).status_code == 302
    found = Experiment.objects.get(pk=experiment.pk)
    assert (found.name, found.trashed_at, found.trashed_by) == ("digits, older", None, None)


# --- Who may not -----------------------------------------------------------------------------


def test_only_what_one_may_change_is_listed_and_comes_back(signed_in, alice, bob, charlie, ada):
    theirs = make(alice, "theirs", trashed_by=alice)
    private = make(alice, "private", visibility="private", trashed_by=alice)
    edited = make(alice, "edited", visibility="private", trashed_by=alice)
    Collaborator.objects.create(experiment=edited, user=charlie, role="editor")
    Collaborator.objects.create(experiment=private, user=charlie, role="viewer")
    assert listed(signed_in(charlie).get(TRASH)) == ["edited"]
    assert listed(signed_in(bob).get(TRASH)) == []
    assert listed(signed_in(ada).get(TRASH)) == ["edited", "private", "theirs"]
    for user in (charlie, bob):
        path = reverse("experiment-restore", args=[theirs.pk])
        assert signed_in(user).post(path).status_code == 403


def test_of_runs_one_sees_one_s_own_and_those_of_one_s_experiments(
    signed_in, alice, bob, charlie, ada
):
    start(alice, "hers", trashed_by=alice)
    start(charlie, "his in hers", trashed_by=charlie)
    runs = f"{TRASH}?kind=runs"
    assert listed(signed_in(charlie).get(runs)) == ["his in hers"]
    assert listed(signed_in(alice).get(runs)) == ["his in hers", "hers"]
    assert listed(signed_in(ada).get(runs)) == ["his in hers", "hers"]
    assert listed(signed_in(bob).get(runs)) == []


def test_only_admins_purge(signed_in, alice, bob, ada):
    experiment = make(alice, "digits", trashed_by=alice)
    for user in (alice, bob):
        visit = signed_in(user)
        assert visit.get(PURGE).status_code == 403
        assert visit.post(PURGE, {"experiment": experiment.pk}).status_code == 403
        assert "Purge" not in page_of(visit.get(TRASH)).words
    assert "Purge…" in page_of(signed_in(ada).get(TRASH)).words
    assert "Empty the trash…" in page_of(signed_in(ada).get(f"{TRASH}?kind=runs&search=x")).words
    assert Experiment.objects.exists()


def test_an_empty_trash_is_not_offered_to_be_emptied(signed_in, ada):
    assert "Empty the trash" not in page_of(signed_in(ada).get(TRASH)).words


# --- The purge -------------------------------------------------------------------------------


def facts(page) -> dict[str, str]:
    return {fact.inside[0].words: fact.inside[1].words for fact in page.all("dl", class_="fact")}


def test_a_purge_tells_first_what_will_go(signed_in, alice, ada):
    experiment = make(alice, "digits")
    crowd(experiment, alice, 5)
    curating.trash_experiment(user=alice, experiment=experiment)
    page = page_of(signed_in(ada).get(PURGE, {"experiment": experiment.pk}))
    shown = facts(page)
    assert (shown["Runs"], shown["Metrics"], shown["Points"]) == ("5", "30", "1,200")
    kept = sum(len(tail.data) for tail in Tail.objects.all())
    assert storage.size_of(Run.objects.all()).bytes == kept > 10_000
    assert shown["Bytes of points"].endswith("KiB")
    assert Run.objects.count() == 5


def test_one_experiment_or_run_is_purged_and_nothing_else(signed_in, alice, ada):
    doomed, spared = (make(alice, name) for name in ("doomed", "spared"))
    for experiment in (doomed, spared):
        crowd(experiment, alice, 3)
        curating.trash_experiment(user=alice, experiment=experiment)
    alone = start(alice, "alone", trashed_by=alice)
    visit = signed_in(ada)
    page = page_of(visit.post(PURGE, {"experiment": doomed.pk}, follow=True))
    assert "Purged for good: 3 runs." in page.words
    assert not Experiment.objects.filter(pk=doomed.pk).exists()
    assert Run.objects.filter(experiment=spared).count() == 3
    visit.post(PURGE, {"run": alone.pk})
    assert not Run.objects.filter(pk=alone.pk).exists()
    assert Run.objects.count() == 3


def test_the_whole_trash_goes_in_steps_that_a_page_can_follow(signed_in, alice, ada, monkeypatch):
    experiment = make(alice, "digits")
    crowd(experiment, alice, 5)
    curating.trash_experiment(user=alice, experiment=experiment)
    start(alice, "alone", "other", trashed_by=alice)
    alive = start(alice, "alive", "other")
    monkeypatch.setattr(purging, "RUNS_PURGED_IN_A_REQUEST", 4)
    visit = signed_in(ada)
    page = page_of(visit.post(PURGE, headers=FRAGMENT))
    assert page.inside[0]["id"] == "purge"
    assert "4 runs deleted, this is left" in page.words
    assert facts(page)["Runs"] == "2"
    form = page.one("form")
    assert "load" in form["hx-trigger"]
    sent = {field["name"]: field["value"] for field in form.all("input")}
    assert visit.post(PURGE, sent, headers=FRAGMENT)["HX-Redirect"] == TRASH
    assert list(Run.objects.all()) == [alive]
    assert "Purged for good: 6 runs." in page_of(visit.get(TRASH)).words


def test_what_was_restored_or_trashed_since_one_looked_is_spared(signed_in, alice, ada):
    restored, new, old = (make(alice, name) for name in ("restored", "new", "old"))
    for experiment in (restored, old):
        curating.trash_experiment(user=alice, experiment=experiment)
    visit = signed_in(ada)
    seen = page_of(visit.get(PURGE)).one("input", name="seen")["value"]
    curating.restore_experiment(user=alice, experiment=restored)
    curating.trash_experiment(user=alice, experiment=new)
    visit.post(PURGE, {"seen": seen})
    assert set(Experiment.objects.values_list("name", flat=True)) == {"restored", "new"}
    visit.post(PURGE, {"experiment": restored.pk})
    assert Experiment.objects.filter(pk=restored.pk).exists()


@pytest.mark.parametrize("query", ["seen=x", "seen=2026-01-01", "done=x"])
def test_a_purge_of_nothing_in_particular_is_harmless(signed_in, alice, ada, query):
    make(alice, "alive")
    page = page_of(signed_in(ada).get(f"{PURGE}?{query}"))
    assert "Nothing to purge" in page.words


def test_an_id_that_is_none_never_means_all_of_the_trash(signed_in, alice, ada):
    make(alice, "kept", trashed_by=alice)
    visit = signed_in(ada)
    for sent in ({"experiment": "x"}, {"run": "'"}):
        assert visit.post(PURGE, sent).status_code == 404
    assert Experiment.objects.count() == 1


# --- The edges and the cost --------------------------------------------------------------------


def test_what_an_address_asks_in_vain_is_told(signed_in, alice):
    page = page_of(signed_in(alice).get(f"{TRASH}?kind=frogs"), 422)
    assert "In the trash are experiments and runs." in page.one("div", role="alert").words


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, ada, payload):
    run = start(alice, "x", trashed_by=alice)
    other = make(alice, "other", trashed_by=alice)
    Run.objects.update(name=payload)
    for experiment, end in ((other, "a"), (run.experiment, "b")):
        Experiment.objects.filter(pk=experiment.pk).update(name=payload[:249] + end)
    visit = signed_in(ada)
    for path in (TRASH, f"{TRASH}?kind=runs", PURGE, f"{PURGE}?run={run.pk}",
                 reverse("experiment-restore", args=[other.pk])):  # fmt: skip
        assert is_inert(visit.get(path).content.decode()), path


def test_statements_do_not_grow_with_rows(signed_in, alice, ada):
    def fill(count):
        for number in range(count):
            make(alice, f"e{number}-{count}", trashed_by=alice)
            start(alice, f"r{number}-{count}", trashed_by=alice)

    def statements(visit, path):
        return cost(visit.get, path)

    paths = (TRASH, f"{TRASH}?kind=runs", PURGE)
    fill(2)
    visit = signed_in(ada)
    few = [statements(visit, path) for path in paths]
    fill(12)
    assert [statements(visit, path) for path in paths] == few
    assert max(few) <= 9


def test_trashed_long_ago_says_when(signed_in, alice):
    make(alice, "old", trashed_by=alice)
    Experiment.objects.update(trashed_at=timezone.now() - timedelta(days=3))
    assert table_of(page_of(signed_in(alice).get(TRASH)))[0]["In the trash since"] == "3 d ago"

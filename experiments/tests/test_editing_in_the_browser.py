"""Correcting, sharing and tidying as people do it: scripts, both themes, a phone."""

from __future__ import annotations

import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from experiments import curating, recording
from experiments.models import Experiment, Run
from experiments.tests.browsing import replaced
from exptrack.tests.browser import enter
from exptrack.tests.people import PASSWORD

PATCH = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n" + "+" + "w" * 300


@pytest.fixture
def run(alice) -> Run:
    return recording.start_run(
        user=alice,
        experiment="digits",
        name="calm-otter",
        notes="first",
        tags={"stage": "warm-up"},
        params={"lr": 0.1, "betas": [0.9, 0.999]},
        environment={"patch": PATCH, "packages": {f"package-{n}": str(n) for n in range(30)}},
    )[0]


def test_a_run_is_renamed_without_leaving_its_page(visit, run, faultless):
    page = visit("run-detail", run.pk)
    page.evaluate("document.body.dataset.same = 'page'")
    page.get_by_role("link", name="Rename").click()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    faultless()
    name.fill("a\u202eb")
    name.press("Enter")
    expect(page.get_by_text("cannot hold control characters")).to_be_visible()
    name.fill("best-otter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1, name="best-otter")).to_be_visible()
    expect(page.get_by_role("link", name="Rename")).to_be_focused()
    expect(page).to_have_title("best-otter · ExpTrack")
    assert page.evaluate("document.body.dataset.same") == "page"


def test_notes_are_previewed_saved_and_never_overwrite_another_s(visit, run, faultless):
    page = visit("run-detail", run.pk)
    page.get_by_role("link", name="Edit notes").click()
    notes = page.get_by_role("textbox", name="Notes")
    notes.fill("# Mine\n\n**bold** <img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview strong")).to_have_text("bold")
    expect(notes).to_have_value(re.compile("# Mine"))
    faultless()
    curating.update_run(run=run, notes="Hers")
    page.get_by_role("button", name="Save notes").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody changed the notes meanwhile")
    expect(page.get_by_label("What stands there now").last).to_have_text("Hers")
    faultless()
    notes.fill("Hers\n\nand mine")
    page.get_by_role("button", name="Save notes").click()
    expect(page.get_by_role("region", name="Notes").get_by_text("and mine")).to_be_visible()
    expect(page.get_by_role("link", name="Edit notes")).to_be_focused()
    assert Run.objects.get().notes == "Hers\n\nand mine"


def test_tags_come_and_go(visit, run, faultless):
    page = visit("run-detail", run.pk)
    page.get_by_role("link", name="Edit tags").click()
    faultless()
    tags = page.get_by_role("group", name="Tags")
    tags.get_by_label("Name").fill("baseline")
    page.get_by_role("button", name="Add tag").click()
    expect(tags.get_by_role("listitem")).to_have_count(2)
    expect(tags.get_by_label("Name")).to_have_value("")
    page.get_by_role("button", name="Remove stage").click()
    expect(tags.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("link", name="Done").click()
    expect(page.locator("#run-tags")).to_contain_text("baseline")
    assert list(run.tags.values_list("name", flat=True)) == ["baseline"]


def test_a_run_is_trashed_and_undo_brings_it_back(visit, run):
    page = visit("run-detail", run.pk)
    page.get_by_role("button", name="Trash this run").click()
    expect(page.get_by_text("“calm-otter” is in the trash.")).to_be_visible()
    expect(page.get_by_text("No runs yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("is back from the trash")).to_be_visible()
    expect(page.get_by_role("heading", level=1, name="calm-otter")).to_be_visible()
    assert Run.objects.get().trashed_at is None


def test_a_run_moves_to_an_experiment_that_is_searched_for(visit, alice, run, faultless):
    for name in ("resnet", "unet", "transformer"):
        recording.create_experiment(user=alice, name=name)
    page = visit("run-detail", run.pk)
    page.get_by_role("link", name="Move").click()
    page.get_by_role("searchbox").press_sequentially("trans")
    expect(page.get_by_role("radio")).to_have_count(1)
    faultless()
    page.get_by_label("transformer").check()
    page.get_by_role("button", name="Move the run").click()
    expect(page.get_by_text("belongs to “transformer” now")).to_be_visible()
    expect(page.get_by_role("link", name="transformer")).to_be_visible()


def test_params_are_copied_and_packages_searched(visit, run, faultless):
    page = visit("run-detail", run.pk)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="YAML").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text == "betas:\n- 0.9\n- 0.999\nlr: 0.1\n"
    for summary in page.locator("summary").all():
        summary.click()
    faultless()
    page.get_by_label("Search packages").fill("package-2")
    expect(page.locator("filter-lines .line:visible")).to_have_count(11)
    expect(page.locator("filter-lines [role=status]")).to_have_text("11 shown")


def test_of_a_long_traceback_its_end_is_seen_first(visit, run):
    lines = "\n".join(f"  File 'x.py', line {n}" for n in range(300))
    recording.finish_run(run=run, status="failed", error=f"Traceback\n{lines}\nValueError: nan")
    page = visit("run-detail", run.pk)
    box = page.get_by_label("Error", exact=True).last
    above, height = box.evaluate(
        "e => { const r = document.createRange(); r.selectNodeContents(e);"
        "const rects = [...r.getClientRects()];"
        "return [rects.at(-1).bottom - e.getBoundingClientRect().bottom, e.scrollHeight]; }"
    )
    assert height > 1000
    assert -40 < above <= 0


def test_without_a_script_a_run_is_edited_on_pages_of_its_own(
    scriptless, gunicorn_server, alice, run
):
    plain = scriptless
    enter(plain, gunicorn_server.url, alice)
    plain.goto(f"{gunicorn_server.url}/runs/{run.pk}/")
    plain.get_by_role("link", name="Rename").click()
    plain.get_by_label("Name", exact=True).fill("plain")
    plain.get_by_role("button", name="Save").click()
    expect(plain.get_by_role("heading", level=1, name="plain")).to_be_visible()
    plain.get_by_role("link", name="Edit notes").click()
    plain.get_by_role("textbox", name="Notes").fill("**new**")
    plain.get_by_role("button", name="Preview").click()
    expect(plain.locator("#preview strong")).to_have_text("new")
    plain.get_by_role("button", name="Save notes").click()
    expect(plain.get_by_role("region", name="Notes").locator("strong")).to_have_text("new")
    plain.get_by_role("link", name="Edit tags").click()
    plain.get_by_role("button", name="Remove stage").click()
    expect(plain.get_by_role("button", name="Remove stage")).to_have_count(0)
    plain.get_by_role("link", name="Done").click()
    expect(plain.get_by_role("link", name="Add tag")).to_be_visible()
    plain.get_by_role("button", name="Trash this run").click()
    plain.get_by_role("button", name="Undo").click()
    expect(plain.get_by_role("heading", level=1, name="plain")).to_be_visible()


# --- Settings --------------------------------------------------------------------------------


@pytest.fixture
def experiment(alice) -> Experiment:
    return recording.create_experiment(user=alice, name="digits", description="Why?")


def test_settings_are_saved_and_a_taken_name_loses_nothing(visit, alice, experiment, faultless):
    recording.create_experiment(user=alice, name="taken")
    page = visit("experiment-detail", experiment.pk)
    page.get_by_role("link", name="Settings").click()
    faultless()
    general = page.locator("#general")
    general.get_by_label("Name", exact=True).fill("taken")
    general.get_by_label("Description").fill("**Because**")
    page.get_by_role("button", name="Preview the description").click()
    expect(page.locator("#preview strong")).to_have_text("Because")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is in use. Choose another one.")).to_be_visible()
    expect(general.get_by_label("Description")).to_have_value("**Because**")
    faultless()
    general.get_by_label("Name", exact=True).fill("numbers")
    page.get_by_label("Private: only").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page).to_have_title("Settings of numbers · ExpTrack")
    assert Experiment.objects.get(name="numbers").visibility == "private"


def test_people_are_completed_let_in_and_let_out(visit, charlie, experiment, faultless):
    page = visit("experiment-settings", experiment.pk)
    people = page.locator("#people")
    people.get_by_label("User name").press_sequentially("char")
    expect(page.locator("#people-names option")).to_have_count(1)
    people.get_by_label("User name").fill("charlie")
    page.get_by_role("button", name="Let in").click()
    expect(people.get_by_label("What charlie is")).to_have_value("viewer")
    faultless()
    with replaced(people):
        people.get_by_label("What charlie is").select_option("editor")
    expect(people.get_by_label("What charlie is")).to_have_value("editor")
    assert experiment.collaborators.get().role == "editor"
    page.get_by_role("button", name="Remove charlie").click()
    expect(people.get_by_label("What charlie is")).to_have_count(0)
    people.get_by_label("User name").fill("nobody")
    page.get_by_role("button", name="Let in").click()
    expect(page.get_by_text("There is no such user.")).to_be_visible()
    expect(people.get_by_label("User name")).to_have_value("nobody")


# --- The trash -------------------------------------------------------------------------------


def test_an_experiment_is_trashed_searched_and_restored(visit, alice, experiment, faultless):
    page = visit("experiment-settings", experiment.pk)
    page.get_by_role("button", name="Move to the trash").click()
    expect(page.get_by_text("and its runs are in the trash.")).to_be_visible()
    recording.create_experiment(user=alice, name="digits")
    page.get_by_role("button", name="Menu of alice").click()
    page.get_by_role("link", name="Trash").click()
    page.get_by_role("searchbox").press_sequentially("digi")
    expect(page).to_have_url(re.compile(r"\?search=digi$"))
    faultless()
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.locator(".empty")).to_contain_text("Nothing matches")
    page.go_back()
    page.get_by_role("button", name="Restore digits").click()
    expect(page.get_by_text("is in use. Choose another one.")).to_be_visible()
    faultless()
    page.get_by_label("Name").fill("digits, older")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("heading", level=1, name="digits, older")).to_be_visible()


def test_an_admin_empties_the_trash_and_sees_how_far_it_is(
    visit, page, gunicorn_server, alice, ada, faultless
):
    experiment = Experiment.objects.create(owner=alice, name="large")
    Run.objects.bulk_create(
        Run(experiment=experiment, owner=alice, name=f"run {n}") for n in range(4500)
    )
    curating.trash_experiment(user=alice, experiment=experiment)
    enter(page, gunicorn_server.url, ada)
    visit("trash")
    page.get_by_role("link", name="Empty the trash").click()
    expect(page.locator(".facts")).to_contain_text("4,500")
    faultless()
    # The page goes on by itself: here not before it was looked at.
    held, was_seen = [], False

    def hold(route):
        if was_seen or "done=0" in route.request.post_data:
            route.continue_()
        else:
            held.append(route)

    page.route("**/purge/", hold)
    page.get_by_role("button", name="Delete for good").click()
    expect(
        page.get_by_role("heading", name=re.compile("runs deleted, this is left"))
    ).to_be_visible()
    was_seen = True
    for route in held:
        route.continue_()
    expect(page.get_by_text("Purged for good: 4,500 runs.")).to_be_visible()
    assert not Experiment.objects.exists()


# --- Signed out in the middle ------------------------------------------------------------------


def test_signed_out_in_the_middle_nothing_typed_is_lost(visit, alice, run, faultless):
    page = visit("run-detail", run.pk)
    page.get_by_role("link", name="Edit notes").click()
    notes = page.get_by_role("textbox", name="Notes")
    notes.fill("An hour's work")
    Session.objects.all().delete()
    page.get_by_role("button", name="Save notes").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    expect(notes).to_have_value("An hour's work")
    faultless()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    tab = opened.value
    tab.get_by_label("User name").fill("alice")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="You are signed in")).to_be_visible()
    tab.close()
    page.bring_to_front()
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(page.get_by_text("You are signed in again. Send it once more.")).to_be_visible()
    page.get_by_role("button", name="Save notes").click()
    expect(page.get_by_role("region", name="Notes").get_by_text("An hour's work")).to_be_visible()
    assert Run.objects.get().notes == "An hour's work"


def test_a_page_that_was_open_while_somebody_signed_in_anew_goes_on(visit, alice, run):
    page = visit("run-detail", run.pk)
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("Name", exact=True).fill("kept")
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Send it once more.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1, name="kept")).to_be_visible()

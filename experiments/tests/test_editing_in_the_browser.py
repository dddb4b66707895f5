"""Correcting, sharing and tidying as people do it: scripts, both themes, a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from experiments import curating, recording
from experiments.models import Run

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
    tags = page.get_by_role("region", name="Tags")
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


def test_without_a_script_a_run_is_edited_on_pages_of_its_own(visit, browser, page, run):
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(page.context.cookies())
    visit("run-detail", run.pk)
    plain = context.new_page()
    plain.goto(page.url)
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
    plain.get_by_role("link", name="Done").click()
    expect(plain.get_by_role("link", name="Add tag")).to_be_visible()
    plain.get_by_role("button", name="Trash this run").click()
    plain.get_by_role("button", name="Undo").click()
    expect(plain.get_by_role("heading", level=1, name="plain")).to_be_visible()
    context.close()

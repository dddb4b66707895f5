"""What a list's answer must not take away, in a browser: the focus, and that one hears of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from experiments.models import Experiment
from experiments.tests.browsing import replaced, rows
from experiments.tests.crowds import crowd


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits")


def said(page):
    """What a screen reader is told of the list."""
    return page.locator("#list-said")


def test_paging_by_keyboard_keeps_the_focus_to_the_last_page_and_tells_how_far_one_is(
    visit, alice, experiment
):
    crowd(experiment, alice, 120, metrics=())
    page = visit("experiment-detail", experiment.pk, query="?limit=50")
    further = page.get_by_role("link", name="Next")
    with replaced(rows(page).first):
        further.press("Enter")
    expect(further).to_be_focused()
    with replaced(rows(page).first):
        page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(20)
    expect(further).to_have_count(0)
    expect(page.get_by_role("region", name="Table of runs")).to_be_focused()
    expect(said(page)).to_have_text("20 of 120 runs")


def test_that_nothing_matches_is_told(visit, alice, experiment):
    crowd(experiment, alice, 3, metrics=())
    page = visit("experiment-detail", experiment.pk)
    page.get_by_role("combobox", name="Search").fill("nowhere")
    expect(said(page)).to_have_text("No run matches")
    expect(page.get_by_role("combobox", name="Search")).to_be_focused()


def test_a_fault_is_told_where_one_listens_already(visit, alice, experiment):
    crowd(experiment, alice, 3, metrics=())
    page = visit("experiment-detail", experiment.pk)
    page.evaluate("document.getElementById('query-fault').dataset.same = 'place'")
    search = page.get_by_role("combobox", name="Search")
    fault = page.locator("#query-fault[data-same]")
    search.fill("statsu = running")
    expect(fault).to_contain_text("Did you mean status?")
    search.fill("status = running or")
    expect(fault).to_contain_text("ends")
    search.fill("status = finished")
    expect(fault).to_be_empty()


def test_who_takes_runs_out_of_a_comparison_stays_among_them(visit, alice, experiment):
    runs = crowd(experiment, alice, 4, metrics=())
    page = visit("compare", query="?" + "&".join(f"run={run.pk}" for run in runs))
    away = page.locator(".compared-chips").get_by_role("button")
    away.nth(1).press("Enter")
    expect(away).to_have_count(3)
    expect(away.nth(1)).to_be_focused()
    away.nth(2).press("Enter")
    expect(away).to_have_count(2)
    expect(away.nth(1)).to_be_focused()


def test_what_was_done_to_picked_runs_leaves_the_focus_in_the_table(visit, alice, experiment):
    crowd(experiment, alice, 4, metrics=())
    page = visit("experiment-detail", experiment.pk)
    rows(page).first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Move to trash").press("Enter")
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_role("region", name="Table of runs")).to_be_focused()
    expect(page.locator("#messages")).to_contain_text("moved to the trash")

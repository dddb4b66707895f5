"""Picking runs in the table, and the keyboard, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from experiments.models import Experiment, Run, Tag
from experiments.tests.browsing import held, rows
from experiments.tests.crowds import crowd
from exptrack.tests.browser import enter


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits")


@pytest.fixture
def table(visit, alice, experiment):
    """The page of 70 runs, 50 on the first page, oldest first."""
    crowd(experiment, alice, 70, metrics=("val/loss",))
    return visit("experiment-detail", experiment.pk, query="?limit=50&ordering=started")


@pytest.fixture
def short_table(visit, alice, experiment):
    """The page of five runs."""
    crowd(experiment, alice, 5, metrics=("val/loss",))
    return visit("experiment-detail", experiment.pk)


def pick(page, *numbers):
    for number in numbers:
        rows(page).nth(number).get_by_role("checkbox").check()


def count(page):
    return page.locator("[data-count]")


def sent_runs(page):
    """How many runs the tray's form would send."""
    return page.locator("#picked").evaluate("form => new FormData(form).getAll('run').length")


def test_what_is_ticked_before_the_script_is_there_stays_ticked(
    page, gunicorn_server, alice, experiment, here
):
    crowd(experiment, alice, 5, metrics=())
    url = gunicorn_server.url + here
    [script] = held(page, "**/pick-tray*.js", 1, lambda: page.goto(url, wait_until="commit"))
    first = rows(page).first.get_by_role("checkbox")
    first.check()
    script.continue_()
    expect(count(page)).to_have_text("1")
    expect(first).to_be_checked()
    pick(page, 2)
    page.reload()
    expect(count(page)).to_have_text("2")


def test_all_that_match_are_picked_past_the_page(table, experiment):
    expected = Run.objects.filter(status="finished").count()
    assert expected > 50
    table.get_by_label("Status").select_option("finished")
    expect(table).to_have_url(re.compile("status=finished"))
    expect(table.get_by_role("button", name="that match")).to_have_count(0)
    table.get_by_label("Select all rows of this page").check()
    expect(count(table)).to_have_text("50")
    table.get_by_role("button", name=f"Select all {expected} that match").click()
    expect(count(table)).to_have_text(str(expected))
    expect(table.get_by_role("button", name="that match")).to_have_count(0)
    assert sent_runs(table) == expected
    table.get_by_role("button", name="Move to trash").click()
    expect(table.get_by_text(f"{expected} runs moved to the trash.")).to_be_visible()
    assert not Run.objects.filter(status="finished", trashed_at=None).exists()
    table.get_by_role("button", name="Undo").click()
    expect(table.get_by_text(f"{expected} runs restored.")).to_be_visible()


def test_what_is_picked_survives_paging_sorting_and_a_reload(table):
    pick(table, 0, 2)
    expect(table.locator("[data-said]")).to_have_text("2 runs selected")
    table.get_by_role("link", name="Next").click()
    expect(rows(table)).to_have_count(20)
    pick(table, 1, 2, 3)
    expect(count(table)).to_have_text("5")
    table.get_by_role("columnheader", name="Name").get_by_role("link").click()
    expect(table).to_have_url(re.compile("ordering=name"))
    expect(count(table)).to_have_text("5")
    assert sent_runs(table) == 5
    table.reload()
    expect(count(table)).to_have_text("5")
    assert sent_runs(table) == 5
    table.get_by_role("button", name="5 selected").click()
    table.get_by_role("list", name="Selected runs").get_by_role("button").first.click()
    expect(count(table)).to_have_text("4")
    table.keyboard.press("Escape")
    table.get_by_role("button", name="Clear the selection").click()
    expect(table.locator("pick-tray")).not_to_be_visible()
    expect(table.locator("[name=run]:checked")).to_have_count(0)


def test_five_runs_of_two_pages_are_compared(table):
    pick(table, 0, 1, 2)
    table.get_by_role("link", name="Next").click()
    expect(rows(table)).to_have_count(20)
    pick(table, 0, 1)
    names = set(table.locator("[data-names] [data-name]").all_text_contents())
    assert len(names) == 5
    table.keyboard.press("c")
    expect(table).to_have_url(re.compile(r"/compare/\?run=[^&]+(&run=[^&]+){4}$"))
    for name in names:
        expect(table.get_by_role("link", name=name).first).to_be_visible()


def test_more_than_can_be_compared_are_not_sent(visit, alice, experiment):
    crowd(experiment, alice, 120, metrics=())
    page = visit("experiment-detail", experiment.pk, query="?limit=200")
    page.get_by_label("Select all rows of this page").check()
    expect(count(page)).to_have_text("120")
    compare = page.locator("[data-compare]")
    expect(compare).to_have_attribute("aria-disabled", "true")
    expect(compare).to_have_attribute("title", "At most 100 runs can be compared")
    assert compare.get_attribute("href") is None


def test_going_back_finds_what_is_picked(table, visit, experiment):
    pick(table, 0)
    rows(table).nth(1).get_by_role("link").click()
    expect(table.locator("h1")).not_to_have_text("digits")
    table.go_back()
    expect(count(table)).to_have_text("1")
    expect(rows(table).nth(0).get_by_role("checkbox")).to_be_checked()


def test_another_experiment_has_a_selection_of_its_own(table, visit, alice):
    pick(table, 0, 1)
    other = Experiment.objects.create(owner=alice, name="other")
    crowd(other, alice, 2)
    page = visit("experiment-detail", other.pk)
    expect(page.locator("pick-tray")).not_to_be_visible()


def test_a_page_and_a_stretch_are_picked_at_once(table):
    page_box = table.get_by_label("Select all rows of this page")
    page_box.check()
    expect(count(table)).to_have_text("50")
    rows(table).nth(3).get_by_role("checkbox").uncheck()
    assert page_box.evaluate("box => box.indeterminate")
    page_box.check()
    page_box.uncheck()
    expect(table.locator("pick-tray")).not_to_be_visible()
    rows(table).nth(10).get_by_role("checkbox").click()
    rows(table).nth(14).get_by_role("checkbox").click(modifiers=["Shift"])
    expect(count(table)).to_have_text("5")


def test_runs_of_two_pages_are_tagged_without_leaving(table):
    pick(table, 0)
    table.get_by_role("link", name="Next").click()
    expect(rows(table)).to_have_count(20)
    pick(table, 0)
    table.get_by_role("button", name="Tag", exact=True).click()
    tag = table.get_by_label("Tag", exact=True)
    expect(tag).to_be_focused()
    tag.fill("baseline")
    tag.press("Enter")
    expect(table.get_by_text("2 runs tagged “baseline”.")).to_be_visible()
    expect(tag).not_to_be_visible()
    expect(rows(table)).to_have_count(20)
    assert Tag.objects.filter(name="baseline").count() == 2
    expect(count(table)).to_have_text("2")


def test_runs_go_to_the_trash_and_come_back(table):
    pick(table, 0, 1)
    table.get_by_role("button", name="Move to trash").click()
    expect(table.get_by_text("2 runs moved to the trash.")).to_be_visible()
    expect(table.locator("pick-tray")).not_to_be_visible()
    assert Run.objects.filter(trashed_at=None).count() == 68
    table.get_by_role("button", name="Undo").click()
    expect(table.get_by_text("2 runs restored.")).to_be_visible()
    assert Run.objects.filter(trashed_at=None).count() == 70


def test_the_keyboard_is_enough(short_table):
    table = short_table
    table.keyboard.press("j")
    expect(rows(table).nth(0).get_by_role("link")).to_be_focused()
    table.keyboard.press("x")
    for key in "jjk":
        table.keyboard.press(key)
    table.keyboard.press("x")
    expect(count(table)).to_have_text("2")
    expect(rows(table).nth(1).get_by_role("checkbox")).to_be_checked()
    table.keyboard.press("/")
    search = table.locator('[data-shortcut="/"]')
    expect(search).to_be_focused()
    search.press_sequentially("xj?")
    expect(search).to_have_value("xj?")
    expect(table.locator("#shortcuts")).not_to_be_visible()
    table.locator("body").evaluate("() => document.activeElement.blur()")
    table.keyboard.press("?")
    expect(table.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    table.keyboard.press("j")
    table.get_by_label("Use these keys in this browser").uncheck()
    table.keyboard.press("Escape")
    table.keyboard.press("/")
    expect(search).not_to_be_focused()
    table.get_by_role("button", name="Menu of alice").click()
    table.get_by_role("button", name="Keyboard shortcuts").click()
    table.get_by_label("Use these keys in this browser").check()
    table.get_by_role("button", name="Close").click()
    table.locator("body").evaluate("() => document.activeElement.blur()")
    table.keyboard.press("/")
    expect(search).to_be_focused()


def test_every_key_of_the_help_is_one_that_works_here(short_table):
    table = short_table
    told = table.locator("#shortcuts kbd").all_text_contents()
    assert set(told) >= set("/jkxc?")


def test_a_page_with_runs_picked_is_faultless(short_table, faultless):
    table = short_table
    pick(table, 0, 1, 2)
    faultless()
    table.get_by_role("button", name="Tag", exact=True).click()
    faultless()


def test_on_a_phone_the_tray_stands_at_the_foot(short_table):
    table = short_table
    table.set_viewport_size({"width": 390, "height": 800})
    pick(table, 0)
    box = table.locator("pick-tray").bounding_box()
    assert abs(box["y"] + box["height"] - 800) < 2
    assert box["width"] == 390
    assert table.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_a_script_the_rows_of_a_page_are_picked(
    scriptless, gunicorn_server, alice, experiment
):
    crowd(experiment, alice, 5, metrics=())
    page = scriptless
    enter(page, gunicorn_server.url, alice)
    page.goto(f"{gunicorn_server.url}/experiments/{experiment.pk}/?ordering=name")
    pick(page, 0, 1)
    expect(page.get_by_label("Select all rows of this page")).not_to_be_visible()
    page.get_by_role("button", name="Move to trash").click()
    expect(rows(page)).to_have_count(3)
    expect(page).to_have_url(re.compile(r"\?ordering=name$"))
    page.get_by_role("button", name="Undo").click()
    expect(rows(page)).to_have_count(5)


# --- Experiments -----------------------------------------------------------------------------


@pytest.fixture
def listed(visit, alice, charlie):
    """The list of sixty experiments, fifty on the first page, one of them Charlie's."""
    Experiment.objects.create(owner=charlie, name="aa")
    Experiment.objects.bulk_create(Experiment(owner=alice, name=f"b{n:02}") for n in range(59))
    return visit("experiment-list", query="?ordering=name")


def test_experiments_of_two_pages_are_archived_at_once(listed, faultless):
    pick(listed, 1, 2)
    listed.get_by_role("link", name="Next").click()
    expect(rows(listed)).to_have_count(10)
    pick(listed, 0)
    expect(listed.locator("[data-said]")).to_have_text("3 experiments selected")
    faultless()
    listed.get_by_role("button", name="Archive").click()
    expect(listed.get_by_text("3 experiments archived.")).to_be_visible()
    expect(listed.locator("pick-tray")).not_to_be_visible()
    expect(rows(listed).first).to_contain_text("Archived")
    expect(rows(listed)).to_have_count(10)
    assert Experiment.objects.filter(status="archived").count() == 3


def test_all_experiments_that_match_go_to_the_trash_and_come_back(listed):
    listed.get_by_label("Select all rows of this page").check()
    listed.get_by_role("button", name="Select all 60 that match").click()
    expect(count(listed)).to_have_text("60")
    rows(listed).filter(has_text="aa").get_by_role("checkbox").uncheck()
    listed.get_by_role("button", name="Move to trash").click()
    expect(listed.get_by_text("59 experiments moved to the trash.")).to_be_visible()
    expect(rows(listed)).to_have_count(1)
    listed.get_by_role("button", name="Undo").click()
    expect(listed.get_by_text("59 experiments restored.")).to_be_visible()
    assert not Experiment.objects.exclude(trashed_at=None).exists()


def test_the_list_of_experiments_says_what_it_left_alone(listed):
    listed.keyboard.press("j")
    listed.keyboard.press("x")
    listed.keyboard.press("j")
    listed.keyboard.press("x")
    listed.get_by_role("button", name="Complete").click()
    expect(listed.get_by_text("1 experiment completed.")).to_be_visible()
    expect(listed.get_by_text("1 experiment left alone")).to_be_visible()


def test_without_a_script_experiments_are_picked_too(browser, gunicorn_server, alice):
    Experiment.objects.create(owner=alice, name="digits")
    page = browser.new_context(java_script_enabled=False).new_page()
    enter(page, gunicorn_server.url, alice)
    page.goto(gunicorn_server.url)
    pick(page, 0)
    page.get_by_role("button", name="Archive").click()
    expect(rows(page)).to_contain_text("Archived")

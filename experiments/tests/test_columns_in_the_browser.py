"""Choosing columns, and keeping views, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from experiments.models import Experiment, SavedView
from experiments.tests.browsing import held, rows
from experiments.tests.crowds import crowd
from exptrack.tests.browser import enter


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 12, metrics=("val/loss", "val/accuracy"))
    return found


@pytest.fixture
def table(visit, experiment):
    return visit("experiment-detail", experiment.pk, query="?columns=name,params.lr,owner,status")


@pytest.fixture
def chooser(table):
    table.get_by_role("link", name="Columns").click()
    drawer = table.get_by_role("dialog", name="Columns")
    expect(drawer).to_be_visible()
    return drawer


def expect_heads(page, *heads):
    expect(page.locator("thead th")).to_have_text(heads)


def lines(chooser):
    return chooser.locator("[data-chosen] [data-label]")


def show(page, chooser):
    chooser.get_by_role("button", name="Show these columns").click()
    expect(chooser).not_to_be_visible()


def test_columns_are_added_left_out_and_put_in_order(table, chooser):
    chooser.get_by_role("searchbox").press_sequentially("acc")
    expect(chooser.get_by_label("lr", exact=True)).to_have_count(1)
    expect(chooser.locator("#found-columns input")).to_have_count(4)
    chooser.get_by_label("val/accuracy, max").check(force=True)
    expect(lines(chooser)).to_have_text(["lr", "Owner", "Status", "val/accuracy (max)"])
    for _ in range(2):
        chooser.get_by_role("button", name="Move val/accuracy (max) up").click()
    expect(chooser.locator("[data-said]")).to_have_text("Place 2 of 4")
    chooser.get_by_label("Owner", exact=True).uncheck()
    show(table, chooser)
    expect_heads(table, "Name", "lr", "val/accuracy (max)", "Status")
    expect(table).to_have_url(
        re.compile(r"\?columns=name,params\.lr,metrics\.val%2Faccuracy\.max,status$")
    )
    table.go_back()
    expect_heads(table, "Name", "lr", "Owner", "Status")


def test_a_column_is_dragged_to_its_place(table, chooser):
    line = chooser.locator(".column-line")
    line.nth(2).drag_to(line.nth(0), target_position={"x": 20, "y": 3})
    expect(lines(chooser)).to_have_text(["Status", "lr", "Owner"])
    show(table, chooser)
    expect(table.locator("thead th").nth(1)).to_have_text("Status")


def test_the_keyboard_moves_columns(table, chooser):
    chooser.get_by_label("lr", exact=True).focus()
    table.keyboard.press("Alt+ArrowDown")
    table.keyboard.press("Alt+ArrowDown")
    table.keyboard.press("Alt+ArrowDown")
    expect(lines(chooser)).to_have_text(["Owner", "Status", "lr"])
    expect(chooser.get_by_label("lr", exact=True)).to_be_focused()
    table.keyboard.press("Escape")
    expect(chooser).not_to_be_visible()


def test_sorting_keeps_the_columns_and_the_chooser_knows_the_new_order(table, chooser):
    table.keyboard.press("Escape")
    table.get_by_role("columnheader", name="Owner").get_by_role("link").click()
    expect(table).to_have_url(re.compile("ordering=owner"))
    table.get_by_role("link", name="Columns").click()
    chooser.get_by_role("link", name="Reset to the usual ones").click()
    expect(table).to_have_url(re.compile(r"/\?ordering=owner$"))
    expect(table.get_by_role("columnheader", name="val/loss")).to_be_visible()


def test_the_chooser_is_faultless(table, chooser, faultless, visit, experiment):
    faultless()
    visit("experiment-columns", experiment.pk, query="?find=zzz")
    faultless()


def test_without_a_script_it_is_a_plain_form(scriptless, gunicorn_server, alice, experiment):
    page = scriptless
    enter(page, gunicorn_server.url, alice)
    page.goto(f"{gunicorn_server.url}/experiments/{experiment.pk}/?columns=params.lr,owner")
    page.get_by_role("link", name="Columns").click()
    page.get_by_role("searchbox").fill("accuracy")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("val/loss, mean")).to_have_count(0)
    page.get_by_label("val/accuracy, mean").check(force=True)
    page.get_by_role("button", name="Move Owner up").click()
    expect(lines(page)).to_have_text(["Owner", "lr", "val/accuracy (mean)"])
    page.get_by_role("button", name="Show these columns").click()
    expect_heads(page, "Name", "Owner", "lr", "val/accuracy (mean)")
    expect(rows(page)).to_have_count(12)


def test_one_filters_sorts_chooses_columns_and_keeps_it_as_a_view(visit, experiment):
    page = visit("experiment-detail", experiment.pk)
    page.get_by_label("Status").select_option("finished")
    expect(page).to_have_url(re.compile(r"\?status=finished$"))
    page.get_by_role("columnheader", name="val/loss").get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"\?status=finished&ordering=metrics\.val"))
    page.get_by_role("link", name="Columns").click()
    chooser = page.get_by_role("dialog", name="Columns")
    chooser.get_by_label("seed", exact=True).uncheck()
    chooser.get_by_label("Started", exact=True).uncheck()
    show(page, chooser)
    expect(page.get_by_role("columnheader", name="seed")).to_have_count(0)
    menu = page.locator("[popovertarget=views]")
    menu.click()
    page.get_by_label("Save this as a view").fill("Best finished")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("The view “Best finished” is saved.")).to_be_visible()
    expect(menu).to_have_text("Best finished")
    page.get_by_label("Status").select_option("failed")
    expect(menu).to_have_text("Best finished, changed")
    menu.click()
    page.get_by_role("link", name="All runs").click()
    expect(page.get_by_role("columnheader", name="seed")).to_have_count(1)
    expect(menu).to_have_text("All runs")
    menu.click()
    page.get_by_role("link", name="Best finished", exact=True).click()
    expect(page.get_by_label("Status")).to_have_value("finished")
    expect(page.get_by_role("columnheader", name="seed")).to_have_count(0)


def test_what_is_asked_before_an_answer_comes_is_added_to_what_was_asked(visit, alice, experiment):
    crowd(experiment, alice, 50, metrics=("val/loss",), seed=2)
    page = visit("experiment-detail", experiment.pk)
    list_of_runs = re.compile(rf"/experiments/{experiment.pk}/\?")
    changes = [
        lambda: page.get_by_label("Status").select_option("finished"),
        page.get_by_role("columnheader", name="val/loss").get_by_role("link").click,
        page.get_by_role("link", name="50", exact=True).click,
        lambda: page.get_by_role("combobox", name="Search").fill("-"),
    ]
    for change in changes:
        last = held(page, list_of_runs, 1, change)[0]
    last.continue_()
    whole = re.compile(r"\?(?=.*q=-)(?=.*status=finished)(?=.*ordering=metrics.val)(?=.*limit=50)")
    expect(page).to_have_url(whole)
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_label("Status")).to_have_value("finished")
    expect(page.get_by_role("columnheader", name="val/loss")).to_have_attribute(
        "aria-sort", "ascending"
    )
    held(page, list_of_runs, 1, lambda: page.get_by_label("Status").select_option("failed"))
    page.get_by_role("link", name="Charts").click()
    expect(page).to_have_url(re.compile(r"\?(?=.*q=-)(?=.*status=failed)(?=.*view=charts)"))


def test_what_a_script_changed_in_the_address_is_kept_too(visit, experiment):
    page = visit("experiment-detail", experiment.pk, query="?status=finished")
    page.evaluate("history.replaceState(null, '', '?status=finished&smoothing=0.6')")
    page.locator("[popovertarget=views]").click()
    page.get_by_label("Save this as a view").fill("Smooth")
    page.get_by_role("button", name="Save view").click()
    expect(page).to_have_url(re.compile(r"\?status=finished&smoothing=0.6&saved="))


def test_the_menu_of_views_is_faultless(visit, alice, experiment, faultless):
    for name in ("mine", "n" * 200):
        SavedView.objects.create(experiment=experiment, owner=alice, name=name, shared=True)
    page = visit("experiment-detail", experiment.pk)
    page.locator("[popovertarget=views]").click()
    faultless()
    visit("view-edit", experiment.pk, SavedView.objects.first().pk)
    faultless()

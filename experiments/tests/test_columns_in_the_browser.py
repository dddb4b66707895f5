"""Choosing columns in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from experiments.models import Experiment
from experiments.tests.browsing import enter, rows
from experiments.tests.crowds import crowd


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 60, metrics=("val/loss", "val/accuracy"))
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


def test_without_a_script_it_is_a_plain_form(browser, gunicorn_server, alice, experiment):
    page = browser.new_context(java_script_enabled=False).new_page()
    enter(page, gunicorn_server.url, alice)
    page.goto(f"{gunicorn_server.url}/experiments/{experiment.pk}/?columns=params.lr,owner")
    page.get_by_role("link", name="Columns").click()
    page.get_by_role("searchbox").fill("accuracy")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("val/accuracy, mean").check(force=True)
    page.get_by_role("button", name="Move Owner up").click()
    page.get_by_role("button", name="Show these columns").click()
    expect_heads(page, "Name", "Owner", "lr", "val/accuracy (mean)")
    expect(rows(page)).to_have_count(60)

"""Writing a query over an experiment's runs, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from experiments import appending, recording
from experiments.models import Experiment
from experiments.storing import Columns
from experiments.tests.browsing import held, replaced, rows

FIELD = "Search by words of the name, or by a filter"


@pytest.fixture
def experiment(alice) -> Experiment:
    for name, lr in (("low adam", 0.001), ("middle adam", 0.01), ("high sgd", 0.1)):
        run, _ = recording.start_run(
            user=alice, experiment="digits", name=name, params={"lr": lr}, tags={"stage": "a b"}
        )
        columns = {"val/loss": Columns(values=[lr], steps=[0])}
        appending.append(user=alice, run_id=run.pk, metrics=columns)
    return Experiment.objects.get()


@pytest.fixture
def page(visit, experiment) -> Page:
    return visit("experiment-detail", experiment.pk)


def field(page: Page):
    return page.get_by_role("combobox", name=FIELD)


def options(page: Page):
    return page.get_by_role("listbox", name="What could come next").get_by_role("option")


def test_a_query_is_put_together_by_keys_alone(page):
    page.keyboard.press("/")
    expect(field(page)).to_be_focused()
    page.keyboard.type("val")
    expect(options(page)).to_have_text([re.compile("metrics.val/loss")])
    expect(field(page)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    chosen = options(page).first
    expect(chosen).to_have_attribute("aria-selected", "true")
    expect(field(page)).to_have_attribute("aria-activedescendant", chosen.get_attribute("id"))
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("metrics.val/loss ")
    expect(options(page).first).to_contain_text("=")
    page.keyboard.type("< 0.05")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?q=metrics.val(/|%2F)loss(\+|%20)%3C(\+|%20)0.05$"))
    page.keyboard.type(" and stag")
    expect(options(page)).to_have_text([re.compile("tags.stage")])
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.type("= ")
    expect(options(page)).to_have_text([re.compile('"a b"')])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value('metrics.val/loss < 0.05 and tags.stage = "a b" ')
    expect(rows(page)).to_have_count(2)
    expect(field(page)).to_be_focused()


def test_escape_closes_the_list_and_keeps_the_text(page):
    field(page).press_sequentially("lr")
    expect(options(page)).not_to_have_count(0)
    page.keyboard.press("Escape")
    expect(options(page)).to_have_count(0)
    expect(field(page)).to_have_value("lr")
    expect(field(page)).to_have_attribute("aria-expanded", "false")


def test_an_option_is_taken_by_a_press_in_the_middle_of_the_text(page):
    field(page).fill("params. > 0.05")
    for _ in range(len(" > 0.05")):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    options(page).get_by_text("params.lr").click()
    expect(field(page)).to_have_value("params.lr > 0.05")
    expect(rows(page)).to_have_count(1)


def test_what_is_chosen_stays_so_when_the_answer_to_a_later_key_comes(page):
    completed = re.compile("/complete/")
    field(page).press_sequentially("va")
    expect(options(page)).to_have_text([re.compile("metrics.val/loss")])
    [answer] = held(page, completed, 1, lambda: page.keyboard.type("l"))
    page.keyboard.press("ArrowDown")
    with replaced(options(page).first):
        answer.continue_()
    expect(options(page).first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("metrics.val/loss ")


def test_what_was_offered_for_another_place_of_the_text_is_not_offered_here(page):
    field(page).press_sequentially("params.lr ")
    expect(options(page)).not_to_have_count(0)
    page.keyboard.press("ArrowLeft")
    expect(options(page)).to_have_count(0)


def test_a_fault_is_shown_under_the_field_and_the_runs_stay(page):
    field(page).fill("adam")
    expect(rows(page)).to_have_count(2)
    field(page).fill("adam = 3")
    fault = page.locator("#query-fault")
    expect(fault).to_contain_text("There is no field “adam”")
    expect(fault.locator("mark")).to_have_text("adam")
    expect(rows(page)).to_have_count(2)
    expect(field(page)).to_have_attribute("aria-invalid", "true")
    expect(page).to_have_url(re.compile(r"\?q=adam$"))
    field(page).fill("sgd")
    expect(rows(page)).to_have_count(1)
    expect(fault).to_be_empty()
    expect(field(page)).to_have_attribute("aria-invalid", "false")


def test_help_is_a_press_away(page):
    page.get_by_role("button", name="How to filter").click()
    expect(page.get_by_text("names with spaces go in backticks")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("names with spaces go in backticks")).to_be_hidden()

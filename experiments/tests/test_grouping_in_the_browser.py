"""Choosing what to group by, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from experiments import recording
from experiments.models import Experiment
from experiments.tests.browsing import expect_of

SCROLLED = "element => element.scrollTop > 0"


@pytest.fixture
def experiment(alice) -> Experiment:
    layers = {f"layer/{number:02}/width": number for number in range(30)}
    for seed in range(3):
        params = {"lr": 0.1, "optimizer": "sgd", "seed": seed, **layers}
        run, _ = recording.start_run(user=alice, experiment="digits", params=params)
    return run.experiment


@pytest.fixture
def page(visit, experiment):
    page = visit("experiment-detail", experiment.pk)
    page.evaluate("document.body.dataset.same = 'page'")
    return page


def open_menu(page, key=None):
    button = page.get_by_role("button", name="Group")
    button.press(key) if key else button.click()
    menu = page.locator("#group-by")
    expect(menu.get_by_role("list", name="Group by")).to_be_visible()
    return menu


def choose(menu, name):
    menu.get_by_role("link", name=name, exact=True).click()


def chosen(menu):
    return menu.locator("li > a[aria-current]")


def test_the_menu_stays_open_while_several_are_chosen(page, faultless):
    menu = open_menu(page)
    choose(menu, "lr")
    expect(chosen(menu)).to_have_text(["lr"])
    choose(menu, "optimizer")
    expect(chosen(menu)).to_have_text(["lr", "optimizer"])
    expect(page).to_have_url(re.compile(r"group=params\.lr,params\.optimizer$"))
    expect(page.locator("thead")).to_contain_text(re.compile(r"lr.*optimizer"))
    faultless()
    chosen(menu).first.click()
    expect(chosen(menu)).to_have_text(["optimizer"])
    assert page.evaluate("document.body.dataset.same") == "page"
    page.go_back()
    expect(page.locator("thead")).to_contain_text(re.compile(r"lr.*optimizer"))
    expect(page.get_by_role("heading", name="digits")).to_be_visible()


def test_the_keyboard_chooses_several_and_never_loses_its_place(page):
    menu = open_menu(page, "Enter")
    optimizer = menu.get_by_role("link", name="optimizer", exact=True)
    optimizer.focus()
    expect_of(menu.get_by_role("list"), SCROLLED, True)
    page.keyboard.press("Enter")
    expect(chosen(menu)).to_have_text(["optimizer"])
    expect(chosen(menu)).to_be_focused()
    expect_of(menu.get_by_role("list"), SCROLLED, True)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(menu.get_by_role("link", name="seed", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(chosen(menu)).to_have_text(["optimizer", "seed"])
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(page.get_by_role("button", name="Group")).to_be_focused()


def test_what_is_searched_for_stays(page):
    menu = open_menu(page)
    search = menu.get_by_role("searchbox")
    search.fill("layer/2")
    expect(menu.get_by_role("listitem")).to_have_count(10)
    choose(menu, "layer/21/width")
    expect(chosen(menu)).to_have_text(["layer/21/width"])
    choose(menu, "layer/29/width")
    expect(chosen(menu)).to_have_text(["layer/21/width", "layer/29/width"])
    expect(search).to_have_value("layer/2")
    expect(menu.get_by_role("listitem")).to_have_count(10)

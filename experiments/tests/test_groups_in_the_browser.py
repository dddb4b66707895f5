"""Grouping runs in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from experiments.models import Experiment, Run
from experiments.tests.browsing import rows
from experiments.tests.crowds import crowd, param


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 80, metrics=("val/loss", "val/accuracy"))
    return found


def test_the_best_settings_are_found_and_opened(visit, experiment):
    page = visit("experiment-detail", experiment.pk)
    page.get_by_role("button", name="Group").click()
    page.get_by_role("link", name="All params except seed").click()
    expect(page).to_have_url(re.compile(r"group=-params\.seed"))
    page.get_by_role("button", name="Group").click()
    menu = page.get_by_role("list", name="Group by")
    menu.get_by_role("link", name=re.compile("^batch_size")).click()
    expect(page).to_have_url(re.compile(r"group=params\.lr,params\.optimizer$"))
    loss = page.get_by_role("columnheader", name="val/loss")
    loss.get_by_role("link").click()
    expect(loss).to_have_attribute("aria-sort", "ascending")
    expect(rows(page).first.locator(".cell-best").first).to_be_visible()
    expect(page.get_by_title("sample standard deviation (n − 1)").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="All groups")).to_be_visible()
    rows(page).first.get_by_role("checkbox").check()
    page.get_by_role("link", name="All groups").click()
    expect(page.locator("[data-count]")).to_have_text("1")


def test_the_groups_are_faultless(visit, experiment, faultless):
    for number in range(8):
        param(Run.objects.first(), f"extra/{number}", number).save()
    page = visit("experiment-detail", experiment.pk, query="?group=params.lr,tags.stage")
    faultless()
    page.get_by_role("button", name="Group").click()
    faultless()
    page.get_by_role("searchbox", name="Search what to group by").fill("BATCH")
    offered = page.get_by_role("list", name="Group by").get_by_role("listitem")
    expect(offered).to_have_text([re.compile("^batch_size")])
    rows(page).first.get_by_role("link").click(force=True)
    expect(page.get_by_role("link", name="All groups")).to_be_visible()
    faultless()

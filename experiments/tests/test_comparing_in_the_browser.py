"""Comparing runs as people do it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from experiments import appending, recording
from experiments.models import Experiment, Run
from experiments.storing import Columns
from experiments.tests.browsing import expect_of, ready
from experiments.tests.crowds import crowd

INKS = "canvas => Chart.getChart(canvas).data.datasets.map(one => one.borderColor)"


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits")


@pytest.fixture
def start(alice, experiment):
    """Starts a run with these params and a loss that falls from the given value."""

    def begin(name: str, first: float = 1.0, **params) -> Run:
        run, _ = recording.start_run(
            user=alice, experiment=str(experiment.pk), name=name, params=params
        )
        columns = Columns(values=first / np.arange(1.0, 101.0), steps=np.arange(100))
        appending.append(user=alice, run_id=run.pk, metrics={"loss": columns})
        return run

    return begin


def query_of(runs, **others: str) -> str:
    pairs = [*(f"run={run.pk}" for run in runs), *(f"{k}={v}" for k, v in others.items())]
    return f"?{'&'.join(pairs)}"


def test_differences_only_and_a_baseline_without_leaving(visit, start):
    one, two = start("one", lr=1, epochs=5), start("two", 3.0, lr=2, epochs=5)
    page = visit("compare", query=query_of([one, two]))
    page.evaluate("document.body.dataset.same = 'page'")
    expect(page.get_by_role("rowheader", name="epochs")).to_be_visible()
    page.get_by_role("link", name="Differences only").click()
    expect(page.get_by_role("rowheader", name="epochs")).to_have_count(0)
    expect(page.get_by_role("rowheader", name="lr")).to_be_visible()
    expect(page).to_have_url(re.compile("differ=only"))
    page.get_by_role("button", name="make baseline").click()
    expect(page.get_by_role("row", name="loss")).to_contain_text("-0.02")
    assert page.evaluate("document.body.dataset.same") == "page"
    page.go_back()
    expect(page.get_by_role("row", name="loss")).not_to_contain_text("-0.02")


def test_runs_are_taken_away_and_added_without_losing_place(visit, start):
    one, two, three = (start(name, lr=lr) for lr, name in enumerate(("one", "two", "three")))
    page = visit("compare", query=query_of([one, two], differ="only"))
    page.get_by_role("button", name="Take two away").click()
    expect(page.get_by_role("columnheader")).to_have_count(2)
    page.get_by_role("button", name="Add runs").click()
    expect(page.get_by_label("two", exact=False)).to_be_visible()
    page.get_by_role("searchbox", name="Find runs").fill("thr")
    expect(page.get_by_label("two", exact=False)).to_have_count(0)
    page.get_by_label("three").check()
    page.get_by_role("button", name="Add to the comparison").click()
    expect(page.get_by_role("columnheader")).to_have_text(["Name", "one", "three"])
    expect(page).to_have_url(re.compile(rf"run={one.pk}&differ=only&run={three.pk}|"
                                        rf"run={one.pk}&run={three.pk}&differ=only"))  # fmt: skip


def test_on_a_phone_two_runs_stand_side_by_side_and_many_take_no_more_room(visit, page, start):
    runs = [
        start(f"a-run-of-a-long-name-{n}", config=f"configs/cifar10/{n}.yaml") for n in range(30)
    ]
    page.set_viewport_size({"width": 390, "height": 800})
    visit("compare", query=query_of(runs[:2]))
    expect(page.get_by_text("2 runs", exact=True)).to_be_visible()
    for n in range(2):
        expect(page.get_by_role("columnheader", name=f"name-{n}")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("cell", name=f"configs/cifar10/{n}.yaml")).to_be_in_viewport(
            ratio=1
        )
    height = page.evaluate("document.documentElement.scrollHeight")
    visit("compare", query=query_of(runs))
    expect(page.get_by_text("30 runs", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") < height + 100
    page.get_by_role("button", name="Take a-run-of-a-long-name-0 away").click()
    expect(page.get_by_text("29 runs", exact=True)).to_be_visible()


def test_lines_are_told_apart_hidden_and_stay_so(visit, start):
    runs = [start(f"r{n}", n + 1.0) for n in range(3)]
    page = ready(visit("compare", query=query_of(runs, view="charts")))
    canvas = page.locator("canvas")
    assert len(set(canvas.evaluate(INKS))) == 3
    marked = """c => Chart.getChart(c).data.datasets.filter(one => one.look.isMarked)
        .map(({series}) => series.run)"""
    faded = "c => Chart.getChart(c).data.datasets.filter(one => one.look.isFaded).length"
    page.locator(".compared-chip").nth(2).hover()
    expect_of(canvas, marked, [str(runs[2].pk)])
    assert canvas.evaluate(faded) == 2
    page.locator("h1").hover()
    expect_of(canvas, faded, 0)
    page.keyboard.press("Tab")
    page.get_by_label("Show r1").focus()
    expect_of(canvas, marked, [str(runs[1].pk)])
    page.get_by_label("Show r1").press("Space")
    assert len(canvas.evaluate(INKS)) == 2
    expect(page.locator(".chart-foot")).to_contain_text("200 of 300 points")
    page.reload()
    expect(page.get_by_label("Show r1")).not_to_be_checked()
    ready(page)
    assert len(canvas.evaluate(INKS)) == 2
    page.get_by_role("button", name="Hide all").click()
    expect(page.get_by_text("No points in this range.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    assert len(canvas.evaluate(INKS)) == 3


def test_one_tooltip_lists_every_run_by_value(visit, start):
    runs = [start(f"r{n}", value) for n, value in enumerate((2.0, 9.0, 5.0))]
    page = ready(visit("compare", query=query_of(runs, view="charts")))
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".readout-name")).to_have_text(["r1", "r2", "r0"])


def test_the_comparison_is_faultless(visit, alice, experiment, start, faultless):
    runs = crowd(experiment, alice, 6)
    visit("compare")
    faultless()
    visit("compare", query=query_of(runs, differ="only", baseline=str(runs[3].pk)))
    faultless()
    page = ready(visit("compare", query=query_of(runs, view="charts")))
    page.get_by_role("button", name="options").first.click()
    faultless()
    page.get_by_role("button", name="Show numbers").click()
    page.get_by_role("button", name="Add runs").click()
    expect(page.get_by_role("button", name="Add to the comparison")).to_have_count(0)
    faultless()
    start("x" * 240)
    page.get_by_role("searchbox", name="Find runs").fill("xxx")
    expect(page.get_by_role("button", name="Add to the comparison")).to_be_visible()
    faultless()
    visit("compare-runs")
    faultless()

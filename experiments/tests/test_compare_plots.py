"""Whole runs as points over two values and as lines across several."""

from __future__ import annotations

import json
import math
import re
from urllib.parse import urlencode

import numpy as np
import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from experiments import appending, recording
from experiments.models import Run
from experiments.storing import Columns
from experiments.tests.crowds import crowd
from experiments.tests.reading_pages import Element, page_of
from exptrack.tests.statements import cost

PLACES = """plot => {
    const box = plot.canvas.getBoundingClientRect();
    return plot.chart.getDatasetMeta(0).data.map(({x, y}) => [box.x + x, box.y + y]);
}"""


@pytest.fixture
def start(alice, experiment):
    """Starts a run with these params and last values of metrics."""

    def begin(name: str, params: dict | None = None, **metrics: float) -> Run:
        run, _ = recording.start_run(
            user=alice, experiment=str(experiment.pk), name=name, params=params or {}
        )
        columns = {key: Columns(values=np.array([value]), steps=np.array([0]))
                   for key, value in metrics.items()}  # fmt: skip
        if columns:
            appending.append(user=alice, run_id=run.pk, metrics=columns)
        recording.finish_run(run=run, status="finished")
        return run

    return begin


def address(runs, **others: str) -> str:
    return (
        f"{reverse('compare')}?{urlencode([*(('run', run.pk) for run in runs), *others.items()])}"
    )


def plotted(page: Element, kind: str) -> tuple[list[str], list[list]]:
    """The names of a plot's values, and the values of each run."""
    plot = page.one(f"{kind}-plot")
    return json.loads(plot["data-fields"]), [run["values"] for run in json.loads(plot["data-runs"])]


# --- It works --------------------------------------------------------------------------------


def test_any_two_values_make_a_scatter_and_a_third_its_colour(signed_in, alice, start):
    runs = [start("one", {"lr": 0.1, "opt": "adam"}, loss=1.5), start("two", {"lr": 1}, loss=0.5)]
    here = {"view": "scatter", "sx": "params.lr", "sy": "metrics.loss", "colour": "params.opt"}
    page = page_of(signed_in(alice).get(address(runs, **here)))
    assert plotted(page, "scatter") == (
        ["lr", "loss", "opt"], [[0.1, 1.5, "adam"], [1.0, 0.5, None]],
    )  # fmt: skip
    assert [row.words for row in page.one("tbody").all("tr")] == [
        "one 0.1 1.5 adam", "two 1 0.5 –",
    ]  # fmt: skip


def test_before_anyone_chooses_what_differs_is_plotted_against_what_tells(signed_in, alice, start):
    runs = [start(str(lr), {"lr": lr, "epochs": 3}, loss=lr, **{"val/acc": lr}) for lr in (1, 2)]
    page = page_of(signed_in(alice).get(address(runs, view="scatter")))
    assert plotted(page, "scatter")[0] == ["lr", "val/acc"]
    page = page_of(signed_in(alice).get(address(runs, view="parallel")))
    assert plotted(page, "parallel")[0] == ["lr", "loss", "val/acc"]


def test_the_axes_of_parallel_coordinates_are_chosen(signed_in, alice, start):
    runs = [start("one", {"a": 1, "b": "x"}, loss=2), start("two", {"b": "y"}, loss=math.nan)]
    here = f"{address(runs, view='parallel')}&axes=params.b&axes=metrics.loss&axes=duration"
    page = page_of(signed_in(alice).get(here))
    fields, values = plotted(page, "parallel")
    assert fields == ["b", "loss", "Duration"]
    assert [row[:2] for row in values] == [["x", 2.0], ["y", None]]
    checked = [
        box["value"] for box in page.all("input", name="axes") if "checked" in box.attributes
    ]
    assert checked == ["params.b", "metrics.loss", "duration"]


def test_runs_without_params_and_metrics_can_be_plotted(signed_in, alice, start):
    runs = [start("one"), start("two")]
    for view in ("scatter", "parallel"):
        page = page_of(signed_in(alice).get(address(runs, view=view)))
        assert set(plotted(page, view)[0]) == {"Duration"}


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "view=scatter&sx=frog",
        "view=scatter&sy=tags.x",
        "view=scatter&colour=status",
        "view=scatter&sxscale=x",
        "view=parallel&axes=frog",
        "view=parallel&axes=" + ",".join(f"params.p{n}" for n in range(13)),
    ],
)
def test_what_cannot_be_plotted_is_told(signed_in, alice, start, query):
    runs = [start("one", {"lr": 1}, loss=1)]
    page = page_of(signed_in(alice).get(f"{address(runs)}&{query}"), 422)
    assert page.one("div", role="alert").words


def test_a_field_that_no_run_has_is_an_empty_axis(signed_in, alice, start):
    runs = [start("one", loss=1)]
    page = page_of(signed_in(alice).get(address(runs, view="scatter", sx="params.none")))
    assert plotted(page, "scatter")[1] == [[None, 1.0]]


# --- The cost --------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["scatter", "parallel"])
def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, view):
    runs = crowd(experiment, alice, 100)
    visit = signed_in(alice)
    few = cost(visit.get, address(runs[:2], view=view))
    assert cost(visit.get, address(runs, view=view)) == few <= 14


# --- In the browser --------------------------------------------------------------------------


def shown(page: Page, url: str, gunicorn_server) -> Page:
    page.goto(f"{gunicorn_server.url}{url}")
    return page


def test_a_point_tells_its_run_and_opens_it(page, gunicorn_server, start):
    runs = [start("one", {"lr": 0.001}, loss=1), start("two", {"lr": 1}, loss=3)]
    shown(page, address(runs, view="scatter", sx="params.lr", sy="metrics.loss"), gunicorn_server)
    plot = page.locator("scatter-plot")
    assert plot.evaluate("plot => plot.chart.scales.x.type") == "logarithmic"
    (x, y), _ = plot.evaluate(PLACES)
    page.mouse.move(x + 3, y + 3)
    expect(plot.locator("[data-readout]")).to_have_text("onelr0.001loss1")
    page.mouse.click(x, y)
    expect(page).to_have_url(re.compile(str(runs[0].pk)))


def test_what_is_plotted_is_chosen_without_leaving(page, gunicorn_server, start):
    runs = [
        start("one", {"lr": 1, "opt": "a"}, loss=1),
        start("two", {"lr": 2, "opt": "b"}, loss=3),
    ]
    shown(page, address(runs, view="scatter"), gunicorn_server)
    page.get_by_role("combobox", name="X", exact=True).select_option("params.opt")
    expect(page).to_have_url(re.compile("sx=params.opt"))
    expect(page.locator("scatter-plot")).to_have_attribute("data-fields", '["opt", "loss"]')
    ticks = "plot => plot.chart.scales.x.ticks.map(tick => tick.label)"
    assert page.locator("scatter-plot").evaluate(ticks) == ["a", "b"]
    page.get_by_label("Y scale").select_option("log")
    expect(page).to_have_url(re.compile("syscale=log"))
    type_of_y = "plot => plot.chart.scales.y.type"
    assert page.locator("scatter-plot").evaluate(type_of_y) == "logarithmic"


def test_dragging_along_an_axis_keeps_the_runs_that_pass_there(page, gunicorn_server, start):
    runs = [start(f"r{n}", {"lr": n}, loss=n) for n in range(5)]
    shown(page, address(runs, view="parallel", axes="params.lr,metrics.loss"), gunicorn_server)
    plot = page.locator("parallel-plot")
    axis = """plot => {
        const box = plot.canvas.getBoundingClientRect();
        const {top, bottom} = plot.chart.chartArea;
        return [box.x + plot.chart.scales.x.getPixelForValue(0), box.y + top, box.y + bottom];
    }"""
    x, top, bottom = plot.evaluate(axis)
    page.mouse.move(x, top + 1)
    page.mouse.down()
    page.mouse.move(x, top + (bottom - top) * 0.45, steps=4)
    page.mouse.up()
    expect(plot.locator("[data-kept]")).to_have_text("2 of 5 runs kept")
    page.get_by_role("button", name="Let all go").click()
    expect(plot.locator("[data-kept]")).to_be_empty()


def test_the_plots_are_faultless(page, gunicorn_server, alice, experiment, start, faultless):
    runs = [*crowd(experiment, alice, 12), start("x" * 200, {"name": "y" * 200, "lr": 1})]
    shown(page, address(runs, view="scatter", colour="params.optimizer"), gunicorn_server)
    page.get_by_text("The numbers").click()
    faultless()
    shown(page, address(runs, view="parallel"), gunicorn_server)
    page.get_by_role("button", name="Axes").click()
    faultless()

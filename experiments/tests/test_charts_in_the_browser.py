"""Charts as people meet them: what they fetch, draw, tell and keep in the address."""

from __future__ import annotations

import csv
import io
import math
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from experiments import appending, recording
from experiments.models import Experiment, Run
from experiments.storing import Columns
from experiments.tests.browsing import expect_of, heard, held, ready

RANGE = """element => {
    const {min, max} = Chart.getChart(element).scales.x;
    return [min, max];
}"""
# Where the pixels of the plot are, and what the axis says of an x.
SERIES = "canvas => Chart.getChart(canvas).data.datasets.map(one => one.series)"
AXIS = "canvas => Chart.getChart(canvas).scales.{}.ticks.map(tick => tick.label)"
TYPES = "c => [Chart.getChart(c).scales.x.type, Chart.getChart(c).scales.y.type]"


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits")


def start(user, **fields) -> Run:
    return recording.start_run(user=user, experiment="digits", **fields)[0]


def log(run, **metrics):
    columns = {name: Columns(values=np.asarray(values, float), steps=np.arange(len(values)))
               for name, values in metrics.items()}  # fmt: skip
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


def named(runs):
    return "&".join(f"run={run.pk}" for run in runs)


# --- Curves ----------------------------------------------------------------------------------


def test_a_curve_is_fetched_when_it_comes_near_no_finer_than_it_is_wide(
    visit, page, alice, experiment
):
    run = start(alice)
    log(run, **{f"m{n:02}": np.sin(np.arange(3000)) for n in range(30)})
    asked = []
    page.on("request", lambda request: "/series/" in request.url and asked.append(request.url))
    ready(visit("run-detail", run.pk))
    first = page.locator("metric-chart").first
    assert 0 < len(asked) < 30
    width = first.locator("canvas").bounding_box()["width"]
    assert abs(int(re.search(r"buckets=(\d+)", asked[0])[1]) - width) < 3
    drawn = first.locator("canvas").evaluate("c => Chart.getChart(c).data.datasets[0].data.length")
    assert 50 < drawn <= width + 2
    page.locator("metric-chart").last.scroll_into_view_if_needed()
    expect(page.locator("metric-chart").last).to_have_attribute("data-state", "ready")


def test_a_single_value_of_each_run_is_a_bar_the_greatest_first(visit, alice, faultless):
    runs = [start(alice, name=name) for name in ("low", "odd", "high")]
    for run, score in zip(runs, (0.25, math.nan, 0.75), strict=True):
        log(run, score=[score], loss=[2, 1])
    page = ready(visit("compare", query=f"?view=charts&{named(runs)}"))
    score = page.locator("metric-chart[data-metric=score]")
    bars = score.get_by_role("listitem")
    expect(bars).to_have_text(["high0.75", "low0.25", "oddNaN"])
    widths = "rects => rects.map(rect => rect.getAttribute('width'))"
    assert score.locator(".value-bar rect").evaluate_all(widths) == ["100%", f"{100 / 3}%", "0%"]
    expect(page.locator("metric-chart[data-metric=loss]").get_by_role("listitem")).to_have_count(0)
    faultless()
    page.locator("run-key label").filter(has_text="high").click()
    expect(bars).to_have_text(["low0.25", "oddNaN"])
    score.get_by_role("button", name="score: options").click()
    page.get_by_role("button", name="Show numbers").click()
    expect(score.get_by_role("table")).to_be_visible()
    expect(bars).to_have_count(0)


def test_a_single_value_of_a_run_is_a_tile_until_there_is_a_second(visit, alice, experiment):
    run = start(alice)
    log(run, score=[0.75])
    page = visit("run-detail", run.pk)
    score = page.locator("metric-chart")
    expect(score.locator("output")).to_have_text("0.75")
    expect(score).to_have_attribute("data-state", "ready")
    expect(score.locator("canvas")).to_be_hidden()
    expect(page.locator("live-updates")).to_contain_text("Live")
    log(run, score=[0.75, 1])
    expect(score.locator("canvas")).to_be_visible()
    expect(score.locator("output")).to_have_text("1")


def test_dragging_fetches_that_stretch_and_a_double_click_the_whole(visit, alice, experiment):
    run = start(alice)
    log(run, loss=np.cos(np.arange(20_000) / 3000))
    page = visit("run-detail", run.pk)
    chart = page.locator("metric-chart")
    canvas = chart.locator("canvas")
    expect(chart).to_have_attribute("data-state", "ready")
    assert canvas.evaluate(RANGE) == [0, 19_999]
    expect(chart).to_contain_text("20,000 points")
    box = canvas.bounding_box()

    def drag():
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 70, steps=4)
        page.mouse.up()

    with page.expect_response(re.compile(r"/series/.*from=\d+.*&to=\d+")) as answer:
        drag()
    [series] = answer.value.json()["series"]
    assert 3000 < series["count"] < 5500
    expect(chart).to_have_attribute("data-state", "ready")
    least, greatest = canvas.evaluate(RANGE)
    assert 6000 < least < greatest < 13_000
    expect(page).to_have_url(re.compile(r"limits=\d{4,5}(\.\d)?(~|%7E)\d{4,5}(\.\d)?(~|%7E)"))
    expect(chart).to_contain_text(re.compile(r"\d,\d{3} of 20,000 points"))
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    canvas.dblclick()
    expect(page.get_by_role("button", name="Reset zoom")).not_to_be_visible()
    expect(chart).to_have_attribute("data-state", "ready")
    assert canvas.evaluate(RANGE) == [0, 19_999]
    drag()
    page.get_by_role("button", name="Reset zoom").click()
    expect(chart).not_to_contain_text(" of ")


def test_a_curve_that_cannot_be_fetched_says_so_and_is_tried_again(visit, page, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3])
    page.route("**/series/**", lambda route: route.fulfill(status=503))
    visit("run-detail", run.pk)
    expect(page.get_by_text("The curve could not be fetched.")).to_be_visible()
    page.unroute("**/series/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("metric-chart")).to_have_attribute("data-state", "ready")
    expect(page.get_by_text("The curve could not be fetched.")).not_to_be_visible()


def test_a_curve_waits_visibly_and_an_empty_one_says_so(visit, page, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3])
    [asked] = held(page, "**/series/**", 1, lambda: visit("run-detail", run.pk))
    expect(page.locator(".chart-waiting")).to_be_visible()
    asked.fulfill(json={"series": []})
    expect(page.get_by_text("No points in this range.")).to_be_visible()
    expect(page.locator(".chart-waiting")).not_to_be_visible()


@pytest.mark.parametrize(
    "values",
    [[math.nan], [math.inf, -math.inf], [1, math.nan, 3, math.inf, 5], [0.5], [7, 7, 7],
     [1e308, -1e308], [5e-324, 0], list(range(5000)) + [math.nan] * 5000],
)  # fmt: skip
def test_any_values_can_be_drawn(visit, alice, experiment, values):
    run = start(alice)
    log(run, loss=values)
    page = visit("run-detail", run.pk)
    expect(page.locator("metric-chart")).to_have_attribute("data-state", "ready")
    finite = [value for value in values if math.isfinite(value)]
    drawn = page.locator("canvas").evaluate(
        "c => Chart.getChart(c).data.datasets.flatMap(d => [...d.series.lo, ...d.series.hi])"
        ".filter(Number.isFinite)"
    )
    assert (min(drawn), max(drawn)) == (min(finite), max(finite)) if finite else drawn == []


def test_a_curve_follows_the_theme(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3])
    page = visit("run-detail", run.pk)
    expect(page.locator("metric-chart")).to_have_attribute("data-state", "ready")
    ink = "c => Chart.getChart(c).data.datasets[0].borderColor"
    canvas = page.locator("canvas")
    light = canvas.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    expect_of(canvas, f"canvas => ({ink})(canvas) !== '{light}'", True)
    assert {light[:4], canvas.evaluate(ink)[:4]} == {"rgb("}
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    expect_of(canvas, ink, light)


# --- Settings --------------------------------------------------------------------------------


def test_smoothing_is_fetched_drawn_over_the_raw_line_and_kept_in_the_address(
    visit, alice, experiment
):
    run = start(alice)
    log(run, loss=np.tile([0.0, 1.0], 100))
    page = ready(visit("run-detail", run.pk))
    slider = page.get_by_role("slider", name="Smoothing")
    with page.expect_response(re.compile(r"smoothing=0\.9(&|$)")):
        slider.fill("0.9")
    ready(page)
    expect(page).to_have_url(re.compile(r"\?smoothing=0\.9$"))
    drawn = page.locator("canvas").evaluate(
        "c => Chart.getChart(c).data.datasets[0].data.map(point => point.y)"
    )
    assert 0.4 < min(drawn[50:]) < max(drawn[50:]) < 0.6
    [series] = page.locator("canvas").evaluate(SERIES)
    assert (min(series["y"]), max(series["y"])) == (0, 1)
    page.reload()
    expect(slider).to_have_value("0.9")
    [series] = ready(page).locator("canvas").evaluate(SERIES)
    assert "smooth" in series


def test_x_can_be_time_or_another_metric(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[4, 3, 2, 1], epoch=[10, 20, 30, 40])
    page = ready(visit("run-detail", run.pk))
    choice = page.get_by_label("X axis")
    loss = page.get_by_role("img", name="loss over")
    for label, kind in (("Time since start", "relative"), ("Wall time (UTC)", "time")):
        with page.expect_response(re.compile(rf"x={kind}")):
            choice.select_option(label=label)
        ready(page)
        expect(page).to_have_url(re.compile(rf"x={kind}$"))
    with page.expect_response(re.compile(r"x=metric")):
        choice.select_option(label="epoch")
    ready(page)
    assert loss.evaluate(RANGE) == [10, 40]
    expect(page).to_have_url(re.compile(r"x=metric%3Aepoch$"))
    choice.select_option(label="Step")
    expect(page).to_have_url(re.compile(r"/$"))


def test_a_time_axis_has_round_ticks_however_short_or_long(visit, alice, experiment):
    run = start(alice)
    began = datetime(2026, 11, 1, tzinfo=UTC)
    Run.objects.filter(pk=run.pk).update(started_at=began)
    moments = {"one": [300, 300], "short": [0, 250], "day": [0, 86_400_000]}
    whole = {
        name: Columns(values=np.ones(2), times=np.asarray(at) + int(began.timestamp() * 1000))
        for name, at in moments.items()
    }
    appending.append(user=alice, run_id=run.pk, metrics=whole)

    def ticks(kind):
        page = ready(visit("run-detail", run.pk, query=f"?x={kind}"))
        canvas = "metric-chart[data-metric={}] canvas"
        return {
            name: page.locator(canvas.format(name)).evaluate(AXIS.format("x"))[:2]
            for name in moments
        }

    assert ticks("relative") == {
        "one": ["0 s", "500 ms"],
        "short": ["0 s", "200 ms"],
        "day": ["0 s", "12 h"],
    }
    assert ticks("time") == {
        "one": ["00:00:00", "00:00:30"],
        "short": ["00:00:00.000", "00:00:00.200"],
        "day": ["00:00", "12:00"],
    }


def test_a_logarithmic_axis_marks_and_counts_what_it_cannot_hold(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[100, 0, 1, -5, 0.01, math.nan])
    page = ready(visit("run-detail", run.pk))
    page.get_by_label("Log y").check()
    page.get_by_label("Log x").check()
    canvas = page.locator("canvas")
    assert canvas.evaluate(TYPES) == ["logarithmic", "logarithmic"]
    expect(page.locator(".chart-foot")).to_contain_text("2 not above 0")
    expect(page).to_have_url(re.compile(r"\?yscale=log&xscale=log$"))
    assert canvas.evaluate(AXIS.format("y")) == ["0.01", "0.1", "1", "10", "100"]
    page.get_by_label("Log y").uncheck()
    expect(page.locator(".chart-foot")).not_to_contain_text("not above")


def test_a_logarithmic_x_is_fetched_as_fine_in_its_first_decades(visit, alice, experiment):
    run = start(alice)
    log(run, loss=np.arange(100_000.0))
    page = ready(visit("run-detail", run.pk))
    among_first = "c => Chart.getChart(c).data.datasets[0].data.filter(({x}) => x < 1000).length"
    assert page.locator("canvas").evaluate(among_first) < 30
    with page.expect_response(re.compile(r"xscale=log")):
        page.get_by_label("Log x").check()
    assert ready(page).locator("canvas").evaluate(among_first) > 100
    assert page.locator("canvas").evaluate(RANGE) == [1, 99_999]


def test_outliers_can_be_left_out_of_the_scale(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[1e6, *np.linspace(1, 0, 199)])
    page = ready(visit("run-detail", run.pk))
    top = "c => Chart.getChart(c).scales.y.max"
    assert page.locator("canvas").evaluate(top) > 1e6
    page.get_by_label("Ignore outliers").check()
    assert 0.9 < page.locator("canvas").evaluate(top) < 1.2


def test_what_is_set_outlives_a_search_and_a_change_of_view(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3], accuracy=[1, 2, 3])
    page = ready(visit("run-detail", run.pk))
    page.get_by_label("Log y").check()
    page.get_by_role("searchbox").fill("acc")
    expect(page.locator("metric-chart")).to_have_count(1)
    ready(page)
    expect(page.get_by_label("Log y")).to_be_checked()
    expect(page).to_have_url(re.compile(r"\?yscale=log&search=acc$"))
    page.get_by_label("Log y").uncheck()
    page.get_by_role("link", name="Table").click()
    expect(page).to_have_url(re.compile(r"\?search=acc&view=table$"))


def test_axes_can_be_limited_by_the_keyboard(visit, alice, experiment):
    run = start(alice)
    log(run, loss=np.arange(1000.0))
    page = ready(visit("run-detail", run.pk))
    canvas = page.locator("canvas")
    page.get_by_role("button", name="loss: options").press("Enter")
    expect(page.get_by_label("X from")).to_be_focused()
    page.get_by_label("X from").fill("100")
    page.get_by_label("X to").fill("50")
    page.keyboard.press("Enter")
    assert page.get_by_label("X to").evaluate("field => field.validationMessage") != ""
    page.get_by_label("X to").fill("199")
    page.get_by_label("Y to").fill("500")
    with page.expect_response(re.compile(r"from=100&to=199")):
        page.keyboard.press("Enter")
    ready(page)
    assert canvas.evaluate(RANGE) == [100, 199]
    assert canvas.evaluate("c => Chart.getChart(c).scales.y.max") == 500
    expect(page.get_by_role("button", name="loss: options")).to_be_focused()
    expect(page.locator(".chart-foot")).to_contain_text("100 of 1,000 points")
    page.reload()
    assert ready(page).locator("canvas").evaluate(RANGE) == [100, 199]
    page.get_by_role("button", name="loss: options").click()
    page.keyboard.press("Escape")
    expect(page.get_by_label("X from")).to_have_count(0)
    page.get_by_role("button", name="Reset zoom").click()
    ready(page)
    assert canvas.evaluate(RANGE) == [0, 999]
    expect(page).to_have_url(re.compile(r"/$"))


# --- What a chart tells ----------------------------------------------------------------------


def test_pointing_tells_the_value_and_every_chart_follows(visit, alice, experiment):
    run = start(alice)
    log(run, loss=np.arange(101.0), accuracy=np.arange(101.0) * 2)
    page = ready(visit("run-detail", run.pk))
    accuracy, loss = page.locator("metric-chart").all()
    box = accuracy.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    said = accuracy.locator("chart-readout")
    expect(said).to_contain_text(re.compile(r"step (\d+)"))
    step = int(re.search(r"step (\d+)", said.inner_text())[1])
    expect(said).to_contain_text(str(step * 2))
    expect(loss.locator(".crosshair")).to_have_count(1)
    expect(loss.locator("chart-readout")).to_be_empty()
    page.mouse.move(5, 5)
    expect(page.locator(".crosshair")).to_have_count(0)
    expect(said).to_be_empty()


def test_the_numbers_can_be_read_in_place_of_the_curves(visit, alice, experiment):
    run = start(alice, name="the one")
    log(run, loss=[3.0, math.nan, 1.0, 2.0])
    page = ready(visit("run-detail", run.pk))
    page.get_by_role("button", name="loss: options").click()
    page.get_by_role("button", name="Show numbers").click()
    row = page.locator("metric-chart tbody tr")
    assert row.locator("th, td").all_inner_texts() == ["the one", "4", "3", "2", "1", "3"]
    page.get_by_role("button", name="loss: options").click()
    page.get_by_role("button", name="Show curves").click()
    expect(page.locator("metric-chart tbody tr")).to_have_count(0)


def test_a_chart_is_saved_as_a_picture_and_as_all_its_points(visit, alice, experiment):
    run = start(alice, name="the one")
    log(run, **{"val/loss": np.arange(3000.0)})
    page = ready(visit("run-detail", run.pk))
    page.get_by_role("button", name="val/loss: options").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Picture (PNG)").click()
    assert saved.value.suggested_filename == "val-loss.png"
    canvas = page.locator("canvas")
    with Image.open(saved.value.path()) as picture:
        assert picture.format == "PNG"
        assert abs(picture.width - 2 * (canvas.bounding_box()["width"] + 32)) < 4
    expect_of(canvas, "canvas => Chart.getChart(canvas).currentDevicePixelRatio", 1)
    page.get_by_role("button", name="val/loss: options").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="All points (CSV)").click()
    lines = list(csv.reader(io.StringIO(saved.value.path().read_text())))
    assert lines[0] == ["run", "name", "metric", "step", "time", "value"]
    assert len(lines) == 3001
    assert (lines[-1][0], lines[-1][1:4], lines[-1][5]) == (
        str(run.pk), ["the one", "val/loss", "2999"], "2999.0",
    )  # fmt: skip


def test_bars_are_saved_as_they_stand_there(visit, alice):
    runs = [start(alice, name=f"run-{n}") for n in range(30)]
    for n, run in enumerate(runs):
        log(run, score=[n / 30])
    page = ready(visit("compare", query=f"?view=charts&{named(runs)}"))
    score = page.locator("metric-chart")
    inks = score.locator(".value-bar").evaluate_all(
        "all => all.map(e => getComputedStyle(e).color)"
    )
    score.get_by_role("button", name="score: options").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Picture (PNG)").click()
    with Image.open(saved.value.path()) as picture:
        assert picture.width > 2 * score.locator("chart-values").bounding_box()["width"]
        assert picture.height > 2 * 20 * 30
        drawn = {colour for _, colour in picture.convert("RGB").getcolors(2**24)}
    assert drawn >= {tuple(map(int, re.findall(r"\d+", ink)[:3])) for ink in inks}


def test_a_chart_fills_the_screen(visit, alice, experiment):
    run = start(alice)
    log(run, loss=np.arange(5000.0))
    page = ready(visit("run-detail", run.pk))
    with page.expect_response(re.compile(r"buckets=1\d{3}")):
        page.get_by_role("button", name="loss: full screen").click()
    ready(page)
    assert page.locator("canvas").bounding_box()["width"] > 1000
    page.get_by_role("button", name="loss: full screen").click()
    expect(page.locator("metric-chart:fullscreen")).to_have_count(0)


def test_charts_of_one_page_share_requests_and_drop_what_is_left(visit, page, alice, experiment):
    run = start(alice)
    log(run, **{f"m{n:02}": np.arange(10.0) for n in range(5)})
    asked = []
    page.on("request", lambda request: "/series/" in request.url and asked.append(request.url))
    visit("run-detail", run.pk)
    expect(page.locator("metric-chart[data-state=ready]")).to_have_count(5)
    assert len(asked) <= 2
    assert sum(url.count("metric=") for url in asked) == 5
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    smoothing = page.get_by_role("slider", name="Smoothing")
    waiting = held(page, "**/series/**", len(asked), lambda: smoothing.fill("0.5"))
    page.get_by_role("link", name="Table").click()
    expect(page.locator("metric-chart")).to_have_count(0)
    heard(page, lambda: len(failed) >= len(waiting))
    assert failed == ["net::ERR_ABORTED"] * len(waiting)

"""The pages of experiments and runs as people meet them: scripts, both themes, a phone."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from experiments import recording
from experiments.models import Experiment, Run
from experiments.storing import Columns
from experiments.tests.browsing import enter, rows
from experiments.tests.crowds import crowd
from experiments.tests.hostile import MARKDOWN, PAYLOADS

SHIFTS = """new Promise(resolve => new PerformanceObserver(list => resolve(
    list.getEntries().reduce((sum, entry) => sum + entry.value, 0)
)).observe({type: 'layout-shift', buffered: true}) || setTimeout(() => resolve(0), 300))"""
WEIGHT = """performance.getEntriesByType('resource')
    .concat(performance.getEntriesByType('navigation'))
    .filter(entry => !entry.name.includes('chart.umd'))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
RANGE = """element => {
    const {min, max} = Chart.getChart(element).scales.x;
    return [min, max];
}"""


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits", tags={"team": "vision"})


def start(user, **fields) -> Run:
    return recording.start_run(user=user, experiment="digits", **fields)[0]


def log(run, **metrics):
    columns = {name: Columns(values=np.asarray(values, float), steps=np.arange(len(values)))
               for name, values in metrics.items()}  # fmt: skip
    recording.append(user=run.owner, run_id=run.pk, metrics=columns)


# --- Lists -----------------------------------------------------------------------------------


def test_experiments_are_found_while_one_types(visit, alice):
    for name in ("resnet", "unet", "transformer"):
        Experiment.objects.create(owner=alice, name=name)
    page = visit("experiment-list")
    search = page.get_by_role("searchbox", name="Search by Name or description")
    search.press_sequentially("net")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"/\?search=net$"))
    expect(search).to_be_focused()
    expect(search).to_have_value("net")
    search.fill("zzz")
    expect(page.get_by_text("No experiment matches")).to_be_visible()
    page.get_by_role("link", name="Clear the filters").click()
    expect(rows(page)).to_have_count(3)
    expect(search).to_have_value("")


def test_runs_are_narrowed_sorted_and_paged_without_leaving(visit, alice, experiment):
    crowd(experiment, alice, 120)
    page = visit("experiment-detail", experiment.pk)
    page.evaluate("document.body.dataset.same = 'page'")
    loss = page.get_by_role("columnheader", name="val/loss")
    loss.get_by_role("link").click()
    expect(loss).to_have_attribute("aria-sort", "ascending")
    expect(loss.get_by_role("link")).to_be_focused()
    page.get_by_label("Status").focus()
    page.get_by_label("Status").select_option("failed")
    expect(page).to_have_url(re.compile(r"\?status=failed&ordering=metrics.val(/|%2F)loss$"))
    expect(rows(page)).to_have_count(Run.objects.filter(status="failed").count())
    expect(page.get_by_label("Status")).to_be_focused()
    page.get_by_role("link", name="Running").click()
    expect(page.get_by_text("No run matches")).to_be_visible()
    expect(page.get_by_label("Status")).to_have_value("running")
    page.get_by_role("link", name="Running").click()
    expect(rows(page)).to_have_count(100)
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(20)
    assert page.evaluate("document.body.dataset.same") == "page"
    page.go_back()
    expect(rows(page)).to_have_count(100)
    page.get_by_role("link", name="50", exact=True).click()
    expect(rows(page)).to_have_count(50)


def test_the_head_and_the_first_column_stay_in_sight(visit, alice, experiment):
    crowd(experiment, alice, 60)
    page = visit("experiment-detail", experiment.pk)
    page.set_viewport_size({"width": 600, "height": 700})
    region = page.get_by_role("region", name="Table of runs")
    region.evaluate("element => element.scrollTo(400, 500)")
    box = region.bounding_box()
    head = page.get_by_role("columnheader", name="Name").bounding_box()
    assert abs(head["x"] - box["x"]) < 3
    assert abs(head["y"] - box["y"]) < 3
    first = rows(page).nth(20).locator("th").bounding_box()
    assert abs(first["x"] - box["x"]) < 3


def test_what_an_address_asks_in_vain_is_told_without_a_reload(visit, alice, experiment):
    crowd(experiment, alice, 2)
    page = visit("experiment-detail", experiment.pk, query="?ordering=frog")
    expect(page.get_by_role("alert")).to_contain_text("“frog” cannot be used as ordering")
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?ordering=name$"))


# --- Curves ----------------------------------------------------------------------------------


def test_a_curve_is_fetched_when_it_comes_near_no_finer_than_it_is_wide(visit, alice, experiment):
    run = start(alice)
    log(run, **{f"m{n:02}": np.sin(np.arange(3000)) for n in range(30)})
    asked = []
    page = visit("experiment-list")
    page.on("request", lambda request: "/series/" in request.url and asked.append(request.url))
    page = visit("run-detail", run.pk)
    first = page.locator("metric-chart").first
    expect(first).to_have_attribute("data-state", "ready")
    page.wait_for_load_state("networkidle")
    assert 0 < len(asked) < 30
    width = first.locator("canvas").bounding_box()["width"]
    assert abs(int(re.search(r"buckets=(\d+)", asked[0])[1]) - width) < 3
    drawn = first.locator("canvas").evaluate("c => Chart.getChart(c).data.datasets[0].data.length")
    assert 50 < drawn <= width + 2
    page.locator("metric-chart").last.scroll_into_view_if_needed()
    expect(page.locator("metric-chart").last).to_have_attribute("data-state", "ready")


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
    expect(chart).to_contain_text(re.compile(r"\d,\d{3} of 20,000 points"))
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    canvas.dblclick()
    expect(page.get_by_role("button", name="Reset zoom")).not_to_be_visible()
    expect(chart).to_have_attribute("data-state", "ready")
    assert canvas.evaluate(RANGE) == [0, 19_999]
    drag()
    page.get_by_role("button", name="Reset zoom").click()
    expect(chart).not_to_contain_text(" of ")


def test_a_curve_that_cannot_be_fetched_says_so_and_is_tried_again(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3])
    page = visit("experiment-list")
    page.route("**/series/**", lambda route: route.fulfill(status=503))
    page = visit("run-detail", run.pk)
    expect(page.get_by_text("The curve could not be fetched.")).to_be_visible()
    page.unroute("**/series/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("metric-chart")).to_have_attribute("data-state", "ready")
    expect(page.get_by_text("The curve could not be fetched.")).not_to_be_visible()


def test_a_curve_waits_visibly_and_an_empty_one_says_so(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3])
    page = visit("experiment-list")
    held = []
    page.route("**/series/**", lambda route: held.append(route))
    page = visit("run-detail", run.pk)
    expect(page.locator(".chart-waiting")).to_be_visible()
    page.wait_for_timeout(100)
    held[0].fulfill(json={"series": []})
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
        "c => Chart.getChart(c).data.datasets.flatMap(d => d.data.map(p => p.y))"
        ".filter(Number.isFinite)"
    )
    assert (min(drawn), max(drawn)) == (min(finite), max(finite)) if finite else drawn == []


def test_a_curve_follows_the_theme(visit, alice, experiment):
    run = start(alice)
    log(run, loss=[1, 2, 3])
    page = visit("run-detail", run.pk)
    expect(page.locator("metric-chart")).to_have_attribute("data-state", "ready")
    ink = "c => Chart.getChart(c).data.datasets[0].borderColor"
    light = page.locator("canvas").evaluate(ink)
    page.emulate_media(color_scheme="dark")
    dark = page.locator("canvas").evaluate(ink)
    assert light != dark
    assert {light[:4], dark[:4]} == {"rgb("}
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    page.wait_for_timeout(50)
    assert page.locator("canvas").evaluate(ink) == light


def test_metrics_are_searched_and_seen_as_a_table(visit, alice, experiment):
    run = start(alice)
    log(run, **{"val/loss": [1.0], "val/acc": [0.5], "train/loss": [2.0]})
    page = visit("run-detail", run.pk)
    page.get_by_role("searchbox").press_sequentially("loss")
    expect(page.locator("metric-chart")).to_have_count(2)
    expect(page.locator("metric-chart").last).to_have_attribute("data-state", "ready")
    page.get_by_role("link", name="Table").click()
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?search=loss&view=table$"))
    page.get_by_role("link", name="Charts").click()
    expect(page.locator("metric-chart").last).to_have_attribute("data-state", "ready")


def test_stop_answers_in_place(visit, alice, experiment):
    run = start(alice)
    page = visit("run-detail", run.pk)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stop requested")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    assert Run.objects.get().stop_requested


# --- For everybody ---------------------------------------------------------------------------


def test_the_lists_are_faultless(visit, alice, faultless):
    visit("experiment-list")
    faultless()
    experiment = Experiment.objects.create(
        owner=alice, name="n" * 200, tags={"team": "vision"}, visibility="private",
        description="# One\n\n| a |\n|---|\n| 1 |\n\n```\n" + "x" * 500 + "\n```\n",
    )  # fmt: skip
    visit("experiment-detail", experiment.pk)
    faultless()
    crowd(experiment, alice, 30)
    visit("experiment-list")
    faultless()
    visit("experiment-detail", experiment.pk, query="?ordering=frog&tag=stage&within=1d")
    faultless()
    visit("experiment-detail", experiment.pk, query="?search=zzz")
    faultless()


def test_the_page_of_a_run_is_faultless(visit, alice, experiment, faultless):
    run = start(alice, name="n" * 200, params={f"p{n}": "x" * 300 for n in range(150)},
                tags={"stage": "final"}, notes="### Deep\n\n- [ ] one\n\n" + "word" * 200,
                environment={"command": "x" * 400, "patch": "a\n" * 50})  # fmt: skip
    log(run, **{"val/loss": [1, math.nan, 3], "val/acc": np.arange(4000), "x" * 200: [1]})
    start(alice, name="child", parent=run.pk)
    page = visit("run-detail", run.pk)
    expect(page.locator("metric-chart").first).to_have_attribute("data-state", "ready")
    faultless()
    visit("run-detail", run.pk, query="?view=table")
    faultless()
    visit("run-params", run.pk)
    faultless()
    recording.finish_run(run=run, status="failed", error="Traceback\n" + "x" * 600)
    visit("run-detail", run.pk, query="?search=zzz")
    faultless()


def test_hostile_text_does_nothing(visit, alice, experiment, gunicorn_server):
    run = start(alice, notes=MARKDOWN, tags={f"t{n}": text for n, text in enumerate(PAYLOADS)},
                params={f"p{n}": text for n, text in enumerate(PAYLOADS)},
                environment={text: text for text in PAYLOADS})  # fmt: skip
    log(run, loss=[1.0])
    recording.finish_run(run=run, status="failed", error="\n".join(PAYLOADS))
    Run.objects.update(name=PAYLOADS[1])
    Experiment.objects.update(name=PAYLOADS[0], description=MARKDOWN,
                              tags=dict.fromkeys(PAYLOADS, PAYLOADS[3]))  # fmt: skip
    strays = []
    page = visit("experiment-list")
    page.on("request", lambda request: request.url.startswith(gunicorn_server.url)
            or strays.append(request.url))  # fmt: skip
    for name, key in (("experiment-detail", experiment.pk), ("run-detail", run.pk)):
        visit(name, key)
        page.wait_for_load_state("networkidle")
        assert page.locator("main img, main iframe, main math, main [onerror]").count() == 0
    expect(page.locator("metric-chart").first).to_have_attribute("data-state", "ready")
    assert strays == []


def test_nothing_moves_once_it_is_there(visit, alice, experiment):
    runs = crowd(experiment, alice, 120)
    for name, key in (("experiment-detail", experiment.pk), ("run-detail", runs[0].pk)):
        page = visit(name, key)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(SHIFTS) < 0.01, name


def test_the_pages_weigh_little(visit, alice, experiment):
    runs = crowd(experiment, alice, 100)
    for name, args in (("experiment-list", ()), ("experiment-detail", (experiment.pk,)),
                       ("run-detail", (runs[0].pk,))):  # fmt: skip
        page = visit(name, *args)
        page.wait_for_load_state("networkidle")
        assert 20_000 < page.evaluate(WEIGHT) < 250_000, name


def test_without_a_script_all_but_the_curves_works(browser, gunicorn_server, alice, experiment):
    crowd(experiment, alice, 60)
    run = start(alice, name="the one")
    log(run, loss=[1.0])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    enter(page, gunicorn_server.url, alice)
    page.goto(gunicorn_server.url)
    page.get_by_role("searchbox").fill("digit")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="digits").click()
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    page.get_by_role("link", name="50", exact=True).click()
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(11)
    page.get_by_label("Status").select_option("running")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="the one").click()
    expect(page.locator(".chart-noscript")).to_have_text("Curves need JavaScript.")
    expect(page.locator(".chart-foot")).to_contain_text("min 1")
    page.get_by_role("link", name="Table").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stop requested")).to_be_visible()
    context.close()

"""The pages of experiments and runs as people meet them: scripts, both themes, a phone."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from experiments import appending, recording
from experiments.models import Experiment, Run
from experiments.storing import Columns
from experiments.tests.browsing import rows
from experiments.tests.crowds import crowd
from experiments.tests.hostile import MARKDOWN, PAYLOADS
from exptrack.tests.browser import enter

SHIFTS = """new Promise(resolve => new PerformanceObserver(list => resolve(
    list.getEntries().reduce((sum, entry) => sum + entry.value, 0)
)).observe({type: 'layout-shift', buffered: true}) || setTimeout(() => resolve(0), 300))"""
WEIGHT = """performance.getEntriesByType('resource')
    .concat(performance.getEntriesByType('navigation'))
    .filter(entry => !entry.name.includes('chart.umd'))
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
UNPACKED = "performance.getEntriesByType('navigation')[0].decodedBodySize"


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits", tags={"team": "vision"})


def start(user, **fields) -> Run:
    return recording.start_run(user=user, experiment="digits", **fields)[0]


def log(run, **metrics):
    columns = {name: Columns(values=np.asarray(values, float), steps=np.arange(len(values)))
               for name, values in metrics.items()}  # fmt: skip
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


# --- Lists -----------------------------------------------------------------------------------


def test_experiments_are_found_while_one_types(visit, alice):
    for name in ("resnet", "unet", "transformer"):
        Experiment.objects.create(owner=alice, name=name)
    page = visit("experiment-list")
    search = page.get_by_role("searchbox", name="Search by name or description")
    search.press_sequentially("net")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"/\?search=net$"))
    expect(search).to_be_focused()
    expect(search).to_have_value("net")
    search.fill("zzz")
    expect(page.locator(".empty")).to_contain_text("No experiment matches")
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
    expect(page.locator(".empty")).to_contain_text("No run matches")
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


def test_who_is_quicker_than_a_frame_leaves_no_page(visit, alice, experiment):
    crowd(experiment, alice, 3)
    page = visit("experiment-detail", experiment.pk)
    page.evaluate("""document.body.dataset.same = 'page';
        new MutationObserver((_, watch) => {
            const sorted = document.querySelector("th[aria-sort=ascending] a");
            if (!sorted) return;
            watch.disconnect();
            sorted.click();
        }).observe(document.getElementById("runs").parentElement, {childList: true, subtree: true})
    """)
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"\?ordering=-name$"))
    assert page.evaluate("document.body.dataset.same") == "page"


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


# --- A run -----------------------------------------------------------------------------------


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
        assert 10_000 < page.evaluate(UNPACKED) < 150_000, name


def test_without_a_script_all_but_the_curves_works(scriptless, gunicorn_server, alice, experiment):
    crowd(experiment, alice, 60)
    run = start(alice, name="the one")
    log(run, loss=[1.0])
    page = scriptless
    enter(page, gunicorn_server.url, alice)
    page.goto(gunicorn_server.url)
    page.get_by_role("searchbox").fill("digit")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("link", name="digits").click()
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    page.get_by_role("link", name="50", exact=True).click()
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(11)
    page.get_by_label("Status").select_option("running")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("link", name="the one").click()
    expect(page.locator(".chart-noscript")).to_have_text("Curves need JavaScript.")
    expect(page.locator(".chart-foot")).to_contain_text("min 1")
    page.get_by_role("link", name="Table").click()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stop requested")).to_be_visible()

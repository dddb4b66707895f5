"""/experiments/<id>/?view=charts&group=…: the mean of each group of runs as a curve."""

from __future__ import annotations

import csv
import io
import re
import statistics
from urllib.parse import parse_qs, urljoin, urlsplit

import numpy as np
import pytest
from django.urls import reverse
from playwright.sync_api import expect

from experiments import appending, group_curves, recording
from experiments.models import Collaborator, Experiment, Run
from experiments.saved_views import kept_query
from experiments.storing import Columns
from experiments.tests import reading_pages
from experiments.tests.crowds import crowd
from experiments.tests.reading_pages import Element, page_of
from exptrack.tests.statements import cost

BY_LR = {"view": "charts", "group": "params.lr"}
DOORS = ("group-series", "group-means")


def start(user, params: dict, **metrics) -> Run:
    run, _ = recording.start_run(user=user, experiment="digits", params=params)
    columns = {name: Columns(values=np.asarray(values, float), steps=np.arange(len(values)) * 2)
               for name, values in metrics.items()}  # fmt: skip
    appending.append(user=user, run_id=run.pk, metrics=columns)
    return run


@pytest.fixture
def sweep(alice, experiment) -> dict[str, list[list[float]]]:
    """Two learning rates with three losses each, of unequal lengths."""
    chance = np.random.default_rng(4)
    losses = {lr: [(chance.normal(size=length) + float(lr)).tolist() for length in (5, 7, 4)]
              for lr in ("0.01", "0.1")}  # fmt: skip
    for seed in range(3):
        for lr, found in losses.items():
            start(alice, {"lr": float(lr), "seed": seed}, loss=found[seed])
    return losses


def legend(page: Element) -> list[str]:
    return [item.words.split("Open")[0] for item in page.one("run-key").all("li")]


def series(client, page: Element, **query: object) -> list[dict]:
    """What the page's chart of the loss is drawn from."""
    address = page.one("chart-board")["data-series-url"]
    answer = client.get(address, {**parse_qs(urlsplit(address).query), "metric": "loss", **query})
    assert answer.status_code == 200, answer.content
    return answer.json()["series"]


# --- It works --------------------------------------------------------------------------------


def test_each_group_has_a_line_its_mean_with_a_band_of_one_deviation(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, BY_LR))
    assert legend(page) == ["Show lr 0.01 3 runs", "Show lr 0.1 3 runs"]
    assert "2 groups" in page.words
    found = series(signed_in(alice), page)
    assert [each["averaged"] for each in found] == [3, 3]
    for each, losses in zip(found, sweep.values(), strict=True):
        assert np.cumsum(each["dx"]).tolist() == [0, 2, 4, 6, 8, 10, 12]
        assert each["n"] == [3, 3, 3, 3, 2, 1, 1]
        for step, count in enumerate(each["n"]):
            values = [loss[step] for loss in losses if step < len(loss)]
            mean, std = statistics.fmean(values), statistics.stdev(values) if count > 1 else 0
            band = (each["y"][step], each["lo"][step], each["hi"][step])
            assert band == pytest.approx((mean, mean - std, mean + std), rel=1e-4, abs=1e-4)


def test_the_band_may_reach_from_least_to_greatest_or_be_left_out(signed_in, alice, here, sweep):
    client = signed_in(alice)
    page = page_of(client.get(here, BY_LR | {"band": "range"}))
    [chosen] = [each for each in page.one("select", name="band").all("option")
                if "selected" in each.attributes]  # fmt: skip
    assert chosen["value"] == "range"
    for each, losses in zip(series(client, page, band="range"), sweep.values(), strict=True):
        first = [loss[0] for loss in losses]
        assert (each["lo"][0], each["hi"][0]) == pytest.approx((min(first), max(first)), abs=1e-4)
    for each in series(client, page, band="none"):
        assert each["lo"] == each["y"] == each["hi"]


def test_it_is_the_selection_and_the_order_of_the_table(signed_in, alice, here, sweep):
    page = page_of(
        signed_in(alice).get(here, BY_LR | {"ordering": "-params.lr", "q": "params.seed > 0"})
    )
    assert legend(page) == ["Show lr 0.1 2 runs", "Show lr 0.01 2 runs"]
    found = series(signed_in(alice), page)
    boxes = page.one("run-key").all("input", type="checkbox")
    assert [each["run"] for each in found] == [box["data-run"] for box in boxes]
    assert [each["averaged"] for each in found] == [2, 2]
    table = urljoin(here, reading_pages.link(page, "Table"))
    assert parse_qs(urlsplit(table).query)["group"] == ["params.lr"]


def test_groups_can_be_in_the_order_of_a_metric_s_mean(signed_in, alice, experiment, here):
    for lr, loss in ((1, 5), (2, 1), (3, 3), (3, 4)):
        start(alice, {"lr": lr}, loss=[loss])
    for ordering, expected in (("metrics.loss", [2, 3, 1]), ("-metrics.loss.min", [1, 3, 2]),
                               ("-runs", [3, 1, 2])):  # fmt: skip
        page = page_of(signed_in(alice).get(here, BY_LR | {"ordering": ordering}))
        assert [int(words.split()[2]) for words in legend(page)] == expected


def test_a_saved_view_keeps_how_groups_are_drawn():
    query = "view=charts&group=params.lr&band=range&xscale=log&hide=1a2b3c4d"
    assert kept_query(f"{query}&cursor=20") == query


def test_a_group_opens_to_the_curves_of_its_runs(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, BY_LR))
    [first, _] = page.one("run-key").all("a")
    inside = page_of(signed_in(alice).get(urljoin(here, first["href"])))
    assert len(inside.one("run-key").all("li")) == 3
    assert "Runs with lr 0.01" in inside.words


def test_the_means_are_a_csv_exact(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, BY_LR))
    address = page.one("chart-board")["data-points-url"]
    answer = signed_in(alice).get(f"{address}&metric=loss&smoothing=0.5")
    text = b"".join(answer.streaming_content).decode()
    head, *lines = csv.reader(io.StringIO(text))
    assert head == [
        "params.lr",
        "metric",
        "x",
        "runs",
        "mean",
        "std",
        "min",
        "max",
        "smoothed mean",
    ]
    assert [line[0] for line in lines] == ["0.01"] * 7 + ["0.1"] * 7
    first = [loss[0] for loss in sweep["0.01"]]
    assert float(lines[0][4]) == pytest.approx(statistics.fmean(first), rel=1e-12)
    assert (lines[0][3], lines[6][3], lines[6][5]) == ("3", "1", "")


def test_x_may_be_the_time_or_another_metric(signed_in, alice, experiment, here):
    for offset in (0.0, 2.0):
        start(alice, {"lr": 1}, loss=[offset + 1, offset + 2, offset + 3], epoch=[10, 20, 30])
    page = page_of(signed_in(alice).get(here, BY_LR))
    [found] = series(signed_in(alice), page, x="metric:epoch")
    assert (found["x"], found["y"]) == ([10, 20, 30], [2, 3, 4])
    [found] = series(signed_in(alice), page, x="relative")
    assert found["count"] == 6
    [found] = series(signed_in(alice), page, **{"from": 2, "to": 2})
    assert (found["dx"], found["y"], found["count"], found["total"]) == ([2], [3.0], 2, 6)


# --- Who may not -----------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_private_experiment_s_groups_are_nowhere(
    signed_in, alice, bob, charlie, ada, experiment, sweep, door
):
    Experiment.objects.update(visibility="private")
    Collaborator.objects.create(experiment=experiment, user=bob, role="viewer")
    address = f"{reverse(door, args=[experiment.pk])}?group=params.lr&metric=loss"
    for user, status in ((alice, 200), (ada, 200), (bob, 200), (charlie, 404)):
        assert signed_in(user).get(address).status_code == status


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "query",
    ["group=params.lr", "metric=loss", "group=lr&metric=loss", "group=params.lr&metric=loss&band=x",
     "group=params.lr&metric=loss&q=(", "group=params.lr&metric=loss&status=frog",
     "group=params.lr&" + "&".join(f"metric=m{n}" for n in range(21))],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(signed_in, alice, experiment, sweep, door, query):
    answer = signed_in(alice).get(f"{reverse(door, args=[experiment.pk])}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]


def test_twenty_groups_are_drawn_at_once_and_the_next_ones_follow(
    signed_in, alice, experiment, here
):
    crowd(experiment, alice, 60, metrics=("loss",))
    page = page_of(signed_in(alice).get(here, BY_LR | {"group": "params.seed"}))
    of = int(re.search(r"1–20 of (\d+) groups", page.words)[1])
    assert (len(legend(page)), len(series(signed_in(alice), page))) == (20, 20)
    more = page_of(signed_in(alice).get(urljoin(here, reading_pages.link(page, "More groups"))))
    assert f"21–40 of {of} groups" in more.words
    ids = {each["run"] for each in series(signed_in(alice), more)}
    assert len(ids - {each["run"] for each in series(signed_in(alice), page)}) == 20


def test_of_a_great_group_the_newest_runs_are_averaged_and_the_page_says_so(
    signed_in, alice, experiment, here, monkeypatch
):
    runs = [start(alice, {"lr": 1}, loss=[number]) for number in range(5)]
    assert len(runs) == 5
    monkeypatch.setattr(group_curves, "RUNS_A_GROUP", 3)
    monkeypatch.setattr("experiments.views.group_charts.RUNS_A_GROUP", 3)
    page = page_of(signed_in(alice).get(here, BY_LR))
    assert "of a group with more its newest 3" in page.words
    [found] = series(signed_in(alice), page)
    assert (found["y"], found["averaged"], found["members"]) == ([3.0], 3, 3)
    monkeypatch.setattr(group_curves, "MOST_POINTS", 2)
    [found] = series(signed_in(alice), page)
    assert (found["y"], found["averaged"], found["members"]) == ([3.5], 2, 3)


def test_groups_without_metrics_or_runs_say_so(signed_in, alice, experiment, here):
    assert "No runs yet" in page_of(signed_in(alice).get(here, BY_LR)).words
    start(alice, {"lr": 1})
    assert "No metrics yet" in page_of(signed_in(alice).get(here, BY_LR)).words
    page = page_of(signed_in(alice).get(here, BY_LR | {"band": "frog"}), 422)
    assert page.one("div", role="alert").words


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_runs_or_groups(signed_in, alice, experiment, here):
    client, counts = signed_in(alice), []
    for runs in (10, 60):
        crowd(experiment, alice, runs, seed=runs)
        query = BY_LR | {"group": "params.lr,params.optimizer"}
        address = page_of(client.get(here, query)).one("chart-board")["data-series-url"]
        series = f"{address}&metric=val/loss&metric=train/loss"
        assert client.get(series).json()["series"]
        counts.append([cost(client.get, here, query), cost(client.get, series)])
    assert counts[0] == counts[1]
    assert counts[0][1] <= 24


# --- In the browser --------------------------------------------------------------------------


def test_means_are_drawn_hidden_followed_and_faultless(visit, alice, experiment, sweep, faultless):
    page = visit("experiment-detail", experiment.pk, query="?view=charts&group=params.lr")
    chart = page.locator("metric-chart")
    expect(chart).to_have_attribute("data-state", "ready")
    lines = "c => Chart.getChart(c).data.datasets.map(({series}) => series.n.length)"
    canvas = chart.locator("canvas")
    assert canvas.evaluate(lines) == [7, 7]
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 60)
    expect(chart.locator("chart-readout")).to_contain_text("lr 0.01")
    expect(chart.locator(".readout-around")).to_contain_text(re.compile(r"± .+, 3 runs"))
    page.get_by_role("checkbox", name="Show lr 0.01").uncheck(force=True)
    assert canvas.evaluate(lines) == [7]
    page.get_by_role("checkbox", name="Show lr 0.01").check(force=True)
    expect(page.locator("live-updates [role=status]")).to_have_text("Live")
    run = Run.objects.order_by("-id").first()
    appending.append(user=alice, run_id=run.pk, metrics={
        "loss": Columns(values=np.array([1.0]), steps=np.array([20]))})  # fmt: skip
    expect(chart.locator("[data-points]")).to_have_text("33 points")
    page.wait_for_function(
        "chart => chart.series.some(({x}) => x.at(-1) === 20)", arg=chart.element_handle()
    )
    with page.expect_response(re.compile(r"band=range")):
        page.get_by_label("Band").select_option(label="Min–max")
    expect(page).to_have_url(re.compile(r"band=range"))
    faultless()


def test_a_single_value_of_each_run_is_a_bar_a_group_with_its_spread(
    visit, alice, experiment, faultless
):
    for lr, score in ((0.1, 0.2), (0.1, 0.5), (1, -1 / 3), (2, 0.125)):
        start(alice, {"lr": lr}, score=[score])
    page = visit("experiment-detail", experiment.pk, query="?view=charts&group=params.lr")
    score = page.get_by_role("group", name="score, the mean of each group")
    bars = score.get_by_role("listitem")
    expect(bars).to_have_text(
        ["lr 0.10.35± 0.21, 2 runs", "lr 20.1251 run", "lr 1-0.33331 run"], use_inner_text=False
    )
    expect(bars.locator("data").first).to_have_attribute("title", "Mean 0.35 of 2 runs")
    expect(bars.locator("data").last).to_have_attribute("value", "-0.3333333333333333")
    stretch = bars.nth(0).locator(".value-whisker").first
    low, high = (float(stretch.get_attribute(name).rstrip("%")) for name in ("x1", "x2"))
    least, greatest = 0.35 - 0.2121320, 0.35 + 0.2121320
    assert (low, high) == pytest.approx((100 * least / greatest, 100), abs=0.01)
    expect(bars.nth(1).locator(".value-whisker")).to_have_count(0)
    faultless()
    page.get_by_label("Band").select_option(label="Min–max")
    expect(bars.first).to_have_text("lr 0.10.350.2 to 0.5, 2 runs")
    page.get_by_label("Band").select_option(label="No band")
    expect(bars.first).to_have_text("lr 0.10.352 runs")

"""Watching runs as they log: pages that follow, in a real browser, from a real script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from experiments import appending, recording
from experiments.models import Experiment, Run
from experiments.storing import Columns
from experiments.tests.browsing import rows

SCRIPT = """
import sys
import exptrack_client as exptrack
with exptrack.init(experiment="live", name="watched-otter") as run:
    print(run.id, flush=True)
    step = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            run.log({"loss": 1 / (step + 1), "accuracy": step / (step + 9)}, step=step)
            step += 1
"""
CURVE = "chart => chart.chart?.data.datasets[0]?.data.map(point => point.x) ?? []"


class Training:
    """A script that logs with the SDK, as many points as it is told and when it is told."""

    def __init__(self, url: str, secret: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=settings.DATA_DIR,
            env={
                **os.environ,
                "PYTHONPATH": str(settings.BASE_DIR / "client" / "src"),
                "EXPTRACK_URL": url,
                "EXPTRACK_TOKEN": secret,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.run = Run.objects.get(pk=self.process.stdout.readline().strip())

    def log(self, points: int) -> None:
        """Let it log so many points; they go out in the background, as ever."""
        print(points, file=self.process.stdin, flush=True)

    def end(self) -> None:
        """End the script, and with it the run."""
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@pytest.fixture
def training(gunicorn_server, alice, token) -> Iterator[Training]:
    script = Training(gunicorn_server.url, token(alice))
    yield script
    if script.process.poll() is None:
        script.end()


@pytest.fixture
def run(alice) -> Run:
    return recording.start_run(
        user=alice, experiment="live", name="calm-otter", params={"lr": 0.1}
    )[0]


def log(run: Run, first: int, values, name: str = "loss") -> None:
    columns = {name: Columns(np.asarray(values, float), np.arange(first, first + len(values)))}
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


def state(page: Page):
    """The word that says whether the page is up to date."""
    return page.locator("live-updates").get_by_role("status")


def chart(page: Page, metric: str = "loss"):
    return page.locator(f'metric-chart[data-metric="{metric}"]')


def expect_steps(page: Page, count: int, metric: str = "loss") -> None:
    """The chart of a metric shows each of so many steps once."""
    page.wait_for_function(
        f"([chart, count]) => ({CURVE})(chart).length >= count",
        arg=[chart(page, metric).element_handle(), count],
    )
    assert chart(page, metric).evaluate(CURVE) == list(range(count))


def keep_an_eye(page: Page) -> None:
    """Notice when the page is loaded anew."""
    page.evaluate("document.body.dataset.same = 'page'")


# --- It works ---------------------------------------------------------------------------------


def test_a_page_that_was_empty_grows_while_a_script_logs(visit, training, faultless):
    page = visit("run-detail", training.run.pk)
    keep_an_eye(page)
    expect(state(page)).to_have_text("Live")
    expect(page.get_by_text("No metrics yet")).to_be_visible()
    training.log(3)
    expect(chart(page)).to_have_attribute("data-state", "ready")
    expect_steps(page, 3)
    expect_steps(page, 3, "accuracy")
    fetched = []
    page.on("request", lambda request: "/series/" in request.url and fetched.append(request.url))
    for total in (4, 9, 10, 80):
        training.log(total - int(chart(page).evaluate(f"chart => ({CURVE})(chart).length")))
        expect_steps(page, total)
    assert fetched == []  # only the new points travelled
    expect(chart(page).locator("output")).to_have_text("0.0125")
    expect(chart(page).locator("[data-points]")).to_have_text("80 points")
    faultless()
    training.end()
    expect(page.locator("#run-head .badge")).to_have_text("Finished")
    expect(page.locator("live-updates")).to_be_hidden()
    expect(page.get_by_text("Ended", exact=True)).to_be_visible()
    assert page.evaluate("document.body.dataset.same") == "page"


def test_a_table_follows_its_runs_and_keeps_what_is_picked_focused_and_scrolled(
    visit, alice, run, faultless
):
    others = [
        recording.start_run(user=alice, experiment="live", params={"lr": 0.1})[0] for _ in range(40)
    ]
    for each in (run, *others):
        log(each, 0, [0.5], "accuracy")
    page = visit("experiment-detail", run.experiment_id)
    expect(state(page)).to_have_text("Live")
    row = rows(page).filter(has_text="calm-otter")
    row.get_by_role("checkbox").check()
    row.get_by_role("link").focus()
    before = page.evaluate("[scrollY, document.querySelector('.table-scroll').scrollTop]")
    log(run, 1, [0.75], "accuracy")
    expect(row).to_contain_text("0.75")
    recording.finish_run(run=run, status="failed", error="boom")
    expect(row).to_contain_text("Failed")
    expect(page.locator("[data-live=counts]").get_by_title("1 failed")).to_be_visible()
    expect(row.get_by_role("checkbox")).to_be_checked()
    expect(row.get_by_role("link")).to_be_focused()
    after = page.evaluate("[scrollY, document.querySelector('.table-scroll').scrollTop]")
    assert after == before
    new = recording.start_run(user=alice, experiment="live", name="brand-new")[0]
    more = page.get_by_role("button", name="Show 1 new run")
    expect(more).to_be_visible()
    expect(page.get_by_text("brand-new")).to_be_hidden()
    assert page.locator("thead th").count() == row.locator("th, td").count()
    faultless()
    more.click()
    expect(page.get_by_text("brand-new")).to_be_visible()
    expect(more).to_have_count(0)
    recording.finish_run(run=new, status="finished")
    expect(rows(page).filter(has_text="brand-new")).to_contain_text("Finished")


def test_an_experiment_without_runs_shows_the_first_one_by_itself(visit, alice, run):
    recording.finish_run(run=run, status="finished")
    Run.objects.all().delete()
    page = visit("experiment-detail", run.experiment_id)
    expect(page.get_by_text("No runs yet")).to_be_visible()
    recording.start_run(user=alice, experiment="live", name="first-one")
    expect(page.get_by_role("link", name="first-one")).to_be_visible()


def test_the_list_of_experiments_follows_what_runs(visit, alice, run):
    page = visit("experiment-list")
    expect(state(page)).to_have_text("Live")
    recording.finish_run(run=run, status="killed")
    expect(rows(page).get_by_title("1 killed")).to_be_visible()


@pytest.mark.parametrize("by", ["stream", "asking"])
def test_a_run_that_begins_where_nothing_ran_shows_in_the_list_that_is_open(
    visit, page, alice, run, by, faultless
):
    recording.finish_run(run=run, status="finished")
    Experiment.objects.create(owner=alice, name="idle")
    if by == "asking":
        page.route("**/live/*", refuse_streams)
    visit("experiment-list")
    keep_an_eye(page)
    expect(state(page)).to_have_text("Live")
    # Also after another order, which brings other rows to follow.
    page.get_by_role("link", name="Name", exact=True).click()
    expect(page).to_have_url(re.compile("ordering=name"))
    expect(state(page)).to_have_text("Live")
    idle = rows(page).filter(has_text="idle")
    idle.get_by_role("checkbox").check()
    recording.start_run(user=alice, experiment="idle", name="brand-new")
    expect(idle.get_by_role("link", name="brand-new")).to_be_visible()
    expect(idle.get_by_title("1 running")).to_be_visible()
    expect(idle.get_by_role("checkbox")).to_be_checked()
    assert page.evaluate("document.body.dataset.same") == "page"
    faultless()


def test_a_new_experiment_is_offered_to_the_list_that_is_open(visit, page, alice, run):
    page.clock.install()
    visit("experiment-list")
    expect(state(page)).to_have_text("Live")
    Experiment.objects.create(owner=alice, name="brand-new")
    more = page.get_by_role("button", name="Show 1 new experiment")
    page.clock.run_for(31_000)
    more.click()
    expect(rows(page)).to_have_count(2)


def test_the_first_visit_ends_by_itself_with_the_first_run(visit, alice):
    page = visit("experiment-list")
    expect(page.get_by_role("heading", name="No experiments yet")).to_be_visible()
    expect(state(page)).to_have_text("Live")
    recording.start_run(user=alice, experiment="first", name="first-one")
    expect(page.get_by_role("link", name="first-one")).to_be_visible()


def test_what_has_ended_is_followed_by_nobody(visit, run):
    recording.finish_run(run=run, status="finished")
    page = visit("run-detail", run.pk)
    expect(page.locator("live-updates")).to_have_count(0)


def test_a_zoom_is_kept_while_points_arrive(visit, run):
    log(run, 0, np.arange(50.0))
    page = visit("run-detail", run.pk, query="?limits=10~20~~~loss")
    expect(chart(page)).to_have_attribute("data-drawn", "")
    expect(state(page)).to_have_text("Live")
    log(run, 50, [1.0, 2.0])
    expect(chart(page).locator("output")).to_have_text("2")
    assert chart(page).evaluate(CURVE) == list(range(10, 21))


def test_points_that_go_back_in_steps_or_are_too_many_are_fetched(visit, run):
    log(run, 0, [1.0, 2.0, 3.0])
    page = visit("run-detail", run.pk)
    expect_steps(page, 3)
    log(run, 1, [5.0])
    page.wait_for_function(
        "chart => chart.chart.data.datasets[0].data[1].y === 5", arg=chart(page).element_handle()
    )
    log(run, 3, np.arange(5_000.0))
    expect(chart(page).locator("[data-points]")).to_have_text("5,004 points")
    page.wait_for_function(
        "chart => chart.chart.data.datasets[0].data.at(-1).x >= 4990",
        arg=chart(page).element_handle(),
    )


# --- When it breaks ---------------------------------------------------------------------------


def hide(page: Page, is_hidden: bool) -> None:
    """Do as the browser does when the tab is left or looked at again."""
    page.evaluate(
        """isHidden => {
            Object.defineProperty(document, "hidden", {get: () => isHidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def test_a_hidden_tab_pauses_and_catches_up(visit, page, run):
    log(run, 0, [1.0])
    page.clock.install()
    visit("run-detail", run.pk)
    expect_steps(page, 1)
    expect(state(page)).to_have_text("Live")
    hide(page, True)
    expect(state(page)).to_have_text("Paused")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    log(run, 1, [2.0, 3.0])
    page.clock.run_for(60_000)
    assert asked == []
    assert chart(page).evaluate(CURVE) == [0]
    hide(page, False)
    expect(state(page)).to_have_text("Live")
    expect_steps(page, 3)


def is_stream(request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")


def refuse_streams(route) -> None:
    """Let through what asks, and no stream."""
    if is_stream(route.request):
        route.fulfill(status=503, headers={"Retry-After": "20"}, body="")
    else:
        route.continue_()


def test_a_page_whose_stream_is_refused_asks_instead_and_goes_back_to_it(visit, page, run):
    log(run, 0, [1.0])
    asked = []
    page.on("request", lambda request: is_stream(request) and asked.append(request))
    page.route("**/live/*", refuse_streams)
    page.clock.install()
    page.add_init_script("Math.random = () => 0.99")  # as late as can be: in 40 s
    visit("run-detail", run.pk)
    expect(state(page)).to_have_text("Live")
    log(run, 1, [2.0])
    expect_steps(page, 2)
    assert len(asked) == 1
    page.unroute("**/live/*")
    with page.expect_request(is_stream):
        page.clock.fast_forward(60_000)
    log(run, 2, [3.0])
    expect_steps(page, 3)


def test_a_page_outlives_its_server(visit, gunicorn_server, run):
    log(run, 0, [1.0])
    page = visit("run-detail", run.pk)
    expect_steps(page, 1)
    expect(state(page)).to_have_text("Live")
    gunicorn_server.kill()
    expect(state(page)).to_have_text("Reconnecting …")
    log(run, 1, [2.0])
    gunicorn_server.start()
    expect(state(page)).to_have_text("Live")
    expect_steps(page, 2)


@pytest.mark.waits
@pytest.mark.parametrize("by", ["stream", "asking"])
def test_who_is_signed_out_meanwhile_is_told_and_offered_to_sign_in(
    visit, page, run, by, faultless
):
    if by == "asking":
        page.route("**/live/*", refuse_streams)
    visit("run-detail", run.pk)
    expect(state(page)).to_have_text("Live")
    Session.objects.all().delete()
    expect(state(page)).to_have_text("Signed out")
    faultless()
    page.get_by_role("link", name="Sign in").click()
    here = reverse("run-detail", args=[run.pk])
    page.wait_for_url(f"**{reverse('sign-in')}?next={here}")


def test_the_time_of_a_running_run_goes_on(visit, run):
    started = timezone.now() - timedelta(hours=1, minutes=2)
    Run.objects.filter(pk=run.pk).update(started_at=started, last_seen_at=timezone.now())
    page = visit("run-detail", run.pk)
    expect(page.locator("dd [data-seconds]")).to_have_text("1 h 2 min")
    Run.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(seconds=75))
    visit("experiment-detail", run.experiment_id)
    duration = page.locator("td [data-seconds]")
    said = duration.inner_text()
    expect(duration).not_to_have_text(said)


def test_who_it_is_no_longer_shared_with_is_told(visit, page, charlie, faultless):
    page.route("**/live/*", refuse_streams)  # asking finds out sooner than a stream does
    theirs = recording.start_run(user=charlie, experiment="theirs")[0]
    visit("experiment-detail", theirs.experiment_id)
    expect(state(page)).to_have_text("Live")
    Experiment.objects.update(visibility="private")
    expect(state(page)).to_have_text("No longer shared with you")
    faultless()
    page.reload()
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_charts_of_several_runs_grow_also_when_they_came_later(visit, alice, run):
    other = recording.start_run(user=alice, experiment="live")[0]
    for each in (run, other):
        log(each, 0, [1.0, 2.0])
    page = visit("experiment-detail", run.experiment_id)
    expect(state(page)).to_have_text("Live")
    page.get_by_role("link", name="Charts", exact=True).click()
    expect(chart(page)).to_have_attribute("data-state", "ready")
    expect(state(page)).to_have_text("Live")
    log(other, 2, [3.0])
    page.wait_for_function(
        "chart => chart.series.some(series => series.x.length === 3)",
        arg=chart(page).element_handle(),
    )
    expect(chart(page).locator("[data-points]")).to_have_text("5 points")


@pytest.mark.parametrize("by", ["stream", "asking"])
def test_a_run_that_a_script_starts_is_offered_to_the_charts_that_are_open(
    visit, page, alice, run, request, by, faultless
):
    recording.finish_run(run=run, status="finished")
    log(run, 0, [1.0, 2.0])
    if by == "asking":
        page.route("**/live/*", refuse_streams)
    visit("experiment-detail", run.experiment_id, query="?view=charts&limits=0~1~~~loss")
    keep_an_eye(page)
    expect(chart(page)).to_have_attribute("data-state", "ready")
    expect(state(page)).to_have_text("Live")
    place = chart(page).bounding_box()
    script = request.getfixturevalue("training")
    script.log(4)
    more = page.get_by_role("button", name="Show 1 new run and 1 new metric")
    expect(more).to_be_visible()
    assert chart(page).bounding_box() == place
    faultless()
    more.click()
    expect_steps(page, 4, "accuracy")
    expect(more).to_have_count(0)
    expect(page.get_by_role("checkbox", name="Show watched-otter")).to_be_attached()
    assert chart(page).evaluate("chart => chart.limits.to") == 1
    script.log(1)
    expect_steps(page, 5, "accuracy")
    assert page.evaluate("document.body.dataset.same") == "page"


def test_a_new_metric_is_offered_to_a_run_s_page_that_is_open(visit, run):
    log(run, 0, [1.0])
    page = visit("run-detail", run.pk)
    expect_steps(page, 1)
    log(run, 0, [2.0, 3.0], "accuracy")
    page.get_by_role("button", name="Show 1 new metric").click()
    expect_steps(page, 2, "accuracy")
    visit("run-detail", run.pk, query="?view=table")
    log(run, 0, [4.0], "epoch")
    page.get_by_role("button", name="Show 1 new metric").click()
    expect(rows(page)).to_have_count(3)


def test_what_is_told_of_a_curve_follows_it_quietly(visit, run):
    log(run, 0, [1.0, 0.5])
    page = visit("run-detail", run.pk)
    curve = page.get_by_role("img", name=re.compile("^loss over steps: 2 points.* last 0.5;"))
    expect(curve).to_be_visible()
    log(run, 2, [0.25, np.nan])
    told = "loss over steps: 4 points from step 0 to 3; last NaN; min 0.25 at step 2"
    expect(page.get_by_role("img", name=told)).to_be_visible()
    expect(chart(page).locator(".chart-foot")).to_contain_text("1 NaN")
    expect(chart(page).locator("[aria-live]:not([aria-live=off])")).to_have_count(0)


def test_groups_follow_their_runs(visit, alice, run):
    log(run, 0, [1.0])
    page = visit("experiment-detail", run.experiment_id, query="?group=params.lr")
    expect(state(page)).to_have_text("Live")
    log(run, 1, [0.25])
    expect(rows(page)).to_contain_text("0.25")
    other = recording.start_run(user=alice, experiment="live", params={"lr": 0.1})[0]
    expect(rows(page).locator("td").first).to_have_text("2")
    recording.start_run(user=alice, experiment="live", params={"lr": 0.2})
    page.get_by_role("button", name="Show 1 new group").click()
    expect(rows(page)).to_have_count(2)
    visit("experiment-detail", run.experiment_id, query="?group=params.lr&view=charts")
    expect(chart(page)).to_have_attribute("data-state", "ready")
    recording.start_run(user=alice, experiment="live", params={"lr": 0.1})
    page.get_by_role("button", name="Show 1 new run").click()
    expect(page.locator("run-key").get_by_title("3 runs")).to_be_visible()
    log(other, 0, [0.75])
    page.wait_for_function(
        "chart => chart.series?.some(one => one.y[0] === 0.875)", arg=chart(page).element_handle()
    )


def test_an_archived_experiment_is_followed_by_nobody(visit, run):
    recording.finish_run(run=run, status="finished")
    Experiment.objects.update(status="archived")
    page = visit("experiment-detail", run.experiment_id)
    expect(rows(page)).to_have_count(1)
    expect(page.locator("live-updates")).to_have_count(0)

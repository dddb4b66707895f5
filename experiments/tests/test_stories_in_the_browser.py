"""Stories that lead across several pages, in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings
from playwright.sync_api import expect

from experiments.models import Experiment, Run
from experiments.tests.browsing import rows
from experiments.tests.crowds import crowd
from exptrack.tests.browser import enter
from exptrack.tests.waiting import PATIENCE

SCRIPT = """
import exptrack_client as exptrack
with exptrack.init(experiment="digits", name="first-try", params={"lr": 0.1}) as run:
    for step in range(5):
        run.log({"loss": 1 / (step + 1)}, step=step)
"""


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits")


def run_script(url: str, secret: str) -> None:
    """Run a training script with the SDK and this token, to its end."""
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=settings.DATA_DIR,
        env={
            **os.environ,
            "PYTHONPATH": str(settings.BASE_DIR / "client" / "src"),
            "EXPTRACK_URL": url,
            "EXPTRACK_TOKEN": secret,
        },
        check=True,
        timeout=PATIENCE,
    )


def test_a_token_is_made_for_an_experiment_by_its_name_and_a_script_logs_with_it(
    visit, gunicorn_server, experiment
):
    page = visit("experiment-detail", experiment.pk)
    expect(page.get_by_text("No runs yet")).to_be_visible()
    visit("account")
    bound = page.get_by_label("Only this experiment")
    bound.focus()
    expect(page.locator("#experiment-names option")).to_have_attribute("value", "digits")
    bound.fill("digits")
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator("#token-secret").inner_text()
    run_script(gunicorn_server.url, secret)
    visit("experiment-detail", experiment.pk)
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="first-try").click()
    expect(page.get_by_text("Finished", exact=True)).to_be_visible()
    expect(page.locator("metric-chart")).to_contain_text("5 points")


def test_what_a_newcomer_copies_runs_as_pasted(
    visit, gunicorn_server, experiment, tmp_path, faultless
):
    page = visit("experiment-list")
    expect(page.get_by_role("link", name="Make a token")).to_be_hidden()
    page.get_by_role("button", name="Log a run").click()
    expect(page.get_by_role("heading", name="Install the client")).to_be_visible()
    faultless()
    page.get_by_role("link", name="Make a token").click()
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_role("heading", name="is ready")).to_be_visible()
    install, environment, script = page.locator(".snippet code").all_inner_texts()
    assert f"{gunicorn_server.url}/" in install
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        ["bash", "-e", "-c", f"{install}{environment}PYTHONPATH=here python script.py"],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "PIP_TARGET": "here",  # not into what the tests run with …
            "PIP_NO_BUILD_ISOLATION": "false",  # … and with its setuptools: pip reads it so
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / "exptrack_client" / "py.typed").is_file()
    visit("experiment-list")
    page.get_by_role("link", name="first", exact=True).click()
    expect(rows(page)).to_have_count(1)


def test_pages_of_errors_are_faultless_and_lead_home(
    visit, page, gunicorn_server, bob, experiment, faultless
):
    icon = visit("account").locator("link[rel=icon]").get_attribute("href")
    assert page.request.get(f"{gunicorn_server.url}{icon}").status == 200
    enter(page, gunicorn_server.url, bob)
    visit("experiment-settings", experiment.pk)
    expect(page.get_by_role("heading", name="You may not do that")).to_be_visible()
    faultless()
    page.goto(f"{gunicorn_server.url}/compare/?{'run=x&' * 1001}")
    expect(page.get_by_role("heading", name="That request made no sense")).to_be_visible()
    faultless()
    page.get_by_role("link", name="To the experiments").click()
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()


def test_a_comparison_is_printed_whole_without_what_is_there_to_press(visit, alice, experiment):
    runs = crowd(experiment, alice, 3)
    query = "&".join(f"run={run.pk}" for run in runs)
    page = visit("compare", query=f"?{query}")
    expect(page).to_have_title(re.compile("^Compare.* · ExpTrack$"))
    table = page.get_by_role("region", name="Table of the comparison")
    page.emulate_media(media="print")
    for gone in (".topbar", "#filters", ".compared-runs > .button"):
        expect(page.locator(gone)).not_to_be_visible()
    for run in Run.objects.all():
        expect(page.get_by_role("columnheader", name=run.name)).to_be_visible()
    is_whole = "element => element.scrollHeight <= element.clientHeight + 1"
    assert table.evaluate(is_whole)
    page.emulate_media(media="screen")
    expect(page.locator(".topbar")).to_be_visible()

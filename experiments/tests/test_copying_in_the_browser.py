"""Copying numbers out of pages, in a real browser: exact, whatever is shown."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from experiments import appending, recording
from experiments.models import Run
from experiments.storing import Columns

# Selects from the first to the last element and copies, as the keyboard does.
COPY = """([first, last]) => {
    const range = document.createRange();
    range.setStart(first, 0);
    range.setEnd(last, last.childNodes.length);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    let copied = null;
    const heard = ({clipboardData}) => copied = clipboardData.getData("text/plain");
    addEventListener("copy", heard, {once: true});
    document.execCommand("copy");
    return copied;
}"""


@pytest.fixture
def run(alice) -> Run:
    run, _ = recording.start_run(
        user=alice, experiment="digits", name="calm-otter", params={"lr": 0.1}
    )
    columns = {"loss": Columns(values=[1 / 3], steps=[0]), "odd": Columns([float("nan")], [0])}
    appending.append(user=alice, run_id=run.pk, metrics=columns)
    return run


def copied(page: Page, first, last=None) -> str:
    """What is in the clipboard once this was copied; empty where the browser did it itself."""
    ends = [first.element_handle(), (last or first).element_handle()]
    return page.evaluate(COPY, ends)


def test_a_number_of_a_table_is_copied_exactly(visit, run):
    columns = "?columns=name,params.lr,metrics.loss,metrics.odd"
    page = visit("experiment-detail", run.experiment_id, query=columns)
    cells = page.locator("tbody tr").locator("th, td")
    assert cells.nth(2).inner_text() == "0.3333"
    assert copied(page, cells.nth(2)) == "0.3333333333333333"
    assert copied(page, cells.first, cells.last) == "calm-otter\t0.1\t0.3333333333333333\tNaN"
    assert copied(page, cells.first) == ""
    head = page.locator("thead th").first
    heads, values = copied(page, head, cells.nth(2)).split("\n")
    assert heads.split("\t")[:2] == ["Name", "lr"]
    assert values == "calm-otter\t0.1\t0.3333333333333333"


def test_the_last_value_beside_a_chart_is_copied_exactly(visit, run):
    page = visit("run-detail", run.pk)
    assert copied(page, page.locator("output.chart-last").first) == "0.3333333333333333"


def test_the_mean_of_a_group_is_copied_exactly(visit, run):
    page = visit("experiment-detail", run.experiment_id, query="?group=params.lr")
    cells = page.locator("tbody tr").locator("th, td")
    assert copied(page, cells.nth(2)) == "0.3333333333333333"


def test_the_mean_beside_a_bar_is_copied_exactly(visit, run):
    page = visit("experiment-detail", run.experiment_id, query="?group=params.lr&view=charts")
    assert copied(page, page.locator(".value-row data").first) == "0.3333333333333333"

"""The runs of an experiment as curves."""

from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from experiments.models import Run
from experiments.tests import reading_pages
from experiments.tests.crowds import METRICS, crowd
from experiments.tests.reading_pages import Element, page_of
from exptrack.tests.statements import cost

NOW = {"view": "charts"}


def charts(page: Element) -> list[str]:
    return [chart["data-metric"] for chart in page.all("metric-chart")]


def drawn(page: Element) -> list[str]:
    """The ids of the runs that are drawn, in order."""
    boxes = page.one("run-key").all("input", type="checkbox")
    return [box["data-run"] for box in boxes]


# --- It works --------------------------------------------------------------------------------


def test_the_newest_runs_of_the_selection_have_a_line_in_each_chart(
    signed_in, alice, experiment, here
):
    runs = crowd(experiment, alice, 30)
    page = page_of(signed_in(alice).get(here, NOW))
    assert sorted(charts(page)) == sorted(METRICS)
    assert drawn(page) == [str(run.pk) for run in reversed(runs)][:20]
    board = page.one("chart-board")
    address = urlsplit(board["data-series-url"])
    assert address.path == reverse("compare-series")
    assert parse_qs(address.query)["run"] == drawn(page)
    assert "20 of 30 runs" in page.words
    answer = signed_in(alice).get(f"{board['data-series-url']}&metric=val/loss").json()
    assert [series["run"] for series in answer["series"]] == drawn(page)


def test_it_is_the_selection_of_the_table_in_its_order(signed_in, alice, experiment, here):
    crowd(experiment, alice, 40)
    failed = Run.objects.filter(status="failed").order_by("name")
    page = page_of(signed_in(alice).get(here, NOW | {"status": "failed", "ordering": "name"}))
    assert drawn(page) == [str(run.pk) for run in failed]
    table = urljoin(here, reading_pages.link(page, "Table"))
    assert parse_qs(urlsplit(table).query) == {"status": ["failed"], "ordering": ["name"]}
    back = urljoin(here, reading_pages.link(page_of(signed_in(alice).get(table)), "Charts"))
    assert drawn(page_of(signed_in(alice).get(back))) == drawn(page)


def test_more_or_fewer_runs_are_drawn_and_the_next_ones(signed_in, alice, experiment, here):
    runs = [str(run.pk) for run in reversed(crowd(experiment, alice, 30))]
    first = page_of(signed_in(alice).get(here, NOW | {"drawn": "10"}))
    assert drawn(first) == runs[:10]
    following = page_of(signed_in(alice).get(urljoin(here, reading_pages.link(first, "Next"))))
    assert drawn(following) == runs[10:20]
    all_of_them = page_of(signed_in(alice).get(urljoin(here, reading_pages.link(first, "50"))))
    assert drawn(all_of_them) == runs


def test_metrics_are_found_by_name_and_come_in_pages(signed_in, alice, experiment, here):
    crowd(experiment, alice, 2, metrics=tuple(f"layer/{n:02}" for n in range(30)))
    first = page_of(signed_in(alice).get(here, NOW))
    assert charts(first) == [f"layer/{n:02}" for n in range(24)]
    more = page_of(signed_in(alice).get(urljoin(here, reading_pages.link(first, "More metrics"))))
    assert charts(more) == [f"layer/{n}" for n in range(24, 30)]
    found = page_of(signed_in(alice).get(here, NOW | {"metric": "R/1"}))
    assert charts(found) == [f"layer/{n}" for n in range(10, 20)]
    none = page_of(signed_in(alice).get(here, NOW | {"metric": "zzz"}))
    assert "No metric matches" in none.words


def test_without_runs_or_metrics_it_says_so(signed_in, alice, experiment, here):
    assert "No runs yet" in page_of(signed_in(alice).get(here, NOW)).words
    crowd(experiment, alice, 2, metrics=())
    assert "No metrics yet" in page_of(signed_in(alice).get(here, NOW)).words
    page = page_of(signed_in(alice).get(here, NOW | {"status": "queued"}))
    assert "No run matches" in page.words


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", [{"view": "frog"}, {"drawn": "21"}, {"page": "0"}, {"smoothing": "x"}]
)
def test_what_is_asked_in_vain_is_told(signed_in, alice, experiment, here, query):
    crowd(experiment, alice, 2)
    page = page_of(signed_in(alice).get(here, NOW | query), 422)
    assert page.one("div", role="alert").words


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, here):
    client = signed_in(alice)

    def shown(count):
        assert len(drawn(page_of(client.get(here, NOW | {"drawn": "50"})))) == count

    crowd(experiment, alice, 3)
    few = cost(shown, 3)
    crowd(experiment, alice, 50, seed=2)
    assert cost(shown, 50) <= few <= 18


# --- In the browser --------------------------------------------------------------------------


def test_curves_are_drawn_searched_and_faultless(visit, alice, experiment, faultless):
    crowd(experiment, alice, 25)
    page = visit("experiment-detail", experiment.pk)
    page.get_by_role("link", name="Charts", exact=True).click()
    first = page.locator("metric-chart").first
    expect(first).to_have_attribute("data-state", "ready")
    lines = "canvas => Chart.getChart(canvas).data.datasets.length"
    assert first.locator("canvas").evaluate(lines) == 20
    faultless()
    page.get_by_role("searchbox", name="Search metrics by name").press_sequentially("val")
    expect(page.locator("metric-chart")).to_have_count(2)
    expect(page.get_by_role("searchbox", name="Search metrics by name")).to_have_value("val")
    expect(page.get_by_role("searchbox", name="Search metrics by name")).to_be_focused()
    expect(page.locator("metric-chart").last).to_have_attribute("data-state", "ready")
    assert parse_qs(urlsplit(page.url).query) == {"view": ["charts"], "metric": ["val"]}

"""An experiment's runs as curves: the other view of the selection that the table shows."""

from __future__ import annotations

from django.urls import reverse

from experiments import charts
from experiments.fields import Ordering
from experiments.listing import Asked
from experiments.models import Experiment
from experiments.selecting import Selection
from experiments.values import InvalidValue
from experiments.views.charts import X_NAMES, Board, chart_settings, query_of
from experiments.views.lists import name_part, numbered_pager, page_number

# Of how many runs curves are drawn at once: more lines than this nobody tells apart.
RUNS_DRAWN = (10, 20, 50)
USUALLY_DRAWN = 20
METRICS_PER_PAGE = 24


def run_charts_context(
    asked: Asked, experiment: Experiment, found: Selection, filters: dict, ordering: Ordering
) -> dict:
    """A page of the selection's runs, in the table's order, and a page of their metrics with one
    chart each."""
    drawn = asked.read("drawn", runs_drawn, USUALLY_DRAWN)
    page = asked.page(
        lambda now: found.segments(ordering, experiment.pk, now),
        descending=ordering.descending,
        limit=drawn,
    )
    part = asked.read("metric", name_part, "")
    start = (asked.read("page", page_number, 1) - 1) * METRICS_PER_PAGE
    names = [metric.name for metric in charts.overlaid(page.rows, "", 0, X_NAMES)]
    metrics = charts.overlaid(page.rows, part, start, METRICS_PER_PAGE + 1)
    series_url = f"{reverse('compare-series')}?{query_of(run.pk for run in page.rows)}"
    settings = chart_settings(asked, names)
    return {
        "filters": filters,
        "ordering": str(ordering),
        "page": page,
        "total": found.total,
        "board": Board(page.rows, metrics[:METRICS_PER_PAGE], settings, series_url),
        "metric": part,
        "metric_pager": numbered_pager(asked, metrics, METRICS_PER_PAGE, start=start),
        "drawn": drawn,
        "drawn_choices": [
            (size, asked.url_with(drawn=str(size), page=None)) for size in RUNS_DRAWN
        ],
    }


def runs_drawn(text: str) -> int:
    """One of RUNS_DRAWN, or InvalidValue."""
    if text not in map(str, RUNS_DRAWN):
        raise InvalidValue(f"Curves of {', '.join(map(str, RUNS_DRAWN))} runs are drawn at once.")
    return int(text)

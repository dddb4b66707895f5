"""An experiment's runs as curves: the other view of the selection that the table shows."""

from __future__ import annotations

from django.urls import reverse

from experiments.fields import Ordering
from experiments.listing import Asked
from experiments.models import Experiment
from experiments.selecting import Selection
from experiments.values import InvalidValue
from experiments.views.charts import Board, charted, query_of
from experiments.views.lists import name_part

# Of how many runs curves are drawn at once: more lines than this nobody tells apart.
RUNS_DRAWN = (10, 20, 50)
USUALLY_DRAWN = 20


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
    metrics, settings, pager = charted(asked, page.rows, part)
    series_url = f"{reverse('compare-series')}?{query_of(run.pk for run in page.rows)}"
    return {
        "filters": filters,
        "ordering": str(ordering),
        "page": page,
        "total": found.total,
        "board": Board(page.rows, metrics, settings, series_url),
        "metric": part,
        "metric_pager": pager,
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

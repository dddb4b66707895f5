"""What the charts of a page ask for, and what a page with charts shows. The API reads the same
words by a serializer, for its schema; both end in `charts.chart_series`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from experiments.charts import (
    DEFAULT_BUCKETS,
    LONGEST_AXIS,
    MAX_BUCKETS,
    MAX_SERIES,
    MAX_SMOOTHING,
    Axis,
    Overlaid,
    chart_series,
    checked_axis,
    grouped,
    lines_of,
    overlaid,
)
from experiments.comparing import MAX_COMPARED
from experiments.listing import Asked
from experiments.models import Metric, Run
from experiments.values import InvalidValue, field_name, uuid_in
from experiments.views.lists import numbered_pager, page_number
from experiments.wire import encoded

# Of more metrics the names are not offered as x axis; an address may still name one.
X_NAMES = 200
METRICS_AT_ONCE = 12
CHARTS_PER_PAGE = 24


class ChartForm(forms.Form):
    """The query of a chart: `metric` once or more, and how to draw them."""

    x = forms.CharField(required=False, max_length=LONGEST_AXIS)
    to = forms.FloatField(required=False)
    buckets = forms.IntegerField(required=False, min_value=1, max_value=MAX_BUCKETS)
    smoothing = forms.FloatField(required=False, min_value=0, max_value=MAX_SMOOTHING)
    xscale = forms.ChoiceField(required=False, choices=[("linear", ""), ("log", "")])
    # Our scripts read it, see `charts.as_compact_json`.
    compact = forms.BooleanField(required=False)

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query)
        # `from` is a word of Python's, so it cannot stand among the attributes.
        self.fields["from"] = forms.FloatField(required=False)
        self.fields["metric"] = forms.Field(required=False)

    def clean_x(self) -> str:
        try:
            return checked_axis(self.cleaned_data["x"] or "step")
        except InvalidValue as error:
            raise ValidationError(str(error)) from error

    def clean(self) -> None:
        """The metrics, which come as many times as there are."""
        try:
            names = [field_name(name) for name in dict.fromkeys(self.data.getlist("metric"))]
        except InvalidValue as error:
            raise ValidationError({"metric": str(error)}) from error
        if not 1 <= len(names) <= MAX_SERIES:
            raise ValidationError({"metric": f"Name 1 to {MAX_SERIES} metrics."})
        self.cleaned_data["names"] = names

    @property
    def names(self) -> list[str]:
        """The metrics that a valid form asks for, each once."""
        return self.cleaned_data["names"]

    def axis(self, usual_buckets: int = DEFAULT_BUCKETS) -> Axis:
        """The axis that a valid form asks for."""
        asked = self.cleaned_data
        return Axis(
            x=asked["x"],
            low=asked["from"],
            high=asked["to"],
            buckets=asked["buckets"] or usual_buckets,
            smoothing=asked["smoothing"] or 0.0,
            is_log=asked["xscale"] == "log",
        )

    def series_of(self, runs: Sequence[Run]) -> HttpResponse:
        """The curves of some runs that a valid form asks for."""
        brief = self.cleaned_data["compact"]
        found = chart_series(runs, self.names, self.axis(), brief=brief)
        return json_response({"series": found})


class OverlayForm(ChartForm):
    """The query of a chart of several runs: `run` once or more, too."""

    run = forms.Field(required=False)

    def clean(self) -> None:
        super().clean()
        ids = [uuid_in(text) for text in dict.fromkeys(self.data.getlist("run"))]
        if not 1 <= len(ids) <= MAX_COMPARED or None in ids:
            raise ValidationError({"run": f"Give the ids of 1 to {MAX_COMPARED} runs."})
        if len(ids) * len(self.cleaned_data["names"]) > MAX_SERIES:
            raise ValidationError({"run": f"{MAX_SERIES} series are the most at once."})
        self.cleaned_data["ids"] = ids


def json_response(data: object, status: int = 200) -> HttpResponse:
    """JSON as the API writes it."""
    return HttpResponse(encoded(data), "application/json", status=status)


def refused(form: ChartForm) -> HttpResponse:
    """What a chart is told that asks for what there cannot be."""
    error = {"message": "This chart cannot be drawn.", "details": form.errors}
    return json_response({"error": error}, status=400)


# --- Pages with charts -----------------------------------------------------------------------


def choice(*allowed: str) -> object:
    """A rule that lets one of some words through."""

    def rule(text: str) -> str:
        if text not in allowed:
            raise InvalidValue(f"Known are {', '.join(allowed)}.")
        return text

    return rule


def smoothing_weight(text: str) -> str:
    """A weight from 0 to 0.999 as it was written, or InvalidValue."""
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MAX_SMOOTHING:
        raise InvalidValue(f"Smoothing is a number from 0 to {MAX_SMOOTHING}.")
    return text


def charted(
    asked: Asked, runs: Sequence[Run | uuid.UUID], part: str
) -> tuple[list[Overlaid], dict, dict]:
    """A page of the metrics that these runs have, those with `part` in their name, to be a chart
    each; how the charts are set, and the pager of the page."""
    start = (asked.read("page", page_number, 1) - 1) * CHARTS_PER_PAGE
    settings = chart_settings(asked, [metric.name for metric in overlaid(runs, "", 0, X_NAMES)])
    metrics = overlaid(runs, part, start, CHARTS_PER_PAGE + 1)
    pager = numbered_pager(asked, metrics, CHARTS_PER_PAGE, start=start)
    return metrics[:CHARTS_PER_PAGE], settings, pager


def chart_settings(asked: Asked, names: Iterable[str]) -> dict:
    """How the address wants all charts of its page drawn, with the `names` of metrics that can
    serve as x."""
    x = asked.read("x", checked_axis, "step")
    names = list(names)
    if x.startswith("metric:") and x.removeprefix("metric:") not in names:
        names.append(x.removeprefix("metric:"))
    return {
        "x": x,
        "names": names,
        "xscale": asked.read("xscale", choice("log"), ""),
        "yscale": asked.read("yscale", choice("log"), ""),
        "smoothing": asked.read("smoothing", smoothing_weight, "0"),
        "outliers": asked.read("outliers", choice("hide"), ""),
    }


@dataclass(slots=True)
class Board:
    """Charts of some metrics, one a metric, with a line for each run."""

    runs: Sequence[Run]
    metrics: Sequence[Metric | Overlaid]
    settings: dict
    series_url: str

    @property
    def has_key(self) -> bool:
        return len(self.runs) > 1

    @property
    def metrics_at_once(self) -> int:
        """How many metrics a request may ask for."""
        return max(1, min(METRICS_AT_ONCE, MAX_SERIES // max(1, len(self.runs))))

    @property
    def lines(self) -> list[dict]:
        return lines_of(self.runs)

    @property
    def lines_json(self) -> str:
        """The lines for scripts; htmx would take a <script> that holds data out of a fragment."""
        return json.dumps(self.lines)

    @property
    def groups(self) -> list[tuple[str, list]]:
        return grouped(self.metrics)

    @property
    def points_url(self) -> str:
        """Where all points of these runs are to be had, but for the name of the metric."""
        return f"{reverse('compare-points')}?{query_of(run.pk for run in self.runs)}"


def query_of(run_ids: Iterable[uuid.UUID]) -> str:
    """`run=…&run=…`."""
    return urlencode([("run", run_id) for run_id in run_ids])

"""Runs side by side: the page, and what its charts are drawn from."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from experiments import access, charts
from experiments.views.charts import OverlayForm, json_response, refused


@require_safe
def compare_series(request: HttpRequest) -> HttpResponse:
    """Curves of several runs; the JSON of /api/v1/series/."""
    form = OverlayForm(request.GET)
    if not form.is_valid():
        return refused(form)
    runs = access.readable_runs(request.user, form.cleaned_data["ids"])
    return json_response({"series": charts.chart_series(runs, form.names, form.axis())})


@require_safe
def compare_points(request: HttpRequest) -> HttpResponse:
    """Every point of metrics of several runs as CSV, exact, as long as they are."""
    form = OverlayForm(request.GET)
    if not form.is_valid():
        return refused(form)
    runs = access.readable_runs(request.user, form.cleaned_data["ids"])
    lines = charts.points_csv(runs, form.names)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="points.csv"'
    return response

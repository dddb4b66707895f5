"""One run: what it is, what it was given, what came out; its curves as JSON; the Stop button."""

from __future__ import annotations

import json
import uuid

import yaml
from django.contrib import messages
from django.db.models import F, QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from experiments import access, curating
from experiments.filters import NameFilter
from experiments.listing import Asked
from experiments.models import Environment, Metric, Param, Run, Tag
from experiments.paging import bounded_count, keyed
from experiments.querysets import RunQuerySet
from experiments.refusals import Conflict
from experiments.templatetags.runs import TEXT_SHOWN
from experiments.values import InvalidValue
from experiments.views.charts import (
    X_NAMES,
    Board,
    ChartForm,
    chart_settings,
    refused,
)
from experiments.views.lists import list_page
from exptrack.pages import render_page, wants_fragment

METRICS_PER_PAGE = {"charts": 48, "table": 200}
PARAMS_SHOWN, PARAMS_PER_PAGE = 100, 500
PARAMS_COPIED = 10_000
TAGS_SHOWN = 100
CHILDREN_SHOWN, CHILDREN_PER_PAGE = 10, 100
# Of an error the end tells most: there stands what was raised.
ERROR_SHOWN = 16_000


@require_safe
def run_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One run with everything but its points."""
    run = access.readable_run(request.user, pk)
    asked = Asked.by(request)
    context = {"run": run, "asked": asked} | metrics_context(asked, run)
    if not wants_fragment(request):
        context |= head_context(request, run) | facts_context(request, run)
    return list_page(request, "experiments/run_detail.html", context, fragment="metrics")


def metrics_context(asked: Asked, run: Run) -> dict:
    """A page of the run's metrics, in groups."""
    view = asked.read("view", metrics_view, "charts")
    found, filters = asked.filtered(NameFilter, run.metrics.all())
    size = METRICS_PER_PAGE[view]
    page = asked.page(lambda now: [keyed(found, F("name"))], descending=False, limit=size)
    context = {"view": view, "filters": filters, "page": page, "total": bounded_count(found)}
    if view == "charts":
        context["board"] = run_board(asked, run, page.rows)
    return context


def run_board(asked: Asked, run: Run, metrics: list[Metric]) -> Board:
    """The charts of some metrics of one run."""
    names = run.metrics.order_by("name").values_list("name", flat=True)[:X_NAMES]
    series_url = reverse("run-series", args=[run.pk])
    return Board([run], metrics, chart_settings(asked, names), series_url)


def metrics_view(text: str) -> str:
    """`charts` or `table`, or InvalidValue."""
    if text not in METRICS_PER_PAGE:
        raise InvalidValue(f"Metrics are seen as {' or '.join(METRICS_PER_PAGE)}.")
    return text


def head_context(request: HttpRequest, run: Run) -> dict:
    """What the head of the page shows, and what a press of Stop changes in it."""
    may_edit = access.edits_run(request.user, run)
    return {
        "may_edit": may_edit,
        "may_stop": may_edit and not run.has_ended and run.in_trash_since is None,
        "error": run.error[-ERROR_SHOWN:],
    }


def facts_context(request: HttpRequest, run: Run) -> dict:
    """Params, tags, environment and relatives of the run."""
    visible = Run.objects.visible_to(request.user)
    children = children_of(request, run).order_by(F("started_at").desc(nulls_last=True), "-id")
    params = shown_params(run)
    environment = Environment.objects.filter(run=run).first()
    return {
        "params": list(params[:PARAMS_SHOWN]),
        "params_total": bounded_count(params),
        "tags": shown_tags(run),
        "environment": environment.data if environment else {},
        "parent": run.parent_id and visible.filter(pk=run.parent_id).first(),
        "children": children[:CHILDREN_SHOWN],
        "children_total": bounded_count(children),
    }


def shown_tags(run: Run) -> QuerySet[Tag]:
    """The run's tags by name, no more than a page can show."""
    return run.tags.defer("text")[:TAGS_SHOWN]


def shown_params(run: Run) -> QuerySet[Param]:
    """The run's params by name, of each text no more than a page can show."""
    texts = run.params.defer("value", "text").annotate(shown=Substr("text", 1, TEXT_SHOWN + 1))
    return texts.order_by("name")


@require_safe
def run_params(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All params of a run that has too many for its page."""
    run = access.readable_run(request.user, pk)
    asked = Asked.by(request)
    found, filters = asked.filtered(NameFilter, shown_params(run))
    page = asked.page(
        lambda now: [keyed(found, F("name"))], descending=False, limit=PARAMS_PER_PAGE
    )
    total = bounded_count(found)
    context = {"run": run, "asked": asked, "filters": filters, "page": page, "total": total}
    return list_page(request, "experiments/run_params.html", context, fragment="params")


@require_safe
def run_params_json(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All params of a run as JSON, to be pasted into a script."""
    text = json.dumps(params_as_logged(request, pk), indent=2, ensure_ascii=False)
    return HttpResponse(text, "application/json")


@require_safe
def run_params_yaml(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All params of a run as YAML, to be pasted into a configuration."""
    found = params_as_logged(request, pk)
    text = yaml.safe_dump(found, allow_unicode=True, sort_keys=False) if found else "{}\n"
    return HttpResponse(text, "application/yaml; charset=utf-8")


def params_as_logged(request: HttpRequest, pk: uuid.UUID) -> dict[str, object]:
    """Names and values of a run's params, as they came."""
    run = access.readable_run(request.user, pk)
    return dict(run.params.order_by("name").values_list("name", "value")[:PARAMS_COPIED])


@require_safe
def run_children(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All runs that this one started, as far as one may see them."""
    run = access.readable_run(request.user, pk)
    asked = Asked.by(request)
    found = children_of(request, run).for_table()
    page = asked.page(
        lambda now: [keyed(found, F("created_at"))], descending=True, limit=CHILDREN_PER_PAGE
    )
    context = {"run": run, "asked": asked, "page": page, "total": bounded_count(found)}
    return list_page(request, "experiments/run_children.html", context, fragment="children")


def children_of(request: HttpRequest, run: Run) -> RunQuerySet:
    return Run.objects.visible_to(request.user).filter(parent=run, trashed_at=None)


@require_safe
def run_series(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Curves of a run for its charts; the JSON of /api/v1/series/."""
    run = access.readable_run(request.user, pk)
    form = ChartForm(request.GET)
    if not form.is_valid():
        return refused(form)
    return form.series_of([run])


@require_POST
def run_stop(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask the training process to stop."""
    run = access.writable_run(request.user, pk)
    try:
        curating.request_stop(run=run)
    except Conflict as error:
        messages.warning(request, error.message)
    if not wants_fragment(request):
        return redirect("run-detail", run.pk)
    run = access.readable_run(request.user, pk)
    context = {"run": run, **head_context(request, run)}
    return render_page(request, "experiments/run_detail.html", context, fragment="run-head")

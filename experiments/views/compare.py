"""Runs side by side: tables, charts, and what the charts are drawn from."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from experiments import access, charts, comparing, tables
from experiments.comparing import MAX_COMPARED, Compared
from experiments.fields import Field
from experiments.listing import Asked
from experiments.models import Run
from experiments.templatetags.compare import LONGEST_CELL, Comparison
from experiments.values import InvalidValue, uuid_in
from experiments.views.charts import (
    Board,
    OverlayForm,
    charted,
    choice,
    query_of,
    refused,
)
from experiments.views.lists import csv_file, list_page, name_part, numbered_pager, page_number
from experiments.views.plots import parallel_context, scatter_context
from exptrack.databases import time_limit
from exptrack.pages import render_page, wants_fragment

# With their icons.
VIEWS = {"table": "table", "charts": "chart", "scatter": "scatter", "parallel": "parallel"}
AGGREGATES = tuple(comparing.EQUAL_METRICS)
# As many cells as a browser lays out without a pause, but rows enough to be worth a page.
MOST_CELLS, LEAST_ROWS, MOST_ROWS = 10_000, 50, 200
RUNS_FOUND = 20
PATCHES_SHOWN = 12
UNREAD = {
    "param": ("experiment", "value", "text"),
    "tag": ("experiment", "text"),
    "metric": ("experiment", "last_time"),
}


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Up to a hundred runs side by side, whichever experiments they are of."""
    asked = Asked.by(request)
    runs = asked_runs(request, asked)
    view = asked.read("view", choice(*VIEWS), "table")
    part = asked.read("search", name_part, "")
    context = {"asked": asked, "runs": runs, "view": view, "search": part, "views": VIEWS.items()}
    if runs:
        context |= {"lines": charts.lines_of(runs)} | seen_as(view, asked, runs, part)
        context["strip"] = list(zip(runs, context["lines"], strict=True))
    return list_page(request, "experiments/compare.html", context, fragment="compared")


def seen_as(view: str, asked: Asked, runs: list[Run], part: str) -> dict:
    """What one of VIEWS shows of the runs."""
    if view == "scatter":
        return scatter_context(asked, runs)
    if view == "parallel":
        return parallel_context(asked, runs)
    return (charts_context if view == "charts" else table_context)(asked, runs, part)


def asked_runs(request: HttpRequest, asked: Asked) -> list[Run]:
    """The runs an address names, but for the one it is `without`, as far as they are to be seen;
    what is left out is told."""
    without = asked.query.pop("without", [])
    texts = [text for text in dict.fromkeys(asked.query.getlist("run")) if text not in without]
    if len(texts) > MAX_COMPARED:
        asked.faults.append(f"Only the first {MAX_COMPARED} of {len(texts)} runs are compared.")
        texts = texts[:MAX_COMPARED]
    ids = [run_id for text in texts if (run_id := uuid_in(text)) is not None]
    found = access.visible_runs(request.user, ids)
    runs = [found[run_id] for run_id in dict.fromkeys(ids) if run_id in found]
    absent = len(texts) - len(runs)
    if absent:
        words = "1 of these runs is" if absent == 1 else f"{absent} of these runs are"
        asked.faults.append(f"{words} left out: not there, or not for you to see.")
    asked.query.setlist("run", [str(run.pk) for run in runs])
    return runs


# --- Side by side ----------------------------------------------------------------------------


def table_context(asked: Asked, runs: list[Run], part: str) -> dict:
    """A page of the rows that are asked for, in a column for each run."""
    aggregate = asked.read("value", choice(*AGGREGATES), "last")
    differing = asked.read("differ", choice("only"), "") == "only" and len(runs) > 1
    baseline = asked.read("baseline", one_of(runs), None)
    environments, more = comparing.environments_of(runs)
    if more:
        asked.faults.append("Some environments are left out: they are too long to be compared.")
    texts = comparing.environment_texts(environments)
    rows = comparing.compared_rows(runs, part, aggregate)
    rows += comparing.environment_rows(runs, texts, part)
    kept = [row for row in rows if row.differs] if differing else rows
    size = min(max(MOST_CELLS // len(runs), LEAST_ROWS), MOST_ROWS)
    start = (asked.read("page", page_number, 1) - 1) * size
    shown = kept[start : start + size]
    table = tables.chosen(runs, [*map(field_of(aggregate), shown)], without=UNREAD)
    return {
        "comparison": Comparison(
            runs, baseline or runs[0], shown, table, texts, aggregate, baseline is not None
        ),
        "aggregates": [(name, asked.url_with(value=name, page=None)) for name in AGGREGATES],
        "differing": differing,
        "counts": (len(kept), len(rows), sum(row.differs for row in rows)),
        "pager": numbered_pager(asked, kept[start : start + size + 1], size, start=start),
        "patches": patches(runs, texts, shown),
    }


def one_of(runs: Sequence[Run]) -> object:
    """A rule that finds one of these runs by its id."""

    def rule(text: str) -> Run:
        found = next((run for run in runs if run.pk == uuid_in(text)), None)
        if found is None:
            raise InvalidValue("The baseline is one of the runs that are compared.")
        return found

    return rule


def field_of(aggregate: str) -> object:
    """A row as a column of the runs table; nothing there for an entry of the environment."""
    return lambda row: Field(row.kind, row.name, aggregate if row.kind == "metric" else "")


def patches(
    runs: Sequence[Run], texts: dict[uuid.UUID, dict[str, str]], rows: Sequence[Compared]
) -> list[tuple[str, str, list[Run]]]:
    """The long texts of the rows shown, each once: its name, the text, and whose it is."""
    owners: dict[tuple[str, str], list[Run]] = {}
    for row in rows:
        for run in runs if row.kind == "environment" else ():
            text = texts.get(run.pk, {}).get(row.name, "")
            if "\n" in text or len(text) > LONGEST_CELL:
                owners.setdefault((row.name, text), []).append(run)
    return [(*key, found) for key, found in list(owners.items())[:PATCHES_SHOWN]]


# --- Charts ----------------------------------------------------------------------------------


def charts_context(asked: Asked, runs: list[Run], part: str) -> dict:
    """A page of metrics, one chart each with a line for each run."""
    metrics, settings, pager = charted(asked, runs, part)
    series_url = f"{reverse('compare-series')}?{query_of(run.pk for run in runs)}"
    return {"board": Board(runs, metrics, settings, series_url), "pager": pager}


@require_safe
def compare_series(request: HttpRequest) -> HttpResponse:
    """Curves of several runs; the JSON of /api/v1/series/."""
    form = OverlayForm(request.GET)
    if not form.is_valid():
        return refused(form)
    runs = access.readable_runs(request.user, form.cleaned_data["ids"])
    return form.series_of(runs)


@require_safe
def compare_points(request: HttpRequest) -> HttpResponse:
    """Every point of metrics of several runs as CSV, exact, as long as they are."""
    form = OverlayForm(request.GET)
    if not form.is_valid():
        return refused(form)
    runs = access.readable_runs(request.user, form.cleaned_data["ids"])
    lines = charts.points_csv(runs, form.names)
    return csv_file(lines, "points.csv")


# --- More runs -------------------------------------------------------------------------------


@require_safe
@time_limit()
def compare_runs(request: HttpRequest) -> HttpResponse:
    """Runs that could be compared too: the newest that one may see, of the experiment that is
    compared if it is one; found by name or id, of all."""
    asked = Asked.by(request)
    chosen = asked_runs(request, asked)
    part = asked.read("find", name_part, "")
    rows = Run.objects.visible_to(request.user).alive().for_table()
    experiments = {run.experiment for run in chosen}
    rows, order = (rows.searched(part) if part else rows), ("-id",)
    if not part and len(experiments) == 1:
        # The order of an index that begins with the experiment.
        rows, order = rows.inside(*experiments), ("-created_at", "-id")
    found = rows.exclude(pk__in=[run.pk for run in chosen]).order_by(*order)[: RUNS_FOUND + 1]
    context = {
        "asked": asked,
        "chosen": chosen,
        "find": part,
        "experiment": next(iter(experiments)) if len(experiments) == 1 else None,
        "found": list(found),
        "most": RUNS_FOUND,
        "hidden": [(name, text) for name, texts in asked.query.lists() for text in texts
                   if name not in ("find", "page")],
    }  # fmt: skip
    status = 422 if asked.faults and not wants_fragment(request) else 200
    template = "experiments/compare_runs.html"
    return render_page(request, template, context, fragment="found", status=status)

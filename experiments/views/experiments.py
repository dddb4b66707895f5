"""The list of experiments, one experiment with its runs, and those runs as CSV."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import chain, islice

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.snippets import log_a_run
from experiments import access, live, outcomes, run_values, tables
from experiments.cells import columns_of, rows_of
from experiments.expressions import words_of
from experiments.fields import Field, Ordering, parse_ordering
from experiments.filters import AGES, ExperimentFilter, RunTableFilter
from experiments.grouping import Group, csv_of_groups
from experiments.listing import PAGE_SIZES, Asked
from experiments.live import Watch
from experiments.models import Experiment, Run
from experiments.paging import CURSOR_PARAMETER, bounded_count
from experiments.querysets import EXPERIMENT_KEYS, STATUSES, ExperimentQuerySet
from experiments.selecting import NEWEST_FIRST, Selection, by_ids, everything, selection
from experiments.values import InvalidValue
from experiments.views import groups
from experiments.views.charts import choice
from experiments.views.group_charts import group_charts_context
from experiments.views.lists import csv_file, list_page
from experiments.views.live import MOST_WATCHED
from experiments.views.run_charts import run_charts_context
from experiments.views.saved_views import default_url, views_context
from exptrack.databases import TookTooLong, time_limit
from exptrack.pages import wants_fragment

EXPERIMENTS_PER_PAGE = 50
# How often an open list looks for experiments that are new, and one that is empty for the first.
LOOK_EVERY_SECONDS, LOOK_FOR_FIRST_EVERY_SECONDS = 30, 3


@require_safe
@time_limit()
def experiment_list(request: HttpRequest) -> HttpResponse:
    """All experiments one may see."""
    asked = Asked.by(request)
    rows, filters, ordering = asked_experiments(asked, request.user)
    segments, descending = rows.segments(ordering)
    page = asked.page(
        lambda now: segments, descending=descending, limit=asked.limit(EXPERIMENTS_PER_PAGE)
    )
    counts, heads = live.counted(Watch.by_page(experiments=page.rows))
    latest = outcomes.latest_runs(page.rows)
    context = {
        "asked": asked,
        "filters": filters,
        "ordering": ordering,
        "page": page,
        "total": bounded_count(rows),
        "rows": [(row, counts[row.pk], latest.get(row.pk)) for row in page.rows],
        "followed": followed(page.rows, counts),
        "heads": heads,
        "look_every": LOOK_EVERY_SECONDS,
        "owners": Experiment.objects.visible_to(request.user).alive().owners(),
        "statuses": Experiment.Status,
        "snippets": log_a_run(request.build_absolute_uri("/").rstrip("/")),
    }
    if not page.rows and not filters and CURSOR_PARAMETER not in asked.query:
        context["is_first_visit"] = True
        context["look_every"] = LOOK_FOR_FIRST_EVERY_SECONDS
    return list_page(request, "experiments/experiment_list.html", context, fragment="experiments")


def followed(rows: list[Experiment], counts: dict) -> list[Experiment]:
    """Those of a page that may still change, as many as one page may follow."""
    some = [
        row for row in rows if row.is_open or counts[row.pk]["running"] or counts[row.pk]["queued"]
    ]
    return some[:MOST_WATCHED]


def asked_experiments(asked: Asked, user: User) -> tuple[ExperimentQuerySet, dict, str]:
    """The living experiments that an address leaves of those the user sees, the filters in force,
    and the order."""
    visible = Experiment.objects.visible_to(user).alive()
    rows, filters = asked.filtered(ExperimentFilter, visible.for_list())
    return rows, filters, asked.read("ordering", experiment_ordering, "-last_run_at")


def experiment_ordering(text: str) -> str:
    """What the list can be ordered by, or InvalidValue."""
    if text.removeprefix("-") not in EXPERIMENT_KEYS:
        raise InvalidValue(f"Order by {', '.join(EXPERIMENT_KEYS)}, with - for downward.")
    return text


@require_safe
def experiment_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One experiment and the table of its runs."""
    experiment = access.readable_experiment(request.user, pk)
    if not request.GET and not wants_fragment(request) and (url := default_url(experiment)):
        return redirect(url)
    asked = Asked.by(request)
    asked.query.pop("find", None)  # belongs to the form that chooses columns
    asked.check_query()
    if asked.query_fault and wants_fragment(request):
        return query_fault(request, asked)
    try:
        with time_limit():
            table = table_context(request.user, asked, experiment)
            context = {"experiment": experiment, "asked": asked} | table
    except TookTooLong as stopped:
        return query_fault(request, asked, stopped)
    shown = context["page"].rows if "page" in context else []
    owners = {request.user.username, *(run.owner.username for run in shown)}
    context |= {
        "owners": sorted(owners),
        "statuses": STATUSES,
        **views_context(request.user, experiment, asked),
        "quick_filters": quick_filters(asked, request.user.username),
        "token_url": f"{reverse('account')}?experiment={experiment.pk}",
    }
    if not wants_fragment(request):
        context["may_edit"] = access.edits_experiment(request.user, experiment)
        shown = context["board"].runs if "board" in context else ()
        counts, context["heads"] = live.counted(Watch.by_page(shown, [experiment]))
        context["counts"] = counts[experiment.pk]
    return list_page(request, "experiments/experiment_detail.html", context, fragment="runs")


def query_fault(
    request: HttpRequest, asked: Asked, stopped: TookTooLong | None = None
) -> HttpResponse:
    """What is wrong with the query, or that its answer took too long. In a page that is open it
    goes under the box, and the runs found before stay."""
    context = {"asked": asked, "stopped": stopped, "rest": ("?saved=none", "To all runs")}
    if not wants_fragment(request):
        return render(request, "took_too_long.html", context, status=503)
    response = render(request, "experiments/_query_fault.html", context, status=422)
    response["HX-Retarget"], response["HX-Reswap"] = "#query-fault", "innerHTML"
    response["HX-Reselect"] = "#query-fault > *"
    return response


def table_context(user: User, asked: Asked, experiment: Experiment) -> dict:
    """What an address asks to see: a page of runs, their curves, or groups of them."""
    grouping, group = groups.asked_grouping(asked), groups.asked_group(asked, experiment)
    is_curves = asked.read("view", choice("table", "charts"), "table") == "charts"
    fields = list(grouping.fields) if grouping else []
    if is_curves and grouping is not None and group is None:
        context = group_charts_context(asked, experiment, grouping)
        fields = context["grouped"].fields
    elif is_curves:
        found, filters, ordering, _ = asked_runs(asked, experiment, group)
        context = run_charts_context(asked, experiment, found, filters, ordering)
    elif grouping is not None and group is None:
        context = groups.groups_context(asked, experiment, grouping)
        fields = context["grouped"].fields
    else:
        context = runs_context(user, asked, experiment, group)
    if group is not None:
        context["group_values"] = list(zip(fields, group.keys, strict=True))
    url = groups.grouping_url(asked, experiment, fields)
    return context | {"group": group, "grouping_url": url}


def runs_context(user: User, asked: Asked, experiment: Experiment, group: Group | None) -> dict:
    """The page of runs that an address asks for, those of one group or all, in columns."""
    found, filters, ordering, fields = asked_runs(asked, experiment, group)
    limit = asked.limit()
    page = asked.page(
        lambda now: found.segments(ordering, experiment.pk, now),
        descending=ordering.descending,
        limit=limit,
    )
    fields = named_first(fields or usual_columns(found, experiment, ordering))
    if run_values.PARENT in fields:
        access.hide_parents(user, page.rows)
    columns = columns_of(page.rows, fields)
    return {
        "filters": filters,
        "ordering": str(ordering),
        "limit": limit,
        "page_sizes": PAGE_SIZES,
        "page": page,
        "total": found.total,
        "columns": columns,
        "rows": rows_of(page.rows, columns),
        "csv_url": csv_url(asked, experiment, fields),
    }


def quick_filters(asked: Asked, username: str) -> list[tuple[str, bool, str]]:
    """The chips above the table: what each says, whether it is on, and where it leads. Filters
    that have no field of their own are there to be taken away."""
    chips = {("status", "running"): "Running", ("owner", username): "Mine"}
    chips["within", "7d"] = AGES["7d"][1]
    for name in ("within", "search", "tag", "created_after", "created_before"):
        if (text := asked.query.get(name)) and (name, text) not in chips:
            words = AGES[text][1] if name == "within" else f"{name.replace('_', ' ')} {text}"
            chips[name, text] = words
    return [
        (label, is_on, asked.url_with(**{name: None if is_on else value}))
        for (name, value), label in chips.items()
        for is_on in [asked.query.get(name) == value]
    ]


def asked_runs(
    asked: Asked, experiment: Experiment, group: Group | None = None
) -> tuple[Selection, dict, Ordering, list[Field] | None]:
    """The runs that an address asks for, those of one group or all, the filters in force, the
    order, and the columns if it names any."""
    asked.join("columns")
    rows, filters = asked.filtered(RunTableFilter, Run.objects.inside(experiment).for_table())
    if group is not None:
        rows = by_ids(rows, words_of(group.run_ids))
    ordering = asked.read("ordering", parse_ordering, NEWEST_FIRST)
    found = selection(rows, experiment.pk) if filters or group else everything(rows)
    return found, filters, ordering, asked.read("columns", tables.parse_columns, None)


def usual_columns(found: Selection, experiment: Experiment, ordering: Ordering) -> list[Field]:
    """The default columns of a selection: those of its newest runs, whatever the order and the
    page, so that sorting does not exchange them; with the one it is sorted by."""
    newest = found.newest(experiment.pk, tables.RUNS_LOOKED_AT)
    columns = tables.default_columns(newest)
    return columns if ordering.field in columns else [*columns, ordering.field]


def named_first(columns: list[Field]) -> list[Field]:
    """The columns with the name in front: it is what a row is known by."""
    name = Field("attribute", "name")
    return [name, *(column for column in columns if column != name)]


def csv_url(asked: Asked, experiment: Experiment, columns: list[Field]) -> str:
    """The address of all runs of the selection, in these columns and this order."""
    query = asked.query.copy()
    for name in ("cursor", "limit"):
        query.pop(name, None)
    query["columns"] = ",".join(map(str, columns))
    return f"{reverse('experiment-runs-csv', args=[experiment.pk])}?{query.urlencode(safe=',:')}"


@require_safe
def experiment_runs_csv(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What the page shows of an experiment, runs or groups, all pages of it, numbers exact."""
    experiment = access.readable_experiment(request.user, pk)
    asked = Asked.by(request)
    asked.check_query()
    try:
        lines = csv_lines(request.user, asked, experiment)
        if faults := asked.all_faults:
            # A file with other rows than asked for would be taken for the right one.
            return HttpResponse("\n".join(faults), "text/plain; charset=utf-8", status=400)
        # The head and the first runs are found before the answer begins.
        begun = chain(list(islice(lines, 2)), lines)
    except TookTooLong as stopped:
        return HttpResponse(str(stopped), "text/plain; charset=utf-8", status=503)
    return csv_file(begun, f"runs-{experiment.pk}.csv")


def csv_lines(user: User, asked: Asked, experiment: Experiment) -> Iterator[str]:
    """The lines of the CSV that an address asks for, of groups or of runs."""
    with time_limit():
        grouping, group = groups.asked_grouping(asked), groups.asked_group(asked, experiment)
        if grouping is not None and group is None:
            grouped, metrics, _ = groups.asked_groups(asked, experiment, grouping)
            return csv_of_groups(grouped, metrics)
        found, _, ordering, columns = asked_runs(asked, experiment, group)
    segments = found.segments(ordering, experiment.pk)
    return run_values.csv_of_runs(user, segments, ordering, columns)

"""Groups of an experiment's runs as curves: the page's view, and the twins beside it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from experiments import access, charts, group_curves, tables
from experiments.charts import MAX_BUCKETS, MAX_SERIES, Overlaid
from experiments.fields import Field, parse_field
from experiments.group_curves import BANDS, MOST_GROUPS, RUNS_A_GROUP
from experiments.grouping import (
    Group,
    Grouping,
    add_spreads,
    group_ordering,
    grouped,
    put_in_order,
)
from experiments.listing import Asked
from experiments.models import Experiment, Run
from experiments.paging import CURSOR_PARAMETER
from experiments.views.charts import (
    METRICS_AT_ONCE,
    ChartForm,
    charted,
    choice,
    json_response,
    refused,
)
from experiments.views.groups import (
    asked_grouping,
    asked_selection,
    labelled,
    page_url,
    place_in_list,
)
from experiments.views.lists import csv_file, name_part
from exptrack.databases import TookTooLong, time_limit

# What one request of a chart reads at most, if it asks for several metrics.
SERIES_AT_ONCE = 2_400
# What of the page's address says nothing of which groups are shown.
NOT_OF_GROUPS = ("view", "metric", "page", "drawn", "x", "xscale", "yscale", "smoothing",
                 "outliers", "band", "limits", "hide")  # fmt: skip


class GroupChartForm(ChartForm):
    """The query of a chart of groups: what is drawn round a mean, too."""

    band = forms.ChoiceField(required=False, choices=list(BANDS.items()))


@dataclass(slots=True)
class GroupBoard:
    """Charts of some metrics, one a metric, with a line for each group's mean."""

    lines: list[dict]
    metrics: Sequence[Overlaid]
    settings: dict
    series_url: str
    points_url: str
    metrics_at_once: int
    runs: list[Run] = field(default_factory=list)  # that have not ended: whose points are followed
    has_key: bool = True
    is_of_groups: bool = True

    @property
    def lines_json(self) -> str:
        """The lines for scripts."""
        return json.dumps([
            {name: line[name] for name in ("id", "name", "ink", "dash", "open")}
            for line in self.lines
        ])  # fmt: skip

    @property
    def groups(self) -> list[tuple[str, list]]:
        return charts.grouped(self.metrics)


@dataclass(slots=True)
class ShownGroups:
    """The groups that one page of charts draws, and which of all they are."""

    fields: list[Field]
    groups: list[Group]
    first: int
    of: int
    is_whole: bool
    filters: dict

    @property
    def words(self) -> str:
        """Which groups are drawn: "3 groups", "21–40 of 57 groups"."""
        words = f"{self.of:,} group{'' if self.of == 1 else 's'}"
        if len(self.groups) == self.of:
            return words
        return f"{self.first + 1:,}–{self.first + len(self.groups):,} of {words}"


def shown_groups(asked: Asked, experiment: Experiment, grouping: Grouping) -> ShownGroups:
    """The groups that an address asks to see drawn, in the order of their table. Of their metrics
    only the one that orders them is read: a page asks for its charts a few at a time."""
    rows, filters = asked_selection(asked, experiment)
    found = grouped(rows, experiment.pk, grouping)
    metrics = [each for each in [asked.read("ordering", ordered_by, None)] if each is not None]
    add_spreads(found.groups, metrics)
    ordering = asked.read("ordering", group_ordering(found.fields, metrics), "")
    if ordering:
        put_in_order(found, metrics, ordering)
    first = asked.read(CURSOR_PARAMETER, place_in_list, 0)
    shown = found.groups[first : first + MOST_GROUPS]
    return ShownGroups(found.fields, shown, first, len(found.groups), found.is_whole, filters)


def ordered_by(ordering: str) -> Field | None:
    """The metric that groups are ordered by, None when it is something else."""
    word = ordering.removeprefix("-")
    found = parse_field(word) if word.startswith("metrics.") else None
    return found if found and found.aggregate in tables.COMPARED else None


def group_charts_context(asked: Asked, experiment: Experiment, grouping: Grouping) -> dict:
    """A page of the selection's groups and a page of their metrics with one chart each."""
    shown = shown_groups(asked, experiment, grouping)
    part = asked.read("metric", name_part, "")
    ids = [pk for group in shown.groups for pk in group_curves.read_of(group)]
    metrics, settings, pager = charted(asked, ids, part)
    settings |= {"band": asked.read("band", choice(*BANDS), "std"), "bands": BANDS.items()}
    following = shown.first + MOST_GROUPS
    return {
        "filters": shown.filters,
        "ordering": asked.query.get("ordering", ""),
        "grouped": shown,
        "cut_groups": sum(len(group.run_ids) > RUNS_A_GROUP for group in shown.groups),
        "runs_a_group": RUNS_A_GROUP,
        "board": board_of(asked, experiment, shown, metrics, settings),
        "metric": part,
        "metric_pager": pager,
        "previous": shown.first and page_url(asked, max(shown.first - MOST_GROUPS, 0)),
        "next": following < shown.of and page_url(asked, following),
    }


def board_of(
    asked: Asked,
    experiment: Experiment,
    shown: ShownGroups,
    metrics: Sequence[Overlaid],
    settings: dict,
) -> GroupBoard:
    """The charts of these groups, and where they find what they draw."""
    ids = [pk for group in shown.groups for pk in group_curves.read_of(group)]
    running = list(Run.objects.filter(pk__in=ids, ended_at=None).order_by("-id"))
    query = asked.query.copy()
    for name in NOT_OF_GROUPS:
        query.pop(name, None)
    query["group"] = ",".join(map(str, shown.fields)) or query["group"]
    address = query.urlencode(safe=",:")
    return GroupBoard(
        group_lines(asked, shown, {run.pk for run in running}),
        metrics,
        settings,
        f"{reverse('group-series', args=[experiment.pk])}?{address}",
        f"{reverse('group-means', args=[experiment.pk])}?{address}",
        max(1, min(METRICS_AT_ONCE, SERIES_AT_ONCE // max(1, len(ids)))),
        running,
    )


def group_lines(asked: Asked, shown: ShownGroups, running: set[uuid.UUID]) -> list[dict]:
    """How each group's line is told from the others, what it is called, where its runs are, and
    which of them go on."""
    labels = labelled(shown.fields)
    inks = charts.inks_of([(group.word, int(group.word, 16)) for group in shown.groups])
    by = ",".join(map(str, shown.fields)) or asked.query["group"]
    return [
        {
            "id": group.word,
            "name": group_name(group, labels),
            "runs": len(group.run_ids),
            "open": [str(pk) for pk in group_curves.read_of(group) if pk in running],
            "url": asked.url_with(group=by, inside=group.word, ordering=None, hide=None),
            **inks[group.word],
        }
        for group in shown.groups
    ]


def group_name(group: Group, labels: Sequence[tuple[Field, str]]) -> str:
    """`lr 0.1 · optimizer adam`; what there is to say of runs that differ in nothing."""
    parts = [
        f"{label} {'none' if key.shown is None else key.shown}"
        for (_, label), key in zip(labels, group.keys, strict=True)
    ]
    return " · ".join(parts) or "All runs"


# --- What they are drawn from ----------------------------------------------------------------


def means_asked(
    request: HttpRequest, pk: uuid.UUID
) -> tuple[GroupChartForm, ShownGroups | HttpResponse]:
    """What a chart of an experiment's groups asks for, or why it cannot have it."""
    experiment = access.readable_experiment(request.user, pk)
    form, asked = GroupChartForm(request.GET), Asked.by(request)
    asked.check_query()
    grouping = asked_grouping(asked)
    if not form.is_valid():
        return form, refused(form)
    if len(form.names) * MOST_GROUPS > MAX_SERIES * 2:
        form.add_error("metric", f"{MAX_SERIES * 2 // MOST_GROUPS} metrics are the most at once.")
    try:
        with time_limit():
            shown = grouping and shown_groups(asked, experiment, grouping)
    except TookTooLong as stopped:
        return form, json_response({"error": {"message": str(stopped)}}, status=503)
    if shown is None or asked.all_faults:
        form.add_error(None, asked.all_faults or "Name what to group by.")
    return form, shown if form.is_valid() else refused(form)


@require_safe
def group_series(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The mean of each group of runs that the page's address shows, for its charts."""
    form, shown = means_asked(request, pk)
    if isinstance(shown, HttpResponse):
        return shown
    band = form.cleaned_data["band"] or "std"
    found = group_curves.group_series(shown.groups, form.names, form.axis(), band)
    return json_response({"series": found})


@require_safe
def group_means(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The same as CSV, exact, in as many buckets as there can be."""
    form, shown = means_asked(request, pk)
    if isinstance(shown, HttpResponse):
        return shown
    axis = form.axis(usual_buckets=MAX_BUCKETS)
    lines = group_curves.means_csv(shown.groups, shown.fields, form.names, axis)
    return csv_file(lines, "means.csv")

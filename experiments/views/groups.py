"""The runs of an experiment in groups: the table of them, their CSV, and the way into one."""

from __future__ import annotations

from django.db.models import QuerySet
from django.urls import reverse

from experiments import tables
from experiments.cells import BEST
from experiments.fields import Field
from experiments.filters import RunTableFilter
from experiments.grouping import (
    Group,
    Grouped,
    Grouping,
    Key,
    add_spreads,
    group_ordering,
    grouped,
    parse_grouping,
    put_in_order,
)
from experiments.listing import PAGE_SIZES, Asked
from experiments.models import Experiment, Run
from experiments.paging import CURSOR_PARAMETER
from experiments.selecting import selection
from experiments.templatetags.groups import mean_places
from experiments.values import InvalidValue

# What an address asks of a list in one grouping and no other.
LEFT_BEHIND = ("inside", "ordering", "view", "page", "cursor")


def asked_grouping(asked: Asked) -> Grouping | None:
    """What the address groups by, if it does."""
    return asked.read("group", parse_grouping, None)


def asked_group(asked: Asked, experiment: Experiment) -> Group | None:
    """The group whose runs alone the address asks for (`inside`), if it does; told as a fault when
    the selection has none such."""
    grouping = asked_grouping(asked)
    if grouping is None:
        asked.query.pop("inside", None)
    if grouping is None or "inside" not in asked.query:
        return None
    rows, _ = asked.filtered(RunTableFilter, Run.objects.inside(experiment))
    found = grouped(rows, experiment.pk, grouping)
    group = next((each for each in found.groups if each.word == asked.query["inside"]), None)
    if group is None:
        asked.leave_out("inside", "No group of this selection has those values.")
    return group


def asked_selection(asked: Asked, experiment: Experiment) -> tuple[QuerySet, dict]:
    """The runs that an address leaves to be grouped, and the filters in force."""
    rows, filters = asked.filtered(RunTableFilter, Run.objects.inside(experiment).for_table())
    return selection(rows, experiment.pk).rows if filters else rows, filters


def asked_groups(
    asked: Asked, experiment: Experiment, grouping: Grouping
) -> tuple[Grouped, list[Field], dict]:
    """The groups of an address in its order, the metrics shown of them, the filters in force."""
    asked.join("columns")
    rows, filters = asked_selection(asked, experiment)
    columns = asked.read("columns", tables.parse_columns, None)
    if columns is None:
        columns = tables.default_columns(rows.newest(tables.RUNS_LOOKED_AT))
    metrics = [each for each in columns if each.aggregate in tables.COMPARED]
    found = grouped(rows, experiment.pk, grouping)
    add_spreads(found.groups, metrics)
    ordering = asked.read("ordering", group_ordering(found.fields, metrics), "")
    if ordering:
        put_in_order(found, metrics, ordering)
    return found, metrics, filters


def groups_context(asked: Asked, experiment: Experiment, grouping: Grouping) -> dict:
    """The page of groups that an address asks for."""
    found, metrics, filters = asked_groups(asked, experiment, grouping)
    limit = asked.limit()
    first = asked.read(CURSOR_PARAMETER, place_in_list, 0)
    last = first + limit
    shown = found.groups[first:last]
    by = ",".join(map(str, found.fields))
    here = reverse("experiment-runs-csv", args=[experiment.pk])
    return {
        "filters": filters,
        "ordering": asked.query.get("ordering", ""),
        "limit": limit,
        "page_sizes": PAGE_SIZES,
        "grouped": found,
        "group_fields": labelled(found.fields),
        "group_columns": [
            (each, marks_of(each, found, grouping), mean_places(shown, each)) for each in metrics
        ],
        "groups": [(group, asked.url_with(group=by, inside=group.word, ordering=None))
                   for group in shown],
        "previous": first and page_url(asked, max(first - limit, 0)),
        "next": last < len(found.groups) and page_url(asked, last),
        "csv_url": f"{here}?{asked.query.urlencode(safe=',:')}",
    }  # fmt: skip


def page_url(asked: Asked, first: int) -> str:
    """The address of the page that begins behind so many groups."""
    return f"{asked.url_with()}&{CURSOR_PARAMETER}={first}" if first else asked.url_with()


def labelled(fields: list[Field]) -> list[tuple[Field, str]]:
    """Fields with what their heads say: the whole word where a param and a tag share a name."""
    names = [each.name for each in fields]
    return [(each, each.name if names.count(each.name) == 1 else str(each)) for each in fields]


def marks_of(column: Field, found: Grouped, grouping: Grouping) -> dict[tuple[Key, ...], str]:
    """What marks the best means of a metric, by the keys of the group that has it: the best of
    all, and where one has chosen several keys the best of those that share the first one. So a
    table of optimizers and learning rates says which rate is best with each optimizer."""
    marks: dict[tuple[Key, ...], str] = {}
    if len(found.fields) > 1 and not grouping.all_but:
        alike: dict[Key, list[Group]] = {}
        for group in found.groups:
            alike.setdefault(group.keys[0], []).append(group)
        for key, groups in alike.items():
            value = "none" if key.shown is None else key.shown
            label = f"Best with {found.fields[0].name} {value}"
            marks |= dict.fromkeys(best_means(column, groups), label)
    return marks | dict.fromkeys(best_means(column, found.groups), BEST)


def best_means(column: Field, groups: list[Group]) -> list[tuple[Key, ...]]:
    """The keys of those with the best mean of a metric, where there are two that differ."""
    means = {group.keys: group.spreads[column].mean for group in groups if column in group.spreads}
    best = tables.best_of(column, means.values())
    return [keys for keys, mean in means.items() if best is not None and mean == best]


def place_in_list(text: str) -> int:
    """How many groups to pass over, or InvalidValue."""
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidValue("This page of the list cannot be found; here is the first one.")
    return int(text)


def grouping_url(asked: Asked, experiment: Experiment, fields: list[Field]) -> str:
    """Where the menu of what to group by is fetched; `fields` are those it is grouped by now."""
    query = asked.query.copy()
    for name in LEFT_BEHIND:
        query.pop(name, None)
    if fields:
        query["group"] = ",".join(map(str, fields))
    here = reverse("experiment-grouping", args=[experiment.pk])
    return f"{here}?{query.urlencode(safe=',:')}" if query else here

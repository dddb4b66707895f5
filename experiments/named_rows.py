"""The params, tags and metrics of the runs that a page shows, by run and name."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import add, or_

from django.db import models
from django.db.models import BigIntegerField, Count, Max, Min, OuterRef, Q, Subquery

from experiments.expressions import Octets
from experiments.models import Metric, Param, Run, Tag

RELATED = {"params": Param, "metrics": Metric, "tags": Tag}
NAMES_SHOWN = 100
CONDITIONS_AT_ONCE = 200
VALUE = ("kind", "text_head")  # what tells the values of a param apart
TEXTS = {"params": ("value",), "tags": ("text",)}  # which may be long, and are read for an answer


def rows_of_runs(
    runs: Sequence[Run], relation: str, names: Sequence[str], *, without: Sequence[str] = ()
) -> dict[uuid.UUID, dict[str, models.Model]]:
    """The params, tags or metrics of these names, by run and name; one statement, none without
    names. The columns in `without` are left unread."""
    found: dict[uuid.UUID, dict[str, models.Model]] = {run.pk: {} for run in runs}
    if runs and names:
        of_runs = rows_related(relation).filter(run__in=list(found), name__in=list(names))
        for row in of_runs.defer(*without):
            found[row.run_id][row.name] = row
    return found


def read_of_runs(
    runs: Sequence[Run],
    relation: str,
    read: str | tuple[str, ...],
    *,
    names: Sequence[str] | None = None,
    cuts: Mapping[uuid.UUID, str] | None = None,
) -> dict[uuid.UUID, dict[str, object]]:
    """The same as plain values, in name order: what stands in the column `read`, or tuples of
    these. Of the given names, or of each run those before its cut. At most one statement for a
    usual page."""
    found: dict[uuid.UUID, dict[str, object]] = {run.pk: {} for run in runs}
    columns = (read,) if isinstance(read, str) else read
    related = rows_related(relation).values_list("run_id", "name", *columns)
    if names is None:
        cuts = cuts or {}
        rows = first_rows(related, [pk for pk in found if pk not in cuts], cuts)
    else:
        rows = related.filter(run__in=list(found), name__in=list(names)) if runs and names else ()
    for row in rows:
        found[row[0]][row[1]] = row[2] if isinstance(read, str) else row[2:]
    return found


def octets_in(relation: str) -> models.Expression:
    """How many bytes a param, tag or metric brings into an answer: its text and its name."""
    return reduce(add, map(Octets, ("name", *TEXTS.get(relation, ()))))


class TotalOctets(Subquery):
    """The sum of what rows have as `octets`."""

    template = "(SELECT COALESCE(SUM(octets), 0) FROM (%(subquery)s) each_of_them)"
    output_field = BigIntegerField()


def octets_of_runs(runs: Sequence[Run], relations: Mapping[str, Sequence[str] | None]) -> list[int]:
    """For each run how many bytes its params, tags or metrics of these names have, or the first 100
    of each; texts with their names, of metrics the names alone. At most one statement."""
    totals = {}
    for relation, names in relations.items():
        if names is None or names:
            rows = rows_related(relation).filter(run=OuterRef("pk"))
            rows = rows[:NAMES_SHOWN] if names is None else rows.filter(name__in=list(names))
            totals[f"octets_{relation}"] = TotalOctets(rows.values(octets=octets_in(relation)))
    if not runs or not totals:
        return [0] * len(runs)
    marks = Run.objects.filter(pk__in=[run.pk for run in runs]).annotate(**totals)
    found = {pk: sum(octets) for pk, *octets in marks.values_list("pk", *totals)}
    return [found.get(run.pk, 0) for run in runs]


def values_of_runs(
    runs: Sequence[Run], relation: str, names: Iterable[str], *columns: str
) -> dict[str, dict[uuid.UUID, tuple]]:
    """Some columns of the params, tags or metrics of these names, by name and run, as tuples: a
    page of runs has thousands. One statement, none without names."""
    found: dict[str, dict[uuid.UUID, tuple]] = {name: {} for name in names}
    if runs and found:
        of_runs = rows_related(relation).filter(run__in=[run.pk for run in runs])
        rows = of_runs.filter(name__in=list(found)).order_by()
        for run_id, name, *values in rows.values_list("run_id", "name", *columns):
            found[name][run_id] = tuple(values)
    return found


def params_of_runs(runs: Sequence[Run], before: Mapping) -> Iterator[tuple[str, int, bool]]:
    """The names of the first params of these runs, with how many have each and whether their values
    differ; `before` is from `first_cuts`. Counted by the database: as rows they are thousands."""
    ends = {f"{end.name}_{column}": end(column) for end in (Min, Max) for column in VALUE}
    for row in named(runs, "params", before).annotate(runs=Count("pk"), **ends):
        differ = any(row[f"Min_{column}"] != row[f"Max_{column}"] for column in VALUE)
        yield row["name"], row["runs"], differ


def metrics_of_runs(runs: Sequence[Run], before: Mapping) -> dict[str, int]:
    """The names of the first metrics of these runs, with how many have each."""
    counts = named(runs, "metrics", before).annotate(runs=Count("pk"))
    return {row["name"]: row["runs"] for row in counts}


def named(runs: Sequence[Run], relation: str, before: Mapping) -> models.QuerySet:
    """The first params, tags or metrics of at most a hundred runs, as groups of one name."""
    cuts = before[relation]
    whole = [run.pk for run in runs if run.pk not in cuts]
    conditions = list(conditions_of(whole, cuts))
    assert len(conditions) <= CONDITIONS_AT_ONCE
    return rows_related(relation).filter(reduce(or_, conditions)).order_by().values("name")


def rows_related(relation: str) -> models.QuerySet:
    """Every param, tag or metric, by name."""
    return RELATED[relation].objects.order_by("name")


def first_cuts(runs: Sequence[Run], *relations: str) -> dict[str, dict[uuid.UUID, str]]:
    """For each run that has more than 100 params, tags or metrics, the name of the next one. One
    statement."""
    cuts = {}
    for relation in relations:
        names = rows_related(relation).filter(run=OuterRef("pk")).values("name")
        cuts[f"cut_{relation}"] = Subquery(names[NAMES_SHOWN : NAMES_SHOWN + 1])
    marks = Run.objects.filter(pk__in=[run.pk for run in runs]).annotate(**cuts)
    found = list(marks.values_list("pk", *cuts))
    return {
        relation: {pk: at[place] for pk, *at in found if at[place] is not None}
        for place, relation in enumerate(relations)
    }


def first_rows(
    related: models.QuerySet, whole: Sequence[uuid.UUID], cuts: Mapping[uuid.UUID, str]
) -> Iterable[models.Model | tuple]:
    """All rows of the runs in `whole`, and of the others those before their cut."""
    conditions = list(conditions_of(whole, cuts))
    for start in range(0, len(conditions), CONDITIONS_AT_ONCE):
        some = conditions[start : start + CONDITIONS_AT_ONCE]
        yield from related.filter(reduce(or_, some))


def conditions_of(whole: Sequence[uuid.UUID], cuts: Mapping[uuid.UUID, str]) -> Iterator[Q]:
    """What picks the first rows of runs. Those with the same cut share a condition; SQLite allows
    no more than a thousand of them."""
    by_cut: dict[str, list[uuid.UUID]] = {}
    for pk, cut in cuts.items():
        by_cut.setdefault(cut, []).append(pk)
    if whole:
        yield Q(run__in=whole)
    for cut, ids in by_cut.items():
        yield Q(run__in=ids, name__lt=cut)

"""The params, tags and metrics of the runs that a page shows, by run and name."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import OuterRef, Q, Subquery

if TYPE_CHECKING:
    from experiments.models import Run

NAMES_SHOWN = 100
CONDITIONS_AT_ONCE = 200


def rows_of_runs(
    runs: Sequence[Run],
    relation: str,
    names: Sequence[str] | None = None,
    *,
    without: Sequence[str] = (),
) -> tuple[dict[uuid.UUID, dict[str, models.Model]], set[uuid.UUID]]:
    """The params, tags or metrics of some runs, by run and name: those of the given names, or
    the first 100 of each; with the runs that have more. At most two statements. The columns in
    `without` are left unread."""
    found: dict[uuid.UUID, dict[str, models.Model]] = {run.pk: {} for run in runs}
    if not runs:
        return found, set()
    related = rows_related(runs, relation).defer(*without)
    cuts: dict[uuid.UUID, str] = {}
    if names is not None:
        rows = related.filter(run__in=list(found), name__in=list(names)) if names else ()
    else:
        cuts = first_cuts(runs, relation)
        rows = first_rows(related, [pk for pk in found if pk not in cuts], cuts)
    for row in rows:
        found[row.run_id][row.name] = row
    return found, set(cuts)


def values_of_runs(
    runs: Sequence[Run], relation: str, names: Iterable[str], *columns: str
) -> dict[str, dict[uuid.UUID, tuple]]:
    """Some columns of the params, tags or metrics of these names, by name and run, as tuples: a
    page of runs has thousands. One statement, none without names."""
    found: dict[str, dict[uuid.UUID, tuple]] = {name: {} for name in names}
    if runs and found:
        of_runs = rows_related(runs, relation).filter(run__in=[run.pk for run in runs])
        rows = of_runs.filter(name__in=list(found)).order_by()
        for run_id, name, *values in rows.values_list("run_id", "name", *columns):
            found[name][run_id] = tuple(values)
    return found


def columns_of_runs(runs: Sequence[Run], relation: str, *columns: str) -> Iterable[tuple]:
    """Some columns of the first 100 params, tags or metrics of each of these runs, as tuples:
    ten thousand of them cost a tenth of as many objects. Two statements."""
    if not runs:
        return ()
    cuts = first_cuts(runs, relation)
    related = rows_related(runs, relation).values_list(*columns)
    return first_rows(related, [run.pk for run in runs if run.pk not in cuts], cuts)


def rows_related(runs: Sequence[Run], relation: str) -> models.QuerySet:
    """Every param, tag or metric, by name."""
    return type(runs[0])._meta.get_field(relation).related_model.objects.order_by("name")


def first_cuts(runs: Sequence[Run], relation: str) -> dict[uuid.UUID, str]:
    """For each run that has more than 100 params, tags or metrics, the name of the next one."""
    related = type(runs[0])._meta.get_field(relation).related_model.objects
    names = related.filter(run=OuterRef("pk")).order_by("name").values("name")
    marks = type(runs[0]).objects.filter(pk__in=[run.pk for run in runs])
    marks = marks.annotate(cut=Subquery(names[NAMES_SHOWN : NAMES_SHOWN + 1]))
    return {pk: cut for pk, cut in marks.values_list("pk", "cut") if cut is not None}


def first_rows(
    related: models.QuerySet, whole: Sequence[uuid.UUID], cuts: dict[uuid.UUID, str]
) -> Iterable[models.Model]:
    """All rows of the runs in `whole`, and of the others those before their cut. Runs with the
    same cut share a condition; SQLite allows no more than a thousand of them."""
    by_cut: dict[str, list[uuid.UUID]] = {}
    for pk, cut in cuts.items():
        by_cut.setdefault(cut, []).append(pk)
    conditions = [Q(run__in=whole)] if whole else []
    conditions += [Q(run__in=ids, name__lt=cut) for cut, ids in by_cut.items()]
    for start in range(0, len(conditions), CONDITIONS_AT_ONCE):
        some = conditions[start : start + CONDITIONS_AT_ONCE]
        yield from related.filter(reduce(or_, some))

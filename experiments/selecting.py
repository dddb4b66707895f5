"""Which runs a query means, found once for all that is asked of them.

A page asks a selection for its number, its usual columns and its first rows in some order. The
planner takes conditions and order to be independent of each other: where the runs that match stand
at the far end of the order, or have no value in it, it walks every run there is. So up to 10,000
runs, as many as are counted anyway, are found first and in no order, and all else begins at their
ids. Of more the order is walked, which meets them soon: one run after the other is asked whether it
matches.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists
from django.db.models.lookups import Exact
from django.db.models.sql.where import WhereNode

from experiments import paging
from experiments.expressions import Among, Whether, Words
from experiments.fields import Field, Ordering
from experiments.querysets import RunQuerySet


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs, ready for a table, and how many there are: up to 10,000, and whether that is all."""

    rows: RunQuerySet
    total: tuple[int, bool]


def selection(rows: RunQuerySet, ordering: Ordering | None = None) -> Selection:
    """The runs that some conditions leave, by their ids where these are few; one statement. Where
    they are many and are to be listed in an order that an index has, it will be walked."""
    found = rows.order_by().values("pk")[: paging.COUNT_LIMIT + 1]
    words = (found.aggregate(words=Words("pk"))["words"] or "").split()
    if len(words) > paging.COUNT_LIMIT:
        is_walked = ordering is not None and has_index(ordering.field)
        return Selection(run_by_run(rows) if is_walked else rows, (paging.COUNT_LIMIT, False))
    return Selection(by_ids(rows, words), (len(words), True))


def has_index(field: Field) -> bool:
    """Whether an index of an experiment's runs has this order, so that matches are met in it."""
    return str(field) == "started" or field.kind == "param" or field.aggregate == "last"


def run_by_run(rows: RunQuerySet) -> RunQuerySet:
    """The same runs, each asked by itself whether it has the params, tags and metrics it must.
    PostgreSQL takes a run's experiment and its params' to be independent of each other, believes
    that few are left, and finds all before it orders them: 700 ms instead of 5."""
    found = rows.all()
    where = found.query.where
    children = [Whether(each.lhs) if is_condition(each) else each for each in where.children]
    found.query.where = WhereNode(children, where.connector, where.negated)
    return found


def is_condition(node: object) -> bool:
    """Whether it says that a row must be there, as `matching` has it."""
    return isinstance(node, Exact) and isinstance(node.lhs, Exists) and node.rhs is True


def everything(rows: RunQuerySet) -> Selection:
    """Runs that are narrowed by no condition: an index leads to them in their order."""
    return Selection(rows, paging.bounded_count(rows))


def by_ids(rows: RunQuerySet, words: list[str]) -> RunQuerySet:
    """The runs of these ids, as the database writes them."""
    return rows.model.objects.filter(Among("pk", words)).for_table()

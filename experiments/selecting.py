"""Which runs a query means, found once for all that is asked of them, and met soon in any order.

A page asks a selection for its number, its usual columns and its first rows in some order. The
planner takes conditions and order to be independent of each other: where the runs that match stand
at the far end of the order, or have no value in it, it walks every run there is. So up to 10,000
runs, as many as are counted anyway, are found first and in no order, and all else begins at their
ids. Of more the order is walked, one run after the other asked whether it matches, which mostly
meets a page of them soon. Where a stretch of the order holds too few, all are found after all.

The page itself is chosen among slim rows of a key and an id each, then its runs are read: an order
that no index has would read and carry all of each run to sort it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from django.db import connection
from django.db.models import Exists, F, QuerySet, Subquery, TextField
from django.db.models.lookups import Exact
from django.db.models.sql.where import WhereNode

from experiments import paging
from experiments.expressions import Among, Whether, Words
from experiments.fields import Field, Ordering
from experiments.paging import Look, Segment
from experiments.querysets import RunQuerySet

# Keys of an order that are walked in the hope of a page: each takes up to 10 µs of PostgreSQL.
STRETCH = 5_000
# Ids that are taken along to be sorted: 4 MB.
MOST_FOUND = 100_000
# Keys looked at beyond a page of them, for runs in the trash.
SPARE = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs, ready for a table, and how many there are, if that was asked: up to 10,000, and
    whether that is all. `conditions` tells which they are where these are too many to find first,
    `is_whole` that nothing narrows an experiment's runs but the trash."""

    rows: RunQuerySet
    total: tuple[int, bool] | None = None
    conditions: RunQuerySet | None = None
    is_whole: bool = False

    def segments(
        self,
        ordering: Ordering,
        experiment_id: uuid.UUID | None,
        now: datetime | None = None,
    ) -> list[Segment]:
        """The listing in one order, as of a moment."""
        parts = self.rows.segments(ordering, experiment_id, now)
        if self.conditions is not None:
            scattered = Scattered(self.conditions, ordering)
            looks = {
                n: scattered.look(part) for n, part in enumerate(parts) if part.keys is not None
            }
        elif self.is_whole and not leads(ordering.field):
            looks = {n: dense(part) for n, part in enumerate(parts) if part.keys is not None}
        else:
            return parts
        return [replace(part, look=looks.get(n)) for n, part in enumerate(parts)]


def selection(rows: RunQuerySet, ordering: Ordering | None = None) -> Selection:
    """The runs that some conditions leave, by their ids where these are few; one statement. Where
    they are many and are to be listed in an order that an index has, it will be walked."""
    words = found(rows, paging.COUNT_LIMIT)
    if words is not None:
        return Selection(by_ids(rows, words), (len(words), True))
    is_walked = ordering is not None and has_index(ordering.field)
    return Selection(run_by_run(rows) if is_walked else rows, (paging.COUNT_LIMIT, False), rows)


def found(rows: RunQuerySet, limit: int) -> list[str] | None:
    """The ids of the runs that some conditions leave, in no order; None if there are more."""
    ids = rows.order_by().values("pk")[: limit + 1]
    words = (ids.aggregate(words=Words("pk"))["words"] or "").split()
    return words if len(words) <= limit else None


def has_index(field: Field) -> bool:
    """Whether an index of an experiment's runs has this order, so that matches are met in it."""
    return str(field) == "started" or field.kind == "param" or field.aggregate == "last"


def leads(field: Field) -> bool:
    """Whether the database walks the index of an order when runs are joined to it. SQLite does not:
    it reads all runs of the experiment and sorts them, 137 ms of 100,000 instead of 10."""
    return has_index(field) and (connection.vendor == "postgresql" or field.kind == "attribute")


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
    """Runs that are narrowed by no condition."""
    return Selection(rows, paging.bounded_count(rows), is_whole=True)


def by_ids(rows: RunQuerySet, words: list[str]) -> RunQuerySet:
    """The runs of these ids, as the database writes them."""
    return rows.model.objects.filter(Among("pk", words)).for_table()


def behind(keys: QuerySet, descending: bool, position: dict | None) -> QuerySet:
    """Keys in their order, from a position on."""
    return paging.ordered(Segment(keys, True), descending, position)


def page_among(part: Segment, keys: QuerySet, descending: bool) -> QuerySet:
    """The rows of a segment that these keys name, in order."""
    rows = run_by_run(part.rows.filter(pk__in=keys.values("page_id")))
    return paging.ordered(Segment(rows, True), descending, None)


def within(part: Segment, descending: bool, position: dict | None) -> QuerySet:
    """The rows of a segment, from a position on, as far as a stretch of its keys goes; none where
    there are fewer keys than that."""
    keys = behind(part.keys, descending, position).values("page_key", "page_id")
    end = Subquery(keys[STRETCH : STRETCH + 1], output_field=TextField())
    operator = ">" if descending else "<"
    near = paging.RowCompare(F("page_key"), F("page_id"), end, operator=operator)
    return paging.ordered(part, descending, position).filter(near)


def dense(part: Segment) -> Look:
    """Looks among as many keys as there are rows to be shown, and a few more."""

    def look(descending: bool, position: dict | None, limit: int) -> list | None:
        keys, enough = behind(part.keys, descending, position), limit + SPARE
        rows = list(page_among(part, keys[:enough], descending)[:limit])
        return rows if len(rows) == limit or not keys[enough:].exists() else None

    return look


class Scattered:
    """Runs that many conditions leave somewhere in an order; found all at once at most once."""

    def __init__(self, conditions: RunQuerySet, ordering: Ordering) -> None:
        self.conditions = conditions
        self.is_walked = has_index(ordering.field)

    @cached_property
    def words(self) -> list[str] | None:
        """The ids of all of them; None when these are too many to be looked for."""
        return found(self.conditions, MOST_FOUND)

    def look(self, part: Segment) -> Look:
        """Walks a stretch of the order, then sorts the keys of all that match."""

        def look(descending: bool, position: dict | None, limit: int) -> list | None:
            if self.is_walked:
                rows = within(part, descending, position)[:limit]
                if len(rows) == limit:
                    return list(rows)
                keys = behind(part.keys, descending, position)
                if not keys[STRETCH:].exists():
                    return list(page_among(part, keys[:STRETCH], descending)[:limit])
            if self.words is None:
                return None
            keys = behind(part.keys.filter(Among("page_id", self.words)), descending, position)
            return list(page_among(part, keys[:limit], descending))

        return look

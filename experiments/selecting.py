"""Which runs a query means, found once for all that is asked of them, and met soon in any order.

A page asks a selection for its number, its usual columns and its first rows in some order. The
planner takes conditions and order to be independent of each other: where the runs that match stand
at the far end of the order, or have no value in it, it walks every run there is. So up to 10,000
runs, as many as are counted anyway, are found first and in no order, and all else begins at their
ids. Of more the order is walked, one run after the other asked whether it matches, which mostly
meets a page of them soon. Where a stretch of the order holds too few, all are found after all.
That there are more is told by the newest runs alone where most of these match.

The page itself is chosen among slim rows of a key and an id each, then its runs are read: an order
that no index has would read and carry all of each run to sort it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
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
from experiments.models import Run
from experiments.paging import Look, Segment
from experiments.querysets import RunQuerySet

# Keys of an order that are walked in the hope of a page: each takes up to 10 µs of PostgreSQL.
STRETCH = 5_000
# The newest runs, by which is judged how many match; and where most of these do, so many more times
# what is counted hold enough.
SAMPLE = 200
ENOUGH = 2
# Where no more than a twenty-fifth of these match, a walk may not meet a page: all are found at
# once, also if they are somewhat more than are counted. Two in a hundred are what a walk needs; the
# sample is small, and one in a hundred of all has been more than two in a hundred of it.
SPARSE = 25
ENOUGH_OF_SPARSE = 3
# Ids up to which their rows are read and sorted, in any order: 1 ms of PostgreSQL for a hundred.
# With more an order that has an index is walked, and its keys are looked up among them.
FEW = 5_000
# Ids that are taken along to be sorted: 4 MB.
MOST_FOUND = 100_000
INDEXED = ("started", "created", "ended", "name")
NEWEST_FIRST = Ordering(Field("attribute", "started"), descending=True)
# Keys looked at beyond a page of them, for runs in the trash.
SPARE = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs, ready for a table, and how many there are, if that was asked: up to 10,000, and
    whether that is all. `scattered` finds pages of them where these are not few, `is_whole` tells
    that nothing narrows an experiment's runs but the trash."""

    rows: RunQuerySet
    total: tuple[int, bool] | None = None
    scattered: Scattered | None = None
    is_whole: bool = False

    def segments(
        self,
        ordering: Ordering,
        experiment_id: uuid.UUID | None,
        now: datetime | None = None,
    ) -> list[Segment]:
        """The listing in one order, as of a moment."""
        if self.scattered:
            return self.scattered.segments(ordering, experiment_id, now)
        parts = self.rows.segments(ordering, experiment_id, now)
        if self.is_whole and not leads(ordering.field):
            return [with_look(part, dense(part)) for part in parts]
        return parts

    def newest(self, experiment_id: uuid.UUID, count: int) -> list[Run]:
        """The so many of an experiment that started last, nothing but their ids read."""
        if not self.scattered:
            return self.rows.newest(count)
        slim = self.scattered.of(lambda rows: rows.select_related(None).only("pk"))
        started, _ = slim.segments(NEWEST_FIRST, experiment_id)
        return started.first(NEWEST_FIRST.descending, None, count)


def selection(
    rows: RunQuerySet, experiment_id: uuid.UUID | None = None, *, is_counted: bool = True
) -> Selection:
    """The runs that some conditions leave, inside one experiment or not, by their ids where these
    are not too many; at most three statements. Where nobody asks how many there are, only if
    none of the newest does."""
    limit = paging.COUNT_LIMIT
    met = None if experiment_id is None else met_by_the_newest(rows, experiment_id)
    is_sparse = met is not None and met * SPARSE <= SAMPLE
    if met and not is_counted:
        return Selection(rows, scattered=Scattered(rows))
    is_many = met is not None and met * ENOUGH >= SAMPLE and are_many(rows, experiment_id)
    words = None if is_many else found(rows, limit * ENOUGH_OF_SPARSE if is_sparse else limit)
    if words is None:
        return Selection(rows, (limit, False), Scattered(rows))
    total = min(len(words), limit), len(words) <= limit
    scattered = Scattered(rows, words) if experiment_id and len(words) > FEW else None
    return Selection(by_ids(rows, words), total, scattered)


def met_by_the_newest(rows: RunQuerySet, experiment_id: uuid.UUID) -> int:
    """How many of the newest runs match."""
    started, _ = run_by_run(rows).segments(NEWEST_FIRST, experiment_id)
    newest = behind(started.keys, True, None)[:SAMPLE]
    return page_among(started, newest, True).count()


def are_many(rows: RunQuerySet, experiment_id: uuid.UUID) -> bool:
    """Whether a stretch of the newest runs shows that more match than are counted; False leaves it
    open. Where most runs match, it is soonest to ask one after the other by start, as they lie:
    33 ms of processor for 10,000 of a million. To find them in no order takes 180."""
    started, _ = run_by_run(rows).segments(NEWEST_FIRST, experiment_id)
    limit = paging.COUNT_LIMIT
    return within(started, True, None, limit * ENOUGH)[: limit + 1].count() > limit


def found(rows: RunQuerySet, limit: int) -> list[str] | None:
    """The ids of the runs that some conditions leave, in no order; None if there are more."""
    ids = (rows.planned_as_any() if is_joined(rows) else rows).order_by().values("pk")[: limit + 1]
    words = (ids.aggregate(words=Words("pk"))["words"] or "").split()
    return words if len(words) <= limit else None


def is_joined(rows: RunQuerySet) -> bool:
    """Whether params, tags or metrics are asked for to find them."""
    return has_rows(rows.query.where)


def has_index(field: Field) -> bool:
    """Whether an index of an experiment's runs has this order, so that matches are met in it."""
    return str(field) in INDEXED or field.kind == "param" or field.aggregate == "last"


def leads(field: Field) -> bool:
    """Whether the database walks the index of an order when runs are joined to it. SQLite does not:
    it reads all runs of the experiment and sorts them, 137 ms of 100,000 instead of 10."""
    return has_index(field) and (connection.vendor == "postgresql" or field.kind == "attribute")


def run_by_run(rows: RunQuerySet) -> RunQuerySet:
    """The same runs, each asked by itself whether it has the params, tags and metrics it must.
    PostgreSQL takes a run's experiment and its params' to be independent of each other, believes
    that few are left, and finds all before it orders them: 700 ms instead of 5."""
    found = rows.planned_as_any()
    found.query.where = asked_by_itself(found.query.where)
    return found


def asked_by_itself(node: object) -> object:
    """A condition whose parts that say a row must be there, as `matching` has it, are `Whether`."""
    if isinstance(node, WhereNode):
        children = [asked_by_itself(each) for each in node.children]
        return WhereNode(children, node.connector, node.negated)
    return Whether(node.lhs) if has_rows(node) else node


def has_rows(node: object) -> bool:
    """Whether a condition says, or some part of it, that there must be a row of a child table."""
    if isinstance(node, WhereNode):
        return any(map(has_rows, node.children))
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


def within(part: Segment, descending: bool, position: dict | None, stretch: int) -> QuerySet:
    """The rows of a segment, from a position on, as far as a stretch of its keys goes; none where
    there are fewer keys than that."""
    keys = behind(part.keys, descending, position).values("page_key", "page_id")
    end = Subquery(keys[stretch : stretch + 1], output_field=TextField())
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
    """Runs that conditions leave somewhere in an order; found all at once at most once. `words` are
    their ids, where these were found already."""

    def __init__(self, conditions: RunQuerySet, words: list[str] | None = None) -> None:
        self.conditions = conditions
        self.is_found = words is not None
        if words is not None:
            self.words = words

    @cached_property
    def words(self) -> list[str] | None:
        """The ids of all of them; None when these are too many to be looked for."""
        return found(self.conditions, MOST_FOUND)

    def of(self, change: Callable[[RunQuerySet], RunQuerySet]) -> Scattered:
        """The same runs with less or more read of them."""
        return Scattered(change(self.conditions), self.words if self.is_found else None)

    def segments(
        self, ordering: Ordering, experiment_id: uuid.UUID | None, now: datetime | None = None
    ) -> list[Segment]:
        """The listing in one order. Of runs that are known the rows are read and sorted where the
        order has no index: up to 10,000 always, of more where it has no slim keys."""
        is_walked = experiment_id is not None and has_index(ordering.field)
        rows = run_by_run(self.conditions) if is_walked else self.conditions.planned_as_any()
        looked = [
            with_look(part, self.look(part, is_walked))
            for part in rows.segments(ordering, experiment_id, now)
        ]
        if not self.is_found:
            return looked
        joined = by_ids(self.conditions, self.words).segments(ordering, experiment_id, now)
        if not is_walked and len(self.words) <= paging.COUNT_LIMIT:
            return joined
        return [one if two.keys is None else two for one, two in zip(joined, looked, strict=True)]

    def look(self, part: Segment, is_walked: bool) -> Look:
        """Walks a stretch of an order that an index has, unless the runs are known; then takes the
        keys of all that match."""

        def look(descending: bool, position: dict | None, limit: int) -> list | None:
            keys = behind(part.keys, descending, position)
            if is_walked and not self.is_found:
                rows = within(part, descending, position, STRETCH)[:limit]
                if len(rows) == limit:
                    return list(rows)
                if not keys[STRETCH:].exists():
                    return list(page_among(part, keys[:STRETCH], descending)[:limit])
            if self.words is None:
                return None
            among = Among("page_id", self.words, "each" if is_walked else "at_once")
            return list(page_among(part, keys.filter(among)[:limit], descending))

        return look


def with_look(part: Segment, look: Look) -> Segment:
    """A segment that is looked for by its keys, where it has any."""
    return part if part.keys is None else replace(part, look=look)

"""Which runs a query means, found once for all that is asked of them.

A page asks a selection for its number, its usual columns and its first rows in some order. The
planner takes conditions and order to be independent of each other: where the runs that match stand
at the far end of the order, or have no value in it, it walks every run there is. So up to 10,000
runs, as many as are counted anyway, are found first and in no order, and all else begins at their
ids. Of more the order is walked, which meets them soon.
"""

from __future__ import annotations

from dataclasses import dataclass

from experiments import paging
from experiments.expressions import Among, Words
from experiments.querysets import RunQuerySet


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs, ready for a table, and how many there are: up to 10,000, and whether that is all."""

    rows: RunQuerySet
    total: tuple[int, bool]


def selection(rows: RunQuerySet) -> Selection:
    """The runs that some conditions leave, by their ids where these are few; one statement."""
    found = rows.order_by().values("pk")[: paging.COUNT_LIMIT + 1]
    words = (found.aggregate(words=Words("pk"))["words"] or "").split()
    if len(words) > paging.COUNT_LIMIT:
        return Selection(rows, (paging.COUNT_LIMIT, False))
    return Selection(by_ids(rows, words), (len(words), True))


def everything(rows: RunQuerySet) -> Selection:
    """Runs that are narrowed by no condition: an index leads to them in their order."""
    return Selection(rows, paging.bounded_count(rows))


def by_ids(rows: RunQuerySet, words: list[str]) -> RunQuerySet:
    """The runs of these ids, as the database writes them."""
    return rows.model.objects.filter(Among("pk", words)).for_table()

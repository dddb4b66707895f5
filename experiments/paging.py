"""Keyset paging: cost does not grow with depth, and no row comes twice or is left out.

A listing is walked as segments, one after the other: rows with a value in the order asked for,
then rows without one. Within a segment the key is (value, id), which an index can walk; in one
statement with NULLS LAST it could not (170 ms against 0.5 ms at 200,000 runs). Cursors are
signed and bound to the query they came from. (DRF's own cursor loops or raises on ties and
nulls.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate

from django.core import signing
from django.db.models import BooleanField, F, Func, QuerySet, Value
from django.http import QueryDict
from django.utils import timezone

COUNT_LIMIT = 10_000
# What the rows of a page hold at most. A hundred runs may have a hundred params of 64 KiB each.
MOST_OCTETS = 16 * 1024 * 1024
CURSOR_SALT = "experiments.paging"
CURSOR_PARAMETER = "cursor"


# A listing as of a moment: its segments.
Listing = Callable[[datetime], Sequence["Segment"]]
# The first so many rows of a segment, downward or not, beyond a position; None when it cannot tell.
Look = Callable[[bool, "dict | None", int], "list | None"]


class BadCursor(ValueError):
    """A cursor that was not made by us, or for another query."""


class RowCompare(Func):
    """`(a, b) > (x, y)` as SQL says it: by a, then by b; one range of an index. `x, y` may be a
    subquery of one row."""

    output_field = BooleanField()
    conditional = True

    def as_sql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        parts, params = [], []
        for expression in self.get_source_expressions():
            sql, more = compiler.compile(expression)
            parts.append(sql)
            params.extend(more)
        left, right = ", ".join(parts[:2]), ", ".join(parts[2:])
        right = right if len(parts) == 3 else f"({right})"
        return f"({left}) {self.extra['operator']} {right}", params


@dataclass(slots=True)
class Segment:
    """Rows that are ordered in one way: by annotation `page_key` and `page_id` when there is
    a key, else by `page_id` alone. `keys` are slim rows that have these two of all of them, and
    of others too; `look`, if there is one, finds a page sooner than all the rows in order would."""

    rows: QuerySet
    has_key: bool
    keys: QuerySet | None = None
    look: Look | None = None

    def first(self, descending: bool, position: dict | None, limit: int) -> list:
        """Its first rows beyond a position."""
        rows = self.look(descending, position, limit) if self.look else None
        return list(ordered(self, descending, position)[:limit]) if rows is None else rows


@dataclass(slots=True)
class Page:
    """Rows in order, and the cursors before and after them (None at the ends)."""

    rows: list = field(default_factory=list)
    next: str | None = None
    previous: str | None = None


def keyed(rows: QuerySet, key: object, row_id: str = "pk", keys: QuerySet | None = None) -> Segment:
    """A segment ordered by `key`, ties by id; rows without a key must be left out already."""
    return Segment(rows.annotate(page_key=key, page_id=F(row_id)), True, keys)


def unkeyed(rows: QuerySet) -> Segment:
    """A segment ordered by id alone."""
    return Segment(rows.annotate(page_id=F("pk")), False)


def paginate(
    listing: Listing,
    *,
    descending: bool,
    limit: int,
    query: QueryDict,
    octets: Callable[[list], Sequence[int]] | None = None,
) -> Page:
    """The page that the query's cursor asks for, or the first one. Rows are of one model. It ends
    early where its rows would hold too much, by what `octets` says of each.

    All pages of a walk are laid out as of the moment its first page was: by a clock that goes
    on, running runs would outgrow every cursor by duration and come again, or never.
    """
    position = read_cursor(query)
    now = datetime.fromisoformat(position["now"]) if position else timezone.now()
    segments = listing(now)
    backward = position is not None and position["back"]
    found = walk(segments, descending, limit + 1, position, backward)
    more = len(found) > limit
    found = found[:limit]
    if octets and (fit := fitting(octets([row for _, row in found]))) < len(found):
        found, more = found[:fit], True
    if backward:
        found.reverse()
    page = Page([row for _, row in found])
    if not found:
        return page
    if more or backward:
        page.next = make_cursor(query, now, *found[-1], back=False)
    if more if backward else position is not None:
        page.previous = make_cursor(query, now, *found[0], back=True)
    return page


def fitting(octets: Sequence[int]) -> int:
    """How many of the first rows, of so many bytes each, fit into an answer; one always does."""
    for count, total in enumerate(accumulate(octets)):
        if total > MOST_OCTETS:
            return max(count, 1)
    return len(octets)


def portions(rows: Sequence, octets: Sequence[int]) -> Iterator[Sequence]:
    """Rows of so many bytes each, as many at a time as fit into an answer."""
    start = 0
    while start < len(rows):
        end = start + fitting(octets[start:])
        yield rows[start:end]
        start = end


def every_page(segments: Sequence[Segment], *, descending: bool, size: int) -> Iterator[list]:
    """All rows in order, a page at a time; at least one page, which may be empty."""
    position = None
    while True:
        found = walk(segments, descending, size, position, backward=False)
        yield [row for _, row in found]
        if len(found) < size:
            return
        position = position_of(*found[-1])


def walk(
    segments: Sequence[Segment],
    descending: bool,
    limit: int,
    position: dict | None,
    backward: bool,
) -> list[tuple[int, object]]:
    """Up to `limit` rows from a position on, each with the number of its segment."""
    order = range(len(segments) - 1, -1, -1) if backward else range(len(segments))
    found: list[tuple[int, object]] = []
    for number in order:
        if position is not None and (number - position["segment"]) * (-1 if backward else 1) < 0:
            continue
        here = position is not None and number == position["segment"]
        beyond = position if here else None
        rows = segments[number].first(descending != backward, beyond, limit - len(found))
        found += [(number, row) for row in rows]
        if len(found) == limit:
            break
    return found


def ordered(segment: Segment, descending: bool, position: dict | None) -> QuerySet:
    """A segment's rows in one direction, strictly beyond a position."""
    sign = "-" if descending else ""
    if not segment.has_key:
        rows = segment.rows.order_by(f"{sign}page_id")
        if position is not None:
            rows = rows.filter(**{f"page_id__{'lt' if descending else 'gt'}": position["id"]})
        return rows
    rows = segment.rows.order_by(f"{sign}page_key", f"{sign}page_id")
    return rows if position is None else rows.filter(beyond(rows, position, descending))


def beyond(rows: QuerySet, position: dict, descending: bool) -> RowCompare:
    """That a row with a key stands behind a position."""
    key_field = rows.query.annotations["page_key"].output_field
    id_field = rows.query.annotations["page_id"].output_field
    return RowCompare(
        F("page_key"),
        F("page_id"),
        Value(from_text(position["key"]), output_field=key_field),
        Value(id_field.to_python(position["id"]), output_field=id_field),
        operator="<" if descending else ">",
    )


def bounded_count(rows: QuerySet) -> tuple[int, bool]:
    """How many rows there are, and whether that is exact: counting stops above 10,000."""
    count = rows.order_by()[: COUNT_LIMIT + 1].count()
    return min(count, COUNT_LIMIT), count <= COUNT_LIMIT


def make_cursor(query: QueryDict, now: datetime, segment: int, row: object, *, back: bool) -> str:
    """Where a row stands, in which direction to go on, and what the cursor is bound to."""
    walk_of = {"back": back, "now": now.isoformat(), "query": fingerprint(query)}
    payload = {**position_of(segment, row), **walk_of}
    return signing.dumps(payload, salt=CURSOR_SALT)


def position_of(segment: int, row: object) -> dict:
    """Where a row stands in the listing, as plain values."""
    key = as_text(getattr(row, "page_key", None))
    return {"segment": segment, "key": key, "id": str(row.page_id)}


def read_cursor(query: QueryDict) -> dict | None:
    """What the cursor in a query says, or None without one."""
    text = query.get(CURSOR_PARAMETER)
    if not text:
        return None
    try:
        payload = signing.loads(text, salt=CURSOR_SALT)
    except signing.BadSignature as error:
        raise BadCursor("This cursor is not one of ours. Start again without it.") from error
    if payload["query"] != fingerprint(query):
        raise BadCursor(
            "This cursor belongs to another filter or ordering. Start again without it."
        )
    return payload


def fingerprint(query: QueryDict) -> str:
    """What a cursor is bound to: every parameter but the cursor itself and the page's size."""
    pairs = sorted(
        (name, value)
        for name, values in query.lists()
        for value in values
        if name not in (CURSOR_PARAMETER, "limit", "count")
    )
    return hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]


def as_text(key: object) -> list | None:
    """A key as JSON that reads back to the same value, with its type beside it."""
    if isinstance(key, datetime):
        return ["datetime", key.isoformat()]
    if isinstance(key, timedelta):
        return ["duration", key // timedelta(microseconds=1)]
    return ["plain", key]


def from_text(pair: list) -> object:
    kind, text = pair
    if kind == "datetime":
        return datetime.fromisoformat(text)
    if kind == "duration":
        return timedelta(microseconds=text)
    return text

"""What has changed in runs since somebody last looked, and how that is told.

`look` reads, `changes_since` tells; `streams` repeats the two for as long as a page is open. How
far a reader has come is a `Cursor`. It travels as the id of each event, so that any process can
go on from there: nothing about a reader is kept.
"""

from __future__ import annotations

import base64
import binascii
import uuid
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Cast
from django.utils import timezone

from experiments import outcomes, reading
from experiments.models import Experiment, Metric, Run
from experiments.querysets import is_lost, shown_status
from experiments.series import Points
from experiments.wire import encoded

ACTIVE = (Run.Status.QUEUED, Run.Status.RUNNING)
GONE = "gone"  # what is told of a run that has been purged
# Up to here new points travel; of more only how many there are, and a chart fetches what it shows.
POINTS_OF_A_SERIES = 500
POINTS_OF_A_RUN = 10_000
# A run may start and end between two looks; it is found by when it started.
STARTED_LATELY = timedelta(seconds=15)
# An id goes back in a header, or in an address beside a hundred runs.
LONGEST_TOKEN = 3_000
COUNTS_IN_A_TOKEN = 400
LONGEST_CURSOR = 200_000
MOST_RUNS_OF_A_PAGE = 60  # their ids stand in the address, beside a cursor


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched: single runs with their points, and the runs of whole experiments, of which
    only the state is told."""

    runs: frozenset[uuid.UUID] = frozenset()
    experiments: frozenset[uuid.UUID] = frozenset()

    @classmethod
    def by_page(cls, runs: Iterable[Run] = (), experiments: Iterable[Experiment] = ()) -> Watch:
        """What a page follows that shows these: of the runs those that have not ended."""
        open_runs = [run.pk for run in runs if not run.has_ended][:MOST_RUNS_OF_A_PAGE]
        return cls(frozenset(open_runs), frozenset(each.pk for each in experiments))

    def covers(self, run: RunNow) -> bool:
        return run.id in self.runs or run.experiment in self.experiments


class Seen(msgspec.Struct, array_like=True, frozen=True):
    """What a reader knows of a run: revision, status, and how many points of each metric; None
    where that is not known."""

    revision: int
    status: str
    counts: dict[str, int] | None = None

    def or_less(self, other: Seen) -> Seen:
        """What both know of the run."""
        first, second = sorted((self, other), key=lambda seen: seen.revision)
        status = first.status if second.revision > first.revision else ""
        counts = second.counts if first.counts is None else first.counts
        return Seen(first.revision, self.status if self.status == other.status else status, counts)


UNSEEN = Seen(-1, "")
Cursor = dict[uuid.UUID, Seen]
CURSOR = msgspec.json.Decoder(Cursor)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A series as it is now: how many points it has, and the last of them, from position `first`
    on."""

    count: int
    first: int
    points: Points

    @classmethod
    def unread(cls, count: int) -> Fresh:
        return cls(count, count, Points.empty())


@dataclass(frozen=True, slots=True)
class RunNow:
    """A run as it is at one moment. `series` has those that may have grown, by name; None where
    nobody asks for them."""

    id: uuid.UUID
    experiment: uuid.UUID | None
    revision: int
    status: str
    series: Mapping[str, Fresh] | None = None

    def counts(self, before: Mapping[str, int] | None) -> dict[str, int] | None:
        """How many points each series has, when so many were known before."""
        if self.series is None:
            return None
        return (before or {}) | {name: fresh.count for name, fresh in self.series.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to tell: `run` (its state) or `points` (what its series have got), and how far a
    reader has come who knows it."""

    event: str
    data: dict
    cursor: Cursor


# --- Telling ---------------------------------------------------------------------------------


def changes_since(cursor: Cursor, watch: Watch, runs: Iterable[RunNow]) -> Iterator[Change]:
    """What a reader who has come as far as `cursor` has yet to learn of these runs. Points come
    before the state they led to: whoever is cut off between the two misses neither."""
    for now in runs:
        if now.id not in watch.runs:
            now = replace(now, series=None)
        seen = cursor.get(now.id, UNSEEN)
        counts = now.counts(seen.counts)
        grown = list(growth(seen.counts, now.series or {}))
        if grown or (counts is not None and seen.counts is None):
            cursor = cursor | {now.id: Seen(seen.revision, seen.status, counts)}
            yield Change("points", {"run": now.id, "series": grown}, cursor)
        if (seen.revision, seen.status) == (now.revision, now.status):
            continue
        cursor = cursor | {now.id: Seen(now.revision, now.status, counts)}
        if now.id not in watch.runs and now.status not in ACTIVE:
            del cursor[now.id]  # of an experiment's runs only those that may change are followed
        yield Change("run", state_of(now), cursor)


def state_of(now: RunNow) -> dict:
    """A run's state as it is told."""
    return {
        "run": now.id,
        "experiment": now.experiment,
        "revision": now.revision,
        "status": now.status,
    }


def growth(known: Mapping[str, int] | None, series: Mapping[str, Fresh]) -> Iterator[dict]:
    """What each series has got since it had as many points as `known` says. `count` is how many
    it has now; the columns stand beside it if the points from `after` on are at hand."""
    for name, fresh in series.items():
        after = None if known is None else known.get(name, 0)
        if after is not None and after >= fresh.count:
            continue
        told = {"metric": name, "count": fresh.count}
        if after is not None and after >= fresh.first:
            points = fresh.points.slice(after - fresh.first, None)
            told |= {
                "after": after,
                "steps": points.steps.tolist(),
                "times": points.times.tolist(),
                "values": points.values.tolist(),
            }
        yield told


def has_ended(cursor: Cursor, watch: Watch) -> bool:
    """Whether nothing more is to come: every watched run has ended or is gone."""
    final = (*Run.ENDED, GONE)
    return not watch.experiments and all(
        run in cursor and cursor[run].status in final for run in watch.runs
    )


def as_event(event: str, data: dict, cursor: Cursor | None = None) -> bytes:
    """One event of a text/event-stream; with a cursor its id."""
    id_line = b"" if cursor is None else f"id: {token_of(cursor)}\n".encode()
    return b"event: %b\n%bdata: %b\n\n" % (event.encode(), id_line, encoded(data))


# --- A cursor as text ------------------------------------------------------------------------


def token_of(cursor: Cursor) -> str:
    """A cursor as one short word; of many series without their counts, and empty where that is
    too long too: whoever goes on from there begins anew."""
    if sum(len(seen.counts or ()) for seen in cursor.values()) > COUNTS_IN_A_TOKEN:
        cursor = {run: Seen(seen.revision, seen.status) for run, seen in cursor.items()}
    packed = zlib.compress(msgspec.json.encode(cursor))
    token = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return token if len(token) <= LONGEST_TOKEN else ""


def cursor_in(token: str) -> Cursor:
    """The cursor that a token stands for; of a bad one an empty cursor, which knows nothing. It
    opens no door: what is told is looked for among what the reader may see."""
    try:
        packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        text = zlib.decompressobj().decompress(packed, LONGEST_CURSOR)
        return CURSOR.decode(text)
    except (binascii.Error, ValueError, zlib.error, msgspec.DecodeError, RecursionError):
        return {}


# --- Looking ---------------------------------------------------------------------------------


# By id: experiment, revision and shown status.
Heads = dict[uuid.UUID, tuple[uuid.UUID, int, str]]


def look(watch: Watch, cursor: Cursor, *, count_all: bool = False) -> list[RunNow]:
    """The watched runs that are not as the cursor knows them, with their new points; with
    `count_all` those too of which it does not know how many points there are. One statement when
    there are none."""
    heads = read_heads(watch, cursor)
    uncounted = {run for run in watch.runs if run in cursor and cursor[run].counts is None}
    return changed(heads, watch, cursor, also=uncounted if count_all else ())


def changed(
    heads: Heads, watch: Watch, cursor: Cursor, also: Collection[uuid.UUID] = ()
) -> list[RunNow]:
    """Of the runs with these heads those that are not as the cursor knows them, and those in
    `also`."""
    new = {
        run
        for run, (_, *state) in heads.items()
        if run in also or state != known_state(cursor, run)
    }
    gone = {run for run in watch.runs - heads.keys() if known_state(cursor, run) != [0, GONE]}
    series = series_of(new & watch.runs, cursor)
    return [
        *(RunNow(run, *heads[run], series.get(run)) for run in sorted(new)),
        *(RunNow(run, None, 0, GONE) for run in sorted(gone)),
    ]


def known_state(cursor: Cursor, run: uuid.UUID) -> list:
    """Revision and status that the cursor knows of a run."""
    return [cursor[run].revision, cursor[run].status] if run in cursor else []


def seen_by_now(watch: Watch, heads: Heads | None = None) -> Cursor:
    """How far a page has come that is made at this moment, when these were the heads of what it
    follows, or of more: its points are fetched later."""
    heads = read_heads(watch, {}) if heads is None else heads
    return {
        run: Seen(revision, status)
        for run, (experiment, revision, status) in heads.items()
        if run in watch.runs or experiment in watch.experiments
    }


def counted(watch: Watch) -> tuple[dict[uuid.UUID, dict[str, int]], Heads]:
    """The watched experiments' runs by status, as `outcomes.counts_by_status`, and the heads of
    what is watched. One statement: each by itself would look for the lost among those that run."""
    now, ids = timezone.now(), watch.experiments
    is_living = ExpressionWrapper(Q(trashed_at=None), BooleanField())
    found = heads_of(watch, {}, now).values_list(
        "experiment", shown_status(now), "revision", is_living, "pk"
    )
    no_run = Cast(Value(None), UUIDField())
    stored = [rows.annotate(a=Value(True), b=no_run) for rows in outcomes.stored_counts(ids)]
    counts, heads, running = [], {}, Counter()
    for experiment, status, number, living, run in found.union(*stored, all=True):
        if run is None:
            counts.append((experiment, status, number))
        else:
            heads[run] = (experiment, number, status)
            running[experiment] += living and status == "running"
    lost = [
        (experiment, "lost", number - running[experiment])
        for experiment, status, number in counts
        if status == "running"
    ]
    return outcomes.counts_of(ids, counts + lost), heads


def read_heads(watch: Watch, cursor: Cursor) -> Heads:
    """The heads of the runs that are watched or may have changed; one statement."""
    now = timezone.now()
    found = heads_of(watch, cursor, now)
    rows = found.values_list("pk", "experiment", "revision", shown_status(now))
    return {
        run: (experiment, *state)
        for run, experiment, *state in rows
        if run in watch.runs or experiment in watch.experiments
    }


def heads_of(watch: Watch, cursor: Cursor, now: datetime) -> QuerySet[Run]:
    """The runs that are watched or may have changed, as of a moment.

    Of an experiment these are the ones that are active, served by `run_living`, that were when
    last seen, or that started lately, by (experiment, started_at). The lost are left out: a
    sweep that crashed leaves thousands."""
    wanted = set(watch.runs)
    condition = Q()
    if watch.experiments:
        # Each way to be of interest names the experiments anew, and the last one none: only so
        # SQLite takes an index for each, and does not read every run there is in them.
        inside = Q(experiment__in=watch.experiments)
        condition |= inside & Q(status__in=ACTIVE, trashed_at=None) & ~is_lost(now)
        condition |= inside & Q(started_at__gte=now - STARTED_LATELY)
        wanted.update(run for run, seen in cursor.items() if seen.status in ACTIVE)
    return Run.objects.filter(condition | Q(pk__in=wanted)).order_by()


def series_of(runs: Iterable[uuid.UUID], cursor: Cursor) -> dict[uuid.UUID, dict[str, Fresh]]:
    """The series of some runs. Where the cursor knows how many points they had, the others are
    left out and the new points come along; three statements at most."""
    known = {
        run: cursor[run].counts for run in runs if run in cursor and cursor[run].counts is not None
    }
    found: dict[uuid.UUID, dict[str, Fresh]] = {run: {} for run in runs}
    if unknown := found.keys() - known.keys():
        counted = Metric.objects.filter(run__in=unknown).values_list("run", "name", "count")
        for run, name, count in counted.order_by("name"):
            found[run][name] = Fresh.unread(count)
    if known:
        for metric, fresh in grown_since(known):
            found[metric.run_id][metric.name] = fresh
    return found


def grown_since(known: Mapping[uuid.UUID, Mapping[str, int]]) -> Iterator[tuple[Metric, Fresh]]:
    """The metrics of these runs that have more points than is known, with the new ones unless
    they are too many to travel."""
    metrics = Metric.objects.filter(run__in=list(known)).select_related("tail").order_by("name")
    wanted, budget = {}, dict.fromkeys(known, POINTS_OF_A_RUN)
    for metric in metrics.only("run", "name", "count", "tail__position", "tail__data"):
        before = known[metric.run_id].get(metric.name, 0)
        new = metric.count - before
        if 0 < new <= min(POINTS_OF_A_SERIES, budget[metric.run_id]):
            budget[metric.run_id] -= new
            wanted[metric] = before
        elif new > 0:
            yield metric, Fresh.unread(metric.count)
    for metric, points in reading.newest(wanted):
        yield metric, Fresh(metric.count, metric.count - len(points), points)

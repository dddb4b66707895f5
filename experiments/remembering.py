"""What this process knows of runs it has just written to, so that their next batch need not ask.

Nothing here is trusted: it holds for one revision of the run, and the statement that builds on it
writes nothing when the revision has moved on. An entry is taken out while it is used, so no two
threads ever have the same one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from django.db import connection

from experiments.models import Run
from experiments.storing import Mark, OpenSeries

# In all, of a process; each holds at most a tail of 64 points: some 5 MB.
MOST_REMEMBERED = 2_000
# Of one run. Beyond, a batch takes the lock anyway.
MOST_OF_A_RUN = 128


@dataclass(slots=True)
class Known:
    """A run at one revision: its series by name, None for one that does not exist, and each
    writer's last number. With `whole` there are no others; where it is not `alone`, another
    process writes to the run too, and all of it will be out of date by the next batch."""

    run: Run
    series: dict[str, OpenSeries | None] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    whole: bool = False
    alone: bool = True

    def serves(self, names: Mapping[str, object], mark: Mark | None) -> bool:
        """Whether a batch with these names and this mark is the next one, as far as is known."""
        if not self.alone or not (self.whole or self.series.keys() >= names.keys()):
            return False
        if mark is None:
            return True
        last = self.marks.get(mark.writer, 0 if self.whole else None)
        return last is not None and mark.seq == last + 1

    def moved_on(self, revision: int, touched: Iterable[OpenSeries], mark: Mark | None) -> None:
        """Note what a batch has left."""
        self.run.revision = revision
        self.series |= {held.name: held for held in touched}
        if mark is not None:
            self.marks[mark.writer] = mark.seq


def found_again(run: Run, known: Known | None) -> Known:
    """What is known of a run just read: what was remembered, if it is still at that revision, and
    no other run of that id. Otherwise nothing, and unless nobody ever wrote to it, somebody else
    does."""
    at = (run.created_at, run.revision)
    if known is not None and (known.run.created_at, known.run.revision) == at:
        known.run, known.alone = run, True
        return known
    untouched = run.revision == 0
    return Known(run, whole=untouched, alone=untouched)


class Memory:
    """The runs last written to, the least recent one forgotten first."""

    def __init__(self) -> None:
        self._known: dict[uuid.UUID, Known] = {}
        self._size = 0
        self._lock = Lock()

    def take(self, run_id: uuid.UUID) -> Known | None:
        """What is known of a run, and known no more until it is kept again."""
        with self._lock:
            known = self._known.pop(run_id, None)
            self._size -= weight(known)
            return known

    def keep(self, known: Known) -> None:
        """Remember a run, and forget others when it is too much."""
        if not known.alone or len(known.series) > MOST_OF_A_RUN:
            known = Known(known.run, alone=known.alone)
        with self._lock:
            self._size += weight(known) - weight(self._known.pop(known.run.pk, None))
            self._known[known.run.pk] = known
            while self._size > MOST_REMEMBERED:
                self._size -= weight(self._known.pop(next(iter(self._known))))

    def clear(self) -> None:
        """Forget every run."""
        with self._lock:
            self._known.clear()
            self._size = 0


def weight(known: Known | None) -> int:
    """How many series an entry counts for; one itself."""
    return 0 if known is None else 1 + len(known.series) + len(known.marks)


memory = Memory()


def remember(run: Run) -> None:
    """Note that this process was the last to write to a run, at the revision it has now. Only on
    PostgreSQL does anyone ask."""
    if connection.vendor == "postgresql":
        memory.keep(Known(run))


def remember_begun(run: Run, series: Iterable[OpenSeries], mark: Mark | None) -> None:
    """Note a run that this process has just stored, with all the series it has."""
    if connection.vendor == "postgresql":
        known = Known(run, whole=True)
        known.moved_on(run.revision, series, mark)
        memory.keep(known)


def forget_runs(**_: object) -> None:
    """With a new connection the database may be another one, such as a backup restored, in which
    the same revision means other points."""
    memory.clear()

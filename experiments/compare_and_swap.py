"""Storing a batch without a lock: read the run once, write only if nobody wrote meanwhile.

On PostgreSQL every statement is a wait for the server, and the locking way has five and a
transaction round them. A run's revision moves on with whatever changes its series, so one
statement may read all that a batch needs, and one may write it all on the condition that the
revision is still the same: both atomic by themselves. What the last batch left is remembered, so
the next one of the same run need not even read. Where that does not serve, such as two processes
of one run at the same moment, the caller takes the lock instead.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import STILL_OPENS, User
from experiments import access
from experiments.announcing import announce
from experiments.models import Run
from experiments.remembering import Known, found_again, memory
from experiments.statements import Insert, conditional
from experiments.storing import (
    CHUNKS,
    MARKS,
    METRICS,
    RUN_COLUMNS,
    SERIES_COLUMNS,
    TAILS,
    Columns,
    Mark,
    Receipt,
    extended,
    merged_by_name,
    milliseconds,
    open_from,
    run_from,
    summary_rows,
    tail_rows,
)
from exptrack.databases import prepared_cursor

# A statement is prepared for each number of rows, and a connection keeps a hundred of them.
MOST_SERIES = 64
MOST_CHUNKS = 64
RUN_WIDTH = RUN_COLUMNS.count(",") + 1

READ = f"""
    SELECT {RUN_COLUMNS}, r.created_at, w.seq, {SERIES_COLUMNS}
    FROM experiments_run r
    JOIN experiments_experiment e ON e.id = r.experiment_id
    LEFT JOIN experiments_writer w ON w.run_id = r.id AND w.name = %s::text
    LEFT JOIN experiments_metric m ON m.run_id = r.id AND m.name = ANY(%s::text[])
    LEFT JOIN experiments_tail t ON t.metric_id = m.id
    WHERE r.id = %s"""  # noqa: S608
SWAP = """WITH swapped AS (
    UPDATE experiments_run r SET last_seen_at = %s, revision = r.revision + 1
    FROM experiments_experiment e
    WHERE r.id = %s AND r.revision = %s AND r.created_at = %s AND r.owner_id = %s
      AND r.status <> 'queued' AND r.experiment_id = %s AND e.id = r.experiment_id
      AND (e.visibility = 'internal' OR e.owner_id = r.owner_id)"""


def append_from_memory(
    *, user: User, run_id: uuid.UUID, metrics: Mapping[str, Columns], mark: Mark | None
) -> Receipt | None:
    """Store a batch of points as `appending.append` does, in one statement, if this process
    remembers the run; it also asks whether the user's token still opens what it did. None when
    nothing was stored, for whatever reason: a token that was taken from memory is to be looked up
    then."""
    if connection.vendor != "postgresql" or not 0 < len(metrics) <= MOST_SERIES:
        return None
    known = memory.take(run_id)
    if known is None:
        return None
    columns = merged_by_name(metrics)
    if not known.serves(columns, mark) or not access.surely_edits_run(user, known.run):
        memory.keep(known)
        return None
    return append_to(known, user, columns, mark)


def append_if_unchanged(
    *, user: User, run_id: uuid.UUID, metrics: Mapping[str, Columns], mark: Mark | None
) -> Receipt | None:
    """Store a batch of points, whole or not at all; None when only the lock can tell or do it,
    nothing being stored."""
    if connection.vendor != "postgresql" or not 0 < len(metrics) <= MOST_SERIES:
        return None
    columns = merged_by_name(metrics)
    writer, seq, _ = mark or ("", None, b"")
    with prepared_cursor() as cursor:
        cursor.execute(READ, [writer, list(columns), run_id])
        rows = cursor.fetchall()
    if not rows:
        return None
    run = run_from(run_id, rows[0][:RUN_WIDTH])
    run.created_at, last = rows[0][RUN_WIDTH], rows[0][RUN_WIDTH + 1] or 0
    if not access.surely_edits_run(user, run) or run.status == Run.Status.QUEUED:
        return None
    if mark and seq < last:
        return Receipt(0, True, run.revision)
    if mark and seq != last + 1:  # a repeat, to be compared, or a gap
        return None
    held = [open_from(row[RUN_WIDTH + 2 :]) for row in rows if row[RUN_WIDTH + 2] is not None]
    known = found_again(run, memory.take(run_id))
    known.series |= dict.fromkeys(columns) | {each.name: each for each in held}
    known.marks[writer] = last
    return append_to(known, user, columns, mark)


def append_to(
    known: Known, user: User, columns: Mapping[str, Columns], mark: Mark | None
) -> Receipt | None:
    """Store a batch behind what is known of its run, if that is still so; else None."""
    now = timezone.now()
    held = (each for name in columns if (each := known.series.get(name)) is not None)
    new = extended(held, columns, milliseconds(now))
    if new.to_merge or len(new.chunks) > MOST_CHUNKS:
        return None
    run = known.run
    revision = swap(
        run,
        user,
        now,
        (METRICS, summary_rows(run.pk, run.experiment_id, new.touched)),
        (CHUNKS, new.chunks),
        (TAILS, tail_rows(new.touched)),
        (MARKS, [(uuid7(), run.pk, *mark)] if mark else []),
    )
    if revision is None:
        return None
    known.moved_on(revision, new.touched, mark)
    memory.keep(known)
    announce(run.experiment_id)
    return Receipt(new.accepted, False, revision)


def swap(
    run: Run, user: User, now: datetime, *writes: tuple[Insert, Sequence[Sequence]]
) -> int | None:
    """Write all rows and move the revision on, if it is still the run's and the user may still
    write to it; None when not."""
    params = [now, run.pk, run.revision, run.created_at, user.pk, run.experiment_id]
    if user.token is not None:
        params += user.token.proof()
    params += [value for _, rows in writes for row in rows for value in row]
    shapes = ((insert, len(rows)) for insert, rows in writes)
    with prepared_cursor() as cursor:
        cursor.execute(swap_text(user.token is not None, *shapes), params)
        found = cursor.fetchone()
    return found and found[0]


@cache
def swap_text(by_token: bool, *writes: tuple[Insert, int]) -> str:
    """The statement that writes so many rows of each kind."""
    proof = f" AND {STILL_OPENS}" if by_token else ""
    return (
        f"{SWAP}{proof} RETURNING r.revision){''.join(conditional(writes, 'swapped'))} "  # noqa: S608
        "SELECT revision FROM swapped"
    )

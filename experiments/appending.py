"""Batches of points stored, one or several of a writer in a row, whole or not at all.

Plain functions, keyword-only, each its own transaction. The lock on the run's row comes first, so
that writers of one run stand in line and its metrics need no lock of their own; on PostgreSQL
`compare_and_swap` is tried before, which needs none. When a function returns, what it wrote is
committed.

Several batches are what a run logged while it could not be sent. They are stored as if they had
come one after another, for the price of one: each keeps its number and its digest, so that it may
have come alone before, or come alone again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from experiments import access
from experiments.announcing import announce
from experiments.compare_and_swap import append_if_unchanged
from experiments.labels import checked_tags, prepare_params, write_params, write_tags
from experiments.models import Run
from experiments.refusals import Gone, RepeatDiffers, SequenceGap
from experiments.remembering import remember
from experiments.statements import inserts, key
from experiments.storing import (
    MARKS,
    RUN_COLUMNS,
    Columns,
    Mark,
    Receipt,
    add_points,
    milliseconds,
    run_from,
)
from exptrack.databases import write_together

LOCK_RUN = f"""
    SELECT {RUN_COLUMNS}
    FROM experiments_run r JOIN experiments_experiment e ON e.id = r.experiment_id
    WHERE r.id = %s"""  # noqa: S608
TOUCH_RUN = """
    UPDATE experiments_run SET last_seen_at = %s, revision = revision + 1 WHERE id = %s
    RETURNING revision"""
SELECT_MARK = "SELECT seq, digest FROM experiments_writer WHERE run_id = %s AND name = %s"


def append(
    *,
    user: User,
    run_id: uuid.UUID,
    metrics: Mapping[str, Columns],
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
    mark: Mark | None = None,
) -> Receipt:
    """Store one batch of a user's, whole or not at all. With a mark a repeat adds nothing: the
    writer's last seq + 1 is stored, a smaller one is a duplicate, a greater one a SequenceGap,
    and the last one with another digest is RepeatDiffers."""
    new_params = prepare_params(params or {})
    new_tags = checked_tags(tags or {})
    has_points_only = not new_params and not new_tags
    if has_points_only and (
        receipt := append_if_unchanged(user=user, run_id=run_id, metrics=metrics, mark=mark)
    ):
        return receipt
    with transaction.atomic():
        run = lock_writable_run(user, run_id)
        if mark and not is_next(stored_mark(run.pk, mark.writer), mark):
            return Receipt(0, True, run.revision)
        write_params(run, new_params)
        write_tags(run, new_tags)
        return store_points(run, metrics, mark)


def append_in_a_row(
    *,
    user: User,
    run_id: uuid.UUID,
    batches: Sequence[tuple[Mark, Mapping[str, Columns]]],
) -> Receipt:
    """Store several batches of one writer, in their order, whole or not at all: what
    `append` would make of one after another. Those that are stored are left out."""
    with transaction.atomic():
        run = lock_writable_run(user, run_id)
        last, new = stored_mark(run.pk, batches[0][0].writer), []
        for mark, metrics in batches:
            if is_next(last, mark):
                new.append(metrics)
                last = mark
        if not new:
            return Receipt(0, True, run.revision)
        return store_points(run, joined(new), last)


def store_points(run: Run, metrics: Mapping[str, Columns], mark: Mark | None) -> Receipt:
    """Store a batch's points and its writer's mark for a locked run, which speaks by that."""
    now = timezone.now()
    accepted, statements = add_points(
        run_id=run.pk,
        experiment_id=run.experiment_id,
        metrics=metrics,
        now_ms=milliseconds(now),
    )
    if mark:
        statements += inserts(MARKS, [(key(uuid7()), key(run.pk), *mark)])
    begin_if_queued(run, now)
    seen = connection.ops.adapt_datetimefield_value(now)
    (revision,) = write_together([*statements, (TOUCH_RUN, [seen, key(run.pk)])])
    announce(run.experiment_id)
    run.revision = revision
    remember(run)
    return Receipt(accepted, False, revision)


def lock_writable_run(user: User, run_id: uuid.UUID) -> Run:
    """The run, locked, if the user may log to it: what every batch pays, so one statement tells
    the usual case, an owner's own run; the others are judged in full."""
    sql = LOCK_RUN if connection.vendor == "sqlite" else f"{LOCK_RUN} FOR NO KEY UPDATE OF r"
    for _ in range(2):
        with connection.cursor() as cursor:
            cursor.execute(sql, [key(run_id)])
            row = cursor.fetchone()
        if row is None:  # unknown, or moved to another experiment at this moment
            access.writable_run(user, run_id)
            continue
        run = run_from(run_id, row)
        if not access.surely_edits_run(user, run):
            access.writable_run(user, run_id)
        return run
    raise Gone("This run has been purged.")


def stored_mark(run_id: uuid.UUID, writer: str) -> Mark:
    """The last batch of a writer's that is stored; its seq is 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT_MARK, [key(run_id), writer])
        seq, digest = cursor.fetchone() or (0, b"")
    return Mark(writer, seq, bytes(digest))


def is_next(last: Mark, mark: Mark) -> bool:
    """Whether a batch comes next after the last one stored; False for one that is stored."""
    if mark.seq > last.seq + 1:
        raise SequenceGap(
            f"This writer's next batch is {last.seq + 1}, not {mark.seq}. "
            "Go back and send that one.",
            {"expected": last.seq + 1},
        )
    if mark.seq == last.seq and mark.digest != last.digest:
        raise RepeatDiffers(
            f"Batch {mark.seq} of this writer was stored before with another body.",
            {"seq": mark.seq},
        )
    return mark.seq == last.seq + 1


def begin_if_queued(run: Run, now: datetime) -> None:
    """A queued run that speaks has begun."""
    if run.status == Run.Status.QUEUED:
        Run.objects.filter(pk=run.pk, status=Run.Status.QUEUED).update(
            status=Run.Status.RUNNING, started_at=now, revision=F("revision") + 1
        )
        announce(run.experiment_id)


# --- Several as one --------------------------------------------------------------------------


def joined(batches: Sequence[Mapping[str, Columns]]) -> dict[str, Columns]:
    """Several batches as one that stores the same points in the same order."""
    gathered: dict[str, list[Columns]] = {}
    for batch in batches:
        for name, columns in batch.items():
            gathered.setdefault(name, []).append(columns)
    return {name: columns_in_a_row(pieces) for name, pieces in gathered.items()}


def columns_in_a_row(pieces: Sequence[Columns]) -> Columns:
    """The points of several columns of one series, one after another."""
    if len(pieces) == 1:
        return pieces[0]
    steps, times = [], []
    for piece in pieces:
        missing = [None] * len(piece.values)
        steps += missing if piece.steps is None else piece.steps
        times += missing if piece.times is None else piece.times
    return Columns(np.concatenate([piece.values for piece in pieces]), steps, times)

"""Several batches of one writer in one request: what a run logged while it could not be sent.

They are stored as if they had come one after another, for the price of one: each keeps its number
and its digest, so that it may have come alone before, or come alone again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import numpy as np
from django.db import transaction

from accounts.models import User
from experiments import recording
from experiments.storing import Columns, Mark, Receipt


def append(
    *,
    user: User,
    run_id: uuid.UUID,
    batches: Sequence[tuple[Mark, Mapping[str, Columns]]],
) -> Receipt:
    """Store several batches of one writer, in their order, whole or not at all: what
    `recording.append` would make of one after another. Those that are stored are left out."""
    with transaction.atomic():
        run = recording.lock_writable_run(user, run_id)
        last, new = recording.stored_mark(run.pk, batches[0][0].writer), []
        for mark, metrics in batches:
            if recording.is_next(last, mark):
                new.append(metrics)
                last = mark
        if not new:
            return Receipt(0, True, run.revision)
        return recording.store_points(run, joined(new), last)


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

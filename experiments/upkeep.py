"""What is done to points that are stored: sealing and merging what was left open, and checking
each summary against its points. Neither changes a point."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from django.db import transaction
from django.db.models import F, Q

from experiments import reading, series, summaries
from experiments.models import Metric, Run
from experiments.statements import inserts, key
from experiments.storing import (
    CHUNKS,
    SELECT_SERIES,
    SUMMARY_COLUMNS,
    TAILS,
    fetch_series,
    lock_run,
    merge_small_chunks,
    seal,
    tail_rows,
)
from exptrack.databases import write_together


def needs_compaction() -> Q:
    """Which tails `compact_run` would touch."""
    return Q(small_chunks__gt=1) | ~Q(data=b"")


def compact_run(*, run: Run, at_most: int | None = None) -> int:
    """Seal the tails and merge the small chunks of a run's series; how many were touched.
    Points stay the same to the bit, and so does every summary."""
    with transaction.atomic():
        lock_run(run.pk)
        # Whoever stores by comparing revisions must see that the tails have moved.
        Run.objects.filter(pk=run.pk).update(revision=F("revision") + 1)
        return compact_series(run.pk, at_most=at_most)


def compact_series(run_id: uuid.UUID, *, at_most: int | None = None) -> int:
    """`compact_run` for a locked run whose revision the caller moves on."""
    limit = "" if at_most is None else f" LIMIT {int(at_most)}"
    touched = fetch_series(
        f"{SELECT_SERIES} AND (t.small_chunks > 1 OR length(t.data) > 0){limit}", [key(run_id)]
    )
    chunks = []
    for held in touched:
        if held.data:
            chunks += seal(held, series.unpack(held.data))
    write_together(list(inserts(CHUNKS, chunks)))
    for held in touched:
        merge_small_chunks(held)
    write_together(list(inserts(TAILS, tail_rows(touched))))
    return len(touched)


def verify_metric(metric: Metric) -> list[str]:
    """What is wrong with a series, loaded with its tail: its summary recomputed from its
    points; [] when nothing."""
    summary, held = None, 0
    for points in reading.blocks(metric):
        summary = summaries.extend(summary, points)
        held += len(points)
    if held != metric.count or summary is None:
        return [f"count: the row says {metric.count}, there are {held} points"]
    found = asdict(summary)
    return [
        f"{column}: the row says {getattr(metric, column)!r}, the points give {found[column]!r}"
        for column in SUMMARY_COLUMNS
        if getattr(metric, column) != found[column]
    ]

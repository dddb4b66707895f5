"""The rows of a new run: stored together with all that it was started with, its first points too.

As in `storing` the statements are written out, and on PostgreSQL they go as one: a sweep starts
thousands of runs, and the ORM took four times what the database needs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from experiments.labels import PARAMS, TAGS, json_text, param_rows, tag_rows
from experiments.models import Experiment, Run
from experiments.refusals import checked
from experiments.storing import (
    CHUNKS,
    MARKS,
    METRICS,
    TAILS,
    Extended,
    Insert,
    Mark,
    Statement,
    as_pk,
    inserts,
    key,
    summary_rows,
    tail_rows,
)
from experiments.values import ParamValue, title, uuid_in
from exptrack.databases import goes_as_one, prepared_cursor, write_together

READ = ("id", "name", "visibility", "owner_id", "trashed_at")  # all that an answer asks for
FIND = """SELECT id, name, visibility, owner_id, trashed_at FROM experiments_experiment
    WHERE trashed_at IS NULL AND (owner_id = %s OR visibility = 'internal') AND """
MOVE_LAST_RUN = """UPDATE experiments_experiment SET last_run_at = %s WHERE id IN (
    SELECT id FROM experiments_experiment
    WHERE id = %s AND (last_run_at IS NULL OR last_run_at < %s) {lock})"""
RUN_FIELDS = Run._meta.concrete_fields
RUNS = Insert(
    f"INSERT INTO experiments_run ({', '.join(field.column for field in RUN_FIELDS)})", ()
)
ENVIRONMENTS = Insert("INSERT INTO experiments_environment (run_id, data)", ("uuid", "text"))


def usual_experiment(user: User, name_or_id: str) -> Experiment | None:
    """The living experiment meant by a text, where the user may surely add runs: their own, or
    an internal one. None says only that the full search must tell. Of two of one name their own
    private one is meant."""
    if user.token is not None and user.token.experiment_id is not None:
        return None
    experiment_id = uuid_in(name_or_id)
    if experiment_id is not None:
        condition, value = "id = %s", key(experiment_id)
    else:
        condition, value = "name = %s", checked(title, name_or_id, "experiment")
    with prepared_cursor() as cursor:
        cursor.execute(FIND + condition, [key(user.pk), value])
        rows = cursor.fetchall()
    found = [
        Experiment.from_db(connection.alias, READ, [as_pk(pk), name, visibility, as_pk(owner), at])
        for pk, name, visibility, owner, at in rows
    ]
    found.sort(key=lambda each: (each.owner_id != user.pk, each.visibility != "private"))
    return found[0] if found else None


def store_run(
    run: Run,
    params: Mapping[str, ParamValue],
    tags: Mapping[str, str],
    environment: Mapping[str, object],
    points: Extended,
    mark: Mark | None,
) -> None:
    """Insert a run, whole or not at all; IntegrityError when its id is taken."""
    marks = [(key(uuid7()), key(run.pk), *mark)] if mark else []
    where = [(key(run.pk), json_text(environment))] if environment else []
    statements = [
        *inserts(RUNS, [run_row(run)]),
        *inserts(PARAMS, param_rows(run, params)),
        *inserts(TAGS, tag_rows(run, tags)),
        *inserts(ENVIRONMENTS, where),
        *inserts(METRICS, summary_rows(run.pk, run.experiment_id, points.touched)),
        *inserts(CHUNKS, points.chunks),
        *inserts(TAILS, tail_rows(points.touched)),
        *inserts(MARKS, marks),
        last_run_moved(run.experiment_id, run.started_at),
    ]
    by_itself = goes_as_one(statements) and not connection.in_atomic_block
    with nullcontext() if by_itself else transaction.atomic():
        write_together(statements)


def run_row(run: Run) -> list[object]:
    """Every column of a run, as the database keeps it."""
    return [field.get_db_prep_save(getattr(run, field.attname), connection) for field in RUN_FIELDS]


def last_run_moved(experiment_id: uuid.UUID, started_at: datetime) -> Statement:
    """The statement that moves an experiment's last-run time forward; never back, and never into
    the future, whatever a client's clock says. Runs that start at the same moment do not wait
    for each other: while one moves it, the next leaves it alone."""
    at = connection.ops.adapt_datetimefield_value(min(started_at, timezone.now()))
    lock = "FOR NO KEY UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    return MOVE_LAST_RUN.format(lock=lock), [at, key(experiment_id), at]


def note_new_run(experiment_id: uuid.UUID, started_at: datetime) -> None:
    """Execute `last_run_moved`."""
    write_together([last_run_moved(experiment_id, started_at)])

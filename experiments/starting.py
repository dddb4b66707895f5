"""The rows of a new run: stored together with all that it was started with, its first points too.

As in `storing` the statements are written out, and on PostgreSQL they go as one: a sweep starts
thousands of runs, and the ORM took four times what the database needs. There one statement is all
of a start where this process remembers which experiment is meant.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import STILL_OPENS, User
from experiments.announcing import announce
from experiments.labels import (
    PARAMS,
    TAGS,
    checked_tags,
    json_text,
    param_rows,
    prepare_params,
    tag_rows,
)
from experiments.models import Experiment, Run
from experiments.refusals import Refused, checked
from experiments.remembering import remember_begun
from experiments.statements import Insert, Statement, as_pk, conditional, inserts, key
from experiments.storing import (
    CHUNKS,
    MARKS,
    METRICS,
    TAILS,
    Columns,
    Extended,
    Mark,
    OpenSeries,
    extended,
    merged_by_name,
    milliseconds,
    summary_rows,
    tail_rows,
)
from experiments.values import ParamValue, readable_name, title, uuid_in
from exptrack.databases import goes_as_one, prepared_cursor, write_together

# The experiments lately meant, by the user and what they called it.
MOST_REMEMBERED = 1_000
remembered: dict[tuple[uuid.UUID, str], Experiment] = {}
# A statement is prepared for each number of rows, and a connection keeps a hundred of them.
MOST_ROWS = 100
READ = ("id", "name", "visibility", "owner_id", "trashed_at")  # all that an answer asks for
# The experiment meant: of two of one name mine, and my private one before all else.
FIND = f"""SELECT {", ".join(READ)} FROM experiments_experiment
    WHERE trashed_at IS NULL AND (owner_id = %s OR visibility = 'internal') AND {{condition}}
    ORDER BY owner_id <> %s, visibility <> 'private' LIMIT 1"""  # noqa: S608
MOVE_LAST_RUN = """UPDATE experiments_experiment SET last_run_at = %s WHERE id IN (
    SELECT id FROM experiments_experiment
    WHERE id = %s AND (last_run_at IS NULL OR last_run_at < %s){condition}{lock})"""
# It, if it is still the one remembered.
STILL_MEANT = f"""SELECT FROM ({FIND}) e
    WHERE id = %s AND name = %s AND visibility = %s AND owner_id = %s
      AND NOT EXISTS (SELECT FROM experiments_run WHERE id = %s)"""  # noqa: S608
RUN_FIELDS = Run._meta.concrete_fields
TYPES = {
    "UUIDField": "uuid",
    "ForeignKey": "uuid",
    "CharField": "text",
    "TextField": "text",
    "DateTimeField": "timestamptz",
    "BooleanField": "bool",
    "BigIntegerField": "int8",
}
RUNS = Insert(
    f"INSERT INTO experiments_run ({', '.join(field.column for field in RUN_FIELDS)})",
    tuple(TYPES[field.get_internal_type()] for field in RUN_FIELDS),
)
ENVIRONMENTS = Insert("INSERT INTO experiments_environment (run_id, data)", ("uuid", "text"))


class Begun(NamedTuple):
    """A run that was started or joined, whether it is new, and the series it began with."""

    run: Run
    is_new: bool
    series: list[OpenSeries]


class Beginning(NamedTuple):
    """A run that is to begin, in no experiment yet, and all that it brings."""

    run: Run
    params: Mapping[str, ParamValue]
    tags: Mapping[str, str]
    environment: Mapping[str, object]
    points: Extended
    mark: Mark | None

    def begun(self) -> Begun:
        """What was begun, now that it is stored; others are told of it."""
        announce(self.run.experiment_id)
        remember_begun(self.run, self.points.touched, self.mark)
        return Begun(self.run, True, self.points.touched)


def beginning(
    *,
    user: User,
    id: uuid.UUID | None = None,
    name: str = "",
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
    environment: Mapping[str, object] | None = None,
    notes: str = "",
    started_at: datetime | None = None,
    metrics: Mapping[str, Columns] | None = None,
    mark: Mark | None = None,
) -> Beginning:
    """A run of the user's, checked; what cannot be used is Invalid."""
    checked_params = prepare_params(params or {})
    checked_labels = checked_tags(tags or {})
    now = timezone.now()
    points = extended((), merged_by_name(metrics or {}), milliseconds(now))
    run = Run(
        id=id or uuid7(),
        name=checked(title, name, "name") if name else readable_name(),
        owner=user,
        notes=notes,
        started_at=started_at or now,
        last_seen_at=now,
        revision=1 if points.touched or mark else 0,
    )
    return Beginning(run, checked_params, checked_labels, environment or {}, points, mark)


def begin_from_memory(
    *,
    user: User,
    experiment: str,
    parent: uuid.UUID | None = None,
    resume: bool = False,
    **given: object,
) -> Begun | None:
    """Start a run as `recording.begin_run` does, in one statement, if this process remembers
    which experiment is meant; it also asks whether it still is, and whether the user's token
    still opens what it did. None when nothing was stored, for whatever reason: a token that was
    taken from memory is to be looked up then."""
    if connection.vendor != "postgresql" or parent is not None or not user.may_write:
        return None
    into = remembered.get((user.pk, experiment))
    if into is None or is_bound(user) or (mark := given.get("mark")) and mark.seq != 1:
        return None
    try:
        new = beginning(user=user, **given)
        new.run.experiment = into
        with whole():
            return new.begun() if store_if_meant(new, experiment) else None
    except (Refused, IntegrityError):  # said by who looks: a known id is not told what is wrong
        return None


def store_if_meant(new: Beginning, name_or_id: str) -> bool:
    """Insert a run, whole, if its experiment is still the one meant, its id unknown, and its
    owner may still write; whether it was."""
    run, writes = new.run, rows_of(new)
    if max(len(rows) for _, rows in writes) > MOST_ROWS:
        return False
    user, into = run.owner, run.experiment
    condition, value = named(name_or_id)
    params = [user.pk, value, user.pk, into.pk, into.name, into.visibility, into.owner_id, run.pk]
    if user.token is not None:
        params += user.token.proof()
    params += [value for _, rows in writes for row in rows for value in row]
    moved, values = last_run_moved(into.pk, run.started_at, " AND EXISTS (SELECT FROM meant)")
    shapes = ((insert, len(rows)) for insert, rows in writes)
    with prepared_cursor() as cursor:
        text = meant_text(condition, user.token is not None, moved, *shapes)
        cursor.execute(text, [*params, *values])
        return cursor.fetchone() is not None


@lru_cache(maxsize=512)
def meant_text(condition: str, by_token: bool, moved: str, *writes: tuple[Insert, int]) -> str:
    """The statement that writes so many rows of each kind, and whether it did."""
    proof = f" AND {STILL_OPENS}" if by_token else ""
    return (
        f"WITH meant AS ({STILL_MEANT.format(condition=condition)}{proof})"  # noqa: S608
        f"{''.join(conditional(writes, 'meant'))}, moved AS ({moved}) SELECT 1 FROM meant"
    )


def is_bound(user: User) -> bool:
    """Whether the user's token opens one experiment only."""
    return user.token is not None and user.token.experiment_id is not None


def named(name_or_id: str) -> tuple[str, object]:
    """The condition under which an experiment is meant by a text, and its value."""
    experiment_id = uuid_in(name_or_id)
    if experiment_id is not None:
        return "id = %s", key(experiment_id)
    return "name = %s", checked(title, name_or_id, "experiment")


def usual_experiment(user: User, name_or_id: str) -> Experiment | None:
    """The living experiment meant by a text, where the user may surely add runs: their own, or
    an internal one. None says only that the full search must tell."""
    if is_bound(user):
        return None
    condition, value = named(name_or_id)
    with prepared_cursor() as cursor:
        cursor.execute(FIND.format(condition=condition), [key(user.pk), value, key(user.pk)])
        row = cursor.fetchone()
    if row is None:
        return None
    pk, name, visibility, owner, at = row
    found = Experiment.from_db(
        connection.alias, READ, [as_pk(pk), name, visibility, as_pk(owner), at]
    )
    if len(remembered) >= MOST_REMEMBERED:
        remembered.clear()
    remembered[user.pk, name_or_id] = found
    return found


def store_run(new: Beginning) -> None:
    """Insert a run, whole or not at all; IntegrityError when its id is taken."""
    statements = [statement for insert, rows in rows_of(new) for statement in inserts(insert, rows)]
    statements.append(last_run_moved(new.run.experiment_id, new.run.started_at))
    with whole() if goes_as_one(statements) else transaction.atomic():
        write_together(statements)


def whole() -> AbstractContextManager:
    """Round one statement, which is atomic by itself: what it breaks in a transaction is mended."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def rows_of(new: Beginning) -> list[tuple[Insert, Sequence[Sequence]]]:
    """All that a start inserts."""
    run, touched = new.run, new.points.touched
    return [
        (RUNS, [run_row(run)]),
        (PARAMS, param_rows(run, new.params)),
        (TAGS, tag_rows(run, new.tags)),
        (ENVIRONMENTS, [(key(run.pk), json_text(new.environment))] if new.environment else []),
        (METRICS, summary_rows(run.pk, run.experiment_id, touched)),
        (CHUNKS, new.points.chunks),
        (TAILS, tail_rows(touched)),
        (MARKS, [(key(uuid7()), key(run.pk), *new.mark)] if new.mark else []),
    ]


def run_row(run: Run) -> list[object]:
    """Every column of a run, as the database keeps it."""
    return [field.get_db_prep_save(getattr(run, field.attname), connection) for field in RUN_FIELDS]


def last_run_moved(
    experiment_id: uuid.UUID, started_at: datetime, condition: str = ""
) -> Statement:
    """The statement that moves an experiment's last-run time forward; never back, and never into
    the future, whatever a client's clock says. Runs that start at the same moment do not wait
    for each other: while one moves it, the next leaves it alone."""
    at = connection.ops.adapt_datetimefield_value(min(started_at, timezone.now()))
    lock = " FOR NO KEY UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    text = MOVE_LAST_RUN.format(condition=condition, lock=lock)
    return text, [at, key(experiment_id), at]


def note_new_run(experiment_id: uuid.UUID, started_at: datetime) -> None:
    """Execute `last_run_moved`."""
    write_together([last_run_moved(experiment_id, started_at)])

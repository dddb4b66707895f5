"""The life of a run as training tells it, start, heartbeat and end, and the experiment it is in.
What it logs meanwhile is stored by `appending`.

Plain functions, keyword-only, each its own transaction; no request, no serializer. When a function
returns, what it wrote is committed.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from datetime import datetime

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from experiments import access
from experiments.announcing import announce
from experiments.appending import append, begin_if_queued, is_next
from experiments.labels import checked_tags
from experiments.models import Experiment, Run
from experiments.refusals import Conflict, Gone, Invalid, checked, nothing_purged
from experiments.starting import Begun, beginning, store_run, usual_experiment
from experiments.storing import Columns, Mark, lock_run
from experiments.upkeep import compact_series
from experiments.values import experiment_title, title, uuid_in

SERIES_COMPACTED_ON_FINISH = 200

# --- Experiments -----------------------------------------------------------------------------


def resolve_experiment(*, user: User, name_or_id: str) -> Experiment:
    """The living experiment meant by a text: an id, or a name: mine, else internal, else the
    single one shared with me; else a new internal one."""
    if (experiment_id := uuid_in(name_or_id)) is not None:
        experiment = access.readable_experiment(user, experiment_id)
        if experiment.trashed_at is not None:
            raise Conflict("This experiment is in the trash. Restore it first.")
        return experiment
    name = checked(title, name_or_id, "experiment")
    for _ in range(2):
        found = Experiment.objects.visible_to(user).alive().named(name, user)
        if found is not None:
            return found
        try:
            return create_experiment(user=user, name=name)
        except Conflict:
            continue  # somebody else made it between the look and the insert
    raise Conflict(f"The experiment name {name!r} is taken by one you may not see.")


def create_experiment(
    *,
    user: User,
    name: str,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    visibility: str = "internal",
) -> Experiment:
    """A new experiment of the user's; Conflict when the name is taken."""
    if not user.may_write:
        access.refuse("Viewers may not create experiments.")
    if user.token is not None and user.token.experiment_id is not None:
        access.refuse("This token is bound to one experiment and cannot create another.")
    experiment = Experiment(
        name=checked(experiment_title, name, "name"),
        description=description,
        visibility=visibility,
        owner=user,
        tags=checked_tags(tags or {}),
    )
    save_under_unique_name(user, experiment)
    return experiment


def save_under_unique_name(user: User, experiment: Experiment, **options: object) -> None:
    """Save, or Conflict when the name is taken; the other's id only if the user may see it."""
    try:
        with transaction.atomic():
            experiment.save(**options)
    except DatabaseError as error:
        if options and not Experiment.objects.filter(pk=experiment.pk).exists():
            raise Gone("This experiment has been purged.") from error
        if not isinstance(error, IntegrityError):
            raise
        others = Experiment.objects.visible_to(user).alive().exclude(pk=experiment.pk)
        taken = others.filter(name=experiment.name, visibility=experiment.visibility)
        if experiment.visibility == "private":
            taken = taken.filter(owner=experiment.owner_id)
        details = {"id": str(other.pk)} if (other := taken.first()) else {}
        raise Conflict(
            f"The name {experiment.name!r} is in use. Choose another one.", details
        ) from error


# --- A run's life ----------------------------------------------------------------------------


def start_run(**fields: object) -> tuple[Run, bool]:
    """`begin_run`, where nobody asks for the first points."""
    run, is_new, _ = begin_run(**fields)
    return run, is_new


def begin_run(
    *,
    user: User,
    experiment: str,
    id: uuid.UUID | None = None,
    name: str = "",
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
    parent: uuid.UUID | None = None,
    environment: Mapping[str, object] | None = None,
    notes: str = "",
    started_at: datetime | None = None,
    resume: bool = False,
    metrics: Mapping[str, Columns] | None = None,
    mark: Mark | None = None,
) -> Begun:
    """Start a run in an experiment given by name or id, with its first points, all or nothing.

    A known `id` in the same experiment is answered with that run, unchanged, so that a repeat
    is harmless; with `resume` an ended one goes on. Any other known id is a Conflict. Points
    for a known run are those of a repeat, or of another process that joins: `append` tells them
    apart by their mark, so who gives an id with points gives a mark too.
    """

    def join() -> Begun:
        run = known_run(user=user, experiment=experiment, id=id)
        if metrics or mark:
            append(user=user, run_id=run.pk, metrics=metrics or {}, mark=mark)
            run.refresh_from_db(fields=["revision", "status", "started_at", "last_seen_at"])
        if resume and run.has_ended:  # after the points: refused ones leave the run as it is
            run = reopen_run(run=run)
        return Begun(run, False, [])

    if id is not None and Run.objects.filter(pk=id).exists():
        return join()
    # All that could be refused comes before the experiment, which may be made by this.
    new = beginning(
        user=user,
        id=id,
        name=name,
        params=params,
        tags=tags,
        environment=environment,
        notes=notes,
        started_at=started_at,
        metrics=metrics,
        mark=mark,
    )
    new.run.parent = visible_parent(user, parent)
    if mark:
        is_next(Mark(mark.writer, 0, b""), mark)
    into = usual_experiment(user, experiment) if user.may_write else None
    into = into or resolve_experiment(user=user, name_or_id=experiment)
    if not access.may_add_runs(user, into):
        access.refuse("You may not add runs to this experiment.")
    new.run.experiment = into
    try:
        with nothing_purged():
            store_run(new)
    except IntegrityError:
        if id is None or not Run.objects.filter(pk=id).exists():
            raise
        return join()
    return new.begun()


def known_run(*, user: User, experiment: str, id: uuid.UUID) -> Run:
    """The run already known by `id`, for another process or a repeated start."""
    run = Run.objects.visible_to(user).select_related("experiment", "owner").filter(pk=id).first()
    if run is None or not access.edits_run(user, run) or not names(experiment, run.experiment):
        raise Conflict("This run id cannot be used. Choose another one.")
    return run


def names(name_or_id: str, experiment: Experiment) -> bool:
    """Whether a text given as experiment means this one."""
    if (experiment_id := uuid_in(name_or_id)) is not None:
        return experiment_id == experiment.pk
    return unicodedata.normalize("NFC", name_or_id).strip() == experiment.name


def visible_parent(user: User, parent: uuid.UUID | None) -> Run | None:
    if parent is None:
        return None
    found = Run.objects.visible_to(user).filter(pk=parent).first()
    if found is None:
        raise Invalid("The parent run is unknown.", {"parent": ["There is no such run."]})
    return found


def heartbeat(*, run: Run) -> Run:
    """Note a sign of life at the server's time; takes no lock, adds no revision."""
    now = timezone.now()
    if not Run.objects.filter(pk=run.pk).update(last_seen_at=now, has_beaten=True):
        raise Gone("This run has been purged.")
    begin_if_queued(run, now)
    run.refresh_from_db(fields=["status", "stop_requested", "last_seen_at", "has_beaten"])
    return run


def finish_run(*, run: Run, status: str, error: str = "", ended_at: datetime | None = None) -> Run:
    """End a run; of several ends the worst status and the latest time count. Its open series
    are sealed, up to 200 at once; `manage.py compact` does the rest."""
    with transaction.atomic():
        run = lock_run(run.pk)
        end = ended_at or timezone.now()
        if run.started_at is not None:
            end = max(end, run.started_at)
        if run.has_ended:
            status = min(status, run.status, key=Run.ENDED.index)
            end = max(end, run.ended_at)
        run.status, run.ended_at = status, end
        run.error = error or run.error
        run.last_seen_at = timezone.now()
        bump(run, "status", "ended_at", "error", "last_seen_at")
        compact_series(run.pk, at_most=SERIES_COMPACTED_ON_FINISH)
    return run


def reopen_run(*, run: Run) -> Run:
    """Let an ended run go on: running, no end."""
    with transaction.atomic():
        run = lock_run(run.pk)
        set_status(run, Run.Status.RUNNING)
        bump(run, "status", "started_at", "ended_at", "error", "last_seen_at", "stop_requested")
    return run


def set_status(run: Run, status: str) -> None:
    """Put a locked run into a status with the times that belong to it; not saved."""
    now = timezone.now()
    if status == Run.Status.QUEUED and run.has_ended:
        fault = "A run that has ended cannot be queued again."
        raise Invalid(fault, {"status": [fault]})
    run.status = status
    if status in Run.ENDED:
        run.ended_at = run.ended_at or max(now, run.started_at or now)
        return
    run.ended_at, run.error = None, ""
    run.stop_requested = False
    run.last_seen_at = now
    run.started_at = (run.started_at or now) if status == Run.Status.RUNNING else None


def bump(run: Run, *fields: str) -> None:
    """Save a locked run's fields under its next revision."""
    run.revision += 1
    run.save(update_fields=[*fields, "revision"])
    announce(run.experiment_id)

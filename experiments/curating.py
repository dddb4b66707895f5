"""Every write by which people correct, share and tidy away what was recorded.

Like `recording`: plain keyword-only functions, each its own transaction.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from experiments.labels import checked_tags, write_tags
from experiments.models import (
    Collaborator,
    Experiment,
    Metric,
    Param,
    Run,
    Tag,
)
from experiments.recording import (
    bump,
    save_under_unique_name,
    set_status,
)
from experiments.refusals import Conflict, Gone, Invalid, checked, nothing_purged
from experiments.starting import note_new_run
from experiments.storing import lock_run
from experiments.values import MAX_EXPERIMENT_TAGS, TEXT_HEAD_LENGTH, experiment_title, title

log = structlog.get_logger(__name__)

# --- Experiments -----------------------------------------------------------------------------


def update_experiment(*, user: User, experiment: Experiment, **changes: object) -> Experiment:
    """Change name, description, status, visibility or tags of one experiment."""
    if "name" in changes:
        changes["name"] = checked(experiment_title, changes["name"], "name")
    if "tags" in changes:
        changes["tags"] = checked_tags(changes["tags"])
    for field, value in changes.items():
        setattr(experiment, field, value)
    save_under_unique_name(user, experiment, update_fields=[*changes, "updated_at"])
    log.info("experiment_changed", experiment=str(experiment.pk), fields=sorted(changes))
    return experiment


def describe_experiment(*, user: User, experiment: Experiment, seen: str, **changes: str) -> None:
    """Change what a person was shown, if the description is still the one whose `version_of` is
    `seen`; otherwise a Conflict, with the one that stands there now."""
    with transaction.atomic():
        current = lock_experiment(experiment)
        written = changes.get("description", current.description)
        if seen != version_of(current.description) and written != current.description:
            fault = "Somebody changed the description meanwhile."
            raise Conflict(fault, {"description": current.description})
        update_experiment(user=user, experiment=current, **changes)


def lock_experiment(experiment: Experiment) -> Experiment:
    """The experiment as it is now, its row locked until the transaction ends."""
    found = Experiment.objects.select_for_update().filter(pk=experiment.pk).first()
    if found is None:
        raise Gone("This experiment has been purged.")
    return found


def tag_experiment(*, experiment: Experiment, name: str, text: str) -> None:
    """Set one of its tags, over what it was; Invalid when there are too many."""
    labels = checked_tags({name: text})
    with transaction.atomic():
        current = lock_experiment(experiment)
        current.tags |= labels
        if len(current.tags) > MAX_EXPERIMENT_TAGS:
            raise Invalid(f"An experiment has at most {MAX_EXPERIMENT_TAGS} tags.")
        current.save(update_fields=["tags", "updated_at"])
    log.info("experiment_tagged", experiment=str(experiment.pk), tag=name)


def untag_experiment(*, experiment: Experiment, name: str) -> None:
    """Take one of its tags away; one that is gone already is no fault."""
    with transaction.atomic():
        current = lock_experiment(experiment)
        current.tags.pop(name, None)
        current.save(update_fields=["tags", "updated_at"])
    log.info("experiment_untagged", experiment=str(experiment.pk), tag=name)


def trash_experiment(*, user: User, experiment: Experiment) -> None:
    """Move it, and with it its runs, to the trash; its name is free again."""
    now = timezone.now()
    trash_experiments(user=user, experiments=[experiment], now=now)
    experiment.trashed_at = experiment.trashed_at or now


def restore_experiment(*, user: User, experiment: Experiment, name: str | None = None) -> None:
    """Bring it back from the trash, under another name when its own was taken meanwhile."""
    if experiment.trashed_at is None:
        return
    experiment.trashed_at = experiment.trashed_by = None
    if name is not None:
        experiment.name = checked(experiment_title, name, "name")
    fields = ["trashed_at", "trashed_by", "name", "updated_at"]
    save_under_unique_name(user, experiment, update_fields=fields)
    log.info("experiment_restored", experiment=str(experiment.pk))


# --- Many experiments at once ------------------------------------------------------------------


def set_status_of(*, experiments: Iterable[Experiment], status: str) -> int:
    """Give these experiments one status; how many had another."""
    ids = [experiment.pk for experiment in experiments]
    others = Experiment.objects.filter(pk__in=ids).exclude(status=status)
    changed = others.update(status=status, updated_at=timezone.now())
    log.info("experiments_changed", experiments=[str(pk) for pk in ids], status=status)
    return changed


def trash_experiments(*, user: User, experiments: Iterable[Experiment], now: datetime) -> int:
    """Move experiments, and with them their runs, to the trash as of a moment; how many were not
    there yet."""
    ids = [experiment.pk for experiment in experiments]
    living = Experiment.objects.filter(pk__in=ids, trashed_at=None)
    trashed = living.update(trashed_at=now, trashed_by=user)
    log.info("experiments_trashed", experiments=[str(pk) for pk in ids])
    return trashed


def restore_experiments(*, experiments: Sequence[Experiment]) -> int:
    """Bring experiments back from the trash, but for those whose name was taken meanwhile; how
    many came."""
    ids = [experiment.pk for experiment in experiments]
    names = {experiment.name for experiment in experiments}
    alive = Experiment.objects.filter(name__in=names, trashed_at=None)
    taken = {claim_of(each) for each in alive.only("name", "visibility", "owner")}
    # Of those that claim the same the first one comes.
    claims = {claim_of(each): each.pk for each in reversed(experiments)}
    free = [pk for claim, pk in claims.items() if claim not in taken]
    try:
        restored = bring_back(free)
    except (IntegrityError, OperationalError):
        # A name was taken at this very moment, or two wait for each other's names: one by one.
        restored = sum(map(bring_back_if_free, free))
    log.info("experiments_restored", experiments=[str(pk) for pk in ids], restored=restored)
    return restored


def bring_back(ids: Sequence[uuid.UUID]) -> int:
    """Take experiments out of the trash, all or none; how many were there."""
    with transaction.atomic():
        there = Experiment.objects.filter(pk__in=ids).exclude(trashed_at=None)
        return there.update(trashed_at=None, trashed_by=None, updated_at=timezone.now())


def bring_back_if_free(pk: uuid.UUID) -> int:
    """Take one out of the trash, unless its name is taken; how many came."""
    try:
        return bring_back([pk])
    except IntegrityError:
        return 0


def claim_of(experiment: Experiment) -> tuple:
    """What no other living experiment may have: its name, of a private one among its owner's."""
    owner = experiment.owner_id if experiment.visibility == "private" else None
    return experiment.name, experiment.visibility, owner


# --- People ------------------------------------------------------------------------------------


def share_experiment(*, experiment: Experiment, user: User, role: str) -> Collaborator:
    """Let someone in as viewer or editor, or change what they were."""
    with nothing_purged():
        collaborator, _ = Collaborator.objects.update_or_create(
            experiment=experiment, user=user, defaults={"role": role}
        )
    log.info("experiment_shared", experiment=str(experiment.pk), with_user=str(user.pk), role=role)
    return collaborator


def unshare_experiment(*, experiment: Experiment, user: User) -> bool:
    """Let someone out again; whether they had been in."""
    was_in = Collaborator.objects.filter(experiment=experiment, user=user).delete()[0] > 0
    log.info("experiment_unshared", experiment=str(experiment.pk), with_user=str(user.pk))
    return was_in


# --- Runs --------------------------------------------------------------------------------------


def update_run(
    *,
    run: Run,
    name: str | None = None,
    notes: str | None = None,
    tags: Mapping[str, str] | None = None,
    status: str | None = None,
    experiment: Experiment | None = None,
) -> Run:
    """Correct a run by hand. `tags` is the whole new set; `experiment` moves the run there."""
    labels = checked_tags(tags) if tags is not None else None
    with nothing_purged(), transaction.atomic():
        run = lock_run(run.pk)
        if name is not None:
            run.name = checked(title, name, "name")
        if notes is not None:
            run.notes = notes
        if status is not None and status != run.status:
            set_status(run, status)
        if labels is not None:
            run.tags.exclude(name__in=labels).delete()
            write_tags(run, labels)
        if experiment is not None and experiment.pk != run.experiment_id:
            move_rows(run, experiment)
        bump(run, "name", "notes", "status", "started_at", "ended_at", "error", "last_seen_at",
             "stop_requested", "experiment")  # fmt: skip
    log.info("run_changed", run=str(run.pk), status=run.status, experiment=str(run.experiment_id))
    return run


def write_notes(*, run: Run, notes: str, seen: str) -> Run:
    """Replace the notes of a run, if they are still the ones whose `version_of` is `seen`.
    Otherwise a Conflict, with those that stand there now."""
    with transaction.atomic():
        run = lock_run(run.pk)
        if seen != version_of(run.notes) and notes != run.notes:
            raise Conflict("Somebody changed the notes meanwhile.", {"notes": run.notes})
        run.notes = notes
        bump(run, "notes")
    log.info("run_changed", run=str(run.pk), fields=["notes"])
    return run


def version_of(text: str) -> str:
    """What tells one text from another, short enough for a form to carry along."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def move_rows(run: Run, experiment: Experiment) -> None:
    """Take a locked run and the rows that carry its experiment to another one; not saved."""
    run.experiment = experiment
    for model in (Param, Tag, Metric):
        model.objects.filter(run=run).update(experiment=experiment)
    if run.started_at is not None:
        note_new_run(experiment.pk, run.started_at)


def request_stop(*, run: Run) -> Run:
    """Ask the training process to stop; it learns of it with its next heartbeat."""
    with transaction.atomic():
        run = lock_run(run.pk)
        if run.has_ended:
            raise Conflict("This run has ended already.")
        run.stop_requested = True
        bump(run, "stop_requested")
    log.info("run_stop_requested", run=str(run.pk))
    return run


def trash_runs(*, user: User, runs: Iterable[Run], now: datetime | None = None) -> int:
    """Move runs to the trash as of a moment; how many were not there yet."""
    with transaction.atomic():
        living = [run for run in lock_runs(runs) if run.trashed_at is None]
        bump_all(living, trashed_at=now or timezone.now(), trashed_by=user)
    log.info("runs_trashed", runs=[str(run.pk) for run in living])
    return len(living)


def restore_run(*, run: Run) -> None:
    """Bring a run back; one whose experiment is in the trash comes back with that."""
    if run.experiment.trashed_at is not None:
        raise Conflict("The run's experiment is in the trash. Restore the experiment instead.")
    Run.objects.filter(pk=run.pk).update(
        trashed_at=None, trashed_by=None, revision=F("revision") + 1
    )
    run.trashed_at = run.trashed_by = None
    log.info("run_restored", run=str(run.pk))


# --- Many runs at once -------------------------------------------------------------------------


def tag_runs(*, runs: Iterable[Run], name: str, text: str = "") -> int:
    """Set one tag of these runs, over what it was; how many runs there were. Invalid for a name
    or a text that no tag can have."""
    labels = checked_tags({name: text})
    with transaction.atomic():
        locked = lock_runs(runs)
        Tag.objects.bulk_create(
            [
                Tag(run=run, experiment_id=run.experiment_id, name=name, text=text,
                    text_head=text[:TEXT_HEAD_LENGTH])
                for run in locked
                for name, text in labels.items()
            ],
            update_conflicts=True,
            unique_fields=["run", "name"],
            update_fields=["text", "text_head"],
        )  # fmt: skip
        bump_all(locked)
    log.info("runs_tagged", runs=[str(run.pk) for run in locked], tag=name)
    return len(locked)


def untag_runs(*, runs: Iterable[Run], name: str) -> int:
    """Take one tag from these runs; how many had it."""
    (name,) = checked_tags({name: ""})
    with transaction.atomic():
        locked = lock_runs(runs)
        tags = Tag.objects.filter(run__in=locked, name=name)
        had = list(tags.values_list("run", flat=True))
        tags.delete()
        bump_all([run for run in locked if run.pk in had])
    log.info("runs_untagged", runs=[str(pk) for pk in had], tag=name)
    return len(had)


def request_stops(*, runs: Iterable[Run]) -> int:
    """Ask the training processes of those that have not ended to stop; how many that were."""
    with transaction.atomic():
        going = [run for run in lock_runs(runs) if not run.has_ended]
        bump_all(going, stop_requested=True)
    log.info("run_stops_requested", runs=[str(run.pk) for run in going])
    return len(going)


def restore_runs(*, runs: Iterable[Run]) -> int:
    """Bring runs back from the trash; how many were there."""
    with transaction.atomic():
        trashed = [run for run in lock_runs(runs) if run.trashed_at is not None]
        bump_all(trashed, trashed_at=None, trashed_by=None)
    log.info("runs_restored", runs=[str(run.pk) for run in trashed])
    return len(trashed)


def lock_runs(runs: Iterable[Run]) -> list[Run]:
    """The runs as they are now, locked until the transaction ends; always in the same order, so
    that two who take several never wait for each other."""
    ids = [run.pk for run in runs]
    return list(Run.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"))


def bump_all(runs: Sequence[Run], **changes: object) -> None:
    """The same changes to locked runs, each under its next revision."""
    ids = [run.pk for run in runs]
    Run.objects.filter(pk__in=ids).update(revision=F("revision") + 1, **changes)

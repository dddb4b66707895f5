"""Deleting for good."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from experiments.models import (
    Chunk,
    Collaborator,
    Environment,
    Experiment,
    Metric,
    Param,
    Run,
    SavedView,
    Tag,
    Tail,
    Writer,
)

log = structlog.get_logger(__name__)

RUNS_PURGED_AT_ONCE, RUNS_PURGED_IN_A_REQUEST = 200, 2_000


@dataclass(frozen=True, slots=True)
class Doomed:
    """What of the trash is to be purged: one experiment, one run, or all that was there at a
    moment. Whatever was restored since is spared."""

    before: datetime
    experiment: uuid.UUID | None = None
    run: uuid.UUID | None = None

    def experiments(self) -> QuerySet:
        """The experiments that go."""
        found = Experiment.objects.filter(trashed_at__lte=self.before).order_by("name")
        if self.run is not None:
            return found.none()
        return found if self.experiment is None else found.filter(pk=self.experiment)

    def runs(self) -> QuerySet:
        """The runs that go, those of the experiments among them."""
        if self.run is not None:
            return Run.objects.filter(pk=self.run, trashed_at__lte=self.before)
        with_experiment = Q(experiment__trashed_at__lte=self.before)
        if self.experiment is not None:
            return Run.objects.filter(with_experiment, experiment=self.experiment)
        return Run.objects.filter(with_experiment | Q(trashed_at__lte=self.before))


def purge_some(doomed: Doomed) -> int:
    """Purge as many of the doomed runs as one request has time for, and after the last of them
    their experiments; how many runs."""
    ids = list(doomed.runs().order_by("pk").values_list("pk", flat=True)[:RUNS_PURGED_IN_A_REQUEST])
    purged = purge_runs(ids=ids)
    if len(ids) < RUNS_PURGED_IN_A_REQUEST:
        for experiment in doomed.experiments():
            purged += purge_experiment(experiment=experiment)
    return purged


def purge_runs(*, ids: Sequence[uuid.UUID]) -> int:
    """Delete runs that are in the trash for good, a few at a time and a table at a time, so that
    no lock is long and no row passes through Python; how many there were. Those that are brought
    back before it is their turn are spared."""
    purged = 0
    for start in range(0, len(ids), RUNS_PURGED_AT_ONCE):
        with transaction.atomic():
            some = locked_in_trash(ids[start : start + RUNS_PURGED_AT_ONCE])
            if not some:
                continue
            Run.objects.filter(parent__in=some).update(parent=None)
            for model, path in (
                (Chunk, "metric__run"),
                (Tail, "metric__run"),
                (Metric, "run"),
                (Param, "run"),
                (Tag, "run"),
                (Writer, "run"),
                (Environment, "run"),
            ):
                rows = model.objects.filter(**{f"{path}__in": some})
                rows._raw_delete(rows.db)
            gone = Run.objects.filter(pk__in=some)
            purged += gone._raw_delete(gone.db)
        log.info("runs_purged", runs=[str(pk) for pk in some])
    return purged


def locked_in_trash(ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Those of the runs that are in the trash, by themselves or with their experiment, and will
    be until the transaction ends: nobody brings them back meanwhile."""
    homes = Run.objects.filter(pk__in=ids).values("experiment")
    trashed = Experiment.objects.filter(pk__in=homes, trashed_at__isnull=False).order_by("pk")
    gone = list(trashed.select_for_update(no_key=True).values_list("pk", flat=True))
    in_trash = Run.objects.filter(Q(trashed_at__isnull=False) | Q(experiment__in=gone), pk__in=ids)
    return list(in_trash.select_for_update().order_by("pk").values_list("pk", flat=True))


def purge_experiment(*, experiment: Experiment) -> int:
    """Delete an experiment that is in the trash and its runs for good; how many runs there were.
    Where it is brought back meanwhile, what is left of it stays."""
    purged = 0
    runs = Run.objects.filter(experiment=experiment).order_by("pk").values_list("pk", flat=True)
    while some := list(runs[: RUNS_PURGED_AT_ONCE * 10]):
        done = purge_runs(ids=some)
        purged += done
        if not done:
            break
    with transaction.atomic():
        trashed = Experiment.objects.filter(pk=experiment.pk, trashed_at__isnull=False)
        if trashed.select_for_update().first() is None:
            return purged
        SavedView.objects.filter(experiment=experiment).delete()
        Collaborator.objects.filter(experiment=experiment).delete()
        experiment_id = experiment.pk
        experiment.delete()
    log.info("experiment_purged", experiment=str(experiment_id), runs=purged)
    return purged

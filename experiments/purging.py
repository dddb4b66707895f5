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
    """Delete runs for good, a few at a time and a table at a time, so that no lock is long
    and no row passes through Python; how many there were."""
    purged = 0
    for start in range(0, len(ids), RUNS_PURGED_AT_ONCE):
        some = list(ids[start : start + RUNS_PURGED_AT_ONCE])
        with transaction.atomic():
            list(Run.objects.select_for_update().filter(pk__in=some).values_list("pk"))
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


def purge_experiment(*, experiment: Experiment) -> int:
    """Delete an experiment and its runs for good; how many runs there were."""
    purged = 0
    runs = Run.objects.filter(experiment=experiment).order_by("pk").values_list("pk", flat=True)
    while some := list(runs[: RUNS_PURGED_AT_ONCE * 10]):
        purged += purge_runs(ids=some)
    with transaction.atomic():
        SavedView.objects.filter(experiment=experiment).delete()
        Collaborator.objects.filter(experiment=experiment).delete()
        experiment_id = experiment.pk
        experiment.delete()
    log.info("experiment_purged", experiment=str(experiment_id), runs=purged)
    return purged

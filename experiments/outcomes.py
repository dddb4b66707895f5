"""What came of experiments: their runs by status, the latest run, a metric over all runs.

Plain indexed SQL over runs and the metrics' summaries; no point is read.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import (
    Avg,
    Case,
    Count,
    F,
    FloatField,
    Max,
    Min,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)

from experiments.models import Experiment, Metric, Run
from experiments.querysets import STATUSES, is_lost

STORED = Run.Status.values
# Of numbers up to 1, those below count as 0: a square is a double no more.
SMALLEST_SQUARED = 1e-150


def counts_by_status(experiments: Iterable[Experiment]) -> dict[uuid.UUID, dict[str, int]]:
    """For each experiment how many living runs there are, in all and by shown status. By stored
    status they are counted in the index alone; among those that run the lost ones are looked for.
    One statement, so that no run is counted twice while it ends."""
    ids = [experiment.pk for experiment in experiments]
    lost = living(ids).filter(is_lost()).values_list("experiment", Value("lost"))
    found = lost.annotate(runs=Count("*")).union(*stored_counts(ids), all=True)
    return counts_of(ids, found)


def living(experiment_ids: Iterable[uuid.UUID]) -> QuerySet:
    """The runs of these experiments that are not in the trash."""
    return Run.objects.filter(experiment__in=experiment_ids, trashed_at=None).order_by()


def stored_counts(experiment_ids: Iterable[uuid.UUID]) -> list[QuerySet]:
    """How many living runs these experiments have of each stored status: experiment, status and
    number. Each by itself, as it lies in the index: to group them took half as long again."""
    return [
        living(experiment_ids)
        .filter(status=status)
        .values_list("experiment", Value(status))
        .annotate(runs=Count("*"))
        for status in STORED
    ]


def counts_of(
    experiment_ids: Iterable[uuid.UUID], found: Iterable[tuple[uuid.UUID, str, int]]
) -> dict[uuid.UUID, dict[str, int]]:
    """Numbers of runs by experiment and shown status, from those by stored status and of the
    lost."""
    counts = {pk: dict.fromkeys(("total", *STATUSES), 0) for pk in experiment_ids}
    for pk, status, runs in found:
        counts[pk][status] = runs
    for of_one in counts.values():
        of_one["total"] = sum(of_one[status] for status in STORED)
        of_one["running"] -= of_one["lost"]
    return counts


def latest_runs(experiments: Iterable[Experiment]) -> dict[uuid.UUID, Run]:
    """The living run of each experiment that started last; two statements, each experiment's
    found at the end of the index (experiment, started_at, id). Asked for as a span of experiments
    of one, since for one by itself PostgreSQL would rather walk the starts of all runs: to the end,
    where one experiment has most of them and another none."""
    newest = Run.objects.filter(
        experiment__gte=OuterRef("pk"),
        experiment__lte=OuterRef("pk"),
        trashed_at=None,
        started_at__isnull=False,
    ).order_by("-experiment_id", "-started_at", "-id")
    ids = Experiment.objects.filter(pk__in=[experiment.pk for experiment in experiments])
    found = ids.annotate(newest=Subquery(newest.values("pk")[:1])).values_list("newest", flat=True)
    runs = Run.objects.filter(pk__in=[pk for pk in found if pk is not None])
    return {run.experiment_id: run for run in runs}


def metric_over_runs(experiment: Experiment, name: str) -> dict:
    """How many living runs have a metric, mean and sample deviation, least and greatest of its
    last finite values, and the runs with those two (as `best_by_min`, `best_by_max`, each with
    `page_value`)."""
    having = series_of_living_runs(experiment, name).order_by()
    found = having.aggregate(
        runs=Count("*"), finite=Count("last"), min=Min("last"), max=Max("last")
    )
    rows = having.filter(last__isnull=False)
    mean, std = mean_and_deviation(rows, found["finite"], found["min"], found["max"])
    return {
        "runs": found["runs"],
        "mean": mean,
        "std": std,
        "min": found["min"],
        "max": found["max"],
        "best_by_min": run_of_first(rows.order_by("last", "run")),
        "best_by_max": run_of_first(rows.order_by("-last", "run")),
    }


def series_of_living_runs(experiment: Experiment, name: str) -> QuerySet:
    """The metrics of this name. Where no run of the experiment is in the trash, as is usual, they
    are read from `metric_last` alone; joined with their runs they cost ten times as long."""
    found = Metric.objects.filter(experiment=experiment, name=name)
    in_trash = Run.objects.filter(experiment=experiment, trashed_at__isnull=False)
    return found.filter(run__trashed_at=None) if in_trash.exists() else found


def run_of_first(metrics: QuerySet) -> Run | None:
    """The run of the first of some metrics, with the last value as `page_value`."""
    first = metrics.select_related("run").first()
    if first is None:
        return None
    first.run.page_value = first.last
    return first.run


def mean_and_deviation(
    rows: QuerySet, runs: int, least: float | None, greatest: float | None
) -> tuple[float | None, float | None]:
    """Mean and sample deviation of the last values of some metrics, whose number and extremes
    are known. Values are scaled to at most 1 before they are squared, and what would vanish
    is 0: PostgreSQL raises an error where a double overflows or underflows, SQLite has no
    deviation of its own."""
    if not runs:
        return None, None
    scale = max(abs(least), abs(greatest)) or 1.0
    tiny = scale * SMALLEST_SQUARED
    scaled = Case(
        When(last__gt=-tiny, last__lt=tiny, then=Value(0.0)),
        default=F("last") / Value(scale),
        output_field=FloatField(),
    )
    mean = rows.aggregate(mean=Avg(scaled))["mean"]
    if runs == 1:
        return mean * scale, None
    squares = (
        rows.annotate(off=scaled - Value(mean))
        .exclude(off__gt=-SMALLEST_SQUARED, off__lt=SMALLEST_SQUARED)
        .aggregate(total=Sum(F("off") * F("off")))["total"]
    )
    return mean * scale, ((squares or 0.0) / (runs - 1)) ** 0.5 * scale

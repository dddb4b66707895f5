"""Check that every summary says what its points say."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from experiments.management.chosen import add_choice, chosen_runs
from experiments.models import Metric
from experiments.reading import MissingPoints
from experiments.upkeep import verify_metric

METRICS_AT_ONCE = 200
PROGRESS_EVERY = 10_000


class Command(BaseCommand):
    """Recompute summaries from points and tell every difference; exit status 1 if there is one."""

    help = "Recompute every metric's summary from its points and report what differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_choice(parser)

    def handle(self, *args: object, **options: object) -> None:
        checked = drifted = 0
        metrics = Metric.objects.filter(run__in=chosen_runs(options)).order_by("pk")
        for metric in metrics.values_list("pk", flat=True).iterator(METRICS_AT_ONCE):
            drifted += self.report(metric)
            checked += 1
            if checked % PROGRESS_EVERY == 0:
                self.stderr.write(f"{checked:,} series checked ...")
        if drifted:
            raise CommandError(f"{drifted:,} of {checked:,} series differ from their points.")
        self.stdout.write(f"{checked:,} series checked; every summary agrees with its points.")

    def report(self, pk: object) -> bool:
        """Whether a series differs from its summary; each difference is told. Row and tail are
        read at one moment, so that a run that goes on logging meanwhile disturbs nothing."""
        metric = Metric.objects.select_related("tail", "run").filter(pk=pk).first()
        if metric is None:
            return False  # purged meanwhile
        try:
            faults = verify_metric(metric)
        except (MissingPoints, ValueError) as error:
            faults = [str(error)]
        for fault in faults:
            self.stderr.write(f"run {metric.run_id} metric {metric.name!r}: {fault}")
        return bool(faults)

"""Seal and merge what ended runs left open."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from experiments.management.chosen import add_choice, chosen_runs
from experiments.models import Run, Tail
from experiments.refusals import Gone
from experiments.upkeep import compact_run, needs_compaction

SERIES_AT_ONCE = 200
PROGRESS_EVERY = 1_000


class Command(BaseCommand):
    """Compact the series of ended runs, a bounded number in each transaction; safe to run at any
    time, also while scripts log."""

    help = "Seal the open ends of ended runs' series and merge their small blocks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_choice(parser)
        parser.add_argument(
            "--older-than",
            type=float,
            default=0.0,
            metavar="HOURS",
            help="only runs that ended this many hours ago or more (default: 0)",
        )

    def handle(self, *args: object, **options: object) -> None:
        if not 0 <= options["older_than"] < 1e6:
            raise CommandError("--older-than takes hours, 0 or more.")
        before = timezone.now() - timedelta(hours=options["older_than"])
        open_series = Tail.objects.filter(needs_compaction()).values("metric__run")
        runs = chosen_runs(options).filter(ended_at__lte=before, pk__in=open_series)
        touched_runs = touched_series = 0
        for run in runs.only("pk").iterator(PROGRESS_EVERY):
            touched_series += self.compact(run)
            touched_runs += 1
            if touched_runs % PROGRESS_EVERY == 0:
                self.stderr.write(f"{touched_runs:,} runs compacted ...")
        self.stdout.write(f"{touched_series:,} series of {touched_runs:,} runs compacted.")

    def compact(self, run: Run) -> int:
        """All open series of a run, some at a time: each transaction holds the run's lock."""
        touched = 0
        try:
            while some := compact_run(run=run, at_most=SERIES_AT_ONCE):
                touched += some
        except Gone:
            pass  # purged meanwhile
        return touched

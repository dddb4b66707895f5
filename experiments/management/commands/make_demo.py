"""Make a large demo: sweeps of thousands of runs, for looking at the pages and for measuring."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from accounts.models import User
from experiments import recording
from experiments.demo import sweeps
from experiments.models import Experiment

DESCRIPTION = "Runs that `manage.py make_demo` made up. No training took place."
# They own runs and cannot sign in.
PEOPLE = ("demo-lin", "demo-maya", "demo-omar")
MOST_RUNS = 1_000_000


class Command(BaseCommand):
    """Each call adds experiments of its own; what is there already stays as it is."""

    help = "Make experiments with thousands of made-up runs, owned by the first admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--runs", type=int, default=10_000, help="in all (default: 10000)")
        parser.add_argument(
            "--experiments", type=int, default=1, help="that share the runs (default: 1)"
        )
        parser.add_argument(
            "--points",
            type=int,
            default=20,
            help=f"in each series, at most {sweeps.MOST_POINTS} (default: 20)",
        )
        parser.add_argument("--seed", type=int, default=1, help="of the dice (default: 1)")

    def handle(self, *args: object, **options: object) -> None:
        runs, experiments, points = options["runs"], options["experiments"], options["points"]
        if not 1 <= experiments <= runs <= MOST_RUNS:
            raise CommandError(f"At least one run an experiment, at most {MOST_RUNS:,} in all.")
        if not 1 <= points <= sweeps.MOST_POINTS:
            raise CommandError(f"--points takes 1 to {sweeps.MOST_POINTS}.")
        admin = User.objects.filter(role=User.Role.ADMIN, is_active=True).order_by("pk").first()
        if admin is None:
            raise CommandError(
                "The demo belongs to an admin, and there is none yet: start ExpTrack once."
            )
        owners = [admin, *map(person, PEOPLE)]
        for number in range(experiments):
            share = runs // experiments + (number < runs % experiments)
            experiment = recording.create_experiment(
                user=admin, name=free_name(), description=DESCRIPTION
            )
            seed = options["seed"] + number
            for made in sweeps.fill(
                experiment, owners, share, points=points, now=timezone.now(), seed=seed
            ):
                self.stderr.write(f"{experiment.name}: {made:,} of {share:,} runs ...")
            self.stdout.write(
                f"{experiment.name} has {share:,} runs: /experiments/{experiment.pk}/"
            )
        if connection.vendor == "postgresql":
            # What the planner knows of a table that was just filled is that it is empty.
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")


def person(username: str) -> User:
    """Someone who owns runs of the demo, made if need be."""
    found = User.objects.filter(username=username).first()
    return found or User.objects.create_user(username, is_active=False)


def free_name() -> str:
    """The first of sweep-1, sweep-2, … that no experiment has."""
    taken = set(Experiment.objects.filter(name__startswith="sweep-").values_list("name", flat=True))
    return next(name for n in range(1, len(taken) + 2) if (name := f"sweep-{n}") not in taken)

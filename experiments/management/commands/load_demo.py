"""Load the demo: real runs of client/examples/digits.py, as a server recorded them."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from experiments import appending, recording
from experiments.models import Experiment, Run
from experiments.refusals import Conflict
from experiments.storing import Columns, milliseconds

RECORDING = Path(__file__).resolve().parent.parent.parent / "demo" / "digits.json.gz"
DESCRIPTION = """Small networks on scikit-learn's handwritten digits, over a grid of learning rate,
width and optimizer, with a learning rate range test and a run that failed.

These are real runs of `client/examples/digits.py`, moved to just before the demo was loaded."""
# How long before now the last run ended.
ENDED_AGO = timedelta(minutes=1)


class Command(BaseCommand):
    """Load the demo as the first admin's experiment; what is there already stays as it is."""

    help = "Load the demo runs into the first admin's experiment. A second call adds nothing."

    def handle(self, *args: object, **options: object) -> None:
        admin = User.objects.filter(role=User.Role.ADMIN, is_active=True).order_by("pk").first()
        if admin is None:
            raise CommandError("The demo belongs to an admin, and there is none yet.")
        try:
            added = load_demo(admin, timezone.now())
        except Conflict as conflict:
            raise CommandError(f"The demo cannot be loaded: {conflict.message}") from conflict
        self.stdout.write(f"{added} demo runs loaded." if added else "The demo is there already.")


def load_demo(user: User, now: datetime) -> int:
    """Store those recorded runs that are not known yet, in the trash or out of it, all or none;
    how many. All are moved in time together, so that the last one ended a minute before `now`;
    what lies between them, and how long they took, stays."""
    recorded = json.loads(gzip.decompress(RECORDING.read_bytes()))
    end = max(run["start"] + run["duration"] for run in recorded["runs"])
    origin = now - ENDED_AGO - timedelta(milliseconds=end)
    known = set(
        Run.objects.filter(pk__in=[run["id"] for run in recorded["runs"]]).values_list(
            "pk", flat=True
        )
    )
    missing = [run for run in recorded["runs"] if uuid.UUID(run["id"]) not in known]
    if missing:
        with transaction.atomic():
            experiment = own_experiment(user, recorded["experiment"])
            for run in missing:
                load_run(user, experiment, run, origin + timedelta(milliseconds=run["start"]))
    return len(missing)


def own_experiment(user: User, name: str) -> Experiment:
    """The user's own experiment of that name, made if need be; Conflict when it is another's."""
    own = Experiment.objects.alive().filter(owner=user, name=name).first()
    return own or recording.create_experiment(user=user, name=name, description=DESCRIPTION)


def load_run(user: User, experiment: Experiment, recorded: dict, started_at: datetime) -> None:
    """Store one recorded run as if it had been logged from `started_at` on."""
    run, _ = recording.start_run(
        user=user,
        experiment=str(experiment.pk),
        id=uuid.UUID(recorded["id"]),
        name=recorded["name"],
        params=recorded["params"],
        tags=recorded["tags"],
        environment=recorded["environment"],
        notes=recorded.get("notes", ""),
        started_at=started_at,
    )
    start = milliseconds(started_at)
    metrics = {
        name: Columns(
            values=np.array([float(value) for value in columns["values"]]),  # "NaN" too
            steps=np.array(columns["steps"], dtype=np.int64),
            times=np.array(columns["times"], dtype=np.int64) + start,
        )
        for name, columns in recorded["metrics"].items()
    }
    appending.append(user=user, run_id=run.pk, metrics=metrics)
    recording.finish_run(
        run=run,
        status=recorded["status"],
        error=recorded.get("error", ""),
        ended_at=started_at + timedelta(milliseconds=recorded["duration"]),
    )

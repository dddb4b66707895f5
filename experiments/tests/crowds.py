"""Many runs at once, for tests and measurements: believable, consistent, and quick to make.

Rows go in by bulk_create, past `recording`: a thousand runs with 6 params and 6 metrics take
about two seconds. Summaries are true to their points, so `manage.py verify` finds nothing.
"""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import datetime, timedelta

import numpy as np
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from experiments import series, summaries
from experiments.models import Experiment, Metric, Param, Run, Tag, Tail
from experiments.series import Points
from experiments.summaries import Summary
from experiments.values import param_value, readable_name

OPTIMIZERS = ("adam", "sgd", "lion", "adamw")
METRICS = ("train/loss", "val/loss", "val/accuracy", "train/accuracy", "lr", "grad/norm")
POINTS = 40
ROWS_AT_ONCE = 2_000
SHAPES = 16


def crowd(
    experiment: Experiment,
    owner: User,
    runs: int,
    *,
    metrics: tuple[str, ...] = METRICS,
    now: datetime | None = None,
    seed: int = 1,
) -> list[Run]:
    """So many runs of one experiment, the newest last, five minutes apart; each with params,
    a tag now and then, and metrics of 40 points."""
    chance = random.Random(seed)
    now = now or timezone.now()
    made = [one_run(experiment, owner, now - timedelta(minutes=5 * n), chance) for n in range(runs)]
    made.reverse()
    Run.objects.bulk_create(made, batch_size=ROWS_AT_ONCE)
    Param.objects.bulk_create(
        [param for run in made for param in params_of(run, chance)], batch_size=ROWS_AT_ONCE
    )
    Tag.objects.bulk_create(
        [tag_of(run) for run in made if chance.random() < 0.3], batch_size=ROWS_AT_ONCE
    )
    add_metrics(made, metrics, seed)
    Experiment.objects.filter(pk=experiment.pk).update(last_run_at=now if made else None)
    return made


def one_run(experiment: Experiment, owner: User, started: datetime, chance: random.Random) -> Run:
    status = chance.choices(("finished", "failed", "killed"), (88, 8, 4))[0]
    return Run(
        id=uuid7(),
        experiment=experiment,
        owner=owner,
        name=readable_name(),
        status=status,
        created_at=started,
        started_at=started,
        last_seen_at=started,
        ended_at=started + timedelta(seconds=chance.lognormvariate(6, 1)),
        error="RuntimeError: loss is not finite at step 1320" if status == "failed" else "",
    )


def params_of(run: Run, chance: random.Random) -> list[Param]:
    """What a sweep sets: four that differ, two that do not."""
    values = {
        "lr": chance.choice((0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)),
        "optimizer": chance.choice(OPTIMIZERS),
        "batch_size": chance.choice((32, 64, 128, 256)),
        "seed": chance.randrange(1000),
        "epochs": 40,
        "dataset": "digits",
    }
    return [param(run, name, value) for name, value in values.items()]


def param(run: Run, name: str, value: object) -> Param:
    """One param, not saved."""
    stored = param_value(value)
    return Param(
        run=run,
        experiment_id=run.experiment_id,
        name=name,
        value=stored.value,
        kind=stored.kind,
        text=stored.text,
        text_head=stored.text_head,
        number=stored.number,
    )


def tag_of(run: Run) -> Tag:
    return Tag(
        run=run, experiment_id=run.experiment_id, name="stage", text="sweep", text_head="sweep"
    )


def add_metrics(runs: list[Run], names: tuple[str, ...], seed: int = 1) -> None:
    """These metrics to each of the runs, a few shapes of curve for all of them."""
    shapes = {name: [curve(name, seed + n) for n in range(SHAPES)] for name in names}
    rows, tails = [], []
    for number, run in enumerate(runs):
        for name in names:
            summary, data = shapes[name][(number * 7 + len(name)) % SHAPES]
            metric = Metric(
                id=uuid7(), run=run, experiment_id=run.experiment_id, name=name, **summary
            )
            rows.append(metric)
            tails.append(Tail(metric=metric, position=0, data=data))
    Metric.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
    Tail.objects.bulk_create(tails, batch_size=ROWS_AT_ONCE)


def curve(name: str, seed: int) -> tuple[dict, bytes]:
    """Summary and packed points of one curve that falls or rises as its name lets expect."""
    chance = np.random.default_rng([seed, len(name)])
    steps = np.arange(POINTS)
    falling = np.exp(-steps / chance.uniform(6, 20)) * chance.uniform(1.5, 3)
    noise = chance.normal(0, 0.02, POINTS)
    values = falling + 0.1 + noise if "loss" in name else 1 - falling / 3.2 - 0.02 + noise
    points = Points.of(values=values, steps=steps, times=1_700_000_000_000 + steps * 1000)
    summary: Summary = summaries.extend(None, points)
    return asdict(summary), series.pack(points)

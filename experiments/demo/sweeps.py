"""Sweeps by the thousand: believable runs with params, tags and short curves, for looking at and
for measuring. What a run scores follows from its params, so the data answers questions.

Rows go in past `recording`, by `insert_rows`; summaries are true to their points, so that
`manage.py verify` finds nothing.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import numpy as np
from django.db import transaction
from uuid_utils.compat import uuid7

from accounts.models import User
from experiments import series, summaries
from experiments.models import Environment, Experiment, Metric, Param, Run, Tag, Tail
from experiments.series import Points
from experiments.summaries import Summary
from experiments.values import ADJECTIVES, NOUNS, ParamValue, param_value
from exptrack.databases import insert_rows

RUNS_AT_ONCE = 1_000
DAYS = 90  # from the first run's start until now
MOST_POINTS = series.TAIL_POINTS - 1
# The last runs are not over yet.
LATEST = ("queued", "queued", "running", "running", "running", "lost", "running", "lost")

CHOICES = {
    "model": ("resnet18", "resnet50", "vit-s", "mlp"),
    "optimizer": ("adam", "adamw", "sgd", "lion"),
    "lr": (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001),
    "batch_size": (32, 64, 128, 256, 512),
    "weight_decay": (0, 1e-5, 1e-4, 1e-3),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.5),
    "width": (64, 128, 256, 512),
    "depth": (2, 4, 8, 12),
    "scheduler": ("cosine", "linear", "constant"),
    "warmup_steps": (0, 100, 500, 1000),
    "label_smoothing": (0.0, 0.05, 0.1),
    "grad_clip": (None, 1, 5),
    "augment": (True, False),
    "activation": ("relu", "gelu", "silu"),
    "precision": ("bf16", "fp32"),
    "betas": ([0.9, 0.999], [0.9, 0.95]),
    "seed": tuple(range(1000)),
}
BEST_LR = {"adam": 0.001, "adamw": 0.001, "sgd": 0.1, "lion": 0.0003}
METRICS = (
    "train/loss", "val/loss", "train/accuracy", "val/accuracy", "test/accuracy", "lr",
    "grad/norm", "epoch", "images_per_second", "system/gpu_memory_gb",
)  # fmt: skip
STAGES = ("sweep", "warm-up", "final", "ablation")
ERRORS = (
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB",
    "RuntimeError: loss is not finite",
    "FileNotFoundError: [Errno 2] No such file or directory: 'data/cifar10/train.bin'",
)
NOTE = "Best of its sweep so far. **Repeat** with three more seeds before it goes into the table."
COLUMNS = {
    Run: "id experiment_id name owner_id status parent_id created_at started_at ended_at "
    "last_seen_at has_beaten stop_requested revision notes error trashed_at",
    Param: "id run_id experiment_id name value kind text text_head number",
    Tag: "id run_id experiment_id name text text_head",
    Environment: "run_id data",
    Metric: "id run_id experiment_id name " + " ".join(column.name for column in fields(Summary)),
    Tail: "metric_id position small_chunks data",
}


@dataclass(slots=True)
class Sketch:
    """A run before it is stored; `seconds` from start to its last point."""

    id: UUID
    name: str
    owner: User
    status: str
    parent: UUID | None
    start: datetime
    seconds: float
    params: dict
    score: float
    diverges: bool


def fill(
    experiment: Experiment,
    owners: Sequence[User],
    runs: int,
    *,
    points: int,
    now: datetime,
    seed: int = 1,
) -> Iterator[int]:
    """Store so many runs in an experiment, in blocks of 1,000, each in a transaction of its own;
    tells how many there are after each. A series has up to `points` points, at most 63."""
    chance = random.Random(seed)
    numbers = np.random.default_rng(seed)
    for first in range(0, runs, RUNS_AT_ONCE):
        stop = min(first + RUNS_AT_ONCE, runs)
        sketches = sketched(range(first, stop), runs, owners, now, chance)
        with transaction.atomic():
            store(experiment, sketches, points, now, chance, numbers)
            begun = [sketch.start for sketch in sketches if sketch.status != "queued"]
            if begun:
                Experiment.objects.filter(pk=experiment.pk).update(last_run_at=begun[-1])
        yield stop


def sketched(
    indexes: range, runs: int, owners: Sequence[User], now: datetime, chance: random.Random
) -> list[Sketch]:
    """The runs of these numbers, the newest last. One in fifty is the parent of the next four."""
    sketches: list[Sketch] = []
    for index in indexes:
        age = timedelta(days=DAYS) * ((runs - index - chance.random() * 0.9) / runs)
        start = now - age - timedelta(seconds=20)
        from_end = runs - 1 - index
        if from_end < len(LATEST):
            status = LATEST[from_end]
        else:
            status = chance.choices(("finished", "failed", "killed"), (88, 8, 4))[0]
        place = index % 50
        parent = sketches[-place].id if 0 < place < 5 and len(sketches) >= place else None
        sketches.append(sketch(status, parent, start, owners, chance))
    return sketches


def sketch(
    status: str, parent: UUID | None, start: datetime, owners: Sequence[User], chance: random.Random
) -> Sketch:
    """One run: its params drawn, and its score worked out from them."""
    params = {name: chance.choice(values) for name, values in CHOICES.items()}
    params |= {"epochs": 40, "dataset": "cifar10"}
    params["config"] = f"configs/cifar10/{params['model']}.yaml"
    off = math.log10(params["lr"] / BEST_LR[params["optimizer"]])
    fit = {"resnet50": 0.95, "resnet18": 0.935, "vit-s": 0.925, "mlp": 0.71}[params["model"]]
    score = fit - 0.035 * off**2 - 0.06 * abs(params["dropout"] - 0.1)
    score += 0.012 * params["augment"] + chance.gauss(0, 0.006)
    words = chance.choice(ADJECTIVES), chance.choice(NOUNS), str(chance.randint(100, 999))
    return Sketch(
        id=uuid7(nanoseconds=int(start.timestamp() * 1e6) * 1000),
        name="-".join((params["model"], *words)),
        owner=chance.choice(owners),
        status=status,
        parent=parent,
        start=start,
        seconds=chance.lognormvariate(7, 0.8),
        params=params,
        score=min(max(score, 0.1), 0.99),
        diverges=off > 1.4 and chance.random() < 0.7,
    )


def store(
    experiment: Experiment,
    sketches: list[Sketch],
    points: int,
    now: datetime,
    chance: random.Random,
    numbers: np.random.Generator,
) -> None:
    """Write these runs with all that belongs to them, a table at a time."""
    metrics, tails = [], []
    for sketch_of, name, curve in curves(sketches, points, now, numbers):
        pk = uuid7()
        summary = astuple(summaries.extend(None, curve))
        metrics.append((pk, sketch_of.id, experiment.pk, name, *summary))
        tails.append((pk, 0, 0, series.pack(curve)))
    rows = {
        Run: (run_row(experiment, each, now, chance) for each in sketches),
        Param: (row for each in sketches for row in param_rows(experiment, each)),
        Tag: (row for each in sketches for row in tag_rows(experiment, each, chance)),
        Environment: ((each.id, environment(each)) for each in sketches),
        Metric: metrics,
        Tail: tails,
    }
    for model, of_model in rows.items():
        insert_rows(model, COLUMNS[model].split(), of_model)


def run_row(experiment: Experiment, run: Sketch, now: datetime, chance: random.Random) -> tuple:
    """The row of `Run`. A lost one beat and fell silent; a running one is no script, so it must
    not be expected to beat."""
    end = min(run.start + timedelta(seconds=run.seconds), now)
    ended = run.status in ("finished", "failed", "killed")
    stored = "running" if run.status == "lost" else run.status
    seen = now if run.status == "running" else end
    started = None if run.status == "queued" else run.start
    note = NOTE if run.status == "finished" and chance.random() < 0.01 else ""
    error = chance.choice(ERRORS) if run.status == "failed" else ""
    if run.status == "lost":
        seen = min(end, now - timedelta(minutes=9))
    return (
        *(run.id, experiment.pk, run.name, run.owner.pk, stored, run.parent),
        *(run.start, started, end if ended else None, seen, run.status == "lost", False),
        *(1, note, error, None),
    )


@cache
def stored_value(text: str) -> tuple[str, ParamValue]:
    """A param's value, given as JSON, with its stored form: there are few, and many rows."""
    return text, param_value(json.loads(text))


def param_rows(experiment: Experiment, run: Sketch) -> Iterator[tuple]:
    """A row of `Param` for each."""
    for name, value in run.params.items():
        text, param = stored_value(json.dumps(value))
        found = param.kind, param.text, param.text_head, param.number
        yield uuid7(), run.id, experiment.pk, name, text, *found


def tag_rows(experiment: Experiment, run: Sketch, chance: random.Random) -> Iterator[tuple]:
    """Rows of `Tag`: most runs have a stage, one in twenty a bare label."""
    tags = {"stage": chance.choice(STAGES)} if chance.random() < 0.8 else {}
    if chance.random() < 0.05:
        tags["debug"] = ""
    for name, text in tags.items():
        yield uuid7(), run.id, experiment.pk, name, text, text


def environment(run: Sketch) -> str:
    """Where it ran, as JSON."""
    commit = f"{run.start.toordinal() * 2654435761 % 2**32:08x}"
    return json.dumps(
        {
            "git": {"commit": commit * 5, "branch": "main"},
            "command": f"python train.py --config {run.params['config']}",
            "host": f"node-{int(run.seconds) % 8}",
            "python": "3.12.4",
        }
    )


def curves(
    sketches: list[Sketch], points: int, now: datetime, numbers: np.random.Generator
) -> Iterator[tuple[Sketch, str, Points]]:
    """Every series of these runs. Failed and killed ones end early, running ones are on their
    way, queued ones have none."""
    steps = np.arange(1, points + 1, dtype=np.int64) * 100
    for run in sketches:
        count = 0 if run.status == "queued" else points
        if run.status not in ("finished", "queued"):
            count = int(numbers.integers(1, points + 1))
        seconds = min(run.seconds, (now - run.start).total_seconds())
        start = int(run.start.timestamp() * 1000)
        times = start + (np.arange(1, points + 1) / points * seconds * 1000).astype(np.int64)
        for name, values in values_of(run, points, numbers).items():
            kept = slice(count - 1, count) if name == "test/accuracy" else slice(0, count)
            if count and (name != "test/accuracy" or run.status == "finished"):
                yield run, name, Points(steps[kept], times[kept], values[kept])


def values_of(run: Sketch, points: int, numbers: np.random.Generator) -> dict[str, np.ndarray]:
    """What a run logs, by metric, as if it had gone on to the end."""
    progress = np.arange(1, points + 1) / points
    speed = 4 + 3 * numbers.random()
    noise = numbers.normal(0, 1, (5, points))
    left = np.exp(-speed * progress)
    error = 1 - run.score
    loss = (0.15 + 1.6 * error + 2.1 * left) * (1 + 0.02 * noise[0])
    accuracy = np.clip(run.score - 0.8 * run.score * left + 0.004 * noise[1], 0, 1)
    if run.diverges:
        at = int(numbers.integers(points))
        loss[at:] = np.nan
        accuracy[at:] = 0.1
    memory = 2 + run.params["width"] / 64 + run.params["batch_size"] / 64
    found = (
        loss, loss * (1.05 + 0.3 * error) + 0.01 * noise[2],
        np.clip(accuracy + 0.02, 0, 1), accuracy, np.clip(accuracy - 0.004, 0, 1),
        run.params["lr"] * (0.5 + 0.5 * np.cos(np.pi * progress)),
        np.abs(1.2 * left + 0.3 + 0.05 * noise[3]), progress * 40,
        3000 + 40 * noise[4], np.full(points, memory),
    )  # fmt: skip
    return dict(zip(METRICS, found, strict=True))

"""Which runs a query means, on the database in use, beside `meaning`."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import asdict
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import User
from experiments import search, summaries
from experiments.matching import matching
from experiments.models import Experiment, Metric, Param, Run, Tag
from experiments.series import Points
from experiments.tests.crowds import param
from experiments.tests.meaning import NOW, QUERIES, Drawn, drawn_runs, meets

pytestmark = pytest.mark.django_db


@pytest.fixture
def experiment(alice, bob) -> Experiment:
    return Experiment.objects.create(name="e", owner=alice)


def stored(experiment: Experiment, drawn: list[Drawn]) -> dict[UUID, Drawn]:
    """Runs as drawn, past `recording`, which would put its own times; by their ids."""
    owners = {user.username: user for user in User.objects.all()}
    runs = [run_of(experiment, owners[each.owner], each) for each in drawn]
    both = list(zip(runs, drawn, strict=True))
    Run.objects.bulk_create(runs)
    Run.objects.filter(pk__in=[run.pk for run, each in both if each.has_parent]).update(
        parent=runs[0]
    )
    Param.objects.bulk_create(
        param(run, name, value) for run, each in both for name, value in each.params.items()
    )
    Tag.objects.bulk_create(
        Tag(run=run, experiment=experiment, name=name, text=text, text_head=text[:200])
        for run, each in both
        for name, text in each.tags.items()
    )
    Metric.objects.bulk_create(
        Metric(run=run, experiment=experiment, name=name, **summary_of(points))
        for run, each in both
        for name, points in each.metrics.items()
    )
    return {run.pk: each for run, each in both}


def run_of(experiment: Experiment, owner: User, drawn: Drawn) -> Run:
    return Run(
        experiment=experiment,
        owner=owner,
        name=drawn.name,
        notes=drawn.notes,
        status="running" if drawn.status == "lost" else drawn.status,
        has_beaten=drawn.status == "lost",
        last_seen_at=drawn.seen,
        started_at=drawn.started,
        ended_at=drawn.ended,
    )


def summary_of(points: list[tuple[int, float]]) -> dict:
    steps, values = zip(*points, strict=True)
    return asdict(
        summaries.extend(None, Points.of(steps=steps, values=values, times=range(len(points))))
    )


# A fault names its query; to look for a smaller set of runs takes minutes.
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**32), st.lists(QUERIES, min_size=10, max_size=20))
def test_a_query_finds_the_runs_it_means_and_no_other(experiment, seed, queries):
    with transaction.atomic():
        runs = stored(experiment, drawn_runs(random.Random(seed)))
        for asked in queries:
            found = matching(Run.objects.inside(experiment), search.parse(asked.text), NOW)
            names = Counter(runs[pk].name for pk in found.values_list("pk", flat=True))
            meant = Counter(each.name for each in runs.values() if meets(each, asked))
            assert names == meant, asked.text
        transaction.set_rollback(True)

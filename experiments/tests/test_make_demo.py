"""manage.py make_demo"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Avg, Count
from django.utils import timezone

from accounts.models import User
from experiments.models import Experiment, Metric, Param, Run, Tail
from exptrack.tests.statements import cost

pytestmark = pytest.mark.django_db


def test_it_makes_an_experiment_of_believable_runs(ada, capsys):
    call_command("make_demo", runs=300)

    experiment = Experiment.objects.get()
    assert (experiment.name, experiment.owner) == ("sweep-1", ada)
    assert f"/experiments/{experiment.pk}/" in capsys.readouterr().out
    runs = Run.objects.all()
    assert runs.count() == 300
    assert {run.shown_status for run in runs} == {
        *("queued", "running", "lost", "finished", "failed", "killed")
    }
    assert runs.filter(parent__isnull=False).exists()
    assert Param.objects.count() == 300 * 20
    assert Metric.objects.filter(nan_count__gt=0).exists()
    finished = Run.objects.filter(status="finished", metrics__name="val/accuracy")
    by_lr = dict(
        finished.filter(params__name="lr", params__number__in=[0.0003, 0.3])
        .values_list("params__number")
        .annotate(Avg("metrics__max"))
    )
    assert by_lr[0.0003] > by_lr[0.3] + 0.05


def test_summaries_agree_with_the_points(ada):
    call_command("make_demo", runs=40, points=63)
    call_command("verify")
    assert max(len(tail.data) for tail in Tail.objects.all()) == 63 * 24


def test_ids_are_as_old_as_the_runs_and_the_last_one_to_start_is_recent(ada):
    call_command("make_demo", runs=60)
    runs = list(Run.objects.order_by("created_at"))
    assert runs == sorted(runs, key=lambda run: run.pk)
    latest = Experiment.objects.get().last_run_at
    assert latest == max(run.started_at for run in runs if run.started_at)
    assert timezone.now() - timedelta(days=5) < latest < timezone.now()


def test_each_call_adds_experiments_and_shares_the_runs_out(ada):
    call_command("make_demo", runs=5, experiments=2)
    call_command("make_demo", runs=1)
    shares = Experiment.objects.order_by("name").annotate(Count("runs"))
    assert list(shares.values_list("name", "runs__count")) == [
        ("sweep-1", 3),
        ("sweep-2", 2),
        ("sweep-3", 1),
    ]


def test_the_made_up_people_cannot_sign_in(ada):
    call_command("make_demo", runs=40)
    people = User.objects.filter(username__startswith="demo-")
    assert people.count() == 3
    assert not any(user.is_active or user.has_usable_password() for user in people)


def test_without_an_admin_it_says_so(alice):
    with pytest.raises(CommandError, match="belongs to an admin"):
        call_command("make_demo", runs=1)
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    "options",
    [{"runs": 0}, {"runs": 2_000_000}, {"runs": 1, "experiments": 2}, {"points": 64}],
)
def test_too_much_and_too_little_are_refused(ada, options):
    with pytest.raises(CommandError):
        call_command("make_demo", **options)
    assert not Experiment.objects.exists()


def test_a_thousand_runs_cost_as_few_statements_as_ten(ada):
    few = cost(call_command, "make_demo", runs=10)
    assert cost(call_command, "make_demo", runs=500) <= few

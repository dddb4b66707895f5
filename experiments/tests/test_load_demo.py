"""manage.py load_demo"""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Max
from django.utils import timezone

from experiments import reading, recording
from experiments.management.commands.load_demo import RECORDING
from experiments.models import Experiment, Metric, Run

pytestmark = pytest.mark.django_db


def test_the_demo_is_the_first_admins_experiment_with_real_runs_of_every_kind(ada, alice, capsys):
    call_command("load_demo")

    experiment = Experiment.objects.get()
    assert (experiment.name, experiment.owner) == ("digits", ada)
    assert "26 demo runs loaded." in capsys.readouterr().out
    assert {run.status for run in Run.objects.all()} == {"finished", "failed"}
    assert "is larger than the 1347 training images" in Run.objects.get(status="failed").error
    assert Metric.objects.filter(nan_count__gt=0, count__gt=F("nan_count")).exists()
    accuracies = Metric.objects.filter(name="val/accuracy").values_list("last", flat=True)
    assert 0.95 < max(accuracies) < 1
    assert all(run.environment.data["git"]["commit"] for run in Run.objects.all())


def test_the_last_run_ended_a_minute_ago_and_points_lie_inside_their_runs(ada):
    before = timezone.now()
    call_command("load_demo")

    last_end = Run.objects.aggregate(end=Max("ended_at"))["end"] + timedelta(seconds=60)
    assert before - timedelta(seconds=1) < last_end < timezone.now() + timedelta(seconds=1)
    for metric in Metric.objects.select_related("run"):
        start = metric.run.started_at.timestamp() * 1000
        assert start - 1 <= metric.last_time <= metric.run.ended_at.timestamp() * 1000 + 1000


def test_a_second_call_adds_nothing(ada, capsys):
    call_command("load_demo")
    before = list(Run.objects.order_by("pk").values())
    call_command("load_demo")

    assert list(Run.objects.order_by("pk").values()) == before
    assert "The demo is there already." in capsys.readouterr().out


def test_what_was_moved_to_the_trash_does_not_come_back(ada):
    call_command("load_demo")
    Run.objects.update(trashed_at=timezone.now())
    call_command("load_demo")

    assert Run.objects.count() == 26


def test_it_joins_the_admins_own_digits_and_completes_what_is_missing(ada):
    own = recording.create_experiment(user=ada, name="digits", description="mine")
    call_command("load_demo")
    recording_count = Run.objects.count()
    Run.objects.order_by("pk").first().delete()
    call_command("load_demo")

    assert Experiment.objects.get().description == "mine"
    assert Run.objects.filter(experiment=own).count() == recording_count


def test_without_an_admin_it_says_so(alice):
    with pytest.raises(CommandError, match="belongs to an admin"):
        call_command("load_demo")


def test_it_stays_out_of_an_experiment_that_is_anothers(ada, alice):
    recording.create_experiment(user=alice, name="digits")
    with pytest.raises(CommandError, match="is in use"):
        call_command("load_demo")
    assert not Run.objects.exists()


def test_the_recording_is_small_and_names_no_machine():
    assert RECORDING.stat().st_size < 1_000_000
    text = gzip.decompress(RECORDING.read_bytes()).decode()
    assert '"host":"workstation"' in text
    for word in ("/work", "/home", "/root", "/tmp", "/usr"):
        assert word not in text


def test_every_recorded_point_is_stored_to_the_bit(ada):
    call_command("load_demo")
    for recorded in json.loads(gzip.decompress(RECORDING.read_bytes()))["runs"]:
        for name, columns in recorded["metrics"].items():
            metric = Metric.objects.select_related("tail").get(run=recorded["id"], name=name)
            blocks = list(reading.blocks(metric))
            assert np.concatenate([points.steps for points in blocks]).tolist() == columns["steps"]
            stored = np.concatenate([points.values for points in blocks])
            assert list(map(repr, stored.tolist())) == [
                repr(float(value)) for value in columns["values"]
            ]

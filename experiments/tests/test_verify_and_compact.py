"""manage.py verify and manage.py compact."""

import io
import uuid

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from experiments import appending, reading, recording
from experiments.models import Chunk, Metric, Run, Tail
from experiments.storing import Columns


def called(name, *args):
    """What a command prints, to both of its outputs."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(name, *args, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), None


@pytest.fixture
def run(alice) -> Run:
    """A run of two series in many small batches."""
    run, _ = recording.start_run(user=alice, experiment="digits")
    for start in range(0, 1000, 50):
        values = np.arange(start, start + 50, dtype=float)
        metrics = {"loss": Columns(values), "accuracy": Columns(values / 1000)}
        appending.append(user=alice, run_id=run.pk, metrics=metrics)
    return run


def points_of(name):
    metric = Metric.objects.select_related("tail").get(name=name)
    return np.concatenate([block.values for block in reading.blocks(metric)])


def end(run):
    """End a run without the compaction that comes with it."""
    Run.objects.filter(pk=run.pk).update(status="finished", ended_at=run.started_at)


def test_verify_finds_every_summary_true(run):
    assert called("verify") == (
        "2 series checked; every summary agrees with its points.\n",
        "",
        None,
    )
    assert called("verify", "--run", str(run.pk), "--experiment", str(run.experiment_id))[2] is None


def test_verify_tells_what_drifted_and_fails(run):
    Metric.objects.filter(name="loss").update(max=5000.0, count=999)
    Metric.objects.filter(name="accuracy").update(sum=0.0)
    out, err, failure = called("verify")
    assert failure == "2 of 2 series differ from their points."
    assert "metric 'loss': count: the row says 999, there are 1000 points" in err
    assert "metric 'accuracy': sum: the row says 0.0" in err


def test_verify_tells_of_lost_and_damaged_points(run):
    Chunk.objects.filter(metric__name="loss", position=0).delete()
    damaged = Chunk.objects.filter(metric__name="accuracy").first()
    Chunk.objects.filter(pk=damaged.pk).update(data=bytes(damaged.data)[:-3])
    assert called("verify")[2] == "2 of 2 series differ from their points."


def test_compact_seals_ended_runs_and_changes_no_point(run):
    end(run)
    before = points_of("loss")
    small = Chunk.objects.count()
    assert small > 4
    assert called("compact")[0] == "2 series of 1 runs compacted.\n"
    assert Chunk.objects.count() == 2
    assert not Tail.objects.exclude(data=b"").exists()
    assert np.array_equal(points_of("loss"), before)
    assert called("verify")[2] is None
    assert called("compact")[0] == "0 series of 0 runs compacted.\n"


def test_compact_leaves_running_and_recent_runs_alone(run):
    chunks = Chunk.objects.count()
    assert called("compact")[0] == "0 series of 0 runs compacted.\n"
    recording.finish_run(run=run, status="finished")
    appending.append(user=run.owner, run_id=run.pk, metrics={"loss": Columns(np.ones(3))})
    assert called("compact", "--older-than", "1")[0] == "0 series of 0 runs compacted.\n"
    assert called("compact")[0] == "1 series of 1 runs compacted.\n"
    assert Chunk.objects.count() < chunks


def test_an_unknown_run_is_said(db):
    unknown = uuid.uuid4()
    assert called("verify", "--run", str(unknown))[2] == f"There is no run {unknown}."
    assert (
        called("compact", "--experiment", str(unknown))[2] == f"There is no experiment {unknown}."
    )
    assert "is no id" in called("verify", "--run", "x")[2]
    assert called("compact", "--older-than", "-1")[2] == "--older-than takes hours, 0 or more."

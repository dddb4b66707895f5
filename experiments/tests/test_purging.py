"""Deleting for good, while others write to what is deleted, or bring it back."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from experiments import curating, purging, recording
from experiments.models import Experiment, Run
from experiments.purging import Doomed

V1 = "/api/v1/"


@pytest.fixture
def runs(alice) -> list[Run]:
    """Two in one experiment."""
    return [recording.start_run(user=alice, experiment="digits")[0] for _ in range(2)]


def trash(alice, runs) -> Experiment:
    """Put their experiment into the trash."""
    experiment = Experiment.objects.get()
    curating.trash_experiment(user=alice, experiment=experiment)
    return experiment


def test_a_run_that_was_started_by_one_purged_stays_without_a_parent(alice, runs):
    parent, child = runs
    Run.objects.filter(pk=child.pk).update(parent=parent)
    curating.trash_runs(user=alice, runs=[parent])
    assert purging.purge_runs(ids=[parent.pk]) == 1
    assert Run.objects.get().parent_id is None


# --- Brought back -----------------------------------------------------------------------------


def test_a_run_brought_back_before_its_turn_is_spared(alice, runs):
    curating.trash_runs(user=alice, runs=runs)
    curating.restore_run(run=Run.objects.get(pk=runs[0].pk))
    assert purging.purge_runs(ids=[run.pk for run in runs]) == 1
    assert list(Run.objects.all()) == [runs[0]]


def test_an_experiment_brought_back_before_its_turn_is_spared_with_its_runs(alice, runs):
    trashed = trash(alice, runs)
    curating.restore_experiment(user=alice, experiment=Experiment.objects.get())
    assert purging.purge_runs(ids=[run.pk for run in runs]) == 0
    assert purging.purge_experiment(experiment=trashed) == 0
    assert Run.objects.count() == 2


def test_of_an_experiment_brought_back_meanwhile_the_rest_is_spared(alice, runs, monkeypatch):
    trashed = trash(alice, runs)
    monkeypatch.setattr(purging, "RUNS_PURGED_AT_ONCE", 1)

    def brought_back(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith('DELETE FROM "experiments_run"'):  # the last of the first run
            Experiment.objects.update(trashed_at=None)
        return result

    with connection.execute_wrapper(brought_back):
        assert purging.purge_some(Doomed(before=timezone.now(), experiment=trashed.pk)) == 1
    assert Run.objects.count() == 1
    assert Experiment.objects.get().trashed_at is None


# --- Written to -------------------------------------------------------------------------------


def purged_before(start: str, experiment: Experiment):
    """Purge an experiment at the very moment before a statement that begins so."""
    done = []

    def purge(execute, sql, params, many, context):
        if start in sql and not done:
            done.append(True)
            rows = Experiment.objects.filter(pk=experiment.pk)
            rows._raw_delete(rows.db)
        return execute(sql, params, many, context)

    return connection.execute_wrapper(purge)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_starts_in_what_is_purged_at_that_moment_is_a_404(api, alice):
    experiment = recording.create_experiment(user=alice, name="digits")
    with purged_before("INSERT INTO experiments_run (", experiment):
        answer = api(alice).post(f"{V1}runs/", {"experiment": "digits", "params": {"lr": 0.1}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert Run.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_run_that_moves_into_what_is_purged_at_that_moment_stays_and_is_a_404(api, alice, runs):
    other = recording.create_experiment(user=alice, name="other")
    with purged_before('UPDATE "experiments_run"', other):
        where = f"{V1}runs/{runs[0].pk}/"
        answer = api(alice).patch(where, {"experiment": "other"}, "application/json")
    assert answer.status_code == 404
    assert Run.objects.get(pk=runs[0].pk).experiment_id == runs[0].experiment_id


@pytest.mark.django_db(transaction=True)
def test_what_is_shared_as_it_is_purged_is_a_404(api, alice, bob):
    experiment = recording.create_experiment(user=alice, name="digits")
    where = f"{V1}experiments/{experiment.pk}/collaborators/"
    with purged_before('INSERT INTO "experiments_collaborator"', experiment):
        assert api(alice).post(where, {"user": "bob"}).status_code == 404

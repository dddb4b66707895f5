"""A batch stored in one statement from what this process remembers of its run, and everything
that makes it look again. On PostgreSQL only."""

import copy
import uuid

import numpy as np
import pytest
from django.db import connection

from accounts.models import Token
from experiments import appending, curating, purging, recording, upkeep
from experiments.models import Experiment, Metric, Run
from experiments.remembering import MOST_REMEMBERED, Known, Memory, memory
from experiments.storing import Columns, OpenSeries
from experiments.tests.holding import stored
from experiments.tests.shutting import shutting
from exptrack.tests.statements import cost

pytestmark = pytest.mark.only_on("postgresql")


@pytest.fixture
def script(transactional_db, api, alice):
    return api(alice)


@pytest.fixture
def run(script) -> Run:
    answer = script.post("/api/v1/runs/", {"experiment": "remembered"})
    return Run.objects.get(pk=answer.json()["id"])


def log(script, run, *values, seq=None, names=("loss",), **extra):
    body = {"metrics": {name: {"values": list(values)} for name in names}, **extra}
    if seq:
        body |= {"writer": "w", "seq": seq}
    return script.post(f"/api/v1/runs/{run.pk}/log/", body)


def out_of_date(run, change):
    """Do `change`, and remember of the run what was known before it, as another process would."""
    known = memory.take(run.pk)
    before = copy.deepcopy(known)
    memory.keep(known)
    change()
    memory.take(run.pk)
    memory.keep(before)


def test_each_further_batch_is_one_statement_whatever_its_names(script, run):
    assert cost(log, script, run, 1.0, seq=1) == 1
    assert cost(log, script, run, 2.0, seq=2) == 1
    assert cost(log, script, run, *range(100), seq=3, names="abcdefgh") == 1
    assert cost(log, script, run, 3.0, names=["loss", "a"]) == 1
    assert stored(run)["loss"] == [1.0, 2.0, 3.0]
    assert stored(run)["a"] == [*range(100), 3.0]


def test_a_run_found_at_work_is_remembered_once_nobody_else_writes_to_it(script, run):
    log(script, run, 1.0, seq=1)
    memory.take(run.pk)
    costs = [cost(log, script, run, float(seq), seq=seq) for seq in range(2, 6)]
    assert costs == [3, 3, 1, 1]  # look the token up, read, write
    assert stored(run) == {"loss": [1.0, 2.0, 3.0, 4.0, 5.0]}


def test_what_another_process_stored_meanwhile_is_not_overwritten(script, run):
    log(script, run, 1.0, seq=1)
    out_of_date(run, lambda: log(script, run, *range(70), seq=2))
    log(script, run, 2.0, seq=3)
    assert stored(run) == {"loss": [1.0, *range(70), 2.0]}


def test_a_series_that_another_process_began_is_not_begun_again(script, run):
    log(script, run, 1.0, seq=1)
    out_of_date(run, lambda: log(script, run, 5.0, names=["new"]))
    log(script, run, 6.0, names=["new"])
    assert stored(run) == {"loss": [1.0], "new": [5.0, 6.0]}


def test_a_compaction_meanwhile_doubles_and_loses_nothing(script, run):
    log(script, run, *range(40), seq=1)
    out_of_date(run, lambda: upkeep.compact_run(run=run))
    log(script, run, 40.0, seq=2)
    assert stored(run) == {"loss": [float(n) for n in range(41)]}


def test_repeats_and_gaps_are_told_as_ever(script, run):
    log(script, run, 1.0, seq=1)
    log(script, run, 2.0, seq=2)
    assert log(script, run, 1.0, seq=1).json()["duplicate"]
    assert log(script, run, 2.0, seq=2).json()["duplicate"]
    assert log(script, run, 9.0, seq=2).status_code == 422
    assert log(script, run, 9.0, seq=4).json()["error"]["details"] == {"expected": 3}
    assert log(script, run, 3.0, seq=3).status_code == 200
    assert stored(run) == {"loss": [1.0, 2.0, 3.0]}


def test_a_repeat_of_what_another_process_stored_adds_nothing(script, run):
    log(script, run, 1.0, seq=1)
    out_of_date(run, lambda: log(script, run, 2.0, seq=2))
    assert log(script, run, 2.0, seq=2).json()["duplicate"]
    assert stored(run) == {"loss": [1.0, 2.0]}


@shutting(bound=404)
def test_what_a_token_no_longer_opens_is_shut_at_once(script, run, change, status):
    log(script, run, 1.0, seq=1)
    assert cost(log, script, run, 2.0, seq=2) == 1
    change()
    assert log(script, run, 3.0, seq=3).status_code == status
    assert stored(run) == {"loss": [1.0, 2.0]}


def test_of_a_bad_body_nothing_is_told_to_a_token_just_revoked(script, run):
    log(script, run, 1.0)
    assert log(script, run, "nonsense").status_code == 400
    Token.objects.all().revoke()
    assert log(script, run, "nonsense").status_code == 401


def test_an_experiment_that_became_anothers_private_one_is_shut_at_once(script, run, bob):
    log(script, run, 1.0)
    Experiment.objects.update(owner=bob, visibility="private")
    assert log(script, run, 2.0).status_code == 404
    assert stored(run) == {"loss": [1.0]}


def test_points_follow_a_run_into_another_experiment(script, run, alice):
    log(script, run, 1.0)
    other = recording.create_experiment(user=alice, name="other")
    curating.update_run(run=run, experiment=other)
    log(script, run, 2.0, names=["loss", "new"])
    assert set(Metric.objects.values_list("experiment", flat=True)) == {other.pk}


def test_a_run_made_anew_under_its_old_id_begins_anew(script, run):
    log(script, run, 1.0)

    def again():
        curating.trash_runs(user=run.owner, runs=[run])
        purging.purge_runs(ids=[run.pk])
        script.post("/api/v1/runs/", {"experiment": "remembered", "id": str(run.pk)})
        log(script, run, 7.0)

    out_of_date(run, again)
    log(script, run, 8.0)
    assert stored(run) == {"loss": [7.0, 8.0]}


def test_of_an_earlier_run_of_the_same_id_nothing_is_known(script, run):
    log(script, run, 1.0, names=["loss", "acc"])
    memory.take(run.pk)  # what is found at work is never known whole
    for value in (2.0, 3.0):
        log(script, run, value, names=["loss", "acc"])

    def again():
        curating.trash_runs(user=run.owner, runs=[run])
        purging.purge_runs(ids=[run.pk])
        script.post("/api/v1/runs/", {"experiment": "remembered", "id": str(run.pk)})
        for value in (7.0, 8.0, 9.0):
            log(script, run, value)

    out_of_date(run, again)  # and the new one stands at the revision that is remembered
    log(script, run, 10.0, names=["new"])
    assert log(script, run, 11.0, names=["acc"]).status_code == 200
    assert stored(run) == {"loss": [7.0, 8.0, 9.0], "new": [10.0], "acc": [11.0]}


def test_memory_is_bounded_and_forgets_the_least_recent():
    some, first, last = Memory(), Run(id=uuid.uuid4()), Run(id=uuid.uuid4())
    series = {str(number): OpenSeries(number, str(number)) for number in range(100)}
    some.keep(Known(first, series))
    for _ in range(MOST_REMEMBERED // 50):
        some.keep(Known(Run(id=uuid.uuid4()), series))
    some.keep(Known(last, series))
    assert some.take(first.pk) is None
    assert some.take(last.pk).series == series
    assert some.take(last.pk) is None
    kept = sum(1 + len(known.series) for known in some._known.values())
    assert kept == some._size <= MOST_REMEMBERED


def test_a_new_connection_may_be_to_a_restored_backup_so_nothing_is_remembered(script, run):
    log(script, run, 1.0)
    connection.close()
    assert cost(log, script, run, 2.0) == 3
    assert stored(run) == {"loss": [1.0, 2.0]}


def test_a_run_of_very_many_series_is_not_kept_whole():
    some, run = Memory(), Run(id=uuid.uuid4(), revision=3)
    some.keep(Known(run, {str(n): OpenSeries(n, str(n)) for n in range(1_000)}, whole=True))
    known = some.take(run.pk)
    assert (known.series, known.whole, known.alone) == ({}, False, True)


def test_what_else_in_this_process_writes_to_the_run_is_seen(script, run, alice):
    batch = {"loss": Columns(np.array([1.0]))}
    appending.append(user=alice, run_id=run.pk, metrics=batch)
    log(script, run, 2.0)
    assert stored(run) == {"loss": [1.0, 2.0]}

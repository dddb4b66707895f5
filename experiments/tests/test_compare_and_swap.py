"""A batch stored without a lock, and what makes it take one. On PostgreSQL only."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, connections
from django.http import Http404

from experiments import appending, compare_and_swap, recording, upkeep
from experiments.models import Experiment, Metric, Run
from experiments.storing import Columns, Mark
from experiments.tests.holding import stored
from exptrack.tests.statements import statements_of

pytestmark = pytest.mark.only_on("postgresql")


@pytest.fixture
def run(transactional_db, alice) -> Run:
    return recording.start_run(user=alice, experiment="swapped")[0]


def batch(*values, names=("loss",)):
    return {name: Columns(np.array(values, float)) for name in names}


def log(user, run, metrics, *, seq=None, digest=b"a"):
    mark = Mark("w", seq, digest) if seq else None
    return appending.append(user=user, run_id=run.pk, metrics=metrics, mark=mark)


def kinds_of(action):
    return [sent.split(maxsplit=1)[0] for sent in statements_of(action)]


def during_the_swap(act):
    """Run `act` on a connection of its own between the reading and the writing of a batch."""
    done = []

    def between(execute, sql, params, many, context):
        if sql.startswith(compare_and_swap.SWAP) and not done:
            done.append(True)
            act()
        return execute(sql, params, many, context)

    return connection.execute_wrapper(between)


def elsewhere(sql, *params):
    """Execute on a second connection, as another process would."""
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(sql, params)
    finally:
        other.close()


def in_a_thread(act):
    """What `act` returns, done on a connection of its own."""

    def closing():
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(closing).result()


def test_a_batch_costs_two_statements_however_many_points_and_series_it_has(alice, run):
    log(alice, run, batch(1.0), seq=1)
    few = kinds_of(lambda: log(alice, run, batch(2.0), seq=2))
    many = kinds_of(lambda: log(alice, run, batch(*range(100), names="abcdefgh"), seq=3))
    assert few == many == ["SELECT", "WITH"]
    assert stored(run)["loss"] == [1.0, 2.0]
    assert stored(run)["h"] == list(range(100))


def test_points_not_finite_and_steps_at_the_ends_come_back(alice, run):
    ends = Columns(
        np.array([np.nan, -np.inf, 5e-324, -0.0]),
        [-(2**63), 2**63 - 1, 0, 1],
        [0, -1, 2**63 - 1, 1],
    )
    log(alice, run, {"x": ends})
    found = stored(run)["x"]
    assert np.isnan(found[0])
    assert found[1:] == [-np.inf, 5e-324, 0.0]
    assert np.signbit(found[3])


def test_who_may_only_read_is_refused_and_a_stranger_finds_nothing(run, bob, charlie):
    with pytest.raises(PermissionDenied):
        log(bob, run, batch(1.0))
    Experiment.objects.filter(pk=run.experiment_id).update(visibility="private")
    with pytest.raises(Http404):
        log(charlie, run, batch(1.0))
    assert stored(run) == {}


def test_a_revision_that_moved_on_is_seen_and_nothing_is_overwritten(alice, run):
    log(alice, run, batch(1.0), seq=1)
    overtake = "UPDATE experiments_run SET revision = revision + 1 WHERE id = %s"
    with during_the_swap(lambda: elsewhere(overtake, run.pk)):
        kinds = kinds_of(lambda: log(alice, run, batch(2.0), seq=2))
    assert kinds[:2] == ["SELECT", "WITH"]
    assert "BEGIN" in kinds  # and then with the lock
    assert stored(run) == {"loss": [1.0, 2.0]}


def test_a_compaction_meanwhile_doubles_and_loses_nothing(alice, run):
    log(alice, run, batch(*range(40)), seq=1)

    with during_the_swap(lambda: in_a_thread(lambda: upkeep.compact_run(run=run))):
        log(alice, run, batch(40.0), seq=2)
    assert stored(run) == {"loss": [float(n) for n in range(41)]}


def test_a_repeat_while_the_first_is_stored_adds_nothing(alice, run):
    log(alice, run, batch(1.0), seq=1)

    def first():
        assert not in_a_thread(lambda: log(alice, run, batch(2.0), seq=2)).duplicate

    with during_the_swap(first):
        assert log(alice, run, batch(2.0), seq=2).duplicate
    assert stored(run) == {"loss": [1.0, 2.0]}


def test_a_run_purged_meanwhile_is_gone(alice, run):
    with (
        during_the_swap(lambda: elsewhere("DELETE FROM experiments_run WHERE id = %s", run.pk)),
        pytest.raises(Http404),
    ):
        log(alice, run, batch(1.0))


def test_more_series_than_a_prepared_statement_holds_take_the_lock(alice, run):
    names = [f"m{number}" for number in range(compare_and_swap.MOST_SERIES + 1)]
    assert "BEGIN" in kinds_of(lambda: log(alice, run, batch(1.0, names=names)))
    assert len(stored(run)) == len(names)


def test_small_chunks_are_still_merged(alice, run, monkeypatch):
    monkeypatch.setattr("experiments.series.MERGE_AT", 3)
    for start in range(0, 500, 100):
        log(alice, run, batch(*range(start, start + 100)))
    assert stored(run) == {"loss": [float(n) for n in range(500)]}
    assert Metric.objects.get(run=run).chunks.count() == 1


def test_a_connection_that_the_server_closed_is_replaced_before_the_next_request(alice, run):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    assert connection.is_usable()
    elsewhere("SELECT pg_terminate_backend(%s, 5000)", pid)
    assert not connection.is_usable()
    connection.close()
    log(alice, run, batch(1.0))
    assert stored(run) == {"loss": [1.0]}

"""Exactly once, whatever fails: repeats, lost answers, killed processes.

The long forms, with figures, are `bench/repeats.py` and `bench/kills.py`; their seeds are fixed
here and new there.
"""

import hashlib
import math
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from clients import together
from django.conf import settings
from failpoints import die_everywhere
from failpoints import faults as batches_left_behind
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kills import kill_workers
from kills import run_load as log_while_killing
from ledger import SHARED, Entries, Verdict, audit, identity
from ledger import Load as LedgerLoad
from repeats import Load, insist, lossy, refused_leftovers
from stored import faults

from experiments import appending, reading, recording, series, storing, summaries, upkeep
from experiments.models import Metric, Run
from experiments.refusals import RepeatDiffers, SequenceGap
from experiments.series import Points
from experiments.storing import Columns, Mark
from exptrack.tests.servers import database_url_of_tests

SEED = 20_261_123
CLIENTS = 2


@pytest.fixture
def run(alice) -> Run:
    return recording.start_run(user=alice, experiment="faults")[0]


@pytest.fixture
def small_chunks(monkeypatch):
    """Seal and merge after a few points instead of after thousands."""
    for name, points in (
        ("TAIL_POINTS", 4),
        ("SMALL_CHUNK_POINTS", 16),
        ("MERGE_AT", 3),
        ("LARGEST_CHUNK_POINTS", 32),
    ):
        monkeypatch.setattr(series, name, points)


# --- Repeats ---------------------------------------------------------------------------------


def test_batches_sent_through_a_proxy_that_loses_answers_are_stored_once(
    gunicorn_server, alice, token, run
):
    print(f"seed {SEED}")
    with lossy(gunicorn_server.url, SEED) as proxy:
        load = Load(proxy.url, token(alice), run.pk, batches=15, seed=SEED)
        happened = sum(together(CLIENTS, insist, load), start=Counter())
    assert proxy.lost["reply"] > 5
    assert proxy.lost["request"] > 1
    assert happened["no answer"] == proxy.lost.total()
    assert happened["gap refused"] == happened["other body refused"] == CLIENTS * load.batches
    # Some were stored though nobody heard of it, and then answered as a repeat at once.
    assert happened["stored"] < CLIENTS * load.batches
    assert faults(run.pk, load.expected(CLIENTS)) == []
    assert refused_leftovers(run.pk) == []


numbers = st.floats(width=64) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 1.5])
points = st.tuples(st.integers(-2, 6), st.integers(0, 3), numbers)
batches = st.lists(points, min_size=1, max_size=12)
sent = st.tuples(st.just("send"), st.integers(0, 2), st.sampled_from("aab"), batches)
events = st.one_of(
    *[sent] * 4,
    st.tuples(st.just("repeat"), st.integers(0, 2), st.integers(0, 9)),
    st.tuples(st.just("gap"), st.integers(0, 2), st.integers(2, 5)),
    st.tuples(st.just("differ"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["compact", "finish"])),
)


class History:
    """A run's true history, told beside the real one: what each writer sent, and what must be
    stored of each series in order of arrival."""

    def __init__(self, run, user):
        self.run, self.user = run, user
        self.sent = defaultdict(list)
        self.stored = defaultdict(list)

    def append(self, writer, seq, name, batch):
        steps, times, values = zip(*batch, strict=True)
        return appending.append(
            user=self.user,
            run_id=self.run.pk,
            metrics={name: Columns(np.array(values, float), list(steps), list(times))},
            mark=Mark(str(writer), seq, hashlib.sha256(repr((name, batch)).encode()).digest()),
        )

    def send(self, writer, name, batch):
        self.sent[writer].append((name, batch))
        receipt = self.append(writer, len(self.sent[writer]), name, batch)
        assert (receipt.accepted, receipt.duplicate) == (len(batch), False)
        self.stored[name] += batch

    def repeat(self, writer, which):
        if not self.sent[writer]:
            return
        which %= len(self.sent[writer])
        receipt = self.append(writer, which + 1, *self.sent[writer][which])
        assert (receipt.accepted, receipt.duplicate) == (0, True)

    def gap(self, writer, ahead):
        last = len(self.sent[writer])
        with pytest.raises(SequenceGap) as refused:
            self.append(writer, last + ahead, "a", [(0, 0, 1.0)])
        assert refused.value.details == {"expected": last + 1}

    def differ(self, writer):
        if self.sent[writer]:
            name, batch = self.sent[writer][-1]
            with pytest.raises(RepeatDiffers):
                self.append(writer, len(self.sent[writer]), name, [*batch, (0, 0, 1.0)])

    def compact(self):
        upkeep.compact_run(run=self.run)

    def finish(self):
        recording.finish_run(run=self.run, status="finished")


@given(st.lists(events, max_size=40))
@hypothesis_settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_history_of_repeats_gaps_and_compactions_leaves_what_was_sent_once(
    small_chunks, alice, told
):
    run, _ = recording.start_run(user=alice, experiment="faults")
    history = History(run, alice)
    for what, *details in told:
        getattr(history, what)(*details)
    metrics = Metric.objects.filter(run=run).select_related("tail")
    assert {metric.name for metric in metrics} == set(history.stored)
    for metric in metrics:
        true = columns_of(history.stored[metric.name])
        held = Points.concat(list(reading.blocks(metric)))
        assert series.pack(held) == series.pack(true)
        assert upkeep.verify_metric(metric) == []
        assert in_any_order(metric) == in_any_order(summaries.extend(None, in_order(true)))


def columns_of(batch):
    return Points.of(*(list(column) for column in zip(*batch, strict=True)))


def in_order(true):
    """The same points in an order that owes nothing to their arrival."""
    order = np.lexsort((true.values, true.times, true.steps))
    return Points(true.steps[order], true.times[order], true.values[order])


def in_any_order(summary):
    """What a summary says whatever the order in which the points came: all but the sum."""
    return {name: getattr(summary, name) for name in storing.SUMMARY_COLUMNS if name != "sum"}


# --- Processes killed ------------------------------------------------------------------------


def test_a_process_killed_before_any_statement_of_a_batch_leaves_nothing_of_it(
    transactional_db, alice
):
    [runs] = together(1, die_everywhere, database_url_of_tests(), alice.username)
    assert len(runs) > 2
    assert batches_left_behind(alice, runs) == []


def test_workers_killed_while_they_store_lose_and_double_nothing(
    gunicorn_server, alice, token, run, tmp_path
):
    print(f"seed {SEED}")
    load = LedgerLoad(gunicorn_server.url, token(alice), run.pk, tmp_path, SEED)
    result = log_while_killing(load, 4, kills=5, strike=kill_workers(gunicorn_server))
    assert result.verdict == replace(result.verdict, lost=0, doubled=0, partial=0, ghosts=0)
    assert result.verdict.accepted >= 6 * 4  # of each client between the kills, and round them
    assert result.drifted == []
    assert not result.unexpected
    assert len(result.killed_at) == 5


@pytest.mark.only_on("postgresql")
def test_postgresql_killed_under_load_loses_nothing_and_the_server_recovers_by_itself():
    done = kill_postgres_under_load("--kills", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 0, doubled 0, partial 0, never sent 0" in done.stdout


@pytest.mark.only_on("postgresql")
def test_the_same_finds_what_a_forgetful_postgresql_loses():
    done = kill_postgres_under_load("--kills", "1", "--forgetful")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search("lost [1-9][0-9]*, doubled 0, partial 0", done.stdout), done.stdout


def kill_postgres_under_load(*options):
    """A run of the script, which brings a PostgreSQL of its own: it must be one with fsync."""
    script = settings.BASE_DIR / "bench" / "kills.py"
    fixed = ["--target", "postgres", "--clients", "2", "--seed", str(SEED)]
    return subprocess.run(
        [sys.executable, script, *fixed, *options], capture_output=True, text=True, timeout=300
    )


# --- The audit itself ------------------------------------------------------------------------

SENT = Entries({(0, 1): 2, (0, 2): 1, (1, 1): 3}, frozenset({(0, 1), (1, 1)}))


def stored(*batches):
    """All points of these (client, batch, points), in both of their series."""
    values = defaultdict(list)
    for client, batch, size in batches:
        for name in (SHARED, f"own/{client}"):
            values[name] += [identity(client, batch, index) for index in range(size)]
    return values


def test_the_audit_is_content_whether_a_batch_in_doubt_is_stored_or_not():
    clean = Verdict(sent=3, accepted=2, lost=0, doubled=0, partial=0, ghosts=0)
    assert audit(SENT, stored((0, 1, 2), (1, 1, 3))) == clean
    assert audit(SENT, stored((0, 1, 2), (1, 1, 3), (0, 2, 1))) == clean


def test_the_audit_finds_a_lost_batch():
    assert audit(SENT, stored((0, 1, 2))).lost == 1


def test_the_audit_finds_a_batch_stored_in_part():
    assert audit(SENT, stored((0, 1, 2), (1, 1, 2))).partial == 1
    missing_in_one_series = stored((0, 1, 2), (1, 1, 3)) | {"own/1": []}
    assert audit(SENT, missing_in_one_series).partial == 1


def test_the_audit_finds_a_batch_stored_twice():
    assert audit(SENT, stored((0, 1, 2), (1, 1, 3), (1, 1, 3))).doubled == 1


def test_the_audit_finds_a_batch_that_nobody_sent():
    assert audit(SENT, stored((0, 1, 2), (1, 1, 3), (1, 2, 1))).ghosts == 1

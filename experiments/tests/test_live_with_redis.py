"""Word of changes by Redis, and what becomes of it when Redis fails."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from django.db import transaction

from experiments import announcing, appending, recording, streams
from experiments.announcing import Listener, breaker, channel
from experiments.models import Run
from experiments.storing import Columns
from exptrack.tests.redis_server import RedisServer
from exptrack.tests.waiting import PATIENCE, wait_until

FOR_EVER = 3600


@pytest.fixture
def redis(redis_server, settings, monkeypatch) -> Iterator[RedisServer]:
    """A Redis that this process knows of."""
    settings.REDIS_URL = redis_server.url
    monkeypatch.setattr(announcing, "TIMEOUT_SECONDS", 10)  # longer than a busy machine halts
    forget()
    yield redis_server
    forget()


def forget() -> None:
    """Forget every connection and every failure."""
    if announcing.redis.cache_info().currsize:
        announcing.redis().close()
    announcing.redis.cache_clear()
    breaker.closed_until = 0.0


def give_up_soon(monkeypatch) -> None:
    """Wait as long for Redis as in earnest, where waiting is in vain."""
    monkeypatch.setattr(announcing, "TIMEOUT_SECONDS", 0.2)
    forget()


@pytest.fixture
def run(transactional_db, alice) -> Run:
    return recording.start_run(user=alice, experiment="live")[0]


def log(run: Run, first: int = 0) -> None:
    columns = {"loss": Columns(np.array([1.0]), np.array([first]))}
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def follow(signed_in, alice, run) -> Iterator:
    """Opens a stream of the run in this process; its parts."""
    opened = []

    def open_stream():
        answer = signed_in(alice).get(
            f"/live/?run={run.pk}", headers={"Accept": "text/event-stream"}
        )
        opened.append(answer)
        return (part.decode() for part in answer.streaming_content)

    yield open_stream
    for answer in opened:
        answer.close()
    wait_until(lambda: streams.hub.thread is None)


def next_points(parts) -> str:
    return next(part for part in parts if "event: points" in part and '"after"' in part)


# --- It works ---------------------------------------------------------------------------------


def test_a_commit_is_heard_by_who_listens_to_its_experiment_and_by_nobody_else(
    redis, run, alice, listener
):
    other = recording.start_run(user=alice, experiment="other")[0]
    assert listener.listen_to({run.experiment_id})
    log(other)
    assert not listener.hears_within(0.3)
    log(run)
    assert listener.hears_within(PATIENCE)
    recording.finish_run(run=run, status="finished")
    assert listener.hears_within(PATIENCE)


def test_what_is_rolled_back_is_not_announced(redis, run, listener):
    assert listener.listen_to({run.experiment_id})
    with transaction.atomic():
        announcing.announce(run.experiment_id)
        transaction.set_rollback(True)
    assert not listener.hears_within(0.3)


def test_streams_look_when_they_hear_of_a_change(redis, monkeypatch, run, follow):
    monkeypatch.setattr(streams, "LONGEST_SILENCE_SECONDS", FOR_EVER)
    parts = follow()
    next(parts)
    # From here on it would not look by itself for an hour.
    wait_until(lambda: announcing.redis().pubsub_numsub(channel(run.experiment_id))[0][1] == 1)
    log(run)
    assert '"count":1' in next_points(parts)


# --- When it fails ----------------------------------------------------------------------------


def test_streams_go_on_without_redis_and_with_it_again(redis, monkeypatch, run, follow):
    monkeypatch.setattr(announcing, "RETRY_SECONDS", 0.2)
    parts = follow()
    next(parts)
    for number in range(4):
        redis.kill() if number % 2 == 0 else redis.start()
        log(run, number)
        assert f'"count":{number + 1}' in next_points(parts)


def test_streams_follow_while_redis_hangs(redis, monkeypatch, run, follow):
    give_up_soon(monkeypatch)
    parts = follow()
    next(parts)
    redis.hang()
    log(run)
    assert '"count":1' in next_points(parts)


@pytest.mark.parametrize("failure", ["kill", "hang"])
def test_logging_waits_once_for_a_redis_that_is_away(redis, monkeypatch, run, failure):
    give_up_soon(monkeypatch)
    log(run)
    getattr(redis, failure)()
    log(run, 1)
    assert not breaker.is_open
    with monkeypatch.context() as patch:
        patch.setattr(announcing, "redis", None)  # would fail if it were asked
        log(run, 2)


def test_an_address_where_nobody_answers_costs_no_point(settings, run):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    forget()
    log(run)
    assert not breaker.is_open
    forget()

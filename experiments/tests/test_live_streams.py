"""Streams of /live/ over real connections, from the web process and from the one of their own."""

from __future__ import annotations

import signal
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session

from accounts.models import User
from experiments import appending, curating, recording, streams
from experiments.models import Experiment, Metric, Run
from experiments.reading import loaded
from experiments.storing import Columns
from experiments.streams import Mailbox
from experiments.tests.listening import Listening, session_of
from exptrack.tests.servers import GunicornServer
from exptrack.tests.waiting import PATIENCE, wait_until


@pytest.fixture(params=["web process", "process of its own"])
def server(request) -> GunicornServer:
    """Either of the two that serve streams."""
    fixtures = {"web process": "gunicorn_server", "process of its own": "push_server"}
    return request.getfixturevalue(fixtures[request.param])


@pytest.fixture
def listen(server):
    """Opens streams: `listen(alice, run=run.pk)`; as a browser does, again where a worker of
    the server has no place."""
    opened = []

    def open_stream(user, since="", **query) -> Listening:
        session = session_of(user) if isinstance(user, User) else user
        words = "&".join(f"{name}={value}" for name, value in query.items())

        def has_place() -> bool:
            opened.append(Listening(server.url, session, words, since))
            return opened[-1].status != 503

        wait_until(has_place)
        return opened[-1]

    yield open_stream
    for each in opened:
        each.close()


@pytest.fixture
def run(transactional_db, alice) -> Run:
    return recording.start_run(user=alice, experiment="live")[0]


def log(run: Run, first: int, values, name: str = "loss") -> None:
    steps = np.arange(first, first + len(values))
    columns = {name: Columns(np.asarray(values, float), steps)}
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


# --- It works ---------------------------------------------------------------------------------


def test_a_stream_tells_each_point_once_and_the_end(listen, alice, run):
    log(run, 0, [5.0])
    stream = listen(alice, run=run.pk)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    assert stream.next().data["series"] == [{"metric": "loss", "count": 1}]
    assert stream.next().data["status"] == "running"
    log(run, 1, [4.0, 3.0])
    [loss] = stream.next("points").data["series"]
    assert (loss["after"], loss["steps"], loss["values"]) == (1, [1, 2], [4.0, 3.0])
    recording.finish_run(run=run, status="finished")
    assert stream.next("run").data["status"] in ("running", "finished")
    assert stream.next("end").data == {"reason": "ended"}
    assert list(stream) == []


def test_a_stream_of_an_experiment_tells_of_runs_that_start_and_end(listen, alice, run):
    stream = listen(alice, experiment=run.experiment_id)
    assert stream.next().data["run"] == str(run.pk)
    other = recording.start_run(user=alice, experiment="live")[0]
    assert stream.next().data["run"] == str(other.pk)
    recording.finish_run(run=run, status="failed")
    event = stream.next()
    assert (event.data["run"], event.data["status"]) == (str(run.pk), "failed")
    log(other, 0, [1.0])
    assert stream.next().event == "run"


def test_broken_streams_that_go_on_from_their_last_event_miss_nothing_and_repeat_nothing(
    listen, alice, run
):
    """The columns of all events of all connections, put together, are the history."""
    session, since = session_of(alice), ""
    log(run, 0, [0.0], "a")
    stream = listen(session, run=run.pk)
    since = stream.next("run").id
    held = defaultdict(list)
    with logging_meanwhile(run):
        for events in (1, 2, 3, 1, 5, 2, 1, 4):
            stream.close()
            stream = listen(session, since=since, run=run.pk)
            for _ in range(events):
                since = take(stream.next(), held, since)
    recording.finish_run(run=run, status="finished")
    for event in stream:
        since = take(event, held, since)
    metrics = Metric.objects.filter(run=run).select_related("tail")
    stored = {metric.name: points.values.tolist() for metric, points in loaded(metrics)}
    stored["a"] = stored["a"][1:]
    assert {name: values for name, values in held.items() if values} == {
        name: values for name, values in stored.items() if values
    }
    assert sum(map(len, stored.values())) > 100


@contextmanager
def logging_meanwhile(run: Run) -> Iterator[None]:
    """Log to the run in a thread as long as the block lasts."""
    is_over = threading.Event()
    writer = threading.Thread(target=log_for_a_while, args=(run, is_over))
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join()


def log_for_a_while(run: Run, until: threading.Event) -> None:
    """Log to two metrics, in batches of several sizes, until told."""
    from django.db import connection

    first = {"a": 1, "b": 0}
    try:
        while not until.is_set():
            name, size = ("a", 7) if first["a"] <= first["b"] else ("b", 41)
            log(run, first[name], np.arange(first[name], first[name] + size), name)
            first[name] += size
            time.sleep(0.05)
    finally:
        connection.close()


def take(event, held, since):
    """Keep an event's points; its id, which is where to go on."""
    for series in event.data.get("series", ()):
        values = held[series["metric"]]
        offset = 1 if series["metric"] == "a" else 0
        assert series["after"] == len(values) + offset
        values += series["values"]
    return event.id or since


def test_many_readers_of_many_things_are_each_told_their_own(push_server, alice, run):
    runs = [run, *(recording.start_run(user=alice, experiment="live")[0] for _ in range(4))]
    session = session_of(alice)
    streams_of = {each.pk: Listening(push_server.url, session, f"run={each.pk}") for each in runs}
    for each in runs:
        assert streams_of[each.pk].next("run").data["run"] == str(each.pk)
    for n, each in enumerate(runs):
        log(each, 0, [float(n)])
    for n, each in enumerate(runs):
        points = streams_of[each.pk].next("points").data
        assert (points["run"], points["series"][0]["values"]) == (str(each.pk), [float(n)])
    for stream in streams_of.values():
        stream.close()


# --- Who may not ------------------------------------------------------------------------------


def test_who_is_signed_out_gets_no_stream(listen, run):
    stream = listen(None, run=run.pk)
    assert stream.status == 302
    assert stream.headers["location"].startswith("/account/sign-in/")


def test_who_may_not_see_a_run_gets_no_stream(listen, alice, bob, run):
    Experiment.objects.update(visibility="private")
    assert listen(bob, run=run.pk).status == 404
    assert listen(bob, experiment=run.experiment_id).status == 404
    assert listen(alice, run=run.pk).status == 200


@pytest.fixture
def told(monkeypatch, transactional_db):
    """Opens streams in this process, which ask at every step whether the reader still may."""
    monkeypatch.setattr(streams, "CHECK_SECONDS", 0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(streams, "WAIT_SECONDS", 0.1)
    opened = []

    def open_stream(browser, run, since="") -> Iterator[str]:
        address = f"/live/?run={run.pk}&since={since}"
        opened.append(browser.get(address, headers={"Accept": "text/event-stream"}))
        return (part.decode() for part in opened[-1].streaming_content)

    yield open_stream
    for response in opened:
        response.close()
    wait_until(lambda: streams.hub.thread is None)


def sign_out(user, run):
    Session.objects.all().delete()


def deactivate(user, run):
    User.objects.filter(pk=user.pk).update(is_active=False)


def change_password(user, run):
    user.set_password("another one, quite long")
    user.save()


def expire(user, run):
    Session.objects.update(expire_date="2026-01-01T00:00Z")


def make_private(user, run):
    Experiment.objects.update(visibility="private")


def move_away(user, run):
    secret = Experiment.objects.create(owner=run.owner, name="secret", visibility="private")
    curating.update_run(run=run, experiment=secret)


REVOKED = [
    (sign_out, "signed-out"),
    (deactivate, "signed-out"),
    (change_password, "signed-out"),
    (expire, "signed-out"),
    (make_private, "forbidden"),
    (move_away, "forbidden"),
]


@pytest.mark.parametrize(("revoke", "reason"), REVOKED)
def test_whoever_may_watch_no_more_is_told_so_and_nothing_else(
    told, signed_in, bob, run, revoke, reason
):
    parts = told(signed_in(bob), run)
    assert "running" in next(parts)
    assert next(parts) == ": still here\n\n"
    revoke(bob, run)
    log(run, 0, [1.0])
    rest = "".join(parts)
    assert rest.endswith(f'event: end\ndata: {{"reason":"{reason}"}}\n\n')
    assert "points" not in rest


def test_a_run_that_moves_away_is_told_of_no_further_whenever_the_next_check_is_due(
    told, monkeypatch, signed_in, bob, run
):
    monkeypatch.setattr(streams, "CHECK_SECONDS", 3600)
    parts = told(signed_in(bob), run)
    next(parts)
    move_away(bob, run)
    log(run, 0, [1.0])
    assert "points" not in "".join(parts)


def test_a_run_known_before_that_moves_away_is_told_of_no_further_either(
    told, monkeypatch, signed_in, bob, run
):
    monkeypatch.setattr(streams, "CHECK_SECONDS", 3600)
    log(run, 0, [1.0])
    browser, since = signed_in(bob), ""
    for _ in range(2):  # the state, then how many points there are
        answer = browser.get(f"/live/?run={run.pk}&since={since}")
        since = answer.json()["since"] if answer.status_code == 200 else since
    parts = told(browser, run, since)
    assert "points" not in next(parts)
    move_away(bob, run)
    log(run, 1, [2.0])
    rest = "".join(parts)
    assert "forbidden" in rest
    assert "points" not in rest


# --- The edges --------------------------------------------------------------------------------


def test_the_web_process_keeps_threads_for_pages_and_says_when_to_ask_again(
    gunicorn_server, alice, run
):
    session = session_of(alice)
    readers = [Listening(gunicorn_server.url, session, f"run={run.pk}") for _ in range(12)]
    places = settings.WORKERS * settings.LIVE_STREAMS
    statuses = [reader.status for reader in readers]
    assert statuses.count(200) <= places
    assert set(statuses) == {200, 503}
    refused = next(reader for reader in readers if reader.status == 503)
    assert int(refused.headers["retry-after"]) > 0
    for _ in range(20):
        assert gunicorn_server.answers()
    for reader in readers:
        reader.close()
    # Who has left is found out by a heartbeat at the latest.
    wait_until(lambda: opens(gunicorn_server.url, session, run))


def opens(url: str, session: str, run: Run) -> bool:
    """Whether there is a place for one more stream, which is given back."""
    stream = Listening(url, session, f"run={run.pk}")
    stream.close()
    return stream.status == 200


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_stops_ends_its_streams_and_is_not_held_up(server, listen, alice, run, by):
    streams_open = [listen(alice, run=run.pk) for _ in range(3)]
    for stream in streams_open:
        stream.next("run")
    begun = time.monotonic()
    assert server.stop(by) == 0
    assert time.monotonic() - begun < 20  # gunicorn would wait for 30


def test_a_reader_who_leaves_is_forgotten(push_server, alice, run):
    [worker] = map(psutil.Process, push_server.workers())
    stream = Listening(push_server.url, session_of(alice), f"run={run.pk}")
    stream.next("run")
    busy = worker.num_threads()
    stream.close()
    wait_until(lambda: worker.num_threads() < busy)  # nobody looks any more


def test_a_slow_reader_is_given_what_it_missed_in_one(told, signed_in, alice, run):
    parts = told(signed_in(alice), run)
    next(parts)
    for first in range(streams.MAILBOX_SIZE + 5):
        log(run, first, [float(first)])
        [mailbox] = streams.hub.watched
        streams.hub.tick()
    assert mailbox.take() is None
    mailbox.puts = streams.MAILBOX_SIZE + 1
    mailbox.wake()
    rest = next(parts)
    assert '"after":0' in rest
    assert f'"count":{streams.MAILBOX_SIZE + 5}' in rest


def test_a_mailbox_keeps_order_and_knows_what_it_lost():
    rung = []
    mailbox = Mailbox(lambda: rung.append(1))
    assert mailbox.take() == []
    mailbox.put(["a"])
    mailbox.put(["b", "c"])
    assert mailbox.take() == ["a", "b", "c"]
    for n in range(streams.MAILBOX_SIZE + 1):
        mailbox.put([n])
    assert mailbox.take() is None
    assert mailbox.take() == []
    assert len(rung) == 2 + streams.MAILBOX_SIZE + 1


def status_of(request: urllib.request.Request | str) -> int:
    """The status of an answer that is none."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    refused.value.close()
    return refused.value.code


@pytest.mark.parametrize("address", ["/", "/runs/", "/api/v1/me/", "/admin/", "/live", "/static/x"])
def test_the_process_of_its_own_serves_nothing_else(push_server, address):
    assert status_of(push_server.url + address) == 404


def test_the_process_of_its_own_reads_no_body(push_server):
    assert status_of(urllib.request.Request(f"{push_server.url}/live/", b"x" * 100_000)) == 413

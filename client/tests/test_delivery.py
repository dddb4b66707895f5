"""Every point arrives once, whatever the network and the server do in between."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import threading
import time

import exptrack_client as exptrack
import pytest
from exptrack_client.transport import is_gzipped, unpacked

from exptrack.tests.waiting import PATIENCE, wait_until

from .conftest import PYTHON, SOURCE


def batches(wire):
    """The batches of points sent so far, repeats too, as bodies."""
    bodies = [json.loads(unpacked(body)) for _, _, body in wire.sent()]
    found = [batch for body in bodies for batch in body.get("batches", [body])]
    return [batch for batch in found if "metrics" in batch]


def test_points_leave_without_finish(tracker):
    with exptrack.init("digits") as run:
        run.log({"loss": 1.0})
        wait_until(lambda: run.pending == 0)
        assert tracker.points(run.id, "loss") == [(0, 1.0)]


def test_a_batch_is_columns_gzipped_over_one_kept_connection(wire):
    with exptrack.init("digits") as run:
        for step in range(1000):
            run.log({"loss": step / 7, "accuracy": step / 9})

    sent = batches(wire)
    assert [batch["seq"] for batch in sent] == list(range(1, len(sent) + 1))
    columns = [batch["metrics"] for batch in sent]
    assert [step for one in columns for step in one["loss"]["steps"]] == list(range(1000))
    assert [value for one in columns for value in one["accuracy"]["values"]] == [
        step / 9 for step in range(1000)
    ]
    _, headers, body = max(wire.sent(), key=lambda request: len(request[2]))
    assert is_gzipped(body)
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < len(unpacked(body)) / 2


def test_a_small_batch_is_not_gzipped(wire):
    with exptrack.init("digits") as run:
        run.log({"loss": 1.0})

    for _, headers, body in wire.sent():
        assert "Content-Encoding" not in headers
        assert not is_gzipped(body)
    assert len(batches(wire)) == 1


def test_batches_hold_at_most_ten_thousand_points(wire, tracker):
    with exptrack.init("digits") as run:
        for step in range(12_500):
            run.log({"a": step, "b": step})

    sizes = [
        sum(len(column["values"]) for column in batch["metrics"].values())
        for batch in batches(wire)
    ]
    assert max(sizes) <= 10_000
    assert sum(sizes) == 25_000
    assert [step for step, _ in tracker.points(run.id, "a")] == list(range(12_500))


def test_params_and_tags_never_travel_with_points(wire):
    with exptrack.init("digits", params={"lr": 1}, tags={"a": "b"}) as run:
        run.log({"loss": 1.0})

    for _, _, body in wire.sent():
        assert len(json.loads(unpacked(body)).keys() & {"metrics", "params", "tags"}) <= 1


@pytest.mark.parametrize(
    "faults",
    [
        ["lose reply"],
        ["lose reply", "lose reply", "lose request", "lose reply"],
        [("after", 503), ("after", 500)],
        [503, 503, 500, 502],
        [429],
        [("slow", 1.5)],
    ],
    ids=str,
)
def test_each_point_is_stored_once_although(wire, tracker, faults, monkeypatch):
    with exptrack.init("digits") as run:
        wire.faults.extend(faults)
        for step in range(50):
            run.log({"loss": step})
            time.sleep(0.01)
        assert run.finish() == 0

    assert not wire.faults
    assert tracker.points(run.id, "loss") == [(step, step) for step in range(50)]
    assert tracker.run(run.id)["status"] == "finished"


def test_a_repeat_is_the_same_batch(wire, tracker):
    with exptrack.init("digits") as run:
        wire.faults.extend(["lose reply", "lose reply"])
        for step in range(500):
            run.log({"loss": step / 3})
        wait_until(lambda: len(wire.sent()) >= 3)

    repeats = [batch for batch in batches(wire) if batch["seq"] == 1]
    assert repeats[0] == repeats[1] == repeats[2]
    assert len({batch["writer"] for batch in batches(wire)}) == 1  # none was found to differ
    assert len(tracker.points(run.id, "loss")) == 500


def test_retry_after_is_respected(wire):
    with exptrack.init("digits") as run:
        wire.retry_after = "1"
        wire.faults.append(429)
        began = time.monotonic()
        run.log({"loss": 1.0})
        wait_until(lambda: run.pending == 0)
        assert time.monotonic() - began >= 1


def test_a_creation_whose_reply_is_lost_makes_one_run(wire, tracker):
    wire.to = "runs/"
    wire.faults.extend(["lose reply", ("after", 503)])
    with exptrack.init("digits", params={"lr": 0.1}) as run:
        run.log({"loss": 1.0})

    assert [stored["id"] for stored in tracker.runs()] == [run.id]
    assert tracker.run(run.id)["params"] == {"lr": 0.1}
    assert tracker.points(run.id, "loss") == [(0, 1.0)]


def test_params_and_tags_survive_a_bad_line_too(wire, tracker):
    wire.faults.extend(["lose request", 503, "lose reply", 503])
    with exptrack.init("digits", params={"lr": 0.1}, tags={"a": "b"}) as run:
        run.tags({"a": "c"})

    assert not wire.faults
    stored = tracker.run(run.id)
    assert (stored["params"], stored["tags"]) == ({"lr": 0.1}, {"a": "c"})


def test_a_finish_whose_reply_is_lost_ends_the_run(wire, tracker):
    with exptrack.init("digits") as run:
        wire.to = "finish/"
        wire.faults.append("lose reply")
        assert run.finish("failed") == 0

    assert tracker.run(run.id)["status"] == "failed"


def test_a_server_that_goes_away_and_comes_back_loses_nothing(tracker, capfd):
    with exptrack.init("digits") as run:
        for step in range(60):
            run.log({"loss": step}, step=step)
            time.sleep(0.02)
            if step == 20:
                tracker.server.kill()
            if step == 50:
                tracker.server.start()
        assert run.finish() == 0

    assert tracker.points(run.id, "loss") == [(step, step) for step in range(60)]


def test_a_server_that_is_away_at_the_start_gets_the_run_later(tracker, capfd):
    tracker.server.stop()
    run = exptrack.init("digits", params={"lr": 0.1})
    run.log({"loss": 1.0})
    tracker.server.start()

    assert run.finish() == 0
    assert tracker.run(run.id)["params"] == {"lr": 0.1}
    assert tracker.points(run.id, "loss") == [(0, 1.0)]
    said = capfd.readouterr().err
    assert said.count("cannot be reached: Connection refused. Training goes on") == 1
    assert "answers again" in said


def test_finish_gives_up_on_a_server_that_stays_away_and_says_what_is_missing(tracker, capfd):
    run = exptrack.init("digits")
    tracker.server.stop()
    for _ in range(1234):
        run.log({"loss": 1.0})

    assert run.finish(timeout=1) == 1234
    assert "1,234 points were not delivered" in capfd.readouterr().err
    tracker.server.start()


def test_a_dead_token_is_said_once_and_costs_nothing_but_the_record(tracker, monkeypatch, capfd):
    with exptrack.init("digits", token="ext_" + "0" * 33) as run:
        for _ in range(100):
            run.log({"loss": 1.0})
        assert run.finish() == 100

    said = capfd.readouterr().err
    makes = f"Make another at {tracker.url}/account/."
    assert said.count(f"unknown, expired or revoked. {makes} Training goes on") == 1
    assert "100 points were not delivered: This token" in said
    assert tracker.runs() == []


def test_a_token_that_dies_and_is_replaced_loses_nothing(wire, tracker, monkeypatch):
    monkeypatch.setattr("exptrack_client.sender.ASK_AGAIN_EVERY", 0.1)
    with exptrack.init("digits") as run:
        wire.to = ""
        wire.faults.extend([401, 401, 403])
        run.log({"loss": 1.0})
        wait_until(lambda: run.pending == 0)

    # The batch was refused once; then heartbeats asked whether it is worth sending again.
    calls = [path.rsplit("/", 2)[1] for path, *_ in wire.requests]
    last = calls[: calls.index("finish")][-5:]
    assert last == ["log", "heartbeat", "heartbeat", "heartbeat", "log"]
    assert tracker.points(run.id, "loss") == [(0, 1.0)]


def test_a_kept_connection_that_the_server_closed_costs_no_wait(wire, monkeypatch):
    for name in ("FIRST_WAIT", "LONGEST_WAIT"):
        monkeypatch.setattr(f"exptrack_client.transport.{name}", 3600)
    with exptrack.init("digits") as run:
        for _ in range(3):
            wire.faults.append("hang up")
            run.log({"loss": 1.0})
            wait_until(lambda: run.pending == 0)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8000", "begins with http"),
        ("http://user:pass@127.0.0.1/", "holds a user name"),
        ("http://127.0.0.1:port", "cannot be used"),
        ("", "no token"),
    ],
)
def test_an_address_or_token_that_cannot_be_used_is_said_and_training_goes_on(
    monkeypatch, capfd, url, said
):
    monkeypatch.delenv("EXPTRACK_TOKEN", raising=False)
    monkeypatch.delenv("EXPTRACK_URL", raising=False)
    with exptrack.init("digits", url=url, token="ext_x" if url else None) as run:
        run.log({"loss": 1.0})
        run.params({"lr": 1})
        assert run.finish() == 1

    error = capfd.readouterr().err
    assert said in error
    assert "Training goes on" in error
    assert "1 point was not delivered" in error


def test_an_address_of_something_else_is_told_apart(wire, tracker, capfd):
    with exptrack.init("digits", url=tracker.url + "/account") as run:
        run.log({"loss": 1.0})
        assert run.finish() == 1
    assert "(status 404). Is EXPTRACK_URL right? 1 point is kept in" in capfd.readouterr().err

    wire.plain_body, wire.to = True, "runs/"
    wire.faults.extend([200, 200, 302, 302])
    with exptrack.init("digits") as run:
        run.log({"loss": 1.0})
        assert run.finish() == 1
    assert "Is EXPTRACK_URL right?" in capfd.readouterr().err


def test_the_address_may_be_pasted_with_its_api_path(tracker):
    with exptrack.init("digits", url=tracker.url + "/api/v1/") as run:
        pass
    assert tracker.run(run.id)["status"] == "finished"


def restore(run, **mark):
    """Set the server's mark of a run's writer, as restoring a backup does: with the revision, by
    which the server knows that what it remembers is no longer so."""
    from experiments.models import Run, Writer

    Writer.objects.filter(run=run.id).update(**mark)
    Run.objects.filter(pk=run.id).update(revision=0)


def test_a_gap_sends_the_client_back_to_the_batch_expected(tracker, wire, capfd):
    with exptrack.init("digits") as run:
        for step in range(5):
            run.log({"loss": step})
            wait_until(lambda: run.pending == 0)
        # As after a restore: the server forgot the last three batches, points and marks.
        restore(run, seq=2)
        run.log({"loss": 5})

    seqs = [batch["seq"] for batch in batches(wire)]
    assert seqs == [1, 2, 3, 4, 5, 6, 3, 4, 5, 6]
    assert run.pending == 0
    # This server did keep the points, so they are there twice: the resent batches were applied.
    assert [step for step, _ in tracker.points(run.id, "loss")] == [0, 1, 2, 3, 4, 2, 3, 4, 5]


def test_a_gap_that_goes_back_too_far_is_said_and_the_rest_goes_on(
    tracker, wire, capfd, monkeypatch
):
    monkeypatch.setattr("exptrack_client.spool.TRIM_BYTES", 0)
    with exptrack.init("digits") as run:
        for step in range(3):
            run.log({"loss": step})
            wait_until(lambda: run.pending == 0)
        restore(run, seq=0)
        run.log({"loss": 3})

    assert [step for step, _ in tracker.points(run.id, "loss")] == [0, 1, 2, 3]
    assert "no longer has 3 batches that it had confirmed" in capfd.readouterr().err


def test_a_writer_whose_number_another_took_goes_on_under_a_new_name(tracker, wire):
    with exptrack.init("digits") as run:
        run.log({"loss": 0})
        wait_until(lambda: run.pending == 0)
        restore(run, seq=2, digest=b"another body")
        run.log({"loss": 1})

    assert tracker.points(run.id, "loss") == [(0, 0), (1, 1)]
    assert len({batch["writer"] for batch in batches(wire)}) == 2


@pytest.mark.parametrize("plain", [True, False])
def test_a_batch_that_is_too_large_for_something_between_is_split(tracker, wire, plain):
    wire.plain_body = plain
    with exptrack.init("digits") as run:
        wire.most_bytes = 2_000
        for step in range(1000):
            run.log({"loss": math.sin(step)})
        assert run.finish() == 0

    points = [(step, math.sin(step)) for step in range(1000)]
    assert tracker.points(run.id, "loss") == points
    taken = [body for _, _, body in wire.sent() if len(body) <= wire.most_bytes]
    assert len(taken) < len(wire.sent())


def test_a_refused_batch_costs_no_other(tracker, wire, capfd):
    with exptrack.init("digits") as run:
        run.log({"loss": 0})
        wait_until(lambda: run.pending == 0)
        wire.faults.append(400)
        run.log({"loss": 1})
        wait_until(lambda: not wire.faults and run.pending == 0)
        run.log({"loss": 2})
        assert run.finish() == 1

    assert tracker.points(run.id, "loss") == [(0, 0), (2, 2)]
    assert "1 point was not delivered: Fault 400." in capfd.readouterr().err


def records_waiting(wire, count, *faults):
    """A run with so many records of one point; the requests that bring them meet these faults."""
    wire.faults.extend([503] * 1000)
    run = exptrack.init("digits")
    for step in range(count):
        run.log({"loss": step})
        wait_until(lambda: run._recording.queue.waiting == 0)
    wire.begin_anew(*faults)
    return run


def test_records_that_wait_go_together(tracker, wire):
    run = records_waiting(wire, 12)
    assert run.finish() == 0

    assert {batch["seq"] for batch in batches(wire)} == set(range(1, 13))
    assert len(wire.sent()) < 12
    assert tracker.points(run.id, "loss") == [(step, step) for step in range(12)]


@pytest.mark.parametrize("fault", [400, 413, 422, "lose reply", ("after", 413)], ids=str)
def test_records_that_fail_together_arrive_once_all_the_same(tracker, wire, fault):
    run = records_waiting(wire, 6, fault)
    assert run.finish() == 0

    assert not wire.faults
    assert tracker.points(run.id, "loss") == [(step, step) for step in range(6)]
    assert {batch["writer"] for batch in batches(wire)} == {batches(wire)[0]["writer"]}


def test_memory_is_bounded_and_what_did_not_fit_is_counted(tracker, capfd, monkeypatch):
    monkeypatch.setattr("exptrack_client.recording.QUEUE_BYTES", 100_000)
    monkeypatch.setattr("exptrack_client.outbox.RECORD_EVERY", 3600)  # it empties the queue
    tracker.server.stop()
    run = exptrack.init("digits")
    kept = []
    for step in range(20_000):
        before = run.dropped
        run.log({"loss": step})
        if run.dropped == before:
            kept.append((step, step))
    assert run.pending == len(kept) < 20_000
    assert run.dropped == 20_000 - len(kept)
    tracker.server.start()

    assert run.finish() == run.dropped
    assert tracker.points(run.id, "loss") == kept
    assert capfd.readouterr().err.count("too much waits") == 1


def test_threads_log_into_one_run_without_loss(tracker):
    with exptrack.init("digits") as run:

        def work(name):
            for step in range(2000):
                run.log({name: step, "shared": step}, step=step)

        threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for n in range(8):
        assert tracker.points(run.id, f"t{n}") == [(step, step) for step in range(2000)]
    assert tracker.summaries(run.id)["shared"]["count"] == 16_000


def test_processes_log_into_one_run_without_loss_although_the_server_restarts(
    tracker, start_script
):
    code = """
import sys, time
import exptrack_client as exptrack
run = exptrack.init("digits", id=sys.argv[1])
while not run.name:
    time.sleep(0.01)
print("ready", flush=True)
for step in range(300):
    run.log({"loss": step, "rank" + sys.argv[2]: step}, step=step)
    time.sleep(0.01)
sys.exit(run.finish())
"""
    with exptrack.init("digits") as run:
        ranks = [start_script(code, run.id, str(rank)) for rank in range(4)]
        for rank in ranks:
            assert rank.stdout.readline() == "ready\n"
        time.sleep(1)
        tracker.server.kill()
        time.sleep(0.3)
        tracker.server.start()
        for rank in ranks:
            _, errors = rank.communicate(timeout=PATIENCE)
            assert rank.returncode == 0, errors

    assert tracker.summaries(run.id)["loss"]["count"] == 1200
    for rank in range(4):
        assert tracker.points(run.id, f"rank{rank}") == [(step, step) for step in range(300)]


def test_an_init_against_a_silent_address_does_not_hold_training_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code = f"""
import time
began = time.monotonic()
import exptrack_client as exptrack
run = exptrack.init("digits", url="http://127.0.0.1:{silent.getsockname()[1]}", token="ext_x")
for step in range(1000):
    run.log({{"loss": step}})
print(time.monotonic() - began)
run.finish(timeout=0.5)
print(time.monotonic() - began)
"""
        done = subprocess.run(
            [PYTHON, "-c", code],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    trained, ended = map(float, done.stdout.split())
    # It would be a minute; on a quiet machine it is two seconds, and half of one.
    assert trained < 40
    assert ended < 50
    assert "1,000 points were not delivered" in done.stderr

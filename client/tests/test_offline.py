"""What is not sent now is sent later, once: by the same run, the next one, or `exptrack sync`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import exptrack_client as exptrack
import pytest
from exptrack_client import cli, outbox
from exptrack_client.folder import spool_files
from exptrack_client.spool import NoSpool, Spool

from exptrack.tests.waiting import PATIENCE, wait_until

from .conftest import end_senders

# What is tested is this side; the other database would double the cost and tell nothing.
pytestmark = pytest.mark.only_on("sqlite")


def an_offline_run(count=100, **options):
    run = exptrack.init("digits", mode="offline", **options)
    for step in range(count):
        run.log({"loss": step}, step=step)
    return run


def is_written(run):
    """Whether everything logged and not delivered stands in the spool."""
    return run._recording.outbox.in_spool == run.pending


def steps(count):
    return [(step, step) for step in range(count)]


def test_a_copy_of_a_live_online_run_adds_nothing(tracker, spool, tmp_path):
    with exptrack.init("digits") as run:
        for step in range(30):
            run.log({"loss": step}, step=step)
            time.sleep(0.01)
        shutil.copytree(spool, tmp_path / "copy")
        assert cli.main(["sync", str(tmp_path / "copy")]) == 0
        for step in range(30, 60):
            run.log({"loss": step}, step=step)
    assert cli.main(["sync", str(tmp_path / "copy")]) == 0

    assert tracker.points(run.id, "loss") == steps(60)


def test_a_finished_online_run_leaves_no_file(tracker, spool):
    with exptrack.init("digits") as run:
        run.log({"loss": 1.0})
    assert spool_files(spool) == []


def test_what_a_finish_left_is_sent_by_the_next_run(tracker, spool, capfd):
    tracker.server.stop()
    run = exptrack.init("digits", params={"lr": 0.1})
    for step in range(50):
        run.log({"loss": step}, step=step)
    wait_until(lambda: is_written(run))
    assert run.finish(timeout=0.2) == 50
    assert "50 points are kept in" in capfd.readouterr().err
    end_senders()
    tracker.server.start()

    with exptrack.init("digits") as other:
        wait_until(lambda: spool_files(spool) == [other._recording.outbox.spool.path])
    assert tracker.points(run.id, "loss") == steps(50)
    assert tracker.run(run.id)["status"] == "finished"
    assert "sent 50 points that an earlier run had left" in capfd.readouterr().err


LOGGING = """
import os, sys, time
import exptrack_client as exptrack
run = exptrack.init("digits", mode=sys.argv[1])
print(run.id, flush=True)
for step in range(100_000):
    run.log({"loss": step}, step=step)
    time.sleep(0.001)
"""


def ever_held(spool):
    """Points that the one spool there has held so far, delivered or not."""
    try:
        opened = Spool.open(*spool_files(spool), only_look=True)
    except (TypeError, NoSpool):  # it is not there, or just being begun
        return 0
    opened.go_to(1)
    opened.close()
    return opened.points


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_after_kill_9_everything_that_reached_the_spool_arrives_once(
    tracker, spool, start_script, mode
):
    process = start_script(LOGGING, mode)
    run_id = process.stdout.readline().strip()
    wait_until(lambda: ever_held(spool) > 100)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    held = ever_held(spool)
    assert cli.main(["sync"]) == 0

    stored = tracker.points(run_id, "loss")
    assert stored == steps(held)
    assert tracker.run(run_id)["status"] == "running"  # lost, once it is silent for long
    assert spool_files(spool) == []


def test_a_run_that_was_killed_goes_on_after_its_own_points(tracker, spool, start_script):
    process = start_script(LOGGING, "offline")
    run_id = process.stdout.readline().strip()
    wait_until(lambda: ever_held(spool) > 100)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)

    with exptrack.init("digits", id=run_id, resume=True) as run:
        first = run._recording.queue.next_step
        run.log({"loss": first})
    stored = tracker.points(run_id, "loss")
    assert first > 100
    assert stored == steps(first + 1)
    assert spool_files(spool) == []


def test_a_run_resumed_offline_ends_as_its_last_part_did(tracker, spool, tmp_path):
    first = an_offline_run(10)
    first.finish("killed")
    second = an_offline_run(0, id=first.id, resume=True)
    second.log({"loss": 10}, step=10)
    second.finish()
    shutil.copytree(spool, tmp_path / "copy")
    for _ in range(2):
        assert cli.main(["sync", str(tmp_path / "copy"), "--keep"]) == 0
        assert tracker.run(first.id)["status"] == "finished"
    assert cli.main(["sync"]) == 0

    assert tracker.run(first.id)["status"] == "finished"
    assert tracker.points(first.id, "loss") == steps(11)


def test_a_half_written_record_is_cut_said_and_costs_nothing_before_it(tracker, spool, capfd):
    run = an_offline_run()
    run.finish()
    (path,) = spool_files(spool)
    os.truncate(path, path.stat().st_size - 3)  # the end of the run is not whole
    assert cli.main(["sync"]) == 0

    assert "that were not whole at its end were cut off" in capfd.readouterr().out
    assert tracker.points(run.id, "loss") == steps(100)
    assert tracker.run(run.id)["status"] == "running"


def test_sync_of_what_is_no_spool_or_cannot_be_sent_says_so_and_keeps_it(
    tracker, spool, capfd, monkeypatch
):
    an_offline_run(5).finish()
    (spool / "other.spool").write_text("no spool at all, just some text")
    tracker.server.stop()
    monkeypatch.setattr("exptrack_client.leftovers.PATIENCE", 1)
    assert cli.main(["sync"]) == 1
    out = capfd.readouterr().out
    assert "5 points are left: " in out
    assert "cannot be reached" in out
    assert "it cannot be read: it does not begin like a spool" in out
    assert len(spool_files(spool)) == 2
    tracker.server.start()
    assert cli.main(["sync"]) == 1
    assert [path.name for path in spool_files(spool)] == ["other.spool"]


def test_sync_with_a_dead_token_or_none_says_so(tracker, spool, capfd, monkeypatch):
    an_offline_run(5).finish()
    monkeypatch.setenv("EXPTRACK_TOKEN", "ext_" + "0" * 33)
    assert cli.main(["sync"]) == 1
    said = capfd.readouterr().out
    assert "5 points are left: This token is unknown" in said
    assert said.endswith(f"{tracker.url}/account/.\n")
    monkeypatch.delenv("EXPTRACK_TOKEN")
    assert cli.main(["sync"]) == 1
    assert "there is no token for" in capfd.readouterr().err
    assert len(spool_files(spool)) == 1


def test_sync_leaves_what_is_for_another_server_unless_told(tracker, spool, capfd, monkeypatch):
    run = an_offline_run(5, url="http://elsewhere.example")
    run.finish()
    assert cli.main(["sync"]) == 1
    assert "http://elsewhere.example; --url sends them" in capfd.readouterr().out
    assert cli.main(["sync", "--url", tracker.url]) == 0
    assert tracker.points(run.id, "loss") == steps(5)


def test_offline_status_lists_what_waits_and_changes_nothing(tracker, spool, capfd):
    assert cli.main(["offline-status"]) == 0
    assert "Nothing waits" in capfd.readouterr().out
    run = an_offline_run(1234)
    run.finish()
    live = an_offline_run(1)
    wait_until(lambda: is_written(live))
    before = [path.read_bytes() for path in spool_files(spool)]

    assert cli.main(["offline-status"]) == 0
    out = capfd.readouterr().out
    assert run.id in out
    assert "1,234" in out
    assert "being written" in out
    assert cli.main(["offline-status", "--json"]) == 0
    first, second = json.loads(capfd.readouterr().out)["spools"]
    assert (first["run_id"], first["points"], first["state"]) == (run.id, 1234, "complete")
    assert second["state"] == "being written"
    assert [path.read_bytes() for path in spool_files(spool)] == before
    live.finish()


def test_without_a_token_what_is_logged_is_kept_for_sync(tracker, spool, monkeypatch, capfd):
    token = os.environ["EXPTRACK_TOKEN"]
    monkeypatch.delenv("EXPTRACK_TOKEN")
    run = exptrack.init("digits")
    run.log({"loss": 0}, step=0)
    assert run.finish() == 1
    said = capfd.readouterr().err
    assert "there is no token" in said
    assert "1 point is kept in" in said
    monkeypatch.setenv("EXPTRACK_TOKEN", token)
    assert cli.main(["sync"]) == 0
    assert tracker.points(run.id, "loss") == [(0, 0)]


def test_refused_requests_are_kept_and_named(tracker, wire, spool, capfd):
    with exptrack.init("digits") as run:
        wait_until(lambda: run._recording.outbox.spool is not None)
        wire.faults.append(400)
        run.log({"loss": 1}, step=7)
        wait_until(lambda: not wire.faults and run.pending == 0)
        assert run.finish() == 1

    (kept,) = (spool / "refused").iterdir()
    found = json.loads(kept.read_text())
    assert (found["run"], found["why"]) == (run.id, "Fault 400.")
    assert found["request"]["metrics"]["loss"]["steps"] == [7]
    assert "What was refused is kept in" in capfd.readouterr().err


def test_a_run_the_server_does_not_take_is_kept_apart(tracker, spool, capfd):
    with exptrack.init("digits") as run:
        run.log({"loss": 0.5})
    again = exptrack.init("digits", id=run.id)
    again.log({"loss": 0.4})
    assert again.finish() == 1

    assert spool_files(spool) == []
    (kept,) = spool_files(spool / "refused")
    opened = Spool.open(kept, only_look=True)
    opened.close()
    assert (opened.points, opened.has_end) == (1, True)
    assert "resume=True" in capfd.readouterr().err


@pytest.fixture
def full_disk(monkeypatch):
    """A disk on which nothing can be written while `is_full`, as the system reports it."""

    class Disk:
        is_full = False

    real = outbox.Spool.append

    def append(self, *arguments):
        if Disk.is_full:
            raise OSError(28, "No space left on device")
        return real(self, *arguments)

    monkeypatch.setattr("exptrack_client.outbox.Spool.append", append)
    monkeypatch.setattr("exptrack_client.outbox.TRY_DISK_EVERY", 0.1)
    return Disk


def test_with_a_full_disk_everything_is_still_delivered_in_order(tracker, full_disk, capfd):
    with exptrack.init("digits") as run:
        for step in range(200):
            full_disk.is_full = step >= 100
            run.log({"loss": step}, step=step)
            time.sleep(0.005)
        wait_until(lambda: run._recording.outbox.fault)
        full_disk.is_full = False
        while run._recording.outbox.fault:
            step += 1
            assert step < 5_000
            run.log({"loss": step}, step=step)
            time.sleep(0.005)
        assert run.finish() == 0

    assert tracker.points(run.id, "loss") == steps(step + 1)
    said = capfd.readouterr().err
    assert said.count("nothing can be written to the spool: No space left on device") == 1
    assert said.count("the spool can be written again") == 1


def test_with_a_full_disk_and_no_server_finish_says_what_is_lost(tracker, full_disk, capfd):
    run = exptrack.init("digits")
    for step in range(10):
        run.log({"loss": step}, step=step)
    wait_until(lambda: run.pending == 0)
    tracker.server.stop()
    for step in range(10, 30):
        run.log({"loss": step}, step=step)
    wait_until(lambda: is_written(run))
    full_disk.is_full = True
    for step in range(30, 60):
        run.log({"loss": step}, step=step)
    assert run.finish(timeout=0.5) == 50
    said = capfd.readouterr().err
    assert "20 points are kept in" in said
    assert "30 could not be kept" in said
    tracker.server.start()


def test_a_disk_that_was_full_from_the_start_costs_nothing_with_a_server(
    tracker, spool, monkeypatch, capfd
):
    spool.write_text("a file where the folder should be")
    with exptrack.init("digits", params={"lr": 0.1}) as run:
        for step in range(100):
            run.log({"loss": step}, step=step)
    assert run.pending == 0
    assert tracker.points(run.id, "loss") == steps(100)
    stored = tracker.run(run.id)
    assert (stored["params"], stored["status"]) == ({"lr": 0.1}, "finished")
    assert "Training goes on; what it logs is kept in memory" in capfd.readouterr().err

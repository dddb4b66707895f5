"""`exptrack sync`, on both databases: an offline run arrives as it was, and once."""

from __future__ import annotations

import json
import shutil

from exptrack_client import cli
from exptrack_client.folder import spool_files

from exptrack.tests.waiting import wait_until

from .test_offline import an_offline_run, is_written, steps


def test_an_offline_run_is_sent_by_sync_as_it_was(tracker, spool, capfd):
    run = an_offline_run(params={"lr": 0.1}, tags={"kind": "mlp"}, name="first", notes="# why")
    assert run.finish("failed") == 100
    said = capfd.readouterr().err
    assert "100 points are kept in" in said
    assert "`exptrack sync` sends" in said
    assert tracker.runs() == []

    assert cli.main(["sync"]) == 0
    stored = tracker.run(run.id)
    assert (stored["name"], stored["status"], stored["notes"]) == ("first", "failed", "# why")
    assert (stored["params"], stored["tags"]) == ({"lr": 0.1}, {"kind": "mlp"})
    assert stored["environment"]["command"]
    assert tracker.points(run.id, "loss") == steps(100)
    assert spool_files(spool) == []
    assert f"run {run.id}: 100 points are at the server." in capfd.readouterr().out


def test_what_a_run_left_arrives_although_its_experiment_was_renamed_since(
    tracker, spool, api, alice
):
    run = an_offline_run()
    run.finish()
    script = api(alice)
    begun = script.post("/api/v1/runs/", {"experiment": "digits", "id": run.id})
    where = f"/api/v1/experiments/{begun.json()['experiment']['id']}/"
    assert script.patch(where, {"name": "speech"}, "application/json").status_code == 200
    assert cli.main(["sync"]) == 0

    assert tracker.points(run.id, "loss") == steps(100)
    assert spool_files(spool) == []


def test_a_second_sync_adds_nothing_and_changes_nothing(tracker, spool, api, alice):
    run = an_offline_run(tags={"stage": "warm-up"})
    run.finish()
    assert cli.main(["sync", "--keep"]) == 0
    edited = {"tags": {"stage": "mine"}, "status": "running"}
    api(alice).patch(f"/api/v1/runs/{run.id}/", json.dumps(edited), "application/json")
    before = tracker.run(run.id)
    assert cli.main(["sync"]) == 0

    assert tracker.points(run.id, "loss") == steps(100)
    assert tracker.run(run.id)["tags"] == {"stage": "mine"}
    assert tracker.run(run.id)["status"] == before["status"] == "running"
    assert spool_files(spool) == []


def test_copies_synced_while_the_run_still_writes_add_nothing(tracker, spool, tmp_path, capfd):
    run = an_offline_run(40)
    for number in range(3):
        wait_until(lambda: is_written(run))
        copy = tmp_path / f"copy{number}"
        shutil.copytree(spool, copy)
        assert cli.main(["sync", str(copy)]) == 0
        assert cli.main(["sync"]) == 0  # and the folder itself, which is being written
        stored = tracker.points(run.id, "loss")
        assert stored == steps(len(stored))
        assert len(stored) >= 40
        assert spool_files(copy) == []
        assert len(spool_files(spool)) == 1
        for step in range(40 + number * 10, 50 + number * 10):
            run.log({"loss": step}, step=step)
    assert "it is still being written, so the file stays" in capfd.readouterr().out
    run.finish()
    assert cli.main(["sync"]) == 0

    assert tracker.points(run.id, "loss") == steps(70)
    assert tracker.run(run.id)["status"] == "finished"

"""Ids made here, and the ones that the processes of a launch share."""

from __future__ import annotations

import itertools
import uuid

import exptrack_client as exptrack
import pytest
from exptrack_client import names

from exptrack.tests.waiting import PATIENCE

pytestmark = pytest.mark.only_on("sqlite")

LAUNCH = str(uuid.UUID(int=7))


@pytest.fixture(autouse=True)
def first_init(monkeypatch):
    """As in a process that has not called init() yet, launched by nobody."""
    monkeypatch.setattr(names, "inits", itertools.count())
    launchers = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT", "TORCHELASTIC_RUN_ID")
    for name in ("EXPTRACK_RUN_ID", "WORLD_SIZE", *launchers):
        monkeypatch.delenv(name, raising=False)


def test_ids_sort_by_time_and_are_of_version_7():
    made = [names.uuid7() for _ in range(100)]
    assert {one.version for one in made} == {7}
    assert len(set(made)) == 100
    assert sorted(one.int >> 80 for one in made) == [one.int >> 80 for one in made]


def test_without_a_launcher_every_run_has_its_own():
    assert names.shared_id() == (None, False)


def test_a_run_id_of_the_environment_is_that_of_the_first_run_only(monkeypatch):
    monkeypatch.setenv("EXPTRACK_RUN_ID", LAUNCH)
    assert names.shared_id() == (LAUNCH, False)
    assert names.shared_id() == (None, False)


def test_any_text_names_a_run_the_same_everywhere(monkeypatch):
    monkeypatch.setenv("EXPTRACK_RUN_ID", "slurm 4711")
    first, _ = names.shared_id()
    monkeypatch.setattr(names, "inits", itertools.count())
    assert uuid.UUID(first)
    assert names.shared_id() == (first, False)


def test_ranks_of_torchrun_find_each_other(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", LAUNCH)
    monkeypatch.setenv("WORLD_SIZE", "2")
    first, second = names.shared_id(), names.shared_id()
    monkeypatch.setattr(names, "inits", itertools.count())
    assert [names.shared_id(), names.shared_id()] == [first, second]
    assert first != second
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setattr(names, "inits", itertools.count())
    assert names.shared_id() == (first[0], True)


@pytest.mark.parametrize("launch", ["none", "job17", ""])
def test_a_rendezvous_id_that_people_use_again_is_no_run(monkeypatch, launch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", launch)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert names.shared_id() == (None, False)


def test_ranks_log_into_one_run(tracker, start_script):
    code = """
import os
import exptrack_client as exptrack
with exptrack.init("gpt", params={"lr": 0.1}) as run:
    for step in range(50):
        run.log({"rank" + os.environ["RANK"]: step}, step=step)
"""
    torchrun = {"TORCHELASTIC_RUN_ID": LAUNCH, "WORLD_SIZE": "3"}
    ranks = [start_script(code, **torchrun, RANK=str(rank)) for rank in range(3)]
    for rank in ranks:
        _, errors = rank.communicate(timeout=PATIENCE)
        assert rank.returncode == 0, errors

    (run,) = exptrack.runs("gpt")
    for rank in range(3):
        assert run.history(f"rank{rank}").values == list(range(50))
    assert run.status == "finished"


def test_a_rank_that_comes_after_another_ended_the_run_still_logs(tracker, monkeypatch):
    monkeypatch.setenv("EXPTRACK_RUN_ID", LAUNCH)
    for rank in range(2):
        monkeypatch.setattr(names, "inits", itertools.count())
        with exptrack.init("gpt") as run:
            run.log({f"rank{rank}": 1.0})
    assert set(tracker.summaries(LAUNCH)) == {"rank0", "rank1"}


def test_a_job_that_slurm_queued_again_goes_on_with_its_run(tracker, monkeypatch):
    monkeypatch.setenv("EXPTRACK_RUN_ID", "job 4711")
    with exptrack.init("gpt") as run:
        run.log({"loss": 1.0}, step=41)
    monkeypatch.setattr(names, "inits", itertools.count())
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with exptrack.init("gpt") as again:
        assert tracker.run(run.id)["status"] == "running"
        again.log({"loss": 0.5})
    assert tracker.points(run.id, "loss") == [(41, 1.0), (42, 0.5)]

"""A training script's view: begin, log, describe, end."""

from __future__ import annotations

import argparse
import math
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from types import SimpleNamespace

import exptrack_client as exptrack
import pytest

from exptrack.tests.waiting import PATIENCE, wait_until


class Boom(Exception):
    pass


def test_a_logged_run_is_stored_with_its_points_params_and_tags(tracker):
    with exptrack.init("digits", name="first", params={"lr": 0.1}, tags={"kind": "mlp"}) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1), "val/accuracy": step / 100}, step=step)

    stored = tracker.run(run.id)
    assert stored["name"] == "first"
    assert stored["experiment"]["name"] == "digits"
    assert stored["status"] == "finished"
    assert stored["params"] == {"lr": 0.1}
    assert stored["tags"] == {"kind": "mlp"}
    assert tracker.points(run.id, "loss") == [(step, 1 / (step + 1)) for step in range(100)]
    assert tracker.points(run.id, "val/accuracy")[-1] == (99, 0.99)
    assert run.pending == 0
    assert run.url == f"{tracker.url}/runs/{run.id}/"


def test_without_a_step_each_log_call_counts_one_up(tracker):
    with exptrack.init("digits") as run:
        run.log({"a": 1})
        run.log({"a": 2, "b": 2})
        run.log({"b": 3}, step=10)
        run.log({"a": 4})

    assert tracker.points(run.id, "a") == [(0, 1), (1, 2), (11, 4)]
    assert tracker.points(run.id, "b") == [(1, 2), (10, 3)]


def test_a_resumed_run_counts_on_from_its_greatest_step(tracker):
    with exptrack.init("digits") as run:
        run.log({"loss": 0.5}, step=41)
    with exptrack.init("digits", id=run.id, resume=True) as again:
        assert tracker.run(run.id)["status"] == "running"
        again.log({"loss": 0.4})

    assert tracker.points(run.id, "loss") == [(41, 0.5), (42, 0.4)]
    assert tracker.run(run.id)["status"] == "finished"


def test_a_run_that_ended_is_not_joined_without_resume(tracker, capfd):
    with exptrack.init("digits") as run:
        run.log({"loss": 0.5})
    again = exptrack.init("digits", id=run.id)
    again.log({"loss": 0.4})

    assert again.finish() == 1
    assert len(tracker.points(run.id, "loss")) == 1
    assert "resume=True" in capfd.readouterr().err


def test_a_run_is_resumed_where_it_is_by_now(tracker, api, alice):
    runs = [exptrack.init(name) for name in ("renamed", "left")]
    for run in runs:
        run.finish()
    script = api(alice)
    for run, change in zip(runs, ({"name": "digits"}, None)):
        stored = tracker.run(run.id)
        if change:
            where = f"experiments/{stored['experiment']['id']}/"
        else:
            where, change = f"runs/{run.id}/", {"experiment": "digits"}
        assert script.patch(f"/api/v1/{where}", change, "application/json").status_code == 200
    for run, name in zip(runs, ("renamed", "left")):
        with exptrack.init(name, id=run.id, resume=True) as again:
            again.log({"loss": 0.5})

    for run in runs:
        assert tracker.points(run.id, "loss") == [(0, 0.5)]
        assert tracker.run(run.id)["experiment"]["name"] == "digits"


def test_an_id_of_another_experiments_run_is_refused_unless_it_is_resumed(tracker, capfd):
    with exptrack.init("digits") as run:
        other = exptrack.init("speech", id=run.id)
        other.log({"loss": 0.5})
        assert other.finish() == 1

    said = capfd.readouterr().err
    assert "cannot be used" in said
    assert "`exptrack sync` with its path sends what is there" in said
    assert tracker.summaries(run.id) == {}


def test_values_that_float_takes_are_logged(tracker):
    class Tensor:
        def __float__(self):
            return 0.25

    with exptrack.init("digits") as run:
        run.log({"tensor": Tensor(), "int": 3, "bool": True, "text": "0.5"})
        run.log({"tensor": Tensor(), "int": 3, "bool": True, "text": "0.5"})

    for name, value in (("tensor", 0.25), ("int", 3), ("bool", 1), ("text", 0.5)):
        assert tracker.points(run.id, name) == [(0, value), (1, value)]


def test_values_that_are_not_finite_are_kept_as_they_are(tracker):
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    with exptrack.init("digits") as run:
        for value in values:
            run.log({"loss": value})

    stored = [value for _, value in tracker.points(run.id, "loss")]
    assert list(map(repr, stored)) == list(map(repr, values))


def test_nested_metrics_and_params_are_flattened_with_slashes(tracker):
    with exptrack.init("digits", params={"optimizer": {"name": "adam", "lr": 0.1}}) as run:
        run.log({"train": {"loss": 0.5}})

    assert tracker.run(run.id)["params"] == {"optimizer/name": "adam", "optimizer/lr": 0.1}
    assert tracker.points(run.id, "train/loss") == [(0, 0.5)]


def test_params_may_be_a_namespace_and_hold_any_object(tracker):
    given = argparse.Namespace(
        lr=0.1, layers=(64, 32), act=Boom, limit=math.inf, seed=2**70, path=None, on=True
    )
    with exptrack.init("digits", params=given) as run:
        pass

    assert tracker.run(run.id)["params"] == {
        "lr": 0.1,
        "layers": [64, 32],
        "act": str(Boom),
        "limit": "Infinity",
        "seed": str(2**70),
        "path": None,
        "on": True,
    }


class Unprintable:
    """As a tensor without data, or a proxy whose object is gone."""

    ndim = 0

    def item(self):
        raise RuntimeError("there is nothing in it")

    def __repr__(self):
        raise RuntimeError("there is nothing to print")


def test_no_odd_value_ever_stops_training(tracker, capfd):
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with exptrack.init("digits", tags=7) as run:
        for odd in (Unprintable(), nested, 10**5_000, [10**5_000]):
            run.params({"odd": odd, "list": [odd]})
            run.params({"odd": odd, "lr": 0.1})
            run.tags({"odd": odd})
            run.tags([[odd]])
            run.log({"loss": odd})
            run.log({"loss": 0.5}, step=odd)
            run.log({"loss": 0.5}, time=odd)
        run.tags(None)
        run.tags(label for label in ("kept", []))
        run.finish(Unprintable())

    stored = tracker.run(run.id)
    assert (stored["status"], stored["params"]["lr"]) == ("finished", 0.1)
    assert stored["params"]["odd"] == "<Unprintable that cannot be printed>"
    assert len(tracker.points(run.id, "loss")) == 8
    said = capfd.readouterr().err
    assert "tags must be a dict or a list of labels: 'NoneType'" in said
    assert "step <Unprintable that cannot be printed> is no whole number" in said


@dataclass
class Config:
    __slots__ = ("depth", "lr")
    lr: float
    depth: int


def test_params_may_be_a_dataclass_with_slots(tracker):
    with exptrack.init("digits", params=Config(0.1, 3)) as run:
        pass

    assert tracker.run(run.id)["params"] == {"lr": 0.1, "depth": 3}


def test_configs_within_configs_are_flattened_too(tracker):
    given = argparse.Namespace(model=Config(0.1, 3), data=SimpleNamespace(n=500, api_key="hush"))
    with exptrack.init("digits", params=given) as run:
        run.params({"best": {"model": Config(0.2, 4)}, "kind": Config})
        run.log({"model": Config(0.3, 5)})
        run.log({"model": SimpleNamespace(lr=0.4)})
        run.log({"model": 0.5})

    assert tracker.run(run.id)["params"] == {
        "model/lr": 0.1,
        "model/depth": 3,
        "data/n": 500,
        "data/api_key": "[masked]",
        "best/model/lr": 0.2,
        "best/model/depth": 4,
        "kind": str(Config),
    }
    assert tracker.points(run.id, "model/lr") == [(0, 0.3), (1, 0.4)]
    assert tracker.points(run.id, "model") == [(2, 0.5)]


def test_a_changed_param_warns_and_keeps_the_first_value(tracker, capfd):
    with exptrack.init("digits", params={"lr": 0.1, "width": 8}) as run:
        run.params({"lr": 0.2, "width": 8, "depth": 2})

    assert tracker.run(run.id)["params"] == {"lr": 0.1, "width": 8, "depth": 2}
    assert "param 'lr' keeps its first value, 0.1" in capfd.readouterr().err


def test_a_param_another_process_set_otherwise_spares_the_others(tracker, capfd):
    with exptrack.init("digits", params={"lr": 0.1}) as run:
        other = exptrack.init("digits", id=run.id, params={"lr": 0.2, "width": 8})
        other.finish()

    assert tracker.run(run.id)["params"] == {"lr": 0.1, "width": 8}
    assert "param 'lr' was not taken" in capfd.readouterr().err


def test_tags_may_be_bare_labels_and_are_overwritten(tracker):
    with exptrack.init("digits", tags=["baseline"]) as run:
        run.tags({"stage": "warm-up"})
        run.tags({"stage": "main", "epoch": 3})

    assert tracker.run(run.id)["tags"] == {"baseline": "", "stage": "main", "epoch": "3"}


def test_secrets_are_masked_before_they_leave(tracker):
    secret = "hf_" + "a" * 34

    def train():
        with run:
            raise Boom(f"no access with {secret}")

    run = exptrack.init("digits", params={"api": {"token": "abc"}}, tags={"db/password": "abc"})
    with pytest.raises(Boom):
        train()

    stored = tracker.run(run.id)
    assert stored["params"] == {"api/token": "[masked]"}
    assert stored["tags"] == {"db/password": "[masked]"}
    assert stored["error"].endswith("no access with [masked]")


def test_a_name_the_server_would_refuse_is_mended_and_said_once(tracker, capfd):
    with exptrack.init("digits") as run:
        for _ in range(3):
            run.log({"acc@5": 1.0, "acc%5": 2.0, " loss ": 3.0})

    assert len(tracker.points(run.id, "acc_5")) == 3
    assert tracker.points(run.id, "acc_5_2")[0] == (0, 2.0)
    assert tracker.points(run.id, "loss")[0] == (0, 3.0)
    assert capfd.readouterr().err.count("'acc@5' is logged as 'acc_5'") == 1


def test_what_is_no_number_is_left_out_and_said_and_the_rest_is_kept(tracker, capfd):
    with exptrack.init("digits") as run:
        run.log({"loss": 0.5, "image": object(), "none": None, "huge": 10**400})
        run.log(7)
        run.log({"loss": 0.4}, step=0.5)
        run.log({"loss": 0.3}, time="yesterday")

    assert tracker.points(run.id, "loss") == [(0, 0.5), (1, 0.4), (2, 0.3)]
    assert set(tracker.summaries(run.id)) == {"loss"}
    said = capfd.readouterr().err
    for part in (
        "'image' is left out",
        "'none' is",
        "'huge' is",
        "dict",
        "0.5 is no whole",
        "time",
    ):
        assert part in said


def test_a_time_is_a_datetime_or_seconds_since_the_epoch(tracker):
    moment = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    with exptrack.init("digits") as run:
        run.log({"a": 1}, time=moment)
        run.log({"b": 1}, time=moment.timestamp())
        before = time.time()
        run.log({"c": 1})

    summaries = tracker.summaries(run.id)
    assert summaries["a"]["last_time"] == summaries["b"]["last_time"] == 1769860800000
    assert before - 1 < summaries["c"]["last_time"] / 1000 < time.time() + 1


def test_more_metrics_in_a_call_than_a_batch_holds_arrive_under_one_step(tracker):
    with exptrack.init("digits") as run:
        run.log({f"layer/{number}": number for number in range(12_345)})
        run.log({"loss": 1.0})

    summaries = tracker.summaries(run.id)
    assert len(summaries) == 12_346
    assert summaries["layer/0"]["last_step"] == summaries["layer/12344"]["last_step"] == 0
    assert summaries["loss"]["last_step"] == 1


def test_a_block_left_by_an_exception_marks_the_run_failed_with_its_last_lines(tracker):
    def train():
        with run:
            run.log({"loss": 0.5})
            raise Boom("the loss went up")

    run = exptrack.init("digits")
    with pytest.raises(Boom):
        train()

    stored = tracker.run(run.id)
    assert stored["status"] == "failed"
    assert stored["error"].endswith("Boom: the loss went up")
    assert "raise Boom" in stored["error"]
    assert len(tracker.points(run.id, "loss")) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "killed"), (SystemExit(0), "finished"), (SystemExit(3), "failed")],
)
def test_ctrl_c_and_exits_end_the_run_as_what_they_are(tracker, error, status):
    with pytest.raises(type(error)), exptrack.init("digits") as run:
        raise error

    assert tracker.run(run.id)["status"] == status


def test_finish_says_which_way_it_ended(tracker, capfd):
    run = exptrack.init("digits")
    assert run.finish("failed") == 0
    assert run.finish() == 0
    other = exptrack.init("digits")
    other.finish("done")

    assert tracker.run(run.id)["status"] == "failed"
    assert tracker.run(other.id)["status"] == "finished"
    assert "'done' is no status" in capfd.readouterr().err


def test_logging_after_finish_is_said_once_and_harms_nothing(tracker, capfd):
    run = exptrack.init("digits")
    run.finish()
    run.log({"loss": 1.0})
    run.log({"loss": 1.0})
    run.params({"lr": 1})

    assert capfd.readouterr().err.count("after finish()") == 1
    assert tracker.summaries(run.id) == {}


def test_the_module_speaks_for_the_current_run(tracker, capfd):
    exptrack.log({"loss": 1.0})
    with exptrack.init("digits") as outer:
        exptrack.log({"loss": 1.0})
        with exptrack.init("digits", parent=outer) as inner:
            exptrack.log({"loss": 2.0})
            exptrack.params({"lr": 1})
            exptrack.tags("child")
        exptrack.log({"loss": 3.0})
        assert exptrack.current_run() is outer
        assert exptrack.finish() == 0

    assert exptrack.current_run() is None
    assert [value for _, value in tracker.points(outer.id, "loss")] == [1.0, 3.0]
    stored = tracker.run(inner.id)
    assert stored["params"] == {"lr": 1}
    assert stored["tags"] == {"child": ""}
    assert "call exptrack_client.init() first" in capfd.readouterr().err


def test_a_disabled_run_sends_and_says_nothing(tracker, capfd, monkeypatch):
    monkeypatch.setenv("EXPTRACK_MODE", "disabled")
    with exptrack.init("digits", params={"lr": 1}, tags=["a"]) as run:
        run.log({"loss": 1.0})

    assert capfd.readouterr().err == ""
    assert tracker.runs() == []
    assert run.pending == 0


def test_a_stop_request_reaches_the_run(tracker, api, alice, monkeypatch):
    monkeypatch.setattr("exptrack_client.sender.BEAT_EVERY", 0.1)
    with exptrack.init("digits") as run:
        assert not run.stop_requested
        api(alice).post(f"/api/v1/runs/{run.id}/stop/")
        wait_until(lambda: run.stop_requested)


def test_where_it_runs_is_captured_and_can_be_turned_off(tracker):
    with exptrack.init("digits") as run:
        pass
    with exptrack.init("digits", capture=False) as bare:
        pass

    environment = tracker.run(run.id)["environment"]
    assert environment["command"]
    assert environment["host"]
    assert environment["python"].startswith("3.")
    assert tracker.run(bare.id)["environment"] == {}


@pytest.mark.parametrize("experiment", ["", "  ", None])
def test_an_experiment_without_a_name_is_an_error_at_once(experiment):
    with pytest.raises(ValueError, match="it must be a name or an id"):
        exptrack.init(experiment, mode="offline")


def test_an_ill_formed_id_parent_or_mode_is_an_error_at_once():
    with pytest.raises(ValueError, match="id is 'seven'; .*uuid5"):
        exptrack.init("digits", id="seven")
    with pytest.raises(ValueError, match="parent is"):
        exptrack.init("digits", parent="seven")
    with pytest.raises(ValueError, match="mode is 'ofline'"):
        exptrack.init("digits", mode="ofline")


def test_what_the_server_refuses_of_a_new_run_does_not_cost_the_run(tracker, capfd):
    with exptrack.init("digits", name="first", parent=str(uuid.uuid4())) as run:
        run.log({"loss": 1.0})

    assert tracker.points(run.id, "loss") == [(0, 1.0)]
    assert "recorded without name, parent, environment" in capfd.readouterr().err


def test_a_stop_request_can_raise_and_ends_the_run_as_killed(tracker, api, alice, monkeypatch):
    monkeypatch.setattr("exptrack_client.sender.BEAT_EVERY", 0.1)

    def train():
        with exptrack.init("digits", raise_on_stop=True) as run:
            api(alice).post(f"/api/v1/runs/{run.id}/stop/")
            for _ in range(PATIENCE * 100):
                exptrack.log({"loss": 1.0})
                time.sleep(0.01)

    with pytest.raises(exptrack.StopRequested, match="asked for run"):
        train()

    (stored,) = tracker.runs()
    assert stored["status"] == "killed"
    assert tracker.summaries(stored["id"])["loss"]["count"] < PATIENCE * 100


def test_what_is_logged_when_a_run_is_stopped_and_after_is_kept(tracker, api, alice, monkeypatch):
    monkeypatch.setattr("exptrack_client.sender.BEAT_EVERY", 0.1)
    with exptrack.init("digits", raise_on_stop=True) as run:
        api(alice).post(f"/api/v1/runs/{run.id}/stop/")
        wait_until(lambda: run.stop_requested)
        with pytest.raises(exptrack.StopRequested):
            run.log({"loss": 1.0})
        run.log({"loss": 2.0})

    assert tracker.points(run.id, "loss") == [(0, 1.0), (1, 2.0)]

"""Runs and points read back."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from urllib.parse import parse_qs, urlsplit

import exptrack_client as exptrack
import pytest
from exptrack_client.reading import checked
from exptrack_client.transport import Answer


@pytest.fixture
def three(tracker):
    """Three finished runs with losses 1, 1/2 and 1/3 and one unlike them."""
    made = []
    for number in range(1, 4):
        with exptrack.init("digits", name=f"run {number}", params={"lr": number / 10}) as run:
            for step in range(5):
                run.log({"loss": 1 / number if step == 4 else 9.0, "odd": math.nan}, step=step)
        made.append(run.id)
    with exptrack.init("other", tags=["unlike"]) as run:
        pass
    return made


def test_the_runs_of_an_experiment_come_newest_first(three):
    found = exptrack.runs("digits")

    assert [run.id for run in found] == three[::-1]
    newest = found[0]
    assert (newest.name, newest.status, newest["params"]) == ("run 3", "finished", {"lr": 0.3})
    assert newest.metrics["loss"] == 1 / 3
    assert math.isnan(newest.metrics["odd"])
    assert len(exptrack.runs()) == 4


def test_runs_are_ordered_filtered_and_limited(three):
    best = exptrack.runs("digits", order="metrics.loss", limit=2, fields=["metrics.loss"])
    assert [run.id for run in best] == three[:0:-1]
    assert best[0].params == {}
    assert [run.experiment["name"] for run in exptrack.runs(tag="unlike")] == ["other"]
    assert exptrack.runs("digits", status="failed") == []


def test_more_runs_than_a_page_are_all_read(three, monkeypatch):
    monkeypatch.setattr("exptrack_client.reading.PAGE", 2)
    assert len(exptrack.runs()) == 4
    assert len(exptrack.runs(limit=3)) == 3


def test_a_history_is_plain_lists(three, monkeypatch):
    monkeypatch.setattr("exptrack_client.reading.POINTS_A_REQUEST", 2)
    points = exptrack.get_run(three[0]).history("loss")

    assert points.steps == [0, 1, 2, 3, 4]
    assert points.values == [9.0, 9.0, 9.0, 9.0, 1.0]
    assert all(abs(moment - time.time()) < 600 for moment in points.times)
    assert all(map(math.isnan, exptrack.get_run(three[0]).history("odd").values))


def test_summaries_are_of_every_metric(three):
    summaries = exptrack.get_run(three[1]).summaries()
    assert summaries["loss"]["min"] == 0.5
    assert summaries["loss"]["count"] == 5
    assert abs(summaries["loss"]["last_time"] - time.time()) < 600
    assert summaries["odd"]["nan_count"] == 5


def test_a_query_is_passed_on(three, wire):
    with contextlib.suppress(exptrack.ReadError):  # a server without the filter language says so
        found = exptrack.runs("digits", "metrics.loss < 0.6 and params.lr <= 0.2")
        assert [run.id for run in found] == [three[1]]
    asked = parse_qs(urlsplit(wire.requests[-1][0]).query)
    assert asked["q"] == ["metrics.loss < 0.6 and params.lr <= 0.2"]
    assert asked["experiment"] == ["digits"]


@pytest.mark.parametrize(
    ("ask", "says", "status"),
    [
        (lambda: exptrack.runs("nothing"), "no experiment 'nothing'", 400),
        (lambda: exptrack.runs(order_by="red"), "order_by: Known are .*, ordering, owner", 400),
        (lambda: exptrack.runs(token="ext_" + "0" * 33), "unknown, expired or revoked", 401),
        (lambda: exptrack.runs(url="http://127.0.0.1:9"), "cannot be reached", 0),
        (lambda: exptrack.runs(url="127.0.0.1"), "begins with http", 0),
        (lambda: exptrack.get_run("0" * 32), "no such run", 404),
        (lambda: exptrack.get_run("run 1"), "'run 1' is no run's id", 0),
        (lambda: exptrack.get_run("http://127.0.0.1:8000/"), "nor the address of a run's page", 0),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_why(three, monkeypatch, ask, says, status):
    monkeypatch.setattr("exptrack_client.transport.FIRST_WAIT", 0.01)
    with pytest.raises(exptrack.ReadError, match=says) as caught:
        ask()
    assert caught.value.status == status


def test_a_run_is_read_by_the_address_of_its_page(three):
    (run,) = exptrack.runs("digits", limit=1)
    assert run.url.startswith("http")
    assert exptrack.get_run(f"{run.url}?x=time#loss").id == run.id


def test_fields_are_a_list_or_a_text_with_commas(three):
    for fields in (["params.lr", "metrics.loss"], "params.lr,metrics.loss"):
        run = exptrack.runs("digits", fields=fields, limit=1)[0]
        assert (run.params, run.metrics) == ({"lr": 0.3}, {"loss": 1 / 3})


def test_a_server_that_does_not_know_what_the_client_asks_is_older():
    error = {"message": "The query has unknown parameters.", "details": {"q": ["Known are …"]}}
    with pytest.raises(exptrack.ReadError, match="older than this client: it does not know q"):
        checked(Answer(400, {"error": error}, True, {}))


def test_a_metric_that_is_not_there_is_named(three):
    with pytest.raises(exptrack.ReadError, match="no metric 'los'"):
        exptrack.get_run(three[0]).history("los")


def test_a_server_that_is_busy_is_asked_again(three, wire, monkeypatch):
    monkeypatch.setattr("exptrack_client.transport.FIRST_WAIT", 0.01)
    wire.to = "/"
    wire.faults.extend([503, 429])
    assert exptrack.get_run(three[0]).name == "run 1"


def test_pandas_gets_frames_and_is_asked_for_where_it_is_missing(three, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        exptrack.runs("digits").to_pandas()


def test_frames_hold_what_was_read(three):
    pandas = pytest.importorskip("pandas")
    frame = exptrack.runs("digits").to_pandas()
    assert list(frame.index) == three[::-1]
    assert list(frame["params.lr"]) == [0.3, 0.2, 0.1]
    assert frame["experiment"].unique() == ["digits"]
    for name in ("started_at", "ended_at", "trashed_at"):
        assert isinstance(frame[name].dtype, pandas.DatetimeTZDtype)
    points = exptrack.get_run(three[0]).history("loss").to_pandas()
    assert list(points["value"]) == [9.0, 9.0, 9.0, 9.0, 1.0]
    assert isinstance(points["time"].dtype, pandas.DatetimeTZDtype)
    assert exptrack.runs("digits", status="failed").to_pandas().empty

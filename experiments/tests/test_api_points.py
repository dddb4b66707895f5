"""Points read back: metrics/, history/, series/ and compare/."""

import csv
import io
import math
import uuid

import numpy as np
import pytest

from experiments import appending, recording
from experiments.models import Run
from experiments.storing import Columns
from exptrack.tests.statements import cost

RUNS = "/api/v1/runs/"
SERIES = "/api/v1/series/"
COMPARE = "/api/v1/compare/"
NOW = 1_700_000_000_000


@pytest.fixture
def script(api, alice):
    """Alice's."""
    return api(alice)


@pytest.fixture
def start(alice):
    """Starts a run of Alice's with metrics given as values, or as Columns."""

    def run(name="one", params=None, tags=None, environment=None, **metrics) -> Run:
        started = recording.start_run(
            user=alice, experiment="digits", name=name, params=params, tags=tags,
            environment=environment,
        )[0]  # fmt: skip
        columns = {
            metric.replace("__", "/"): values
            if isinstance(values, Columns)
            else Columns(values=np.array(values, dtype=float))
            for metric, values in metrics.items()
        }
        appending.append(user=alice, run_id=started.pk, metrics=columns)
        return started

    return run


def at(run, room) -> str:
    return f"{RUNS}{run.pk}/{room}"


def counted(n, start=0) -> Columns:
    """n points with steps, times and values that count up."""
    steps = np.arange(start, start + n)
    return Columns(values=steps.astype(float), steps=steps, times=NOW + steps * 1000)


# --- Metrics ---------------------------------------------------------------------------------


def test_every_series_is_summed_up(script, start):
    run = start(val__loss=[3.0, math.nan, 1.0, math.inf, 2.0], acc=[-math.inf])
    acc, loss = script.get(at(run, "metrics/")).json()["results"]
    assert loss | {"last_time": 0} == {
        "name": "val/loss", "count": 5, "first_step": 0, "last_step": 4, "last": 2.0,
        "last_time": 0, "min": 1.0, "min_step": 2, "max": 3.0, "max_step": 0, "mean": 2.0,
        "nan_count": 1, "inf_count": 1,
    }  # fmt: skip
    assert (acc["last"], acc["min"], acc["mean"], acc["inf_count"]) == ("-Infinity", None, None, 1)


def test_thousands_of_metrics_all_come_in_their_order(script, start):
    run = start(**{f"m{n:05}": [float(n)] for n in range(4_100)})
    found = script.get(at(run, "metrics/")).json()["results"]
    assert [metric["name"] for metric in found] == [f"m{n:05}" for n in range(4_100)]


# --- History ---------------------------------------------------------------------------------


def test_history_gives_points_exactly_and_in_the_order_logged(script, start):
    values = np.array([0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf])
    steps = np.array([5, 3, 3, -(2**63), 2**63 - 1, 0, 1])
    run = start(x=Columns(values=values, steps=steps, times=steps[::-1]))
    found = script.get(at(run, "history/"), {"metric": "x"}).json()["metrics"]["x"]
    assert (found["count"], found["after"], found["next"]) == (7, 0, None)
    assert found["steps"] == steps.tolist()
    assert found["times"] == steps[::-1].tolist()
    assert list(map(repr, found["values"])) == [
        "0.1", "-0.0", "5e-324", "1.7976931348623157e+308", "'NaN'", "'Infinity'", "'-Infinity'"
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 63, 64, 1000, 70_000])
def test_a_cursor_walks_through_every_point_once(script, start, size):
    run = start(loss=counted(size))
    step = max(size // 3, 1)
    seen, after = [], 0
    while after is not None:
        query = {"metric": "loss", "after": after, "limit": step}
        found = script.get(at(run, "history/"), query).json()["metrics"]["loss"]
        assert (found["after"], len(found["steps"])) == (after, min(step, size - after))
        seen += found["values"]
        after = found["next"]
    assert seen == list(map(float, range(size)))


def test_a_script_tails_several_metrics_by_how_many_points_it_holds(script, start, alice):
    run = start(a=counted(3), b=counted(5))
    ask = {"metric": ["b", "a"], "after": ["4", "3"]}
    found = script.get(at(run, "history/"), ask).json()["metrics"]
    assert list(found) == ["b", "a"]
    assert (found["b"]["values"], found["a"]["values"]) == ([4.0], [])
    appending.append(user=alice, run_id=run.pk, metrics={"a": counted(1, 3), "b": counted(1, 5)})
    found = script.get(at(run, "history/"), {"metric": ["b", "a"], "after": ["5", "3"]}).json()
    assert found["metrics"]["a"]["values"] == [3.0]
    assert found["metrics"]["b"]["values"] == [5.0]
    once = script.get(at(run, "history/"), {"metric": ["a", "b"], "after": "2"}).json()["metrics"]
    assert (once["a"]["values"], once["b"]["values"]) == ([2.0, 3.0], [2.0, 3.0, 4.0, 5.0])


def test_a_cursor_past_the_end_finds_nothing(script, start):
    run = start(a=counted(3))
    for after in (3, 4, 2**63 - 1):
        answer = script.get(at(run, "history/"), {"metric": "a", "after": after, "limit": 100_000})
        found = answer.json()["metrics"]["a"]
        assert (found["count"], found["next"], found["steps"]) == (3, None, [])
    lines = b"".join(
        script.get(at(run, "history/"), {"metric": "a", "after": 2**63 - 1, "format": "csv"})
    )
    assert lines == b"metric,step,time,value\r\n"


def test_an_answer_holds_half_a_million_points_and_says_where_to_go_on(script, start):
    run = start(**{f"m{n}": counted(100_000) for n in range(6)})
    query = {"metric": [f"m{n}" for n in range(6)], "limit": 100_000}
    found = script.get(at(run, "history/"), query).json()["metrics"]
    assert {len(series["steps"]) for series in found.values()} == {500_000 // 6}
    assert {series["next"] for series in found.values()} == {500_000 // 6}


def test_history_comes_as_csv_whole_and_exact(script, start):
    run = start(val__loss=counted(70_000), bad=[math.nan, -math.inf, 1 / 3])
    query = {"metric": ["bad", "val/loss"], "format": "csv"}
    answer = script.get(at(run, "history/"), query)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="history-{run.pk}.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode(), newline="")))
    assert len(rows) == 70_003
    assert list(rows[0]) == ["metric", "step", "time", "value"]
    assert [row["value"] for row in rows[:3]] == ["NaN", "-Infinity", repr(1 / 3)]
    assert rows[-1] == {
        "metric": "val/loss", "step": "69999", "time": str(NOW + 69_999_000), "value": "69999.0"
    }  # fmt: skip
    some = script.get(at(run, "history/"), {**query, "limit": 2, "after": ["1", "69999"]})
    rows = list(csv.DictReader(io.StringIO(b"".join(some).decode(), newline="")))
    assert [row["step"] for row in rows] == ["1", "2", "69999"]


def test_a_metric_s_name_runs_in_no_spreadsheet(script, alice, start):
    run = start()
    appending.append(user=alice, run_id=run.pk, metrics={"-x": counted(1)})
    lines = b"".join(script.get(at(run, "history/"), {"metric": "-x", "format": "csv"}))
    assert lines.splitlines()[1].startswith(b"'-x,0,")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "metric"),
        ({"metric": ["a", "a"]}, "metric"),
        ({"metric": "a$"}, "metric.0"),
        ({"metric": [f"m{n}" for n in range(201)]}, "metric"),
        ({"metric": "a", "after": "-1"}, "after.0"),
        ({"metric": "a", "after": str(2**63)}, "after.0"),
        ({"metric": "a", "after": "1.0"}, "after.0"),
        ({"metric": "a", "after": "٣"}, "after.0"),
        ({"metric": ["a", "b", "c"], "after": ["1", "2"]}, "after"),
        ({"metric": "a", "limit": "0"}, "limit"),
        ({"metric": "a", "limit": "100001"}, "limit"),
        ({"metric": "a", "format": "xml"}, "format"),
        ({"metric": "a", "step": "1"}, "step"),
    ],
)
def test_a_question_that_cannot_be_answered_is_named(script, start, query, field):
    answer = script.get(at(start(), "history/"), query)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["error"]["details"]) == [field]


def test_a_metric_that_is_not_there_is_a_404(script, start):
    answer = script.get(at(start(a=[1]), "history/"), {"metric": ["a", "b"]})
    assert answer.status_code == 404
    assert "'b'" in answer.json()["error"]["message"]


# --- Series ----------------------------------------------------------------------------------


def ask(script, *runs, metric="loss", **query):
    """The series of some runs, as the answer has them."""
    query = {"run": [str(run.pk) for run in runs], "metric": metric, **query}
    answer = script.get(SERIES, {name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == 200, answer.content
    return answer.json()["series"]


def test_a_short_series_comes_raw(script, start):
    run = start(loss=[3.0, math.nan, 1.0])
    (found,) = ask(script, run)
    assert found == {
        "run": str(run.pk), "metric": "loss", "count": 3,
        "total": 3, "x": [0, 1, 2], "y": [3.0, "NaN", 1.0],
        "lo": [3.0, None, 1.0], "hi": [3.0, None, 1.0], "nan": [0, 1, 0], "inf": [0, 0, 0],
        "raw": True,
    }  # fmt: skip


def test_a_long_series_keeps_its_extremes_and_counts_in_each_bucket(script, start):
    values = np.sin(np.arange(10_000) / 50)
    values[5_000], values[123], values[777] = 40.0, -40.0, math.nan
    values[888] = math.inf
    run = start(loss=values)
    (found,) = ask(script, run, buckets=100)
    assert (found["count"], found["raw"]) == (10_000, False)
    assert len(found["x"]) <= 100
    assert (max(found["hi"]), min(found["lo"])) == (40.0, -40.0)
    assert (sum(found["nan"]), sum(found["inf"])) == (1, 1)
    assert (found["x"][0], found["x"][-1]) == (0, 9_999) or found["x"] == sorted(found["x"])


def test_x_may_be_time_relative_or_another_metric(script, start, alice):
    run = start(loss=counted(4))
    started = run.started_at.timestamp() * 1000
    (found,) = ask(script, run, x="time")
    assert found["x"] == [NOW, NOW + 1000, NOW + 2000, NOW + 3000]
    (found,) = ask(script, run, x="relative")
    assert found["x"] == pytest.approx([(NOW + n * 1000 - started) / 1000 for n in range(4)])
    epochs = Columns(values=np.array([0.5, 0.25, 0.75]), steps=np.array([0, 2, 3]))
    appending.append(user=alice, run_id=run.pk, metrics={"epoch": epochs})
    (found,) = ask(script, run, x="metric:epoch")
    assert (found["x"], found["y"]) == ([0.25, 0.5, 0.75], [2.0, 0.0, 3.0])
    assert ask(script, run, x="metric:absent") == []


def test_from_and_to_are_inclusive_in_units_of_x(script, start):
    run = start(loss=counted(100))
    (found,) = ask(script, run, from_="10", to="12")
    assert (found["count"], found["x"]) == (3, [10, 11, 12])
    (found,) = ask(script, run, x="time", from_=str(NOW + 5_000), to=str(NOW + 6_500))
    assert found["x"] == [NOW + 5_000, NOW + 6_000]
    (found,) = ask(script, run, from_="9.5", to="1e300")
    assert (found["x"][0], found["count"]) == (10, 90)
    (found,) = ask(script, run, from_="-1e300", to="0.5")
    assert found["x"] == [0]
    (found,) = ask(script, run, from_="50", to="40")
    assert (found["count"], found["x"]) == (0, [])
    (found,) = ask(script, run, from_="1e6")
    assert found["count"] == 0


def test_smoothing_does_not_change_with_the_range_or_the_buckets(script, start):
    run = start(loss=np.random.default_rng(1).normal(size=3_000))
    (whole,) = ask(script, run, smoothing="0.9", buckets="2000")
    (part,) = ask(script, run, smoothing="0.9", from_="1000", to="1010")
    smooth = dict(zip(whole["x"], whole["smooth"], strict=True))
    shared = [(x, y) for x, y in zip(part["x"], part["smooth"], strict=True) if x in smooth]
    assert shared
    for x, y in shared:
        assert y == smooth[x]
    assert part["y"] != part["smooth"]
    assert "smooth" not in ask(script, run)[0]


def test_a_step_logged_twice_shows_its_greatest_time_and_value(script, start):
    steps, times = np.array([1, 1, 1, 2]), np.array([5, 9, 9, 1])
    run = start(loss=Columns(values=np.array([8.0, 1.0, 2.0, 7.0]), steps=steps, times=times))
    (found,) = ask(script, run)
    assert (found["x"], found["y"], found["count"]) == ([1, 2], [2.0, 7.0], 2)


@pytest.mark.parametrize(("step", "value"), [(200, 9.0), (50, 8.0), (99, 7.0)])
def test_a_long_series_is_in_order_whatever_its_open_end_holds(script, start, alice, step, value):
    run = start(loss=counted(100))
    later = np.array([NOW + 10**6])
    late = Columns(values=np.array([value]), steps=np.array([step]), times=later)
    appending.append(user=alice, run_id=run.pk, metrics={"loss": late})
    (found,) = ask(script, run)
    assert found["x"] == sorted({*range(100), step})
    assert found["y"][found["x"].index(step)] == value


def test_series_of_several_runs_come_in_the_order_asked_and_absent_ones_are_left_out(script, start):
    one, two = start("one", loss=[1], acc=[2]), start("two", acc=[3])
    found = ask(script, two, one, metric=["loss", "acc"])
    assert [(series["run"], series["metric"]) for series in found] == [
        (str(two.pk), "acc"), (str(one.pk), "loss"), (str(one.pk), "acc")
    ]  # fmt: skip
    assert len(ask(script, one, one, metric=["loss", "loss"])) == 1


def test_steps_at_both_ends_of_64_bits_are_drawn(script, start):
    ends = np.array([-(2**63), 0, 2**63 - 1])
    run = start(loss=Columns(values=np.array([1.0, 2.0, 3.0]), steps=ends, times=ends))
    for x in ("step", "time", "relative"):
        assert len(ask(script, run, x=x)[0]["y"]) == 3
        assert len(ask(script, run, x=x, buckets="2", smoothing="0.5")[0]["y"]) <= 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"run": []}, "run"),
        ({"metric": []}, "metric"),
        ({"run": "x"}, "run.0"),
        ({"metric": "a$"}, "metric.0"),
        ({"x": "epoch"}, "x"),
        ({"x": "metric:"}, "x"),
        ({"x": "metric:a$"}, "x"),
        ({"from": "nan"}, "from"),
        ({"to": "inf"}, "to"),
        ({"to": "1e999"}, "to"),
        ({"from": "1_0"}, "from"),
        ({"from": " 1"}, "from"),
        ({"buckets": "0"}, "buckets"),
        ({"buckets": "2001"}, "buckets"),
        ({"smoothing": "1"}, "smoothing"),
        ({"smoothing": "-0.1"}, "smoothing"),
        ({"smoothing": "nan"}, "smoothing"),
        ({"metrics": "a"}, "metrics"),
        ({"metric": [f"m{n}" for n in range(201)]}, "metric"),
    ],
)
def test_a_chart_that_cannot_be_drawn_is_named(script, start, query, field):
    answer = script.get(SERIES, {"run": str(start().pk), "metric": "loss", **query})
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["error"]["details"]) == [field]


def test_two_hundred_series_are_the_most(script, start):
    runs = [start(f"run {n}", loss=[n]) for n in range(3)]
    ids = [str(run.pk) for run in runs]
    metrics = [f"m{n}" for n in range(67)]
    answer = script.get(SERIES, {"run": ids, "metric": metrics})
    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["run"])
    assert script.get(SERIES, {"run": ids, "metric": metrics[:66]}).status_code == 200


def test_a_run_one_may_not_see_is_a_404_like_one_that_is_not_there(script, api, charlie, start):
    run, private = start(loss=[1]), start("hidden", loss=[1])
    private.experiment.visibility = "private"
    private.experiment.save()
    stranger = api(charlie)
    for path in (SERIES, COMPARE):
        for hidden in (str(private.pk), str(uuid.uuid4())):
            query = {"run": [hidden]} | ({"metric": "loss"} if path == SERIES else {})
            answer = stranger.get(path, query)
            assert answer.status_code == 404
            said = answer.json()["error"]["message"]
            assert said == f"There is no run {hidden}, or you may not see it."
    assert run.pk


# --- Compare ---------------------------------------------------------------------------------


def test_a_comparison_tells_what_differs(script, start):
    one = start(
        "one", params={"lr": 0.1, "opt": "adam", "n": 1, "flag": True}, tags={"a": "x"},
        environment={"python": "3.11", "git": {"commit": "abc", "dirty": False}}, loss=[2.0, 1.0],
    )  # fmt: skip
    two = start(
        "two", params={"lr": 0.2, "opt": "adam", "n": 1.0, "flag": 1, "more": None},
        environment={"python": "3.11", "git": {"dirty": False, "commit": "abc"}, "gpu": "A100"},
        acc=[math.nan],
    )  # fmt: skip
    found = script.get(COMPARE, {"run": [str(two.pk), str(one.pk)]}).json()
    assert [run["name"] for run in found["runs"]] == ["two", "one"]
    params = {entry["name"]: entry for entry in found["params"]}
    assert {name: entry["differs"] for name, entry in params.items()} == {
        "flag": True, "lr": True, "more": True, "n": False, "opt": False
    }  # fmt: skip
    assert params["lr"]["values"] == {str(one.pk): 0.1, str(two.pk): 0.2}
    assert params["more"]["values"] == {str(two.pk): None}
    metrics = {entry["name"]: entry["values"] for entry in found["metrics"]}
    assert metrics["loss"][str(one.pk)]["last"] == 1.0
    assert metrics["acc"][str(two.pk)]["last"] == "NaN"
    assert found["tags"] == [{"name": "a", "differs": True, "values": {str(one.pk): "x"}}]
    assert [entry["name"] for entry in found["environment"]] == ["gpu"]


def test_a_comparison_is_whole_for_each_of_a_thousand_names_it_shows(script, start):
    many = {f"p{n:04}": n for n in range(1_001)}
    one, two = start("one", params=many), start("two", params={"p0150": 150, "p0999": 7})
    found = script.get(COMPARE, {"run": [str(one.pk), str(two.pk)]}).json()
    assert found["truncated"] is True
    params = {entry["name"]: entry for entry in found["params"]}
    assert len(params) == 1_000
    assert params["p0150"] == {
        "name": "p0150", "differs": False, "values": {str(one.pk): 150, str(two.pk): 150}
    }  # fmt: skip
    assert params["p0999"]["differs"] is True
    assert script.get(COMPARE, {"run": str(two.pk)}).json()["truncated"] is False


def test_a_comparison_of_long_values_holds_fewer_names_and_environments(script, start, monkeypatch):
    runs = [
        start(name, params={"a": 1, "b": name * 300, "c": 2}, environment={"patch": name * 300})
        for name in ("one", "two")
    ]
    monkeypatch.setattr("experiments.paging.MOST_OCTETS", 1_500)
    found = script.get(COMPARE, {"run": [str(run.pk) for run in runs]}).json()
    assert [entry["name"] for entry in found["params"]] == ["a"]
    assert [len(entry["values"]) for entry in found["environment"]] == [1]
    assert found["truncated"] is True


def test_a_hundred_runs_are_the_most_compared(script, start):
    run = str(start().pk)
    assert script.get(COMPARE, {"run": [run] * 100}).status_code == 200
    for query in ({"run": [run] * 101}, {}, {"run": "x"}, {"run": run, "metric": "a"}):
        assert script.get(COMPARE, query).status_code == 400


# --- The cost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [SERIES, COMPARE])
def test_statements_do_not_grow_with_runs(script, start, path):
    runs = [start(f"run {n}", params={"lr": n}, loss=[n] * 100, acc=[n]) for n in range(20)]
    query = {"metric": ["loss", "acc"]} if path == SERIES else {}

    def get(count):
        return script.get(path, {"run": [str(run.pk) for run in runs[:count]], **query})

    get(1)
    assert cost(get, 3) == cost(get, 20) <= 10


def test_statements_of_history_and_metrics_do_not_grow(script, start):
    run = start(**{f"m{n}": [1.0] * 3 for n in range(60)})

    def read(names):
        metrics = [f"m{n}" for n in range(names)]
        for path, query in (("metrics/", {}), ("history/", {"metric": metrics})):
            assert script.get(at(run, path), query).status_code == 200

    read(1)
    assert cost(read, 3) == cost(read, 60)

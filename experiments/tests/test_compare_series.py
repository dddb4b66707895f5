"""What the charts of several runs are drawn from: curves as JSON, all points as CSV."""

from __future__ import annotations

import csv
import io
import math
import uuid
from itertools import accumulate
from urllib.parse import urlencode

import numpy as np
import pytest
from django.urls import reverse

from experiments import appending, charts, recording
from experiments.models import Collaborator, Run
from experiments.storing import Columns
from experiments.tests.crowds import crowd
from exptrack.tests.statements import cost

DOORS = ("compare-series", "compare-points")


def start(user, experiment, **metrics) -> Run:
    run, _ = recording.start_run(user=user, experiment=str(experiment.pk))
    columns = {name: Columns(values=np.asarray(values, float), steps=np.arange(len(values)))
               for name, values in metrics.items()}  # fmt: skip
    appending.append(user=user, run_id=run.pk, metrics=columns)
    return run


def address(door: str, runs, *metrics: str, **others: object) -> str:
    """Where these metrics of these runs (or ids) are to be had."""
    pairs = [("run", getattr(run, "pk", run)) for run in runs]
    pairs += [("metric", name) for name in metrics]
    return f"{reverse(door)}?{urlencode([*pairs, *others.items()])}"


# --- It works --------------------------------------------------------------------------------


def test_curves_are_those_of_the_api(signed_in, api, alice, experiment):
    runs = [start(alice, experiment, loss=np.sin(np.arange(3000)), acc=[1.0]) for _ in range(3)]
    for others in ({}, {"buckets": 100, "smoothing": 0.5}, {"x": "metric:acc"}, {"to": 10},
                   {"xscale": "log", "buckets": 50}):  # fmt: skip
        page = signed_in(alice).get(address("compare-series", runs, "loss", "acc", **others))
        query = address("compare-series", runs, "loss", "acc", **others).partition("?")[2]
        assert page.json() == api(alice).get(f"/api/v1/series/?{query}").json()
    assert {series["run"] for series in page.json()["series"]} == {str(run.pk) for run in runs}


def test_what_our_charts_ask_for_is_the_same_in_half_the_bytes(signed_in, alice, experiment):
    noise = np.random.default_rng(5).normal(size=(3, 3000))
    runs = [start(alice, experiment, loss=np.exp(-values), acc=values[:50]) for values in noise]
    start_ = [math.nan, 1.0, -math.inf, *range(3000)]
    runs.append(start(alice, experiment, loss=start_, acc=[math.inf, math.nan, 2.0]))
    for others in ({}, {"x": "relative", "smoothing": 0.5}, {"x": "metric:acc"}):
        exact = signed_in(alice).get(address("compare-series", runs, "loss", "acc", **others))
        brief = signed_in(alice).get(
            address("compare-series", runs, "loss", "acc", compact="1", **others)
        )
        assert len(brief.content) < len(exact.content) * (0.7 if others else 0.5)
        for one, other in zip(exact.json()["series"], brief.json()["series"], strict=True):
            assert_alike(one, whole(other))


def whole(series: dict) -> dict:
    """A compact series with all it leaves out, as chart-board.js makes it."""
    y, raw = series["y"], series["raw"]
    if "dx" in series:
        series["x"] = list(accumulate(series.pop("dx")))
    if raw:
        series["lo"] = series["hi"] = [None if isinstance(value, str) else value for value in y]
    series.setdefault("nan", [int(raw and value == "NaN") for value in y])
    series.setdefault("inf", [int(raw and str(value).endswith("Infinity")) for value in y])
    return series


def assert_alike(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        if isinstance(values, list):
            as_numbers = [
                [math.nan if value is None else float(value) for value in each]
                for each in (values, other[name])
            ]
            assert as_numbers[1] == pytest.approx(as_numbers[0], rel=1e-5, nan_ok=True), name
        else:
            assert values == other[name]


def test_the_csv_has_every_point_exact_runs_first(signed_in, alice, experiment):
    one = start(alice, experiment, loss=[0.1 + 0.2, math.nan, math.inf], acc=[1])
    other = start(alice, experiment, loss=np.arange(500.0))
    answer = signed_in(alice).get(address("compare-points", [other, one], "loss", "acc"))
    assert answer["Content-Disposition"] == 'attachment; filename="points.csv"'
    text = b"".join(answer.streaming_content).decode()
    head, *lines = csv.reader(io.StringIO(text))
    assert head == ["run", "name", "metric", "step", "time", "value"]
    assert [line[0] for line in lines] == [str(other.pk)] * 500 + [str(one.pk)] * 4
    assert [line[5] for line in lines[500:]] == ["0.30000000000000004", "NaN", "Infinity", "1.0"]
    assert [line[3] for line in lines[500:503]] == ["0", "1", "2"]


def test_a_name_that_a_spreadsheet_would_run_is_text_in_the_csv(signed_in, alice, experiment):
    run = start(alice, experiment, loss=[1])
    Run.objects.update(name="=1+1")
    answer = signed_in(alice).get(address("compare-points", [run], "loss"))
    assert b",'=1+1,loss," in b"".join(answer.streaming_content)


# --- Colours ---------------------------------------------------------------------------------


def test_up_to_twelve_runs_have_a_colour_each_and_newer_ones_change_none(alice, experiment):
    runs = sorted(crowd(experiment, alice, 30, metrics=()), key=lambda run: run.pk)
    for count in range(1, 13):
        lines = charts.lines_of(runs[:count])
        assert len({line["ink"] for line in lines}) == count
        assert {line["dash"] for line in lines} == {0}
        assert lines == charts.lines_of(runs)[:count]
    assert len({(line["ink"], line["dash"]) for line in charts.lines_of(runs)}) == 30


def test_a_run_alone_has_the_colour_it_has_everywhere(alice, experiment):
    for run in crowd(experiment, alice, 5, metrics=()):
        assert charts.lines_of([run])[0]["ink"] == charts.run_colour(run.pk)


# --- Who may not -----------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_run_one_may_not_see_makes_all_of_it_a_404(
    signed_in, alice, bob, charlie, ada, experiment, secret, door
):
    runs = [start(alice, experiment, loss=[1]), start(alice, secret, loss=[2])]
    both, public = address(door, runs, "loss"), address(door, runs[:1], "loss")
    missing = address(door, [runs[0], uuid.uuid4()], "loss")
    for user, status in ((alice, 200), (ada, 200), (bob, 404), (charlie, 404)):
        assert signed_in(user).get(both).status_code == status
        assert signed_in(user).get(public).status_code == 200
        assert signed_in(user).get(missing).status_code == 404
    Collaborator.objects.create(experiment=secret, user=bob, role="viewer")
    assert signed_in(bob).get(both).status_code == 200


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("metric=loss", "run"),
        ("run=x&metric=loss", "run"),
        ("run={run}", "metric"),
        ("run={run}&metric=a~b", "metric"),
        ("run={run}&metric=loss&buckets=0", "buckets"),
        ("run={run}&metric=loss&smoothing=1", "smoothing"),
        ("run={run}&metric=loss&x=frog", "x"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(signed_in, alice, experiment, door, query, field):
    run = start(alice, experiment, loss=[1])
    answer = signed_in(alice).get(f"{reverse(door)}?{query.format(run=run.pk)}")
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == [field]


def test_no_more_than_a_hundred_runs_and_two_hundred_series_at_once(signed_in, alice):
    ids = [uuid.uuid4() for _ in range(101)]
    for runs, metrics in ((ids, ["a"]), (ids[:100], ["a", "b", "c"])):
        answer = signed_in(alice).get(address("compare-series", runs, *metrics))
        assert list(answer.json()["error"]["details"]) == ["run"]


def test_a_hundred_runs_fit_into_an_address(signed_in, alice, experiment):
    runs = crowd(experiment, alice, 100, metrics=("loss",))
    path = address("compare-series", runs, "loss")
    assert len(path) < 8_000  # gunicorn takes 8190
    assert len(signed_in(alice).get(path).json()["series"]) == 100


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_runs(signed_in, alice, experiment):
    runs = crowd(experiment, alice, 100, metrics=("loss", "acc"))
    client = signed_in(alice)

    def read(count):
        answer = client.get(address("compare-series", runs[:count], "loss", "acc"))
        assert len(answer.json()["series"]) == 2 * count

    assert cost(read, 2) == cost(read, 100) <= 6

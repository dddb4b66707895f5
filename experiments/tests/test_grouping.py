"""Runs in groups: which, and what came of them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import appending, curating, recording
from experiments.fields import Field, parse_field
from experiments.grouping import (
    add_spreads,
    grouped,
    parse_grouping,
    put_in_order,
    spreads,
)
from experiments.models import Run
from experiments.storing import Columns
from experiments.values import InvalidValue

LOSS = Field("metric", "loss", "last")


def start(user, *, metrics=None, **fields):
    run, _ = recording.start_run(user=user, experiment="digits", **fields)
    columns = {name: Columns(values=[value], steps=[0]) for name, value in (metrics or {}).items()}
    appending.append(user=user, run_id=run.pk, metrics=columns)
    return run


def groups_of(experiment, text, **limits):
    return grouped(Run.objects.inside(experiment).for_table(), experiment.pk, parse_grouping(text))


def shown(found):
    return [(*(key.shown for key in group.keys), len(group.run_ids)) for group in found.groups]


def test_runs_with_the_same_values_are_one_group(alice, experiment):
    for lr, optimizer in ((0.1, "adam"), (0.01, "sgd"), (0.1, "adam"), (0.1, "sgd")):
        start(alice, params={"lr": lr, "optimizer": optimizer})
    start(alice, params={"lr": 0.01})
    found = groups_of(experiment, "params.lr,params.optimizer")
    assert shown(found) == [
        ("0.01", "sgd", 1), ("0.01", None, 1), ("0.1", "adam", 2), ("0.1", "sgd", 1)
    ]  # fmt: skip
    assert (found.runs, found.is_whole) == (5, True)


def test_a_queued_run_is_the_last_of_its_group(alice, experiment):
    queued, running = (start(alice, params={"lr": 0.1}) for _ in range(2))
    curating.update_run(run=queued, status="queued")
    [group] = groups_of(experiment, "params.lr").groups
    assert group.run_ids == [running.pk, queued.pk]
    assert group.latest == running.started_at


def test_all_params_but_some_are_those_that_differ(alice, experiment):
    for seed in range(3):
        for lr in (0.1, 0.2):
            start(alice, params={"lr": lr, "seed": seed, "epochs": 9})
    start(alice, params={"lr": 0.2, "seed": 0, "epochs": 9, "warm": True})
    found = groups_of(experiment, "-params.seed")
    assert [str(each) for each in found.fields] == ["params.lr", "params.warm"]
    assert shown(found) == [("0.1", None, 3), ("0.2", "true", 1), ("0.2", None, 3)]
    assert [str(each) for each in groups_of(experiment, "-params.seed,-params.warm").fields] == [
        "params.lr"
    ]


def test_tags_group_too_and_a_bare_one_is_not_absent(alice, experiment):
    for tags in ({"stage": "a"}, {"stage": ""}, {}, {"stage": "a"}):
        start(alice, tags=tags)
    assert shown(groups_of(experiment, "tags.stage")) == [("", 1), ("a", 2), (None, 1)]


def test_numbers_are_equal_as_numbers_and_in_their_order(alice, experiment):
    for value in (10, "10", 10.0, "1e1", 9, -0.0, 0, "ten", True, "true", None):
        start(alice, params={"x": value})
    found = groups_of(experiment, "params.x")
    assert [count for *_, count in shown(found)] == [2, 1, 4, 1, 1, 1, 1]
    assert [float(group.keys[0].value) for group in found.groups[:3]] == [0.0, 9.0, 10.0]


def test_long_texts_are_told_apart_beyond_what_is_shown(alice, experiment):
    for tail in ("a", "b", "a"):
        start(alice, params={"prompt": "x" * 500 + tail})
    found = groups_of(experiment, "params.prompt")
    assert sorted(count for _, count in shown(found)) == [1, 2]
    assert {len(head) for head, _ in shown(found)} == {200}


def test_only_the_newest_are_grouped_and_it_is_told(alice, experiment, monkeypatch):
    monkeypatch.setattr("experiments.grouping.MOST_RUNS", 3)
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 3)
    for n in range(3):
        start(alice, params={"n": n})
    assert groups_of(experiment, "params.n").is_whole
    start(alice, params={"n": 3})
    found = groups_of(experiment, "params.n")
    assert (found.runs, found.is_whole) == (3, False)
    assert [head for head, _ in shown(found)] == ["1", "2", "3"]


def test_a_group_is_named_by_its_values_alone(alice, experiment):
    start(alice, params={"lr": 0.1})
    word = groups_of(experiment, "params.lr").groups[0].word
    start(alice, params={"lr": 0.1})
    start(alice, params={"lr": 0.2})
    assert [group.word == word for group in groups_of(experiment, "params.lr").groups] == [
        True, False
    ]  # fmt: skip


# --- What came of them -----------------------------------------------------------------------


def test_a_group_has_the_spread_of_its_finite_values(alice, experiment):
    for value in (1.0, 2.0, 4.0, math.nan):
        start(alice, params={"lr": 0.1}, metrics={"loss": value})
    start(alice, params={"lr": 0.2}, metrics={"loss": 7.0})
    start(alice, params={"lr": 0.3})
    found = groups_of(experiment, "params.lr")
    add_spreads(found.groups, [LOSS, Field("metric", "loss", "max")])
    first, second, third = (group.spreads.get(LOSS) for group in found.groups)
    assert (first.count, first.least, first.greatest) == (3, 1.0, 4.0)
    assert first.mean == pytest.approx(7 / 3)
    assert first.std == pytest.approx(statistics.stdev([1, 2, 4]))
    assert (second.count, second.mean, second.std) == (1, 7.0, None)
    assert third is None


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=40)
)
def test_spreads_are_those_of_the_statistics_module(values):
    [(place, spread)] = spreads([(0, value) for value in values])
    assert (place, spread.count) == (0, len(values))
    size = max(map(abs, values))
    assert spread.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=size * 1e-12)
    assert min(values) <= spread.mean <= max(values)
    if len(values) > 1:
        exact = statistics.stdev(values)
        assert spread.std == pytest.approx(exact, rel=1e-6, abs=size * 1e-12)


@pytest.mark.parametrize(
    "values", [[1e308, 1e308], [-1e308, 1e308], [5e-324, 5e-324], [1e16, 1e16 + 2], [0.0]]
)
def test_a_mean_stays_among_its_values(values):
    [(_, spread)] = spreads([(0, value) for value in values])
    assert min(values) <= spread.mean <= max(values)


def test_like_values_far_from_nought_keep_their_deviation():
    [(_, spread)] = spreads([(0, 1e9 + x) for x in (0.1, 0.2, 0.3)])
    assert spread.std == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("params.lr", ["0.1", "0.2", "0.3", None]),
        ("-params.lr", ["0.3", "0.2", "0.1", None]),
        ("metrics.loss", ["0.2", "0.1", "0.3", None]),
        ("-metrics.loss", ["0.1", "0.2", "0.3", None]),
        ("-runs", ["0.1", "0.2", "0.3", None]),
        ("started", ["0.1", "0.2", "0.3", None]),
    ],
)
def test_groups_are_ordered_and_what_is_absent_comes_last(alice, experiment, ordering, expected):
    for lr, loss in ((0.1, 5.0), (0.1, 3.0), (0.2, 1.0), (0.3, None), (None, None)):
        start(alice, params={} if lr is None else {"lr": lr},
              metrics={} if loss is None else {"loss": loss})  # fmt: skip
    found = groups_of(experiment, "params.lr")
    add_spreads(found.groups, [LOSS])
    put_in_order(found, [LOSS], ordering)
    assert [head for head, _ in shown(found)] == expected


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["metrics.loss", "status", "frog", "params.a,-params.b", "", ",", "params.a\"b",
     ",".join(f"params.p{n}" for n in range(21))],
)  # fmt: skip
def test_what_cannot_be_grouped_by_is_refused(text):
    with pytest.raises(InvalidValue):
        parse_grouping(text)


def test_a_grouping_reads_back():
    for text in ("params.lr,tags.stage", "-params.seed,-params.`my fold`"):
        assert str(parse_grouping(text)) == text
    assert parse_grouping("params.lr,params.lr").fields == (parse_field("params.lr"),)


def test_no_runs_are_no_groups(experiment):
    assert groups_of(experiment, "params.lr").groups == []
    assert groups_of(experiment, "-params.seed").groups == []


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_fields(alice, experiment, django_assert_num_queries):
    for n in range(3):
        params = {f"p{place}": n for place in range(9)}
        start(alice, params=params, tags={"a": str(n), "b": "", "c": ""})
    with django_assert_num_queries(3):  # the runs, their params, their tags
        groups_of(experiment, "params.p0,tags.a")
    with django_assert_num_queries(3):
        assert len(groups_of(experiment, ",".join(
            [*(f"params.p{place}" for place in range(9)), "tags.a", "tags.b", "tags.c"]
        )).groups) == 3  # fmt: skip

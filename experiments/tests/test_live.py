"""/live/: what a page with a running run learns, by request and by stream."""

from __future__ import annotations

import base64
import itertools
import zlib
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from experiments import appending, curating, live, outcomes, purging, reading, recording
from experiments.live import UNSEEN, Fresh, RunNow, Seen, Watch, changes_since, cursor_in, token_of
from experiments.models import Experiment, Metric, Run
from experiments.series import Points
from experiments.storing import Columns


@pytest.fixture
def run(alice) -> Run:
    return start(alice)


def start(user, experiment="live", **fields) -> Run:
    return recording.start_run(user=user, experiment=experiment, **fields)[0]


def log(run: Run, first: int = 0, **metrics) -> None:
    """Log values of metrics, at steps from `first` on."""
    columns = {
        name: Columns(np.asarray(values, float), np.arange(first, first + len(values)))
        for name, values in metrics.items()
    }
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


def watching(*runs: Run) -> Watch:
    return Watch(runs=frozenset(run.pk for run in runs))


def ask(browser, *runs, experiment=None, since=""):
    """The answer to a page that polls."""
    query = {"run": [str(run.pk) for run in runs], "since": since}
    if experiment:
        query["experiment"] = str(experiment.pk)
    return browser.get(reverse("live"), query)


def told(answer) -> list[tuple[str, dict]]:
    return [(event["event"], event["data"]) for event in answer.json()["events"]]


def test_numbers_and_heads_are_read_at_once_and_are_as_each_by_itself(alice):
    """Some have just begun, some are in the trash, one was watched by itself and is lost."""
    experiments = [recording.create_experiment(user=alice, name=name) for name in "abc"]
    silent = timezone.now() - timedelta(days=2)
    states = [("running", None), ("running", silent), ("queued", None), ("finished", None)]
    runs = []
    for (status, seen), experiment, trash in itertools.product(
        [*states, ("running", silent)], experiments[:2], (None, timezone.now())
    ):
        run = start(alice, str(experiment.pk), **({"started_at": seen} if seen else {}))
        ended = timezone.now() if status == "finished" else None
        changes = {"status": status, "ended_at": ended, "trashed_at": trash}
        Run.objects.filter(pk=run.pk).update(**changes, last_seen_at=seen or run.last_seen_at)
        runs.append(Run.objects.get(pk=run.pk))
    lost = [run for run in runs if run.shown_status == "lost" and not run.trashed_at]
    assert len(lost) == 4
    watch = Watch.by_page(lost[:1], experiments)
    with CaptureQueriesContext(connection) as sent:
        counts, heads = live.counted(watch)
    assert len(sent) == 1
    assert counts == outcomes.counts_by_status(experiments)
    assert heads == live.read_heads(watch, {})
    assert counts[experiments[0].pk]["lost"] == 2
    assert heads[lost[0].pk][2] == "lost"
    assert lost[1].pk not in heads


# --- Asked ------------------------------------------------------------------------------------


def test_who_asks_first_learns_the_state_and_how_many_points_there_are(signed_in, alice, run):
    log(run, loss=[3, 2, 1])
    points, state = told(ask(signed_in(alice), run))
    assert points == (
        "points",
        {"run": str(run.pk), "series": [{"metric": "loss", "count": 3}]},
    )
    assert state[0] == "run"
    assert state[1]["status"] == "running"


def test_who_asks_again_learns_only_what_is_new(signed_in, alice, run):
    browser = signed_in(alice)
    log(run, loss=[3, 2])
    since = ask(browser, run).json()["since"]
    assert ask(browser, run, since=since).status_code == 204
    log(run, 2, loss=[1, float("nan")], accuracy=[0.5])
    answer = ask(browser, run, since=since)
    [(_, points), (_, state)] = told(answer)
    accuracy, loss = points["series"]
    assert (loss["metric"], loss["after"], loss["count"]) == ("loss", 2, 4)
    assert (loss["steps"], loss["values"]) == ([2, 3], [1.0, "NaN"])
    assert all(time > 1e12 for time in loss["times"])
    assert (accuracy["after"], accuracy["values"]) == (0, [0.5])
    assert state["revision"] == 2
    assert ask(browser, run, since=answer.json()["since"]).status_code == 204


def test_an_answer_is_kept_by_no_cache(signed_in, alice, run):
    answer = ask(signed_in(alice), run)
    assert answer["Cache-Control"] == "no-store"


def test_the_end_is_told_once_every_run_has_ended(signed_in, alice, run):
    other = start(alice)
    recording.finish_run(run=run, status="finished")
    browser = signed_in(alice)
    first = ask(browser, run, other)
    assert "end" not in dict(told(first))
    recording.finish_run(run=other, status="failed")
    assert told(ask(browser, run, other, since=first.json()["since"]))[-1] == (
        "end",
        {"reason": "ended"},
    )


def test_of_an_experiment_the_active_runs_are_told_without_their_points(signed_in, alice, run):
    log(run, loss=[1])
    ended = start(alice)
    Run.objects.filter(pk=ended.pk).update(started_at="2026-01-01T00:00Z")
    recording.finish_run(run=ended, status="finished")
    browser = signed_in(alice)
    first = ask(browser, experiment=run.experiment)
    assert [(event, data["run"]) for event, data in told(first)] == [("run", str(run.pk))]
    later = start(alice)
    recording.finish_run(run=run, status="finished")
    second = ask(browser, experiment=run.experiment, since=first.json()["since"])
    assert {data["run"]: data["status"] for _, data in told(second)} == {
        str(run.pk): "finished",
        str(later.pk): "running",
    }


def test_a_run_that_starts_and_ends_between_two_looks_is_told(signed_in, alice, run):
    browser = signed_in(alice)
    since = ask(browser, experiment=run.experiment).json()["since"]
    quick = start(alice)
    recording.finish_run(run=quick, status="finished")
    answer = ask(browser, experiment=run.experiment, since=since)
    assert [data["run"] for _, data in told(answer)] == [str(quick.pk)]


def test_a_run_that_falls_silent_becomes_lost_without_a_new_revision(signed_in, alice, run):
    recording.heartbeat(run=run)
    browser = signed_in(alice)
    since = ask(browser, run).json()["since"]
    Run.objects.filter(pk=run.pk).update(last_seen_at="2026-01-01T00:00Z")
    assert told(ask(browser, run, since=since))[0][1]["status"] == "lost"


def test_a_purged_run_is_told_as_gone(alice, run):
    _, cursor = last_of(changes_since({}, watching(run), live.look(watching(run), {})))
    curating.trash_runs(user=run.owner, runs=[run])
    purging.purge_runs(ids=[run.pk])
    [change] = changes_since(cursor, watching(run), live.look(watching(run), cursor))
    assert change.data["status"] == "gone"
    assert live.has_ended(change.cursor, watching(run))


def last_of(changes):
    """All changes, and the cursor after the last one."""
    changes = list(changes)
    return changes, changes[-1].cursor


# --- Who may ----------------------------------------------------------------------------------


@pytest.fixture
def private(alice) -> Run:
    experiment = Experiment.objects.create(owner=alice, name="secret", visibility="private")
    return start(alice, experiment=str(experiment.pk))


def test_a_private_experiment_and_its_runs_are_not_there_for_others(
    signed_in, alice, bob, charlie, ada, private
):
    seen = {
        user.username: {
            ask(signed_in(user), private).status_code,
            ask(signed_in(user), experiment=private.experiment).status_code,
        }
        for user in (alice, bob, charlie, ada)
    }
    assert seen == {"alice": {200}, "bob": {404}, "charlie": {404}, "ada": {200}}
    curating.share_experiment(experiment=private.experiment, user=bob, role="viewer")
    assert ask(signed_in(bob), private).status_code == 200


def test_one_run_that_may_not_be_seen_hides_them_all(signed_in, bob, run, private):
    assert ask(signed_in(bob), run).status_code == 200
    assert ask(signed_in(bob), run, private).status_code == 404


def test_a_cursor_of_somebody_else_opens_nothing(signed_in, alice, bob, run, private):
    """The id of an event is no key: what it names is looked for among what may be seen."""
    forged = token_of({private.pk: Seen(-1, "running", {})})
    log(private, loss=[1])
    body = ask(signed_in(bob), experiment=run.experiment, since=forged).content.decode()
    assert str(private.pk) not in body


# --- The edges --------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "run=", "run=x", "run={x}", "experiment=1&run=2"])
def test_what_names_nothing_is_refused(signed_in, alice, query):
    assert signed_in(alice).get(f"{reverse('live')}?{query}").status_code == 400


def test_more_than_a_hundred_runs_are_refused(signed_in, alice):
    query = "&".join(f"run=00000000-0000-7000-8000-{n:012}" for n in range(101))
    assert signed_in(alice).get(f"{reverse('live')}?{query}").status_code == 400


BOMB = base64.urlsafe_b64encode(zlib.compress(b"[" * 50_000_000)).decode()


@pytest.mark.parametrize(
    "token",
    ["x", "é", "====", BOMB, *(
        base64.urlsafe_b64encode(zlib.compress(text)).decode()
        for text in (b"[]", b'{"x": 1}', b"{", b'{"x": [1, "running", {"loss": "y"}]}')
    )],
)  # fmt: skip
def test_a_bad_cursor_is_one_that_knows_nothing(token):
    assert cursor_in(token) == {}


def test_a_batch_too_long_to_travel_is_told_by_its_length(signed_in, alice, run):
    browser = signed_in(alice)
    log(run, loss=[1])
    since = ask(browser, run).json()["since"]
    log(run, 1, loss=[2] * 501)
    assert told(ask(browser, run, since=since))[0][1]["series"] == [
        {"metric": "loss", "count": 502}
    ]


def test_of_many_series_the_cursor_keeps_no_counts(alice, run):
    log(run, **{f"m{n}": [1] for n in range(401)})
    _, cursor = last_of(changes_since({}, watching(run), live.look(watching(run), {})))
    assert len(cursor[run.pk].counts) == 401
    assert cursor_in(token_of(cursor)) == {run.pk: Seen(1, "running")}


def test_a_cursor_never_becomes_too_long_for_an_address():
    runs = {Run().pk: Seen(2**40, "running") for _ in range(1000)}
    assert token_of(runs) == ""
    some = dict(list(runs.items())[:60])
    assert 0 < len(token_of(some)) <= live.LONGEST_TOKEN
    assert cursor_in(token_of(some)) == some


def test_points_are_found_wherever_they_are_kept(alice, run):
    """In the tail, in small chunks, in merged ones, and across them."""
    logged = []
    watch = watching(run)
    log(run, loss=[0.0])
    _, cursor = last_of(changes_since({}, watch, live.look(watch, {})))
    first = 1
    for size in (5, 60, 1, 3, 200, 64, 63, 2):
        values = np.random.default_rng(first).normal(size=size)
        log(run, first, loss=values)
        first += size
        changes, cursor = last_of(changes_since(cursor, watch, live.look(watch, cursor)))
        [series] = changes[0].data["series"]
        assert series["after"] == len(logged) + 1
        logged += series["values"]
        assert series["values"] == values.tolist()
    before = cursor
    log(run, first, loss=[1.0, 2.0])
    recording.finish_run(run=run, status="finished")
    changes, _ = last_of(changes_since(before, watch, live.look(watch, before)))
    assert changes[0].data["series"][0]["values"] == [1.0, 2.0]


def test_who_is_cut_off_between_points_and_state_misses_neither(alice, run):
    watch = watching(run)
    log(run, loss=[1])
    _, cursor = last_of(changes_since({}, watch, live.look(watch, {})))
    log(run, 1, loss=[2])
    points, state = changes_since(cursor, watch, live.look(watch, cursor))
    assert (points.event, state.event) == ("points", "run")
    [again] = changes_since(points.cursor, watch, live.look(watch, points.cursor))
    assert again.data == state.data


counts = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=3)


@given(st.lists(counts, max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_every_point_is_told_once_whichever_looks_are_missed(growth, missed):
    """A reader who applies columns and fetches where there are none has every point once."""
    run, watch = Run().pk, None
    watch = Watch(runs=frozenset([run]))
    total, have, cursor = {}, {}, {run: Seen(0, "running", {})}
    hub = {}
    for revision, (more, is_missed) in enumerate(zip(growth, missed, strict=False), 1):
        for name, count in more.items():
            total[name] = total.get(name, 0) + count
        series = {
            name: Fresh(count, first := hub.get(name, 0), numbered(first, count))
            for name, count in total.items()
            if count > hub.get(name, 0)
        }
        hub = dict(total)
        if is_missed:
            continue
        now = RunNow(run, run, revision, "running", series)
        for change in changes_since(cursor, watch, [now]):
            cursor = change.cursor
            for told_of in change.data.get("series", ()):
                name = told_of["metric"]
                if "after" in told_of:
                    assert have.get(name, 0) == told_of["after"]
                    assert told_of["steps"] == list(range(told_of["after"], told_of["count"]))
                have[name] = told_of["count"]
                assert have[name] == total[name]


def numbered(first: int, count: int) -> Points:
    steps = np.arange(first, count)
    return Points.of(steps, steps, steps)


def test_what_two_readers_know_together_is_what_both_know():
    old, new = Seen(3, "running", {"loss": 4}), Seen(5, "running", None)
    assert old.or_less(new) == new.or_less(old) == old
    assert Seen(3, "running").or_less(Seen(5, "running", {"loss": 9})).counts == {"loss": 9}
    assert Seen(3, "running").or_less(Seen(3, "lost")).status == ""
    assert UNSEEN.or_less(old).revision == -1


# --- The cost ---------------------------------------------------------------------------------


def test_an_idle_look_is_one_statement_however_much_is_watched(alice, django_assert_num_queries):
    runs = [start(alice, experiment=f"many {n % 3}") for n in range(9)]
    for run in runs:
        log(run, loss=[1], accuracy=[2])
    watch = Watch(
        runs=frozenset(run.pk for run in runs[:5]),
        experiments=frozenset(run.experiment_id for run in runs),
    )
    _, cursor = last_of(changes_since({}, watch, live.look(watch, {})))
    with django_assert_num_queries(1):
        assert live.look(watch, cursor) == []


@pytest.mark.parametrize("series", [1, 30])
def test_a_look_at_what_has_grown_is_three_statements(alice, django_assert_num_queries, series):
    runs = [start(alice) for _ in range(3)]
    watch = watching(*runs)
    names = [f"m{n}" for n in range(series)]
    for run in runs:
        log(run, **dict.fromkeys(names, [1]))
    _, cursor = last_of(changes_since({}, watch, live.look(watch, {})))
    for run in runs:
        log(run, 1, **dict.fromkeys(names, np.arange(100)))
    with django_assert_num_queries(3):
        grown = live.look(watch, cursor)
    assert sum(len(fresh.points) for now in grown for fresh in now.series.values()) == (
        3 * series * 100
    )


def test_reading_the_newest_points_reads_no_more_chunks_than_hold_them(
    alice, run, django_assert_num_queries
):
    for first in range(0, 640, 64):
        log(run, first, loss=np.arange(64.0))
    metric = Metric.objects.select_related("tail").get(run=run)
    with django_assert_num_queries(1):
        [(_, points)] = reading.newest({metric: 600})
    assert points.steps.tolist() == list(range(600, 640))

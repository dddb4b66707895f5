"""/runs/<id>/: one run, its params, its curves as JSON, and the Stop button."""

from __future__ import annotations

import math
import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from experiments import appending, curating, recording
from experiments.models import Collaborator, Environment, Experiment, Metric, Run
from experiments.storing import Columns
from experiments.tests.hostile import MARKDOWN, TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost

FRAGMENT = {"HX-Request": "true"}


def start(user, name="calm-otter", **fields) -> Run:
    return recording.start_run(user=user, experiment="digits", name=name, **fields)[0]


def log(run, **metrics):
    columns = {name.replace("__", "/"): Columns(values=np.asarray(values, float),
               steps=np.arange(len(values))) for name, values in metrics.items()}  # fmt: skip
    appending.append(user=run.owner, run_id=run.pk, metrics=columns)


@pytest.fixture
def run(alice) -> Run:
    return start(alice, params={"lr": 0.1, "optimizer": "adam"}, tags={"stage": "final"})


@pytest.fixture
def here(run) -> str:
    return reverse("run-detail", args=[run.pk])


def address(name: str, run: Run) -> str:
    return reverse(name, args=[run.pk])


def facts(page) -> dict[str, str]:
    found = {}
    for fact in page.one("div", class_="facts").all("dl"):
        name, value = fact.inside
        found[name.words] = value.words
    return found


def pairs(page) -> dict[str, str]:
    return {line.all("dt")[0].words: line.all("dd")[0].words
            for line in page.all("div", class_="line-pair")}  # fmt: skip


def charts(page) -> list[str]:
    return [chart["data-metric"] for chart in page.all("metric-chart")]


def test_it_shows_what_the_run_is_and_what_it_was_given(signed_in, alice, run, here):
    log(run, loss=[0.5, 0.25])
    page = page_of(signed_in(alice).get(here))
    assert page.one("h1").words == "calm-otter"
    assert page.one("span", class_="badge").words == "Running"
    assert link(page, "digits") == reverse("experiment-detail", args=[run.experiment_id])
    assert facts(page)["Owner"] == "alice"
    assert facts(page)["Id"].startswith(str(run.pk))
    assert "stage" in facts(page)["Tags"]
    assert pairs(page) == {"lr": "0.1", "optimizer": "adam"}


def test_an_ended_run_says_when_and_how_long(signed_in, alice, here, run):
    Run.objects.update(started_at=timezone.now() - timedelta(hours=3, minutes=20))
    recording.finish_run(
        run=run, status="finished", ended_at=timezone.now() - timedelta(hours=1, minutes=7)
    )
    shown = facts(page_of(signed_in(alice).get(here)))
    assert (shown["Duration"], shown["Started"], shown["Ended"]) == (
        "2 h 13 min",
        "3 h ago",
        "1 h ago",
    )


def test_a_failed_run_shows_its_error_before_all_else(signed_in, alice, run, here):
    recording.finish_run(run=run, status="failed", error="Traceback\nValueError: loss is nan")
    page = page_of(signed_in(alice).get(here))
    assert page.one("header", id="run-head").one("pre").text == "Traceback\nValueError: loss is nan"


def test_of_a_long_error_the_end_is_shown(signed_in, alice, run, here):
    recording.finish_run(run=run, status="failed", error="a" * 100_000 + " ValueError")
    text = page_of(signed_in(alice).get(here)).one("header", id="run-head").one("pre").text
    assert text.startswith("…a")
    assert text.endswith("a ValueError")
    assert len(text) < 17_000


def test_each_metric_has_a_card_with_what_it_came_to(signed_in, alice, run, here):
    log(run, loss=[2.0, 0.5, math.nan, 1.0, math.inf])
    page = page_of(signed_in(alice).get(here))
    assert page.one("chart-board")["data-series-url"] == address("run-series", run)
    card = page.one("metric-chart")
    assert card["data-metric"] == "loss"
    assert card.one("output").words == "∞"
    assert card.one("p", class_="chart-foot").words == "min 0.5 max 2 5 points 1 NaN 1 ∞ Reset zoom"
    assert card.one("canvas")["aria-label"] == (
        "loss over steps: 5 points from step 0 to 4; last ∞; min 0.5 at step 1, max 2 at step 0."
    )


def test_a_metric_without_a_finite_value_is_told_in_words(signed_in, alice, run, here):
    log(run, loss=[math.nan])
    canvas = page_of(signed_in(alice).get(here)).one("canvas")
    assert canvas["aria-label"].endswith("last NaN; none is finite.")


def test_metrics_are_grouped_by_what_stands_before_the_slash(signed_in, alice, run, here):
    log(run, b=[1], val__loss=[1], train__loss=[1], train__acc=[1], a__b__c=[1])
    page = page_of(signed_in(alice).get(here))
    assert charts(page) == ["val/loss", "train/acc", "train/loss", "a/b/c", "b"]
    assert [head.words for head in page.all("h3", class_="group-title")] == [
        "train 2", "Others 2"
    ]  # fmt: skip
    levels = [int(head.tag[1]) for n in "1234" for head in page.all(f"h{n}")]
    assert set(levels) == {1, 2, 3, 4}


def test_what_tells_how_good_a_run_is_comes_first(signed_in, alice, run, here):
    given = ("epoch", "lr", "loss", "gpu/load", "gpu/memory", "val/loss", "val/acc", "a/b", "a/c")
    log(run, **{name.replace("/", "__"): [1] for name in given})
    page = page_of(signed_in(alice).get(here))
    assert charts(page) == [
        "loss", "val/acc", "val/loss", "a/b", "a/c", "epoch", "lr", "gpu/load", "gpu/memory"
    ]  # fmt: skip


def test_the_table_holds_the_same_in_figures(signed_in, alice, run, here):
    log(run, loss=[2.0, 0.5, math.nan])
    [row] = table_of(page_of(signed_in(alice).get(f"{here}?view=table")))
    assert (row["Name"], row["Last"], row["Min"], row["Max"]) == ("loss", "NaN", "0.5", "2")
    assert (row["Mean"], row["Count"], row["NaN"], row["Inf"]) == ("1.25", "3", "1", "0")


def test_metrics_are_searched_and_htmx_gets_them_alone(signed_in, alice, run, here):
    log(run, val__loss=[1], val__acc=[1], loss=[1])
    visit = signed_in(alice)
    answer = visit.get(f"{here}?search=LOSS", headers={**FRAGMENT, "HX-Trigger": "filters"})
    assert answer["HX-Replace-Url"] == f"{here}?search=LOSS"
    page = page_of(answer)
    assert charts(page) == ["val/loss", "loss"]
    assert page.inside[0]["id"] == "metrics"
    assert "No metric matches" in page_of(visit.get(f"{here}?search=nope")).words


def test_ten_thousand_metrics_come_a_page_at_a_time(signed_in, alice, run, here):
    for start_at in range(0, 10_000, 5000):
        names = [f"layer/{n:05}" for n in range(start_at, start_at + 5000)]
        log(run, **dict.fromkeys(names, [1.0]))
    visit = signed_in(alice)
    answer = visit.get(here)
    assert len(answer.content) < 150_000
    page = page_of(answer)
    assert len(charts(page)) == 48
    assert page.one("nav", class_="pager").words.startswith("48 of 10,000 metrics")
    following = page_of(visit.get(here + page.one("a", rel="next")["href"]))
    assert charts(following)[0] == "layer/00048"


def test_many_params_have_a_page_of_their_own(signed_in, alice, here, run):
    appending.append(user=alice, run_id=run.pk, metrics={},
                     params={f"p{n:04}": "x" * 3000 for n in range(700)})  # fmt: skip
    visit = signed_in(alice)
    page = page_of(visit.get(here))
    assert len(pairs(page)) == 100
    assert link(page, "All 702 params") == address("run-params", run)
    assert pairs(page)["p0000"] == "x" * 2000 + "…"
    page = page_of(visit.get(address("run-params", run)))
    assert len(pairs(page)) == 500
    rest = page_of(visit.get(address("run-params", run) + page.one("a", rel="next")["href"]))
    assert len(pairs(rest)) == 202
    found = page_of(visit.get(address("run-params", run) + "?search=P0699"))
    assert list(pairs(found)) == ["p0699"]


def test_a_run_without_params_says_so_and_not_that_none_matches(signed_in, alice):
    visit, here = signed_in(alice), address("run-params", start(alice))
    assert "No params" in page_of(visit.get(here)).words
    assert "No param matches" in page_of(visit.get(f"{here}?search=lr")).words


def test_notes_and_environment_are_readable(signed_in, alice):
    run = start(alice, notes="# Result\n\n**+1.2** points", environment={
        "command": "train.py --lr 0.1", "git": {"commit": "8d1f0c", "dirty": True},
        "patch": "--- a\n+++ b", "gpus": ["A100", "A100"],
        "packages": {f"package-{n}": "1.0" for n in range(30)}, "nothing": None,
    })  # fmt: skip
    page = page_of(signed_in(alice).get(address("run-detail", run)))
    assert page.one("div", class_="prose").one("h3").words == "Result"
    shown = pairs(page)
    assert {name: shown.pop(name) for name in ("Command", "Git commit", "Git dirty", "Gpus")} == {
        "Command": "train.py --lr 0.1", "Git commit": "8d1f0c", "Git dirty": "yes",
        "Gpus": "A100, A100",
    }  # fmt: skip
    assert shown == {f"package-{n}": "1.0" for n in range(30)}
    summaries = [summary.words for summary in page.all("summary")]
    assert summaries == ["Patch 2 lines", "Packages 30 entries"]
    assert page.all("details")[0].one("pre").text == "--- a\n+++ b"


def test_a_patch_is_read_by_its_lines(signed_in, alice):
    patch = "diff --git a/x b/x\n@@ -1 +1 @@\n same\n-old\n+new\n"
    run = start(alice, environment={"git": {"patch": patch}, "log": "a\n-b\n+c"})
    page = page_of(signed_in(alice).get(address("run-detail", run)))
    diff = page.one("pre", class_="diff")
    assert diff.text == patch
    kinds = {line["class"].split()[-1]: line.words for line in diff.all("span")}
    assert kinds["diff-remove"] == "-old"
    assert kinds["diff-add"] == "+new"
    assert kinds["diff-place"] == "@@ -1 +1 @@"
    assert page.one("pre", aria_label="log").text == "a\n-b\n+c"


def test_parent_and_children_lead_to_each_other(signed_in, alice, run, here):
    child = start(alice, "fold 1", parent=run.pk)
    visit = signed_in(alice)
    assert link(page_of(visit.get(here)), "fold 1") == address("run-detail", child)
    page = page_of(visit.get(address("run-detail", child)))
    assert link(page, "calm-otter") == here


def test_children_that_wait_stand_behind_those_that_began(signed_in, alice, run, here):
    for number in range(2):
        child = start(alice, f"fold {number}", parent=run.pk)
    curating.update_run(run=child, status="queued")
    words = page_of(signed_in(alice).get(here)).words
    assert words.index("fold 0") < words.index("fold 1")


def test_a_run_without_anything_says_so(signed_in, alice):
    page = page_of(signed_in(alice).get(address("run-detail", start(alice))))
    assert "No metrics yet" in page.words
    assert "None were logged." in page.words


def test_a_run_that_ended_without_a_number_promises_none(signed_in, alice):
    run = start(alice)
    recording.finish_run(run=run, status="failed")
    page = page_of(signed_in(alice).get(address("run-detail", run)))
    assert "The run ended before it logged a number." in page.words
    assert "0 metrics" not in page.words


# --- Stop ------------------------------------------------------------------------------------


def test_stop_asks_the_script_and_says_so(signed_in, alice, run, here):
    visit = signed_in(alice)
    assert page_of(visit.get(here)).one("form", action=address("run-stop", run))
    answer = visit.post(address("run-stop", run))
    assert (answer.status_code, answer["Location"]) == (302, here)
    assert Run.objects.get().stop_requested
    page = page_of(visit.get(here))
    assert "Stop requested" in page.words
    assert not page.all("form", action=address("run-stop", run))


def test_htmx_gets_the_head_back_from_stop(signed_in, alice, run):
    page = page_of(signed_in(alice).post(address("run-stop", run), headers=FRAGMENT))
    assert page.inside[0]["id"] == "run-head"
    assert "Stop requested" in page.words


def test_an_ended_run_cannot_be_stopped_and_the_page_says_why(signed_in, alice, run, here):
    recording.finish_run(run=run, status="finished")
    visit = signed_in(alice)
    assert not page_of(visit.get(here)).all("form", action=address("run-stop", run))
    page = page_of(visit.post(address("run-stop", run), headers=FRAGMENT))
    assert "This run has ended already." in page.one("div", id="messages").words
    assert "ended already" in page_of(visit.post(address("run-stop", run), follow=True)).words


def test_only_who_may_edit_sees_stop_and_may_press_it(
    signed_in, alice, bob, charlie, ada, run, here
):
    Collaborator.objects.create(experiment=run.experiment, user=charlie, role="viewer")
    for user, may in ((bob, False), (charlie, False), (alice, True), (ada, True)):
        visit = signed_in(user)
        assert bool(page_of(visit.get(here)).all("form", action=address("run-stop", run))) is may
        Run.objects.update(stop_requested=False)
        assert visit.post(address("run-stop", run)).status_code == (302 if may else 403)
        assert Run.objects.get().stop_requested is may
        Run.objects.update(stop_requested=False)


def test_stop_needs_a_post_and_the_page_s_own_token(alice, run):
    visit = Client(enforce_csrf_checks=True)
    visit.force_login(alice, "django.contrib.auth.backends.ModelBackend")
    assert visit.get(address("run-stop", run)).status_code == 405
    assert visit.post(address("run-stop", run)).status_code == 403
    assert not Run.objects.get().stop_requested


# --- Who may not -----------------------------------------------------------------------------


def test_a_private_run_is_not_there_for_strangers(signed_in, alice, charlie, run):
    Experiment.objects.update(visibility="private")
    stranger = signed_in(charlie)
    for name in ("run-detail", "run-params", "run-series"):
        query = "?metric=loss" if name == "run-series" else ""
        unknown = reverse(name, args=[uuid.uuid4()])
        assert stranger.get(address(name, run) + query).status_code == 404
        assert stranger.get(unknown + query).status_code == 404
        assert signed_in(alice).get(address(name, run) + query).status_code == 200
    assert stranger.post(address("run-stop", run)).status_code == 404


def test_relatives_one_may_not_see_are_not_named(signed_in, alice, charlie, run):
    Experiment.objects.update(visibility="private")
    open_run = recording.start_run(user=alice, experiment="open", parent=run.pk)[0]
    hidden = recording.start_run(user=alice, experiment="digits", parent=open_run.pk, name="sly")[0]
    page = page_of(signed_in(charlie).get(address("run-detail", open_run)))
    assert facts(page)["Parent"] == "a run you may not see"
    assert str(run.pk) not in str([a.attributes for a in page.all("a")])
    assert hidden.name not in page.words


def test_a_run_in_the_trash_says_so_and_offers_no_stop(signed_in, alice, run, here):
    Run.objects.update(trashed_at=timezone.now())
    page = page_of(signed_in(alice).get(here))
    assert "This run is in the trash." in page.words
    assert not page.all("form", action=address("run-stop", run))


# --- The edges -------------------------------------------------------------------------------


def test_a_lost_run_says_what_that_means(signed_in, alice, run, here):
    Run.objects.update(has_beaten=True, last_seen_at=timezone.now() - timedelta(minutes=10))
    page = page_of(signed_in(alice).get(here))
    assert page.one("span", class_="badge").words == "Lost"
    assert "If its script speaks again, it is simply running." in page.words


def test_a_queued_run_has_no_start_yet(signed_in, alice, run, here):
    Run.objects.update(status="queued", started_at=None)
    shown = facts(page_of(signed_in(alice).get(here)))
    assert (shown["Started"], shown["Duration"]) == ("–", "–")


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("view=grid", "Metrics are seen as charts or table."),
        ("cursor=x", "This page of the list cannot be found"),
        ("search=%00", "cannot be used as search"),
    ],
)
def test_what_an_address_asks_in_vain_is_told(signed_in, alice, run, here, query, fault):
    log(run, loss=[1])
    page = page_of(signed_in(alice).get(f"{here}?{query}"), 422)
    assert fault in page.one("div", role="alert").words
    assert charts(page) == ["loss"]


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, payload):
    run = start(alice, notes=MARKDOWN, params={"p": payload, "q": [payload]}, tags={"t": payload},
                environment={payload: payload, "list": [payload], "deep": {payload: {"a": payload}},
                             "long": payload + "\n" + payload})  # fmt: skip
    log(run, **{"a/loss": [1.0], "a/acc": [2.0]})
    recording.finish_run(run=run, status="failed", error=payload)
    child = start(alice, "child", parent=run.pk)
    User.objects.filter(pk=alice.pk).update(username=payload[:150])
    Run.objects.filter(pk__in=[run.pk, child.pk]).update(name=payload)
    Experiment.objects.update(name=payload)
    for old, new in (("a/loss", f"{payload[:200]}/loss"), ("a/acc", f"{payload[:200]}/acc")):
        Metric.objects.filter(name=old).update(name=new)
    visit = signed_in(alice)
    for query in ("", "?view=table", "?search=loss"):
        answer = visit.get(address("run-detail", run) + query)
        assert payload.strip() in page_of(answer).text
        assert is_inert(answer.content.decode()), query
    assert is_inert(visit.get(address("run-params", run)).content.decode())
    assert is_inert(visit.get(address("run-detail", child)).content.decode())


def test_any_json_is_an_environment(signed_in, alice, run, here):
    Environment.objects.create(run=run, data={"a": 1, "b": [{"c": None}], "": 0,
                                              "d": {}, "e": [[]], "f": "x" * 300_000})  # fmt: skip
    answer = signed_in(alice).get(here)
    assert pairs(page_of(answer))["B"] == '[{"c": null}]'
    assert len(answer.content) < 150_000


# --- The cost --------------------------------------------------------------------------------


def test_statements_do_not_grow_with_what_a_run_holds(signed_in, alice, here, run):
    visit = signed_in(alice)

    def statements(path):
        return cost(visit.get, path)

    log(run, **{f"g{n % 2}/m{n}": [1.0] for n in range(3)})
    start(alice, "child 0", parent=run.pk)
    paths = (here, f"{here}?view=table", address("run-params", run))
    few = [statements(path) for path in paths]
    log(run, **{f"g{n % 7}/m{n}": [1.0] for n in range(60)})
    appending.append(user=alice, run_id=run.pk, metrics={},
                     params={f"p{n}": n for n in range(60)},
                     tags={f"t{n}": "" for n in range(60)})  # fmt: skip
    for n in range(1, 15):
        start(alice, f"child {n}", parent=run.pk)
    assert [statements(path) for path in paths] == few
    assert max(few) <= 13


# --- Curves as JSON --------------------------------------------------------------------------


def test_the_curves_are_the_same_as_the_api_s(signed_in, api, alice, run):
    log(run, loss=np.sin(np.arange(5000)), acc=[1.0, math.nan, math.inf])
    query = "metric=loss&metric=acc&buckets=50&from=100&to=4000&smoothing=0.5&x=step"
    page = signed_in(alice).get(f"{address('run-series', run)}?{query}")
    scripts = api(alice).get(f"/api/v1/series/?run={run.pk}&{query}")
    assert page["Content-Type"] == "application/json"
    assert page.json() == scripts.json()
    assert page.json()["series"][0]["count"] == 3901


def test_values_that_are_no_numbers_travel_as_words(signed_in, alice, run):
    log(run, loss=[math.nan, math.inf, -math.inf, 1.0])
    [series] = signed_in(alice).get(f"{address('run-series', run)}?metric=loss").json()["series"]
    assert series["y"] == ["NaN", "Infinity", "-Infinity", 1.0]
    assert (series["nan"], series["inf"], series["raw"]) == ([1, 0, 0, 0], [0, 1, 1, 0], True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "metric"),
        ("metric=lo%24s", "metric"),
        ("metric=loss&buckets=0", "buckets"),
        ("metric=loss&buckets=2001", "buckets"),
        ("metric=loss&buckets=x", "buckets"),
        ("metric=loss&from=nan", "from"),
        ("metric=loss&to=1e999", "to"),
        ("metric=loss&smoothing=1", "smoothing"),
        ("metric=loss&x=frog", "x"),
        ("metric=loss&x=metric:%00", "x"),
        ("&".join(f"metric=m{n}" for n in range(201)), "metric"),
    ],
)
def test_a_chart_that_cannot_be_drawn_is_refused_by_name(signed_in, alice, run, query, field):
    answer = signed_in(alice).get(f"{address('run-series', run)}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == [field]


def test_a_metric_the_run_has_not_is_left_out(signed_in, alice, run):
    answer = signed_in(alice).get(f"{address('run-series', run)}?metric=nope")
    assert answer.json() == {"series": []}

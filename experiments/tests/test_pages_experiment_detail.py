"""/experiments/<id>/: one experiment and the table of its runs."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from experiments import appending, recording
from experiments.models import Experiment, Metric, Param, Run, Tag
from experiments.storing import Columns
from experiments.tests.crowds import crowd, param
from experiments.tests.hostile import MARKDOWN, TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def experiment(alice) -> Experiment:
    return Experiment.objects.create(owner=alice, name="digits", description="Which *rate*?")


@pytest.fixture
def here(experiment) -> str:
    return reverse("experiment-detail", args=[experiment.pk])


def start(user, name, *, params=None, tags=None, metrics=None, ago=0):
    """A run of `digits` that logged these last values."""
    run, _ = recording.start_run(
        user=user, experiment="digits", name=name, params=params, tags=tags,
        started_at=timezone.now() - timedelta(minutes=ago),
    )  # fmt: skip
    columns = {key: Columns(values=[value], steps=[0]) for key, value in (metrics or {}).items()}
    appending.append(user=user, run_id=run.pk, metrics=columns)
    return run


def names(page):
    return [row["Name"] for row in table_of(page)]


def test_it_shows_what_the_experiment_is_and_its_newest_runs_first(signed_in, alice, here):
    start(alice, "old", params={"lr": 0.1, "seed": 1}, metrics={"loss": 0.25}, ago=60)
    new = start(alice, "new", params={"lr": 0.01, "seed": 1}, metrics={"loss": 0.5})
    page = page_of(signed_in(alice).get(here))
    assert page.one("h1").words == "digits"
    assert page.one("div", class_="prose").one("em").words == "rate"
    assert page.one("ul", class_="count-bar-numbers")["aria-label"] == "2 runs"
    first, second = table_of(page)
    assert list(first) == ["Name", "Status", "Started", "Duration", "lr", "loss"]
    assert (first["Name"], first["Status"], first["lr"]) == ("new", "Running", "0.01")
    assert second["Started"] == "1 h ago"
    assert link(page, "new") == reverse("run-detail", args=[new.pk])


def test_the_columns_are_params_that_differ_and_metrics_that_tell_most(signed_in, alice, here):
    common = {"dataset": "digits", **{f"p{n}": 1 for n in range(3)}}
    metrics = {"epoch": 3, "train/loss": 1, "val/acc": 0.5, "x": 1, "system/gpu": 1, "lr": 1}
    start(alice, "one", params={**common, "depth": 2}, metrics={**metrics, "y": 1, "z": 1})
    start(alice, "two", params={**common, "depth": 3, "only": 1}, metrics=metrics)
    [row, _] = table_of(page_of(signed_in(alice).get(here)))
    assert list(row)[4:] == ["depth", "only", "val/acc", "train/loss", "x", "y", "z", "epoch"]


def test_the_columns_stay_when_the_order_or_the_page_changes(signed_in, alice, experiment, here):
    crowd(experiment, alice, 60)
    visit = signed_in(alice)
    heads = {
        tuple(table_of(page_of(visit.get(f"{here}?limit=50&ordering={ordering}")))[0])
        for ordering in ("name", "-metrics.val/loss", "params.lr", "started")
    }
    assert len(heads) == 1
    page = page_of(visit.get(f"{here}?ordering=-metrics.val/loss.max"))
    assert set(table_of(page)[0]) == {*heads.pop(), "val/loss (max)"}


def test_the_best_of_each_metric_is_marked_with_a_word(signed_in, alice, here):
    start(alice, "a", metrics={"loss": 0.1, "accuracy": 0.5, "epoch": 1})
    start(alice, "b", metrics={"loss": 0.2, "accuracy": 0.9, "epoch": 2})
    start(alice, "c", metrics={"loss": float("nan"), "accuracy": float("inf"), "epoch": 3})
    page = page_of(signed_in(alice).get(f"{here}?ordering=name"))
    marked = page.all("td", class_="cell-best")
    assert [cell.words for cell in marked] == ["0.1", "0.9"]
    assert all(cell.one("svg")["aria-label"] == "Best shown" for cell in marked)
    assert [row["loss"] for row in table_of(page)] == ["0.1", "0.2", "NaN"]


def test_numbers_are_short_and_exact_on_hover_and_stand_under_each_other(signed_in, alice, here):
    start(alice, "a", params={"lr": 0.1}, metrics={"loss": 0.123456789})
    start(alice, "b", params={"lr": 0.0003}, metrics={"loss": 12.5})
    page = page_of(signed_in(alice).get(f"{here}?ordering=name&columns=params.lr,metrics.loss"))
    lr, loss, fine_lr, _ = page.all("td")
    assert (lr.words, loss.words, loss["title"]) == ("0.1", "0.1235", "0.123456789")
    assert lr["class"] == "short-3"
    assert "class" not in fine_lr.attributes


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("name", ["a", "b", "c", "d"]),
        ("-name", ["d", "c", "b", "a"]),
        ("started", ["d", "c", "b", "a"]),
        ("metrics.loss", ["b", "a", "c", "d"]),
        ("-metrics.loss", ["a", "b", "d", "c"]),
        ("metrics.loss.count", ["a", "b", "c", "d"]),
        ("params.lr", ["c", "b", "a", "d"]),
        ("owner", ["a", "b", "d", "c"]),
    ],
)
def test_it_sorts_by_any_column(signed_in, alice, charlie, here, ordering, expected):
    """Ties go by id, which is by age; runs without a finite value come last either way."""
    start(alice, "a", params={"lr": 0.3}, metrics={"loss": 0.9})
    start(alice, "b", params={"lr": 0.2}, metrics={"loss": 0.5}, ago=1)
    start(charlie, "c", params={"lr": 0.1}, metrics={"loss": float("nan")}, ago=2)
    start(alice, "d", ago=3)
    page = page_of(signed_in(alice).get(f"{here}?ordering={ordering}"))
    assert names(page) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=CALM", ["calm-otter"]),
        ("owner=charlie", ["brisk-hare"]),
        ("status=failed", ["brisk-hare"]),
        ("status=running", ["calm-otter"]),
        ("status=lost", ["deep-lake"]),
        ("tag=stage%3Dfinal", ["calm-otter"]),
        ("within=7d", ["brisk-hare", "calm-otter"]),
        ("search=a&owner=alice&status=lost", ["deep-lake"]),
    ],
)
def test_it_is_narrowed_by_its_address(signed_in, alice, charlie, here, query, expected):
    start(alice, "calm-otter", tags={"stage": "final"})
    failed = start(charlie, "brisk-hare")
    recording.finish_run(run=failed, status="failed")
    lost = start(alice, "deep-lake", ago=60 * 24 * 8)
    Run.objects.filter(pk=lost.pk).update(last_seen_at=timezone.now() - timedelta(days=2))
    page = page_of(signed_in(alice).get(f"{here}?ordering=name&{query}"))
    assert names(page) == expected


def test_a_run_is_found_by_its_id(signed_in, alice, here):
    start(alice, "one")
    wanted = start(alice, "two")
    assert names(page_of(signed_in(alice).get(f"{here}?search={wanted.pk}"))) == ["two"]


def test_chips_turn_on_and_off_and_name_what_has_no_field(signed_in, alice, here):
    start(alice, "one", tags={"a": "b"})
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?ordering=name"))
    assert link(page, "Running") == f"{here}?ordering=name&status=running"
    assert link(page, "Mine") == f"{here}?ordering=name&owner=alice"
    page = page_of(visit.get(f"{here}?status=running&tag=a%3Db&within=1d&cursor="))
    lit = {chip.words: chip["href"] for chip in page.all("a", aria_current="true", class_="chip")}
    assert lit == {
        "Running": f"{here}?tag=a%3Db&within=1d",
        "Last day": f"{here}?status=running&tag=a%3Db",
        "tag a=b": f"{here}?status=running&within=1d",
    }


def test_chosen_columns_are_shown_in_their_order_behind_the_name(signed_in, alice, here):
    run = start(alice, "one", params={"a b": True, "t": "<i>"}, tags={"x": "y", "bare": ""},
                metrics={"loss": 2.0})  # fmt: skip
    columns = "metrics.loss.mean,params.`a b`,owner,tags.x,tags.bare,id,metrics.nope,params.t"
    [row] = table_of(page_of(signed_in(alice).get(here, {"columns": columns})))
    assert row == {
        "Name": "one", "loss (mean)": "2", "a b": "true", "Owner": "alice", "x": "y",
        "bare": "✓", "Id": str(run.pk), "nope": "–", "t": "<i>",
    }  # fmt: skip


def test_every_attribute_has_a_column(signed_in, alice, here):
    parent = start(alice, "parent")
    run, _ = recording.start_run(user=alice, experiment="digits", name="child", parent=parent.pk)
    columns = "name,parent,revision,last_seen,experiment,created,ended"
    row, _ = table_of(page_of(signed_in(alice).get(f"{here}?columns={columns}")))
    assert row == {
        "Name": "child", "Parent": str(parent.pk), "Revision": f"{run.revision}",
        "Last_seen": "just now", "Experiment": "digits", "Created": "just now", "Ended": "–",
    }  # fmt: skip


def test_a_param_and_a_metric_of_one_name_are_told_apart(signed_in, alice, here):
    start(alice, "one", params={"lr": 1}, metrics={"lr": 0.5})
    start(alice, "two", params={"lr": 2}, metrics={"lr": 0.25})
    row, _ = table_of(page_of(signed_in(alice).get(here)))
    assert {"params.lr", "metrics.lr"} <= set(row)


def test_its_pages_hold_every_run_once_in_every_order(signed_in, alice, experiment, here):
    made = {run.name for run in crowd(experiment, alice, 130)}
    Metric.objects.filter(run__in=Run.objects.all()[:70], name="val/loss").update(last=0.5)
    visit = signed_in(alice)
    for ordering in ("-started", "metrics.val/loss", "-params.optimizer", "status"):
        address, seen = f"{here}?limit=50&ordering={ordering}", []
        while address:
            page = page_of(visit.get(address))
            seen += names(page)
            following = [a["href"] for a in page.all("a", rel="next")]
            address = here + following[0] if following else None
        assert len(seen) == 130, ordering
        assert set(seen) == made, ordering


def test_one_can_go_back_a_page(signed_in, alice, experiment, here):
    crowd(experiment, alice, 60)
    visit = signed_in(alice)
    first = page_of(visit.get(f"{here}?limit=50"))
    second = page_of(visit.get(here + first.one("a", rel="next")["href"]))
    back = page_of(visit.get(here + second.one("a", rel="prev")["href"]))
    assert names(back) == names(first)
    assert second.one("nav", class_="pager").words.startswith("10 of 60 runs")


def test_counting_stops_at_ten_thousand(signed_in, alice, experiment, here, monkeypatch):
    monkeypatch.setattr("experiments.paging.COUNT_LIMIT", 50)
    crowd(experiment, alice, 60, metrics=())
    page = page_of(signed_in(alice).get(f"{here}?limit=50"))
    assert page.one("nav", class_="pager").words.startswith("50 of 50+ runs")


def test_htmx_gets_the_table_alone_and_the_filters_beside_it(signed_in, alice, here):
    start(alice, "one")
    answer = signed_in(alice).get(
        f"{here}?q=o&owner=&status=running&ordering=-name",
        headers={**FRAGMENT, "HX-Trigger": "filters"},
    )
    assert answer["HX-Replace-Url"] == f"{here}?q=o&status=running&ordering=-name"
    page = page_of(answer)
    assert not page.all("h1")
    assert page.inside[0]["id"] == "runs"
    fields = page.one("div", id="filter-fields")
    assert fields["hx-swap-oob"] == "true"
    assert [(f["name"], f["value"]) for f in fields.all("input", type="hidden")] == [
        ("ordering", "-name")
    ]


def test_an_experiment_without_runs_says_how_they_come(signed_in, alice, experiment, here):
    page = page_of(signed_in(alice).get(here))
    assert "No runs yet" in page.words
    assert link(page, "Make a token") == f"{reverse('account')}?experiment={experiment.pk}"


def test_no_match_is_not_the_same_as_no_runs(signed_in, alice, here):
    start(alice, "one")
    page = page_of(signed_in(alice).get(f"{here}?q=two"))
    assert "No run matches" in page.words
    assert page.one("input", id="search")["value"] == "two"


# --- Who may not -----------------------------------------------------------------------------


def test_a_private_experiment_is_not_there_for_strangers(signed_in, alice, charlie, experiment):
    Experiment.objects.update(visibility="private")
    for name in ("experiment-detail", "experiment-runs-csv"):
        address = reverse(name, args=[experiment.pk])
        unknown = reverse(name, args=[uuid.uuid4()])
        stranger = signed_in(charlie)
        assert stranger.get(address).status_code == stranger.get(unknown).status_code == 404
        assert stranger.get(address, headers=FRAGMENT).status_code == 404
        assert signed_in(alice).get(address).status_code == 200


def test_a_viewer_reads_it(signed_in, alice, bob, here):
    start(alice, "one")
    assert names(page_of(signed_in(bob).get(here))) == ["one"]


def test_runs_in_the_trash_are_left_out_and_an_experiment_there_says_so(
    signed_in, alice, experiment, here
):
    gone = start(alice, "gone")
    start(alice, "kept")
    Run.objects.filter(pk=gone.pk).update(trashed_at=timezone.now())
    visit = signed_in(alice)
    assert names(page_of(visit.get(here))) == ["kept"]
    Experiment.objects.update(trashed_at=timezone.now())
    page = page_of(visit.get(here))
    assert "This experiment is in the trash." in page.words
    assert names(page) == ["kept"]


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("ordering=frog", "“frog” cannot be used as ordering"),
        ("ordering=tags.x", "“tags.x” cannot be used as ordering"),
        ("ordering=owner__password", "“owner__password” cannot be used as ordering"),
        ("ordering=metrics.a%22b", "cannot be used as ordering"),
        ("columns=name,nope", "“name,nope” cannot be used as columns"),
        ("columns=" + ",".join(f"params.p{n}" for n in range(101)), "At most 100 fields"),
        ("cursor=eyJ4IjoxfQ:1:x", "This page of the list cannot be found"),
        ("limit=1000000", "A page has 50, 100, 200 rows."),
        ("status=dead", "Known are queued, running, finished, failed, killed, lost."),
        ("within=9y", "Known are 1d, 7d, 30d."),
        ("created_after=yesterday", "“yesterday” cannot be used as created_after"),
        ("search=%00", "cannot be used as search"),
        ("tag=%00", "cannot be used as tag"),
    ],
)
def test_what_an_address_asks_in_vain_is_told_above_the_table(signed_in, alice, here, query, fault):
    start(alice, "one", metrics={"loss": 1})
    visit = signed_in(alice)
    for headers in ({}, FRAGMENT):
        page = page_of(visit.get(f"{here}?{query}", headers=headers), 422)
        assert fault in page.one("div", role="alert").words
        assert [list(row) for row in table_of(page)] == [
            ["Name", "Status", "Started", "Duration", "loss"]
        ]


def test_all_faults_are_told_at_once_and_what_is_good_holds(signed_in, alice, here):
    start(alice, "one")
    start(alice, "two")
    page = page_of(
        signed_in(alice).get(f"{here}?ordering=x&columns=y&status=z&cursor=q&search=two"), 422
    )
    assert len(page.one("div", role="alert").all("div", class_="message")) == 4
    assert names(page) == ["two"]


def test_a_cursor_after_the_last_run_was_purged_says_so(signed_in, alice, experiment, here):
    runs = crowd(experiment, alice, 60, metrics=())
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?limit=50"))
    address = here + page.one("a", rel="next")["href"]
    Run.objects.filter(pk__in=[run.pk for run in runs[:10]]).update(trashed_at=timezone.now())
    page = page_of(visit.get(address))
    assert "No more runs" in page.words


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, experiment, here, payload):
    User.objects.filter(pk=alice.pk).update(username=payload[:150])
    Experiment.objects.update(name=payload, description=MARKDOWN, tags={payload: payload})
    run = crowd(experiment, alice, 1)[0]
    Run.objects.filter(pk=run.pk).update(name=payload)
    Metric.objects.filter(name="lr").update(name=payload)
    Param.objects.filter(name="seed").update(name=payload)
    Param.objects.filter(name="optimizer").update(
        kind="text", text=payload, text_head=payload[:200]
    )
    Tag.objects.create(run=run, experiment=experiment, name=payload, text=payload,
                       text_head=payload[:200])  # fmt: skip
    for query in ({}, {"columns": "params.optimizer,tags.stage,owner"}, {"search": payload[:200]}):
        answer = signed_in(alice).get(here, query)
        page_of(answer, answer.status_code)
        assert answer.status_code in (200, 422)
        assert is_inert(answer.content.decode()), query
    assert payload.strip() in page_of(signed_in(alice).get(here)).text


def test_no_text_is_taken_for_the_markup_of_its_row(signed_in, alice, here):
    start(alice, "{} {0} %(id)s", params={"lr": 0.1, "x": "{y}"}, tags={"t": "{}"})
    Param.objects.filter(name="lr").update(text_head="<i>{}")  # reads as a number all the same
    answer = signed_in(alice).get(here, {"columns": "name,params.lr,params.x,tags.t"})
    [row] = table_of(page_of(answer))
    assert list(row.values()) == ["{} {0} %(id)s", "<i>{}", "{y}", "{}"]


# --- The cost --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ordering=-metrics.val/loss",
        "ordering=params.lr",
        "q=params.lr > 0.0 and not tags.debug",
        "columns=params.lr,tags.stage",
    ],
)
def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, here, query):
    visit = signed_in(alice)

    def statements():
        return cost(visit.get, f"{here}?{query}")

    crowd(experiment, alice, 3)
    few = statements()
    for run in crowd(experiment, alice, 57, seed=2):
        Param.objects.create(**{
            field.attname: getattr(found, field.attname)
            for found in [param(run, "long", "x" * 5000)] for field in Param._meta.concrete_fields
        })  # fmt: skip
    assert statements() == few <= 19  # three of them bound the time, on PostgreSQL


# --- Its CSV ---------------------------------------------------------------------------------


def rows_of_csv(answer):
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="runs-')
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_the_csv_is_what_is_shown_exact_and_of_all_pages(signed_in, alice, experiment, here):
    crowd(experiment, alice, 60)
    Metric.objects.filter(name="val/loss").update(last=0.1 + 0.2)
    visit = signed_in(alice)
    page = page_of(visit.get(f"{here}?limit=50&ordering=name&status=finished"))
    head, *rows = rows_of_csv(visit.get(link(page, "CSV")))
    shown = table_of(page)
    finished = Run.objects.filter(status="finished").order_by("name")
    assert [row[0] for row in rows] == [run.name for run in finished]
    assert [row[0] for row in rows][: len(shown)] == [row["Name"] for row in shown]
    assert head[:4] == ["name", "status", "started", "duration"]
    assert len(head) == len(shown[0])
    assert {row[head.index("metrics.val/loss")] for row in rows} == {"0.30000000000000004"}


def test_the_csv_refuses_what_it_cannot_do_and_runs_no_formula(signed_in, alice, experiment):
    run = start(alice, "=cmd|' /C calc'!A0", params={"note": "@SUM(1)"})
    address = reverse("experiment-runs-csv", args=[experiment.pk])
    visit = signed_in(alice)
    refused = visit.get(f"{address}?ordering=frog")
    assert (refused.status_code, refused["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "“frog” cannot be used as ordering" in refused.content.decode()
    _, row = rows_of_csv(visit.get(f"{address}?columns=name,params.note,id"))
    assert row == ["'=cmd|' /C calc'!A0", "'@SUM(1)", str(run.pk)]

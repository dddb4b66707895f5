"""Keyset pages: over thousands of equal and absent values, in every order, forward and backward,
each row comes exactly once; and a cursor is good for nothing else than where it came from."""

import base64
import math
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import time_machine
from django.core import signing
from django.db import connection, transaction
from django.http import QueryDict

from accounts.models import Token, User
from experiments import paging, recording, summaries
from experiments.fields import AGGREGATES, parse_ordering
from experiments.models import Experiment, Metric, Param, Run
from experiments.series import Points
from experiments.tests.contract import CheckedClient
from experiments.values import param_value

ROWS = 3_000
PAGE = 701  # no divisor of anything here
START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERINGS = [
    "name", "status", "owner", "experiment", "created", "started", "ended", "duration",
    *(f"metrics.loss.{aggregate}" for aggregate in AGGREGATES),
    "metrics.same", "metrics.absent", "params.lr", "params.same", "params.text", "params.absent",
]  # fmt: skip
# What a metric ends with, by a run's number: ties, both zeros, what is not finite, nothing.
LASTS = (1.0, 1.0, -0.0, 0.0, math.nan, math.inf, -math.inf, None, 2.5, -7.0, 5e-324, 1.7e308)
LRS = (0.1, 0.1, "0.1", 1, True, None, "auto", "auto", "zeta", "é", [1], None, -5, "")


@pytest.fixture(scope="module")
def crowd(django_db_setup, django_db_blocker):
    """Three thousand runs of two experiments, full of ties and gaps; gone with this module."""
    with django_db_blocker.unblock():
        everything = transaction.atomic()
        everything.__enter__()
        try:
            yield make_crowd()
        finally:
            transaction.set_rollback(True)
            everything.__exit__(None, None, None)


def make_crowd() -> Experiment:
    owners = [User.objects.create_user(name) for name in ("paula", "quentin")]
    experiments = [Experiment.objects.create(name=name, owner=owners[0]) for name in ("one", "two")]
    runs = [one_run(number, owners, experiments) for number in range(ROWS)]
    Run.objects.bulk_create(runs, batch_size=1_000)
    metrics, params = [], []
    for number, run in enumerate(runs):
        metrics += [metric(run, "same", 0.5), *maybe(metric, run, "loss", number, LASTS)]
        params += [param(run, "same", 7), param(run, "text", "x" * 300)]
        if number % 5:
            params.append(param(run, "lr", LRS[number % len(LRS)]))
    Metric.objects.bulk_create(metrics, batch_size=1_000)
    Param.objects.bulk_create(params, batch_size=1_000)
    # A server does it by itself, but not within a transaction. Of all tables, those among them that
    # databases share would stay locked for the other workers of these tests.
    with connection.cursor() as cursor:
        for model in (Experiment, Run, Metric, Param):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    return experiments[0]


def one_run(number: int, owners: list[User], experiments: list[Experiment]) -> Run:
    """Most began at one moment; every third one on its own; some have not begun."""
    status = ("finished", "failed", "running", "queued", "finished")[number % 5]
    started = START + timedelta(seconds=number if number % 3 == 0 else 0)
    return Run(
        name="same" if number % 2 else f"run {number % 40}",
        experiment=experiments[number % 7 == 0],
        owner=owners[number % 2],
        status=status,
        created_at=START if number % 4 else started,
        started_at=None if status == "queued" else started,
        ended_at=started + timedelta(seconds=number % 9) if number % 5 in (0, 1, 4) else None,
        last_seen_at=started,
        has_beaten=number % 2 == 0,
    )


def metric(run: Run, name: str, last: float) -> Metric:
    values = np.array([last])
    points = Points.of(values=values, steps=np.array([3]), times=np.array([0]))
    summary = summaries.extend(None, points)
    columns = {column: getattr(summary, column) for column in summary.__dataclass_fields__}
    return Metric(run=run, experiment_id=run.experiment_id, name=name, **columns)


def maybe(make, run, name, number, choices) -> list:
    """What `make` makes of the choice for this number, if there is one."""
    chosen = choices[number % len(choices)]
    return [] if chosen is None else [make(run, name, chosen)]


def param(run: Run, name: str, value: object) -> Param:
    stored = param_value(value)
    return Param(
        run=run, experiment_id=run.experiment_id, name=name, value=stored.value,
        kind=stored.kind, text=stored.text, text_head=stored.text_head, number=stored.number,
    )  # fmt: skip


def walked(listing, descending) -> tuple[list, list]:
    """Every row from the first page on by `next`, and from the last one back by `previous`."""
    forward, cursor, last = [], "", None
    while cursor is not None:
        query = QueryDict(f"cursor={cursor}")
        page = paging.paginate(listing, descending=descending, limit=PAGE, query=query)
        forward += [row.pk for row in page.rows]
        last, cursor = page, page.next
        assert len(page.rows) == PAGE or cursor is None
    backward, cursor = [row.pk for row in last.rows], last.previous
    while cursor is not None:
        query = QueryDict(f"cursor={cursor}")
        page = paging.paginate(listing, descending=descending, limit=PAGE, query=query)
        backward = [row.pk for row in page.rows] + backward
        assert page.next is not None
        cursor = page.previous
    return forward, backward


@pytest.mark.parametrize(
    ("sign", "inside"), [("", True), ("-", True), ("-", False)], ids=["up", "down", "over all"]
)
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_every_run_comes_exactly_once_forward_and_backward(crowd, db, ordering, sign, inside):
    rows = Run.objects.filter(experiment=crowd) if inside else Run.objects.all()
    rows = rows.only("pk")
    chosen = parse_ordering(sign + ordering)
    forward, backward = walked(
        lambda now: rows.segments(chosen, crowd.pk if inside else None, now), chosen.descending
    )
    assert len(forward) == len(set(forward)) == rows.count()
    assert backward == forward


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("ordering", ["name", "created_at", "last_run_at"])
def test_every_experiment_comes_exactly_once_forward_and_backward(db, alice, ordering, sign):
    Experiment.objects.bulk_create(
        Experiment(
            name=f"e{number}",
            owner=alice,
            created_at=START,
            last_run_at=(START, None, START + timedelta(seconds=number))[number % 3],
        )
        for number in range(2 * PAGE + 5)
    )
    segments, descending = Experiment.objects.only("pk").segments(sign + ordering)
    forward, backward = walked(lambda now: segments, descending)
    assert len(forward) == len(set(forward)) == Experiment.objects.count()
    assert backward == forward


def values_in_order(crowd, sign) -> list[float | None]:
    chosen = parse_ordering(f"{sign}metrics.loss")
    rows = Run.objects.filter(experiment=crowd).only("pk")
    forward, _ = walked(lambda now: rows.segments(chosen, crowd.pk, now), chosen.descending)
    last = dict(Metric.objects.filter(name="loss").values_list("run_id", "last"))
    return [last.get(pk) for pk in forward]


def test_values_go_up_or_down_and_what_has_none_comes_last_both_ways(crowd, db):
    for sign in ("", "-"):
        values = values_in_order(crowd, sign)
        finite = [value for value in values if value is not None]
        assert values == finite + [None] * (len(values) - len(finite))
        assert finite == sorted(finite, reverse=bool(sign))


@pytest.mark.parametrize("sign", ["", "-"])
def test_statuses_go_as_they_are_shown_the_lost_among_them(crowd, db, sign):
    chosen = parse_ordering(f"{sign}status")
    rows = Run.objects.filter(experiment=crowd)
    forward, _ = walked(lambda now: rows.segments(chosen, crowd.pk, now), chosen.descending)
    shown = {run.pk: run.shown_status for run in rows}
    assert set(shown.values()) == {"failed", "finished", "lost", "queued"}
    assert [shown[pk] for pk in forward] == sorted(shown.values(), reverse=bool(sign))


# --- Over the API ------------------------------------------------------------------------------


@pytest.fixture
def script(crowd, db):
    """Someone who sees everything."""
    user = User.objects.create_user("sara", role=User.Role.ADMIN)
    return CheckedClient(Token.objects.issue(user, "test")[1])


@pytest.mark.parametrize(
    "query",
    [
        "ordering=-metrics.loss&experiment=one",
        "ordering=params.lr",
        "ordering=duration&status=finished",
    ],
)
def test_links_lead_through_the_whole_list_and_back(script, query):
    def follow(address, direction):
        seen = []
        while address is not None:
            page = script.get(address)
            assert page.status_code == 200, page.content
            seen.append([row["id"] for row in page.json()["results"]])
            last, address = address, page.json()[direction]
        return seen, last

    first = f"/api/v1/runs/?{query}&fields=name&limit={PAGE}"
    forward, last = follow(first, "next")
    backward, _ = follow(last, "previous")
    assert backward[::-1] == forward
    ids = [pk for page in forward for pk in page]
    assert len(ids) == len(set(ids)) > PAGE


def test_the_page_size_may_change_on_the_way(script):
    first = script.get("/api/v1/runs/?limit=10&fields=name").json()
    rest = script.get(first["next"].replace("limit=10", "limit=1000")).json()
    assert len(rest["results"]) == 1_000
    assert not {row["id"] for row in first["results"]} & {row["id"] for row in rest["results"]}


def test_running_runs_do_not_outgrow_the_cursor_by_duration(db, api, alice):
    with time_machine.travel(START, tick=False) as clock:
        for seconds in range(30):
            started = START - timedelta(seconds=seconds)
            recording.start_run(user=alice, experiment="digits", started_at=started)
        for ordering in ("duration", "-duration"):
            script, seen = api(alice), []
            address = f"/api/v1/runs/?experiment=digits&ordering={ordering}&limit=4"
            while address:
                page = script.get(address).json()
                seen += [row["id"] for row in page["results"]]
                address = page["next"]
                clock.shift(timedelta(seconds=3))
            assert len(seen) == len(set(seen)) == 30


def test_a_row_that_goes_away_takes_no_other_with_it(db, api, alice):
    runs = [recording.start_run(user=alice, experiment="digits", name=f"{n}")[0] for n in range(9)]
    script = api(alice)
    first = script.get("/api/v1/runs/?experiment=digits&ordering=name&limit=3").json()
    Run.objects.filter(pk=runs[2].pk).delete()
    recording.start_run(user=alice, experiment="digits", name="0a")
    second = script.get(first["next"]).json()
    assert [row["name"] for row in second["results"]] == ["3", "4", "5"]


@pytest.fixture
def cursor(script) -> str:
    """A good one, of the list of runs by name."""
    address = script.get("/api/v1/runs/?ordering=name&limit=5").json()["next"]
    return QueryDict(address.partition("?")[2])["cursor"]


@pytest.mark.parametrize(
    "query",
    [
        {"ordering": "-name"},
        {"ordering": "started"},
        {},
        {"ordering": "name", "status": "failed"},
        {"ordering": "name", "fields": "name"},
    ],
)
def test_a_cursor_is_good_for_its_own_list_only(script, cursor, query):
    assert script.get("/api/v1/runs/", {"ordering": "name", "cursor": cursor}).status_code == 200
    refused = script.get("/api/v1/runs/", {**query, "cursor": cursor})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "validation_error")
    elsewhere = script.get("/api/v1/experiments/", {"ordering": "name", "cursor": cursor})
    assert elsewhere.status_code == 400


def test_a_cursor_that_was_tampered_with_is_a_400(script, cursor):
    body, _, signature = cursor.rpartition(":")
    forged = base64.urlsafe_b64encode(b'{"segment":0,"key":["plain","a"],"id":"x"}').decode()
    others = signing.dumps({"segment": 0}, salt="another", key="another")
    for text in (
        cursor[:-1], f"{body}x:{signature}", f"{forged}:{signature}", others, "x", ":", "::",
        "0" * 4_000, str(uuid.uuid4()), "é", cursor.upper(),
    ):  # fmt: skip
        answer = script.get("/api/v1/runs/", {"ordering": "name", "cursor": text})
        assert answer.status_code == 400, text
        assert "cursor" in answer.json()["error"]["message"]


def test_long_names_in_every_script_fit_into_a_cursor(db, api, alice):
    for number in range(3):
        name = "\U0001f600" * 249 + str(number)
        recording.start_run(user=alice, experiment="digits", name=name)
    script = api(alice)
    page = script.get("/api/v1/runs/?experiment=digits&ordering=name&limit=1").json()
    assert len(page["next"]) < 6_000
    assert script.get(page["next"]).json()["results"][0]["name"].endswith("1")

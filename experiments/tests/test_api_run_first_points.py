"""POST /api/v1/runs/ with `log`: a run and its first points in one request."""

import json
import uuid

import pytest
from django.db import connection

from experiments.models import Experiment, Metric, Run
from experiments.upkeep import verify_metric
from exptrack.tests.statements import cost

LIST = "/api/v1/runs/"
NUMBERED = {"writer": "w", "seq": 1, "metrics": {"loss": 0.5, "acc": {"values": [0.1, 0.9]}}}


@pytest.fixture
def script(api, alice):
    """Alice's."""
    return api(alice)


@pytest.fixture
def start(script):
    """Starts a run in `sweep` with a first batch."""

    def post(log, **fields):
        return script.post(LIST, {"experiment": "sweep", "log": log, **fields})

    return post


def counts(run) -> dict[str, int]:
    return dict(Metric.objects.filter(run=run).values_list("name", "count"))


def faults(answer) -> list[str]:
    assert answer.status_code == 400, answer.content
    return list(answer.json()["error"]["details"])


def test_a_run_begins_with_its_points_and_says_so(script, start):
    answer = start({"metrics": {"loss": 0.5, "odd": "NaN"}, "step": 3}, params={"lr": 0.1})
    assert answer.status_code == 201
    shown = answer.json()
    assert shown["metrics"] == {"loss": 0.5, "odd": "NaN"}
    assert shown["revision"] == 1
    read = script.get(f"{LIST}{shown['id']}/").json()
    assert {**read, "last_seen_at": None, "duration": None} == {
        **shown, "last_seen_at": None, "duration": None
    }  # fmt: skip
    metrics = Metric.objects.filter(run=shown["id"]).select_related("tail")
    assert [verify_metric(metric) for metric in metrics] == [[], []]
    assert {metric.last_step for metric in metrics} == {3}


@pytest.mark.parametrize(
    "metrics",
    [
        [{"name": "loss", "value": 1.0, "step": 4}, {"name": "loss", "value": 2}],
        {"loss": {"steps": [4, 5], "values": [1, 2]}},
    ],
)
def test_points_come_in_every_form_of_a_batch(script, start, metrics):
    run = start({"metrics": metrics}).json()["id"]
    history = script.get(f"{LIST}{run}/history/", {"metric": "loss"}).json()["metrics"]["loss"]
    assert (history["steps"], history["values"]) == ([4, 5], [1.0, 2.0])


def test_many_points_are_sealed_at_once(start):
    run = start({"metrics": {"loss": {"values": [0.5] * 5_000}}}).json()["id"]
    metric = Metric.objects.select_related("tail").get(run=run)
    assert (metric.count, metric.chunks.count(), verify_metric(metric)) == (5_000, 1, [])


def test_a_run_goes_on_behind_its_first_points(script, start):
    run = start(NUMBERED).json()["id"]
    batch = {"writer": "w", "seq": 2, "metrics": {"loss": 0.4}}
    answer = script.post(f"{LIST}{run}/log/", batch).json()
    assert answer == {"accepted": 1, "duplicate": False, "revision": 2}
    assert counts(run) == {"loss": 2, "acc": 2}


def test_a_repeat_adds_nothing(start):
    run = str(uuid.uuid4())
    assert start(NUMBERED, id=run).status_code == 201
    again = start(NUMBERED, id=run)
    assert (again.status_code, again.json()["revision"]) == (200, 1)
    assert counts(run) == {"loss": 1, "acc": 2}


def test_the_same_bytes_are_the_same_batch_at_the_log(script, start):
    run = str(uuid.uuid4())
    start(NUMBERED, id=run)
    batch = json.dumps(NUMBERED)
    body = f'{{"experiment": "sweep", "id": "{uuid.uuid4()}", "log": {batch}}}'
    other = script.post(LIST, body).json()["id"]
    answer = script.post(f"{LIST}{other}/log/", batch)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, True)


def test_another_process_that_joins_adds_its_own(start):
    run = str(uuid.uuid4())
    start(NUMBERED, id=run)
    joined = start({**NUMBERED, "writer": "other"}, id=run)
    assert joined.status_code == 200
    assert joined.json()["revision"] == 2
    assert counts(run) == {"loss": 2, "acc": 4}


def test_another_batch_under_the_same_number_is_refused(start):
    run = str(uuid.uuid4())
    start(NUMBERED, id=run)
    assert start({**NUMBERED, "metrics": {"loss": 9}}, id=run).status_code == 422
    assert counts(run) == {"loss": 1, "acc": 2}


@pytest.mark.parametrize(
    ("log", "status"),
    [
        ({**NUMBERED, "seq": 3}, 409),
        ({**NUMBERED, "metrics": {"loss": 9}}, 422),
        ({**NUMBERED, "seq": 2, "metrics": {"a$": 1}}, 400),
    ],
)
def test_a_run_whose_points_are_refused_does_not_go_on(script, start, log, status):
    run = str(uuid.uuid4())
    start(NUMBERED, id=run)
    script.post(f"{LIST}{run}/finish/", {"status": "failed", "error": "Out of memory"})
    before = script.get(f"{LIST}{run}/").json()
    assert start(log, id=run, resume=True).status_code == status
    assert script.get(f"{LIST}{run}/").json() == before


def test_a_run_that_is_resumed_goes_on_with_its_points(script, start):
    run = str(uuid.uuid4())
    start(NUMBERED, id=run)
    script.post(f"{LIST}{run}/finish/", {"status": "failed", "error": "Out of memory"})
    shown = start({**NUMBERED, "writer": "second"}, id=run, resume=True).json()
    assert (shown["status"], shown["ended_at"], shown["error"]) == ("running", None, "")
    assert counts(run) == {"loss": 2, "acc": 4}
    assert script.get(f"{LIST}{run}/").json()["revision"] == shown["revision"]


def test_a_token_bound_to_logging_may(api, alice):
    answer = api(alice, scope="log").post(LIST, {"experiment": "sweep", "log": NUMBERED})
    assert answer.status_code == 201


def test_nobody_adds_points_to_the_run_of_another(start, api, bob):
    run = str(uuid.uuid4())
    start(NUMBERED, id=run)
    body = {"experiment": "sweep", "id": run, "log": {**NUMBERED, "writer": "bob"}}
    assert api(bob).post(LIST, body).status_code in (403, 409)
    assert counts(run) == {"loss": 1, "acc": 2}


@pytest.mark.parametrize(
    ("log", "field"),
    [
        (None, "log"),
        ([], "log"),
        ({"metric": {}}, "body"),
        ({"metrics": {"loss": "high"}}, "metrics.loss.values"),
        ({"metrics": {"a$": 1}}, "metrics.a$"),
        ({"metrics": {"loss": {"values": [1, 2], "steps": [1]}}}, "metrics.loss.steps"),
        (
            {"metrics": [{"name": "a", "value": 1, "step": 2**63 - 1}, {"name": "a", "value": 1}]},
            "metrics.a",
        ),
        ({"metrics": {"loss": 1}, "params": {"lr": 1}}, "log"),
        ({"metrics": {"loss": 1}, "tags": {"a": "b"}}, "log"),
        ({"metrics": {"loss": 1}, "writer": "w"}, "seq"),
        ({"metrics": {"loss": 1}, "writer": "", "seq": 1}, "writer"),
        ({"metrics": {"loss": 1}, "writer": "w", "seq": 0}, "seq"),
    ],
)
def test_what_cannot_be_used_is_named_and_starts_nothing(start, log, field):
    assert faults(start(log)) == [field]
    assert not Run.objects.exists()
    assert not Experiment.objects.exists()


def test_a_first_batch_out_of_its_turn_starts_nothing(start):
    assert start({**NUMBERED, "seq": 2}).status_code == 409
    assert not Run.objects.exists()


def test_with_an_id_a_batch_has_a_number(start):
    assert faults(start({"metrics": {"loss": 1}}, id=str(uuid.uuid4()))) == ["log"]
    assert not Run.objects.exists()


def test_a_name_that_stands_twice_is_refused(script):
    body = '{"experiment": "x", "log": {"metrics": {"a": 1}}, "log": {"metrics": {"b": 1}}}'
    assert script.post(LIST, body).status_code == 400
    assert not Run.objects.exists()


def test_points_cost_no_statement_of_their_own(transactional_db, start):
    for _ in range(2):
        start(NUMBERED)
    many = {f"m{number}": 1 for number in range(50)}
    # the run with all it has; on SQLite, where each is sent by itself: token, experiment, BEGIN,
    # COMMIT, run, the experiment's last run, metrics and tails
    assert cost(start, {"metrics": many}) == (1 if connection.vendor == "postgresql" else 8)

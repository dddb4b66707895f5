"""A run started in one statement, in the experiment that this process remembers, and all that makes
it look again. On PostgreSQL only."""

import uuid

import pytest
from django.utils import timezone

from accounts.models import Token
from experiments import recording
from experiments.models import Experiment, Metric, Run
from experiments.tests.holding import stored
from experiments.tests.shutting import shutting
from experiments.upkeep import verify_metric
from exptrack.tests.statements import cost

pytestmark = pytest.mark.only_on("postgresql")

LIST = "/api/v1/runs/"
LOG = {"writer": "w", "seq": 1, "metrics": {"loss": {"values": [0.5, "NaN"]}, "acc": 1.0}}
FULL = {
    "experiment": "sweep",
    "name": "one of many",
    "params": {"lr": 0.1, "layers": [1, 2], "note": "ü", "none": None},
    "tags": {"gpu": "a100", "bare": ""},
    "environment": {"host": "h"},
    "notes": "# Why",
    "started_at": "2026-01-31T12:00:00Z",
    "log": LOG,
}


@pytest.fixture
def script(transactional_db, api, alice):
    """Alice's, after two starts: the first made the experiment, the second looked for it."""
    script = api(alice)
    for _ in range(2):
        assert script.post(LIST, {"experiment": "sweep"}).status_code == 201
    return script


@pytest.fixture
def sweep(script) -> Experiment:
    return Experiment.objects.get()


def own(shown: dict) -> dict:
    """What is not the same in every run."""
    moments = ("id", "url", "last_seen_at", "duration")
    return {name: value for name, value in shown.items() if name not in moments}


def test_a_start_is_one_statement_whatever_it_brings(script):
    assert cost(script.post, LIST, {"experiment": "sweep"}) == 1
    assert cost(script.post, LIST, {**FULL, "id": str(uuid.uuid4())}) == 1


def test_it_stores_and_tells_what_the_long_way_does(script, sweep):
    looked_for = script.post(LIST, {**FULL, "experiment": str(sweep.pk)})
    remembered = script.post(LIST, FULL)
    assert (looked_for.status_code, remembered.status_code) == (201, 201)
    assert own(remembered.json()) == own(looked_for.json())
    for shown in (looked_for.json(), remembered.json()):
        assert own(script.get(f"{LIST}{shown['id']}/").json()) == own(shown)
    metrics = Metric.objects.select_related("tail")
    assert [verify_metric(metric) for metric in metrics] == [[]] * 4


def test_the_experiment_s_last_run_moves_on_and_never_back(script, sweep):
    before = sweep.last_run_at
    script.post(LIST, {"experiment": "sweep"})
    sweep.refresh_from_db()
    assert sweep.last_run_at > before
    latest = sweep.last_run_at
    script.post(LIST, {"experiment": "sweep", "started_at": "2020-01-01T00:00:00Z"})
    sweep.refresh_from_db()
    assert sweep.last_run_at == latest


def test_the_run_goes_on_behind_its_first_points(script):
    run = Run.objects.get(pk=script.post(LIST, FULL).json()["id"])
    batch = {"writer": "w", "seq": 2, "metrics": {"acc": 2.0}}
    assert cost(script.post, f"{LIST}{run.pk}/log/", batch) == 1
    assert stored(run)["acc"] == [1.0, 2.0]


def test_a_repeat_is_answered_with_the_run_and_adds_nothing(script):
    body = {**FULL, "id": str(uuid.uuid4())}
    assert [script.post(LIST, body).status_code for _ in range(3)] == [201, 200, 200]
    assert Run.objects.get(pk=body["id"]).revision == 1
    assert Run.objects.count() == 3


def test_what_cannot_be_used_is_named_as_ever(script):
    answer = script.post(LIST, {"experiment": "sweep", "params": {"a$": 1}})
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == ["params.a$"]
    assert script.post(LIST, {"experiment": "sweep", "log": {**LOG, "seq": 2}}).status_code == 409
    assert Run.objects.count() == 2


@shutting(bound=403)
def test_what_a_token_no_longer_opens_is_shut_at_once(script, sweep, change, status):
    change()
    assert script.post(LIST, {"experiment": "sweep"}).status_code == status
    assert Run.objects.count() == 2
    before = sweep.last_run_at
    sweep.refresh_from_db()
    assert sweep.last_run_at == before


def test_a_token_just_revoked_reads_nothing_and_is_told_nothing(script):
    assert script.get(LIST).status_code == 200
    assert script.post(LIST, {"experiment": 7}).status_code == 400
    Token.objects.all().revoke()
    assert script.get(LIST).status_code == 401
    assert script.post(LIST, {"experiment": 7}).status_code == 401


def test_what_a_token_does_not_open_is_told_of_the_token_as_it_is_now(script, api, alice):
    reader = api(alice, scope="read", name="reader")
    token = Token.objects.filter(name="reader")
    assert reader.get(LIST).status_code == 200
    assert reader.post(LIST, {"experiment": "sweep"}).status_code == 403
    token.update(scope="write")
    assert reader.post(LIST, {"experiment": "sweep"}).status_code == 201
    token.update(scope="read")
    assert reader.post(LIST, {"experiment": "sweep"}).status_code == 403
    token.revoke()
    assert reader.post(LIST, {"experiment": "sweep"}).status_code == 401


def test_a_private_one_of_mine_is_meant_before_an_internal_one(script, sweep, alice):
    mine = recording.create_experiment(user=alice, name="sweep", visibility="private")
    assert script.post(LIST, FULL).json()["experiment"]["id"] == str(mine.pk)


def test_an_experiment_called_otherwise_now_is_not_meant_by_its_old_name(script, sweep):
    script.post(LIST, {"experiment": str(sweep.pk)})
    Experiment.objects.update(name="swept")
    by_id = script.post(LIST, {"experiment": str(sweep.pk)}).json()
    assert by_id["experiment"] == {"id": str(sweep.pk), "name": "swept"}
    assert script.post(LIST, FULL).json()["experiment"]["id"] != str(sweep.pk)


def test_an_experiment_in_the_trash_takes_no_run(script, sweep):
    script.post(LIST, {"experiment": str(sweep.pk)})
    Experiment.objects.update(trashed_at=timezone.now())
    assert script.post(LIST, {"experiment": str(sweep.pk)}).status_code == 409
    assert script.post(LIST, FULL).json()["experiment"]["id"] != str(sweep.pk)


def test_an_experiment_that_became_anothers_private_one_takes_no_run(script, sweep, bob):
    script.post(LIST, {"experiment": str(sweep.pk)})
    Experiment.objects.update(owner=bob, visibility="private")
    assert script.post(LIST, {"experiment": str(sweep.pk)}).status_code == 404
    assert script.post(LIST, FULL).json()["experiment"]["id"] != str(sweep.pk)

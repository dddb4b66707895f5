"""The life of a run as scripts see it: begun, beating, lost, stopped, ended, reopened, trashed;
and which experiment a name means."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accounts.models import User
from experiments import curating, purging, recording
from experiments.models import Collaborator, Experiment, Run

RUNS = "/api/v1/runs/"
EXPERIMENTS = "/api/v1/experiments/"
START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    """Time stands still at START until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def script(api, alice):
    """Alice's."""
    return api(alice)


@pytest.fixture
def run(clock, alice) -> Run:
    return recording.start_run(user=alice, experiment="digits", name="one")[0]


@pytest.fixture
def send(script, run):
    """Posts to a room of the run; what it answered."""

    def post(room, body=None):
        answer = script.post(f"{RUNS}{run.pk}/{room}/", body or {})
        assert answer.status_code == 200, answer.content
        return answer.json()

    return post


@pytest.fixture
def shown(script, run):
    """The run as it is shown now."""
    return lambda: script.get(f"{RUNS}{run.pk}/").json()


def listed(script, **query) -> list[str]:
    return [found["name"] for found in script.get(RUNS, query).json()["results"]]


# --- Lost ------------------------------------------------------------------------------------


def test_a_run_that_beat_is_lost_after_two_minutes_of_silence(script, run, send, shown, clock):
    assert send("heartbeat") == {"status": "running", "stop_requested": False}
    clock.shift(timedelta(seconds=120))
    assert shown()["status"] == "running"
    clock.shift(timedelta(seconds=1))
    assert shown()["status"] == "lost"
    assert shown()["duration"] == 0


def test_a_run_that_never_beat_is_lost_after_a_day(run, send, shown, clock):
    clock.shift(timedelta(hours=24))
    assert shown()["status"] == "running"
    clock.shift(timedelta(seconds=1))
    assert shown()["status"] == "lost"
    send("log", {"metrics": {"loss": 1.0}})
    assert shown()["status"] == "running"


@pytest.mark.parametrize("room", ["heartbeat", "log"])
def test_a_lost_run_that_speaks_again_is_simply_running(run, send, shown, clock, room):
    send("heartbeat")
    clock.shift(timedelta(hours=2))
    assert shown()["status"] == "lost"
    send(room, {"metrics": {"loss": 1.0}} if room == "log" else None)
    assert (shown()["status"], shown()["duration"]) == ("running", 7200)


def test_running_and_lost_are_told_apart_in_lists_counts_and_order(script, run, send, clock, alice):
    send("heartbeat")
    clock.shift(timedelta(minutes=10))
    recording.start_run(user=alice, experiment="digits", name="two")
    assert listed(script, status="lost") == ["one"]
    assert listed(script, status="running") == ["two"]
    assert listed(script, ordering="status") == ["one", "two"]
    found = script.get(f"{EXPERIMENTS}{run.experiment_id}/").json()["run_counts"]
    assert (found["total"], found["lost"], found["running"]) == (2, 1, 1)
    latest = script.get(f"{EXPERIMENTS}{run.experiment_id}/summary/").json()["latest_run"]
    assert (latest["name"], latest["status"]) == ("two", "running")


def test_only_the_server_s_clock_judges(script, run, send, shown, clock):
    send("heartbeat")
    future = {"steps": [1], "times": [4_102_444_800_000], "values": [1.0]}
    send("log", {"metrics": {"loss": future}})
    clock.shift(timedelta(seconds=121))
    assert shown()["status"] == "lost"


# --- Queued ----------------------------------------------------------------------------------


@pytest.fixture
def queued(run, shown) -> dict:
    """The run, as it is shown before it began."""
    Run.objects.filter(pk=run.pk).update(status="queued", started_at=None)
    return shown()


@pytest.mark.parametrize("room", ["heartbeat", "log"])
def test_a_queued_run_begins_when_it_speaks(queued, send, shown, clock, room):
    assert (queued["status"], queued["started_at"], queued["duration"]) == ("queued", None, None)
    clock.shift(timedelta(days=9))
    assert shown()["status"] == "queued"
    send(room, {"metrics": {"loss": 1.0}} if room == "log" else None)
    assert shown()["status"] == "running"
    assert shown()["started_at"] == "2026-02-09T12:00:00.000000Z"


def test_a_queued_run_may_end_without_having_begun(queued, send):
    ended = send("finish", {"status": "killed"})
    assert (ended["status"], ended["started_at"], ended["duration"]) == ("killed", None, None)


def test_a_run_that_has_ended_is_not_queued_again(script, run, send, shown):
    waiting = script.patch(f"{RUNS}{run.pk}/", {"status": "queued"})
    assert (waiting.status_code, waiting.json()["started_at"]) == (200, None)
    send("finish", {"status": "finished"})
    refused = script.patch(f"{RUNS}{run.pk}/", {"status": "queued"})
    assert (refused.status_code, list(refused.json()["error"]["details"])) == (400, ["status"])
    assert shown()["status"] == "finished"


# --- Ending ----------------------------------------------------------------------------------


def test_an_ended_run_keeps_its_status_its_error_and_takes_more_points(send, shown, clock):
    clock.shift(timedelta(seconds=90))
    ended = send("finish", {"status": "failed", "error": "Traceback"})
    assert (ended["status"], ended["error"], ended["duration"]) == ("failed", "Traceback", 90)
    clock.shift(timedelta(days=3))
    assert send("log", {"metrics": {"loss": 1.0}})["accepted"] == 1
    assert send("heartbeat")["status"] == "failed"
    assert (shown()["status"], shown()["ended_at"]) == ("failed", ended["ended_at"])


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        (["finished", "finished"], "finished"),
        (["finished", "killed", "finished"], "killed"),
        (["killed", "failed", "finished"], "failed"),
        (["failed", "killed"], "failed"),
    ],
)
def test_of_several_ends_the_worst_and_the_latest_count(send, shown, clock, statuses, worst):
    clock.shift(timedelta(minutes=1))
    ends = ["2026-01-31T12:00:30Z", "2026-01-31T12:00:50Z", "2026-01-31T12:00:10Z"]
    for status, ended_at in zip(statuses, ends, strict=False):
        send("finish", {"status": status, "ended_at": ended_at})
    assert (shown()["status"], shown()["ended_at"]) == (worst, "2026-01-31T12:00:50.000000Z")


def test_an_end_lies_not_before_the_start(send):
    ended = send("finish", {"status": "finished", "ended_at": "2026-01-01T00:00:00Z"})
    assert (ended["ended_at"], ended["duration"]) == ("2026-01-31T12:00:00.000000Z", 0)


def test_an_error_once_told_is_not_wiped_out(send):
    send("finish", {"status": "failed", "error": "boom"})
    assert send("finish", {"status": "finished"})["error"] == "boom"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "status"),
        ({"status": "running"}, "status"),
        ({"status": "lost"}, "status"),
        ({"status": "FINISHED"}, "status"),
        ({"status": "failed", "error": 1}, "error"),
        ({"status": "failed", "error": "x" * (2**20 + 1)}, "error"),
        ({"status": "failed", "ended_at": None}, "ended_at"),
        ({"status": "failed", "reason": "x"}, "reason"),
    ],
)
def test_an_end_that_cannot_be_is_named(script, run, shown, body, field):
    answer = script.post(f"{RUNS}{run.pk}/finish/", body)
    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, [field])
    assert shown()["status"] == "running"


def test_points_logged_at_the_end_are_sealed_and_stay(script, run, send):
    send("log", {"metrics": {"loss": {"values": [3, 2, 1]}}})
    send("finish", {"status": "finished"})
    send("log", {"metrics": {"loss": {"values": [0]}}})
    found = script.get(f"{RUNS}{run.pk}/history/", {"metric": "loss"}).json()
    assert found["metrics"]["loss"]["values"] == [3, 2, 1, 0]


# --- Reopening -------------------------------------------------------------------------------


def test_an_ended_run_is_reopened_by_resume_or_by_hand(script, run, send, shown):
    for reopen in (
        lambda: script.post(RUNS, {"experiment": "digits", "id": str(run.pk), "resume": True}),
        lambda: script.patch(f"{RUNS}{run.pk}/", {"status": "running"}),
    ):
        send("finish", {"status": "failed", "error": "boom"})
        reopened = reopen()
        assert reopened.status_code == 200
        assert (reopened.json()["status"], reopened.json()["ended_at"]) == ("running", None)
        assert (shown()["started_at"], shown()["error"]) == ("2026-01-31T12:00:00.000000Z", "")


def test_a_status_set_by_hand_brings_the_times_that_belong_to_it(script, run, clock):
    clock.shift(timedelta(seconds=60))
    for status in ("finished", "failed", "killed"):
        changed = script.patch(f"{RUNS}{run.pk}/", {"status": status}).json()
        assert (changed["status"], changed["duration"]) == (status, 60)
        clock.shift(timedelta(seconds=60))
    assert script.patch(f"{RUNS}{run.pk}/", {"status": "lost"}).status_code == 400


# --- Stopping --------------------------------------------------------------------------------


def test_a_run_learns_by_its_heartbeat_that_it_is_to_stop(script, run, send, shown):
    assert send("stop") == {"status": "running", "stop_requested": True}
    assert send("stop")["stop_requested"] is True
    assert send("heartbeat") == {"status": "running", "stop_requested": True}
    assert shown()["stop_requested"] is True
    send("finish", {"status": "killed"})
    refused = script.post(f"{RUNS}{run.pk}/stop/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    script.patch(f"{RUNS}{run.pk}/", {"status": "running"})
    assert send("heartbeat") == {"status": "running", "stop_requested": False}


# --- The trash -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_training_goes_on_in_the_trash_where_no_list_shows_it(script, run, send, shown, what):
    path = f"{RUNS}{run.pk}/" if what == "run" else f"{EXPERIMENTS}{run.experiment_id}/"
    script.delete(path)
    assert send("log", {"metrics": {"loss": 1.0}})["accepted"] == 1
    assert send("heartbeat")["status"] == "running"
    assert send("finish", {"status": "finished"})["status"] == "finished"
    assert shown()["trashed_at"] is not None
    assert listed(script) == listed(script, ordering="metrics.loss") == []
    assert listed(script, experiment=str(run.experiment_id)) == []
    assert list(script.get("/api/v1/runs.csv"))[1:] == []
    script.post(f"{path}restore/")
    assert shown()["trashed_at"] is None
    assert listed(script) == ["one"]


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_the_trash_knows_who_put_something_there_first(api, alice, ada, run, what):
    path = f"{RUNS}{run.pk}/" if what == "run" else f"{EXPERIMENTS}{run.experiment_id}/"
    model = Run if what == "run" else Experiment
    for user in (alice, ada):
        api(user).delete(path)
        assert model.objects.get().trashed_by == alice
    api(ada).post(f"{path}restore/")
    assert model.objects.get().trashed_by is None


def test_a_trashed_experiment_takes_no_new_runs_by_id_and_frees_its_name(script, run):
    script.delete(f"{EXPERIMENTS}{run.experiment_id}/")
    refused = script.post(RUNS, {"experiment": str(run.experiment_id)})
    assert refused.status_code == 409
    made = script.post(RUNS, {"experiment": "digits"})
    assert made.status_code == 201
    assert made.json()["experiment"]["id"] != str(run.experiment_id)


def test_a_purged_run_is_not_there(script, run):
    curating.trash_runs(user=run.owner, runs=[run])
    purging.purge_runs(ids=[run.pk])
    for room, body in {"log": {"metrics": {"x": 1}}, "heartbeat": {}, "stop": {}}.items():
        assert script.post(f"{RUNS}{run.pk}/{room}/", body).status_code == 404
    assert script.get(f"{RUNS}{run.pk}/").status_code == 404


# --- Which experiment a name means -------------------------------------------------------------


def private(owner, *people, name="digits") -> Experiment:
    """A private experiment, shared with some as editors."""
    made = recording.create_experiment(user=owner, name=name, visibility="private")
    for person in people:
        Collaborator.objects.create(experiment=made, user=person, role="editor")
    return made


@pytest.fixture
def goes_to(api, alice):
    """Which experiment a run of Alice's ends in that names `digits`."""

    def start(**token):
        answer = api(alice, **token).post(RUNS, {"experiment": "digits"})
        assert answer.status_code == 201, answer.content
        return uuid.UUID(answer.json()["experiment"]["id"])

    return start


def test_a_name_means_mine_before_the_internal_one(goes_to, alice, charlie):
    internal = recording.create_experiment(user=charlie, name="digits")
    assert goes_to() == internal.pk
    mine = private(alice)
    assert goes_to() == mine.pk


def test_a_name_means_the_internal_one_before_those_shared_with_me(goes_to, alice, charlie):
    shared = private(charlie, alice)
    assert goes_to() == shared.pk
    internal = recording.create_experiment(user=charlie, name="digits")
    assert goes_to() == internal.pk


def test_a_name_means_the_single_one_shared_with_me_else_a_new_internal_one(
    goes_to, alice, charlie
):
    first = private(charlie, alice)
    assert goes_to() == first.pk
    second = private(User.objects.create_user("dora"), alice)
    made = goes_to()
    assert made not in (first.pk, second.pk)
    assert Experiment.objects.get(pk=made).visibility == "internal"


def test_a_name_in_the_trash_or_hidden_from_me_means_nothing(goes_to, alice, charlie):
    hidden = private(charlie)
    gone = recording.create_experiment(user=alice, name="digits")
    curating.trash_experiment(user=alice, experiment=gone)
    assert goes_to() not in (hidden.pk, gone.pk)


def test_an_admin_s_own_is_found_among_many_private_ones(api, ada):
    for number in range(25):
        private(User.objects.create_user(f"user{number}"))
    mine = private(ada)
    answer = api(ada).post(RUNS, {"experiment": "digits"})
    assert answer.json()["experiment"]["id"] == str(mine.pk)


def test_text_shaped_like_a_uuid_is_always_an_id(api, script, alice):
    for text in (str(uuid.uuid4()), uuid.uuid4().hex.upper()):
        assert script.post(RUNS, {"experiment": text}).status_code == 404
    assert not Experiment.objects.exists()
    named = script.post(RUNS, {"experiment": "dead_beef_dead_beef_dead_beef_12"})
    assert named.status_code == 201


def test_a_name_is_found_in_whatever_form_it_is_written(goes_to, script, alice):
    made = recording.create_experiment(user=alice, name="caf\u00e9")
    answer = script.post(RUNS, {"experiment": " cafe\u0301 "})
    assert answer.json()["experiment"]["id"] == str(made.pk)
    assert len(script.get(RUNS, {"experiment": "cafe\u0301"}).json()["results"]) == 1


def test_a_conflict_tells_nothing_of_what_the_caller_may_not_see(api, alice, charlie):
    hidden = private(charlie)
    run = recording.start_run(user=charlie, experiment=str(hidden.pk), id=uuid.uuid4())[0]
    for text in ("digits", str(hidden.pk)):
        body = {"experiment": text, "id": str(run.pk), "resume": True}
        refused = api(alice).post(RUNS, body)
        assert refused.status_code == 409
        assert refused.json()["error"]["details"] == {}
        assert "digits" not in refused.json()["error"]["message"]
    made = api(alice).post(EXPERIMENTS, {"name": "digits"})
    assert made.status_code == 201

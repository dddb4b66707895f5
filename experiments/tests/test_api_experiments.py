"""/api/v1/experiments/: listed, made, changed, shared, summed up, thrown away and brought back."""

import math
import re
import statistics
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from experiments import appending, recording
from experiments.models import Experiment, Run
from experiments.storing import Columns
from exptrack.tests.statements import cost

LIST = "/api/v1/experiments/"


def at(experiment, room="") -> str:
    pk = experiment["id"] if isinstance(experiment, dict) else experiment.pk
    return f"{LIST}{pk}/{room}"


@pytest.fixture
def script(api, alice):
    """Alice's."""
    return api(alice)


@pytest.fixture
def digits(script):
    """An experiment of Alice's, as its creation answered."""
    answer = script.post(LIST, {"name": "digits", "tags": {"team": "vision"}})
    assert answer.status_code == 201
    return answer.json()


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["name"] for found in answer.json()["results"]]


# --- It works --------------------------------------------------------------------------------


def test_a_new_experiment_answers_with_all_that_there_is_to_it(script):
    answer = script.post(
        LIST,
        {
            "name": " digits ",
            "description": "# Why",
            "tags": {"team": "vision", "bare": ""},
            "visibility": "private",
        },
    )
    assert answer.status_code == 201
    found = answer.json()
    assert {**found, "id": 0, "created_at": 0} == {
        "id": 0,
        "name": "digits",
        "description": "# Why",
        "status": "active",
        "visibility": "private",
        "owner": "alice",
        "tags": {"team": "vision", "bare": ""},
        "created_at": 0,
        "last_run_at": None,
        "trashed_at": None,
        "run_counts": dict.fromkeys(
            ["total", "queued", "running", "finished", "failed", "killed", "lost"], 0
        ),
        "latest_run": None,
        "url": f"http://testserver/experiments/{found['id']}/",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["created_at"])
    assert script.get(at(found)).json() == found


def test_counts_and_the_latest_run_come_with_it(script, digits, alice):
    first = recording.start_run(user=alice, experiment="digits", name="first")[0]
    recording.start_run(user=alice, experiment="digits", name="second")
    recording.finish_run(run=first, status="failed")
    found = script.get(at(digits)).json()
    assert found["run_counts"] == {
        "total": 2, "queued": 0, "running": 1, "finished": 0, "failed": 1, "killed": 0, "lost": 0
    }  # fmt: skip
    assert found["latest_run"]["name"] == "second"
    assert found["last_run_at"] == found["latest_run"]["started_at"]


def test_patch_changes_what_it_names(script, digits):
    changed = script.patch(at(digits), {"status": "completed", "description": "done"})
    assert changed.status_code == 200
    assert changed.json() == {**digits, "status": "completed", "description": "done"}


def test_put_gives_what_is_left_out_its_default_but_shows_nothing_private_to_all(script, digits):
    script.patch(at(digits), {"status": "archived", "description": "x", "visibility": "private"})
    changed = script.put(at(digits), {"name": "numbers"}).json()
    assert changed == {**digits, "name": "numbers", "tags": {}, "visibility": "private"}
    assert script.put(at(digits), {"description": "no name"}).status_code == 400


def test_delete_moves_it_and_its_runs_to_the_trash_and_restore_brings_them_back(
    script, digits, alice
):
    run = recording.start_run(user=alice, experiment="digits")[0]
    assert script.delete(at(digits)).status_code == 204
    assert script.delete(at(digits)).status_code == 204
    assert script.get(at(digits)).json()["trashed_at"] is not None
    assert names(script.get(LIST)) == []
    assert script.get("/api/v1/runs/").json()["results"] == []
    assert script.get(f"/api/v1/runs/{run.pk}/").json()["trashed_at"] is not None
    restored = script.post(at(digits, "restore/"))
    assert (restored.status_code, restored.json()["trashed_at"]) == (200, None)
    assert names(script.get(LIST)) == ["digits"]
    assert len(script.get("/api/v1/runs/").json()["results"]) == 1


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u200d", "\u00ad", "\u2060", "\ufeff", "\ufe0f", "\u061c"]
)
def test_no_two_names_look_the_same_for_what_nobody_sees(script, digits, unseen):
    for name in (f"dig{unseen}its", f"{unseen}digits", f"digits{unseen}"):
        refused = script.post(LIST, {"name": name})
        assert refused.status_code == 400
        assert list(refused.json()["error"]["details"]) == ["name"]
        assert script.patch(at(digits), {"name": name}).status_code == 400
        assert script.post("/api/v1/runs/", {"experiment": name}).status_code == 400


@pytest.mark.parametrize(
    "name", ["❤️‍🔥 training", "👨‍👩‍👧", "می‌خواهم", "क्‍ष", "naïve café 数字", "a\u3000b"]
)
def test_names_of_every_script_and_emoji_are_taken(script, name):
    assert script.post(LIST, {"name": name}).json()["name"] == name


def test_an_experiment_that_had_such_a_name_before_goes_on(script, alice):
    made = Experiment.objects.create(owner=alice, name="dig\u200bits")
    begun = script.post("/api/v1/runs/", {"experiment": made.name})
    assert (begun.status_code, begun.json()["experiment"]["id"]) == (201, str(made.pk))


def test_what_is_restored_into_a_taken_name_needs_a_new_one(script, digits):
    script.delete(at(digits))
    other = script.post(LIST, {"name": "digits"}).json()
    refused = script.post(at(digits, "restore/"))
    assert refused.status_code == 409
    assert refused.json()["error"]["details"] == {"id": other["id"]}
    assert script.get(at(digits)).json()["trashed_at"] is not None
    restored = script.post(at(digits, "restore/"), {"name": "digits 2"})
    assert (restored.status_code, restored.json()["name"]) == (200, "digits 2")


def test_people_are_let_in_and_out(script, api, digits, bob, charlie):
    script.patch(at(digits), {"visibility": "private"})
    assert api(charlie).get(at(digits)).status_code == 404
    added = script.post(at(digits, "collaborators/"), {"user": "charlie"})
    assert (added.status_code, added.json()) == (201, {"user": "charlie", "role": "viewer"})
    assert api(charlie).get(at(digits)).status_code == 200
    assert api(charlie).patch(at(digits), {"description": "x"}).status_code == 403
    script.post(at(digits, "collaborators/"), {"user": "charlie", "role": "editor"})
    assert api(charlie).patch(at(digits), {"description": "x"}).status_code == 200
    script.post(at(digits, "collaborators/"), {"user": "bob"})
    assert script.get(at(digits, "collaborators/")).json() == {
        "results": [{"user": "bob", "role": "viewer"}, {"user": "charlie", "role": "editor"}]
    }
    assert script.delete(at(digits, "collaborators/charlie/")).status_code == 204
    assert script.delete(at(digits, "collaborators/charlie/")).status_code == 404
    assert api(charlie).get(at(digits)).status_code == 404


def test_nobody_who_is_not_there_can_be_let_in(script, digits, charlie):
    charlie.is_active = False
    charlie.save()
    for user in ("nobody", "charlie", "alice"):
        answer = script.post(at(digits, "collaborators/"), {"user": user})
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["user"])
    answer = script.post(at(digits, "collaborators/"), {"user": "bob", "role": "owner"})
    assert answer.status_code == 400


# --- Finding ---------------------------------------------------------------------------------


@pytest.fixture
def several(script, api, charlie):
    """Five experiments, of two people."""
    made = {}
    for name, more in {
        "Vision": {"description": "ÜBER digits", "tags": {"team": "a", "7": "x"}},
        "speech": {"tags": {"team": "b", "bare": ""}},
        "100%": {"visibility": "private"},
        "a_b": {},
    }.items():
        made[name] = script.post(LIST, {"name": name, **more}).json()
    script.patch(at(made["speech"]), {"status": "archived"})
    made["other"] = api(charlie).post(LIST, {"name": "other"}).json()
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"Vision", "speech", "100%", "a_b", "other"}),
        ({"search": "vis"}, {"Vision"}),
        ({"search": "über"}, {"Vision"}),
        ({"search": "%"}, {"100%"}),
        ({"search": "_"}, {"a_b"}),
        ({"search": "VISION"}, {"Vision"}),
        ({"owner": "charlie"}, {"other"}),
        ({"owner": "nobody"}, set()),
        ({"status": "archived"}, {"speech"}),
        ({"visibility": "private"}, {"100%"}),
        ({"tag": "team"}, {"Vision", "speech"}),
        ({"tag": "team=b"}, {"speech"}),
        ({"tag": "7"}, {"Vision"}),
        ({"tag": "7=x"}, {"Vision"}),
        ({"tag": "7=y"}, set()),
        ({"tag": "bare="}, {"speech"}),
        ({"tag": "absent=x"}, set()),
        ({"tag": "team", "status": "active"}, {"Vision"}),
    ],
)
def test_filters_leave_what_they_name(script, several, query, expected):
    assert set(names(script.get(LIST, query))) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"status": "gone"},
        {"visibility": "public"},
        {"ordering": "owner"},
        {"ordering": "--name"},
        {"ordering": ""},
        {"tag": "=x"},
        {"tag": 'a"b=x'},
        {"search": "x" * 251},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "1e2"},
        {"limit": "-1"},
        {"limit": "٣"},
        {"limit": "9" * 400},
    ],
)
def test_a_value_that_cannot_be_used_is_named(script, query):
    answer = script.get(LIST, query)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["error"]["details"]) == list(query)


def test_the_list_goes_by_name_creation_or_last_run(script, several, alice):
    by_name = sorted(several)
    assert names(script.get(LIST, {"ordering": "name"})) == by_name
    assert names(script.get(LIST, {"ordering": "-name"})) == by_name[::-1]
    made = ["Vision", "speech", "100%", "a_b", "other"]
    assert names(script.get(LIST, {"ordering": "created_at"})) == made
    now = datetime.now(UTC)
    for hours, name in enumerate(["speech", "a_b"]):
        started = now - timedelta(hours=2 - hours)
        recording.start_run(user=alice, experiment=name, started_at=started)
    assert names(script.get(LIST, {"ordering": "-last_run_at"}))[:2] == ["a_b", "speech"]
    assert names(script.get(LIST, {"ordering": "last_run_at"}))[:2] == ["speech", "a_b"]
    assert names(script.get(LIST))[:2] == ["a_b", "speech"]


def test_an_old_start_moves_no_last_run_back(script, digits, alice):
    recording.start_run(user=alice, experiment="digits")
    latest = script.get(at(digits)).json()["last_run_at"]
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    recording.start_run(user=alice, experiment="digits", started_at=long_ago)
    assert script.get(at(digits)).json()["last_run_at"] == latest


def test_a_start_in_the_future_moves_the_last_run_no_further_than_now(script, digits, alice):
    future = datetime.now(UTC) + timedelta(days=365)
    recording.start_run(user=alice, experiment="digits", started_at=future)
    assert script.get(at(digits)).json()["last_run_at"] < future.isoformat()


# --- Names -----------------------------------------------------------------------------------


def test_a_name_in_use_is_a_conflict_that_tells_its_id_to_who_may_see_it(
    script, api, digits, charlie
):
    taken = api(charlie).post(LIST, {"name": "digits"})
    assert taken.status_code == 409
    assert taken.json()["error"]["details"] == {"id": digits["id"]}
    assert script.post(LIST, {"name": "mine", "visibility": "private"}).status_code == 201
    assert api(charlie).post(LIST, {"name": "mine"}).status_code == 201
    again = script.post(LIST, {"name": "mine", "visibility": "private"})
    assert again.status_code == 409


def test_a_change_into_a_taken_name_is_a_conflict_and_changes_nothing(script, digits):
    script.post(LIST, {"name": "speech"})
    for change in (script.patch, script.put):
        answer = change(at(digits), {"name": "speech", "description": "lost"})
        assert answer.status_code == 409
    assert script.get(at(digits)).json() == digits


def test_an_experiment_made_internal_conflicts_like_any_other(script, api, digits, charlie):
    private = api(charlie).post(LIST, {"name": "digits", "visibility": "private"}).json()
    answer = api(charlie).patch(at(private), {"visibility": "internal"})
    assert answer.status_code == 409


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "a\x00b", "a\nb", "a\u202eb", "x" * 251, None, 7, True, ["a"],
        "018f6d2c-1111-7000-8000-000000000000", "018F6D2C11117000800000000000000A",
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_one_is_refused(script, name):
    assert script.post(LIST, {"name": name}).status_code == 400
    assert not Experiment.objects.exists()


def test_names_are_compared_in_one_normal_form(script):
    assert script.post(LIST, {"name": "caf\u00e9"}).status_code == 201
    assert script.post(LIST, {"name": "cafe\u0301"}).status_code == 409


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "x" * 65_537),
        ("tags", {f"t{n}": "" for n in range(101)}),
        ("tags", {"a": "x" * 1001}),
        ("tags", {"a": 1}),
        ("tags", {"a$": "x"}),
        ("tags", ["a"]),
        ("visibility", "public"),
        ("visibility", None),
        ("status", "gone"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(script, digits, field, value):
    answer = script.patch(at(digits), {field: value})
    assert answer.status_code == 400
    assert all(name.split(".")[0] == field for name in answer.json()["error"]["details"])
    assert script.get(at(digits)).json() == digits


# --- Summary ---------------------------------------------------------------------------------


def log_last(alice, name, value, run=None):
    """A run of `digits` whose metric ends in a value."""
    run = run or recording.start_run(user=alice, experiment="digits", name=name)[0]
    appending.append(
        user=alice,
        run_id=run.pk,
        metrics={"acc": Columns(values=np.array([value]))},
    )
    return run


def test_a_summary_tells_mean_deviation_extremes_and_whose_they_are(script, digits, alice):
    values = {"low": 0.25, "high": 0.9, "middle": 0.5}
    for name, value in values.items():
        log_last(alice, name, value)
    log_last(alice, "broken", math.nan)
    recording.start_run(user=alice, experiment="digits", name="none")
    found = script.get(at(digits, "summary/"), {"metric": "acc"}).json()
    assert found["run_counts"]["total"] == 5
    assert found["latest_run"]["name"] == "none"
    acc = found["metrics"]["acc"]
    assert acc["runs"] == 4
    assert acc["mean"] == pytest.approx(statistics.mean(values.values()))
    assert acc["std"] == pytest.approx(statistics.stdev(values.values()))
    assert (acc["min"], acc["max"]) == (0.25, 0.9)
    assert (acc["best_by_min"]["name"], acc["best_by_min"]["value"]) == ("low", 0.25)
    assert (acc["best_by_max"]["name"], acc["best_by_max"]["value"]) == ("high", 0.9)


def test_a_summary_of_nothing_is_empty(script, digits):
    nothing = {"runs": 0, "mean": None, "std": None, "min": None, "max": None}
    found = script.get(at(digits, "summary/"), {"metric": ["a", "b"]}).json()
    assert found["metrics"]["b"] == {**nothing, "best_by_min": None, "best_by_max": None}
    assert script.get(at(digits, "summary/")).json()["metrics"] == {}


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [
        ([1.7e308, 1.7e308], 1.7e308, 0),
        ([-1e308, 1e308], 0, math.sqrt(2) * 1e308),
        ([5e-324, 5e-324], 5e-324, 0),
        ([1e308, 5e-324], 5e307, None),
        ([1.0, -1.0, 1e-200], 0, 1),
        ([1e-200, 3e-200], 2e-200, math.sqrt(2) * 1e-200),
        ([0.0, 0.0], 0, 0),
        ([3.0], 3, None),
    ],
)
def test_values_of_any_size_have_a_mean(script, digits, alice, values, mean, std):
    for number, value in enumerate(values):
        log_last(alice, f"run {number}", value)
    acc = script.get(at(digits, "summary/"), {"metric": "acc"}).json()["metrics"]["acc"]
    assert acc["mean"] == pytest.approx(mean, rel=1e-9, abs=0 if mean else max(values) * 1e-9)
    if std is not None:
        assert acc["std"] == pytest.approx(std, rel=1e-9, abs=0)
    assert (acc["min"], acc["max"]) == (min(values), max(values))


def test_a_summary_leaves_out_the_trash(script, digits, alice):
    log_last(alice, "kept", 0.5)
    gone = log_last(alice, "gone", 0.9)
    script.delete(f"/api/v1/runs/{gone.pk}/")
    found = script.get(at(digits, "summary/"), {"metric": "acc"}).json()
    assert (found["run_counts"]["total"], found["metrics"]["acc"]["max"]) == (1, 0.5)
    assert found["latest_run"]["name"] == "kept"


# --- Who may not, beyond the table of test_access ---------------------------------------------


def test_viewers_and_bound_tokens_make_no_experiments(api, alice, bob):
    assert api(bob).post(LIST, {"name": "x"}).status_code == 403
    assert api(alice, scope="log").post(LIST, {"name": "x"}).status_code == 403
    bound = api(alice, experiment_id=uuid.uuid4())
    assert bound.post(LIST, {"name": "x"}).status_code == 403
    assert not Experiment.objects.exists()


# --- The cost ----------------------------------------------------------------------------------


def test_statements_do_not_grow_with_experiments(script, alice):
    def make(count, prefix):
        made = [Experiment(name=f"{prefix}{n}", owner=alice) for n in range(count)]
        Experiment.objects.bulk_create(made)
        Run.objects.bulk_create(
            Run(name="r", experiment=each, owner=alice, started_at=each.created_at) for each in made
        )

    make(3, "a")
    script.get(LIST)  # notes when the token was used, once a minute
    few = cost(script.get, LIST, {"limit": 1000})
    make(57, "b")
    assert cost(script.get, LIST, {"limit": 1000}) == few <= 9
    assert len(names(script.get(LIST, {"limit": 1000}))) == 60

"""/api/v1/runs/: started, found, changed, moved, exported."""

import csv
import io
import math
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from experiments import recording
from experiments.models import Experiment, Run
from experiments.run_values import CELLS_AT_ONCE, CSV_RUNS_AT_ONCE
from experiments.tests.crowds import crowd
from exptrack.tests.statements import cost

LIST = "/api/v1/runs/"
ATTRIBUTES = {
    "id", "name", "experiment", "owner", "status", "started_at", "ended_at", "duration",
    "last_seen_at", "params", "tags", "metrics", "parent", "stop_requested", "revision",
    "trashed_at", "truncated", "url",
}  # fmt: skip


@pytest.fixture
def script(api, alice):
    """Alice's."""
    return api(alice)


@pytest.fixture
def start(script):
    """Starts a run over the API: what it answered, or the answer itself when it was refused."""

    def post(experiment="digits", **fields):
        answer = script.post(LIST, {"experiment": experiment, **fields})
        return answer.json() if answer.status_code in (200, 201) else answer

    return post


def at(run, room="") -> str:
    return f"{LIST}{run['id']}/{room}"


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["name"] for found in answer.json()["results"]]


def faults(answer) -> list[str]:
    assert answer.status_code == 400, answer.content
    return list(answer.json()["error"]["details"])


# --- Starting --------------------------------------------------------------------------------


def test_a_run_starts_with_all_it_was_given(script, start):
    parent = start(name="parent")
    given = str(uuid.uuid4())
    answer = script.post(
        LIST,
        {
            "experiment": "digits",
            "id": given,
            "name": "one",
            "params": {"lr": 0.1, "opt": "adam", "flags": [1, None, {"a": True}], "big": 2**63 - 1},
            "tags": {"stage": "warm-up"},
            "parent": parent["id"],
            "environment": {"git": {"commit": "abc"}},
            "notes": "# Why",
            "started_at": "2026-01-31T12:00:00.000001+02:00",
        },
    )
    assert answer.status_code == 201
    run = answer.json()
    assert set(run) == ATTRIBUTES | {"notes", "environment", "error"}
    assert run | {"last_seen_at": 0, "duration": 0, "experiment": 0} == {
        "id": given,
        "name": "one",
        "experiment": 0,
        "owner": "alice",
        "status": "running",
        "started_at": "2026-01-31T10:00:00.000001Z",
        "ended_at": None,
        "duration": 0,
        "last_seen_at": 0,
        "params": {"lr": 0.1, "opt": "adam", "flags": [1, None, {"a": True}], "big": 2**63 - 1},
        "tags": {"stage": "warm-up"},
        "metrics": {},
        "parent": parent["id"],
        "stop_requested": False,
        "revision": 0,
        "trashed_at": None,
        "truncated": False,
        "url": f"http://testserver/runs/{given}/",
        "notes": "# Why",
        "environment": {"git": {"commit": "abc"}},
        "error": "",
    }
    assert run["experiment"]["name"] == "digits"
    assert script.get(at(run)).json() | {"duration": 0} == run | {"duration": 0}


def test_an_unknown_experiment_name_is_made_and_a_run_without_name_gets_one(start):
    run = start("brand new")
    assert Experiment.objects.get().name == "brand new"
    assert run["name"]
    assert start("brand new")["experiment"] == run["experiment"]
    assert start(run["experiment"]["id"])["experiment"] == run["experiment"]
    assert Experiment.objects.count() == 1


def test_a_known_id_is_answered_with_that_run_unchanged(script, start):
    run = start(id=str(uuid.uuid4()), name="one", params={"lr": 0.1})
    body = {"experiment": "digits", "id": run["id"], "name": "two", "params": {"lr": 0.2}}
    again = script.post(LIST, body)
    assert (again.status_code, again.json()["name"]) == (200, "one")
    assert again.json()["params"] == {"lr": 0.1}
    script.post(at(run, "finish/"), {"status": "failed", "error": "boom"})
    again = script.post(LIST, body)
    assert (again.status_code, again.json()["status"]) == (200, "failed")
    resumed = script.post(LIST, {**body, "resume": True})
    assert (resumed.status_code, resumed.json()["status"]) == (200, "running")
    assert resumed.json()["ended_at"] is None
    assert Run.objects.count() == 1


def test_a_known_id_in_another_experiment_is_a_conflict_that_tells_nothing(start):
    run = start(id=str(uuid.uuid4()))
    refused = start("speech", id=run["id"])
    assert refused.status_code == 409
    assert refused.json()["error"]["details"] == {}
    assert not Experiment.objects.filter(name="speech").exists()


def test_any_form_of_uuid_is_an_id(start):
    assert start(id="00000000-0000-0000-0000-000000000000")["status"] == "running"
    compact = uuid.uuid4()
    assert start(id=compact.hex.upper())["id"] == str(compact)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "experiment"),
        ({"experiment": ""}, "experiment"),
        ({"experiment": 7}, "experiment"),
        ({"experiment": "a\nb"}, "experiment"),
        ({"experiment": "x", "id": "no"}, "id"),
        ({"experiment": "x", "id": "{" + str(uuid.uuid4()) + "}"}, "id"),
        ({"experiment": "x", "name": ""}, "name"),
        ({"experiment": "x", "name": "a\u202eb"}, "name"),
        ({"experiment": "x", "name": "x" * 251}, "name"),
        ({"experiment": "x", "params": [1]}, "params"),
        ({"experiment": "x", "params": {"a$": 1}}, "params.a$"),
        ({"experiment": "x", "params": {"a": "x" * 65_537}}, "params.a"),
        ({"experiment": "x", "params": {"é": 1, "e\u0301": 2}}, "params.e\u0301"),
        ({"experiment": "x", "tags": {"a": 1}}, "tags.a"),
        ({"experiment": "x", "tags": {"a": "x" * 65_537}}, "tags.a"),
        ({"experiment": "x", "parent": str(uuid.uuid4())}, "parent"),
        ({"experiment": "x", "parent": "x"}, "parent"),
        ({"experiment": "x", "environment": []}, "environment"),
        ({"experiment": "x", "environment": {"patch": "x" * 2**20}}, "environment"),
        ({"experiment": "x", "notes": 1}, "notes"),
        ({"experiment": "x", "started_at": "yesterday"}, "started_at"),
        ({"experiment": "x", "started_at": 1700000000}, "started_at"),
        ({"experiment": "x", "started_at": "1969-12-31T23:59:59Z"}, "started_at"),
        ({"experiment": "x", "started_at": "9999-12-31T23:59:59-10:00"}, "started_at"),
        ({"experiment": "x", "started_at": "0001-01-01T00:00:00+10:00"}, "started_at"),
        ({"experiment": "x", "resume": "yes"}, "resume"),
        ({"experiment": "x", "resume": 1}, "resume"),
        ({"experiment": "x", "status": "queued"}, "status"),
    ],
)
def test_what_cannot_be_used_is_named_and_starts_nothing(script, body, field):
    assert faults(script.post(LIST, body)) == [field]
    assert not Run.objects.exists()
    assert not Experiment.objects.exists()


def test_an_experiment_id_that_is_not_there_is_a_404_and_makes_none(start):
    assert start(str(uuid.uuid4())).status_code == 404
    assert not Experiment.objects.exists()


# --- Changing --------------------------------------------------------------------------------


def test_patch_corrects_what_it_names(script, start):
    run = start(tags={"a": "1", "b": "2"})
    changed = script.patch(at(run), {"name": "new", "notes": "n", "tags": {"b": "3", "c": ""}})
    assert changed.status_code == 200
    assert changed.json()["name"] == "new"
    assert changed.json()["notes"] == "n"
    assert changed.json()["tags"] == {"b": "3", "c": ""}
    assert changed.json()["revision"] > run["revision"]
    for body in ({"params": {}}, {"owner": "bob"}, {"id": run["id"]}, {"parent": None}):
        assert faults(script.patch(at(run), body)) == list(body)


def test_a_run_moves_with_all_that_carries_its_experiment(script, start):
    run = start(params={"lr": 0.1}, tags={"a": ""})
    script.post(at(run, "log/"), {"metrics": {"loss": 1.0}})
    other = start("speech")["experiment"]
    moved = script.patch(at(run), {"experiment": "speech"})
    assert (moved.status_code, moved.json()["experiment"]) == (200, other)
    for query in ({"ordering": "metrics.loss"}, {"ordering": "params.lr"}):
        found = script.get(LIST, {"experiment": "speech", **query}).json()["results"]
        assert found[0]["id"] == run["id"]
    script.post(at(run, "log/"), {"metrics": {"loss": 2.0, "acc": 1.0}})
    assert set(Run.objects.get(pk=run["id"]).metrics.values_list("experiment__name")) == {
        ("speech",)
    }
    back = script.patch(at(run), {"experiment": run["experiment"]["id"]})
    assert back.json()["experiment"] == run["experiment"]


def test_a_run_moves_to_no_experiment_that_is_not_there(script, start):
    run = start()
    trashed = start("old")["experiment"]
    script.delete(f"/api/v1/experiments/{trashed['id']}/")
    for target in ("nowhere", str(uuid.uuid4()), "old", trashed["id"]):
        assert faults(script.patch(at(run), {"experiment": target})) == ["experiment"]
    assert not Experiment.objects.filter(name="nowhere").exists()


def test_delete_moves_to_the_trash_and_restore_brings_back(script, start):
    run = start()
    assert script.delete(at(run)).status_code == 204
    assert script.delete(at(run)).status_code == 204
    assert names(script.get(LIST)) == []
    assert script.get(at(run)).json()["trashed_at"] is not None
    restored = script.post(at(run, "restore/"))
    assert (restored.status_code, restored.json()["trashed_at"]) == (200, None)
    assert names(script.get(LIST)) == [run["name"]]


def test_a_run_comes_not_back_before_its_experiment(script, start):
    run = start()
    script.delete(at(run))
    script.delete(f"/api/v1/experiments/{run['experiment']['id']}/")
    assert script.post(at(run, "restore/")).status_code == 409


# --- Finding ---------------------------------------------------------------------------------


@pytest.fixture
def several(start, script, api, charlie):
    """Four runs of two experiments and two people."""
    start(name="ResNet 50", tags={"stage": "a", "debug": ""}, params={"lr": 0.1})
    start(name="resnet%18", tags={"stage": "b"}, params={"lr": "0.5"})
    ended = start(name="transformer", params={"lr": "auto"})
    script.post(at(ended, "finish/"), {"status": "failed"})
    api(charlie).post(LIST, {"experiment": "speech", "name": "other"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"ResNet 50", "resnet%18", "transformer", "other"}),
        ({"experiment": "speech"}, {"other"}),
        ({"search": "RESNET"}, {"ResNet 50", "resnet%18"}),
        ({"search": "%"}, {"resnet%18"}),
        ({"owner": "charlie"}, {"other"}),
        ({"status": "failed"}, {"transformer"}),
        ({"status": "lost"}, set()),
        ({"status": "running", "experiment": "digits"}, {"ResNet 50", "resnet%18"}),
        ({"tag": "stage"}, {"ResNet 50", "resnet%18"}),
        ({"tag": "stage=b"}, {"resnet%18"}),
        ({"tag": "debug="}, {"ResNet 50"}),
        ({"created_after": "2020-01-01T00:00:00Z", "experiment": "speech"}, {"other"}),
        ({"created_before": "2020-01-01T00:00:00Z"}, set()),
        ({"created_after": "2020-01-01", "created_before": "2020-02-01"}, set()),
    ],
)  # fmt: skip
def test_filters_leave_what_they_name(script, several, query, expected):
    assert set(names(script.get(LIST, query))) == expected


def test_a_search_for_an_id_finds_it(script, several):
    run = Run.objects.get(name="transformer")
    for text in (str(run.pk), run.pk.hex):
        assert names(script.get(LIST, {"search": text})) == ["transformer"]


@pytest.mark.parametrize(
    "query",
    [
        {"experiment": "nowhere"},
        {"experiment": "0" * 32},
        {"status": "gone"},
        {"tag": "=b"},
        {"created_after": "yesterday"},
        {"created_after": "0001-01-01T00:00:00+10:00"},
        {"created_before": "9999-12-31T23:59:59-10:00"},
        {"ordering": "notes"},
        {"ordering": "id"},
        {"ordering": "tags.stage"},
        {"ordering": "metrics."},
        {"ordering": "metrics.`loss`.median"},
        {"ordering": "params.a$b"},
        {"ordering": "owner__password"},
        {"ordering": "-"},
        {"fields": "notes"},
        {"fields": "params."},
        {"fields": ","},
        {"fields": ",".join(f"params.p{n}" for n in range(101))},
        {"limit": "1001"},
        {"cursor": "made-up"},
        {"search": "a\x00b"},
        {"owner__password__startswith": "a"},
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(script, query):
    answer = script.get(LIST, query)
    assert answer.status_code == 400, answer.content
    if "cursor" not in query and "\x00" not in "".join(query.values()):
        assert list(answer.json()["error"]["details"]) == list(query)


ENDED = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def ordered(alice):
    """Runs by every kind of value: names say what comes first upward."""
    experiment = recording.create_experiment(user=alice, name="digits")

    def make(name, seconds, **fields):
        started = ENDED - timedelta(seconds=seconds)
        return Run.objects.create(
            name=name, experiment=experiment, owner=alice, status="finished",
            started_at=started, ended_at=ENDED, created_at=started, **fields,
        )  # fmt: skip

    return experiment, make


def test_runs_go_by_their_attributes(script, ordered):
    _, make = ordered
    make("b", 30)
    make("a", 20)
    make("c", 10)
    for ordering, expected in {
        "name": "abc",
        "-name": "cba",
        "started_at": "bac",
        "-started": "cab",
        "duration": "cab",
        "-duration": "bac",
        "created": "bac",
    }.items():
        assert "".join(names(script.get(LIST, {"ordering": ordering}))) == expected, ordering
    for ordering in ("status", "-status", "owner", "experiment", "ended", "-ended_at"):
        assert set(names(script.get(LIST, {"ordering": ordering}))) == set("abc")


def test_the_newest_run_comes_first_and_those_that_never_began_last(script, ordered):
    _, make = ordered
    make("old", 30)
    make("new", 10)
    queued = make("queued", 0)
    Run.objects.filter(pk=queued.pk).update(status="queued", started_at=None, ended_at=None)
    assert names(script.get(LIST)) == ["new", "old", "queued"]
    assert names(script.get(LIST, {"ordering": "started_at"})) == ["old", "new", "queued"]
    assert names(script.get(LIST, {"ordering": "-duration"})) == ["old", "new", "queued"]


@pytest.mark.parametrize("inside", [{}, {"experiment": "digits"}])
def test_runs_go_by_a_metric_and_what_has_no_finite_value_comes_last_both_ways(
    script, ordered, inside
):
    _, make = ordered
    for name, values in {
        "three": [5.0, 3.0],
        "minus": [-1.0],
        "nan": [1.0, "NaN"],
        "inf": ["Infinity"],
        "none": [],
        "two": [2.0],
    }.items():
        run = make(name, 10)
        script.post(f"{LIST}{run.pk}/log/", {"metrics": {"val/loss": {"values": values}}})

    def go(ordering):
        return names(script.get(LIST, {**inside, "ordering": ordering}))

    assert go("metrics.val/loss")[:3] == ["minus", "two", "three"]
    assert set(go("metrics.val/loss")[3:]) == {"nan", "inf", "none"}
    assert go("-metrics.val/loss")[:3] == ["three", "two", "minus"]
    assert set(go("-metrics.val/loss")[3:]) == {"nan", "inf", "none"}
    assert go("-metrics.`val/loss`.max")[:4] == ["three", "two", "nan", "minus"]
    assert go("metrics.val/loss.min")[:4] == ["minus", "nan", "two", "three"]
    assert go("-metrics.val/loss.mean")[0] == "three"
    assert set(go("-metrics.val/loss.count")[:2]) == {"three", "nan"}
    assert go("-metrics.val/loss.count")[-1] == "none"
    assert go("metrics.val/loss.last_step")[-1] == "none"
    assert set(go("metrics.absent")) == set(go("-metrics.val/loss"))


def test_a_mean_of_any_size_can_be_ordered_by(script, ordered):
    _, make = ordered
    for name, values in {
        "past": [1.7e308, 1.7e308],
        "big": [1.7e308],
        "tiny": [5e-324, 0.0, 0.0],
        "small": [-1.0],
    }.items():
        run = make(name, 10)
        script.post(f"{LIST}{run.pk}/log/", {"metrics": {"x": {"values": values}}})
    assert names(script.get(LIST, {"ordering": "metrics.x.mean"})) == ["small", "tiny", "big", "past"]  # fmt: skip  # noqa: E501
    assert names(script.get(LIST, {"ordering": "-metrics.x.mean"})) == ["big", "tiny", "small", "past"]  # fmt: skip  # noqa: E501
    found = script.get(LIST, {"fields": "name,metrics.x.mean"}).json()["results"]
    means = {row["name"]: row["metrics"]["x.mean"] for row in found}
    assert means["past"] == "Infinity"


def test_runs_go_by_a_param_numbers_first_then_texts_then_those_without(script, start):
    for name, value in {"ten": 10, "nine": "9", "half": 0.5, "auto": "auto", "no": None}.items():
        start(name=name, params={"lr": value})
    start(name="absent")
    upward = names(script.get(LIST, {"ordering": "params.lr"}))
    assert upward[:3] == ["half", "nine", "ten"]
    assert set(upward[3:5]) == {"auto", "no"}
    assert upward[5] == "absent"
    downward = names(script.get(LIST, {"ordering": "-params.lr"}))
    assert (downward[:3], downward[5]) == (["ten", "nine", "half"], "absent")


def test_fields_choose_what_is_shown(script, start):
    run = start(name="one", params={"lr": 0.1, "opt": "adam"}, tags={"a": "1", "b": "2"}, notes="n")
    script.post(
        at(run, "log/"),
        {"metrics": {"loss": {"values": [3, 1, 2]}, "loss.min": 9, "val loss": "NaN", "acc": 1}},
    )

    def show(fields):
        (row,) = script.get(LIST, {"fields": fields}).json()["results"]
        assert row.pop("id") == run["id"]
        return row

    assert show("name,params.lr") == {"name": "one", "params": {"lr": 0.1}}
    assert show("tags.b") == {"tags": {"b": "2"}}
    assert show("params.absent,metrics.absent") == {"params": {}, "metrics": {}}
    shown = show("metrics.loss, metrics.loss.min, metrics.`loss.min`, metrics.`val loss`")
    assert shown == {"metrics": {"loss": 2, "loss.min": 1, "`loss.min`": 9, "val loss": "NaN"}}
    assert show("metrics.loss.mean,metrics.loss.count,metrics.loss.last_step") == {
        "metrics": {"loss.mean": 2, "loss.count": 3, "loss.last_step": 2}
    }
    assert set(show("id,status,started,ended_at,created,duration,owner,experiment")) == {
        "status", "started_at", "ended_at", "created_at", "duration", "owner", "experiment"
    }  # fmt: skip
    (whole,) = script.get(LIST).json()["results"]
    assert set(whole) == ATTRIBUTES
    assert whole["metrics"] == {"loss": 2, "loss.min": 9, "val loss": "NaN", "acc": 1}


def test_a_list_shows_a_hundred_params_and_metrics_of_a_run_and_says_so(script, start):
    few = start(name="few", params={f"p{n:03}": n for n in range(100)})
    many = start(name="many", params={f"p{n:03}": n for n in range(101)})
    script.post(at(few, "log/"), {"metrics": {f"m{n:03}": n for n in range(101)}})
    rows = {row["name"]: row for row in script.get(LIST).json()["results"]}
    assert (len(rows["few"]["params"]), rows["few"]["truncated"]) == (100, True)
    assert (len(rows["few"]["metrics"]), len(rows["many"]["params"])) == (100, 100)
    assert rows["many"]["truncated"] is True
    assert "p100" not in rows["many"]["params"]
    script.post(at(many, "log/"), {"metrics": {"last": 1}})
    (row,) = script.get(LIST, {"search": "many", "fields": "params.p100"}).json()["results"]
    assert row["params"] == {"p100": 100}


@pytest.mark.parametrize("query", [{}, {"fields": "name,params.config,tags.why"}],
                         ids=["everything", "chosen"])  # fmt: skip
def test_a_page_of_long_values_ends_early_and_the_walk_still_sees_every_run_once(
    script, start, query, monkeypatch
):
    monkeypatch.setattr("experiments.paging.MOST_OCTETS", 10_000)
    for number, size in enumerate((10, 2_000, 2_000, 1_500, 15_000, 15_000, 5, 5, 4_500, 750)):
        start(name=f"r{number}", params={"config": "x" * size}, tags={"why": "x" * size})
    page = script.get(LIST, {**query, "ordering": "name", "limit": 8}).json()
    forward = [shown(page)]
    while page["next"]:
        page = followed(script, page["next"])
        forward.append(shown(page))
    assert forward == [["r0", "r1", "r2"], ["r3"], ["r4"], ["r5"], ["r6", "r7", "r8"], ["r9"]]
    back = []
    while page["previous"]:
        page = followed(script, page["previous"])
        back[:0] = shown(page)
    assert back == [f"r{number}" for number in range(9)]


def followed(script, link) -> dict:
    return script.get(link.removeprefix("http://testserver")).json()


def shown(page) -> list[str]:
    return [run["name"] for run in page["results"]]


# --- CSV -------------------------------------------------------------------------------------


def table(answer) -> list[dict]:
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"] == 'attachment; filename="runs.csv"'
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode(), newline="")))


def test_a_csv_holds_every_run_with_exact_numbers(script, start):
    run = start(name="one", params={"lr": 0.1, "layers": [1, 2], "on": True, "none": None})
    script.post(at(run, "log/"), {"metrics": {"loss": 1 / 3, "bad": "NaN", "n": "-Infinity"}})
    start("speech", name="two")
    rows = table(script.get("/api/v1/runs.csv", {"ordering": "name"}))
    assert [row["name"] for row in rows] == ["one", "two"]
    assert rows[0]["id"] == run["id"]
    assert float(rows[0]["metrics.loss"]) == 1 / 3
    assert (rows[0]["metrics.bad"], rows[0]["metrics.n"]) == ("NaN", "-Infinity")
    assert (rows[0]["params.lr"], rows[0]["params.layers"]) == ("0.1", "[1, 2]")
    assert (rows[0]["params.on"], rows[0]["params.none"], rows[1]["params.lr"]) == ("true", "", "")
    inside = f"/api/v1/experiments/{run['experiment']['id']}/runs.csv"
    assert [row["name"] for row in table(script.get(inside))] == ["one"]
    chosen = table(script.get(inside, {"fields": "name,metrics.loss.min"}))
    assert list(chosen[0]) == ["name", "metrics.loss.min"]
    assert table(script.get("/api/v1/runs.csv", {"search": "nothing"})) == []


def test_a_csv_runs_in_no_spreadsheet(script, start):
    for start_of_formula in "=+-@":
        start(name=f"{start_of_formula}1+2", params={"x": f"{start_of_formula}cmd", "n": -1})
    for row in table(script.get("/api/v1/runs.csv")):
        assert row["name"].startswith("'")
        assert row["params.x"].startswith("'")
        assert row["params.n"] == "-1"


def test_a_csv_has_no_pages(script, start, alice):
    experiment = start()["experiment"]
    Run.objects.bulk_create(
        Run(name=f"r{n}", experiment_id=experiment["id"], owner=alice, started_at=ENDED)
        for n in range(1_200)
    )
    assert len(table(script.get("/api/v1/runs.csv"))) == 1_201
    for name in ("limit", "cursor"):
        assert faults(script.get("/api/v1/runs.csv", {name: "5"})) == [name]
    inside = f"/api/v1/experiments/{experiment['id']}/runs.csv"
    assert faults(script.get(inside, {"experiment": "digits"})) == ["experiment"]
    assert faults(script.get(inside, {"ordering": "x"})) == ["ordering"]


def test_a_csv_has_every_aggregate_and_tag_that_is_asked_for(script, start):
    run = start(name="one", tags={"stage": "=prod"}, params={"lr": 0.1})
    for value in (3, "NaN", 1, 2):
        script.post(at(run, "log/"), {"metrics": {"loss": value}})
    start(name="two", params={"lr": 0.2})
    aggregates = ("last", "min", "max", "mean", "count", "first_step", "last_step")
    asked = ["tags.stage", "params.lr", *(f"metrics.loss.{name}" for name in aggregates)]
    rows = table(script.get("/api/v1/runs.csv", {"ordering": "name", "fields": ",".join(asked)}))
    one, two = (list(row.values()) for row in rows)
    assert one == ["'=prod", "0.1", "2.0", "1.0", "3.0", "2.0", "4", "0", "3"]
    assert two == ["", "0.2", *[""] * 7]


def test_a_csv_of_more_cells_than_are_written_at_once_is_whole(script, start, alice):
    experiment = start()["experiment"]
    for number in range(3):
        start(name=f"wide-{number}", params={f"p{number}-{n:02}": n for n in range(100)})
    Run.objects.bulk_create(
        Run(name=f"r{n}", experiment_id=experiment["id"], owner=alice, started_at=ENDED)
        for n in range(400)
    )
    rows = table(script.get("/api/v1/runs.csv"))
    assert len(rows) == 404
    assert len(rows[0]) * len(rows) > CELLS_AT_ONCE
    wide = {row["name"]: row for row in rows if row["name"].startswith("wide")}
    assert wide["wide-2"]["params.p2-99"] == "99"
    assert wide["wide-2"]["params.p1-99"] == ""


def test_a_csv_of_long_values_is_the_same_a_few_runs_at_a_time(script, start, monkeypatch):
    for number in range(7):
        run = start(name=f"r{number}", params={"config": "x" * 900, f"p{number}": number})
        script.post(at(run, "finish/"), {"status": "finished"})
    whole = list(script.get("/api/v1/runs.csv"))
    monkeypatch.setattr("experiments.paging.MOST_OCTETS", 2_000)
    parts = list(script.get("/api/v1/runs.csv"))
    assert (len(whole), len(parts)) == (2, 5)
    assert b"".join(parts) == b"".join(whole)


# --- The cost ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"experiment": "digits"},
        {"fields": "name,params.lr,metrics.val/loss.min,tags.stage"},
        {"ordering": "-metrics.val/loss"},
        {"ordering": "params.lr", "experiment": "digits"},
        {"ordering": "name", "search": "-", "owner": "alice", "created_after": "2020-01-01"},
    ],
)
def test_statements_do_not_grow_with_runs(script, alice, query):
    experiment = recording.create_experiment(user=alice, name="digits")
    crowd(experiment, alice, 3)
    script.get(LIST)  # notes when the token was used, once a minute
    few = cost(script.get, LIST, {"limit": 1000, **query})
    crowd(experiment, alice, 57)
    many = cost(script.get, LIST, {"limit": 1000, **query})
    assert many <= few <= 15  # three of them bound the time, on PostgreSQL


@pytest.mark.parametrize("query", [{}, {"fields": "name,params.lr,metrics.val/loss.min"}])
def test_statements_of_the_csv_grow_with_its_pages_alone(script, alice, query):
    experiment = recording.create_experiment(user=alice, name="digits")
    crowd(experiment, alice, 3)
    script.get(LIST)

    def read(rows):
        assert len(table(script.get("/api/v1/runs.csv", query))) == rows

    few = cost(read, 3)
    crowd(experiment, alice, 57)
    assert cost(read, 60) == few
    crowd(experiment, alice, CSV_RUNS_AT_ONCE)
    two_pages = cost(read, CSV_RUNS_AT_ONCE + 60)
    assert two_pages - few <= 8  # three of them bound the time, on PostgreSQL
    crowd(experiment, alice, 200)
    assert cost(read, CSV_RUNS_AT_ONCE + 260) == two_pages


def test_one_run_costs_the_same_with_many_names(script, start):
    run = start()
    script.get(at(run))
    few = cost(script.get, at(run))
    script.post(at(run, "log/"), {"metrics": {f"m{n}": math.pi for n in range(150)}})
    assert cost(script.get, at(run)) == few

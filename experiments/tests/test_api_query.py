"""The filter language as `q` of the API's lists of runs."""

from __future__ import annotations

import pytest

from experiments import recording
from experiments.models import Experiment
from experiments.tests.crowds import crowd
from exptrack.tests.statements import cost

pytestmark = pytest.mark.django_db

LIST, CSV = "/api/v1/runs/", "/api/v1/runs.csv"


@pytest.fixture
def script(api, alice):
    return api(alice)


@pytest.fixture
def sweep(alice):
    """Three runs of one experiment, by learning rate."""
    for name, lr in (("low", 0.001), ("middle", 0.01), ("high", "0.1")):
        recording.start_run(
            user=alice, experiment="sweep", name=name, params={"lr": lr}, tags={"kind": name}
        )
    return Experiment.objects.get()


def names(answer) -> set[str]:
    assert answer.status_code == 200, answer.content
    return {run["name"] for run in answer.json()["results"]}


def names_in_csv(answer) -> set[str]:
    assert answer.status_code == 200
    lines = answer.getvalue().decode().splitlines()
    place = lines[0].split(",").index("name")
    return {line.split(",")[place] for line in lines[1:]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("params.lr > 0.001", {"middle", "high"}),
        ("params.lr >= 0.01 and not tags.kind = high", {"middle"}),
        ("attributes.status = 'RUNNING' and params.lr = '0.1'", {"high"}),
        ("igh", {"high"}),
        ("params.absent != 1", set()),
        ("not params.absent = 1", {"low", "middle", "high"}),
    ],
)
def test_every_list_of_runs_reads_it_alike(script, sweep, query, expected):
    assert names(script.get(LIST, {"q": query})) == expected
    assert names_in_csv(script.get(CSV, {"q": query})) == expected
    csv = script.get(f"/api/v1/experiments/{sweep.pk}/runs.csv", {"q": query})
    assert names_in_csv(csv) == expected


def test_it_goes_with_the_other_filters_an_order_and_pages(script, sweep):
    query = {"q": "params.lr", "tag": "kind", "experiment": "sweep", "ordering": "-params.lr",
             "limit": 1}  # fmt: skip
    first = script.get(LIST, query).json()
    second = script.get(first["next"].removeprefix("http://testserver")).json()
    assert [first["results"][0]["name"], second["results"][0]["name"]] == ["high", "middle"]


def test_a_fault_names_its_place_and_what_was_expected(script, sweep):
    for address in (LIST, CSV, f"/api/v1/experiments/{sweep.pk}/runs.csv"):
        answer = script.get(address, {"q": "params.lr >> 0.1"})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "query_syntax"
        assert error["details"] == {"position": 11, "found": ">", "expected": ["a value"]}
        assert "At character 12" in error["message"]


@pytest.mark.parametrize("query", ["x" * 2049, "a\0b", "(" * 2000, "params.lr in (" + "1," * 900])
def test_what_no_query_could_be_is_a_400(script, query):
    assert script.get(LIST, {"q": query}).status_code == 400


def test_hostile_text_finds_nothing_and_breaks_nothing(script, sweep):
    for text in ("'; DROP TABLE experiments_run; --", "%(name)s", "{0}", "\\", "%", "\u202e"):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        for query in (
            f'params.lr = "{quoted}"',
            f'name like "x{quoted}"',
            f'tags.kind ~ "{quoted}"',
        ):
            assert names(script.get(LIST, {"q": query})) == set()


def test_nobody_finds_by_it_what_they_may_not_see(api, sweep, charlie):
    sweep.visibility = "private"
    sweep.save()
    script = api(charlie)
    for query in ("params.lr", "not params.lr", "experiment = sweep", "owner = alice", "low"):
        assert names(script.get(LIST, {"q": query})) == set()


def test_what_takes_too_long_is_stopped_and_said(script, alice, settings, sweep):
    crowd(sweep, alice, 400)
    settings.QUERY_SECONDS = 0.002
    slow = " or ".join(f'params.dataset ~ "{number}"' for number in range(50))
    for address in (LIST, CSV):
        answer = script.get(address, {"q": slow})
        assert answer.status_code == 400
        assert "took longer than" in answer.json()["error"]["message"]
    settings.QUERY_SECONDS = 10
    assert names(script.get(LIST, {"q": "params.lr = 0.1 and high"})) == {"high"}


def test_statements_do_not_grow_with_conditions(script, sweep):
    many = "params.lr > 0.001 and (metrics.loss < 3 or not tags.kind = low)"
    script.get(LIST)
    one = cost(script.get, LIST, {"q": "params.lr > 0.001"})
    assert cost(script.get, LIST, {"q": many}) == one

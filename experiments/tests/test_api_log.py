"""POST /api/v1/runs/{id}/log/: the hot path."""

import gzip
import json
import uuid

import pytest

from experiments import recording, upkeep
from experiments.models import Chunk, Metric, Run
from exptrack.tests.statements import cost


@pytest.fixture
def run(alice) -> Run:
    return recording.start_run(user=alice, experiment="digits", name="one")[0]


@pytest.fixture
def log(api, alice, run):
    """Logs a body to the run as Alice."""
    script = api(alice)

    def send(body, **extra):
        return script.post(f"/api/v1/runs/{run.pk}/log/", body, **extra)

    return send


@pytest.fixture
def history(api, alice, run):
    """All points of a metric of the run, as columns."""
    script = api(alice)

    def fetch(name):
        found = script.get(f"/api/v1/runs/{run.pk}/history/", {"metric": name, "limit": 100_000})
        assert found.status_code == 200, found.content
        return found.json()["metrics"][name]

    return fetch


def test_columns_are_stored_and_read_back_exactly(log, history):
    values = [0.5, "NaN", "-Infinity", -0.0, 1e-300]
    answer = log(
        {
            "metrics": {
                "train/loss": {
                    "steps": [10, 11, 12, 13, 14],
                    "times": [1, 2, 3, 4, 5],
                    "values": values,
                }
            }
        }
    )
    assert (answer.status_code, answer.json()) == (
        200,
        {"accepted": 5, "duplicate": False, "revision": 1},
    )
    stored = history("train/loss")
    assert stored["steps"] == [10, 11, 12, 13, 14]
    assert stored["times"] == [1, 2, 3, 4, 5]
    assert [str(value) for value in stored["values"]] == [str(value) for value in values]


def test_a_list_and_the_shortest_form_count_steps_up(log, history):
    log({"metrics": [{"name": "loss", "value": 3}, {"name": "loss", "value": 2, "step": 7}]})
    log({"metrics": [{"name": "loss", "value": 1}]})
    log({"metrics": {"loss": 0.5}})
    log({"metrics": {"loss": 0.25}, "step": 3})
    assert history("loss")["steps"] == [0, 7, 8, 9, 3]
    assert history("loss")["values"] == [3, 2, 1, 0.5, 0.25]


def test_params_and_tags_travel_with_points(log, run):
    assert log({"params": {"lr": 0.1}, "tags": {"stage": "warm-up"}}).status_code == 200
    assert log({"params": {"lr": 0.10}, "tags": {"stage": "main"}}).status_code == 200
    assert run.params.get().value == 0.1
    assert run.tags.get().text == "main"


def test_a_changed_param_is_a_conflict_and_nothing_of_the_batch_is_stored(log, run):
    log({"params": {"lr": 0.1}})
    answer = log({"params": {"lr": 0.2}, "metrics": {"loss": 1.0}})
    assert answer.status_code == 409
    assert answer.json()["error"]["details"] == {"params.lr": ["It is 0.1 already."]}
    assert not run.metrics.exists()


def test_gzip_is_read(log, history):
    body = gzip.compress(json.dumps({"metrics": {"loss": {"values": [1.0] * 500}}}).encode())
    answer = log(body, headers={"Content-Encoding": "gzip"})
    assert answer.json()["accepted"] == 500
    assert history("loss")["count"] == 500


def test_long_series_are_sealed_merged_and_read_whole(log, history, run):
    for start in range(0, 70 * 100, 100):
        log({"metrics": {"loss": {"values": [float(n) for n in range(start, start + 100)]}}})
    assert history("loss")["values"] == [float(n) for n in range(7000)]
    assert Chunk.objects.count() < 10
    assert upkeep.verify_metric(Metric.objects.select_related("tail").get()) == []
    recording.finish_run(run=run, status="finished")
    assert history("loss")["values"] == [float(n) for n in range(7000)]
    assert upkeep.verify_metric(Metric.objects.select_related("tail").get()) == []


def test_a_repeated_batch_adds_nothing(log, history):
    body = {"writer": "w", "seq": 1, "metrics": {"loss": 1.0}}
    assert log(body).json()["duplicate"] is False
    assert log(body).json() == {"accepted": 0, "duplicate": True, "revision": 1}
    assert log({**body, "seq": 2}).json()["duplicate"] is False
    assert log(body).json()["duplicate"] is True
    assert history("loss")["count"] == 2


def test_a_gap_is_refused_with_the_seq_expected(log):
    answer = log({"writer": "w", "seq": 3, "metrics": {"loss": 1.0}})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "sequence_gap"
    assert answer.json()["error"]["details"] == {"expected": 1}


def test_the_last_seq_with_another_body_is_refused(log, history):
    log({"writer": "w", "seq": 1, "metrics": {"loss": 1.0}})
    answer = log({"writer": "w", "seq": 1, "metrics": {"loss": 2.0}})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "repeat_differs"
    assert history("loss")["values"] == [1.0]


def test_an_idempotency_key_makes_a_single_batch_repeatable(log, history):
    for _ in range(2):
        answer = log({"metrics": {"loss": 1.0}}, headers={"Idempotency-Key": "k"})
    assert answer.json()["duplicate"] is True
    assert history("loss")["count"] == 1


def numbered(seq, *values, writer="w", **more):
    return {"writer": writer, "seq": seq, "metrics": {"loss": {"values": values}}, **more}


def test_batches_in_a_row_are_stored_as_if_one_after_another(log, history):
    steps = {"loss": {"values": [3, 4], "steps": [7, 5], "times": [1, 2]}, "acc": 0.5}
    batches = [numbered(1, 1, 2), {"writer": "w", "seq": 2, "metrics": steps}, numbered(3, "NaN")]
    answer = log({"batches": batches})

    assert answer.json() == {"accepted": 6, "duplicate": False, "revision": 1}
    assert history("loss")["steps"] == [0, 1, 7, 5, 8]
    assert history("loss")["values"] == [1, 2, 3, 4, "NaN"]
    assert history("acc")["values"] == [0.5]


@pytest.mark.parametrize("stored", [1, 2, 3])
def test_of_batches_in_a_row_those_that_are_stored_add_nothing(log, history, stored):
    batches = [numbered(seq, seq) for seq in (1, 2, 3)]
    for batch in batches[:stored]:
        log(batch)  # each alone, as another process sends a copy of the spool
    answer = log({"batches": batches})

    assert (answer.json()["accepted"], answer.json()["duplicate"]) == (3 - stored, stored == 3)
    assert log({"batches": batches}).json()["duplicate"]
    assert log(batches[2]).json()["duplicate"]
    assert log({"batches": [batches[2], numbered(4, 4)]}).json()["accepted"] == 1
    assert history("loss")["values"] == [1, 2, 3, 4]


def test_a_gap_or_another_body_refuses_batches_in_a_row_whole(log, history):
    log(numbered(1, 1))
    gap = log({"batches": [numbered(3, 3), numbered(4, 4)]})
    assert (gap.status_code, gap.json()["error"]["details"]) == (409, {"expected": 2})
    differs = log({"batches": [numbered(1, 5), numbered(2, 2)]})
    assert (differs.status_code, differs.json()["error"]["code"]) == (422, "repeat_differs")
    assert history("loss")["values"] == [1]


@pytest.mark.parametrize(
    ("batches", "field"),
    [
        ([], "batches"),
        (3, "batches"),
        ([numbered(1, 1), numbered(3, 3)], "batches[1].seq"),
        ([numbered(1, 1), numbered(2, 2, writer="other")], "batches[1].seq"),
        ([numbered(1, 1), numbered(2, 2, params={"lr": 1})], "batches[1]"),
        ([numbered(1, 1), {"metrics": {"loss": 1}}], "batches[1]"),
        ([numbered(1, 1), numbered(2, None)], "batches[1].metrics.loss.values[0]"),
        ([numbered(1, 1), numbered(2, 2, nonsense=1)], "batches[1].body"),
    ],
)
def test_a_fault_in_one_of_several_batches_is_named_and_stores_nothing(log, run, batches, field):
    answer = log({"batches": batches})
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == [field]
    assert not Metric.objects.exists()


def test_batches_in_a_row_hold_together_no_more_than_a_request_may(log, settings):
    settings.MAX_POINTS_PER_REQUEST = 5
    batches = [numbered(1, 1, 2, 3), numbered(2, 1, 2, 3)]
    assert log({"batches": batches}).status_code == 413
    assert log({"batches": batches[:1]}).status_code == 200


def test_batches_given_twice_in_one_body_are_refused(log, run):
    one = json.dumps([numbered(1, 1)])
    answer = log(f'{{"batches":{one},"batches":{one}}}')
    assert answer.status_code == 400
    assert not Metric.objects.exists()


def test_points_of_an_ended_run_are_accepted_and_leave_its_status(log, run):
    recording.finish_run(run=run, status="failed", error="boom")
    assert log({"metrics": {"loss": 1.0}}).status_code == 200
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "boom")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metrics": {"loss": {"values": [True]}}}, "metrics.loss.values[0]"),
        ({"metrics": {"loss": {"values": [None]}}}, "metrics.loss.values[0]"),
        ({"metrics": {"loss": {"values": ["0.5"]}}}, "metrics.loss.values"),
        ({"metrics": {"loss": {"values": [1], "steps": [1, 2]}}}, "metrics.loss.steps"),
        ({"metrics": {"loss": {"values": [1], "steps": [1.5]}}}, "metrics.loss.steps[0]"),
        ({"metrics": {"loss": {"values": [1], "steps": [2**63]}}}, "metrics.loss"),
        ({"metrics": {"loss": {"values": [1], "times": [-(2**63) - 1]}}}, "metrics.loss"),
        ({"metrics": {"loss": {"values": [1], "step": [1]}}}, "metrics.loss"),
        ({"metrics": {"lo$s": 1}}, "metrics.lo$s"),
        ({"metrics": {"": 1}}, "metrics."),
        ({"metrics": {"a" * 251: 1}}, "metrics." + "a" * 251),
        ({"metrics": [{"name": "loss"}]}, "metrics[0]"),
        ({"metric": {"loss": 1}}, "body"),
        ({"seq": 1}, "writer"),
        ({"writer": "w"}, "seq"),
        ({"writer": "w" * 65, "seq": 1}, "writer"),
        ({"writer": "w", "seq": 0}, "seq"),
        ({"params": {"x": "a" * 70_000}}, "params.x"),
        ({"tags": {"x": 1}}, "tags[...]"),
    ],
)
def test_a_fault_is_named_and_stores_nothing(log, run, body, field):
    answer = log(body)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["error"]["details"]) == [field]
    assert not Metric.objects.exists()
    run.refresh_from_db()
    assert run.revision == 0


def test_steps_and_times_reach_both_ends_of_64_bits(log, history):
    ends = [-(2**63), 2**63 - 1]
    assert log({"metrics": {"x": {"steps": ends, "times": ends, "values": [1, 2]}}}).json()
    assert (history("x")["steps"], history("x")["times"]) == (ends, ends)
    answer = log({"metrics": {"x": 3}})
    assert answer.status_code == 400


def test_too_many_points_are_refused_by_the_limit_s_name(log):
    answer = log({"metrics": {"loss": {"values": [0] * 100_001}}})
    assert answer.status_code == 413
    assert "100,000 points" in answer.json()["error"]["message"]


def test_strangers_and_readers_may_not_log(api, run, bob, charlie, alice):
    path, body = f"/api/v1/runs/{run.pk}/log/", {"metrics": {"loss": 1.0}}
    assert api().post(path, body).status_code == 401
    assert api(bob).post(path, body).status_code == 403
    assert api(charlie).post(path, body).status_code == 403
    assert api(alice, scope="read").post(path, body).status_code == 403
    assert api(alice, scope="log").post(path, body).status_code == 200
    assert api(alice, experiment_id=uuid.uuid4()).post(path, body).status_code == 404
    assert api(alice).post(f"/api/v1/runs/{uuid.uuid4()}/log/", body).status_code == 404
    assert api(alice).post("/api/v1/runs/x/log/", body).status_code == 404


def test_statements_do_not_grow_with_names_or_points(log):
    log({"metrics": {f"m{n}": 1.0 for n in range(50)}})
    few = {"metrics": {f"m{n}": {"values": [1.0] * 70} for n in range(2)}}
    log({"metrics": {"a": 1.0}})  # for the token, which is looked up once a minute
    many = {"metrics": {f"m{n}": {"values": [1.0] * 900} for n in range(50)}}
    cheap = cost(log, {"writer": "w", "seq": 1, **few})
    assert cost(log, {"writer": "w", "seq": 2, **many}) == cheap

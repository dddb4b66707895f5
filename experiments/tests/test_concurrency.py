"""Many processes at once, over HTTP to a real server: into one run, and at one thing.

`bench/writers.py` is the long form of the first test.
"""

import json
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from clients import Script, log_path
from django.db import connection, connections, transaction
from stored import faults
from writers import Load, run_load

from experiments import recording
from experiments.models import Experiment, Metric, Run
from exptrack.tests.waiting import PATIENCE

SEED = 20_261_123
AT_ONCE = 4


@pytest.fixture
def run(alice) -> Run:
    return recording.start_run(user=alice, experiment="crowded")[0]


def post_at_once(url, secret, path, bodies):
    """Status and answer of each body, all sent at the same moment, each over a connection of
    its own."""
    ready = Barrier(len(bodies))

    def post(body):
        with Script(url, secret) as script:
            script.get("/api/v1/me/")
            ready.wait(PATIENCE)
            status, answer = script.post(path, json.dumps(body).encode())
            return status, json.loads(answer)

    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(post, bodies))


def test_writers_of_one_run_lose_and_double_nothing_while_readers_follow(
    gunicorn_server, alice, token, run
):
    print(f"seed {SEED}")
    load = Load(gunicorn_server.url, token(alice), run.pk, writers=8, batches=12, seed=SEED)
    result = run_load(load, readers=2)
    assert set(result.answers) == {200, "whole", "finishes"}
    assert result.answers["whole"] == load.writers * load.batches
    assert result.answers["finishes"] > 0
    assert result.wrong == []
    assert [view.wrong for view in result.views] == [[], []]
    assert len({view.digest for view in result.views}) == 1
    assert min(view.polls for view in result.views) > 1  # also where all was there at the first
    run.refresh_from_db()
    assert run.revision == load.writers * load.batches + result.answers["finishes"]


def test_one_batch_sent_by_several_at_once_is_stored_once(gunicorn_server, alice, token, run):
    columns = {"steps": list(range(90)), "values": [float(index) for index in range(90)]}
    for seq in (1, 2, 3):
        batch = {"writer": "same", "seq": seq, "metrics": {f"loss/{seq}": columns}}
        answers = post_at_once(
            gunicorn_server.url, token(alice), log_path(run.pk), [batch] * AT_ONCE
        )
        assert [status for status, _ in answers] == [200] * AT_ONCE
        assert sorted(answer["accepted"] for _, answer in answers) == [0] * (AT_ONCE - 1) + [90]
        assert {answer["revision"] for _, answer in answers} == {seq}
    assert faults(run.pk, {f"loss/{seq}": 90 for seq in (1, 2, 3)}) == []


def test_several_who_start_one_run_at_once_share_it(gunicorn_server, alice, token):
    body = {"experiment": "all of us", "id": str(uuid.uuid4()), "params": {"lr": 0.1}}
    answers = post_at_once(gunicorn_server.url, token(alice), "/api/v1/runs/", [body] * AT_ONCE)
    assert Counter(status for status, _ in answers) == {201: 1, 200: AT_ONCE - 1}
    assert Run.objects.get().params.get().value == 0.1
    assert Experiment.objects.get().name == "all of us"


def test_several_who_name_a_new_experiment_at_once_share_it(gunicorn_server, alice, token):
    bodies = [{"experiment": "new", "name": f"rank {number}"} for number in range(AT_ONCE)]
    answers = post_at_once(gunicorn_server.url, token(alice), "/api/v1/runs/", bodies)
    assert [status for status, _ in answers] == [201] * AT_ONCE
    assert Experiment.objects.get().runs.count() == AT_ONCE


def test_of_several_ends_at_once_the_worst_counts(gunicorn_server, alice, token, run):
    ends = ["killed", "finished", "failed", "killed"]
    bodies = [{"status": status, "error": f"the {status} one"} for status in ends]
    path = f"/api/v1/runs/{run.pk}/finish/"
    answers = post_at_once(gunicorn_server.url, token(alice), path, bodies)
    assert [status for status, _ in answers] == [200] * AT_ONCE
    run.refresh_from_db()
    assert run.status == "failed"
    assert run.revision == AT_ONCE


def test_one_param_with_several_values_at_once_keeps_one_and_refuses_the_rest(
    gunicorn_server, alice, token, run
):
    bodies = [{"params": {"seed": n}, "metrics": {"loss": float(n)}} for n in range(AT_ONCE)]
    answers = post_at_once(gunicorn_server.url, token(alice), log_path(run.pk), bodies)
    assert sorted(status for status, _ in answers) == [200] + [409] * (AT_ONCE - 1)
    kept = run.params.get().value
    assert answers[kept][0] == 200
    assert Metric.objects.get().last == float(kept)
    assert Metric.objects.get().count == 1


@pytest.mark.only_on("postgresql")
def test_a_run_starts_while_another_still_notes_the_experiments_last_run(
    transactional_db, alice, run
):
    other = connections["default"].copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "UPDATE experiments_experiment SET last_run_at = now() WHERE id = %s",
                [run.experiment_id],
            )
            with connection.cursor() as mine:
                mine.execute("SET LOCAL lock_timeout = 200")
            recording.start_run(user=alice, experiment="crowded")
    finally:
        other.close()
    assert Run.objects.filter(experiment=run.experiment_id).count() == 2

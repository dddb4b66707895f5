"""Many processes at once, over HTTP to a real server: into one run, and at one thing.

`bench/writers.py` is the long form of the first test.
"""

import json
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from threading import Barrier

import pytest
from clients import Script, log_path
from django.db import connection, connections, transaction
from django.urls import reverse
from stored import faults
from writers import Load, run_load

from experiments import curating, recording
from experiments.models import Experiment, Metric, Run
from exptrack.tests.waiting import PATIENCE

SEED = 20_261_123
AT_ONCE = 4
ROUNDS = "klmnop"
AGES = datetime(2026, 1, 31, tzinfo=UTC)


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


def at_once(*acts):
    """What each returns, all begun at the same moment."""
    ready = Barrier(len(acts))

    def act(do):
        try:
            ready.wait(PATIENCE)
            return do()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(act, acts))


def trashed(owner, *names):
    return [Experiment.objects.create(owner=owner, name=name, trashed_at=AGES) for name in names]


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


def test_of_two_forms_of_the_admin_for_one_name_one_is_told(transactional_db, signed_in, ada):
    admin = reverse("admin:experiments_experiment_changelist")
    form = {"status": "active", "visibility": "internal", "owner": str(ada.pk), "tags": "{}"}
    for name in ROUNDS:
        browsers = [signed_in(ada), signed_in(ada)]
        others = [Experiment.objects.create(owner=ada, name=f"{name}{n}") for n in (1, 2)]
        for paths in (["add/"] * 2, [f"{other.pk}/change/" for other in others]):
            posted = form | {"name": f"{name}, {paths[0][:3]}"}
            pairs = zip(browsers, paths, strict=True)
            answers = at_once(*(partial(b.post, f"{admin}{path}", posted) for b, path in pairs))
            assert {answer.status_code for answer in answers} <= {200, 302}
            assert Experiment.objects.filter(name=posted["name"]).count() == 1


def test_of_two_brought_back_into_one_name_one_stays_and_the_rest_come(transactional_db, ada):
    for name in ROUNDS:
        some, others = trashed(ada, f"{name}a", f"{name}b"), trashed(ada, f"{name}b", f"{name}c")
        restored = at_once(
            partial(curating.restore_experiments, experiments=some),
            partial(curating.restore_experiments, experiments=others),
        )
        assert sum(restored) == 3
        alive = Experiment.objects.alive().filter(name__startswith=name)
        assert sorted(alive.values_list("name", flat=True)) == [f"{name}{end}" for end in "abc"]


def test_of_two_of_one_name_brought_back_together_the_first_comes(ada):
    first, second = trashed(ada, "same", "same")
    assert curating.restore_experiments(experiments=[first, second]) == 1
    assert Experiment.objects.alive().get() == first


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

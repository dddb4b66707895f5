"""Workers of gunicorn that remember what others change: each answers as one would that remembers
nothing. On PostgreSQL only."""

import contextlib
import random
import uuid

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import authentication
from accounts.models import Token, User
from experiments import curating, purging, starting
from experiments.appending import stored_mark
from experiments.models import Experiment, Metric, Run
from experiments.refusals import Refused
from experiments.remembering import memory
from experiments.upkeep import verify_metric
from exptrack.tests.people import ApiClient

pytestmark = pytest.mark.only_on("postgresql")

V1 = "/api/v1/"
SEED, ROUNDS, WORKERS = 20_261_201, 60, 2
NAMES, METRICS = "abc", ("loss", "acc", "lr")


class Worker:
    """What one process remembers; inside `with` it is what this one does."""

    def __init__(self) -> None:
        self.tokens, self.experiments, self.runs = {}, {}, []

    def __enter__(self) -> None:
        authentication.remembered.update(self.tokens)
        starting.remembered.update(self.experiments)
        for known in self.runs:
            memory.keep(known)

    def __exit__(self, *_: object) -> None:
        self.tokens = dict(authentication.remembered)
        self.experiments = dict(starting.remembered)
        self.runs = list(memory._known.values())
        for each in (authentication.remembered, starting.remembered, memory):
            each.clear()


def changes(chance: random.Random, ada: User, name: str, run: uuid.UUID) -> list:
    """All that others may do meanwhile to people, tokens, the run and experiments of the name."""

    def some(model):
        if model is Run:
            return Run.objects.filter(pk=run)
        named = {"name": name} if model is Experiment else {}
        pks = list(model.objects.filter(**named).order_by("pk").values_list("pk", flat=True))
        return model.objects.filter(pk=chance.choice(pks or [None]))

    def rename():
        for experiment in some(Experiment):
            curating.update_experiment(user=ada, experiment=experiment, name=chance.choice(NAMES))

    def hide():
        for experiment in some(Experiment):
            visibility = chance.choice(["private", "internal"])
            curating.update_experiment(user=ada, experiment=experiment, visibility=visibility)

    def trash():
        for experiment in some(Experiment):
            curating.trash_experiment(user=ada, experiment=experiment)

    def restore():
        for experiment in some(Experiment):
            curating.restore_experiment(user=ada, experiment=experiment)

    def move():
        for run in some(Run):
            curating.update_run(run=run, experiment=Experiment.objects.order_by("pk").last())

    def end():
        for run in some(Run):
            curating.update_run(run=run, status=chance.choice(["running", "killed"]))

    def purge():
        purging.purge_some(purging.Doomed(before=timezone.now()))

    return [
        *(rename, hide, trash, restore, move, end, purge),
        lambda: curating.trash_runs(user=ada, runs=some(Run)),
        lambda: curating.restore_runs(runs=some(Run)),
        lambda: some(Experiment).update(owner=some(User).get()),
        lambda: User.objects.exclude(pk=ada.pk).update(role="viewer"),
        lambda: User.objects.update(is_active=False),
        lambda: Token.objects.update(scope=chance.choice(["read", "log"])),
        lambda: Token.objects.all().revoke(),
        lambda: Token.objects.update(expires_at=timezone.now()),
    ]  # fmt: skip


def mend() -> None:
    """Let everybody in again, so that what was done to them is not the end."""
    User.objects.exclude(role="admin").update(role="member")
    User.objects.update(is_active=True)
    Token.objects.update(scope="write", revoked_at=None, expires_at=None)


def asked(chance: random.Random, run: uuid.UUID, name: str) -> tuple[str, dict]:
    """A start or a batch: where it goes, and what is in it."""
    if chance.random() < 0.4:
        body = {"experiment": name, "params": {"lr": 0.1}}
        return "runs/", body | ({"id": str(run)} if chance.random() < 0.4 else {})
    metrics = {name: {"values": [1.0] * chance.choice([1, 70])} for name in METRICS}
    body = {"metrics": {name: metrics[name] for name in chance.sample(METRICS, 2)}}
    if chance.random() < 0.6:
        last = stored_mark(run, "w").seq
        body |= {"writer": "w", "seq": max(last + chance.choice([1, 1, 1, 0, 2]), 1)}
    return f"runs/{run}/log/", body


def told(answer) -> tuple:
    """What an answer says, but for moments and ids made for it."""
    said = answer.json()
    if error := said.get("error"):
        return answer.status_code, error["code"], error["message"], error["details"]
    names = ("accepted", "duplicate", "revision", "status", "owner", "params", "metrics")
    where = said.get("experiment", {}).get("name")
    return answer.status_code, where, {name: said[name] for name in names if name in said}


def test_each_worker_answers_as_one_that_remembers_nothing(transactional_db, alice, charlie, ada):
    print(f"seed {SEED}")
    chance, workers = random.Random(SEED), [Worker() for _ in range(WORKERS)]
    issued = [Token.objects.issue(user, "t")[1] for user in (alice, charlie, ada)]
    scripts, statuses = [ApiClient(secret) for secret in issued], set()
    Worker().__exit__()
    for _ in range(ROUNDS):
        mend()
        number = chance.randrange(len(scripts))
        script, run, name = scripts[number], uuid.UUID(int=number + 1), chance.choice(NAMES)
        usual, *others = chance.sample(workers, WORKERS)
        for step in range(9):
            if step == 6:
                with contextlib.suppress(Refused):  # such as a name in use
                    chance.choice(changes(chance, ada, name, run))()
            path, body = asked(chance, run, name)
            worker = usual if chance.random() < 0.9 else others[0]
            with Worker(), transaction.atomic():
                expected = told(script.post(f"{V1}{path}", body))
                transaction.set_rollback(True)
            with worker:
                assert told(script.post(f"{V1}{path}", body)) == expected
            statuses.add(expected[0])
    assert statuses >= {200, 201, 401, 403}
    metrics = Metric.objects.select_related("tail")
    assert [fault for metric in metrics for fault in verify_metric(metric)] == []
    assert not Metric.objects.exclude(experiment=F("run__experiment")).exists()

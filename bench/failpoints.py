"""A process that stores a batch dies by SIGKILL before each of its statements, in turn, and at
last after all of them: what is stored then?

The batch has something of everything: a series whose small chunks are merged, a new series that is
sealed at once and one that is not, a param, a tag and a writer's mark. Nothing of it may be there
after a death, and all of it after a repeat.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from clients import together
from served import arguments, served

if TYPE_CHECKING:
    from accounts.models import User
    from experiments.storing import Columns, Receipt

WRITER = "mortal"
MERGE_AT = 3
LONG = 100  # points that make a chunk of their own
SHORT = 5
BATCH_POINTS = 2 * LONG + SHORT
BEFORE = {
    "points": {"old": (MERGE_AT - 1) * LONG},
    "drifted": [],
    "batches": [MERGE_AT - 1, MERGE_AT - 1],
    "labels": [],
}
AFTER = {
    "points": {"old": MERGE_AT * LONG, "new": SHORT, "other": LONG},
    "drifted": [],
    "batches": [MERGE_AT, MERGE_AT],
    "labels": ["lr", "stage"],
}


def die_everywhere(_: int, database_url: str, username: str) -> list[uuid.UUID]:
    """One run for each statement, a process having died before it; the last one's process died
    after all statements, before its commit."""
    os.environ |= {"DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "exptrack.settings"}
    import django

    django.setup()
    from django.db import connections

    from accounts.models import User
    from experiments import series

    series.MERGE_AT = MERGE_AT
    user = User.objects.get(username=username)
    runs = []
    for statements in count():
        runs.append(prepared_run(user))
        connections.close_all()  # none may be shared with a process that dies
        if not dies_before(statements, lambda: store_batch(user, runs[-1])):
            return runs[:-1]
    raise AssertionError("never reached")


def prepared_run(user: User) -> uuid.UUID:
    """A run with a series that the next long batch will make it merge."""
    from experiments import appending, recording
    from experiments.storing import Mark

    run, _ = recording.start_run(user=user, experiment="mortal")
    for seq in range(1, MERGE_AT):
        batch = {"old": columns(LONG)}
        appending.append(user=user, run_id=run.pk, metrics=batch, mark=Mark(WRITER, seq, b""))
    return run.pk


def store_batch(user: User, run: uuid.UUID) -> Receipt:
    """The batch in question; its receipt."""
    from experiments import appending
    from experiments.storing import Mark

    return appending.append(
        user=user,
        run_id=run,
        metrics={"old": columns(LONG), "new": columns(SHORT), "other": columns(LONG)},
        params={"lr": 0.1},
        tags={"stage": "mortal"},
        mark=Mark(WRITER, MERGE_AT, b""),
    )


def columns(points: int) -> Columns:
    """So many points of a series."""
    import numpy as np

    from experiments.storing import Columns

    return Columns(values=np.arange(points, dtype=np.float64))


def dies_before(statements: int, work: Callable[[], object]) -> bool:
    """Do `work` in a process that kills itself when it has run so many statements and the next
    one, or the commit, is about to be sent; whether it died."""
    pid = os.fork()
    if pid == 0:
        survived = 1
        try:
            make_mortal(statements)
            work()
            survived = 0
        finally:
            os._exit(survived)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"It neither died nor succeeded after {statements} statements.")
    return os.WIFSIGNALED(status)


def make_mortal(statements: int) -> None:
    """Let this process kill itself as `dies_before` says."""
    from django.db import connection

    left = iter(range(statements))

    def pass_on(do: Callable) -> Callable:
        def do_or_die(*args: object, **options: object) -> object:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*args, **options)

        return do_or_die

    connection.ensure_connection()
    connection.execute_wrappers.append(lambda execute, *args: pass_on(execute)(*args))
    connection._commit = pass_on(connection._commit)


def faults(user: User, runs: list[uuid.UUID]) -> list[str]:
    """What of the batch is there after the deaths, and what is wrong once it was repeated."""
    wrong = []
    for statements, run in enumerate(runs):
        if (found := contents(run)) != BEFORE:
            wrong.append(f"death before statement {statements} leaves {found}")
        accepted = store_batch(user, run).accepted
        if (found := contents(run)) != AFTER or accepted != BATCH_POINTS:
            wrong.append(f"repeated after {statements} statements, {accepted} points, {found}")
    return wrong


def contents(run: uuid.UUID) -> dict[str, object]:
    """What a run holds."""
    from experiments.models import Metric, Run
    from experiments.upkeep import verify_metric

    stored = Run.objects.get(pk=run)
    metrics = Metric.objects.filter(run=run).select_related("tail")
    return {
        "points": {metric.name: metric.count for metric in metrics},
        "drifted": [fault for metric in metrics for fault in verify_metric(metric)],
        "batches": [stored.revision, *stored.writers.values_list("seq", flat=True)],
        "labels": [label.name for label in (*stored.params.all(), *stored.tags.all())],
    }


def main() -> None:
    options = arguments(__doc__, scaled=False).parse_args()
    with served(options.database) as server:
        url = os.environ["DATABASE_URL"]
        [runs] = together(1, die_everywhere, url, server.user.username)
        wrong = faults(server.user, runs)
    print(f"{options.database}: {len(runs)} deaths, wrong: {wrong or 'nothing'}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()

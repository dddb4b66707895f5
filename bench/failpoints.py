"""A process that stores a batch dies by SIGKILL before each of its statements, in turn, and at
last after all of them: what is stored then?

Run by the tests. The batch has something of everything: a series whose tail is sealed and whose
small chunks are merged, a new series, a param, a tag and a writer's mark.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable
from itertools import count

WRITER = "mortal"
MERGE_AT = 3
LONG = 100  # points that make a chunk of their own


def die_everywhere(_: int, database_url: str, username: str) -> list[uuid.UUID]:
    """One run for each statement, a process having died before it; the last one's process died
    after all statements, before its commit. Each run held two chunks of the series "old"."""
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
    raise AssertionError


def prepared_run(user: object) -> uuid.UUID:
    """A run with a series that the next long batch will make it merge."""
    from experiments import recording

    run, _ = recording.start_run(user=user, experiment="mortal")
    for seq in range(1, MERGE_AT):
        batch = {"old": columns(LONG)}
        recording.append(user=user, run_id=run.pk, metrics=batch, writer=WRITER, seq=seq)
    return run.pk


def store_batch(user: object, run: uuid.UUID) -> object:
    """The batch in question; its receipt."""
    from experiments import recording

    return recording.append(
        user=user,
        run_id=run,
        metrics={"old": columns(LONG), "new": columns(5), "other": columns(LONG)},
        params={"lr": 0.1},
        tags={"stage": "mortal"},
        writer=WRITER,
        seq=MERGE_AT,
    )


def columns(points: int) -> object:
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

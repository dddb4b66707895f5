"""Whether a database that holds a lot takes batches in as fast as an empty one.

One run of 10 series of 10,000 points and 10 params is logged and finished, then copied inside
PostgreSQL, row by row with ids of their own, until there are as many points as asked for: chunks,
summaries and indexes are those that logging leaves. An empty database on the same PostgreSQL and
the full one then take the same batches in turns, each through a gunicorn of its own.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psutil
import psycopg
from against_mlflow import PARAMS, Target, rate_of_requests
from ingest import SHAPES
from served import Served, arguments, machine, served

SERIES, POINTS = 10, 10_000  # of the run that is copied
RUNS_A_COPY = 500
EMPTY = "exptrack_empty"
NEW_ID = "uuidv7()"


def a_run(server: Served) -> uuid.UUID:
    """The run that is copied: noisy decaying losses with full doubles."""
    from experiments import appending, recording
    from experiments.models import Run
    from experiments.storing import Columns

    random, steps = np.random.default_rng(7), np.arange(POINTS)
    times = 1_760_000_000_000 + steps * 50 + random.integers(0, 20, POINTS)
    run, _ = recording.start_run(user=server.user, experiment="grown", params=PARAMS)
    metrics = {
        f"metric-{n}": Columns(np.exp(-steps / 1e4) + random.normal(0, 0.05, POINTS), steps, times)
        for n in range(SERIES)
    }
    appending.append(user=server.user, run_id=run.pk, metrics=metrics)
    recording.finish_run(run=Run.objects.get(pk=run.pk), status="finished")
    return run.pk


def copies(model: type, other: Mapping[str, str], source: str) -> str:
    """The statement that copies rows of a model `r`, some columns becoming `other` ones."""
    columns = [f.column for f in model._meta.concrete_fields]
    values = ", ".join(other.get(column, f'r."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    table = model._meta.db_table
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} r {source}"  # noqa: S608


def statements(run: uuid.UUID, first: int, runs: int) -> Iterator[str]:
    """What copies a run so many times; the copies start a minute apart and end a little
    differently, so that every index is as wide as in earnest."""
    from experiments.models import Chunk, Metric, Param, Run, Tail

    of_run = f"CROSS JOIN runs c WHERE r.run_id = '{run}'"
    of_metric = "JOIN metrics c ON c.old = r.metric_id"
    ago = {
        column: f"r.{column} - c.n * interval '1 minute'"
        for column in ("created_at", "started_at", "ended_at", "last_seen_at")
    }
    last = first + runs - 1
    yield (
        f"CREATE TEMP TABLE runs ON COMMIT DROP AS SELECT {NEW_ID} AS id, n "
        f"FROM generate_series({first}, {last}) n"
    )
    yield (
        f"CREATE TEMP TABLE metrics ON COMMIT DROP AS SELECT {NEW_ID} AS id, m.id AS old, "  # noqa: S608
        "m.name, c.id AS run_id, c.n "
        f"FROM experiments_metric m CROSS JOIN runs c WHERE m.run_id = '{run}'"
    )
    yield copies(Run, {"id": "c.id", **ago}, f"CROSS JOIN runs c WHERE r.id = '{run}'")
    yield copies(Param, {"id": NEW_ID, "run_id": "c.id"}, of_run)
    yield copies(
        Metric,
        {"id": "c.id", "run_id": "c.run_id", "last": "r.last + c.n * 1e-7"},
        "JOIN metrics c ON c.old = r.id",
    )
    yield copies(Tail, {"metric_id": "c.id"}, of_metric)
    yield copies(Chunk, {"id": NEW_ID, "metric_id": "c.id"}, of_metric)


def fill(server: Served, points: int) -> str:
    """Copy a run until there are so many points; one line on what came of it."""
    run, began = a_run(server), time.perf_counter()
    runs = max(1, points // (SERIES * POINTS))
    with psycopg.connect(server.postgres.url("exptrack"), autocommit=True) as connection:
        for first in range(1, runs, RUNS_A_COPY):
            with connection.transaction():
                for sql in statements(run, first, min(RUNS_A_COPY, runs - first)):
                    connection.execute(sql)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        (size,) = connection.execute("SELECT pg_database_size('exptrack')").fetchone()
        (found,) = connection.execute("SELECT sum(count) FROM experiments_chunk").fetchone()
    took = time.perf_counter() - began
    return f"{found:,} points in {runs:,} runs, {size / 2**30:.2f} GiB, filled in {took:,.0f} s"


@contextmanager
def beside(server: Served) -> Iterator[object]:
    """A gunicorn on a copy of the database, made while that is empty but for its member."""
    from django.db import connections

    from exptrack.tests.servers import GunicornServer

    connections.close_all()
    with psycopg.connect(server.postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {EMPTY} TEMPLATE exptrack")
    gunicorn = GunicornServer(DATABASE_URL=server.postgres.url(EMPTY))
    try:
        yield gunicorn.start()
    finally:
        gunicorn.remove()


@dataclass
class Side:
    """One of the two databases: how it is reached, and what it took in each turn."""

    target: Target
    pid: int
    rates: list[float] = field(default_factory=list)
    gunicorn: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)

    def turn(self, server: Served, name: str, clients: int) -> None:
        """Let it take one round of batches, and note rate and processor time."""
        shape, before = SHAPES[name], self.used(server)
        self.rates.append(rate_of_requests(self.target, shape, clients))
        requests = clients * shape.requests
        spent = [after - start for after, start in zip(self.used(server), before, strict=True)]
        self.gunicorn.append(spent[0] / requests * 1e3)
        self.postgres.append(spent[1] / requests * 1e3)

    def used(self, server: Served) -> tuple[float, float]:
        """Processor seconds of its gunicorn's workers, and of the PostgreSQL of both."""
        workers = psutil.Process(self.pid).children()
        return sum(sum(one.cpu_times()[:2]) for one in workers), server.cpu_seconds()["postgres"]


def row(
    server: Served, sides: list[tuple[Target, int]], name: str, clients: int, rounds: int
) -> str:
    """One shape of batch: both in turns, after a round to warm up."""
    empty, full = (Side(*one) for one in sides)
    for number in range(rounds + 1):
        for side in (empty, full) if number % 2 else (full, empty):
            side.turn(server, name, clients)
    ratios = [b / a for a, b in zip(empty.rates[1:], full.rates[1:], strict=True)]
    rates = [statistics.median(side.rates[1:]) for side in (empty, full)]
    cpu = [
        f"{statistics.median(side.gunicorn[1:]):.2f}, {statistics.median(side.postgres[1:]):.2f}"
        for side in (empty, full)
    ]
    return (
        f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {statistics.median(ratios):.2f} × "
        f"({min(ratios):.2f}–{max(ratios):.2f}) | {cpu[0]} | {cpu[1]} |"
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--points", type=int, default=10_000_000, help="that it already holds")
    parser.add_argument("--clients", type=int, default=4, help="processes that send")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="these only")
    options = parser.parse_args()
    if options.database != "postgresql":
        parser.error("Rows are copied by PostgreSQL.")
    print(f"{options.database}; {machine()}")
    with (
        served("postgresql", workers=options.workers, threads=options.threads) as server,
        beside(server) as other,
    ):
        print(f"{fill(server, options.points)}\n")
        sides = [
            (Target(True, gunicorn.url, server.secret, "grown"), gunicorn.pid)
            for gunicorn in (other, server.gunicorn)
        ]
        print(
            "| batch | requests/s, empty | full | ratio (least–most) "
            "| CPU ms a request, empty: gunicorn, postgres | full |\n|---|---|---|---|---|---|"
        )
        for name in options.shape or ("small-10x1", "columns-1000"):
            print(row(server, sides, name, options.clients, options.rounds), flush=True)


if __name__ == "__main__":
    main()

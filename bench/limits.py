"""How near the hot path is to what its parts take without us.

In this process, in microseconds: msgspec reading a batch, pcodec packing its points, one INSERT
of the same bytes. Over HTTP, under the same gunicorn, in milliseconds of its processor a request:
views that do nothing behind ever more of what stands before `log/`, and `log/` itself, in turns.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import psutil
from clients import Script, log_path, together
from ingest import SHAPES, Shape, bodies
from served import ROOT, Served, arguments, machine, served

LEVELS = {
    "Django without middleware": ("/api/v1/nothing/", "bare"),
    "Django": ("/api/v1/nothing/", "whole"),
    "DRF, the batch parsed": ("/api/v1/nothing/anonymous/", "whole"),
    "DRF, the batch parsed, the token found": ("/api/v1/nothing/parsed/", "whole"),
    "log/": (None, "ours"),
}


def microseconds(work: Callable[[], object], times: int) -> float:
    """The median of so many calls."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6


# --- The parts by themselves -------------------------------------------------------------------


def parts(server: Served, shape: Shape, times: int) -> str:
    """One row: what reading, packing and storing one batch of this shape take at least."""
    from experiments import series
    from experiments.api.batches import BatchIn, columns_of, decode_batch

    body = next(bodies(shape, 1))
    batch = decode_batch(body)
    points = series.Points.of(*first_columns(columns_of(batch)))
    _, packed = series.encode(points)
    row = (
        f"| {len(body):,} | {microseconds(lambda: msgspec.json.decode(body), times):,.0f} "
        f"| {microseconds(lambda: msgspec.json.decode(body, type=BatchIn), times):,.0f} "
        f"| {microseconds(lambda: columns_of(decode_batch(body)), times):,.0f} "
        f"| {microseconds(lambda: series.encode(points), times):,.0f} × {shape.series} "
    )
    return f"{row}| {microseconds(inserting(server, packed * shape.series), times):,.0f} |"


def first_columns(columns: dict) -> tuple:
    first = next(iter(columns.values()))
    return first.steps, first.times, first.values


def inserting(server: Served, data: bytes) -> Callable[[], object]:
    """One durable INSERT of these bytes through a connection of the driver's own, prepared."""
    if server.postgres is None:
        import sqlite3

        from django.conf import settings

        connection = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None)
        connection.execute("PRAGMA synchronous=FULL")
        mark = "?"
    else:
        import psycopg

        connection = psycopg.connect(server.postgres.url("exptrack"), autocommit=True)
        connection.prepare_threshold = 1
        mark = "%s"
    connection.execute("CREATE TABLE IF NOT EXISTS bench_insert (id text, data bytea)")
    sql = f"INSERT INTO bench_insert VALUES ({mark}, {mark})"  # noqa: S608
    return lambda: connection.execute(sql, (uuid.uuid4().hex, data))


# --- Over HTTP ---------------------------------------------------------------------------------


@contextmanager
def doing_nothing(**environment: str) -> Iterator[object]:
    """gunicorn as in earnest, with views that do nothing."""
    from exptrack.tests.servers import GunicornServer

    found = {"DJANGO_SETTINGS_MODULE": "nothing", "PYTHONPATH": str(ROOT / "bench")}
    server = GunicornServer(**found, **environment)
    try:
        yield server.start()
    finally:
        server.remove()


def post_all(number: int, url: str, secret: str, paths: list[str], shape: Shape) -> None:
    """One client's requests."""
    with Script(url, secret) as script:
        for body in bodies(shape, number):
            status, answer = script.post(paths[number], body)
            assert status == 200, (status, answer)


def cpu_of_workers(pid: int) -> float:
    """Processor seconds that gunicorn's workers have used so far."""
    return sum(sum(worker.cpu_times()[:2]) for worker in psutil.Process(pid).children())


def milliseconds(server: Served, pid: int, url: str, paths: list[str], shape: Shape) -> float:
    """gunicorn's processor time a request."""
    before = cpu_of_workers(pid)
    together(len(paths), post_all, url, server.secret, paths, shape)
    return (cpu_of_workers(pid) - before) / (len(paths) * shape.requests) * 1e3


def levels(server: Served, shape: Shape, clients: int, rounds: int) -> Iterator[str]:
    """A row each: the median over the rounds, all levels taken in turn."""
    found = {level: [] for level in LEVELS}
    with doing_nothing(EXPTRACK_BENCH_BARE="1") as bare, doing_nothing() as whole:
        servers = {"bare": bare, "whole": whole, "ours": server.gunicorn}
        for _ in range(rounds + 1):  # the first to warm up
            for level, (path, which) in LEVELS.items():
                paths = [path or log_path(server.new_run("limits")) for _ in range(clients)]
                pid, url = servers[which].pid, servers[which].url
                found[level].append(milliseconds(server, pid, url, paths, shape))
    for level, taken in found.items():
        rest = taken[1:]
        yield f"| {level} | {statistics.median(rest):.2f} ({min(rest):.2f}–{max(rest):.2f}) |"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=4, help="processes that send")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=300, help="calls of each part by itself")
    parser.add_argument("--shape", choices=SHAPES, default="small-10x1", help="over HTTP")
    options = parser.parse_args()
    print(f"{options.database}; {machine()}\n")
    with served(options.database, workers=options.workers, threads=options.threads) as server:
        print(
            "| µs | bytes | msgspec, any JSON | msgspec, typed | as columns, checked "
            "| packing a series | INSERT |\n|---|---|---|---|---|---|---|"
        )
        for name, shape in SHAPES.items():
            print(f"| {name} {parts(server, shape, options.times)}", flush=True)
        print(f"\n| {options.shape} | gunicorn's processor ms a request |\n|---|---|")
        for row in levels(server, SHAPES[options.shape], options.clients, options.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()

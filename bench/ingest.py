"""How fast batches are taken in over HTTP: points and requests a second, and latency.

Every client is a process with a run and a connection of its own; bodies are encoded before the
clock starts. After each round everything sent is counted in the database, and every summary is
recomputed from its points.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import json
import pstats
import statistics
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psutil
from clients import Script, log_path, meet, together
from served import Served, arguments, machine, served

START_MS = 1_760_000_000_000
SEED = 20_261_123
WARM_UP = 10  # requests: they load what later ones find loaded


@dataclass(frozen=True)
class Shape:
    """What each request holds: `points` of each of `series`, as columns or as a list; and how
    many requests a client sends in a round."""

    form: str
    series: int
    points: int
    requests: int

    @property
    def size(self) -> int:
        """Points in a request."""
        return self.series * self.points


SHAPES = {
    "list-1000": Shape("list", 1, 1_000, 150),
    "list-10x100": Shape("list", 10, 100, 150),
    "columns-1000": Shape("columns", 1, 1_000, 400),
    "columns-10x100": Shape("columns", 10, 100, 300),
    "columns-10000": Shape("columns", 1, 10_000, 80),
    "small-10x1": Shape("columns", 10, 1, 500),
}


@dataclass(frozen=True)
class Sent:
    """What one client saw: when it began and ended, by the machine's clock, its latencies, and
    the processor time that it and the whole machine used meanwhile; all in seconds."""

    began: float
    ended: float
    latencies: list[float]
    cpu: float
    machine: float


def busy_seconds() -> float:
    """Processor time that the machine has used so far, for whomever."""
    used = psutil.cpu_times()
    return sum(used) - used.idle - used.iowait - used.guest - used.guest_nice


def bodies(shape: Shape, seed: int) -> Iterator[bytes]:
    """The requests of one client: noisy decaying losses with full doubles, steps that count up,
    times that jitter."""
    random = np.random.default_rng(seed)
    for request in range(shape.requests):
        steps = np.arange(request * shape.points, (request + 1) * shape.points)
        times = START_MS + steps * 50 + random.integers(0, 20, shape.points)
        columns = {
            f"train/metric-{number}": (
                steps.tolist(),
                times.tolist(),
                (np.exp(-steps / 1e4) + random.normal(0, 0.05, shape.points)).tolist(),
            )
            for number in range(shape.series)
        }
        yield encoded(shape.form, columns, request + 1)


def encoded(form: str, columns: dict[str, tuple[list, list, list]], seq: int) -> bytes:
    """One batch in one of the two forms of `log/`."""
    if form == "columns":
        metrics: object = {
            name: {"steps": steps, "times": times, "values": values}
            for name, (steps, times, values) in columns.items()
        }
    else:
        metrics = [
            {"name": name, "value": value, "step": step, "time": time}
            for name, rows in columns.items()
            for step, time, value in zip(*rows, strict=True)
        ]
    return json.dumps({"writer": "bench", "seq": seq, "metrics": metrics}).encode()


def send(number: int, url: str, secret: str, runs: list[uuid.UUID], shape: Shape) -> Sent:
    """One client's round; AssertionError when a batch is not accepted whole."""
    prepared = list(bodies(shape, SEED + number))
    path, script, latencies = log_path(runs[number]), Script(url, secret), []
    meet()  # all are there: a connection that waits for others to start is closed after a while
    assert script.get("/api/v1/me/")[0] == 200
    meet()
    began, cpu, machine = time.perf_counter(), time.process_time(), busy_seconds()
    for body in prepared:
        sent = time.perf_counter()
        status, answer = script.post(path, body)
        latencies.append(time.perf_counter() - sent)
        assert (status, b'"duplicate":false' in answer) == (200, True), (status, answer)
    ended, cpu, machine = (
        time.perf_counter(),
        time.process_time() - cpu,
        busy_seconds() - machine,
    )
    return Sent(began, ended, latencies, cpu, machine)


@dataclass(frozen=True)
class Round:
    """One round's figures: per second, in seconds, milliseconds of processor a request, and the
    share of the machine that something else was using."""

    points: float
    requests: float
    latencies: list[float]
    cpu: dict[str, float]
    others: float


def one_round(server: Served, shape: Shape, clients: int) -> Round:
    """All clients at once, and then everything counted."""
    runs = [server.new_run(f"client {number}") for number in range(clients)]
    before = server.cpu_seconds()
    sent = together(clients, send, server.url, server.secret, runs, shape)
    after = server.cpu_seconds()
    took = max(one.ended for one in sent) - min(one.began for one in sent)
    requests = clients * shape.requests
    cpu = {name: (after[name] - before[name]) / requests * 1e3 for name in after}
    cpu["clients"] = sum(one.cpu for one in sent) / requests * 1e3
    longest = max(sent, key=lambda one: one.ended - one.began)
    others = longest.machine - sum(cpu.values()) * requests / 1e3
    check(runs, shape)
    return Round(
        points=requests * shape.size / took,
        requests=requests / took,
        latencies=[latency for one in sent for latency in one.latencies],
        cpu=cpu,
        others=max(others, 0.0) / took / psutil.cpu_count(),
    )


def check(runs: list[uuid.UUID], shape: Shape) -> None:
    """Everything sent is stored, once, and summed up rightly."""
    from experiments.models import Metric
    from experiments.upkeep import verify_metric

    metrics = list(Metric.objects.filter(run__in=runs).select_related("tail"))
    assert len(metrics) == len(runs) * shape.series
    for metric in metrics:
        assert metric.count == shape.points * shape.requests, (metric.name, metric.count)
        assert verify_metric(metric) == []


def report(name: str, rounds: list[Round]) -> str:
    """One row of the table: medians over the rounds, with the slowest and the fastest."""
    points = [one.points for one in rounds]
    requests = statistics.median(one.requests for one in rounds)
    latencies = np.array([latency for one in rounds for latency in one.latencies]) * 1e3
    cpu = ", ".join(
        f"{part} {statistics.median(one.cpu[part] for one in rounds):.2f}" for part in rounds[0].cpu
    )
    return (
        f"| {name} | {statistics.median(points):,.0f} ({min(points):,.0f}–{max(points):,.0f}) "
        f"| {requests:,.0f} | {np.percentile(latencies, 50):.1f} / "
        f"{np.percentile(latencies, 99):.1f} | {cpu} "
        f"| {statistics.median(one.others for one in rounds):.0%} |"
    )


def profile(server: Served, shape: Shape) -> str:
    """Where a request's time goes: the same bodies given to the WSGI application in this
    process, one after the other, without and then with cProfile."""
    profiler, prepared = cProfile.Profile(), list(bodies(shape, SEED))
    feed(server, prepared[:WARM_UP])
    began, cpu = time.perf_counter(), time.process_time()
    feed(server, prepared)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    profiler.runcall(feed, server, prepared)
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text).strip_dirs()
    stats.sort_stats("cumulative").print_stats(45)
    stats.sort_stats("tottime").print_stats(45)
    return (
        f"without the profiler {took / shape.requests * 1e3:.2f} ms a request, of that "
        f"{cpu / shape.requests * 1e3:.2f} ms of this process's processor\n{text.getvalue()}"
    )


def feed(server: Served, prepared: list[bytes]) -> None:
    """Give requests to the application itself, as gunicorn would."""
    from exptrack.wsgi import application

    run = server.new_run("profile")
    for body in prepared:
        response = application(environ_of(run, server.secret, body), lambda *_: None)
        answer = b"".join(response)
        response.close()
        assert b'"duplicate":false' in answer, answer


def environ_of(run: uuid.UUID, secret: str, body: bytes) -> dict[str, object]:
    """A WSGI environ such as gunicorn makes."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": log_path(run),
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Bearer {secret}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=4, help="processes that send")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="these only")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="instead, show where the time goes inside the application",
    )
    return parser.parse_args()


def main() -> None:
    options = parsed()
    print(f"{options.database}; {machine()}")
    with served(options.database, workers=options.workers, threads=options.threads) as server:
        names = options.shape or list(SHAPES)
        if options.profile:
            for name in names:
                print(name, profile(server, SHAPES[name]))
            return
        print(
            f"{options.clients} clients, {options.workers} workers × {options.threads} threads, "
            f"median of {options.rounds} rounds after one to warm up\n\n"
            "| batch | points/s (least–most) | requests/s | p50 / p99 ms | CPU ms a request "
            "| other work on the machine |\n|---|---|---|---|---|---|"
        )
        for name in names:
            one_round(server, SHAPES[name], options.clients)
            taken = range(options.rounds)
            rounds = [one_round(server, SHAPES[name], options.clients) for _ in taken]
            print(report(name, rounds), flush=True)


if __name__ == "__main__":
    main()

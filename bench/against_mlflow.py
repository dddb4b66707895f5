"""ExpTrack and MLflow side by side: the same PostgreSQL server, the same client, in turns.

MLflow is installed into an environment that is thrown away (`--keep FOLDER` keeps it), served by
its own `mlflow server` with as many workers as ours, and driven over its REST API, at its own
limits: 1,000 metrics a request. Each row is measured in pairs, one after the other, so that what
else the machine does meets both; the ratio is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from clients import Script, log_path, meet, together
from ingest import SHAPES, Shape, bodies
from peers import Server, environment, free_port, serving
from served import Served, arguments, machine, served

API = "/api/2.0/mlflow"
PARAMS = {f"param-{number}": number / 7 for number in range(10)}
METRICS = {f"metric-{number}": number / 3 for number in range(5)}
LONG_SERIES = 20_000
RUNS_IN_TABLE = 2_000


@dataclass(frozen=True)
class Target:
    """A server as a client needs it: `ours` or MLflow's."""

    ours: bool
    url: str
    secret: str
    experiment: str

    def script(self) -> Script:
        return Script(self.url, self.secret)


def post(script: Script, path: str, body: dict) -> dict:
    """The answer to a JSON request; AssertionError when it is refused."""
    status, answer = script.post(path, json.dumps(body).encode())
    assert status in (200, 201), (status, answer[:500])
    return json.loads(answer)


def new_run(target: Target, script: Script) -> str:
    """The id of a new run, without anything in it."""
    if target.ours:
        return post(script, "/api/v1/runs/", {"experiment": target.experiment})["id"]
    body = {"experiment_id": target.experiment, "start_time": int(time.time() * 1000)}
    return post(script, f"{API}/runs/create", body)["run"]["info"]["run_id"]


# --- Logging ---------------------------------------------------------------------------------


def mlflow_bodies(run: str, shape: Shape, seed: int) -> Iterator[bytes]:
    """The same points as `ingest.bodies`, in MLflow's words."""
    for body in bodies(shape, seed):
        metrics = [
            {"key": name, "value": value, "timestamp": at, "step": step}
            for name, columns in json.loads(body)["metrics"].items()
            for step, at, value in zip(*columns.values(), strict=True)
        ]
        yield json.dumps({"run_id": run, "metrics": metrics}).encode()


def send(number: int, target: Target, shape: Shape) -> tuple[float, float]:
    """One client's batches, made before the clock starts; when it began and ended."""
    with target.script() as script:
        run = new_run(target, script)
    path = log_path(run) if target.ours else f"{API}/runs/log-batch"
    prepared = list(bodies(shape, number) if target.ours else mlflow_bodies(run, shape, number))
    with target.script() as script:
        meet()
        began = time.perf_counter()
        for body in prepared:
            status, answer = script.post(path, body)
            assert status == 200, (status, answer[:500])
        return began, time.perf_counter()


def rate_of_requests(target: Target, shape: Shape, clients: int) -> float:
    """Requests a second of so many clients, each with a run of its own."""
    times = together(clients, send, target, shape)
    took = max(end for _, end in times) - min(begin for begin, _ in times)
    return clients * shape.requests / took


def create(number: int, target: Target, runs: int) -> tuple[float, float]:
    """One client that starts runs with 10 params and 5 metrics."""
    with target.script() as script:
        meet()
        began = time.perf_counter()
        for _ in range(runs):
            create_one(target, script)
        return began, time.perf_counter()


def create_one(target: Target, script: Script) -> str:
    """The id of a new run with all it has, in as few requests as each takes: MLflow's runs/create
    takes neither params nor metrics."""
    if target.ours:
        first = {"metrics": METRICS, "step": 0}
        body = {"experiment": target.experiment, "params": PARAMS, "log": first}
        return post(script, "/api/v1/runs/", body)["id"]
    run, now = new_run(target, script), int(time.time() * 1000)
    params = [{"key": key, "value": str(value)} for key, value in PARAMS.items()]
    metrics = [
        {"key": key, "value": value, "timestamp": now, "step": 0} for key, value in METRICS.items()
    ]
    body = {"run_id": run, "params": params, "metrics": metrics}
    post(script, f"{API}/runs/log-batch", body)
    return run


def rate_of_runs(target: Target, runs: int, clients: int) -> float:
    """Runs a second of so many clients."""
    times = together(clients, create, target, runs)
    took = max(end for _, end in times) - min(begin for begin, _ in times)
    return clients * runs / took


# --- Reading ---------------------------------------------------------------------------------


def filled(target: Target, points: int) -> str:
    """A run with one long series."""
    shape = Shape("columns", 1, 1_000, points // 1_000)
    with target.script() as script:
        run = new_run(target, script)
        path = log_path(run) if target.ours else f"{API}/runs/log-batch"
        for body in bodies(shape, 1) if target.ours else mlflow_bodies(run, shape, 1):
            assert script.post(path, body)[0] == 200
        return run


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def get(script: Script, path: str) -> bytes:
    status, answer = script.get(path)
    assert status == 200, (status, answer[:500])
    return answer


def chart(target: Target, run: str) -> float:
    """Seconds of what each one's page asks for to draw a long series: ours a thousand buckets,
    each with its least and greatest; MLflow's a sample of 2,500 points."""
    ours = f"/api/v1/series/?run={run}&metric=train/metric-0&buckets=1000"
    theirs = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run}"
    theirs += "&metric_key=train/metric-0&max_results=2500"
    with target.script() as script:
        return seconds(lambda: get(script, ours if target.ours else theirs))


def table(target: Target) -> float:
    """Seconds of a thousand runs with all they have, ordered by a metric, through each API."""
    with target.script() as script:
        if target.ours:
            path = f"/api/v1/runs/?experiment={target.experiment}&limit=1000"
            return seconds(lambda: get(script, f"{path}&ordering=-metrics.metric-1"))
        body = {
            "experiment_ids": [target.experiment],
            "max_results": 1000,
            "order_by": ["metrics.`metric-1` DESC"],
        }
        return seconds(lambda: post(script, f"{API}/runs/search", body))


# --- Both ------------------------------------------------------------------------------------


def report(name: str, unit: str, work: Callable[[Target], float], both: tuple, pairs: int) -> None:
    """Measure both in turn and print a row of the table. What is counted a second is better when
    it is more, seconds when they are fewer; a ratio above 1 is in our favour."""
    ours, theirs = [], []
    for number in range(pairs):
        for target in both if number % 2 else reversed(both):
            (ours if target.ours else theirs).append(work(target))
    better = [a / b if unit.endswith("/s") else b / a for a, b in zip(ours, theirs, strict=True)]
    digits = "{:,.0f}" if unit.endswith("/s") else "{:,.1f}"
    shown = [digits.format(statistics.median(values)) for values in (ours, theirs)]
    print(f"| {name} | {shown[0]} {unit} | {shown[1]} {unit} | {statistics.median(better):,.1f} × "
          f"({min(better):,.1f}–{max(better):,.1f}) |", flush=True)  # fmt: skip


def compare(both: tuple[Target, Target], pairs: int, only: list[str] | None) -> None:
    """All rows, or those that are asked for."""
    list_1000 = Shape("list", 1, 1_000, 40)
    columns = {True: SHAPES["columns-10000"], False: Shape("columns", 1, 1_000, 15)}
    theirs_1000 = Shape("columns", 1, 1_000, 15)
    small = {True: Shape("columns", 10, 1, 200), False: Shape("columns", 10, 1, 40)}

    def points(ours: Shape, theirs: Shape) -> Callable[[Target], float]:
        def work(target: Target) -> float:
            shape = ours if target.ours else theirs
            return rate_of_requests(target, shape, 4) * shape.size

        return work

    def wanted(row: str) -> bool:
        return not only or row in only

    if wanted("P1"):
        report("P1 list of 1,000", "points/s", points(list_1000, theirs_1000), both, pairs)
    if wanted("P2"):
        work = points(columns[True], columns[False])
        report("P2 columns of 10,000 (MLflow: 1,000)", "points/s", work, both, pairs)
    for clients in (4, 16):
        if wanted("P3"):
            name = f"P3 10 points a request, {clients} clients"

            def requests(target: Target, clients: int = clients) -> float:
                return rate_of_requests(target, small[target.ours], clients)

            report(name, "requests/s", requests, both, pairs)
    if wanted("P9"):

        def runs(target: Target) -> float:
            return rate_of_runs(target, 60 if target.ours else 12, 4)

        report("P9 runs with 10 params, 5 metrics", "runs/s", runs, both, pairs)
    if wanted("P7"):
        long = {target.ours: filled(target, LONG_SERIES) for target in both}
        name = f"P7 a chart of {LONG_SERIES:,} points"

        def milliseconds(target: Target) -> float:
            return chart(target, long[target.ours]) * 1e3

        report(name, "ms", milliseconds, both, pairs * 3)
    if wanted("P8"):
        for target in both:
            together(4, create, target, RUNS_IN_TABLE // 4)
        name = f"P8 1,000 of {RUNS_IN_TABLE:,} runs, by a metric"
        report(name, "ms", lambda target: table(target) * 1e3, both, pairs)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--row", action="append", help="P1, P2, P3, P7, P8, P9: these only")
    parser.add_argument("--keep", type=Path, help="a folder in which MLflow's environment stays")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    packages = ("mlflow", "psycopg2-binary")
    with (
        environment(*packages, keep=options.keep) as their,
        served("postgresql", workers=options.workers, threads=options.threads) as server,
    ):
        with psycopg.connect(server.postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mlflow")
        port = free_port()
        store = server.postgres.url("mlflow").replace("postgresql://", "postgresql+psycopg2://")
        command = [
            *(their.python, "-m", "mlflow", "server", "--backend-store-uri", store),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", str(options.workers)),
            *("--artifacts-destination", str(server.postgres.folder / "artifacts")),
        ]
        print(f"MLflow {their.version('mlflow')}; {options.database}; {machine()}\n")
        with serving(command, port, "/health") as mlflow:
            both = (ours_of(server), theirs_of(mlflow))
            print("| | ExpTrack | MLflow | ratio (least–most) |\n|---|---|---|---|")
            compare(both, options.pairs, options.row)


def ours_of(server: Served) -> Target:
    with Script(server.url, server.secret) as script:
        experiment = post(script, "/api/v1/experiments/", {"name": f"bench {uuid.uuid4()}"})["id"]
    return Target(True, server.url, server.secret, experiment)


def theirs_of(mlflow: Server) -> Target:
    with Script(mlflow.url, "none") as script:
        body = {"name": f"bench {uuid.uuid4()}"}
        experiment = post(script, f"{API}/experiments/create", body)["experiment_id"]
    return Target(False, mlflow.url, "none", experiment)


if __name__ == "__main__":
    main()

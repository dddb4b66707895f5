"""The SDK beside other trackers: what a call of log() costs, how fast everything is stored, memory
and disk.

Each tracker runs in a process of its own, in a virtual environment that is thrown away (`--keep
FOLDER` keeps them), one after another in every round. All log to this machine: ours to a server
of its own, on the same two cores; the others to files of their own, as they do when no server is
asked for. A call has ten Python floats with all their digits.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from peers import Environment, environment, memory_of
from served import Served, arguments, machine, served

METRICS = 10
# How each is asked to log: `log(values, step)`, and `finish()`, after which all is stored.
OURS = """
import exptrack_client
run = exptrack_client.init("peers", capture=False)
log = lambda values, step: run.log(values, step=step)
def finish():
    assert run.finish(timeout=300) == 0
"""
THEIRS = {
    "trackio": """
import trackio
run = trackio.init(project="peers", auto_log_cpu=False, auto_log_gpu=False)
log = lambda values, step: run.log(values, step=step)
finish = run.finish
""",
    "wandb": """
import wandb
run = wandb.init(project="peers", mode="offline", dir=folder)
log = lambda values, step: run.log(values, step=step)
finish = run.finish
""",
    "tensorboardX": """
import tensorboardX
writer = tensorboardX.SummaryWriter(folder)
def log(values, step):
    for name, value in values.items():
        writer.add_scalar(name, value, step)
finish = writer.close
""",
    "aim": """
import aim
run = aim.Run(repo=folder, system_tracking_interval=None, capture_terminal_logs=False)
log = lambda values, step: run.track(values, step=step)
finish = run.close
""",
}
PROCESS = """
import json, os, random, sys, time
from array import array
calls, folder = int(sys.argv[1]), sys.argv[2]
{logger}
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
names = [f"metric/{{number}}" for number in range({metrics})]
log(dict.fromkeys(names, 0.5), 0)
resting, costs, begun = peak(), array("d"), sum(os.times()[:4])
began = time.perf_counter()
for step in range(1, calls):
    values = {{name: random.random() for name in names}}
    before = time.perf_counter()
    log(values, step)
    costs.append(time.perf_counter() - before)
logged = time.perf_counter() - began
finish()
stored = time.perf_counter() - began
used = sum(os.times()[:4])  # of the children too that are over
costs = sorted(costs)
print("\\n" + json.dumps({{
    "median": costs[len(costs) // 2] * 1e6, "p99": costs[len(costs) * 99 // 100] * 1e6,
    "logged": logged, "stored": stored, "resting": resting, "peak": peak(),
    "cpu": used - begun, "points": calls * {metrics},
}}))
"""


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.set_defaults(database="sqlite")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=list(THEIRS), choices=list(THEIRS))
    parser.add_argument("--keep", type=Path, help="a folder for the peers' environments")
    asked = parser.parse_args()
    print(machine())
    with served(asked.database) as server, ExitStack() as environments:
        made = {
            name: environments.enter_context(
                environment(name, keep=asked.keep and asked.keep / name)
            )
            for name in asked.peers
        }
        found: dict[str, list[dict]] = {name: [] for name in ("ExpTrack", *made)}
        for _ in range(asked.rounds):
            found["ExpTrack"].append(ours(server, asked.calls))
            for name, place in made.items():
                found[name].append(theirs(name, place, asked.calls))
        for name, results in found.items():
            told(f"{name} {made[name].version(name)}" if name in made else name, results)


def ours(server: Served, calls: int) -> dict:
    """One run of ours, logged to the server and counted there."""
    from experiments.models import Metric

    with tempfile.TemporaryDirectory() as folder:
        held = stored_bytes()
        before = Metric.objects.count()
        more = server.sdk(folder)
        used = sum(server.cpu_seconds().values())
        result = logged(sys.executable, OURS, calls, folder, more)
        result["cpu"] += sum(server.cpu_seconds().values()) - used
        newest = Metric.objects.order_by("-run__created_at", "name")[:METRICS]
        assert Metric.objects.count() == before + METRICS
        assert {metric.count for metric in newest} == {calls}, "not all is stored"
    return {**result, "disk": (stored_bytes() - held) / (calls * METRICS)}


def theirs(name: str, place: Environment, calls: int) -> dict:
    """One run of a peer's, into a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        more = {"TRACKIO_DIR": folder, "WANDB_SILENT": "true", "HOME": folder}
        result = logged(place.python, THEIRS[name], calls, folder, more)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files if ".cache" not in path.parts)
    return {**result, "disk": size / (calls * METRICS)}


def logged(python: str, logger: str, calls: int, folder: str, more: dict[str, str]) -> dict:
    """What a process that logs says of itself, and the most memory it and its children held."""
    code = PROCESS.format(logger=logger, metrics=METRICS)
    process = subprocess.Popen(
        [python, "-c", code, str(calls), folder],
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with watched(process) as memory:
        output, errors = process.communicate()
    if process.returncode:
        sys.exit(f"{logger}\n{errors[-3000:]}")
    (result,) = [line for line in output.splitlines() if line.startswith('{"median"')]
    return {**json.loads(result), "whole": max(memory) / 2**20}


@contextmanager
def watched(process: subprocess.Popen) -> Iterator[list[int]]:
    """Bytes that a process and all below it hold, ten times a second."""
    import threading

    found, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            try:
                whole = psutil.Process(process.pid)
                found.append(memory_of([whole, *whole.children(recursive=True)]))
            except psutil.NoSuchProcess:
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def stored_bytes() -> int:
    """What our database takes on the disk."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("CHECKPOINT")
            cursor.execute("SELECT pg_database_size(current_database())")
            return cursor.fetchone()[0]
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.fetchall()
        pages = []
        for pragma in ("page_count", "freelist_count", "page_size"):
            cursor.execute(f"PRAGMA {pragma}")
            pages.append(cursor.fetchone()[0])
    return (pages[0] - pages[1]) * pages[2]


def told(name: str, results: list[dict]) -> None:
    """Two lines on a tracker: medians of the rounds, and the range of the rate."""
    middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
    rates = [result["points"] / result["stored"] for result in results]
    print(
        f"{name}: log() {middle['median']:.1f} µs, p99 {middle['p99']:.1f}; all logged after "
        f"{middle['logged']:.2f} s, stored after {middle['stored']:.2f}: "
        f"{statistics.median(rates):,.0f} points/s ({min(rates):,.0f}–{max(rates):,.0f})\n"
        f"    processors {middle['cpu']:.2f} s; memory {middle['resting']:.0f} MiB, at most "
        f"{middle['peak']:.0f}, with children {middle['whole']:.0f}; {middle['disk']:.1f} B a point"
    )


if __name__ == "__main__":
    main()

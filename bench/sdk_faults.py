"""What the SDK does to training, and to the points, when things go wrong.

    away     the server is killed for a while, then slow, then refusing, while a loop logs
    ranks    8 processes log into one run while the server is restarted twice
    disk     the spool's disk fills up, with and without a server

Undisturbed and disturbed stretches alternate in one training process; the faults are made in
another.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from served import ROOT, Served, arguments, machine, served

sys.path[:0] = [str(ROOT / "client" / "src"), str(ROOT / "client")]
import exptrack_client as exptrack  # noqa: E402
from tests.faults import Wire  # noqa: E402

STEP_SECONDS = 0.0099  # of work a step, so that a hundred points are logged a second


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.add_argument("what", choices=("away", "ranks", "disk"))
    parser.add_argument("--seconds", type=float, default=60, help="of server away, in all")
    parser.add_argument("--steps", type=int, default=2_000, help="of each rank")
    asked = parser.parse_args()
    print(machine())
    with served(asked.database) as server, tempfile.TemporaryDirectory() as folder:
        os.environ |= server.sdk(folder)
        {"away": away, "ranks": ranks, "disk": disk}[asked.what](server, Path(folder), asked)


# --- Away, slow, refusing --------------------------------------------------------------------

# A training process: for each line it reads it works and logs so many seconds, and tells of the
# steps. Its work holds the interpreter, so that threads of the tracker's cost it what they take.
TRAINING = """
import json, statistics, sys, time
import exptrack_client as exptrack

def turns_of(seconds):
    turns, took = 20_000, 0.0
    for _ in range(9):
        began = time.thread_time()
        sum(range(turns))
        took = time.thread_time() - began
        turns = max(int(turns * seconds / took), 1)
    return turns

def stretch(seconds):
    steps, calls = [], []
    until = time.perf_counter() + seconds
    own, whole = time.thread_time(), time.process_time()
    while (began := time.perf_counter()) < until:
        loss = float(sum(range(turns)))
        worked = time.perf_counter()
        run.log({"loss": loss})
        ended = time.perf_counter()
        calls.append(ended - worked)
        steps.append(ended - began)
    own, whole = time.thread_time() - own, time.process_time() - whole
    call, threads = statistics.median(calls), (whole - own) / len(steps)
    return {"steps": len(steps), "step": statistics.median(steps), "longest": max(calls),
            "call": call, "threads": threads, "share": (call + threads) * len(steps) / own}

turns = turns_of(float(sys.argv[1]))
run = exptrack.init("faults", capture=False)
print(json.dumps({"id": run.id}), flush=True)
for line in sys.stdin:
    print(json.dumps(stretch(float(line))), flush=True)
print(json.dumps({"missing": run.finish(timeout=60)}))
"""


def away(server: Served, folder: Path, asked: object) -> None:
    """Steps of undisturbed and disturbed stretches in turn, and what arrived."""
    wire = Wire(server.url)
    training = Training(wire.url)
    begun = time.monotonic()
    logged = 0
    print(
        f"{'':12} {'steps':>7} {'step ms':>9} {'to before':>10} {'log() µs':>9} {'longest ms':>11} "
        f"{'threads µs':>11} {'all it takes':>13}"
    )
    for fault in ("away", "slow", "500", "429", "413", "401"):
        quiet = training.stretch(asked.seconds / 2)
        told("undisturbed", quiet, quiet)
        if fault == "away":
            wire.close()
            server.gunicorn.kill()
            disturbed = training.stretch(asked.seconds)
            server.gunicorn.start()
            wire = Wire(server.url, wire.port)
        else:
            faults = [("slow", 5)] * 20 if fault == "slow" else [int(fault)] * 3
            wire.faults.extend(faults)
            disturbed = training.stretch(asked.seconds / 2)
            print(f"{len(faults) - len(wire.faults)} requests met it:")
            wire.faults.clear()
        told(fault, disturbed, quiet)
        logged += quiet["steps"] + disturbed["steps"]
    missing = training.finish()
    stored = exptrack.get_run(training.run_id).history("loss")
    in_order = stored.steps == list(range(logged))
    print(
        f"{logged:,} points in {time.monotonic() - begun:.0f} s; not delivered: {missing}; "
        f"stored: {len(stored.steps):,}, of them different: {len(set(stored.steps)):,}; "
        f"in order: {in_order}"
    )
    wire.close()


class Training:
    """A process that works and logs when it is told to."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, str(STEP_SECONDS)],
            env={**os.environ, "EXPTRACK_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.run_id = self.answer()["id"]

    def answer(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def stretch(self, seconds: float) -> dict:
        """Let it train so long, and tell: steps, the median of their seconds; the median and the
        longest call of log(); processor time a step of all other threads, and of all that
        tracks, as a share of the work's."""
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.answer()

    def finish(self) -> int:
        """Points that it did not deliver."""
        self.process.stdin.close()
        return self.answer()["missing"]


def told(name: str, stretch: dict, before: dict) -> None:
    """Print one stretch, beside the undisturbed one before it."""
    growth = stretch["step"] / before["step"] - 1
    print(
        f"{name:12} {stretch['steps']:7,} {stretch['step'] * 1e3:9.3f} {growth:+10.2%} "
        f"{stretch['call'] * 1e6:9.1f} {stretch['longest'] * 1e3:11.1f} "
        f"{stretch['threads'] * 1e6:11.1f} {stretch['share']:13.2%}",
        flush=True,
    )


# --- Ranks -----------------------------------------------------------------------------------

RANK = """
import sys, time
import exptrack_client as exptrack
run = exptrack.init("ranks", capture=False)
for step in range(int(sys.argv[2])):
    run.log({f"rank{sys.argv[1]}": float(step), "shared": float(step)}, step=step)
    time.sleep(0.005)
sys.exit(run.finish(timeout=60))
"""


def ranks(server: Served, folder: Path, asked: object) -> None:
    """Eight writers, two restarts of the server, of which one is by SIGKILL."""
    environment = {**os.environ, "EXPTRACK_RUN_ID": f"ranks {time.time()}"}
    begun = time.monotonic()
    started = [
        subprocess.Popen([sys.executable, "-c", RANK, str(rank), str(asked.steps)], env=environment)
        for rank in range(8)
    ]
    time.sleep(asked.steps * 0.005 / 3)
    server.gunicorn.restart()
    time.sleep(asked.steps * 0.005 / 3)
    server.gunicorn.kill()
    time.sleep(2)
    server.gunicorn.start()
    codes = [process.wait() for process in started]
    (run,) = exptrack.runs("ranks")
    lost = doubled = 0
    expected = list(range(asked.steps))
    for rank in range(8):
        found = run.history(f"rank{rank}").steps
        lost += len(set(expected) - set(found))
        doubled += len(found) - len(set(found))
        if found != sorted(found):
            print(f"rank {rank} is out of order")
    shared = run.summaries()["shared"]["count"]
    print(
        f"8 ranks x {asked.steps:,} steps in {time.monotonic() - begun:.0f} s, 2 restarts: "
        f"{shared + 8 * asked.steps - lost:,} points; lost {lost}, doubled {doubled}, "
        f"shared series {shared:,} of {8 * asked.steps:,}; not delivered by rank: {codes}"
    )


# --- A full disk -----------------------------------------------------------------------------

DISK_STEPS, DISK_METRICS = 3_000, 100
DISK_POINTS = DISK_STEPS * DISK_METRICS


def disk(server: Served, folder: Path, asked: object) -> None:
    """A spool on a disk of one MiB: with a server nothing is lost; without one, finish() says
    exactly what is."""
    small = folder / "small"
    small.mkdir()
    with ExitStack() as undo:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", small]
        subprocess.run(command, check=True)
        undo.callback(subprocess.run, ["umount", "--lazy", small], check=True)
        os.environ["EXPTRACK_SPOOL"] = str(small)
        for with_server in (True, False):
            fill(server, small, with_server)


def fill(server: Served, small: Path, with_server: bool) -> None:
    """Log numbers that do not compress, so that the disk is full before the end."""
    if with_server:
        (small / "ballast").write_bytes(b"x" * (1024 * 1024 - 65_536))
    else:
        server.gunicorn.kill()
    run = exptrack.init("disk", capture=False)
    calls = [timed_call(run, step) for step in range(DISK_STEPS)]
    is_full = bool(run._recording.outbox.fault)
    missing = run.finish(timeout=60 if with_server else 2)
    kept = run._recording.outbox.in_spool
    print(
        f"server {'there' if with_server else 'away'}, disk full: {is_full}: {DISK_POINTS:,} "
        f"points logged; finish() says {missing:,} not delivered, {kept:,} of them kept"
    )
    for wall, own, queued in sorted(calls)[-3:]:
        print(
            f"  a long call of log(): {wall * 1e3:.2f} ms, of which {own * 1e3:.2f} on the "
            f"processor, {queued * 1e3:.2f} waiting for one"
        )
    (small / "ballast").unlink(missing_ok=True)
    if not with_server:
        run._recording.sender.done.set()  # as at the end of the process
        time.sleep(3)
        server.gunicorn.start()
        subprocess.run([sys.executable, "-m", "exptrack_client", "sync", "--quiet"], check=False)
    stored = exptrack.get_run(run.id).summaries()
    points = sum(series["count"] for series in stored.values())
    print(
        f"  stored after all: {points:,}; said to be lost: {missing - kept:,}; "
        f"lost: {DISK_POINTS - points:,}"
    )


def timed_call(run: exptrack.Run, step: int) -> tuple[float, float, float]:
    """Seconds a call of log() took, of those on a processor, and of those in line for one."""
    values = {f"m{number}": random.random() for number in range(DISK_METRICS)}
    own, queued, began = time.thread_time(), in_line(), time.perf_counter()
    run.log(values, step=step)
    wall, own = time.perf_counter() - began, time.thread_time() - own
    queued = in_line() - queued
    time.sleep(0.002)
    return wall, own, queued


def in_line() -> float:
    """Seconds for which this thread was ready to run, and the machine busy with others."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


if __name__ == "__main__":
    main()

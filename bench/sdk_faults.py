"""What the SDK does to training, and to the points, when things go wrong.

    away     the server is killed for a while, then slow, then refusing, while a loop logs
    ranks    8 processes log into one run while the server is restarted twice
    disk     the spool's disk fills up, with and without a server

Steps are timed in alternation with undisturbed ones, in one process.
"""

from __future__ import annotations

import os
import statistics
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
        os.environ |= {
            "EXPTRACK_URL": server.url,
            "EXPTRACK_TOKEN": server.secret,
            "EXPTRACK_SPOOL": f"{folder}/spool",
            "PYTHONPATH": str(ROOT / "client" / "src"),
        }
        {"away": away, "ranks": ranks, "disk": disk}[asked.what](server, Path(folder), asked)


# --- Away, slow, refusing --------------------------------------------------------------------


def away(server: Served, folder: Path, asked: object) -> None:
    """Step times of undisturbed and disturbed stretches in turn, and what arrived."""
    wire = Wire(server.url)
    work = calibrated()
    run = exptrack.init("faults", url=wire.url, capture=False)
    taken: dict[str, list[float]] = {}
    begun = time.monotonic()
    stretch = asked.seconds / 6
    for number in range(6):
        taken.setdefault("undisturbed", []).extend(steps(run, work, stretch))
        fault = ("away", "slow", "500", "429", "413", "401")[number]
        if fault == "away":
            server.gunicorn.kill()
            taken["away"] = steps(run, work, asked.seconds)
            server.gunicorn.start()
        else:
            faults = {"slow": [("slow", 5)] * 3}.get(fault) or [int(fault)] * 3
            wire.faults.extend(faults)
            taken[fault] = steps(run, work, stretch)
            wire.faults.clear()
    logged = sum(map(len, taken.values()))
    print(f"{logged:,} points in {time.monotonic() - begun:.0f} s")
    missing = run.finish(timeout=60)
    quiet = statistics.median(taken["undisturbed"])
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(
            f"{name:12} {len(seconds):6,} steps: median {median * 1e3:.3f} ms "
            f"({(median / quiet - 1) * 100:+.2f}%), mean {statistics.fmean(seconds) * 1e3:.3f} ms, "
            f"longest {max(seconds) * 1e3:.1f} ms"
        )
    stored = exptrack.get_run(run.id).history("loss")
    in_order = stored.steps == list(range(logged))
    print(
        f"not delivered: {missing}; stored {len(stored.steps):,} of {logged:,}; order: {in_order}"
    )
    wire.close()


def calibrated() -> int:
    """How many turns of the step's work take STEP_SECONDS."""
    turns, took = 20_000, 0.0
    for _ in range(5):
        began = time.perf_counter()
        sum(range(turns))
        took = time.perf_counter() - began
        turns = max(int(turns * STEP_SECONDS / took), 1)
    return turns


def steps(run: exptrack.Run, work: int, seconds: float) -> list[float]:
    """Seconds of each step of a loop that works, holding the interpreter, and logs."""
    taken = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        run.log({"loss": float(sum(range(work)))})
        taken.append(time.perf_counter() - began)
    return taken


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
    if not with_server:
        server.gunicorn.kill()
    else:
        (small / "ballast").write_bytes(b"x" * (1024 * 1024 - 65_536))
    run = exptrack.init("disk", capture=False)
    taken = []
    for step in range(1_500):
        began = time.perf_counter()
        run.log({f"m{number}": (step + number) / 7 for number in range(100)}, step=step)
        taken.append(time.perf_counter() - began)
        time.sleep(0.002)
    missing = run.finish(timeout=2 if not with_server else 60)
    kept = run._recording.outbox.in_spool
    print(
        f"server {'there' if with_server else 'away'}: 150,000 points logged, longest call "
        f"{max(taken) * 1e3:.1f} ms; finish() says {missing:,} not delivered, {kept:,} of them kept"
    )
    (small / "ballast").unlink(missing_ok=True)
    if not with_server:
        run._recording.sender.done.set()  # as at the end of the process
        time.sleep(3)
        server.gunicorn.start()
        subprocess.run([sys.executable, "-m", "exptrack_client", "sync", "--quiet"], check=False)
    stored = exptrack.get_run(run.id).summaries()
    points = sum(series["count"] for series in stored.values())
    print(f"stored after all: {points:,}; lost {150_000 - points:,}")


if __name__ == "__main__":
    main()

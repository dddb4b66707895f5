"""SIGKILL a training process at random moments, then `exptrack sync`, which is killed too, run
again, twice, and once more from a copy of the folder: what arrives, and how much was logged so
shortly before that it had not reached the spool.

The process notes each call of log() in shared memory, which outlives it; half of the kills hit a
run that is online, half one that is offline.
"""

from __future__ import annotations

import mmap
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from served import ROOT, arguments, machine, served

sys.path.insert(0, str(ROOT / "client" / "src"))
import exptrack_client as exptrack  # noqa: E402
from exptrack_client.spool import Spool  # noqa: E402

TRAINING = """
import mmap, struct, sys, time
import exptrack_client as exptrack
run = exptrack.init("kills", id=sys.argv[1], mode=sys.argv[2], capture=False)
with open(sys.argv[3], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 16)
pause = float(sys.argv[4])
print("ready", flush=True)
step = 0
while True:
    run.log({"loss": step / 7}, step=step)
    step += 1
    struct.pack_into("=qd", shared, 0, step, time.time())
    time.sleep(pause)
"""


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.001, help="seconds between calls")
    asked = parser.parse_args()
    print(machine())
    drawn = random.Random(asked.seed)
    windows, calls, lost, doubled, torn = [], [], 0, 0, 0
    with served(asked.database) as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= server.sdk(folder)
        for number in range(asked.kills):
            run_id, called, killed = killed_run(folder, drawn, number % 2, asked.pause)
            reached, first_missing = in_spools(folder / "spool", run_id)
            torn += first_missing
            shutil.copytree(folder / "spool", folder / "copy")
            killed_sync(drawn)
            for places in ([], [], [str(folder / "copy")]):
                sync(*places).wait()
            shutil.rmtree(folder / "copy")
            points = exptrack.get_run(run_id).history("loss")
            lost += max(reached - len(set(points.steps)), 0)
            doubled += len(points.steps) - len(set(points.steps))
            assert points.steps == list(range(len(points.steps))), "a hole, or out of order"
            calls.append(called - len(points.steps))
            windows.append((killed - points.times[-1]) * 1e3)
    print(
        f"{asked.kills} kills, a call every {asked.pause * 1e3:g} ms and more: of what was in the "
        f"spool lost {lost}, doubled {doubled}; records cut in half: {torn}"
    )
    print(
        f"calls before the kill that were not in it: median {statistics.median(calls):.0f}, most "
        f"{max(calls)}; in time: median {statistics.median(windows):.0f} ms, most "
        f"{max(windows):.0f} ms"
    )


def killed_run(folder: Path, drawn: random.Random, is_online: int, pause: float) -> tuple:
    """A run that logs until it is killed: its id, calls of log() that returned, and when."""
    import uuid

    run_id = str(uuid.uuid4())
    notes = folder / "calls"
    notes.write_bytes(bytes(16))
    mode = "online" if is_online else "offline"
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, run_id, mode, str(notes), str(pause)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.readline()
    time.sleep(drawn.uniform(0.3, 3.0))
    process.kill()
    process.wait()
    process.stdout.close()
    with notes.open("rb") as file, mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_READ) as shared:
        called, moment = struct.unpack("=qd", shared[:16])
    return run_id, called, moment


def sync(*places: str) -> subprocess.Popen:
    """`exptrack sync`, begun."""
    command = [sys.executable, "-m", "exptrack_client", "sync", "--quiet", *places]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_sync(drawn: random.Random) -> None:
    """A sync that is killed, most likely while it sends."""
    process = sync()
    time.sleep(drawn.uniform(0.1, 0.6))
    process.kill()
    process.wait()


def in_spools(folder: Path, run_id: str) -> tuple[int, bool]:
    """How many points of a run its spool ever held whole, and whether it ends in half a record."""
    count, is_torn = 0, False
    for path in folder.glob("*.spool"):
        spool = Spool.open(path, only_look=True)
        if spool.run_id == run_id:
            is_torn = bool(spool.cut)
            spool.go_to(1)
            count = spool.points
        spool.close()
    return count, is_torn


if __name__ == "__main__":
    main()

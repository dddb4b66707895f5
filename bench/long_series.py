"""One long series over HTTP: its chart whole, zoomed and smoothed, and its history as CSV.

Served by one worker, whose resident memory is looked at every few milliseconds; "above rest" is
the most it held during a request beyond what it held just before, in any of the requests.
"""

from __future__ import annotations

import http.client
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from served import Served, arguments, machine, served

NAME = "loss"
START_MS = 1_760_000_000_000
SAMPLE_SECONDS = 0.003
MIB = 2**20


def fill(server: Served, points: int, batch: int) -> uuid.UUID:
    """A finished run with one series: a noisy decaying loss with full doubles, `batch` points at
    a time."""
    from experiments import appending, recording
    from experiments.models import Run
    from experiments.storing import Columns

    random, run = np.random.default_rng(7), server.new_run("long")
    for first in range(0, points, batch):
        steps = np.arange(first, min(first + batch, points))
        times = START_MS + steps * 50 + random.integers(0, 20, len(steps))
        values = np.exp(-steps / (points / 4)) + random.normal(0, 0.05, len(steps))
        metrics = {NAME: Columns(values, steps, times)}
        appending.append(user=server.user, run_id=run, metrics=metrics)
    recording.finish_run(run=Run.objects.get(pk=run), status="finished")
    return run


class Memory:
    """The resident memory of the server's only worker."""

    def __init__(self, server: Served) -> None:
        [self._worker] = server.processes()["gunicorn"]

    def above_rest(self, work: Callable[[], object]) -> int:
        """The most bytes it held while `work` ran, beyond those before."""
        held, done = [self._worker.memory_info().rss], threading.Event()

        def sample() -> None:
            while not done.wait(SAMPLE_SECONDS):
                held.append(self._worker.memory_info().rss)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            work()
        finally:
            done.set()
            sampler.join()
        return max(held) - held[0]


@dataclass
class Reader:
    """Reads answers piece by piece and throws them away; keeps the last one's size."""

    server: Served
    size: int = 0
    first_byte: float = 0

    def read(self, path: str) -> float:
        """Seconds until the whole answer was here; AssertionError when it is not a 200."""
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=300)
        began = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.server.secret}"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        self.size, self.first_byte = 0, time.perf_counter() - began
        while piece := response.read(65_536):
            self.size += len(piece)
        took = time.perf_counter() - began
        connection.close()
        return took


def requests(run: uuid.UUID, points: int) -> dict[str, str]:
    """What is read, by what it is called."""
    chart = f"/api/v1/series/?run={run}&metric={NAME}&buckets=1000"
    history = f"/api/v1/runs/{run}/history/?metric={NAME}"
    middle, hundredth = points // 2, points // 100
    return {
        "chart, 1,000 buckets": chart,
        "chart, zoomed to a tenth": f"{chart}&from={middle}&to={middle + 10 * hundredth}",
        "chart, zoomed to a thousandth": f"{chart}&from={middle}&to={middle + hundredth // 10}",
        "chart, smoothed": f"{chart}&smoothing=0.9",
        "chart over time": f"{chart}&x=time",
        "history, 100,000 points as JSON": f"{history}&limit=100000",
        "history, a tenth as CSV": f"{history}&format=csv&limit={points // 10}",
        "history, whole as CSV": f"{history}&format=csv",
    }


def row(server: Served, name: str, path: str, times: int) -> str:
    """One row of the table."""
    reader, memory = Reader(server), Memory(server)
    reader.read(path)  # what the first request loads stays, and is no one's doing
    took, first, above = [], [], []
    for _ in range(times):
        above.append(memory.above_rest(lambda: took.append(reader.read(path))))
        first.append(reader.first_byte)
    return (
        f"| {name} | {statistics.median(took) * 1e3:,.0f} "
        f"({min(took) * 1e3:,.0f}–{max(took) * 1e3:,.0f}) "
        f"| {statistics.median(first) * 1e3:,.0f} | {reader.size / 1e6:.2f} "
        f"| {max(above) / MIB:.0f} |"
    )


def together(server: Served, path: str, readers: int, times: int) -> str:
    """How long so many readers wait who all ask at the same moment: until the last has all."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        with ThreadPoolExecutor(readers) as pool:
            list(pool.map(lambda _: Reader(server).read(path), range(readers)))
        took.append(time.perf_counter() - began)
    return (
        f"{readers} charts at once: {statistics.median(took) * 1e3:,.0f} ms "
        f"({min(took) * 1e3:,.0f}–{max(took) * 1e3:,.0f}) until the last has come"
    )


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1_000, help="points in a batch")
    parser.add_argument("--times", type=int, default=15, help="requests of each kind")
    parser.add_argument("--readers", type=int, default=10, help="who ask at the same moment")
    options = parser.parse_args()
    print(f"{options.database}; {machine()}")
    with served(options.database, workers=1) as server:
        began = time.perf_counter()
        run = fill(server, options.points, options.batch)
        print(
            f"{options.points:,} points in batches of {options.batch:,}, written by one process "
            f"without HTTP in {time.perf_counter() - began:.1f} s; "
            f"median of {options.times} requests\n\n"
            "| request | ms (least–most) | first byte, ms | answer, MB | memory above rest, MiB |\n"
            "|---|---|---|---|---|"
        )
        for name, path in requests(run, options.points).items():
            print(row(server, name, path, options.times), flush=True)
        chart = requests(run, options.points)["chart, 1,000 buckets"]
        print(f"\n{together(server, chart, options.readers, options.times)}")


if __name__ == "__main__":
    main()

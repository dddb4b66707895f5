"""Latency at its worst: the median, the 99th percentile and the longest of each kind of request,
alone and while many readers ask for charts.

Four clients log batches, each to a run of its own; meanwhile, in every second round, a storm of
readers asks for charts of a long series as fast as it is answered. What pages wait for is taken
the same way: a chart of a million points, a page of the runs table from the API and as HTML.
"""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
from clients import Script, log_path, meet, together
from ingest import SHAPES, Shape, bodies
from pages import signed_in
from served import Served, arguments, machine, served

LONG = 1_000_000
SEED = 20_261_125
READERS_EACH = 8


@dataclass(frozen=True)
class Round:
    """A server's address and a token; the run of each client that logs, and the batches it sends;
    the address that readers ask for, by how many processes of `READERS_EACH`; for how long."""

    url: str
    secret: str
    seconds: float
    shape: Shape
    runs: tuple[uuid.UUID, ...] = ()
    path: str = ""
    reading: int = 0


def take_part(number: int, this: Round) -> list[float]:
    """One process's requests; how long each took, in seconds."""
    return write(number, this) if number < len(this.runs) else read(this)


def write(number: int, this: Round) -> list[float]:
    """Batches, one after another."""
    prepared = list(bodies(this.shape, SEED + number))
    path, latencies = log_path(this.runs[number]), []
    with Script(this.url, this.secret) as script:
        meet()  # see ingest.send
        assert script.get("/api/v1/me/")[0] == 200
        meet()
        until = time.perf_counter() + this.seconds
        for body in prepared:
            if (began := time.perf_counter()) > until:
                break
            status, answer = script.post(path, body)
            latencies.append(time.perf_counter() - began)
            assert status == 200, (status, answer)
    return latencies


def read(this: Round) -> list[float]:
    """Readers, each asking again as soon as it is answered."""
    meet()
    meet()  # writers warm up their connections between the two
    until = time.perf_counter() + this.seconds

    def one(_: int) -> list[float]:
        latencies = []
        with Script(this.url, this.secret) as script:
            while (began := time.perf_counter()) < until:
                status, answer = script.get(this.path)
                latencies.append(time.perf_counter() - began)
                assert status == 200, (status, answer[:300])
        return latencies

    count = READERS_EACH if this.runs else 1
    with ThreadPoolExecutor(count) as threads:
        return joined(threads.map(one, range(count)))


def joined(lists: Iterable[list[float]]) -> list[float]:
    return [latency for latencies in lists for latency in latencies]


def long_series(server: Served, points: int) -> str:
    """The address of a chart of one series of so many points."""
    from experiments import appending
    from experiments.storing import Columns

    run = server.new_run("long")
    random = np.random.default_rng(SEED)
    for first in range(0, points, 100_000):
        steps = np.arange(first, min(first + 100_000, points))
        values = np.exp(-steps / 3e5) + random.normal(0, 0.05, len(steps))
        appending.append(user=server.user, run_id=run, metrics={"loss": Columns(values, steps)})
    return f"/api/v1/series/?run={run}&metric=loss&buckets=1000"


def table(server: Served, count: int) -> str:
    """The address of a page of the runs of an experiment of so many."""
    from experiments import appending, recording
    from experiments.storing import Columns

    experiment = recording.create_experiment(user=server.user, name="table")
    for number in range(count):
        run, _ = recording.start_run(user=server.user, experiment=str(experiment.pk))
        metrics = {"accuracy": Columns(np.array([number / count]))}
        appending.append(user=server.user, run_id=run.pk, metrics=metrics)
    return f"/api/v1/runs/?experiment={experiment.pk}&ordering=-metrics.accuracy&limit=100"


def html_of(path: str) -> str:
    """The page that shows what the API's list at this address does."""
    query = parse_qs(urlsplit(path).query)
    return f"/experiments/{query['experiment'][0]}/?{urlencode({'ordering': query['ordering'][0]})}"


def page_waits(server: Served, path: str, seconds: float) -> list[float]:
    """How long one person waits for the first byte of a page who asks again and again."""
    browser, waits = signed_in(server), []
    browser.get(path)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        waits.append(browser.get(path)[0])
    return waits


def row(name: str, latencies: list[float]) -> str:
    """One row of the table."""
    found = np.array(latencies) * 1e3
    p50, p99 = np.percentile(found, (50, 99))
    return f"| {name} | {len(found):,} | {p50:.1f} | {p99:.1f} | {found.max():.1f} |"


def in_turns(server: Served, name: str, path: str, options: argparse.Namespace) -> None:
    """Rounds without and with the storm, after one to warm up."""
    shape, reading = replace(SHAPES[name], requests=options.most), options.readers // READERS_EACH
    alone, stormy, waited = [], [], []
    for number in range(2 * options.rounds + 1):
        storm = reading if number and number % 2 == 0 else 0
        runs = tuple(server.new_run("tails") for _ in range(options.clients))
        this = Round(server.url, server.secret, options.seconds, shape, runs, path, storm)
        found = together(len(runs) + storm, take_part, this)
        if storm:
            stormy += joined(found[: len(runs)])
            waited += joined(found[len(runs) :])
        elif number:
            alone += joined(found)
    print(row(name, alone), flush=True)
    print(row(f"{name}, {options.readers} readers", stormy), flush=True)
    print(row(f"the readers beside {name}", waited), flush=True)
    ratio = np.percentile(stormy, 99) / np.percentile(alone, 99)
    print(f"| p99 of {name} in the storm, as a multiple | | | {ratio:.1f} × | |", flush=True)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=4, help="processes that log")
    parser.add_argument("--readers", type=int, default=32, help="clients that ask for charts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of a round")
    parser.add_argument("--most", type=int, default=1_000, help="batches of a client in a round")
    parser.add_argument("--runs", type=int, default=2_000, help="in the runs table")
    parser.add_argument("--points", type=int, default=LONG, help="of the long series")
    parser.add_argument("--storm-points", type=int, default=20_000, help="of the storm's series")
    options = parser.parse_args()
    from django.core.management import call_command

    print(f"{options.database}; {machine()}\n\n| | requests | p50 ms | p99 ms | longest |")
    print("|---|---|---|---|---|")
    with served(options.database, workers=options.workers, threads=options.threads) as server:
        call_command("collectstatic", interactive=False, verbosity=0)
        chart, page = long_series(server, options.points), table(server, options.runs)
        calm = long_series(server, options.storm_points)
        for name, path in (("one chart of the long series", chart), ("a page of runs", page)):
            this = Round(server.url, server.secret, options.seconds, SHAPES["small-10x1"],
                         path=path, reading=1)  # fmt: skip
            print(row(name, joined(together(1, take_part, this))), flush=True)
        print(row("the same as HTML", page_waits(server, html_of(page), options.seconds)))
        for name in ("list-1000", "small-10x1"):
            in_turns(server, name, calm, options)


if __name__ == "__main__":
    main()

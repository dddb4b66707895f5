"""Pages that follow: how soon a commit is on the screen, what idle streams take, what a look costs.

Latency: a browser has a run's page open; a batch is committed here, and the page says at which
frame its chart has been drawn with it. Idle: streams of as many runs are open at the process of
their own, and nothing happens. With `--redis`, word of changes goes by a Redis of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import psutil
from served import Served, arguments, machine, served

SETTLING_SECONDS = 5
MB = 1e6
DRAWN = """count => new Promise((resolve) => {
    const chart = document.querySelector("metric-chart");
    const look = () => {
        const points = chart.chart?.data.datasets[0]?.data.length ?? 0;
        if (points >= count) requestAnimationFrame(() => resolve(Date.now()));
        else requestAnimationFrame(look);
    };
    look();
})"""


def session_of(server: Served) -> tuple[str, str]:
    """Name and value of the cookie of the member, signed in here."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(server.user, "django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    return name, client.cookies[name].value


def log(server: Served, run: uuid.UUID, step: int) -> float:
    """Commit one point; the moment when that was done, in seconds since the epoch."""
    from experiments import appending
    from experiments.storing import Columns

    columns = {"loss": Columns(np.array([1 / (step + 1)]), np.array([step]))}
    appending.append(user=server.user, run_id=run, metrics=columns)
    return time.time()


def latencies(server: Served, times: int) -> list[float]:
    """Seconds from commit to the frame after the chart was drawn with it."""
    from playwright.sync_api import sync_playwright

    from exptrack.tests.browser import CHROMIUM

    # Playwright runs an event loop in this thread, where Django would refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    run = server.new_run("watched")
    log(server, run, 0)
    name, value = session_of(server)
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--disable-gpu", "--no-sandbox"]
        )
        page = browser.new_page()
        page.context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page.goto(f"{server.url}/runs/{run}/")
        page.evaluate(DRAWN, 1)
        page.wait_for_timeout(2_000)
        for step in range(1, times + 1):
            page.wait_for_timeout(np.random.default_rng(step).integers(300, 900).item())
            committed = log(server, run, step)
            found.append(page.evaluate(DRAWN, step + 1) / 1000 - committed)
        browser.close()
    return found


async def open_streams(url: str, cookie: str, runs: list[uuid.UUID]) -> list[asyncio.StreamWriter]:
    """A stream of each run, its first events read; the connections, which stay open."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    writers = []
    for run in runs:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            f"GET /live/?run={run} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Accept: text/event-stream\r\nCookie: {cookie}\r\n\r\n".encode()
        )
        await writer.drain()
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"200"
        await reader.readuntil(b"event: run")
        writers.append(writer)
    return writers


async def idle(server: Served, count: int, seconds: float) -> None:
    """Print what the process of its own takes with so many idle streams."""
    from exptrack.tests.servers import GunicornServer

    runs = [await asyncio.to_thread(server.new_run, f"idle {n}") for n in range(count)]
    cookie = "=".join(await asyncio.to_thread(session_of, server))
    push = GunicornServer("live.conf.py")
    try:
        await asyncio.to_thread(push.start)
        [worker] = map(psutil.Process, push.workers())
        at_rest = worker.memory_info().rss
        writers = await open_streams(push.url, cookie, runs)
        await asyncio.sleep(SETTLING_SECONDS)
        used = sum(worker.cpu_times()[:2])
        await asyncio.sleep(seconds)
        used = sum(worker.cpu_times()[:2]) - used
        rss, master = worker.memory_info().rss, psutil.Process(push.pid).memory_info().rss
        print(
            f"{count} idle streams: {rss / MB:.0f} MB resident ({at_rest / MB:.0f} without any; "
            f"{(rss - at_rest) / count / 1000:.0f} kB a stream; master {master / MB:.0f} MB), "
            f"{worker.num_threads()} threads, {used / seconds:.1%} of a core"
        )
        for writer in writers:
            writer.close()
    finally:
        push.remove()


def cost_of_a_look(server: Served, count: int, times: int) -> None:
    """Print what one idle look at so many runs takes."""
    from experiments import live
    from experiments.live import Watch
    from experiments.models import Run

    runs = frozenset(Run.objects.values_list("pk", flat=True)[:count])
    for watch, what in (
        (Watch(runs=runs), f"{len(runs)} runs"),
        (Watch(experiments=frozenset(Run.objects.values_list("experiment", flat=True)[:1])),
         f"an experiment of {Run.objects.filter(status='running').count()} running ones"),
    ):  # fmt: skip
        cursor = live.seen_by_now(watch)
        took = []
        for _ in range(times):
            began = time.perf_counter()
            assert live.look(watch, cursor) == []
            took.append(time.perf_counter() - began)
        print(f"one idle look at {what}: {statistics.median(took) * 1000:.2f} ms")


@contextlib.contextmanager
def redis_if(wanted: bool) -> Iterator[None]:
    """A Redis that the servers know of, if wanted."""
    if not wanted:
        os.environ.pop("REDIS_URL", None)
        yield
        return
    from exptrack.tests.redis_server import RedisServer

    redis = RedisServer().start()
    os.environ["REDIS_URL"] = redis.url
    try:
        yield
    finally:
        redis.kill()


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--redis", action="store_true", help="announce changes by Redis")
    parser.add_argument("--times", type=int, default=40, help="commits to wait for")
    parser.add_argument("--streams", type=int, nargs="+", default=[200], help="idle streams")
    parser.add_argument("--seconds", type=float, default=20, help="how long they are idle")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    print(machine())
    with (
        redis_if(options.redis),
        served(options.database, workers=options.workers, threads=options.threads) as server,
    ):
        from django.core.management import call_command

        call_command("collectstatic", interactive=False, verbosity=0)
        server.gunicorn.restart()
        if options.times:
            found = sorted(latencies(server, options.times))
            print(
                f"commit to pixel: median {statistics.median(found) * 1000:.0f} ms, "
                f"95% {found[int(len(found) * 0.95)] * 1000:.0f} ms, "
                f"longest {found[-1] * 1000:.0f} ms ({len(found)} commits)"
            )
        for count in options.streams:
            asyncio.run(idle(server, count, options.seconds))
        cost_of_a_look(server, max(options.streams), 200)


if __name__ == "__main__":
    main()

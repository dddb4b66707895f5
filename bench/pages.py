"""How fast pages answer when there are many runs: the first byte of each over HTTP, signed in, at
each size asked for; with the statements it takes and what a browser would get.

The runs are those of `manage.py make_demo`, in one experiment; more than 200,000 are those of
`plans.py`, on PostgreSQL only. Served by gunicorn as in earnest, one request at a time.
"""

from __future__ import annotations

import gzip
import http.client
import io
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from plans import fill
from served import Served, arguments, machine, served

KIB = 1024
COMPARED = 5
MOST_OF_THE_DEMO = 200_000


@dataclass
class Browser:
    """A signed-in person's."""

    server: Served
    cookie: str

    def get(self, path: str) -> tuple[float, bytes]:
        """Seconds to the first byte, and the page; AssertionError when it is not one."""
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=300)
        began = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": self.cookie})
        response = connection.getresponse()
        took, body = time.perf_counter() - began, response.read()
        connection.close()
        assert response.status == 200, (path, response.status, body[:500])
        return took, body


def signed_in(server: Served) -> Browser:
    """A browser in which the member is signed in, whose session is made here."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(server.user, "django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    return Browser(server, f"{name}={client.cookies[name].value}")


def filled(server: Served, runs: int) -> dict[str, str]:
    """Add an experiment of so many runs; pages to ask for, by what they are called."""
    from django.core.management import call_command
    from django.db import connection

    from experiments.models import Experiment, Metric, Param

    if runs > MOST_OF_THE_DEMO:
        experiment = fill(server.user, runs, others=0)
    else:
        call_command("make_demo", runs=runs, points=5, stdout=io.StringIO(), stderr=io.StringIO())
        with connection.cursor() as cursor:  # as autovacuum has within a minute
            cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")
        experiment = Experiment.objects.order_by("-created_at").first()
    done = experiment.runs.filter(status="finished")
    some = list(done.order_by("-started_at")[:COMPARED].values_list("pk", flat=True))
    names = Metric.objects.filter(run=some[0]).order_by("name").values_list("name", flat=True)
    metric, other = names[:2]
    param = (
        Param.objects.filter(run=some[0], number__isnull=False)
        .order_by("name")
        .values_list("name", flat=True)[0]
    )
    table = f"/experiments/{experiment.pk}/"
    query = f"metrics.`{metric}` > 0.1 and params.`{param}` > 0"
    few = f"metrics.`{metric}` > 0.99 and params.`{param}` > 0"
    return {
        "experiments": "/",
        "runs, newest first": table,
        "runs by a metric": f"{table}?{urlencode({'ordering': f'-metrics.{metric}'})}",
        "runs filtered, by a metric": f"{table}?"
        + urlencode({"q": query, "ordering": f"-metrics.{metric}"}),
        "few runs, by another metric": f"{table}?"
        + urlencode({"q": few, "ordering": f"metrics.{other}"}),
        "runs by a param": f"{table}?{urlencode({'ordering': f'params.{param}'})}",
        "failed runs": f"{table}?status=failed",
        "runs whose name has a word": f"{table}?search=fern",
        "runs in groups": f"{table}?{urlencode({'group': f'params.{param}'})}",
        "charts of the newest": f"{table}?view=charts",
        "one run": f"/runs/{some[0]}/",
        f"{COMPARED} runs compared": "/compare/?" + "&".join(f"run={quote(str(r))}" for r in some),
        "trash": "/trash/",
    }


def make_admin(server: Served) -> None:
    """Let the member own the demo, which belongs to an admin."""
    server.user.role = server.user.Role.ADMIN
    server.user.save()


@contextmanager
def counted() -> Iterator[list]:
    """The statements of this process meanwhile."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        yield queries


def statements(server: Served, path: str) -> int:
    """How many statements the page takes, in this process."""
    from django.test import Client

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(server.user, "django.contrib.auth.backends.ModelBackend")
    with counted() as queries:
        client.get(path)
    return len(queries)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--times", type=int, default=11, help="requests of each page")
    options = parser.parse_args()
    print(f"{options.database}; {machine()}")
    from django.core.management import call_command

    with served(options.database, workers=options.workers, threads=options.threads) as server:
        make_admin(server)
        call_command("collectstatic", interactive=False, verbosity=0)
        browser = signed_in(server)
        for runs in options.runs:
            pages = filled(server, runs)
            print(f"\n{runs:,} runs\n\n| page | first byte, ms (most) | statements | KiB (gzip) |")
            print("|---|---|---|---|")
            for name, path in pages.items():
                browser.get(path)
                took = [browser.get(path)[0] * 1e3 for _ in range(options.times)]
                body = browser.get(path)[1]
                print(
                    f"| {name} | {statistics.median(took):.0f} ({max(took):.0f}) "
                    f"| {statements(server, path)} "
                    f"| {len(body) / KIB:.0f} ({len(gzip.compress(body)) / KIB:.0f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

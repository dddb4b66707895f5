"""What queries in the filter language cost among many runs of one experiment, each with 20 params
and 10 metrics, as a page of the table asks them: time, processor time and the indexes walked, of
finding and counting the runs, and of their first page in several orders.

`python bench/queries.py > bench/plans/queries-postgresql.txt` keeps what it says.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psutil
from served import arguments, machine, served

if TYPE_CHECKING:
    from experiments.fields import Ordering
    from experiments.models import Experiment
    from experiments.selecting import Selection

QUERIES = (
    "metrics.val/accuracy > 0.9 and params.optimizer = adam",
    "params.lr > 0.01 and params.optimizer = adam",
    "params.lr <= 0.001 and metrics.val/accuracy > 0.9",
    "params.seed = 17 and metrics.val/accuracy > 0.5",
    "params.lr = 0.3 and metrics.val/accuracy > 0.95",
    "params.optimizer = adam or metrics.val/accuracy > 0.94",
    "not params.optimizer = adam and not tags.debug",
    "tags.stage = final and status = failed",
    "metrics.val/loss.min < 0.2 and metrics.val/accuracy.mean > 0.8",
    "metrics.train/loss has nan and owner = demo-lin",
    "params.config ~ vit and params.depth > 4",
    "duration > 2h and started > -7d",
    "otter and params.lr = 0.1",
)
ORDERINGS = ("-started", "metrics.val/loss", "-metrics.val/loss", "params.lr", "-duration")
PAGE = 101
REPEATS = 7
INDEX = re.compile(r"(?:using|INDEX) (\w+)|Seq Scan on (\w+)|SCAN (\w+)(?! USING)")


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], scaled=False)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--queries", nargs="*", default=QUERIES)
    parser.add_argument("--full", action="store_true", help="print whole plans")
    options = parser.parse_args()
    print(machine(), flush=True)
    with served(options.database) as server:
        experiment = fill(server.user, options.runs)
        processor = processor_seconds(server.database)
        for query in options.queries:
            print(f"\n{query}", flush=True)
            for name, act in acts(experiment, query):
                report(name, act, processor, options.full)


def fill(user: object, runs: int) -> Experiment:
    """The experiment to ask for, as `manage.py make_demo` makes them."""
    from django.core.management import call_command
    from django.db import connection

    from experiments.models import Experiment

    user.role = "admin"
    user.save()
    call_command("make_demo", runs=runs, points=1)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("ANALYZE")
    return Experiment.objects.get()


def processor_seconds(database: str) -> Callable[[], float]:
    """How much processor time the database has spent on this connection."""
    from django.db import connection

    if database == "sqlite":
        return time.process_time
    with connection.cursor() as cursor:
        # Its workers' time would be missed.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    return lambda: sum(backend.cpu_times()[:2])


def acts(experiment: Experiment, query: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """What a page does: find the runs, and list the first of them in some order. Each tells how
    many there are."""
    from django.utils import timezone

    from experiments import search
    from experiments.fields import parse_ordering
    from experiments.matching import matching
    from experiments.models import Run
    from experiments.selecting import selection

    now = timezone.now()
    rows = matching(Run.objects.inside(experiment).for_table(), search.parse(query), now)
    yield "found and counted", lambda: selection(rows, experiment.pk).total[0]
    for text in ORDERINGS:
        ordering = parse_ordering(text)
        found = selection(rows, experiment.pk)

        def first(found: Selection = found, ordering: Ordering = ordering) -> int:
            segment = found.segments(ordering, experiment.pk, now)[0]
            return len(segment.first(ordering.descending, None, PAGE))

        yield text, first


def report(name: str, act: Callable[[], int], processor: Callable[[], float], full: bool) -> None:
    """One line: rows, median time, processor time, indexes in the order of the plans."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times, before = [], processor()
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = act()
        times.append((time.perf_counter() - began) * 1000)
    spent = (processor() - before) / REPEATS * 1000
    with CaptureQueriesContext(connection) as captured:
        act()
    plans = [plan_of(each["sql"]) for each in captured]
    used = [next(filter(None, names)) for plan in plans for names in INDEX.findall(plan)]
    indexes = ", ".join(dict.fromkeys(used))
    took = statistics.median(times)
    print(f"  {name:18} {found:6} rows {took:8.1f} ms, processor {spent:7.1f} ms  {indexes}")
    if full:
        print("\n\n".join(plans))


def plan_of(sql: str) -> str:
    """How the database would walk a statement."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"{connection.ops.explain_query_prefix()} {sql}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


if __name__ == "__main__":
    main()

"""How PostgreSQL walks every list: EXPLAIN (ANALYZE, BUFFERS) of a first and of a deep page of runs
in every order, and of each statement of each page that shows a list, among many runs. A line each:
time, rows, buffers (pages of 8 KiB found in memory and read), and the indexes that serve it in the
order of the plan, with what is read whole and what is sorted; `--full` prints whole plans. Rows are
made by SQL, past `recording`; summaries only, no points.

`python bench/plans.py --runs 100000 > bench/plans/lists-100000.txt` keeps what it says.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from served import arguments, machine, served

if TYPE_CHECKING:
    from accounts.models import User
    from experiments.models import Experiment
    from experiments.paging import Segment

METRICS = ("train/loss", "val/loss", "val/accuracy", "lr", "grad/norm", "epoch")
PARAMS = ("lr", "optimizer", "batch_size", "seed", "width", "dataset")
ORDERINGS = (
    "started", "name", "created", "ended", "duration", "status",
    "metrics.val/loss", "metrics.val/loss.min", "metrics.val/loss.mean", "metrics.absent",
    "params.lr", "params.optimizer", "params.absent",
)  # fmt: skip
PAGE = 101
QUERIES = (
    "metrics.val/accuracy > 0.1 and params.lr > 0",
    "metrics.val/accuracy > 0.9 and params.optimizer = adam",
    "metrics.val/accuracy > 0.99 and params.lr < 0.1",
)
STEPS = re.compile(
    r"(?:using|Bitmap Index Scan on) (\w+)|Seq Scan on (\w+)|->  (?:Incremental )?(Sort)  "
)
TOOK = re.compile(r"Execution Time: ([\d.]+)")
ROWS = re.compile(r"actual time=\S+ rows=([\d.]+)")
BUFFERS = re.compile(r"Buffers: (?:shared )?((?:(?:hit|read)=\d+ ?)+)")
# A table of a few hundred rows is read whole by anyone.
SMALL = ("accounts_user", "experiments_experiment", "experiments_savedview")

RUNS = """
    INSERT INTO experiments_run (id, experiment_id, name, owner_id, status, created_at, started_at,
        ended_at, last_seen_at, has_beaten, stop_requested, revision, notes, error)
    SELECT uuidv7(), %(experiment)s, 'run ' || md5(n::text), %(owner)s,
        CASE WHEN n %% 50 = 0 THEN 'running' WHEN n %% 17 = 0 THEN 'failed' ELSE 'finished' END,
        t, t, CASE WHEN n %% 50 = 0 THEN NULL ELSE t + random() * interval '2 hours' END,
        t, true, false, 0, '', ''
    FROM generate_series(1, %(runs)s) n, LATERAL (SELECT now() - n * interval '1 minute' AS t) x"""
METRIC_ROWS = """
    INSERT INTO experiments_metric (id, run_id, experiment_id, name, count, first_step, last_step,
        last, last_kind, last_time, min, min_step, max, max_step, sum, nan_count, inf_count)
    SELECT uuidv7(), r.id, r.experiment_id, m.name, 100, 0, 99,
        CASE WHEN v < 0.02 THEN NULL ELSE v END, CASE WHEN v < 0.02 THEN 'nan' ELSE 'finite' END,
        0, v / 2, 7, v * 2, 3, v * 100, 0, 0
    FROM experiments_run r, unnest(%(names)s::text[]) m(name), LATERAL (SELECT random() + 0 *
        length(m.name) + 0 * extract(epoch FROM r.created_at) AS v) x
    WHERE r.experiment_id = %(experiment)s"""
PARAM_ROWS = """
    INSERT INTO experiments_param (id, run_id, experiment_id, name, value, kind, text, text_head,
        number)
    SELECT uuidv7(), r.id, r.experiment_id, p.name, v, k, v, v,
        CASE WHEN k = 'number' THEN v::float END
    FROM experiments_run r, unnest(%(names)s::text[]) p(name), LATERAL (SELECT CASE WHEN p.name IN
        ('optimizer', 'dataset') THEN 'text' ELSE 'number' END AS k) y, LATERAL (SELECT CASE WHEN
        k = 'text' THEN (ARRAY['adam', 'sgd', 'lion'])[1 + floor(random() * 3)::int] ELSE
        (floor(random() * 10000 + 0 * extract(epoch FROM r.created_at)) / 10000)::text END AS v) x
    WHERE r.experiment_id = %(experiment)s"""


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000, help="in the one experiment asked for")
    parser.add_argument("--others", type=int, default=100_000, help="in ten others")
    parser.add_argument("--orderings", nargs="*", default=ORDERINGS)
    parser.add_argument("--full", action="store_true", help="print whole plans")
    options = parser.parse_args()
    print(machine(), flush=True)
    with served("postgresql") as server:
        from django.core.management import call_command

        call_command("collectstatic", interactive=False, verbosity=0)
        explain_all(fill(server.user, options.runs, options.others), server.user, options)


def explain_all(experiment: Experiment, user: User, options: argparse.Namespace) -> None:
    """Print every plan among the runs of an experiment."""
    print("\nThe runs of one experiment, in every order")
    for ordering in options.orderings:
        for sign in ("", "-"):
            for where, page in pages(experiment, f"{sign}{ordering}"):
                for _, plan in plans_of(page):
                    report(f"{sign}{ordering}, {where}", plan, options.full)
    user.role = user.Role.ADMIN
    user.save()
    for name, path in addresses(experiment).items():
        print(f"\n{name}: {path[:150]}")
        for label, plan in plans_of(partial(visit, user, path)):
            report(label, plan, options.full)


def addresses(experiment: Experiment) -> dict[str, str]:
    """Every page that shows a list, by what it is called."""
    table = f"/experiments/{experiment.pk}/"
    runs = list(experiment.runs.order_by("-started_at")[:100].values_list("pk", flat=True))
    filtered = {
        f"runs where {query}": f"{table}?{urlencode({'q': query, 'ordering': '-metrics.val/loss'})}"
        for query in QUERIES
    }
    return {
        "experiments": "/",
        "experiments by number of runs": "/?ordering=-runs",
        "runs, newest first": table,
        **filtered,
        "failed runs": f"{table}?status=failed",
        "runs whose name has a word": f"{table}?search=abc",
        "runs in groups": f"{table}?group=params.optimizer",
        "runs as charts": f"{table}?view=charts",
        "columns of the table": f"{table}columns/",
        "completion": f"{table}complete/?text=params.",
        "one run": f"/runs/{runs[0]}/",
        "5 runs compared": f"/compare/?{urlencode([('run', run) for run in runs[:5]])}",
        "100 runs compared": f"/compare/?{urlencode([('run', run) for run in runs])}",
        "runs to compare too": f"/compare/runs/?find=abc&run={runs[0]}",
        "trash": "/trash/",
        "runs in the trash": "/trash/?kind=runs",
    }


def visit(user: User, path: str) -> None:
    """Ask for a page, signed in."""
    from django.test import Client

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)


def plans_of(act: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """The plan of each statement of an act that reads our tables, by the first one it reads."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        act()
    for each in captured:
        table = re.search(r'FROM "experiments_(\w+)"', each["sql"])
        if table is None:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {each['sql']}")
            yield table[1], "\n".join(line for (line,) in cursor.fetchall())


def fill(user: object, runs: int, others: int) -> Experiment:
    """The experiment to ask for, among others."""
    from django.db import connection

    from experiments.models import Experiment

    began = time.monotonic()
    experiments = [Experiment.objects.create(name=f"e{n}", owner=user) for n in range(11)]
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for number, experiment in enumerate(experiments):
            values = {"experiment": experiment.pk, "owner": user.pk}
            values["runs"] = others // 10 if number else runs
            cursor.execute(RUNS, values)
            cursor.execute(METRIC_ROWS, {**values, "names": list(METRICS)})
            cursor.execute(PARAM_ROWS, {**values, "names": list(PARAMS)})
        cursor.execute("VACUUM ANALYZE")
    print(f"{runs + others:,} runs made in {time.monotonic() - began:.0f} s", flush=True)
    return experiments[0]


def report(label: str, plan: str, full: bool) -> None:
    """Print how a statement is walked: time, rows, buffers, then each node with its index."""
    steps = [
        index or (f"all of {table}" if table else "sort")
        for index, table, _ in STEPS.findall(plan)
        if table not in SMALL
    ]
    took, rows, buffers = (pattern.search(plan) for pattern in (TOOK, ROWS, BUFFERS))
    pages_read = buffers[1].strip() if buffers else "hit=0"
    count = int(float(rows[1]))
    found = ", ".join(dict.fromkeys(steps))
    shown = f"{float(took[1]):8.1f} ms {count:5} rows  {pages_read:24} {found}"
    print(f"  {label:32} {shown}".rstrip(), flush=True)
    if full:
        print(plan)


def pages(experiment: Experiment, ordering: str) -> Iterator[tuple[str, Callable[[], list]]]:
    """Some pages: of each segment the first one and one far behind."""
    from experiments import paging
    from experiments.fields import parse_ordering
    from experiments.models import Run
    from experiments.selecting import everything

    chosen = parse_ordering(ordering)
    runs = everything(Run.objects.inside(experiment).for_table())
    for number, segment in enumerate(runs.segments(chosen, experiment.pk)):
        yield f"segment {number}", partial(segment.first, chosen.descending, None, PAGE)
        if (row := far_behind(segment, chosen.descending)) is not None:
            position = paging.position_of(number, row)
            yield (
                f"segment {number} deep",
                partial(segment.first, chosen.descending, position, PAGE),
            )


def far_behind(segment: Segment, descending: bool) -> object:
    """A row two thirds into a segment, or None when that has few rows."""
    from experiments import paging

    count = segment.rows.count()
    if count < 3 * PAGE:
        return None
    start = count * 2 // 3
    return paging.ordered(segment, descending, None)[start : start + 1][0]


if __name__ == "__main__":
    main()

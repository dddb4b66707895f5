"""How PostgreSQL walks the lists of runs: the plan and the time of a first and of a deep page, in
every order, among many runs. Rows are made by SQL, past `recording`; summaries only, no points.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from served import arguments, machine, served

if TYPE_CHECKING:
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
NODES = re.compile(r"->\s+(.+?)\s+\(|^(.+?)\s+\(cost", re.MULTILINE)

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
        experiment = fill(server.user, options.runs, options.others)
        for ordering in options.orderings:
            for sign in ("", "-"):
                report(experiment, f"{sign}{ordering}", options.full)


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


def report(experiment: Experiment, ordering: str, full: bool) -> None:
    """Print how a first page, a deep page and the last segment are walked."""
    for where, rows in pages(experiment, ordering):
        began = time.perf_counter()
        found = len(list(rows))
        took = (time.perf_counter() - began) * 1000
        plan = rows.explain(analyze=True, buffers=True)
        nodes = [(first or second).strip() for first, second in NODES.findall(plan)]
        kinds = " / ".join(node for node in nodes if not node.startswith("Limit"))
        print(f"{ordering:24} {where:16} {took:8.1f} ms {found:4} rows  {kinds[:300]}", flush=True)
        if full:
            print(plan)


def pages(experiment: Experiment, ordering: str) -> Iterator[tuple[str, object]]:
    """The statements of some pages: of each segment the first one and one far behind."""
    from experiments import paging
    from experiments.fields import parse_ordering
    from experiments.models import Run

    chosen = parse_ordering(ordering)
    runs = Run.objects.alive().filter(experiment=experiment).for_table()
    segments = runs.segments(chosen, experiment.pk)
    for number, segment in enumerate(segments):
        yield f"segment {number}", paging.ordered(segment, chosen.descending, None)[:PAGE]
        if (row := far_behind(segment, chosen.descending)) is not None:
            position = paging.position_of(number, row)
            rows = paging.ordered(segment, chosen.descending, position)
            yield f"segment {number} deep", rows[:PAGE]


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

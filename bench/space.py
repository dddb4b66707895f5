"""Bytes a point on disk, of the demo's real curves: all tables and indexes that grew.

The curves are logged as a script would, some points of every series a batch, run after run, and
every run is finished. The database is vacuumed every few runs, as autovacuum does by itself once a
minute, and in the end; PostgreSQL then still holds free space for what comes next, which VACUUM
FULL would give back. SQLite's VACUUM always does.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Mapping
from itertools import cycle

import numpy as np
from clients import together
from served import ROOT, Served, arguments, machine, served

DEMO = ROOT / "experiments" / "demo" / "digits.json.gz"
LONG = "train/loss"
PREFIX = "experiments_"

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]  # steps, times, values


def demo_runs() -> list[dict[str, Curve]]:
    """The series of each run of the demo, by name."""
    recorded = json.loads(gzip.decompress(DEMO.read_bytes()))
    return [
        {name: curve_of(columns) for name, columns in run["metrics"].items()}
        for run in recorded["runs"]
        if run["metrics"]
    ]


def curve_of(columns: Mapping[str, list]) -> Curve:
    """One recorded series, at a time of today's size."""
    return (
        np.array(columns["steps"], dtype=np.int64),
        np.array(columns["times"], dtype=np.int64) + 1_760_000_000_000,
        np.array([float(value) for value in columns["values"]]),
    )


def cut(runs: list[dict[str, Curve]], points: int, series: int = 5) -> list[dict[str, Curve]]:
    """Runs of so many series, each the first `points` points of a real loss."""
    losses = [tuple(column[:points] for column in run[LONG]) for run in runs]
    whole = range(0, len(losses) - series + 1, series)
    return [{f"loss/{n}": losses[at + n] for n in range(series)} for at in whole]


def kinds() -> dict[str, list[dict[str, Curve]]]:
    """What is measured."""
    runs = demo_runs()
    return {
        "the demo: 1 series of 1,260 points and 5 of 30 a run": runs,
        "5 series of 1,000 points a run": cut(runs, 1_000),
        "5 series of 100 points a run": cut(runs, 100),
    }


def log(server: Served, run: dict[str, Curve], batch: int) -> None:
    """Log a run, `batch` points of each series at a time, and finish it."""
    from experiments import appending, recording
    from experiments.models import Run

    run_id = server.new_run("curves")
    for metrics in batches(run, batch):
        appending.append(user=server.user, run_id=run_id, metrics=metrics)
    recording.finish_run(run=Run.objects.get(pk=run_id), status="finished")


def batches(run: dict[str, Curve], size: int) -> Iterator[dict]:
    """The next `size` points of each series that still has some, until none has."""
    from experiments.storing import Columns

    for first in range(0, max(len(values) for _, _, values in run.values()), size):
        yield {
            name: Columns(*(column[first : first + size] for column in (values, steps, times)))
            for name, (steps, times, values) in run.items()
            if first < len(values)
        }


def sizes(database: str, vacuum: str = "VACUUM") -> dict[str, int]:
    """Bytes of each of our tables with its indexes, after a VACUUM; of SQLite's file as one."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(vacuum)
        if database == "sqlite":
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            return {"file": cursor.fetchone()[0]}
        cursor.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
            "WHERE relkind = 'r' AND relname LIKE 'experiments_%'"
        )
        return dict(cursor.fetchall())


def log_many(server: Served, runs: list[dict[str, Curve]], options: argparse.Namespace) -> int:
    """Log whole runs until there are as many points as asked for; how many there are."""
    points = 0
    for number, run in enumerate(cycle(runs), 1):
        log(server, run, options.batch)
        points += sum(len(values) for _, _, values in run.values())
        if number % options.every == 0:
            sizes(server.database)
        if points >= options.points:
            return points
    return 0


def measured(_: int, name: str, options: argparse.Namespace) -> str:
    """One row of the table."""
    with served(options.database) as server:
        before = sizes(server.database)
        points = log_many(server, kinds()[name], options)
        loose = sizes(server.database)
        full = "VACUUM" if server.database == "sqlite" else "VACUUM FULL"
        tight = sizes(server.database, full)
    grown = {part: (tight[part] - before[part]) / points for part in before}
    parts = sorted(grown.items(), key=lambda part: -part[1])
    shown = ", ".join(f"{part.removeprefix(PREFIX)} {size:.1f}" for part, size in parts if size > 0)
    total = (sum(loose.values()) - sum(before.values())) / points
    return f"| {name} | {points:,} | {total:.1f} | {sum(grown.values()):.1f} | {shown} |"


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.add_argument("--batch", type=int, default=20, help="points of each series in a batch")
    parser.add_argument("--points", type=int, default=500_000, help="of each kind, at least")
    parser.add_argument("--every", type=int, default=10, help="runs between two vacuums")
    options = parser.parse_args()
    print(f"{options.database}; {machine()}; {options.batch} points of each series a batch\n")
    print("| curves | points | bytes a point | packed by VACUUM FULL | of that by table |")
    print("|---|---|---|---|---|")
    for name in kinds():
        [row] = together(1, measured, name, options)  # each with a database of its own
        print(row, flush=True)


if __name__ == "__main__":
    main()

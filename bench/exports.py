"""What a worker holds in memory while it exports tables, and how long each takes: its only
process, looked at every few milliseconds, beyond what it held just before.

The runs are those of `manage.py make_demo`, in one experiment; CSV of them is asked for with 30
columns and with the usual ones, the API's lists with as many runs as it gives at once.
"""

from __future__ import annotations

import io
import statistics
from urllib.parse import urlencode

from long_series import MIB, Memory, Reader
from served import Served, arguments, machine, served

COLUMNS = 30
AGGREGATES = ("", ".min", ".max", ".mean")
COMPARED = 50


def filled(server: Served, runs: int) -> dict[str, str]:
    """Add an experiment of so many runs; addresses to read, by what they are called."""
    from django.core.management import call_command

    from experiments.models import Experiment, Metric, Param

    type(server.user).objects.update(role="admin")
    call_command("make_demo", runs=runs, points=5, stdout=io.StringIO(), stderr=io.StringIO())
    experiment = Experiment.objects.get()
    ended = experiment.runs.filter(status="finished").order_by("-started_at")
    several = list(ended[:COMPARED].values_list("pk", flat=True))
    params = Param.objects.filter(run=several[0]).values_list("name", flat=True)
    metrics = Metric.objects.filter(run=several[0]).values_list("name", flat=True)
    columns = [f"params.{name}" for name in params]
    columns += [f"metrics.{name}{aggregate}" for aggregate in AGGREGATES for name in metrics]
    columns = columns[:COLUMNS]
    chosen = urlencode({"fields": ",".join(columns)})
    found = {"experiment": experiment.pk, "limit": 1_000}
    csv = f"/api/v1/experiments/{experiment.pk}/runs.csv"
    by_metric = urlencode({**found, "ordering": f"-metrics.{metrics[0]}"})
    compared = urlencode({"run": several}, doseq=True)
    return {
        "CSV, the usual columns": csv,
        f"CSV of {len(columns)} columns": f"{csv}?{chosen}",
        "1,000 runs as JSON": f"/api/v1/runs/?{urlencode(found)}",
        "1,000 runs by a metric": f"/api/v1/runs/?{by_metric}",
        f"1,000 runs, {len(columns)} columns": f"/api/v1/runs/?{urlencode(found)}&{chosen}",
        f"{COMPARED} runs compared": f"/api/v1/compare/?{compared}",
    }


def row(server: Served, name: str, path: str, times: int) -> str:
    """One row of the table. What the first request loads counts too: it is held then."""
    reader, memory, took = Reader(server), Memory(server), []
    above = [memory.above_rest(lambda: took.append(reader.read(path))) for _ in range(times)]
    return (
        f"| {name} | {statistics.median(took):,.1f} ({min(took):,.1f}–{max(took):,.1f}) "
        f"| {reader.size / 1e6:.1f} | {max(above) / MIB:.0f} |"
    )


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3, help="requests of each kind")
    options = parser.parse_args()
    print(f"{options.database}; {machine()}")
    with served(options.database, workers=1) as server:
        addresses = filled(server, options.runs)
        print(
            f"{options.runs:,} runs\n\n| request | s (least–most) | answer, MB "
            "| memory above rest, MiB |\n|---|---|---|---|"
        )
        for name, path in addresses.items():
            print(row(server, name, path, options.times), flush=True)


if __name__ == "__main__":
    main()

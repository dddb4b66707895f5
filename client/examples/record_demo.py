"""Record the runs of examples/digits.py, as a server has them, into the demo that ships with it.

    python client/examples/digits.py
    python client/examples/record_demo.py

Reads them over the API and writes one gzipped JSON file. Numbers are kept to the last bit. Of the
machine that trained them only what tells nothing about it is kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = ROOT / "experiments" / "demo" / "digits.json.gz"
LARGEST = 1_000_000
POINTS_A_CALL = 100_000
# Kept of a run as the API gives it.
KEPT = ("id", "name", "status", "params", "tags", "notes", "error")


def get(path: str, **query: object) -> dict:
    """What the API answers to a GET."""
    base = os.environ.get("EXPTRACK_URL", "http://127.0.0.1:8000").rstrip("/")
    url = f"{base}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    headers = {"Authorization": f"Bearer {os.environ.get('EXPTRACK_TOKEN', '')}"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  the person's own server
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return json.load(response)


def runs_of(experiment: str) -> list[dict]:
    """The ended runs of an experiment, the earliest first."""
    found = get("runs/", experiment=experiment, ordering="started_at", limit=1000)["results"]
    return [get(f"runs/{run['id']}/") for run in found if run["ended_at"]]


def columns_of(run_id: str, metric: str) -> dict[str, list]:
    """Every point of a series."""
    columns: dict[str, list] = {"steps": [], "times": [], "values": []}
    after = 0
    while after is not None:
        query = {"metric": metric, "after": after, "limit": POINTS_A_CALL}
        piece = get(f"runs/{run_id}/history/", **query)["metrics"][metric]
        for column, values in columns.items():
            values += piece[column]
        after = piece["next"]
    return columns


def milliseconds(moment: str) -> int:
    """An API time as milliseconds since the epoch."""
    return round(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def recorded(run: dict) -> dict:
    """One run as the recording holds it: its times are milliseconds after its own start."""
    start = milliseconds(run["started_at"])
    metrics = {}
    for series in get(f"runs/{run['id']}/metrics/")["results"]:
        columns = columns_of(run["id"], series["name"])
        columns["times"] = [time - start for time in columns["times"]]
        metrics[series["name"]] = columns
    return {
        **{field: run[field] for field in KEPT if run[field]},
        "error": run["error"].replace(f"{ROOT}{os.sep}", ""),
        "environment": anonymous(run["environment"]),
        "start": start,
        "duration": milliseconds(run["ended_at"]) - start,
        "metrics": metrics,
    }


def anonymous(environment: dict) -> dict:
    """An environment that names no machine, no kernel, and nothing else of who recorded it."""
    system = re.match(r"[A-Za-z]+", environment.get("platform", ""))
    private = ("hardware", "packages", "git")
    return {
        **{name: value for name, value in environment.items() if name not in private},
        "host": "workstation",
        "platform": system.group() if system else "unknown",
    }


def record(experiment: str) -> dict:
    """The whole recording; `start` counts from the first run's."""
    runs = [recorded(run) for run in runs_of(experiment)]
    first = min(run["start"] for run in runs)
    for run in runs:
        run["start"] -= first
    return {"format": 1, "experiment": experiment, "runs": runs}


def main() -> None:
    """Read the command line, record, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--experiment", default="digits")
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args()
    try:
        recording = record(options.experiment)
    except (OSError, ValueError) as error:
        sys.exit(f"The runs cannot be read: {error}. Are EXPTRACK_URL and EXPTRACK_TOKEN set?")
    text = json.dumps(recording, separators=(",", ":"), ensure_ascii=False)
    packed = gzip.compress(text.encode(), 9, mtime=0)
    if len(packed) > LARGEST:
        sys.exit(f"The recording has {len(packed):,} bytes; the repository takes {LARGEST:,}.")
    options.target.parent.mkdir(exist_ok=True)
    options.target.write_bytes(packed)
    points = sum(
        len(columns["values"]) for run in recording["runs"] for columns in run["metrics"].values()
    )
    runs = len(recording["runs"])
    print(f"{runs} runs, {points:,} points, {len(packed):,} bytes in {options.target.name}")


if __name__ == "__main__":
    main()

"""What the SDK costs the training thread, and how fast it gets everything stored.

EXPTRACK_URL=... EXPTRACK_TOKEN=... python bench/log_call.py
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "client" / "src"))
import exptrack_client as exptrack  # noqa: E402

METRICS = {f"metric/{number}": number / 7 for number in range(10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    calls = parser.parse_args().calls
    run = exptrack.init("log call", capture=False)
    costs = []
    began = time.perf_counter()
    for step in range(calls):
        before = time.perf_counter()
        run.log(METRICS, step=step)
        costs.append(time.perf_counter() - before)
    logged = time.perf_counter() - began
    lost = run.finish(timeout=120)
    total = time.perf_counter() - began
    costs.sort()
    print(
        f"log() of 10 floats: median {statistics.median(costs) * 1e6:.1f} µs, "
        f"p99 {costs[int(len(costs) * 0.99)] * 1e6:.1f} µs"
    )
    print(
        f"{calls:,} calls in {logged:.2f} s; all stored after {total:.2f} s: "
        f"{calls * 10 / total:,.0f} points/s; not delivered: {lost:,}; dropped: {run.dropped:,}"
    )


if __name__ == "__main__":
    main()

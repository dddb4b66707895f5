"""What packing, compressing, summing up, thinning out and smoothing cost, apart from a server.

python bench/series.py
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from experiments import curves, series, summaries  # noqa: E402
from experiments.series import Points  # noqa: E402


def curve(n: int) -> Points:
    """A loss with noise and four decimals, logged about every 50 ms."""
    random = np.random.default_rng(7)
    steps = np.arange(n)
    values = np.round(2.3 * np.exp(-steps / (n / 4)) + 0.05 * random.standard_normal(n), 4)
    times = 1_760_000_000_000 + np.cumsum(random.integers(45, 60, n))
    return Points.of(steps, times, values)


def median_ms(work: Callable[[], object], times: int) -> float:
    """The median of some tries, in milliseconds."""
    tries = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        tries.append(time.perf_counter() - began)
    return statistics.median(tries) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    one, many = curve(1), curve(1_000_000)
    before = summaries.extend(None, curve(1000))
    print("| what | median |\n|---|---|")
    for name, work in (
        ("extend by one point", lambda: summaries.extend(before, one)),
        ("pack one point", lambda: series.pack(one)),
    ):
        hundred = median_ms(lambda work=work: [work() for _ in range(100)], rounds)
        print(f"| {name} | {hundred * 10:.1f} µs |")
    for name, work in (
        ("extend by 1,000,000", lambda: summaries.extend(None, many)),
        ("one point a step of 1,000,000", lambda: curves.canonical(many)),
        ("1,000,000 to 1000 buckets", lambda: curves.downsample(many.steps, many.values, 1000)),
        ("smooth 1,000,000", lambda: curves.smooth(many.values, 0.99)),
    ):
        print(f"| {name} | {median_ms(work, rounds):.1f} ms |")
    for n in (64, 1_000, 4_096, 65_536):
        points = curve(n)
        code, data = series.encode(points)
        encode = median_ms(lambda points=points: series.encode(points), rounds)
        decode = median_ms(lambda code=code, data=data: series.decode(code, data), rounds)
        print(
            f"| {n:,} points: {len(data) / n:.2f} B a point; encode, decode a point "
            f"| {encode / n * 1e6:.0f} ns, {decode / n * 1e6:.0f} ns |"
        )


if __name__ == "__main__":
    main()

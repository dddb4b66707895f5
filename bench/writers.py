"""Many processes write into one run at the same time, while others follow it by cursor.

Each batch holds points of a series that all writers share and of one that is the writer's own,
names in a random order. Now and then a writer finishes the run, which seals and merges its
series under the others' hands.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from clients import Group, Script, log_path, meet
from served import arguments, machine, served
from stored import Followed, faults, mark, read_mark

SHARED = "shared"
START_MS = 1_760_000_000_000
PATIENCE = 30  # seconds a reader waits for the next point


@dataclass(frozen=True)
class Load:
    """Who writes how much where: the same for the same seed."""

    url: str
    secret: str
    run: uuid.UUID
    writers: int
    batches: int
    seed: int

    def sizes(self, writer: int) -> list[int]:
        """Points of each series in each of a writer's batches: mostly few, sometimes many."""
        drawn = random.Random(f"{self.seed} {writer}")
        return [drawn.choice((1, 2, 3, 5, 8, 13, 150)) for _ in range(self.batches)]

    @property
    def points(self) -> int:
        """Points of the shared series, and of all the others together."""
        return sum(self.expected.values()) // 2

    @cached_property
    def expected(self) -> dict[str, int]:
        """Points of each series in the end."""
        own = {f"own/{writer}": sum(self.sizes(writer)) for writer in range(self.writers)}
        return own | {SHARED: sum(own.values())}


def write(writer: int, load: Load) -> Counter:
    """One writer's batches, one after the other; how many were answered with which status."""
    drawn = random.Random(f"{load.seed} {writer} order")
    script, answers, written = Script(load.url, load.secret), Counter(), 0
    meet()
    for seq, size in enumerate(load.sizes(writer), 1):
        indices = range(written, written + size)
        columns = {
            "steps": list(indices),
            "times": [START_MS + index for index in indices],
            "values": [mark(writer, index) for index in indices],
        }
        names = [SHARED, f"own/{writer}"]
        drawn.shuffle(names)
        batch = {"writer": str(writer), "seq": seq, "metrics": dict.fromkeys(names, columns)}
        status, answer = script.post(log_path(load.run), json.dumps(batch).encode())
        answers[status] += 1
        if json.loads(answer).get("accepted") == 2 * size:
            answers["whole"] += 1
        written += size
        if drawn.random() < 0.02:
            path = f"/api/v1/runs/{load.run}/finish/"
            answers[script.post(path, b'{"status": "finished"}')[0]] += 1
            answers["finishes"] += 1
    return answers


@dataclass(frozen=True)
class View:
    """What one reader saw: polls made, digest of the series, and what was wrong."""

    polls: int
    digest: str
    wrong: list[str]


def follow(reader: int, load: Load) -> View:
    """Read the shared series by cursor until all its points are there, and its chart and
    summaries on the way."""
    drawn = random.Random(f"{load.seed} reader {reader}")
    script, seen, polls, wrong = Script(load.url, load.secret), Followed(), 0, []
    meet()
    last_news = time.monotonic()
    while seen.points < load.points and time.monotonic() < last_news + PATIENCE:
        polls += 1
        limit = drawn.choice((1, 40, 1_000, 100_000))
        query = f"history/?metric={SHARED}&after={seen.points}&limit={limit}"
        status, answer = script.get(f"/api/v1/runs/{load.run}/{query}")
        if status == 404 and not seen.points:
            continue  # nobody has written yet
        if status != 200:
            wrong.append(f"history answered {status}: {answer[:200]!r}")
            continue
        found = json.loads(answer)["metrics"][SHARED]
        seen.add(found["values"])
        if found["values"]:
            last_news = time.monotonic()
        if found["steps"] != [read_mark(value)[1] for value in found["values"]]:
            wrong.append("a step that belongs to another point")
        wrong += disagreements(script, load.run, seen.points)
    if seen.points != load.points:
        wrong.append(f"{seen.points} points of {load.points}, and no more in {PATIENCE} s")
    return View(polls, seen.digest, wrong + seen.wrong)


def disagreements(script: Script, run: uuid.UUID, seen: int) -> list[str]:
    """What summaries and chart say against the points seen before they were asked."""
    wrong = []
    status, answer = script.get(f"/api/v1/runs/{run}/metrics/")
    counts = {one["name"]: one["count"] for one in json.loads(answer).get("results", [])}
    if status != 200 or counts[SHARED] < seen:
        wrong.append(f"metrics answered {status}: {counts}, {seen} were seen before")
    own = sum(count for name, count in counts.items() if name != SHARED)
    if own != counts.get(SHARED):
        wrong.append(f"a batch seen in part: {counts}")
    status, answer = script.get(f"/api/v1/series/?run={run}&metric={SHARED}&buckets=200")
    x = json.loads(answer)["series"][0]["x"] if status == 200 else []
    if not x or x != sorted(set(x)):
        wrong.append(f"series answered {status}: {answer[:200]!r}")
    return wrong


@dataclass(frozen=True)
class Result:
    """What came of a load: answers by status, views of the readers, and what was wrong with
    what is stored."""

    answers: Counter
    views: list[View]
    wrong: list[str]
    seconds: float


def run_load(load: Load, readers: int) -> Result:
    """Writers and readers at once; then what is stored, against what was sent."""
    began = time.perf_counter()
    following = Group(readers, follow, load)
    answers = sum(Group(load.writers, write, load).results(), Counter())
    seconds = time.perf_counter() - began
    return Result(answers, following.results(), faults(load.run, load.expected), seconds)


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--batches", type=int, default=200, help="of each writer")
    parser.add_argument("--readers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="new by default")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    print(f"{options.database}; {machine()}; seed {options.seed}")
    with served(options.database, workers=options.workers, threads=options.threads) as server:
        load = Load(
            url=server.url,
            secret=server.secret,
            run=server.new_run("one for all"),
            writers=options.writers,
            batches=options.batches,
            seed=options.seed,
        )
        result = run_load(load, options.readers)
        log = server.gunicorn.log()
    wrong = result.wrong + [fault for view in result.views for fault in view.wrong]
    print(
        f"{load.writers} writers × {load.batches} batches in {result.seconds:.1f} s\n"
        f"answers: {dict(result.answers)}\n"
        f"points: {2 * load.points:,} sent\n"
        f"readers: {', '.join(f'{view.polls} polls' for view in result.views)}, "
        f"{len({view.digest for view in result.views})} order of points\n"
        f"wrong: {wrong[:20] or 'nothing'}"
    )
    if wrong:
        raise SystemExit(f"the server's log ends with:\n{log[-4000:]}")


if __name__ == "__main__":
    main()

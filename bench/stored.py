"""What is stored, held against what was sent. A value says who wrote it and as which of theirs,
so that a point that comes twice, is missing or stands in the wrong place is seen at once."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping


def mark(writer: int, index: int) -> float:
    """The value of a writer's point: who, and as which of theirs."""
    return float(writer * 2**32 + index)


def read_mark(value: float) -> tuple[int, int]:
    """Who wrote a point, and as which of theirs."""
    return divmod(int(value), 2**32)


class Followed:
    """A series as it has been seen so far: how many points, and what was wrong with them."""

    def __init__(self) -> None:
        self.points = 0
        self.wrong: list[str] = []
        self._next = Counter()
        self._digest = hashlib.sha256()

    def add(self, values: Iterable[float]) -> None:
        """The next points, in the order given by the server."""
        for value in values:
            writer, index = read_mark(value)
            if index != self._next[writer]:
                self.wrong.append(f"{index} of writer {writer}, not {self._next[writer]}")
            self._next[writer] = index + 1
            self.points += 1
            self._digest.update(b"%d %d\n" % (writer, index))

    @property
    def digest(self) -> str:
        """The same for the same points in the same order."""
        return self._digest.hexdigest()


def faults(run: uuid.UUID, expected: Mapping[str, int]) -> list[str]:
    """What is wrong with a run's series, of which `expected` tells the number of points: points
    lost, doubled or out of order, and summaries that do not fit them."""
    from experiments import reading
    from experiments.models import Metric
    from experiments.upkeep import verify_metric

    wrong, missing = [], dict(expected)
    for metric in Metric.objects.filter(run=run).select_related("tail"):
        seen = Followed()
        for points in reading.blocks(metric):
            seen.add(points.values.tolist())
        wrong += [f"{metric.name}: {fault}" for fault in seen.wrong + verify_metric(metric)]
        if seen.points != missing.pop(metric.name, 0):
            wrong.append(f"{metric.name}: {seen.points} points, {expected.get(metric.name)} sent")
    return wrong + [f"{name} is missing" for name in missing]

"""Groups of runs as curves: of each metric the mean over each group's runs, with its spread."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from experiments import charts
from experiments.charts import MAX_BUCKETS, Axis, Curve
from experiments.csv_text import csv_line
from experiments.curves import Buckets
from experiments.grouping import Group
from experiments.means import Mean, mean_curve
from experiments.models import Metric, Run

MOST_GROUPS = 20
# Of a greater group the newest so many runs, and of long series no more runs than have their
# share of so many points, are read for its mean.
RUNS_A_GROUP = 100
MOST_POINTS = 50_000_000
BANDS = {"std": "± std", "range": "Min–max", "none": "No band"}


@dataclass(frozen=True, slots=True)
class GroupMean:
    """One metric over the runs of one group. `members` have the metric, of the group's newest
    runs, and `averaged` of them are what the mean is of; `count` are their points in the range,
    `total` all they have logged."""

    group: Group
    metric: str
    mean: Mean
    count: int
    total: int
    members: int
    averaged: int

    def curve(self, band: str) -> Curve:
        """It as a chart draws it, one of BANDS round it."""
        mean = self.mean
        low, high = mean.least, mean.greatest
        if band == "none":
            low = high = mean.mean
        elif band == "std":
            std = np.where(mean.runs > 1, mean.std, 0.0)
            with np.errstate(all="ignore"):
                low, high = (finite(mean.mean + sign * std) for sign in (-1, 1))
        index = np.arange(len(mean.x))
        rows = Buckets(mean.x, mean.mean, low, high, mean.nan, mean.inf, False, index)
        return Curve(
            self.group.word, self.metric, self.count, self.total, rows,
            mean.smooth, mean.runs, self.members, self.averaged,
        )  # fmt: skip


def finite(values: np.ndarray) -> np.ndarray:
    """The values, NaN for those that are beyond every double."""
    return np.where(np.isfinite(values), values, np.nan)


def read_of(group: Group) -> list[uuid.UUID]:
    """The runs of a group that its mean may be of."""
    return group.run_ids[:RUNS_A_GROUP]


def group_means(groups: Sequence[Group], names: Sequence[str], axis: Axis) -> Iterator[GroupMean]:
    """Each metric over each group that has points of it, metrics first."""
    place = {pk: number for number, group in enumerate(groups) for pk in read_of(group)}
    runs = Run.objects.only("started_at", "created_at").in_bulk(list(place))
    rows = Metric.objects.filter(run__in=list(runs), name__in=names)
    counts = {(name, run): count for name, run, count in
              rows.order_by().values_list("name", "run_id", "count")}  # fmt: skip
    fine = dataclasses.replace(axis, buckets=MAX_BUCKETS)
    share = MOST_POINTS // max(1, len(groups) * len(names))
    for name in names:
        having = [[pk for pk in read_of(group) if (name, pk) in counts] for group in groups]
        kept = [pk for some in having for pk in affordable(some, name, counts, share)]
        pairs = charts.pairs_of({pk: runs[pk] for pk in kept if pk in runs}, [name], fine)
        for number, found in groupby(pairs, lambda pair: place[pair[0].run_id]):
            curves = [charts.drawn(runs[metric.run_id], metric, points, other, fine)
                      for metric, points, other in found]  # fmt: skip
            if any(curve.count for curve in curves):
                yield averaged(groups[number], name, curves, axis, len(having[number]))


def affordable(
    having: Sequence[uuid.UUID], name: str, counts: Mapping[tuple, int], share: int
) -> list[uuid.UUID]:
    """The first of these runs, at least one, that have no more points together than a share."""
    kept, points = [], 0
    for pk in having:
        points += counts[name, pk]
        if kept and points > share:
            break
        kept.append(pk)
    return kept


def averaged(
    group: Group, name: str, curves: Sequence[Curve], axis: Axis, members: int
) -> GroupMean:
    """The mean of a group's curves, some of which have points."""
    met = [curve for curve in curves if curve.count]
    mean = mean_curve(
        [curve.thin for curve in met],
        axis.buckets,
        is_log=axis.is_log,
        smooths=[curve.smooth for curve in met] if axis.smoothing else None,
    )
    count, total = sum(curve.count for curve in curves), sum(curve.total for curve in curves)
    return GroupMean(group, name, mean, count, total, members, len(curves))


def group_series(
    groups: Sequence[Group], names: Sequence[str], axis: Axis, band: str
) -> list[dict]:
    """The means as the charts of a page read them, one of BANDS round each."""
    return [charts.as_compact_json(found.curve(band)) for found in group_means(groups, names, axis)]


def means_csv(
    groups: Sequence[Group], fields: Sequence[object], names: Sequence[str], axis: Axis
) -> Iterator[str]:
    """The means as lines of CSV, a line a bucket, numbers exact."""
    yield csv_line([
        *map(str, fields), "metric", "x", "runs", "mean", "std", "min", "max",
        *(["smoothed mean"] if axis.smoothing else []),
    ])  # fmt: skip
    for found in group_means(groups, names, axis):
        head = [*(key.shown for key in found.group.keys), found.metric]
        mean = found.mean
        columns = [mean.x, mean.runs, mean.mean, mean.std, mean.least, mean.greatest]
        columns += [] if mean.smooth is None else [mean.smooth]
        for row in zip(*(column.tolist() for column in columns), strict=True):
            # Where no run has a value there is none, which is not a NaN that was logged.
            yield csv_line([*head, *(None if cell != cell else cell for cell in row)])

"""The runs table: which columns, what stands in each cell, and which value is the best."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.fields import AGGREGATES, Field, parse_field
from experiments.models import Metric, Param, Run, Tag, last_of, mean_of
from experiments.named_rows import (
    first_cuts,
    metrics_of_runs,
    params_of_runs,
    rows_of_runs,
)
from experiments.values import InvalidValue

MAX_COLUMNS = 100
DEFAULT_ATTRIBUTES = ("name", "status", "started", "duration")
DEFAULT_PARAMS = DEFAULT_METRICS = 6
RUNS_LOOKED_AT = 100  # to guess the columns of a selection
# Aggregates of a metric that can be better or worse.
COMPARED = ("last", "min", "max", "mean")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SMALL_IS_GOOD = frozenset(
    "loss losses error errors err mse rmse mae mape smape nll perplexity ppl wer cer mer fid kid "
    "divergence kl regret latency time seconds duration cost penalty brier ece entropy xent bpb "
    "bpc bpd distance residual gap fpr fnr eer memory".split()
)
NEITHER_IS_GOOD = frozenset(
    "epoch epochs step steps iteration iterations iter iters progress seen lr learning momentum "
    "grad grads gradient gradients norm norms weight weights param params timestamp".split()
)
# In front of what a machine reports of itself.
OF_A_MACHINE = frozenset("system sys gpu cpu ram disk network".split())
TUNED_FIRST = frozenset("lr learning model arch architecture optimizer optim batch method".split())
HELD_OUT = frozenset("val valid validation test eval evaluation dev".split())
MEASURES = frozenset(
    "accuracy acc loss f1 auc auroc auprc precision recall error mse rmse mae r2 score reward "
    "return bleu rouge map miou iou dice perplexity fid wer cer psnr ssim".split()
)
A_MEASURE = 1  # how telling a metric is, see `how_telling`
# What an aggregate of a metric is reckoned from, and how.
PARTS = {name: (name,) for name in AGGREGATES} | {
    "last": ("last", "last_kind"),
    "mean": ("sum", "count", "nan_count", "inf_count"),
}
RECKONED = dict.fromkeys(AGGREGATES, lambda value: value) | {"last": last_of, "mean": mean_of}


@dataclass(slots=True)
class RunTable:
    """Some runs with the params, metrics and tags of theirs that were asked for."""

    runs: list[Run]
    columns: list[Field] = field(default_factory=list)
    params: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)

    def row(self, run: Run, kind: str, name: str) -> Param | Metric | Tag | None:
        """The stored row of a param, metric or tag of one run."""
        return getattr(self, f"{kind}s")[run.pk].get(name)

    def value(self, run: Run, column: Field) -> float | None:
        """An aggregate of one of a run's metrics, None where it has none."""
        row = self.row(run, "metric", column.name)
        if row is None:
            return None
        return row.last_value if column.aggregate == "last" else getattr(row, column.aggregate)

    def best(self, column: Field) -> float | None:
        """The best finite value of a metric's column, where there are two that differ."""
        return best_of(column, [self.value(run, column) for run in self.runs])


def best_of(column: Field, values: Iterable[float | None]) -> float | None:
    """The best finite one of a metric's values, where there are two that differ."""
    if column.aggregate not in COMPARED or says_nothing_of_quality(column.name):
        return None
    finite = [value for value in values if value is not None and value - value == 0]
    if not finite or min(finite) == max(finite):
        return None
    return min(finite) if least_is_best(column.name) else max(finite)


def least_is_best(name: str) -> bool:
    """Whether a metric of this name gets better as it falls: a guess, by the words in it.

    `val/loss`, `RMSE`, `testError` and `time_per_step` do; whatever else, such as `accuracy` or
    `reward`, is taken to get better as it rises.
    """
    return not SMALL_IS_GOOD.isdisjoint(words_of(name))


def says_nothing_of_quality(name: str) -> bool:
    """Whether a name only counts or sets something, or is of the machine: no epoch, no gradient's
    norm and no load of a GPU is the best one."""
    return is_of_a_machine(name) or not NEITHER_IS_GOOD.isdisjoint(words_of(name))


def is_of_a_machine(name: str) -> bool:
    """Whether a machine reports it of itself: `system/gpu.0.memory`, `cpu_percent`."""
    return not OF_A_MACHINE.isdisjoint(words_of(name)[:1])


def words_of(name: str) -> list[str]:
    """The words in a metric's name, in lower case: `testError@5` has test, error and 5."""
    return [word.lower() for word in WORD.findall(name)]


def attribute(run: Run, name: str) -> object:
    """A run's own value of one of `fields.ATTRIBUTES`."""
    if name == "status":
        return run.shown_status
    if name == "owner":
        return run.owner.username
    if name == "experiment":
        return run.experiment.name
    if name == "parent":
        return run.parent_id
    if name == "last_seen":
        return run.last_seen_at
    if name in ("created", "started", "ended"):
        return getattr(run, f"{name}_at")
    return getattr(run, name)


def parse_columns(text: str) -> list[Field]:
    """The columns a comma-separated text names, each once, or InvalidValue."""
    fields = list(dict.fromkeys(parse_field(part.strip()) for part in text.split(",") if part))
    if len(fields) > MAX_COLUMNS:
        raise InvalidValue(f"At most {MAX_COLUMNS} fields can be asked for at once.")
    return fields


def chosen(
    runs: Sequence[Run], columns: list[Field], *, without: dict[str, tuple[str, ...]] | None = None
) -> RunTable:
    """The table of some runs with exactly these columns; a statement for each kind. `without`
    names by kind what of a row is left unread."""
    table = RunTable(list(runs), columns)
    for kind in ("param", "metric", "tag"):
        names = [column.name for column in columns if column.kind == kind]
        rows = rows_of_runs(table.runs, f"{kind}s", names, without=(without or {}).get(kind, ()))
        setattr(table, f"{kind}s", rows)
    return table


def default_columns(runs: Sequence[Run]) -> list[Field]:
    """What is shown before anyone chooses: attributes, up to six params that differ between
    these runs, and up to six metrics that most of them have."""
    if not runs:
        return [Field("attribute", name) for name in DEFAULT_ATTRIBUTES]
    before = first_cuts(runs, "params", "metrics")
    params = differing(params_of_runs(runs, before), len(runs))
    metrics = most_telling(metrics_of_runs(runs, before))
    return [
        *(Field("attribute", name) for name in DEFAULT_ATTRIBUTES),
        *(Field("param", name) for name in params[:DEFAULT_PARAMS]),
        *(Field("metric", name, "last") for name in metrics[:DEFAULT_METRICS]),
    ]


def differing(params: Iterable[tuple[str, int, bool]], runs: int) -> list[str]:
    """Of the params of so many runs (name, how many have it, whether its values differ) the names
    whose values differ, or that only some have; those that most have first, and of these what is
    tuned before all else."""
    counts = {name: count for name, count, differ in params if differ or count < runs}
    return sorted(
        most_common(counts),
        key=lambda name: (-counts[name], TUNED_FIRST.isdisjoint(words_of(name))),
    )


def most_telling(counts: Mapping[str, int]) -> list[str]:
    """Of the names of metrics with how many runs have each, those that many have; in front what
    by its words tells how good a run is, on data held out above all."""
    usual = max(counts.values(), default=0) / 2
    names = [name for name in most_common(counts) if counts[name] >= usual]
    return sorted(names, key=how_telling)


def how_telling(name: str) -> int:
    """0 for a measure on data held out, 1 for another measure, 2 for what may be one, 3 for what
    only counts or sets something, 4 for what a machine reports of itself."""
    words = set(words_of(name))
    if is_of_a_machine(name):
        return 4
    if words & NEITHER_IS_GOOD:
        return 3
    if words & HELD_OUT:
        return 0
    return A_MEASURE if words & MEASURES else 2


def most_common(counts: Mapping[str, int]) -> list[str]:
    """Names, those that come most often first, ties in alphabetical order."""
    return sorted(counts, key=lambda name: (-counts[name], name))

"""Runs side by side: what differs in params, tags and environment, and how the metrics came out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import CharField, Count, Sum, Value
from django.db.models.functions import Concat

from experiments.expressions import Octets
from experiments.models import Environment, Metric, Run
from experiments.named_rows import octets_in, rows_of_runs, rows_related
from experiments.paging import fitting
from experiments.querysets import folded_contains
from experiments.values import canonical_text

MAX_COMPARED = 100
SHOWN_NAMES = 1_000
MOST_ROWS = 5_000
# What must be equal for two runs' rows of a name to be the same.
EQUAL_METRICS = {
    "last": ("last", "last_kind"),
    "min": ("min",),
    "max": ("max",),
    "mean": ("sum", "count"),
}


def compared(runs: Sequence[Run]) -> dict:
    """Params (with which differ), metric summaries, tags and environments of up to 100 runs,
    each as name and value by run; of the first thousand names of each kind, or fewer whose values
    are long, `truncated` when there are more."""
    params, more_params = rows_by_name(runs, "params")
    metrics, more_metrics = rows_by_name(runs, "metrics")
    tags, more_tags = rows_by_name(runs, "tags")
    environments, more_environments = environments_of(runs)
    return {
        "runs": [
            {
                "id": run.pk,
                "name": run.name,
                "experiment": {"id": run.experiment_id, "name": run.experiment.name},
                "status": run.shown_status,
            }
            for run in runs
        ],
        "params": side_by_side(
            runs,
            {pk: {name: row.value for name, row in rows.items()} for pk, rows in params.items()},
            {
                pk: {name: (row.kind, row.text) for name, row in rows.items()}
                for pk, rows in params.items()
            },
        ),
        "metrics": [
            {"name": entry["name"], "values": entry["values"]}
            for entry in side_by_side(
                runs,
                {
                    pk: {name: summary_json(row) for name, row in rows.items()}
                    for pk, rows in metrics.items()
                },
            )
        ],
        "tags": side_by_side(
            runs, {pk: {name: row.text for name, row in rows.items()} for pk, rows in tags.items()}
        ),
        "environment": differing_environment(runs, environments),
        "truncated": more_params or more_metrics or more_tags or more_environments,
    }


def rows_by_name(runs: Sequence[Run], relation: str) -> tuple[dict, bool]:
    """The rows of the first names that any of the runs has, whole for each name shown, as many as
    fit into an answer; and whether there are more names."""
    rows = rows_related(relation).filter(run__in=list(runs))
    counted = rows.values("name").annotate(octets=Sum(octets_in(relation)))
    names = dict(counted.values_list("name", "octets")[: SHOWN_NAMES + 1])
    fit = min(fitting([*names.values()]), SHOWN_NAMES)
    return rows_of_runs(runs, relation, [*names][:fit]), len(names) > fit


def environments_of(runs: Sequence[Run]) -> tuple[dict[uuid.UUID, object], bool]:
    """The environments of the first runs, as many as fit into an answer; and whether there are
    more. Two statements."""
    found = Environment.objects.filter(run__in=list(runs))
    octets = dict(found.values_list("run_id", Octets("data")))
    fit = fitting([octets.get(run.pk, 0) for run in runs])
    ids = [run.pk for run in runs[:fit]]
    more = not octets.keys() <= set(ids)
    return dict(found.filter(run__in=ids).values_list("run_id", "data")), more


def differing_environment(
    runs: Sequence[Run], environments: Mapping[uuid.UUID, Mapping[str, object]]
) -> list[dict]:
    """What is not the same in all the runs' environments, whatever the order of its keys."""
    texts = {
        pk: {name: canonical_text(value) for name, value in data.items()}
        for pk, data in environments.items()
    }
    return [entry for entry in side_by_side(runs, environments, texts) if entry["differs"]]


def side_by_side(
    runs: Sequence[Run],
    values: Mapping[uuid.UUID, Mapping[str, object]],
    equal_as: Mapping[uuid.UUID, Mapping[str, object]] | None = None,
) -> list[dict]:
    """For each name the value by run, and whether they differ (an absent one does); compared
    by `equal_as` where equality is not Python's."""
    equal_as = equal_as or values
    names = sorted({name for row in values.values() for name in row})
    rows = []
    for name in names:
        keys = [repr(equal_as.get(run.pk, {}).get(name)) for run in runs]
        present = {run.pk: values[run.pk][name] for run in runs if name in values.get(run.pk, {})}
        differs = len(set(keys)) > 1 or 0 < len(present) < len(runs)
        rows.append({"name": name, "differs": differs, "values": present})
    return rows


def summary_json(metric: Metric) -> dict:
    """A series summed up."""
    return {
        "name": metric.name,
        "count": metric.count,
        "first_step": metric.first_step,
        "last_step": metric.last_step,
        "last": metric.last_value,
        "last_time": metric.last_time,
        "min": metric.min,
        "min_step": metric.min_step,
        "max": metric.max,
        "max_step": metric.max_step,
        "mean": metric.mean,
        "nan_count": metric.nan_count,
        "inf_count": metric.inf_count,
    }


# --- The page --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of a comparison: something named that at least one of the runs has, and whether
    the runs differ in it (one that lacks it does)."""

    kind: str  # metric, param, tag or environment
    name: str
    differs: bool


def compared_rows(runs: Sequence[Run], part: str, aggregate: str) -> list[Compared]:
    """Every metric, param and tag that any of the runs has and whose name contains `part`, in
    any case. Whether they differ is worked out by the database: a param may be 64 KiB long. A
    statement for each kind."""
    equal = {
        "metric": EQUAL_METRICS[aggregate],
        "param": (Concat("kind", Value(":"), "text", output_field=CharField()),),
        "tag": ("text",),
    }
    return [
        row for kind, columns in equal.items() for row in rows_of_kind(runs, kind, part, columns)
    ]


def rows_of_kind(
    runs: Sequence[Run], kind: str, part: str, columns: Sequence[object]
) -> list[Compared]:
    """The rows of one kind by name; they are the same where all of `columns` are."""
    found = rows_related(f"{kind}s").filter(run__in=list(runs))
    if part:
        found = found.filter(folded_contains("name", part))
    counts = {f"values_{n}": Count(column, distinct=True) for n, column in enumerate(columns)}
    counts["present"] = Count(columns[0])
    rows = found.values("name").annotate(runs=Count("pk"), **counts).order_by("name")[:MOST_ROWS]
    return [
        Compared(
            kind,
            row["name"],
            row["runs"] < len(runs)
            or 0 < row["present"] < len(runs)
            or any(row[name] > 1 for name in counts if name != "present"),
        )
        for row in rows
    ]


def environment_texts(
    environments: Mapping[uuid.UUID, object],
) -> dict[uuid.UUID, dict[str, str]]:
    """What is known of where each run ran, as texts by name; what a name holds by name itself,
    such as the packages, stands as an entry each: `packages numpy`."""
    return {
        run_id: dict(entries_of(data))
        for run_id, data in environments.items()
        if isinstance(data, dict)
    }


def entries_of(data: Mapping[str, object], head: str = "") -> Iterator[tuple[str, str]]:
    """The entries of one environment, those within others behind their names."""
    for name, value in data.items():
        if isinstance(value, dict) and not head:
            yield from entries_of(value, f"{name} ")
        elif value not in (None, "", [], {}):
            yield f"{head}{name}", canonical_text(value)


def environment_rows(
    runs: Sequence[Run], texts: Mapping[uuid.UUID, Mapping[str, str]], part: str
) -> list[Compared]:
    """The entries of the runs' environments that have `part` in their name, in any case."""
    wanted = part.casefold()
    return [
        Compared("environment", entry["name"], entry["differs"])
        for entry in side_by_side(runs, texts)
        if wanted in entry["name"].casefold()
    ]

"""Runs side by side: what differs in params, tags and environment, and how the metrics came out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from experiments.models import Environment, Metric, Run
from experiments.querysets import rows_of_runs, rows_related
from experiments.values import canonical_text

MAX_COMPARED = 100
SHOWN_NAMES = 1_000


def compared(runs: Sequence[Run]) -> dict:
    """Params (with which differ), metric summaries, tags and environments of up to 100 runs,
    each as name and value by run; of the first thousand names of each kind, `truncated` when
    there are more."""
    params, more_params = rows_by_name(runs, "params")
    metrics, more_metrics = rows_by_name(runs, "metrics")
    tags, more_tags = rows_by_name(runs, "tags")
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
        "environment": differing_environment(runs),
        "truncated": more_params or more_metrics or more_tags,
    }


def rows_by_name(runs: Sequence[Run], relation: str) -> tuple[dict, bool]:
    """The rows of the first names that any of the runs has, whole for each name shown; and
    whether there are more names."""
    rows = rows_related(runs, relation).filter(run__in=list(runs))
    names = list(rows.values_list("name", flat=True).distinct()[: SHOWN_NAMES + 1])
    found, _ = rows_of_runs(runs, relation, names[:SHOWN_NAMES])
    return found, len(names) > SHOWN_NAMES


def differing_environment(runs: Sequence[Run]) -> list[dict]:
    """What is not the same in all the runs' environments, whatever the order of its keys."""
    environments = {
        found.run_id: found.data for found in Environment.objects.filter(run__in=list(runs))
    }
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

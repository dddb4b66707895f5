"""Whole runs as points over two of their values, or as lines across several."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from django.urls import reverse

from experiments import charts, comparing, tables
from experiments.fields import Field, parse_field
from experiments.listing import Asked
from experiments.models import Run
from experiments.tables import RunTable
from experiments.values import InvalidValue
from experiments.views.charts import choice

NAMES_OFFERED = 200
MOST_AXES = 12
USUAL_PARAMS, USUAL_METRICS = 5, 2
DURATION = Field("attribute", "duration")
UNREAD = {"param": ("experiment", "value", "text"), "metric": ("experiment", "last_time")}


def scatter_context(asked: Asked, runs: list[Run]) -> dict:
    """Each run as a point: which values, and what is offered in their place."""
    params, metrics = usual_fields(runs)
    usual = [*params, *metrics, DURATION]
    x = asked.read("sx", plotted_field, usual[0])
    y = asked.read("sy", plotted_field, (metrics or usual[1:] or usual)[0])
    colour = asked.read("colour", plotted_field, None)
    scales = [asked.read(name, choice("log", "linear"), "") for name in ("sxscale", "syscale")]
    fields = [x, y, *([colour] if colour else [])]
    return {
        "choices": [("sx", "X", str(x)), ("sy", "Y", str(y)), ("colour", "Colour", str(colour))],
        "scales": [("sxscale", "X", scales[0]), ("syscale", "Y", scales[1])],
        "scales_json": json.dumps(scales),
        "offered": offered(runs, fields),
    } | plot_of(runs, fields)


def parallel_context(asked: Asked, runs: list[Run]) -> dict:
    """Each run as a line across the values that are asked for, coloured by the last of them."""
    params, metrics = usual_fields(runs)
    usual = [*params[:USUAL_PARAMS], *reversed(metrics[:USUAL_METRICS])] or [DURATION]
    asked.join("axes")
    fields = asked.read("axes", plotted_fields, usual)
    return {
        "chosen_words": [str(field) for field in fields],
        "offered": offered(runs, fields),
    } | plot_of(runs, fields)


def usual_fields(runs: Sequence[Run]) -> tuple[list[Field], list[Field]]:
    """The params that differ and the metrics that most have, those that tell most first."""
    columns = tables.default_columns(runs)
    return tuple([field for field in columns if field.kind == kind] for kind in ("param", "metric"))


def plotted_field(text: str) -> Field:
    """A param, a metric or the duration, or InvalidValue."""
    field = parse_field(text)
    if field.kind not in ("param", "metric") and field != DURATION:
        raise InvalidValue("Params, metrics and the duration can be plotted.")
    return field


def plotted_fields(text: str) -> list[Field]:
    """Several of them, each once."""
    fields = list(dict.fromkeys(plotted_field(part.strip()) for part in text.split(",") if part))
    if not 1 <= len(fields) <= MOST_AXES:
        raise InvalidValue(f"1 to {MOST_AXES} axes stand side by side.")
    return fields


def offered(runs: Sequence[Run], chosen: Sequence[Field]) -> list[tuple[str, list]]:
    """What can be plotted of these runs, as word and name: params that differ, other params,
    metrics, the duration."""
    rows = comparing.compared_rows(runs, "", "last")
    groups = {
        "Params that differ": [r for r in rows if r.kind == "param" and r.differs],
        "Params alike": [r for r in rows if r.kind == "param" and not r.differs],
        "Metrics": [r for r in rows if r.kind == "metric"],
    }
    fields = {
        name: [Field(r.kind, r.name, "last" if r.kind == "metric" else "") for r in found]
        for name, found in groups.items()
    }
    fields["Run"] = [DURATION]
    known = {field for found in fields.values() for field in found[:NAMES_OFFERED]}
    fields["Run"] += [field for field in chosen if field not in known]
    return [
        (name, [(str(field), field.label) for field in found[:NAMES_OFFERED]])
        for name, found in fields.items()
        if found
    ]


def plot_of(runs: Sequence[Run], fields: Sequence[Field]) -> dict:
    """What a plot is drawn from, as JSON for the script and as a table for who reads."""
    table = tables.chosen(runs, list(fields), without=UNREAD)
    values = [[plotted_value(table, run, field) for field in fields] for run in runs]
    labels = [field.label for field in fields]
    points = [
        {**line, "url": reverse("run-detail", args=[run.pk]), "values": row}
        for line, run, row in zip(charts.lines_of(runs), runs, values, strict=True)
    ]
    return {
        "labels": labels,
        "labels_json": json.dumps(labels),
        "points_json": json.dumps(points),
        "plotted": list(zip(runs, values, strict=True)),
    }


def plotted_value(table: RunTable, run: Run, field: Field) -> float | str | None:
    """A run's value where it can be plotted: a finite number or a text."""
    if field == DURATION:
        return None if run.duration is None else run.duration.total_seconds()
    row = table.row(run, field.kind, field.name)
    if row is None:
        return None
    if field.kind == "param":
        return row.text_head if row.number is None else row.number
    value = table.value(run, field)
    return value if value is not None and math.isfinite(value) else None

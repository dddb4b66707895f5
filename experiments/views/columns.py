"""Which columns the table of runs has, and in which order: a form that ends in its address."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from experiments import access, names
from experiments.fields import Field
from experiments.listing import Asked
from experiments.tables import COMPARED, parse_columns
from experiments.values import InvalidValue
from experiments.views.experiments import asked_runs, named_first, usual_columns
from exptrack.databases import time_limit
from exptrack.pages import render_page

ATTRIBUTES = ("status", "started", "ended", "duration", "owner", "created", "id")
KINDS = {"metric": "Metrics", "param": "Params", "tag": "Tags"}
NAMES_FOUND = 40
# The id of the list of names found, which alone is replaced while one types.
FOUND = "found-columns"


@dataclass(frozen=True, slots=True)
class Found:
    """What of one kind can be added: by name the fields there are, and whether there are more
    names than these."""

    label: str
    names: list[tuple[str, list[Field]]]
    more: bool


@require_safe
@time_limit()
def experiment_columns(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The columns of the table as its address has them, to be chosen and put in order; `find`
    looks for others, `up` and `down` move one."""
    experiment = access.readable_experiment(request.user, pk)
    asked = Asked.by(request)
    # Read from a copy: what only groups can be ordered by must not get lost on the way.
    selected, _, ordering, columns = asked_runs(Asked.by(request), experiment)
    columns = named_first(columns or usual_columns(selected, experiment, ordering))[1:]
    for name, by in (("up", -1), ("down", 1)):
        columns = moved(columns, asked.query.get(name, ""), by)
    text = asked.query.get("find", "")
    context = {
        "experiment": experiment,
        "asked": asked,
        "chosen": columns,
        "find": text,
        "found": found_columns(experiment.pk, text, columns),
    }
    fragment = FOUND if request.htmx.target == FOUND else "columns"
    return render_page(request, "experiments/experiment_columns.html", context, fragment=fragment)


def moved(columns: list[Field], word: str, by: int) -> list[Field]:
    """The columns with the one of this word a place further; none is moved past an end."""
    try:
        at = columns.index(parse_columns(word)[0])
    except (InvalidValue, IndexError, ValueError):
        return columns
    others = columns[:at] + columns[at + 1 :]
    to = min(max(at + by, 0), len(others))
    return [*others[:to], columns[at], *others[to:]]


def found_columns(experiment_id: uuid.UUID, text: str, chosen: list[Field]) -> list[Found]:
    """What else there is to show whose name contains each word of the text."""
    words = text.lower().split()
    own = [name for name in ATTRIBUTES if all(word in name for word in words)]
    found = [found_among("Run", own, False, "attribute", chosen)]
    for kind, label in KINDS.items():
        some, more = names.names_in(experiment_id, kind, text, NAMES_FOUND)
        found.append(found_among(label, some, more, kind, chosen))
    return [each for each in found if each.names]


def found_among(label: str, some: list[str], more: bool, kind: str, chosen: list[Field]) -> Found:
    """The fields of these names that are not chosen yet; of a metric one for each aggregate."""
    aggregates = COMPARED if kind == "metric" else ("",)
    fields = {
        name: [field for each in aggregates if (field := Field(kind, name, each)) not in chosen]
        for name in some
    }
    return Found(label, [(name, left) for name, left in fields.items() if left], more)

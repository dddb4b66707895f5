"""What to group the runs of an experiment by: a menu whose lines lead to the table."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from experiments import access, tables
from experiments.fields import Field
from experiments.grouping import MOST_FIELDS, Grouping
from experiments.listing import Asked
from experiments.models import Experiment
from experiments.names import names_in
from experiments.views.groups import LEFT_BEHIND, asked_grouping
from exptrack.databases import time_limit
from exptrack.pages import render_page

NAMES_OFFERED = 40
# What only tells repetitions of the same thing apart.
REPETITIONS = frozenset("seed seeds fold folds repeat repeats repetition trial replicate".split())
# The id of the list of offers, which alone is replaced while one types.
OFFERS = "group-offers"


@dataclass(frozen=True, slots=True)
class Offer:
    """A param or tag, whether it is grouped by, and where adding it or taking it away, and
    grouping by all params but it lead; None where that cannot be."""

    field: Field
    is_in: bool
    url: str | None
    all_but_url: str | None


@require_safe
@time_limit()
def experiment_grouping(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What the runs of the table at this address can be grouped by; `find` looks for names."""
    experiment = access.readable_experiment(request.user, pk)
    asked = Asked.by(request)
    find = asked.query.pop("find", [""])[-1]
    grouping = asked_grouping(asked)
    # The menu goes on from the very fields that a grouping by all others comes to.
    fields = list(grouping.fields) if grouping and not grouping.all_but else []
    here, asked.path = asked.path, reverse("experiment-detail", args=[experiment.pk])
    context = {"experiment": experiment, "asked": asked, "here": here, "find": find}
    context |= {"is_grouped": grouping is not None} | offers(asked, experiment, fields, find)
    context["is_search"] = request.htmx.target == OFFERS
    fragment = OFFERS if context["is_search"] else "grouping"
    return render_page(request, "experiments/experiment_grouping.html", context, fragment=fragment)


def offers(asked: Asked, experiment: Experiment, fields: list[Field], find: str) -> dict:
    """Each param and tag whose name has the words of `find`, up to 40 of a kind; without any, what
    is grouped by comes too, whatever else there is."""
    names = {kind: names_in(experiment.pk, kind, find, NAMES_OFFERED) for kind in ("param", "tag")}
    found = [Field(kind, name) for kind, (some, _) in names.items() for name in some]
    offered = found if find else [*(each for each in fields if each not in found), *found]
    away = dict.fromkeys(LEFT_BEHIND)

    def url(chosen: list[Field]) -> str:
        return asked.url_with(**away, group=",".join(map(str, chosen)) or None)

    def toggled(each: Field) -> str | None:
        if each in fields:
            return url([other for other in fields if other != each])
        return url([*fields, each]) if len(fields) < MOST_FIELDS else None

    def all_but(some: list[Field]) -> str:
        return asked.url_with(**away, group=str(Grouping(tuple(some), all_but=True)))

    repetitions = [
        each
        for each in found
        if each.kind == "param" and not REPETITIONS.isdisjoint(tables.words_of(each.name))
    ][:MOST_FIELDS]
    return {
        "offers": [
            Offer(
                each,
                each in fields,
                toggled(each),
                all_but([each]) if each.kind == "param" else None,
            )
            for each in offered
        ],
        "more": any(more for _, more in names.values()),
        "repetitions": repetitions,
        "but_repetitions_url": all_but(repetitions) if repetitions else None,
        "ungrouped_url": url([]),
    }

"""What could come next in a query that is being written, and in the name of an experiment."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments import access
from experiments.completing import Completion, completion
from experiments.models import Experiment
from experiments.querysets import folded_contains
from experiments.syntax import MAX_BYTES
from experiments.views.charts import json_response
from exptrack.databases import TookTooLong, time_limit

NAMES_OFFERED = 20


@require_safe
def experiment_names(request: HttpRequest) -> HttpResponse:
    """Experiments whose name has in it what was typed (`experiment_id`), the latest first, as a
    list for a field to complete from."""
    typed = request.GET.get("experiment_id", "").replace("\0", "")
    visible = Experiment.objects.visible_to(request.user).alive().select_related("owner")
    named = visible.filter(folded_contains("name", typed)) if typed else visible
    latest_first = F("last_run_at").desc(nulls_last=True)
    found = named.order_by(latest_first, "-created_at")[:NAMES_OFFERED]
    try:
        with time_limit():
            context = {"experiments": list(found)}
    except TookTooLong:
        context = {"experiments": []}
    return render(request, "experiments/_experiment_names.html", context)


@require_safe
def experiment_complete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """`text` is the query up to where one writes; the answer says how many of its last characters
    each option replaces."""
    experiment = access.readable_experiment(request.user, pk)
    try:
        with time_limit():
            found = completion(experiment, request.GET.get("text", "")[:MAX_BYTES])
    except TookTooLong:
        found = Completion(0, [])  # it only helps, and has nothing to say in time
    return json_response(asdict(found))

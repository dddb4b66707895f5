"""What could come next in the query that is being written in an experiment's search field."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from experiments import access
from experiments.completing import Completion, completion
from experiments.syntax import MAX_BYTES
from experiments.views.charts import json_response
from exptrack.databases import TookTooLong, time_limit


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

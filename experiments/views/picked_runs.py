"""What people do with the runs they picked in the table: tag, stop, compare, trash, restore.

Each is a POST with the runs' ids as `run`, and leads back to the table as it was (`back`, its
query). Of a selection that may be changed in part the rest is left alone, and counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from experiments import access, curating
from experiments.listing import Asked
from experiments.models import Experiment, Run
from experiments.paging import CURSOR_PARAMETER
from experiments.refusals import Refused
from experiments.values import uuid_in
from experiments.views.experiments import asked_runs
from experiments.views.groups import asked_group
from exptrack.databases import TookTooLong, time_limit

MOST_PICKED = 500


@require_safe
def runs_matching(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ids and names of the runs of a selection, whatever page of it is shown, as JSON; in the
    order of the table, and no more than can be picked."""
    experiment = access.readable_experiment(request.user, pk)
    asked = Asked.by(request)
    asked.check_query()
    asked.query.pop(CURSOR_PARAMETER, None)
    try:
        with time_limit():
            group = asked_group(asked, experiment)
            found, _, ordering, _ = asked_runs(asked, experiment, group)
            page = asked.page(
                lambda now: found.segments(ordering, experiment.pk, now),
                descending=ordering.descending,
                limit=MOST_PICKED,
            )
    except TookTooLong as stopped:
        return JsonResponse({"faults": [str(stopped)]}, status=503)
    if faults := asked.all_faults:
        # Others than asked for would be picked, and perhaps thrown away.
        return JsonResponse({"faults": faults}, status=400)
    return JsonResponse({"runs": [(run.pk, run.name) for run in page.rows]})


@require_POST
def runs_compare(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """On to the comparison, for browsers without a script."""
    access.readable_experiment(request.user, pk)
    return redirect(f"{reverse('compare')}?{urlencode([('run', run) for run in picked(request)])}")


@require_POST
def runs_tag(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Set a tag of the picked runs."""
    name, text = (request.POST.get(field, "").strip() for field in ("tag", "text"))

    def tag(runs: list[Run]) -> str:
        return f"{counted(curating.tag_runs(runs=runs, name=name, text=text))} tagged “{name}”."

    return change(request, pk, tag)


@require_POST
def runs_untag(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a tag from the picked runs."""
    name = request.POST.get("tag", "").strip()

    def untag(runs: list[Run]) -> str:
        return (
            f"The tag “{name}” was taken from {counted(curating.untag_runs(runs=runs, name=name))}."
        )

    return change(request, pk, untag)


@require_POST
def runs_stop(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask the training processes of the picked runs to stop."""

    def stop(runs: list[Run]) -> str:
        asked = curating.request_stops(runs=runs)
        ended = len(runs) - asked
        words = f"{counted(asked)} asked to stop."
        return f"{words} {counted(ended)} had ended already." if ended else words

    return change(request, pk, stop)


@require_POST
def runs_trash(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Move the picked runs to the trash; the message offers to take that back."""
    now = timezone.now()

    def trash(runs: list[Run]) -> str:
        moved = curating.trash_runs(user=request.user, runs=runs, now=now)
        context = {
            "words": f"{counted(moved)} moved to the trash.",
            "experiment": runs[0].experiment,
            "moment": now.isoformat(),
            "back": request.POST.get("back", ""),
        }
        return render_to_string("experiments/_trashed.html", context, request)

    return change(request, pk, trash)


@require_POST
def runs_restore(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Bring back the runs of the experiment that went to the trash at one moment (`moment`)."""
    experiment = access.readable_experiment(request.user, pk)
    moment = moment_in(request.POST.get("moment", ""))
    if moment is not None:
        found = Run.objects.filter(experiment=experiment, trashed_at=moment)
        runs, _ = access.picked_runs(
            request.user, experiment, list(found.values_list("pk", flat=True)[:MOST_PICKED])
        )
        messages.success(request, f"{counted(curating.restore_runs(runs=runs))} restored.")
    return back_to_table(request, experiment)


def change(request: HttpRequest, pk: uuid.UUID, act: Callable[[list[Run]], str]) -> HttpResponse:
    """Do it to the picked runs that the user may change, say so, and go back to the table."""
    experiment = access.readable_experiment(request.user, pk)
    ids = picked(request)
    runs, others = access.picked_runs(request.user, experiment, ids)
    gone = len(ids) - len(runs) - len(others)
    try:
        if runs:
            messages.success(request, act(runs))
    except Refused as refusal:
        messages.error(request, " ".join([refusal.message, *faults_of(refusal)]))
    if others:
        messages.warning(
            request,
            f"{counted(len(others))} left alone: only a run's owner, the experiment's editors and "
            "admins may change it.",
        )
    if gone or not ids:
        words = f"{counted(gone)} no longer in this experiment." if ids else "No run was selected."
        messages.warning(request, words)
    return back_to_table(request, experiment)


def picked(request: HttpRequest) -> list[uuid.UUID]:
    """The ids of the picked runs, each once; what is no id is left out."""
    found = (uuid_in(text) for text in request.POST.getlist("run")[:MOST_PICKED])
    return list(dict.fromkeys(pk for pk in found if pk is not None))


def back_to_table(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    """Where the request came from: the table, and of its address only the query is believed."""
    query = QueryDict(request.POST.get("back", "")).urlencode(safe=",:")
    here = reverse("experiment-detail", args=[experiment.pk])
    return redirect(f"{here}?{query}" if query else here)


def moment_in(text: str) -> datetime | None:
    """The aware moment a text means, or None."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and timezone.is_aware(moment) else None


def faults_of(refusal: Refused) -> Iterable[str]:
    """What is wrong with each field."""
    return (text for texts in refusal.details.values() for text in texts)


def counted(runs: int) -> str:
    """So many runs, in words."""
    return "1 run" if runs == 1 else f"{runs:,} runs"

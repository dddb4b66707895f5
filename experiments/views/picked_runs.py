"""What people do with the runs they picked in the table: tag, stop, compare, trash, restore."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from experiments import access, curating
from experiments.listing import Asked
from experiments.models import Run
from experiments.paging import CURSOR_PARAMETER
from experiments.views.experiments import asked_runs
from experiments.views.groups import asked_group
from experiments.views.picking import MOST_PICKED, Table, back_to, restored_moment
from exptrack.databases import TookTooLong, time_limit

RUNS = Table("run", "a run's owner, the experiment's editors and admins", "in this experiment")
counted = RUNS.counted


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
    return JsonResponse({"rows": [(run.pk, run.name) for run in page.rows]})


@require_POST
def runs_compare(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """On to the comparison, for browsers without a script."""
    access.readable_experiment(request.user, pk)
    query = urlencode([("run", run) for run in RUNS.picked(request)])
    return redirect(f"{reverse('compare')}?{query}")


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
        way_back = reverse("runs-restore", args=[pk])
        return RUNS.trashed(request, moved, moment=now, restore_url=way_back)

    return change(request, pk, trash)


@require_POST
def runs_restore(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Bring back the runs of the experiment that went to the trash at one moment (`moment`)."""
    experiment = access.readable_experiment(request.user, pk)
    if (moment := restored_moment(request)) is not None:
        found = Run.objects.filter(experiment=experiment, trashed_at=moment)
        runs, _ = access.picked_runs(
            request.user, experiment, list(found.values_list("pk", flat=True)[:MOST_PICKED])
        )
        messages.success(request, f"{counted(curating.restore_runs(runs=runs))} restored.")
    return back_to_table(request, pk)


def change(request: HttpRequest, pk: uuid.UUID, act: Callable[[list[Run]], str]) -> HttpResponse:
    """Do it to the picked runs that the user may change, and go back to the table."""
    experiment = access.readable_experiment(request.user, pk)
    RUNS.change(request, partial(access.picked_runs, request.user, experiment), act)
    return back_to_table(request, pk)


def back_to_table(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return back_to(request, reverse("experiment-detail", args=[pk]))

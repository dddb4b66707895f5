"""What people do with the experiments they picked in the list: complete, archive, throw away."""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from experiments import access, curating
from experiments.listing import Asked
from experiments.models import Experiment
from experiments.paging import CURSOR_PARAMETER
from experiments.views.experiments import asked_experiments
from experiments.views.picking import MOST_PICKED, Table, back_to, restored_moment
from exptrack.databases import time_limit

EXPERIMENTS = Table("experiment", "an experiment's owner, its editors and admins", "there")
BECAME = {"active": "made active", "completed": "completed", "archived": "archived"}


@require_safe
@time_limit()
def experiments_matching(request: HttpRequest) -> HttpResponse:
    """Ids and names of the experiments that the list's filters leave, as JSON; in the order of the
    list, and no more than can be picked."""
    asked = Asked.by(request)
    asked.query.pop(CURSOR_PARAMETER, None)
    rows, _, ordering = asked_experiments(asked, request.user)
    if faults := asked.all_faults:
        # Others than asked for would be picked, and perhaps thrown away.
        return JsonResponse({"faults": faults}, status=400)
    segments, descending = rows.segments(ordering)
    page = asked.page(lambda now: segments, descending=descending, limit=MOST_PICKED)
    return JsonResponse({"rows": [(row.pk, row.name) for row in page.rows]})


@require_POST
def experiments_status(request: HttpRequest, status: str) -> HttpResponse:
    """Give the picked experiments a status."""

    def become(experiments: list[Experiment]) -> str:
        changed = curating.set_status_of(experiments=experiments, status=status)
        already = len(experiments) - changed
        words = f"{EXPERIMENTS.counted(changed)} {BECAME[status]}."
        return f"{words} {EXPERIMENTS.counted(already)} already {status}." if already else words

    EXPERIMENTS.change(request, partial(access.picked_experiments, request.user), become)
    return back_to(request, reverse("experiment-list"))


@require_POST
def experiments_trash(request: HttpRequest) -> HttpResponse:
    """Move the picked experiments with their runs to the trash; the message offers to take that
    back."""
    now = timezone.now()

    def trash(experiments: list[Experiment]) -> str:
        moved = curating.trash_experiments(user=request.user, experiments=experiments, now=now)
        way_back = reverse("experiments-restore")
        return EXPERIMENTS.trashed(request, moved, moment=now, restore_url=way_back)

    EXPERIMENTS.change(request, partial(access.picked_experiments, request.user), trash)
    return back_to(request, reverse("experiment-list"))


@require_POST
def experiments_restore(request: HttpRequest) -> HttpResponse:
    """Bring back the experiments that one may change and that went to the trash at one moment
    (`moment`). One whose name was taken meanwhile stays there, and is told of."""
    if (moment := restored_moment(request)) is not None:
        found = Experiment.objects.editable_by(request.user).filter(trashed_at=moment)
        experiments = list(found[:MOST_PICKED])
        restored = curating.restore_experiments(experiments=experiments)
        messages.success(request, f"{EXPERIMENTS.counted(restored)} restored.")
        if others := len(experiments) - restored:
            words = (
                f"{EXPERIMENTS.counted(others)} left in the trash, the name being in use by now."
            )
            messages.warning(request, words)
    return back_to(request, reverse("experiment-list"))

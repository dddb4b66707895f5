"""The trash: what is in it, the way back, and, for operators, the end."""

from __future__ import annotations

import re
import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from experiments import access, curating, outcomes, purging, storage
from experiments.filters import NameFilter
from experiments.listing import Asked
from experiments.models import Experiment, Run
from experiments.paging import bounded_count, keyed
from experiments.refusals import Refused
from experiments.values import InvalidValue, moment_in, uuid_in
from experiments.views.forms import ExperimentNameForm, tell
from experiments.views.lists import list_page
from exptrack.databases import time_limit
from exptrack.pages import go_to, render_page

ROWS_PER_PAGE, NAMES_SHOWN = 50, 20
KINDS = ("experiments", "runs")


@require_safe
@time_limit()
def trash(request: HttpRequest) -> HttpResponse:
    """What one may bring back, last trashed first. Runs that are there with their experiment
    come back with it and are not listed by themselves."""
    asked = Asked.by(request)
    kind = asked.read("kind", kind_of_rows, "experiments")
    rows, filters = asked.filtered(NameFilter, trashed(request, kind))
    page = asked.page(
        lambda now: [keyed(rows, F("trashed_at"))], descending=True, limit=ROWS_PER_PAGE
    )
    context = {"asked": asked, "kind": kind, "filters": filters, "page": page}
    context["total"] = bounded_count(rows)
    known = {} if filters else {kind: context["total"]}
    context["kinds"] = [
        (name, (known.get(name) or bounded_count(trashed(request, name)))[0]) for name in KINDS
    ]
    context["is_anything"] = any(count for _, count in context["kinds"])
    if kind == "experiments":
        counts = outcomes.counts_by_status(page.rows)
        context["rows"] = [(row, counts[row.pk]) for row in page.rows]
    return list_page(request, "experiments/trash.html", context, fragment="trash")


def trashed(request: HttpRequest, kind: str) -> object:
    """The rows of one kind in the trash that the user may bring back."""
    if kind == "runs":
        runs = Run.objects.editable_by(request.user).for_table().select_related("trashed_by")
        return runs.filter(trashed_at__isnull=False, experiment__trashed_at=None)
    experiments = Experiment.objects.editable_by(request.user)
    return experiments.select_related("owner", "trashed_by").filter(trashed_at__isnull=False)


def kind_of_rows(text: str) -> str:
    """`experiments` or `runs`, or InvalidValue."""
    if text not in KINDS:
        raise InvalidValue(f"In the trash are {' and '.join(KINDS)}.")
    return text


@require_http_methods(["GET", "POST"])
def experiment_restore(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Bring an experiment back, under another name where its own was taken meanwhile."""
    experiment = access.writable_experiment(request.user, pk)
    form = ExperimentNameForm(request.POST or None, initial={"name": experiment.name})
    if request.method == "POST":
        name = request.POST.get("name")  # absent from the buttons that only say Restore
        if name is None or form.is_valid():
            name = name and form.cleaned_data["name"]
            try:
                curating.restore_experiment(user=request.user, experiment=experiment, name=name)
            except Refused as refusal:
                form = ExperimentNameForm({"name": name or experiment.name})
                tell(form, refusal, "name")
            else:
                messages.success(request, f"“{experiment.name}” is back from the trash.")
                return go_to(request, "experiment-detail", pk)
    context = {"experiment": experiment, "form": form}
    status = 422 if form.is_bound else 200
    return render_page(request, "experiments/experiment_restore.html", context, status=status)


@require_http_methods(["GET", "POST"])
def trash_purge(request: HttpRequest) -> HttpResponse:
    """Tell what a purge would delete; by a POST delete as much of it as one request may, and go
    on until it is done. `experiment` or `run` names one, without them it is the whole trash as
    of the moment it was looked at (`seen`)."""
    if not request.user.is_admin:
        raise PermissionDenied("Only admins purge.")
    asked = request.POST if request.method == "POST" else request.GET
    doomed = purging.Doomed(
        before=moment_in(asked.get("seen", "")) or timezone.now(),
        experiment=named(asked, "experiment"),
        run=named(asked, "run"),
    )
    done = 0
    if request.method == "POST":
        done = counted_before(asked.get("done", "")) + purging.purge_some(doomed)
    size = storage.size_of(doomed.runs())
    experiments = doomed.experiments()
    rows = experiments if doomed.run is None else doomed.runs()
    context = {
        "doomed": doomed,
        "size": size,
        "names": list(rows.values_list("name", flat=True)[:NAMES_SHOWN]),
        "experiments": bounded_count(experiments),
        "done": done,
    }
    if request.method == "POST" and not size.runs and not experiments.exists():
        messages.success(request, f"Purged for good: {done:,} run{'' if done == 1 else 's'}.")
        return go_to(request, "trash")
    return render_page(request, "experiments/trash_purge.html", context, fragment="purge")


def named(asked: QueryDict, name: str) -> uuid.UUID | None:
    """The id given under a name; a text that is none must not come to mean everything."""
    text = asked.get(name)
    if text and uuid_in(text) is None:
        raise Http404("There is no such thing in the trash.")
    return uuid_in(text) if text else None


def counted_before(text: str) -> int:
    """How many runs the requests before this one purged; only shown."""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0

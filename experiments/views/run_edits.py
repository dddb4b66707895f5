"""What people correct on the page of a run: its name, tags and notes; where it belongs; the trash.

Each part has an address of its own. htmx puts it into the page of the run, to be read or edited;
without a script it is a page with a form.
"""

from __future__ import annotations

import uuid
from contextlib import suppress

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from experiments import access, curating
from experiments.filters import LONGEST_TEXT
from experiments.models import Experiment, Run
from experiments.refusals import Conflict, Invalid
from experiments.views.forms import NotesForm, RunNameForm, TagForm, tell
from experiments.views.runs import shown_tags
from exptrack.pages import go_to, offer_undo, render_page, wants_fragment

HEADINGS = {"title": "Rename", "tags": "Tags", "notes": "Notes"}
EXPERIMENTS_OFFERED = 20


def part_page(
    request: HttpRequest, run: Run, part: str, form: forms.Form | None = None, **context: object
) -> HttpResponse:
    """A part of a run: with a form to be edited, without one as it is read, which by itself is
    the page of the run."""
    if form is None and not wants_fragment(request):
        return redirect("run-detail", run.pk)
    found = {"tags": shown_tags(run)} if part == "tags" else {}
    return render_page(
        request,
        "experiments/run_part.html",
        {
            "run": run,
            "part": f"experiments/_run_{part}.html",
            "heading": HEADINGS[part],
            "form": form,
            "may_edit": True,
            "returned": form is None,
            "preview": None,
            **found,
            **context,
        },
        fragment="part",
        status=422 if form is not None and form.errors else 200,
    )


def is_read(request: HttpRequest) -> bool:
    """Whether a part is asked for as it is read: who edits it has changed their mind."""
    return request.method == "GET" and "read" in request.GET


@require_http_methods(["GET", "POST"])
def run_name(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Rename it."""
    run = access.writable_run(request.user, pk)
    if is_read(request):
        return part_page(request, run, "title")
    form = RunNameForm(request.POST or None, initial={"name": run.name})
    if not form.is_valid():
        return part_page(request, run, "title", form)
    curating.update_run(run=run, name=form.cleaned_data["name"])
    return part_page(request, access.readable_run(request.user, pk), "title")


@require_http_methods(["GET", "POST"])
def run_notes(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Write its notes. Those that somebody saved meanwhile are shown beside one's own."""
    run = access.writable_run(request.user, pk)
    if is_read(request):
        return part_page(request, run, "notes")
    if request.method == "GET":
        return part_page(request, run, "notes", NotesForm.showing(run.notes))
    form = NotesForm(request.POST)
    if "preview" in request.POST:
        return part_page(request, run, "notes", form, preview=request.POST.get("notes", ""))
    if not form.is_valid():
        return part_page(request, run, "notes", form)
    written = form.cleaned_data
    try:
        run = curating.write_notes(run=run, notes=written["notes"], seen=written["seen"])
    except Conflict as conflict:
        form.data = {**form.data.dict(), "seen": curating.version_of(conflict.details["notes"])}
        form.add_error(None, f"{conflict.message} Save again to put yours in their place.")
        return part_page(request, run, "notes", form, theirs=conflict.details["notes"])
    return part_page(request, run, "notes")


@require_http_methods(["GET", "POST"])
def run_tags(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Set one tag, or, with `remove`, take one away."""
    run = access.writable_run(request.user, pk)
    if is_read(request):
        return part_page(request, run, "tags")
    if request.method == "GET":
        return part_page(request, run, "tags", TagForm())
    form = TagForm(request.POST)
    if "remove" in request.POST:
        form = TagForm()
        with suppress(Invalid):  # no tag has such a name
            curating.untag_runs(runs=[run], name=request.POST["remove"])
    elif form.is_valid():
        try:
            curating.tag_runs(runs=[run], **form.cleaned_data)
            form = TagForm()
        except Invalid as refusal:
            tell(form, refusal, "name")
    return part_page(request, run, "tags", form)


@require_http_methods(["GET", "POST"])
def run_move(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Choose another experiment for it among those that take one's runs."""
    run = access.writable_run(request.user, pk)
    targets = Experiment.objects.open_to(request.user).exclude(pk=run.experiment_id)
    if request.method == "POST":
        target = targets.filter(pk=chosen_id(request)).first()
        if target is not None:
            curating.update_run(run=run, experiment=target)
            messages.success(request, f"“{run.name}” belongs to “{target.name}” now.")
            return redirect("run-detail", run.pk)
    search = request.GET.get("search", "").replace("\0", "")[:LONGEST_TEXT]
    found = targets.searched(search) if search else targets
    context = {
        "run": run,
        "search": search,
        "targets": found.order_by("name")[:EXPERIMENTS_OFFERED],
        "most": EXPERIMENTS_OFFERED,
        "nothing_chosen": request.method == "POST",
    }
    status = 422 if request.method == "POST" else 200
    return render_page(
        request, "experiments/run_move.html", context, fragment="targets", status=status
    )


def chosen_id(request: HttpRequest) -> uuid.UUID | None:
    """The experiment that was chosen, if any."""
    try:
        return uuid.UUID(request.POST.get("experiment", ""))
    except ValueError:
        return None


@require_POST
def run_trash(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Move it to the trash, then to the experiment it is missing from."""
    run = access.writable_run(request.user, pk)
    curating.trash_runs(user=request.user, runs=[run])
    offer_undo(request, f"“{run.name}” is in the trash.", reverse("run-restore", args=[pk]))
    return go_to(request, "experiment-detail", run.experiment_id)


@require_POST
def run_restore(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Bring it back from the trash."""
    run = access.writable_run(request.user, pk)
    try:
        curating.restore_run(run=run)
    except Conflict as conflict:
        messages.warning(request, conflict.message)
    else:
        messages.success(request, f"“{run.name}” is back from the trash.")
    return go_to(request, "run-detail", pk)

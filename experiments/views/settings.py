"""What an experiment's owner, its editors and admins settle: what it is, who is in, the trash."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from experiments import access, curating
from experiments.models import Experiment
from experiments.refusals import Conflict, Invalid
from experiments.values import uuid_in
from experiments.views.forms import CollaboratorForm, ExperimentForm, ExperimentTagForm, tell
from exptrack.pages import go_to, offer_undo, render_page, wants_fragment

PEOPLE_SHOWN = 200


def settings_page(
    request: HttpRequest, experiment: Experiment, fragment: str, **context: object
) -> HttpResponse:
    """The page, or only its `fragment`, with the forms in `context` in place of fresh ones."""
    people = experiment.collaborators.select_related("user")[: PEOPLE_SHOWN + 1]
    context = {
        "experiment": experiment,
        "form": ExperimentForm.showing(experiment),
        "tag_form": ExperimentTagForm(),
        "tags": [
            {"name": name, "text_head": text} for name, text in sorted(experiment.tags.items())
        ],
        "people_form": CollaboratorForm(experiment),
        "people": people[:PEOPLE_SHOWN],
        "has_more_people": len(people) > PEOPLE_SHOWN,
        "preview": None,
        **context,
    }
    forms = [context[name] for name in ("form", "tag_form", "people_form")]
    status = 422 if any(form.is_bound and form.errors for form in forms) else 200
    template = "experiments/experiment_settings.html"
    return render_page(request, template, context, fragment=fragment, status=status)


@require_http_methods(["GET", "POST"])
def experiment_settings(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Name, description, status and visibility. A taken name, and a description that somebody
    saved meanwhile, are told, and nothing typed is lost."""
    experiment = access.writable_experiment(request.user, pk)
    if request.method == "GET":
        return settings_page(request, experiment, "general")
    form = ExperimentForm.showing(experiment, request.POST)
    if "preview" in request.POST:
        text = request.POST.get("description", "")
        return settings_page(request, experiment, "general", form=form, preview=text)
    if not form.is_valid():
        return settings_page(request, experiment, "general", form=form)
    try:
        curating.describe_experiment(
            user=request.user,
            experiment=experiment,
            seen=form.cleaned_data["seen"],
            **form.changes(),
        )
    except Conflict as conflict:
        return refused(request, experiment, form, conflict)
    messages.success(request, "Saved.")
    return go_to(request, "experiment-settings", pk)


def refused(
    request: HttpRequest, experiment: Experiment, form: ExperimentForm, conflict: Conflict
) -> HttpResponse:
    """The form again, with what stood in its way beside it."""
    context: dict[str, object] = {"form": form}
    if "description" in conflict.details:
        theirs = conflict.details["description"]
        form.data = {**form.data.dict(), "seen": curating.version_of(theirs)}
        form.add_error(None, f"{conflict.message} Save again to put yours in its place.")
        context["theirs"] = theirs
    else:
        form.add_error("name", conflict.message)
        context["namesake"] = uuid_in(conflict.details.get("id", ""))
    return settings_page(request, experiment, "general", **context)


def settled(request: HttpRequest, pk: uuid.UUID, fragment: str) -> HttpResponse:
    """A part of the page as it is now; the whole of it, fetched anew, without htmx."""
    if not wants_fragment(request):
        return redirect("experiment-settings", pk)
    return settings_page(request, access.writable_experiment(request.user, pk), fragment)


@require_POST
def experiment_tags(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Set one tag, or, with `remove`, take one away."""
    experiment = access.writable_experiment(request.user, pk)
    form = ExperimentTagForm(request.POST)
    if "remove" in request.POST:
        form = ExperimentTagForm()
        curating.untag_experiment(experiment=experiment, name=request.POST["remove"])
    elif form.is_valid():
        try:
            curating.tag_experiment(experiment=experiment, **form.cleaned_data)
            form = ExperimentTagForm()
        except Invalid as refusal:
            tell(form, refusal, "name")
    if form.is_bound:
        return settings_page(request, experiment, "tags", tag_form=form)
    return settled(request, pk, "tags")


@require_POST
def experiment_people(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Let somebody in, or change what they are."""
    experiment = access.writable_experiment(request.user, pk)
    form = CollaboratorForm(experiment, request.POST)
    if form.is_valid():
        curating.share_experiment(experiment=experiment, **form.cleaned_data)
        return settled(request, pk, "people")
    return settings_page(request, experiment, "people", people_form=form)


@require_POST
def experiment_person_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Let somebody out again. Who leaves themselves is brought to what they still see."""
    experiment = access.writable_experiment(request.user, pk)
    person = User.objects.filter(username=request.POST.get("user", "")).first()
    if person is not None:
        curating.unshare_experiment(experiment=experiment, user=person)
    if not access.edits_experiment(request.user, experiment):
        messages.success(request, f"You are no longer in “{experiment.name}”.")
        return go_to(request, "experiment-list")
    return settled(request, pk, "people")


@require_POST
def experiment_trash(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Move it to the trash with its runs, then to the list it is missing from."""
    experiment = access.writable_experiment(request.user, pk)
    curating.trash_experiment(user=request.user, experiment=experiment)
    undo = reverse("experiment-restore", args=[pk])
    offer_undo(request, f"“{experiment.name}” and its runs are in the trash.", undo)
    return go_to(request, "experiment-list")

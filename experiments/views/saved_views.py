"""Saved views of an experiment: the menu of them, and how they are made, changed and deleted."""

from __future__ import annotations

import uuid

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from experiments import access
from experiments.listing import Asked
from experiments.models import Experiment, SavedView
from experiments.refusals import Refused
from experiments.saved_views import (
    MOST_SHOWN,
    changeable_view,
    delete_view,
    kept_query,
    may_change,
    same_query,
    save_view,
    update_view,
    views_seen_by,
)
from experiments.values import NAME_LENGTH, InvalidValue, title
from experiments.views.forms import PLAIN_TEXT, by_rule, tell

# In place of a view's id: no view, not even the default one.
NO_VIEW = "none"


class SavedViewForm(forms.Form):
    """What a view is called, who sees it, and what it asks for."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        validators=[by_rule(title)],
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )
    shared = forms.BooleanField(
        required=False, label="Shared with everybody who sees the experiment"
    )
    is_default = forms.BooleanField(
        required=False, label="What the experiment opens with, for everybody"
    )
    query = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: object, is_editor: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not is_editor:
            del self.fields["is_default"]

    def save(self, view: SavedView, query: str | None = None) -> SavedView | None:
        """Store the view as the valid form says; None, with the fault told, when it cannot be."""
        asked = self.cleaned_data
        is_default = asked.get("is_default", view.is_default)
        try:
            return save_view(
                view=view,
                name=asked["name"],
                shared=asked["shared"],
                is_default=is_default,
                query=query,
            )
        except Refused as refusal:
            tell(self, refusal, "name")
            return None


@require_POST
def view_create(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Keep what the table shows under a name."""
    experiment = access.readable_experiment(request.user, pk)
    if not request.user.may_write:
        access.refuse("Viewers read what others keep.")
    form = SavedViewForm(request.POST, is_editor=access.edits_experiment(request.user, experiment))
    view = SavedView(experiment=experiment, owner=request.user)
    if form.is_valid() and form.save(view, form.cleaned_data["query"]):
        messages.success(request, f"The view “{view.name}” is saved.")
        return redirect(url_of(view))
    return form_page(request, experiment, form, "Save a view")


@require_http_methods(["GET", "HEAD", "POST"])
def view_edit(request: HttpRequest, pk: uuid.UUID, view_id: uuid.UUID) -> HttpResponse:
    """Rename a view, share it, make it the default."""
    experiment = access.readable_experiment(request.user, pk)
    view = changeable_view(request.user, experiment, view_id)
    is_editor = access.edits_experiment(request.user, experiment)
    first = {"name": view.name, "shared": view.shared, "is_default": view.is_default}
    form = SavedViewForm(request.POST or None, initial=first, is_editor=is_editor)
    if request.method == "POST" and form.is_valid() and form.save(view):
        messages.success(request, f"The view “{view.name}” is saved.")
        return redirect(url_of(view))
    return form_page(request, experiment, form, "Edit a view", view)


def form_page(
    request: HttpRequest,
    experiment: Experiment,
    form: SavedViewForm,
    heading: str,
    view: SavedView | None = None,
) -> HttpResponse:
    """The form on a page of its own, a 422 where it has faults."""
    context = {"experiment": experiment, "form": form, "heading": heading, "view": view}
    status = 422 if form.errors else 200
    return render(request, "experiments/view_edit.html", context, status=status)


@require_POST
def view_update(request: HttpRequest, pk: uuid.UUID, view_id: uuid.UUID) -> HttpResponse:
    """Let a view show what the table does now."""
    experiment = access.readable_experiment(request.user, pk)
    view = changeable_view(request.user, experiment, view_id)
    try:
        update_view(view=view, query=request.POST.get("query", ""))
        messages.success(request, f"The view “{view.name}” shows this from now on.")
    except Refused as refusal:
        messages.error(request, refusal.message)
    return redirect(url_of(view))


@require_POST
def view_delete(request: HttpRequest, pk: uuid.UUID, view_id: uuid.UUID) -> HttpResponse:
    """Forget a view."""
    experiment = access.readable_experiment(request.user, pk)
    view = changeable_view(request.user, experiment, view_id)
    delete_view(view=view)
    messages.success(request, f"The view “{view.name}” is deleted.")
    return redirect(f"{reverse('experiment-detail', args=[experiment.pk])}?saved={NO_VIEW}")


def url_of(view: SavedView) -> str:
    """Where a view is seen."""
    here = reverse("experiment-detail", args=[view.experiment_id])
    query = f"{view.query}&" if view.query else ""
    return f"{here}?{query}saved={view.pk}"


def default_url(experiment: Experiment) -> str | None:
    """Where an experiment opens, when that is a saved view."""
    view = experiment.views.filter(is_default=True).first()
    return None if view is None else url_of(view)


def views_context(user: User, experiment: Experiment, asked: Asked) -> dict:
    """The menu of views: which there are, which one is open, and whether the table still shows
    what it does."""
    views = list(views_seen_by(user, experiment)[:MOST_SHOWN])
    current = next((view for view in views if str(view.pk) == asked.query.get("saved")), None)
    try:
        query = kept_query(asked.query.urlencode())
    except InvalidValue:
        query = ""
    is_editor = user.may_write and bool(views) and access.edits_experiment(user, experiment)
    has_default = any(view.is_default for view in views)
    return {
        "views": [(view, url_of(view), may_change(user, view, is_editor)) for view in views],
        "current_view": current,
        "may_update": current is not None and may_change(user, current, is_editor),
        "is_changed": current is not None and not same_query(current.query, query),
        "query_to_keep": query,
        "all_runs_url": f"?saved={NO_VIEW}" if has_default else "?",
    }

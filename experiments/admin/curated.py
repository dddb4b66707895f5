"""What a hand may correct: experiments, runs, who is in, saved views."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.urls import reverse

from experiments import curating, purging, recording
from experiments.admin.lists import InTrash, ManyRowsAdmin, ShownStatus, TrashActions
from experiments.labels import checked_tags
from experiments.models import Collaborator, Experiment, Run, SavedView
from experiments.querysets import folded_contains
from experiments.refusals import Refused
from experiments.values import InvalidValue, experiment_title, title

IN_TRASH = ("trashed_at", "trashed_by")


class TagsField(forms.JSONField):
    """Tags as JSON; what cannot be used is shown as it was typed."""

    def bound_data(self, data: str, initial: object) -> InvalidJSONInput:
        return InvalidJSONInput(data)


class ExperimentForm(forms.ModelForm):
    """An experiment's own fields, by the rules of the API."""

    class Meta:
        model = Experiment
        fields = ["name", "description", "status", "visibility", "owner", "tags"]
        field_classes = {"tags": TagsField}

    def clean_name(self) -> str:
        try:
            return experiment_title(self.cleaned_data["name"])
        except InvalidValue as error:
            raise ValidationError(str(error)) from error

    def clean(self) -> dict:
        data = super().clean()
        same = Experiment.objects.alive().filter(name=data.get("name")).exclude(pk=self.instance.pk)
        same = same.filter(visibility=data.get("visibility"))
        if data.get("visibility") == Experiment.Visibility.PRIVATE:
            same = same.filter(owner=data.get("owner"))
        if same.exists():
            self.add_error("name", "This name is in use. Choose another one.")
        return data

    def clean_tags(self) -> dict:
        tags = self.cleaned_data["tags"] or {}
        is_tags = isinstance(tags, dict) and all(isinstance(text, str) for text in tags.values())
        if not is_tags:
            raise ValidationError('Tags are names with texts, like {"stage": "final"}.')
        try:
            return checked_tags(tags)
        except Refused as refusal:
            faults = [text for texts in refusal.details.values() for text in texts]
            raise ValidationError(faults or [refusal.message]) from refusal


@admin.register(Experiment)
class ExperimentAdmin(TrashActions, ManyRowsAdmin):
    form = ExperimentForm
    list_display = ["name", "status", "visibility", "owner", "last_run_at", *IN_TRASH]
    list_filter = ["status", "visibility", InTrash]
    list_select_related = ["owner", "trashed_by"]
    search_help_text = "An id, or part of a name"
    autocomplete_fields = ["owner"]
    readonly_fields = ["id", "created_at", "updated_at", "last_run_at", *IN_TRASH]

    def view_on_site(self, experiment: Experiment) -> str:
        return reverse("experiment-detail", args=[experiment.pk])

    def named(self, rows: QuerySet, text: str) -> QuerySet:
        return rows.filter(folded_contains("name", text))

    def save_model(
        self, request: HttpRequest, experiment: Experiment, form: ExperimentForm, change: bool
    ) -> None:
        # Only what the form changed: the rest may have moved on since it was read.
        options = {"update_fields": [*form.changed_data, "updated_at"]} if change else {}
        recording.save_under_unique_name(request.user, experiment, **options)

    def trash_one(self, request: HttpRequest, experiment: Experiment) -> None:
        curating.trash_experiment(user=request.user, experiment=experiment)

    def restore_one(self, request: HttpRequest, experiment: Experiment) -> None:
        curating.restore_experiment(user=request.user, experiment=experiment)

    def purge_all(self, experiments: list[Experiment]) -> None:
        for experiment in experiments:
            purging.purge_experiment(experiment=experiment)

    def runs_below(self, experiments: list[Experiment]) -> int:
        return Run.objects.filter(experiment__in=experiments).count()


class RunForm(forms.ModelForm):
    """What a hand may correct of a run."""

    class Meta:
        model = Run
        fields = ["name", "experiment", "status", "notes"]

    def clean_name(self) -> str:
        try:
            return title(self.cleaned_data["name"])
        except InvalidValue as error:
            raise ValidationError(str(error)) from error

    def clean_status(self) -> str:
        status = self.cleaned_data["status"]
        if status == Run.Status.QUEUED and self.instance.has_ended:
            raise ValidationError("A run that has ended cannot be queued again.")
        return status

    def _get_validation_exclusions(self) -> set[str]:
        # The end belongs to the status; curating.update_run sets both.
        return {*super()._get_validation_exclusions(), "ended_at", "status"}


@admin.register(Run)
class RunAdmin(TrashActions, ManyRowsAdmin):
    form = RunForm
    list_display = [
        "name",
        "experiment",
        "shown_status",
        "owner",
        "started_at",
        "ended_at",
        *IN_TRASH,
    ]
    list_filter = [ShownStatus, InTrash]
    list_select_related = ["experiment", "owner", "trashed_by"]
    search_help_text = "The id of a run or experiment, or part of a name"
    id_fields = ("pk", "experiment")
    autocomplete_fields = ["experiment"]
    actions = ["finish", *TrashActions.actions]
    readonly_fields = [
        "id",
        "owner",
        "parent",
        "started_at",
        "ended_at",
        "last_seen_at",
        "stop_requested",
        "revision",
        "error",
        *IN_TRASH,
    ]

    def view_on_site(self, run: Run) -> str:
        return reverse("run-detail", args=[run.pk])

    @admin.display(description="status", ordering="status")
    def shown_status(self, run: Run) -> str:
        return run.shown_status

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        at_list = request.resolver_match and request.resolver_match.url_name.endswith("changelist")
        return rows.defer("notes", "error") if at_list else rows

    def named(self, rows: QuerySet, text: str) -> QuerySet:
        return rows.filter(folded_contains("name", text))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, run: Run, form: RunForm, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        curating.update_run(run=run, **changes)

    @admin.action(description="Mark as finished")
    def finish(self, request: HttpRequest, rows: QuerySet) -> None:
        def finish_one(request: HttpRequest, run: Run) -> None:
            recording.finish_run(run=run, status=Run.Status.FINISHED)

        self.each(request, rows.filter(ended_at=None), finish_one, "marked as finished")

    def trash_one(self, request: HttpRequest, run: Run) -> None:
        curating.trash_runs(user=request.user, runs=[run])

    def restore_one(self, request: HttpRequest, run: Run) -> None:
        curating.restore_run(run=run)

    def purge_all(self, runs: list[Run]) -> None:
        purging.purge_runs(ids=[run.pk for run in runs])

    def runs_below(self, runs: list[Run]) -> int:
        return len(runs)


@admin.register(Collaborator)
class CollaboratorAdmin(ManyRowsAdmin):
    list_display = ["experiment", "user", "role"]
    list_filter = ["role"]
    list_select_related = ["experiment", "user"]
    search_help_text = "An experiment's id, or a user name"
    autocomplete_fields = ["experiment", "user"]
    id_fields = ("pk", "experiment")
    name_field = "user__username"

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.is_admin


@admin.register(SavedView)
class SavedViewAdmin(ManyRowsAdmin):
    list_display = ["name", "experiment", "owner", "shared", "is_default"]
    list_filter = ["shared", "is_default"]
    list_select_related = ["experiment", "owner"]
    search_help_text = "The id of a view or experiment, or an exact name"
    autocomplete_fields = ["experiment", "owner"]
    id_fields = ("pk", "experiment")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.is_admin

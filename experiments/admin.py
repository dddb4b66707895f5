"""Everything recorded, for operators: find it, correct it by hand, tidy it away.

Usable at 100,000 runs and millions of params: counting stops above 10,000, no list asks the
database anything per row, and writes go through `recording` and `curating` like everyone's.
"""

from __future__ import annotations

import uuid

import structlog
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from experiments import curating, purging, recording
from experiments.models import (
    Chunk,
    Collaborator,
    Environment,
    Experiment,
    Metric,
    Param,
    Run,
    SavedView,
    Tag,
    Tail,
    Writer,
)
from experiments.paging import bounded_count
from experiments.querysets import folded_contains
from experiments.refusals import Refused
from experiments.values import InvalidValue, experiment_title, title

log = structlog.get_logger(__name__)

PURGED_AT_ONCE = 1_000


class BoundedPaginator(Paginator):
    """Counts no further than 10,000 rows; what lies beyond is found by searching."""

    @cached_property
    def count(self) -> int:
        return bounded_count(self.object_list)[0]


class InTrash(admin.SimpleListFilter):
    """In the trash or not."""

    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple]:
        return [("no", "Not in the trash"), ("yes", "In the trash")]

    def queryset(self, request: HttpRequest, rows: QuerySet) -> QuerySet:
        if self.value() is None:
            return rows
        return rows.filter(trashed_at__isnull=self.value() == "no")


class ManyRowsAdmin(admin.ModelAdmin):
    """A list that stays quick however many rows there are, newest first."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 100
    ordering = ["-pk"]
    search_help_text = "An id, or an exact name"
    search_fields = ["pk"]  # shows the field; get_search_results does the work
    id_fields = ("pk",)
    name_field: str | None = "name"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Rows with this id in any of `id_fields`, else with this name; both walk an index or
        stop at the first page."""
        text = search_term.strip().replace("\0", "")
        if not text:
            return queryset, False
        try:
            pk = uuid.UUID(text)
        except ValueError:
            return self.named(queryset, text), False
        found = queryset.none()
        for field in self.id_fields:
            found |= queryset.filter(**{field: pk})
        return found, False

    def named(self, rows: QuerySet, text: str) -> QuerySet:
        return rows.filter(**{self.name_field: text}) if self.name_field else rows.none()

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Django's own deletion would walk every row below through Python; purge does not."""
        return False


class RecordedAdmin(ManyRowsAdmin):
    """What training wrote: to be looked at, never touched, or summaries and points would part."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class TrashActions:
    """Trash, restore and purge, for experiments and runs alike."""

    actions = ["move_to_trash", "restore", "purge"]

    @admin.action(description="Move to the trash")
    def move_to_trash(self, request: HttpRequest, rows: QuerySet) -> None:
        self.each(request, rows.filter(trashed_at=None), self.trash_one, "moved to the trash")

    @admin.action(description="Restore from the trash")
    def restore(self, request: HttpRequest, rows: QuerySet) -> None:
        self.each(request, rows.exclude(trashed_at=None), self.restore_one, "restored")

    @admin.action(description="Purge for good (from the trash)")
    def purge(self, request: HttpRequest, rows: QuerySet) -> TemplateResponse | None:
        """Ask first; then delete what is in the trash, a bounded number at once."""
        doomed = list(rows.exclude(trashed_at=None).select_related(None)[:PURGED_AT_ONCE])
        if not doomed:
            self.message_user(request, "Only what is in the trash is purged.", messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            return TemplateResponse(
                request,
                "admin/purge_confirmation.html",
                {
                    **self.admin_site.each_context(request),
                    "title": "Purge for good?",
                    "opts": self.model._meta,
                    "doomed": doomed,
                    "runs": self.runs_below(doomed),
                },
            )
        self.purge_all(doomed)
        self.log_deletions(request, doomed)
        log.info("purged", model=self.model._meta.model_name, count=len(doomed))
        self.message_user(request, f"{len(doomed)} purged.", messages.SUCCESS)
        return None

    def each(self, request: HttpRequest, rows: QuerySet, act: object, done: str) -> None:
        """Do it to each row, and tell how many it was done to and what stood in the way."""
        count = 0
        for row in rows:
            try:
                act(request, row)
            except Refused as refusal:
                self.message_user(request, f"{row}: {refusal.message}", messages.ERROR)
                continue
            self.log_change(request, row, done)
            count += 1
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)


class ExperimentForm(forms.ModelForm):
    """An experiment's own fields, by the rules of the API."""

    class Meta:
        model = Experiment
        fields = ["name", "description", "status", "visibility", "owner", "tags"]

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
            return recording.checked_tags(tags)
        except Refused as refusal:
            faults = [text for texts in refusal.details.values() for text in texts]
            raise ValidationError(faults or [refusal.message]) from refusal


@admin.register(Experiment)
class ExperimentAdmin(TrashActions, ManyRowsAdmin):
    form = ExperimentForm
    list_display = ["name", "status", "visibility", "owner", "last_run_at", "trashed_at"]
    list_filter = ["status", "visibility", InTrash]
    list_select_related = ["owner"]
    search_help_text = "An id, or part of a name"
    autocomplete_fields = ["owner"]
    readonly_fields = ["id", "created_at", "updated_at", "last_run_at", "trashed_at"]

    def named(self, rows: QuerySet, text: str) -> QuerySet:
        return rows.filter(folded_contains("name", text))

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

    def _get_validation_exclusions(self) -> set[str]:
        # The end belongs to the status; curating.update_run sets both.
        return {*super()._get_validation_exclusions(), "ended_at", "status"}


@admin.register(Run)
class RunAdmin(TrashActions, ManyRowsAdmin):
    form = RunForm
    list_display = ["name", "experiment", "status", "owner", "started_at", "trashed_at"]
    list_filter = ["status", InTrash]
    list_select_related = ["experiment", "owner"]
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
        "trashed_at",
    ]

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


@admin.register(Param)
class ParamAdmin(RecordedAdmin):
    list_display = ["name", "kind", "text_head", "run", "experiment"]
    list_select_related = ["run", "experiment"]
    search_help_text = "A run's id, or an exact name"
    id_fields = ("pk", "run")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("run__notes", "run__error")


@admin.register(Tag)
class TagAdmin(ParamAdmin):
    list_display = ["name", "text_head", "run", "experiment"]


@admin.register(Metric)
class MetricAdmin(ParamAdmin):
    list_display = ["name", "count", "last_value", "last_step", "run", "experiment"]


@admin.register(Environment)
class EnvironmentAdmin(RecordedAdmin):
    list_display = ["run_id", "run"]
    list_select_related = ["run"]
    search_help_text = "A run's id"
    name_field = None


@admin.register(Writer)
class WriterAdmin(RecordedAdmin):
    list_display = ["name", "seq", "run"]
    list_select_related = ["run"]
    search_help_text = "A run's id, or an exact name"
    id_fields = ("pk", "run")
    exclude = ["digest"]


@admin.register(Tail)
class TailAdmin(RecordedAdmin):
    list_display = ["metric", "position", "small_chunks"]
    list_select_related = ["metric"]
    search_help_text = "The id of a metric or run, or a metric's exact name"
    id_fields = ("pk", "metric__run")
    name_field = "metric__name"
    exclude = ["data"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("data")


@admin.register(Chunk)
class ChunkAdmin(TailAdmin):
    list_display = ["metric", "position", "count", "min_step", "max_step", "format"]
    id_fields = ("pk", "metric", "metric__run")

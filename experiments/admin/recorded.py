"""What training wrote: to be looked at, never touched."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from experiments.admin.lists import ManyRowsAdmin
from experiments.models import Chunk, Environment, Metric, Param, Tag, Tail, Writer


class RecordedAdmin(ManyRowsAdmin):
    """What training wrote: to be looked at, never touched, or summaries and points would part."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


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

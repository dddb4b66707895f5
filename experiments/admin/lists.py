"""What the lists of the admin have in common."""

from __future__ import annotations

import uuid

import structlog
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from experiments.paging import bounded_count
from experiments.querysets import STATUSES
from experiments.refusals import Refused

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


class ShownStatus(admin.SimpleListFilter):
    """The status as people see it: lost is running, and silent for too long."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple]:
        return [(status, status.capitalize()) for status in STATUSES]

    def queryset(self, request: HttpRequest, rows: QuerySet) -> QuerySet:
        return rows.with_status(self.value()) if self.value() in STATUSES else rows


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

    def changeform_view(
        self, request: HttpRequest, *args: object, **options: object
    ) -> HttpResponse:
        """A form whose facts changed after they were checked is told of, and shown anew."""
        try:
            return super().changeform_view(request, *args, **options)
        except (Refused, IntegrityError) as error:
            fault = "This was changed at the same moment. Nothing was saved: look again."
            self.message_user(request, getattr(error, "message", fault), messages.ERROR)
            return redirect(request.get_full_path())

    def named(self, rows: QuerySet, text: str) -> QuerySet:
        return rows.filter(**{self.name_field: text}) if self.name_field else rows.none()

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Django's own deletion would walk every row below through Python; purge does not."""
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

"""People and tokens in the admin. Nobody is deleted: what they recorded keeps its owner."""

from __future__ import annotations

import structlog
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Token, User

log = structlog.get_logger(__name__)

LAST_ADMIN = (
    "This would leave no active admin, and nobody could come in here again. "
    "Make someone else an admin first."
)

admin.site.site_header = "ExpTrack administration"
admin.site.site_title = "ExpTrack"
admin.site.index_title = "Everything recorded"
admin.site.unregister(Group)


class UserCreationForm(auth_forms.AdminUserCreationForm):
    """A new person, with a password or without one."""

    usable_password = auth_forms.SetUnusablePasswordMixin.create_usable_password_field(
        "Disabled: nobody signs in by this name; scripts log by its tokens, which "
        "`manage.py create_token` makes."
    )

    class Meta:
        model = User
        fields = ["username", "email", "role"]
        field_classes = {"username": auth_forms.UsernameField}


class UserChangeForm(auth_forms.UserChangeForm):
    """A person as an admin sees them."""

    class Meta:
        model = User
        fields = ["username", "email", "role", "is_active", "theme", "density", "password"]
        field_classes = {"username": auth_forms.UsernameField}

    def clean(self) -> dict:
        data = super().clean()
        stays_admin = data.get("role") == User.Role.ADMIN and data.get("is_active")
        if not stays_admin and not User.objects.would_keep_an_admin(without=[self.instance.pk]):
            raise forms.ValidationError(LAST_ADMIN)
        return data


@admin.register(User)
class UserAdmin(auth_admin.UserAdmin):
    """Create, find, promote, deactivate; set a password anew."""

    form = UserChangeForm
    add_form = UserCreationForm
    list_display = ["username", "email", "role", "is_active", "live_tokens", "last_login"]
    list_filter = ["role", "is_active"]
    search_fields = ["username", "email"]
    search_help_text = "Part of a user name or e-mail address"
    ordering = ["username"]
    filter_horizontal = []
    show_full_result_count = False
    readonly_fields = ["date_joined", "last_login"]
    fieldsets = [
        (None, {"fields": ["username", "password", "email"]}),
        ("Rights", {"fields": ["role", "is_active"]}),
        ("Appearance", {"fields": ["theme", "density"], "classes": ["collapse"]}),
        ("Times", {"fields": ["date_joined", "last_login"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": [
                    "username",
                    "email",
                    "role",
                    "usable_password",
                    "password1",
                    "password2",
                ],
            },
        )
    ]
    actions = ["activate", "deactivate"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """People with the number of tokens that open something now."""
        return super().get_queryset(request).with_live_tokens()

    @admin.display(description="live tokens", ordering="live_token_count")
    def live_tokens(self, user: User) -> int:
        return user.live_token_count

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Never: deactivate instead."""
        return False

    @admin.action(description="Activate the selected users")
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        people = list(queryset.filter(is_active=False))
        self.set_active(request, people, True)
        for user in people:
            log.info("user_activated", user=user.username, by=request.user.username)

    @admin.action(description="Deactivate the selected users: sessions and tokens end")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        people = list(queryset.filter(is_active=True))
        with transaction.atomic():
            if not User.objects.would_keep_an_admin(without=[user.pk for user in people]):
                self.message_user(request, LAST_ADMIN, messages.ERROR)
                return
            self.set_active(request, people, False)
        for user in people:
            log.info("user_deactivated", user=user.username, by=request.user.username)

    def set_active(self, request: HttpRequest, people: list[User], is_active: bool) -> None:
        """Activate or deactivate `people`, with a line in the history for each."""
        word = "activated" if is_active else "deactivated"
        User.objects.filter(pk__in=[user.pk for user in people]).update(is_active=is_active)
        note_changes(request, people, f"{word.capitalize()}.")
        self.message_user(request, f"{len(people)} {word}.", messages.SUCCESS)


class TokenState(admin.SimpleListFilter):
    """Whether a token still opens something."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [("live", "Live"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Token]) -> QuerySet[Token]:
        if self.value() == "live":
            return queryset.live()
        if self.value() == "expired":
            return queryset.expired()
        if self.value() == "revoked":
            return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):
    """Look at tokens and end them. Their secrets are nowhere, their digests not shown."""

    list_display = [
        "name",
        "hint",
        "user",
        "scope",
        "experiment_id",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ]
    list_filter = [TokenState, "scope"]
    search_fields = ["name", "hint", "user__username"]
    search_help_text = "Part of a token's name, its first letters, or part of a user name"
    ordering = ["-created_at", "-id"]
    show_full_result_count = False
    fields = list_display
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: the secret would pass through an admin's hands."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        """Never: a revoked token stays to be seen."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """No address of this list feels its way along a digest."""
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    @admin.action(description="Revoke the selected tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        tokens = list(queryset.filter(revoked_at=None).select_related("user"))
        Token.objects.filter(pk__in=[token.pk for token in tokens]).revoke()
        note_changes(request, tokens, "Revoked.")
        for token in tokens:
            log.info(
                "token_revoked",
                user=token.user.username,
                token=str(token.pk),
                by=request.user.username,
            )
        self.message_user(request, f"{len(tokens)} revoked.", messages.SUCCESS)


def note_changes(request: HttpRequest, objects: list, message: str) -> None:
    """A line in the admin's history for each of `objects`."""
    if objects:
        LogEntry.objects.log_actions(request.user.pk, objects, CHANGE, message)

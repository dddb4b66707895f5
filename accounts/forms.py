"""What people fill in about themselves, and what is said when it does not fit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import structlog
from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth import forms as auth_forms
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables
from uuid_utils.compat import uuid7

from accounts.models import Token, User

log = structlog.get_logger(__name__)

NEW_PASSWORD_HELP = (
    "At least 12 characters, not a common password, and not like your user name. "  # noqa: S105
    "A few unrelated words do well."
)
LIFETIMES = {
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
    "1y": ("1 year", timedelta(days=365)),
    "never": ("Never", None),
}
# So that nobody's mailbox can be filled from the reset page.
RESET_MAIL_EVERY_SECONDS = 120


class SignInForm(auth_forms.AuthenticationForm):
    """User name and password. One sentence for whatever is wrong with them."""

    error_messages = dict.fromkeys(
        ("invalid_login", "inactive"),
        "This user name and password do not belong together. Both mind capital letters.",
    )

    def __init__(self, request: HttpRequest | None = None, *args: object, **kwargs: object) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"].label = "User name"


class CurrentPasswordForm(forms.Form):
    """A change that only the person at the keyboard may make, not whoever found it unlocked.

    Goes through `authenticate`, so that guessing is counted and locked out as at sign-in.
    """

    current_password = forms.CharField(
        strip=False,
        help_text="To confirm that it is you.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Enter your current password to confirm this."},
    )

    def __init__(self, *args: object, request: HttpRequest, **kwargs: object) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    @sensitive_variables()
    def clean_current_password(self) -> str:
        password = self.cleaned_data["current_password"]
        username = self.request.user.get_username()
        if authenticate(self.request, username=username, password=password) is None:
            raise forms.ValidationError("This is not your current password.")
        return password


class ProfileForm(CurrentPasswordForm):
    """The address that a new password can be sent to: as good as the password itself."""

    email = forms.EmailField(
        label="E-mail",
        required=False,
        max_length=User._meta.get_field("email").max_length,
        help_text="Only used to send you a link when you have forgotten your password.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    field_order = ["email", "current_password"]

    def save(self) -> None:
        """Store the address."""
        user = self.request.user
        user.email = self.cleaned_data["email"]
        user.save(update_fields=["email"])


class NewPasswordForm(auth_forms.SetPasswordForm):
    """A new password, twice."""

    new_password1, new_password2 = auth_forms.SetPasswordForm.create_password_fields(
        label1="New password", label2="New password again"
    )

    def __init__(self, user: User, *args: object, **kwargs: object) -> None:
        super().__init__(user, *args, **kwargs)
        self.fields["new_password1"].help_text = NEW_PASSWORD_HELP
        self.fields["new_password2"].help_text = ""


class PasswordChangeForm(CurrentPasswordForm, NewPasswordForm):
    """The current password, then a new one, twice."""

    field_order = ["current_password", "new_password1", "new_password2"]

    def __init__(self, *args: object, request: HttpRequest, **kwargs: object) -> None:
        super().__init__(request.user, *args, request=request, **kwargs)


class PasswordResetForm(auth_forms.PasswordResetForm):
    """Sends a link to whoever has this address. Says the same, as fast, when nobody has it."""

    def get_users(self, email: str) -> Iterator[User]:
        """Those who have this address, except who was written to a moment ago."""
        for user in super().get_users(email):
            if cache.add(f"password-reset-mail:{user.pk}", True, RESET_MAIL_EVERY_SECONDS):
                yield user

    def send_mail(
        self,
        subject_template_name: str,
        email_template_name: str,
        context: dict,
        from_email: str | None,
        to_email: str,
        html_email_template_name: str | None = None,
    ) -> None:
        """Send it beside the request: how long that takes would tell that somebody has it."""
        subject = render_to_string(subject_template_name, context).strip()
        body = render_to_string(email_template_name, context)
        mail = EmailMessage(subject, body, from_email, [to_email])
        user = str(context["user"].pk)
        threading.Thread(target=deliver, args=(mail, user), name="password-reset-mail").start()


def deliver(mail: EmailMessage, user: str) -> None:
    """Send `mail`; a failure is logged with the id of the `user`, since nobody waits for it."""
    try:
        mail.send()
    except Exception:
        log.exception("password_reset_mail_failed", user=user)
    else:
        log.info("password_reset_mail_sent", user=user)


class AppearanceForm(forms.ModelForm):
    """How pages look. Either choice may be sent alone."""

    class Meta:
        model = User
        fields = ["theme", "density"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for name in set(self.fields) - set(self.data):
            del self.fields[name]


class TokenForm(forms.Form):
    """What a new token is for. `id` makes sending the form twice harmless."""

    id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid7)
    name = forms.CharField(
        max_length=Token._meta.get_field("name").max_length,
        help_text="Where it will be used, such as “gpu-3 nightly”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scope = forms.ChoiceField()
    lifetime = forms.ChoiceField(
        label="Expires after",
        choices=[(word, label) for word, (label, _) in LIFETIMES.items()],
        initial="90d",
    )
    experiment_id = forms.CharField(
        label="Only this experiment",
        required=False,
        max_length=250,
        help_text="Its name or id. Left empty, the token sees all that you see.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "spellcheck": "false",
                "list": "experiment-names",
                "hx-get": reverse_lazy("experiment-names"),
                "hx-target": "#experiment-names",
                "hx-trigger": "focus once, input changed delay:150ms",
            }
        ),
    )

    def __init__(self, user: User, *args: object, **kwargs: object) -> None:
        super().__init__(*args, auto_id="token-%s", **kwargs)
        self.user = user
        self.fields["scope"].choices = scopes_for(user)

    def clean_experiment_id(self) -> UUID | None:
        """The experiment meant by its name or id. An id is taken as it is: it opens nothing that
        its user does not see."""
        text = self.cleaned_data["experiment_id"]
        try:
            return UUID(text) if text else None
        except ValueError:
            found = import_string(settings.EXPERIMENT_FINDER)(self.user, text)
        if found is None:
            raise forms.ValidationError("You see no experiment of this name.")
        return found

    def issue(self) -> tuple[Token, str] | None:
        """The new token and its secret; None, with an error, if this form was sent before."""
        data = self.cleaned_data
        lifetime = LIFETIMES[data["lifetime"]][1]
        try:
            with transaction.atomic():
                return Token.objects.issue(
                    self.user,
                    data["name"],
                    id=data["id"],
                    scope=data["scope"],
                    experiment_id=data["experiment_id"],
                    expires_at=lifetime and timezone.now() + lifetime,
                )
        except IntegrityError:
            self.add_error(
                None,
                "This token was made already, and its secret is shown only once. "
                "If you missed it, revoke it and make another.",
            )
            return None


def scopes_for(user: User) -> list[tuple[str, str]]:
    """The scopes that `user` could use; a token never gives more than its user has."""
    labels = {
        Token.Scope.WRITE: "Read and write: all that I may",
        Token.Scope.LOG: "Log only: make runs and log to them",
        Token.Scope.READ: "Read: change nothing",
    }
    usable = labels if user.may_write else [Token.Scope.READ]
    return [(scope, labels[scope]) for scope in usable]

"""Changing a password, and getting a new one by e-mail in four steps."""

from __future__ import annotations

import structlog
from axes.utils import reset as forgive_failures
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.forms import NewPasswordForm, PasswordChangeForm, PasswordResetForm

log = structlog.get_logger(__name__)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password_change(request: HttpRequest) -> HttpResponse:
    """Change one's own password; every other session of the user ends."""
    if request.method != "POST":
        form = PasswordChangeForm(request=request)
        return render(request, "accounts/password_change.html", {"form": form})
    form = PasswordChangeForm(request.POST, request=request)
    if not form.is_valid():
        return render(request, "accounts/password_change.html", {"form": form}, status=422)
    form.save()
    update_session_auth_hash(request, request.user)
    log.info("password_changed", user=request.user.username)
    messages.success(request, "Your password is changed. Other browsers are signed out.")
    return redirect("account")


class PasswordReset(auth_views.PasswordResetView):
    """Step one: an address."""

    template_name = "accounts/password_reset.html"
    form_class = PasswordResetForm
    email_template_name = "accounts/mail/password_reset.txt"
    subject_template_name = "accounts/mail/password_reset_subject.txt"
    success_url = reverse_lazy("password-reset-sent")

    def form_invalid(self, form: PasswordResetForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


class PasswordResetSent(auth_views.PasswordResetDoneView):
    """Step two: look into your mail. Says the same whether a mail was sent or not."""

    template_name = "accounts/password_reset_sent.html"


class PasswordResetConfirm(auth_views.PasswordResetConfirmView):
    """Step three, behind the link in the mail: a new password."""

    template_name = "accounts/password_reset_confirm.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("password-reset-done")

    def form_valid(self, form: NewPasswordForm) -> HttpResponse:
        response = super().form_valid(form)
        # Whoever reads the user's mail has proved more than a tenth guess would.
        forgive_failures(username=self.user.username)
        log.info("password_reset", user=self.user.username)
        return response

    def form_invalid(self, form: NewPasswordForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


class PasswordResetDone(auth_views.PasswordResetCompleteView):
    """Step four: sign in with it."""

    template_name = "accounts/password_reset_done.html"

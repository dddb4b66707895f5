"""Signing in and out."""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from accounts.addresses import client_address
from accounts.forms import SignInForm

log = structlog.get_logger(__name__)


class SignIn(LoginView):
    """Sign in by user name and password, then on to `next`."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:
        """`next`, if it is an address of ours and not this page again."""
        target = super().get_redirect_url()
        return "" if urlsplit(target).path == self.request.path else target

    def form_valid(self, form: SignInForm) -> HttpResponse:
        log.info("signed_in", user=form.get_user().username)
        return super().form_valid(form)

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        is_closed = getattr(self.request, "axes_locked_out", False)
        # No name: people type passwords there.
        log.warning(
            "sign_in_closed" if is_closed else "sign_in_refused",
            address=client_address(self.request),
        )
        return self.render_to_response(self.get_context_data(form=form), status=422)


@method_decorator(login_not_required, name="dispatch")
class SignOut(LogoutView):
    """Sign out, also of a session that has already ended."""


@require_safe
def signed_in_again(request: HttpRequest) -> HttpResponse:
    """Where signing in leads from a page that was left open: back to that page."""
    return render(request, "accounts/signed_in_again.html")


@require_safe
def form_token(request: HttpRequest) -> JsonResponse:
    """What the forms of a page need that was open while its reader signed in anew. Nobody else's
    site can read it."""
    return JsonResponse({"token": get_token(request), "user": request.user.username})

"""The account page: profile, appearance, tokens."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms import AppearanceForm, ProfileForm, TokenForm
from accounts.models import Token
from accounts.snippets import snippets_for
from exptrack.pages import render_page, wants_fragment

log = structlog.get_logger(__name__)

TOKENS_PER_PAGE = 50


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Everything about oneself. `before` is the id of the last token of the page above,
    `experiment` fills in what a new token is for."""
    return account_page(request, fragment="tokens")


def account_page(
    request: HttpRequest, *, fragment: str, status: int = 200, **context: object
) -> HttpResponse:
    """The page, or only its `fragment`, with the forms in `context` in place of empty ones."""
    tokens = Token.objects.for_account(request.user)
    older = tokens.older_than(before) if (before := request.GET.get("before")) else tokens
    shown = list(older[: TOKENS_PER_PAGE + 1])
    initial = {"experiment_id": request.GET.get("experiment", "")}
    return render_page(
        request,
        "accounts/account.html",
        {
            "profile_form": ProfileForm(request=request, initial={"email": request.user.email}),
            "token_form": TokenForm(request.user, initial=initial),
            "tokens": shown[:TOKENS_PER_PAGE],
            "has_older": len(shown) > TOKENS_PER_PAGE,
            "is_first_page": not before,
            **context,
        },
        fragment=fragment,
        status=status,
    )


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def profile_save(request: HttpRequest) -> HttpResponse:
    """Store the e-mail address, confirmed by the password."""
    if request.method == "GET":  # sent here by a sign-in that came between
        return redirect("account")
    form = ProfileForm(request.POST, request=request)
    if not form.is_valid():
        return account_page(request, fragment="profile", status=422, profile_form=form)
    form.save()
    log.info("profile_changed", user=request.user.username)
    messages.success(request, "Your e-mail address is saved.")
    if wants_fragment(request):
        return account_page(request, fragment="profile")
    return redirect("account")


@require_POST
def appearance_save(request: HttpRequest) -> HttpResponse:
    """Store theme or density, then back to the page it was chosen on."""
    form = AppearanceForm(request.POST, instance=request.user)
    if not form.is_valid():
        return HttpResponse("There is no such theme or density.", status=400)
    request.user.save(update_fields=[*form.fields])
    if wants_fragment(request):
        return HttpResponse(status=204)
    page = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, request.is_secure())
    return redirect(page if is_ours else resolve_url("account"))


@sensitive_variables("secret", "made")
@require_http_methods(["GET", "POST"])
def token_create(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, in this answer and never again."""
    if request.method == "GET":  # sent here by a sign-in that came between
        return redirect("account")
    form = TokenForm(request.user, request.POST)
    made = form.issue() if form.is_valid() else None
    if made is None:
        return account_page(request, fragment="tokens", status=422, token_form=form)
    token, secret = made
    log.info("token_created", user=request.user.username, token=str(token.pk), scope=token.scope)
    address = request.build_absolute_uri("/").rstrip("/")
    return account_page(
        request,
        fragment="tokens",
        made=token,
        secret=secret,
        snippets=snippets_for(token, secret, address),
    )


@require_POST
def token_revoke(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End one of one's own tokens; again is fine."""
    token = get_object_or_404(Token, pk=token_id, user=request.user)
    token.revoke()
    log.info("token_revoked", user=request.user.username, token=str(token.pk))
    messages.success(request, f"The token “{token.name}” is revoked and opens nothing any more.")
    if wants_fragment(request):
        return account_page(request, fragment="tokens")
    return redirect("account")

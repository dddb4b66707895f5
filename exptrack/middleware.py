"""What happens to every request, whatever it is for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.core.exceptions import ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.http import urlencode
from django.views.defaults import bad_request, page_not_found

from experiments.api.errors import SERVER_ERROR, LengthRequired, error_response
from experiments.refusals import Gone
from exptrack.databases import TookTooLong

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)

EDGE_MESSAGES = {
    400: "The request cannot be used: its Host or its form is not accepted.",
    403: "You may not do this.",
    404: "There is nothing here.",
}

# What Django's add_never_cache_headers puts together anew for every answer.
NEVER_CACHED = "max-age=0, no-cache, no-store, must-revalidate, private"

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Names every request, in its answer and in every line logged meanwhile."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request.id = sent if SANE_REQUEST_ID.fullmatch(sent) else secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.id)
        response = self.get_response(request)
        response["X-Request-ID"] = request.id
        return response


class ApiEdgeMiddleware:
    """Whatever fails under /api/ fails in the API's one shape, before a view is found too. A
    body without a length is refused: Django would read it as empty, and a 200 would have lost
    the data."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            return self.get_response(request)
        if request.META.get("HTTP_TRANSFER_ENCODING"):
            return error_response(request, 411, LengthRequired.default_detail)
        if settings.PRODUCTION and not request.is_secure():
            return error_response(request, 403, "The API is served over HTTPS only.")
        response = self.get_response(request)
        if response.status_code >= 400 and "json" not in response.get("Content-Type", ""):
            message = EDGE_MESSAGES.get(response.status_code, SERVER_ERROR)
            return error_response(request, response.status_code, message)
        return response


class StandingHeadersMiddleware:
    """What every answer says that does not say otherwise: what a browser may load with it, and
    that it stays out of every cache."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.setdefault("Cache-Control", NEVER_CACHED)
        return response


class ApiPastPagesMiddleware:
    """Takes a script's request past all that stands behind this one, which is for pages: a dozen
    layers that have nothing to do for it cost a tenth of storing a batch."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = self.view = get_response
        # Each layer knows the next as `get_response`; what calls the view knows none.
        while hasattr(self.view, "get_response"):
            self.view = self.view.get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/v1/"):
            return self.view(request)
        return self.get_response(request)


class LoginRequiredMiddleware(auth.LoginRequiredMiddleware):
    """Django's, except that a view which lets others in is not asked about last: to know who sits
    at a session costs as much as reading a batch. What others do is logged with their name."""

    def process_view(
        self, request: HttpRequest, view_func: Callable, *args: object
    ) -> HttpResponse | None:
        if not getattr(view_func, "login_required", True):
            return None
        refused = super().process_view(request, view_func, *args)
        if refused is None:
            structlog.contextvars.bind_contextvars(user=request.user.get_username())
        return refused


class PagesWithoutAnAnswerMiddleware:
    """What was purged while a request was on its way is not there any more, and no fault. What
    took too long is said in a sentence. In the admin, ids and values that cannot be any come from
    an address or form made by hand; Django looks at them no sooner than the database does."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Gone):
            return page_not_found(request, error)
        if isinstance(error, TookTooLong):
            context = {"stopped": error, "rest": (request.path, "The page without conditions")}
            return render(request, "took_too_long.html", context, status=503)
        if isinstance(error, ValidationError | DataError) and is_admin(request):
            return bad_request(request, error)
        return None


def is_admin(request: HttpRequest) -> bool:
    """Whether the admin's own views answer this request."""
    return request.resolver_match is not None and request.resolver_match.app_name == "admin"


class SignedOutFragmentMiddleware:
    """An htmx request that would be sent to sign-in gets the whole page sent there instead: a
    login form must never land inside a table. One that carries what somebody typed gets a 401,
    so that the page stays and offers sign-in beside it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (request.htmx and response.status_code == 302):
            return response
        target = resolve_url(settings.LOGIN_URL)
        if response.headers["Location"].split("?")[0] != target:
            return response
        if request.method not in ("GET", "HEAD"):
            return HttpResponse("You are signed out.", "text/plain", status=401)
        page = request.htmx.current_url_abs_path or "/"
        redirect = HttpResponse(status=204)
        redirect["HX-Redirect"] = f"{target}?{urlencode({'next': page})}"
        return redirect

"""How pages are answered: whole, as the fragment htmx asks for, or as an apology."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import messages
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseForbidden,
    HttpResponseServerError,
)
from django.shortcuts import redirect, render, resolve_url
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx will put the answer into a page. A boosted link, and going back to a page
    htmx has forgotten, need the whole of it."""
    htmx = request.htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, object] | None = None,
    *,
    fragment: str | None = None,
    status: int = 200,
) -> HttpResponse:
    """`template`, or only its partial `fragment` where htmx asks; `status` as given.

    The fragment is named by the view, never by the client, and is called like the DOM id it
    replaces. The template sees `is_fragment`: a fragment brings its messages along.
    """
    is_fragment = fragment is not None and wants_fragment(request)
    name = f"{template}#{fragment}" if is_fragment else template
    response = render(request, name, {**(context or {}), "is_fragment": is_fragment}, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def go_to(request: HttpRequest, to: str, *args: object) -> HttpResponse:
    """The whole of another page, for a browser and for htmx alike."""
    if wants_fragment(request):
        return HttpResponseClientRedirect(resolve_url(to, *args))
    return redirect(to, *args)


def offer_undo(request: HttpRequest, text: str, url: str) -> None:
    """Say what was done, with a button that posts to `url` to undo it."""
    messages.success(request, text, extra_tags=url)


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The answer to a form without its token. The header tells a page that it may fetch a new
    one and send the form again."""
    response = HttpResponseForbidden(render_to_string("403_csrf.html"))
    response["X-Form-Expired"] = "true"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """The page of a request that broke, naming it by its id. No context processor runs: what
    they ask for may be what broke."""
    return HttpResponseServerError(render_to_string("500.html", {"request": request}))

"""What the pages that hold a list have in common."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from exptrack.pages import render_page, wants_fragment

# Forms whose own address, full of empty fields, is tidied, and what becomes of the page's: one
# that narrows the list replaces it, choosing columns is a step to come back from.
FORMS = {"filters": "HX-Replace-Url", "column-form": "HX-Push-Url"}


def list_page(request: HttpRequest, template: str, context: dict, *, fragment: str) -> HttpResponse:
    """A page of a list, or its fragment. What the address (`context["asked"]`) asks in vain
    makes it a 422, and the page says so."""
    asked = context["asked"]
    status = 422 if asked.faults else 200
    response = render_page(request, template, context, fragment=fragment, status=status)
    if wants_fragment(request) and request.htmx.trigger in FORMS:
        response[FORMS[request.htmx.trigger]] = asked.url
    return response

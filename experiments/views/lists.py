"""What the pages that hold a list have in common."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from exptrack.pages import render_page, wants_fragment

# The id of the form that narrows a page's list.
FILTER_FORM = "filters"


def list_page(request: HttpRequest, template: str, context: dict, *, fragment: str) -> HttpResponse:
    """A page of a list, or its fragment. What the address (`context["asked"]`) asks in vain
    makes it a 422, and the page says so. The filter form's own address, full of empty fields,
    is tidied."""
    asked = context["asked"]
    status = 422 if asked.faults else 200
    response = render_page(request, template, context, fragment=fragment, status=status)
    if wants_fragment(request) and request.htmx.trigger == FILTER_FORM:
        response["HX-Replace-Url"] = asked.url
    return response

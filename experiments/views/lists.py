"""What the pages that hold a list have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from experiments.listing import Asked
from experiments.values import NAME_LENGTH, InvalidValue
from exptrack.pages import render_page, wants_fragment

# Forms whose own address, full of empty fields, is tidied, and what becomes of the page's: one
# that narrows the list replaces it, choosing columns is a step to come back from.
FORMS = {
    "filters": "HX-Replace-Url",
    "metric-filters": "HX-Replace-Url",
    "column-form": "HX-Push-Url",
    "plot-form": "HX-Push-Url",
    "compared-form": "HX-Push-Url",
    "baseline-form": "HX-Push-Url",
}


def list_page(request: HttpRequest, template: str, context: dict, *, fragment: str) -> HttpResponse:
    """A page of a list, or its fragment. What the address (`context["asked"]`) asks in vain
    makes it a 422, and the page says so."""
    asked = context["asked"]
    status = 422 if asked.all_faults else 200
    response = render_page(request, template, context, fragment=fragment, status=status)
    if wants_fragment(request) and request.htmx.trigger in FORMS:
        response[FORMS[request.htmx.trigger]] = asked.url
    return response


def csv_file(lines: Iterator[str], name: str) -> StreamingHttpResponse:
    """Lines of CSV as a file of this name, sent as they are made."""
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def name_part(text: str) -> str:
    """Part of the name of a row, or InvalidValue."""
    if len(text) > NAME_LENGTH:
        raise InvalidValue(f"A name has at most {NAME_LENGTH} characters.")
    return text


def page_number(text: str) -> int:
    """A page, counted from 1, or InvalidValue."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text)):
        raise InvalidValue("Pages are counted from 1.")
    return int(text)


def numbered_pager(asked: Asked, rows: Sequence, size: int, *, start: int) -> dict:
    """What `pager.html` needs for a short list that is paged by number: `rows` are those from
    `start` on, one too many where there are more than `size`. Nothing when one page holds all."""
    number = start // size + 1
    if number == 1 and len(rows) <= size:
        return {}
    return {
        "previous": asked.url_with(page=str(number - 1)) if number > 1 else None,
        "next": asked.url_with(page=str(number + 1)) if len(rows) > size else None,
        "summary": f"{start + 1:,}–{start + min(len(rows), size):,}" if rows else "",
    }

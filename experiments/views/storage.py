"""/storage/: what each experiment holds, for who minds the disk."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from experiments import storage
from experiments.listing import Asked
from experiments.models import Experiment
from experiments.values import InvalidValue
from experiments.views.lists import list_page

ROWS_PER_PAGE = 50
COLUMNS = ("runs", "metrics", "points", "bytes")


@require_http_methods(["GET", "POST"])
def storage_use(request: HttpRequest) -> HttpResponse:
    """The experiments that hold most, by whichever measure; a POST counts anew."""
    if not request.user.is_admin:
        raise PermissionDenied("Only admins see what everybody's experiments hold.")
    if request.method == "POST":
        storage.usage(anew=True)
        return redirect("storage")
    asked = Asked.by(request)
    usage = storage.usage()
    ordering = asked.read("ordering", storage_ordering, "-bytes")
    number = asked.read("page", page_number, 1)
    column = ordering.removeprefix("-")
    sizes = sorted(
        usage.by_experiment.items(),
        key=lambda item: (getattr(item[1], column), item[0]),
        reverse=ordering.startswith("-"),
    )
    shown = sizes[(number - 1) * ROWS_PER_PAGE : number * ROWS_PER_PAGE]
    found = Experiment.objects.select_related("owner").in_bulk([pk for pk, _ in shown])
    total = usage.total
    context = {
        "asked": asked,
        "usage": usage,
        "total": total,
        "ordering": ordering,
        # Whatever was purged since it was counted has no name any more.
        "rows": [
            (found[pk], size, 100 * size.bytes / (total.bytes or 1))
            for pk, size in shown
            if pk in found
        ],
        "previous": number - 1,
        "next": number + 1 if number * ROWS_PER_PAGE < len(sizes) else None,
        "summary": f"{len(shown)} of {len(sizes):,} experiments with runs",
    }
    return list_page(request, "experiments/storage.html", context, fragment="storage")


def storage_ordering(text: str) -> str:
    """A measure, with `-` for the greatest first, or InvalidValue."""
    if text.removeprefix("-") not in COLUMNS:
        raise InvalidValue(f"Order by {', '.join(COLUMNS)}, with - for downward.")
    return text


def page_number(text: str) -> int:
    """1 to 99,999, or InvalidValue."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= 99_999):
        raise InvalidValue("Pages are counted from 1.")
    return int(text[:6])

"""User names to choose from."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import User

NAMES_OFFERED = 10


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """A few active people whose name begins with what was typed (`user`), as a list for a field
    to complete from. Viewers share nothing, so they are offered nobody."""
    typed = request.GET.get("user", "").replace("\0", "")
    found = User.objects.none()
    if typed and request.user.may_write:
        found = User.objects.filter(is_active=True, username__istartswith=typed)
    names = found.order_by("username").values_list("username", flat=True)[:NAMES_OFFERED]
    return render(request, "accounts/_people.html", {"names": names})

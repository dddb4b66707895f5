"""How a text will look, before it is saved."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST


@require_POST
def markdown_preview(request: HttpRequest) -> HttpResponse:
    """The Markdown of whichever field of a form holds it, as its readers will see it."""
    text = request.POST.get("notes") or request.POST.get("description") or ""
    return render(request, "experiments/_preview.html", {"text": text})

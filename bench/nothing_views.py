"""Views that do nothing, at their addresses: what gunicorn, Django, our middleware and the REST
framework take before there is anything to do."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

import exptrack.urls
from experiments.api.base import ApiView
from experiments.api.batches import LogParser


@csrf_exempt
@login_not_required
def plain(request: HttpRequest) -> HttpResponse:
    """Reads the body."""
    return HttpResponse(str(len(request.body)), "application/json")


class Parsed(ApiView):
    """Reads and checks a batch as `log/` does, for whoever shows a token or none."""

    parser_classes = [LogParser]

    def post(self, request: Request) -> Response:
        return Response({"accepted": len(request.data[1])})


class Anonymous(Parsed):
    """The same, for whoever comes."""

    authentication_classes = permission_classes = ()


urlpatterns = [
    path("api/v1/nothing/", plain),
    path("api/v1/nothing/anonymous/", Anonymous.as_view()),
    path("api/v1/nothing/parsed/", Parsed.as_view()),
    *exptrack.urls.urlpatterns,
]

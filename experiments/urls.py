"""Pages of experiments and runs, and the JSON twins beside them."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def soon(request: HttpRequest, pk: object = None) -> HttpResponse:
    return HttpResponse("")


urlpatterns = [
    path("", soon, name="experiment-list"),
    path("experiments/<uuid:pk>/", soon, name="experiment-detail"),
    path("runs/<uuid:pk>/", soon, name="run-detail"),
]

"""What every endpoint shares: how it reads a query, walks a list and says no."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from django.core.exceptions import ValidationError
from django.http import Http404, QueryDict
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from experiments.api.errors import ValidationFailed
from experiments.api.renderers import StrictJSONRenderer
from experiments.paging import CURSOR_PARAMETER, Segment, paginate

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000


class ApiView(APIView):
    """An endpoint. `log_scope_methods` are those a token of scope `log` may use."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    log_scope_methods: tuple[str, ...] = ()


class CsvView(ApiView):
    """An endpoint that answers with text/csv, and with JSON when something is wrong, whatever
    the request accepts."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple:
        return StrictJSONRenderer(), StrictJSONRenderer.media_type


def checked_input(serializer_class: type[Serializer], data: object, **options: object) -> dict:
    """The validated fields of a body or query, or a 400 that names every fault."""
    serializer = serializer_class(data=data, **options)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def path_id(text: str) -> uuid.UUID:
    """An id from a path; an ill-formed one is simply not there."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Http404("There is nothing with this id.") from error


def filtered(filterset_class: type, request: Request, rows: object, others: Sequence[str]) -> tuple:
    """The rows a FilterSet leaves, and the FilterSet; unknown parameters and values it cannot
    use are a 400 that names them."""
    known = {*filterset_class.base_filters, *others, "limit", CURSOR_PARAMETER}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise ValidationFailed(
            "The query has unknown parameters.",
            {name: [f"Known are {', '.join(sorted(known))}."] for name in unknown},
        )
    filterset = filterset_class(request.query_params, rows, request=request)
    if not filterset.is_valid():
        raise ValidationFailed(
            "The query cannot be used.",
            {name: [str(fault) for fault in faults] for name, faults in filterset.errors.items()},
        )
    try:
        return filterset.qs, filterset
    except ValidationError as error:
        raise ValidationFailed("The query cannot be used.", error.message_dict) from error


def limit_of(query: QueryDict) -> int:
    """The page size asked for, 1 to 1000."""
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_LIMIT):
        raise ValidationFailed(
            "The limit cannot be used.", {"limit": [f"A whole number from 1 to {MAX_LIMIT}."]}
        )
    return int(text)


def page_response(
    request: Request,
    segments: Sequence[Segment],
    descending: bool,
    shape: Callable[[list], list[dict]],
) -> Response:
    """One page of a keyset-paginated list, with links to its neighbours."""
    query = request.query_params
    page = paginate(segments, descending=descending, limit=limit_of(query), query=query)
    return Response(
        {
            "next": link(request, page.next),
            "previous": link(request, page.previous),
            "results": shape(page.rows),
        }
    )


def link(request: Request, cursor: str | None) -> str | None:
    """The address of this list at another cursor."""
    if cursor is None:
        return None
    query = request.query_params.copy()
    query[CURSOR_PARAMETER] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")

"""What every endpoint shares: how it reads a query, walks a list and says no."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice

from django.core.exceptions import ValidationError
from django.http import Http404, QueryDict, StreamingHttpResponse
from rest_framework.exceptions import NotAcceptable
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts.authentication import looked_up
from experiments.api.errors import QuerySyntax, ValidationFailed
from experiments.api.renderers import StrictJSONRenderer
from experiments.filters import BadQuery
from experiments.paging import CURSOR_PARAMETER, Listing, paginate
from experiments.values import uuid_in

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
PAGING = ("limit", CURSOR_PARAMETER)


class ApiView(APIView):
    """An endpoint. `log_scope_methods` are those a token of scope `log` may use; where
    `reads_query` is on, GET checks the query's parameters itself, else there may be none."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    log_scope_methods: tuple[str, ...] = ()
    reads_query = False

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple:
        """JSON, or a 406; also for an Accept header that cannot be parsed."""
        try:
            return super().perform_content_negotiation(request, force)
        except (LookupError, ValueError) as error:
            raise NotAcceptable() from error

    def initial(self, request: Request, *args: object, **options: object) -> None:
        """Who asks, whether they may, and whether a database could look for what they name."""
        super().initial(request, *args, **options)
        if "\0" in request.path:
            raise Http404("There is nothing with this name.")
        for name, values in request.query_params.lists():
            if "\0" in name or any("\0" in value for value in values):
                raise ValidationFailed("The query cannot hold the character NUL (%00).")
        if request.method in self.allowed_methods and not (
            self.reads_query and request.method in SAFE_METHODS
        ):
            check_parameters(request.query_params, ())

    def permission_denied(self, request: Request, *told: object, **more: object) -> None:
        """A token from memory is looked up before it is told what it does not open: by now it may
        be revoked, or open more."""
        if request.auth is None and request.user is not None:
            self.look_token_up(request)
        else:
            super().permission_denied(request, *told, **more)

    def look_token_up(self, request: Request) -> None:
        """From here on nothing rests on memory."""
        if request.auth is None:
            looked_up(request)
            self.check_permissions(request)


class AnyAcceptView(ApiView):
    """An endpoint with an answer of its own kind, such as text/csv, and with JSON when something
    is wrong, whatever the request accepts."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple:
        return StrictJSONRenderer(), StrictJSONRenderer.media_type


def checked_input(serializer_class: type[Serializer], data: object, **options: object) -> dict:
    """The validated fields of a body or query, or a 400 that names every fault."""
    return made(serializer_class, **options).run_validation(data)


@cache
def made(serializer_class: type[Serializer], **options: object) -> Serializer:
    """A serializer that only checks: it keeps nothing of what it is given, so one serves all
    requests. Making it anew copies every field, which cost a third of starting a run."""
    return serializer_class(**options)


def path_id(text: str) -> uuid.UUID:
    """An id from a path; an ill-formed one is simply not there."""
    found = uuid_in(text)
    if found is None:
        raise Http404("There is nothing with this id.")
    return found


def check_parameters(query: QueryDict, known: Iterable[str]) -> None:
    """Refuse parameters that nobody reads, values of which only the last would be, and empty
    ones, which would be taken for none."""
    known = sorted(known)
    unknown = [name for name in query if name not in known]
    if unknown:
        raise ValidationFailed(
            "The query has unknown parameters.",
            {name: [f"Known are {', '.join(known) or 'none'}."] for name in unknown},
        )
    faults = {
        name: ["Give it once." if len(values) > 1 else "Give it a value, or leave it out."]
        for name, values in query.lists()
        if values != [value for value in values[:1] if value]
    }
    if faults:
        raise ValidationFailed("The query cannot be used.", faults)


def filtered(filterset_class: type, request: Request, rows: object, others: Sequence[str]) -> tuple:
    """The rows a FilterSet leaves, and the FilterSet; parameters that neither it nor `others`
    names, and values it cannot use, are a 400 that names them."""
    check_parameters(request.query_params, {*filterset_class.base_filters, *others})
    filterset = filterset_class(request.query_params, rows, request=request)
    if not filterset.is_valid():
        check_query(filterset.errors.as_data().get("q", []))
        raise ValidationFailed(
            "The query cannot be used.",
            {name: [str(fault) for fault in faults] for name, faults in filterset.errors.items()},
        )
    try:
        return filterset.qs, filterset
    except ValidationError as error:
        raise ValidationFailed("The query cannot be used.", error.message_dict) from error


def check_query(errors: Sequence[ValidationError]) -> None:
    """A fault in the filter language is an error of its own, which names the place."""
    for error in errors:
        if isinstance(error, BadQuery):
            fault = error.fault
            details = {"position": fault.position, "found": fault.found, "expected": fault.expected}
            raise QuerySyntax(str(fault), details)


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
    listing: Listing,
    descending: bool,
    shape: Callable[[list], list[dict]],
    octets: Callable[[list], Sequence[int]],
) -> Response:
    """One page of a keyset-paginated list, with links to its neighbours; `octets` says how many
    bytes of text each row brings into the answer."""
    limit = limit_of(request.query_params)
    # Two lists may have the same parameters: the path keeps their cursors apart.
    bound = request.query_params.copy()
    bound["path"] = request.path
    page = paginate(listing, descending=descending, limit=limit, query=bound, octets=octets)
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


def csv_response(lines: Iterator[str], filename: str) -> StreamingHttpResponse:
    """Lines streamed as a CSV file. The head and the first block are made before the answer
    begins, so that what fails at once still has its status."""
    started = chain(list(islice(lines, 2)), lines)
    response = StreamingHttpResponse(started, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response

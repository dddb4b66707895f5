"""One shape for every error under /api/, at every status:

{"error": {"code", "message", "details", "request_id"}}
"""

from __future__ import annotations

import math

import structlog
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response

from experiments import refusals
from experiments.paging import BadCursor
from experiments.values import InvalidValue
from exptrack.databases import TookTooLong

logger = structlog.get_logger(__name__)

CODES = {
    400: "validation_error",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    411: "length_required",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "repeat_differs",
    429: "throttled",
    500: "server_error",
    503: "unavailable",
    507: "insufficient_storage",
}
REFUSALS = {
    refusals.Invalid: (400, "validation_error"),
    refusals.Conflict: (409, "conflict"),
    refusals.SequenceGap: (409, "sequence_gap"),
    refusals.RepeatDiffers: (422, "repeat_differs"),
    refusals.Gone: (404, "not_found"),
}
SERVER_ERROR = "Something went wrong on our side; it has been logged."
RETRY_AFTER_SECONDS = 2
# An error repeats what was sent, but never all of 16 MiB.
MAX_DETAILS = 100
MAX_DETAIL_KEY, MAX_DETAIL_TEXT = 400, 1_000
# What the databases say when there is no room: PostgreSQL's class 53, SQLite's SQLITE_FULL.
DISK_FULL = ("53100", "database or disk is full")


class ApiError(exceptions.APIException):
    """An error with a sentence and, per field, what is wrong with it."""

    def __init__(self, message: str | None = None, details: dict | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


class QuerySyntax(ApiError):
    status_code = status.HTTP_400_BAD_REQUEST
    code = "query_syntax"


class ValidationFailed(ApiError):
    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The request cannot be used."


class LengthRequired(ApiError):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send a Content-Length. A body in chunks is not read."


class PayloadTooLarge(ApiError):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request is too large."


def handle_exception(exception: Exception, context: dict) -> Response:
    """DRF's exception handler: everything a view raises, in the one shape."""
    request = context["request"]
    code, status_code, message, details = described(exception)
    headers = {}
    if status_code == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ExpTrack"'
    if status_code in (429, 503):
        wait = getattr(exception, "wait", None) or RETRY_AFTER_SECONDS
        headers["Retry-After"] = str(math.ceil(wait))
    if status_code >= 500:
        logger.error("api_error", code=code, path=request.path, exc_info=exception)
    if status_code == 413:
        headers["Connection"] = "close"
    return Response(body(code, message, details, request), status_code, headers=headers)


def described(exception: Exception) -> tuple[str, int, str, dict]:
    """Code, status, sentence and details of anything that may be raised."""
    if isinstance(exception, refusals.Refused):
        status_code, code = REFUSALS[type(exception)]
        return code, status_code, exception.message, exception.details
    if isinstance(exception, exceptions.ValidationError):
        return "validation_error", 400, "Some fields cannot be used.", flat(exception.detail)
    if isinstance(exception, InvalidValue | BadCursor):
        return "validation_error", 400, str(exception), {}
    if isinstance(exception, exceptions.APIException):
        message = str(exception.detail)
        details = getattr(exception, "details", {})
        code = getattr(exception, "code", None) or CODES.get(exception.status_code, "error")
        return code, exception.status_code, message, details
    if isinstance(exception, TookTooLong):
        return "validation_error", 400, str(exception), {}
    if isinstance(exception, Http404):
        message = str(exception) or "There is nothing here."
        return "not_found", 404, message, {}
    if isinstance(exception, PermissionDenied):
        return "permission_denied", 403, str(exception) or "You may not do this.", {}
    if isinstance(exception, RequestDataTooBig):
        return "payload_too_large", 413, PayloadTooLarge.default_detail, {}
    if isinstance(exception, SuspiciousOperation | BadRequest):
        return "validation_error", 400, "The request cannot be used.", {}
    if isinstance(exception, UnreadablePostError):
        return "validation_error", 400, "The body ended too early.", {}
    if isinstance(exception, DatabaseError) and any(
        mark in f"{getattr(exception.__cause__, 'sqlstate', '')} {exception}" for mark in DISK_FULL
    ):
        return "insufficient_storage", 507, "The server's disk is full; nothing was stored.", {}
    if isinstance(exception, OperationalError | InterfaceError):
        return "unavailable", 503, "The database cannot take this just now. Repeat the request.", {}
    return "server_error", 500, SERVER_ERROR, {}


def flat(detail: object, path: str = "") -> dict[str, list[str]]:
    """DRF's nested errors as {"a.b": [sentence]}."""
    if isinstance(detail, dict):
        found = {}
        for key, value in detail.items():
            name = "body" if key == "non_field_errors" else str(key)
            found |= flat(value, f"{path}.{name}" if path else name)
        return found
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        found = {}
        for index, value in enumerate(detail):
            found |= flat(value, f"{path}.{index}" if path else str(index))
        return found
    sentences = detail if isinstance(detail, list) else [detail]
    return {path or "body": [str(sentence) for sentence in sentences]}


def body(code: str, message: str, details: dict, request: HttpRequest) -> dict:
    """The one shape."""
    return {
        "error": {
            "code": code,
            "message": message,
            "details": bounded(details),
            "request_id": getattr(request, "id", ""),
        }
    }


def bounded(details: dict) -> dict:
    """Details cut to a size that a person could still read."""
    return {
        name[:MAX_DETAIL_KEY]: [sentence[:MAX_DETAIL_TEXT] for sentence in found[:MAX_DETAILS]]
        if isinstance(found, list)
        else found
        for name, found in list(details.items())[:MAX_DETAILS]
    }


def error_response(request: HttpRequest, status_code: int, message: str) -> JsonResponse:
    """The one shape outside DRF: for middleware and the site's error handlers."""
    return JsonResponse(body(CODES[status_code], message, {}, request), status=status_code)


@csrf_exempt  # a script that mistook the path shall hear of the path
@login_not_required
def unknown_path(request: HttpRequest, path: str = "") -> JsonResponse:
    """404 for everything under /api/ that is no endpoint; never a redirect, which would turn a
    POST into a GET and lose its data."""
    message = f"There is nothing at {request.path[:200]}."
    if is_endpoint(f"{request.path}/"):
        message = f"{message} Paths end with a slash: {request.path[:200]}/"
    return error_response(request, 404, message)


def is_endpoint(path: str) -> bool:
    """Whether a path leads anywhere but to `unknown_path`."""
    try:
        return resolve(path).func is not unknown_path
    except Resolver404:
        return False

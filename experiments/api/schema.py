"""The OpenAPI document and the page to browse it.

What an operation takes and answers stands in `operations` and `components`; bodies and queries
come from the serializers that check them. Both addresses also open by session.
"""

from __future__ import annotations

from functools import cache

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.settings import patched_settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Field, Serializer

from accounts.authentication import TokenAuthentication
from accounts.models import User
from experiments.api import serializers
from experiments.api.base import AnyAcceptView, ApiView
from experiments.api.components import (
    AXIS,
    COMPONENTS,
    FIELD_NAMES,
    NO_NUL,
    REQUEST_ID_HEADER,
    STRING,
    TITLE,
    Schema,
    refusal,
)
from experiments.api.operations import CSV, OPERATIONS, PATH_IDS, REQUEST_ID, Operation

OPTIONS = {
    "TITLE": "ExpTrack API",
    "DESCRIPTION": "Record, query and read machine-learning runs. See docs/api.md.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "APPEND_COMPONENTS": COMPONENTS,
    "POSTPROCESSING_HOOKS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SORT_OPERATION_PARAMETERS": False,
    "SORT_OPERATIONS": False,
}


class TokenScheme(OpenApiAuthenticationExtension):
    """How a script says who it is."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ext_…"}


class ApiSchema(AutoSchema):
    """One operation, told by its entry in OPERATIONS."""

    @property
    def told(self) -> Operation:
        return OPERATIONS[f"{type(self.view).__name__}.{self.method.lower()}"]

    def get_operation_id(self) -> str:
        return self.told.id

    def get_summary(self) -> str:
        return self.told.summary

    def get_description(self) -> str:
        """What the method itself says; the view's words are for those who read the code."""
        return get_doc(getattr(self.view, self.method.lower()))

    def get_auth(self) -> list[dict]:
        """By a token, wherever a view looks for it first; the view here is the document's own."""
        if any(issubclass(each, TokenAuthentication) for each in self.view.authentication_classes):
            self.view.authentication_classes = [TokenAuthentication]
        return super().get_auth()

    def get_tags(self) -> list[str]:
        return [super().get_tags()[0].removesuffix(".csv")]

    def get_request_serializer(self) -> object:
        return self.told.body

    def get_response_serializers(self) -> None:
        """None: answers are told by `_get_response_bodies`."""

    def get_override_parameters(self) -> list:
        named = [found for name, found in PATH_IDS.items() if f"{{{name}}}" in self.path]
        query = self.told.query
        return [*named, *([query] if isinstance(query, type) else query), REQUEST_ID]

    def _get_request_body(self, direction: str = "request") -> dict | None:
        body = self.told.body
        if not isinstance(body, dict):
            return super()._get_request_body(direction)
        content: dict = {"schema": body}
        if self.told.examples:
            content["examples"] = {
                name: {"value": value} for name, value in self.told.examples.items()
            }
        return {"content": {"application/json": content}, "required": self.told.needs_body}

    def _get_response_bodies(self, direction: str = "response") -> dict:
        """Every status, those of errors with the one shape."""
        answers = {
            str(status): {
                "description": "Done.",
                "headers": REQUEST_ID_HEADER,
                **({"content": self.content_of(schema)} if status != 204 else {}),
            }
            for status, schema in self.told.answers.items()
        }
        return answers | {str(status): refusal(status) for status in self.told.refusals}

    def content_of(self, schema: Schema | None) -> dict:
        """An answer's media types."""
        content = {} if schema is None else {"application/json": {"schema": schema}}
        return content | ({CSV: {"schema": STRING}} if self.told.csv else {})

    def _map_serializer(self, serializer: Serializer, *options: object, **more: object) -> dict:
        schema = super()._map_serializer(serializer, *options, **more)
        if isinstance(serializer, serializers.Strict):
            schema["additionalProperties"] = False
        if "__doc__" not in vars(type(serializer)) or type(serializer).__doc__ is None:
            schema.pop("description", None)  # it is a parent's
        return schema

    def _insert_field_validators(self, field: Field, schema: dict) -> None:
        """What our own fields check, beyond what their classes tell."""
        super()._insert_field_validators(field, schema)
        if isinstance(field, serializers.FieldName):
            schema |= FIELD_NAMES
        elif isinstance(field, serializers.Title):
            schema |= {"pattern": TITLE}
        elif isinstance(field, serializers.Axis):
            schema |= {"pattern": AXIS}
        elif isinstance(field, serializers.Text):
            schema |= {"pattern": NO_NUL}
        elif isinstance(field, serializers.TagMap | serializers.ParamMap):
            schema |= {"propertyNames": FIELD_NAMES, "maxProperties": field.most}


class Generator(SchemaGenerator):
    """Walks /api/v1/ in the order of its addresses."""

    def coerce_path(self, path: str, method: str, view: ApiView) -> str:
        return path.replace("{pk}", "{id}")


@cache
def document() -> dict:
    """The OpenAPI document of API v1."""
    with patched_settings(OPTIONS):
        return Generator().get_schema(public=True)


class SessionForReading(BaseAuthentication):
    """The person signed in, for the two addresses that only tell what the API is."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        user = request._request.user
        return (user, None) if user.is_authenticated else None


class ApiDocument(ApiView):
    """The OpenAPI document."""

    schema = None
    log_scope_methods = ("GET",)
    authentication_classes = [TokenAuthentication, SessionForReading]

    def get(self, request: Request) -> Response:
        return Response(document())


class ApiDocs(AnyAcceptView):
    """The page to browse it."""

    schema = None
    log_scope_methods = ("GET",)
    authentication_classes = [TokenAuthentication, SessionForReading]

    def get(self, request: Request) -> HttpResponse:
        return render(request._request, "api_docs.html")

    def handle_exception(self, exception: Exception) -> HttpResponse:
        if isinstance(exception, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exception)

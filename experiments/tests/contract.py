"""Every answer of the API held against its OpenAPI document."""

from __future__ import annotations

import re
from functools import cache

import jsonschema_rs
from django.http import HttpResponse

from experiments.api.schema import document
from exptrack.tests.people import ApiClient


class CheckedClient(ApiClient):
    """A script whose every answer must be one that the document tells."""

    def put(self, path, data=None, content_type="application/json", **extra):
        return super().put(path, data, content_type, **extra)

    def patch(self, path, data=None, content_type="application/json", **extra):
        return super().patch(path, data, content_type, **extra)

    def request(self, **request):
        answer = super().request(**request)
        check_answer(request["REQUEST_METHOD"], request["PATH_INFO"], answer)
        return answer


def check_answer(method: str, path: str, answer: HttpResponse) -> None:
    """Fail unless the document tells of this status, media type and body."""
    assert answer["X-Request-ID"]
    media_type = answer.get("Content-Type", "").split(";")[0]
    if answer.status_code >= 400 and method != "HEAD":
        assert media_type == "application/json", answer.content
        assert validator("#/components/schemas/Error").is_valid(answer.json()), answer.content
        assert answer.json()["error"]["request_id"] == answer["X-Request-ID"]
    told = operation(path, "get" if method == "HEAD" else method.lower())
    if told is None:
        assert answer.status_code in (404, 405) or not path.startswith("/api/v1/"), answer.content
        return
    where, responses = told
    status = str(answer.status_code)
    assert status in responses, f"{method} {path} answered {status}: {answer.content[:500]}"
    pointer = responses[status].get("$ref") or f"{where}/responses/{status}"
    content = found_at(pointer).get("content", {})
    if not content:
        assert not answer.content
        return
    assert media_type in content, f"{method} {path} answered {media_type}"
    if method != "HEAD" and not answer.streaming:
        schema = f"{pointer}/content/{media_type.replace('/', '~1')}/schema"
        faults = [str(fault) for fault in validator(schema).iter_errors(answer.json())]
        assert not faults, f"{method} {path} {status}: {faults[0][:2000]}"


def operation(path: str, method: str) -> tuple[str, dict] | None:
    """Pointer and answers of the operation that a request is for."""
    for pattern, template in templates():
        if pattern.fullmatch(path):
            found = document()["paths"][template].get(method)
            escaped = template.replace("/", "~1")
            return found and (f"#/paths/{escaped}/{method}", found["responses"])
    return None


@cache
def templates() -> list[tuple[re.Pattern, str]]:
    """The document's paths, and what each matches."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [
        (re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path)))), path)
        for path in paths
    ]


def found_at(pointer: str) -> dict:
    """What a JSON pointer leads to in the document."""
    found = document()
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/")]
    return found


@cache
def validator(pointer: str) -> jsonschema_rs.Draft202012Validator:
    """Judges by the schema that a JSON pointer leads to."""
    schema = {**found_at(pointer), "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

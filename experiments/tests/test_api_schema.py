"""/api/schema/ and /api/docs/: the API told exactly, and shown."""

import re

import pytest
from django.conf import settings
from drf_spectacular.validation import validate_schema

from experiments import recording
from experiments.api.base import ApiView
from experiments.api.components import BATCH_EXAMPLES
from experiments.api.errors import CODES
from experiments.api.operations import OPERATIONS
from experiments.api.schema import document
from experiments.api.urls import urlpatterns

METHODS = ("get", "post", "put", "patch", "delete")


def test_the_document_is_valid_openapi():
    assert document()["openapi"] == "3.1.0"
    validate_schema(document())


def test_each_endpoint_and_method_is_told_and_nothing_else():
    served = {
        f"{pattern.callback.cls.__name__}.{method}"
        for pattern in urlpatterns
        for method in METHODS
        if issubclass(pattern.callback.cls, ApiView) and hasattr(pattern.callback.cls, method)
    }
    assert served == set(OPERATIONS)
    told = [operation for path in document()["paths"].values() for operation in path.values()]
    assert len(told) == len(OPERATIONS)
    assert len({operation["operationId"] for operation in told}) == len(OPERATIONS)


def test_each_operation_tells_every_status_any_request_may_meet():
    for operation in OPERATIONS.values():
        assert {400, 401, 403, 411, 500, 503} <= set(operation.refusals)
        assert set(operation.refusals) <= set(CODES) | {414}
        if operation.body is not None:
            assert {413, 415} <= set(operation.refusals)


def test_each_path_stands_in_the_reference():
    words = (settings.BASE_DIR / "docs" / "api.md").read_text()
    for path in document()["paths"]:
        assert path.removeprefix("/api/v1") in words, path


def test_unknown_fields_are_forbidden_in_the_document_as_they_are_in_fact():
    schemas = document()["components"]["schemas"]
    for operation in (told for path in document()["paths"].values() for told in path.values()):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            for form in media["schema"].get("anyOf", [media["schema"]]):
                name = form.get("$ref", "").rpartition("/")[2]
                schema = schemas[name] if name else form
                assert schema["additionalProperties"] is False, operation["operationId"]


def test_the_examples_of_log_work_as_they_stand(api, alice):
    run = recording.start_run(user=alice, experiment="digits")[0]
    for body in BATCH_EXAMPLES.values():
        assert api(alice).post(f"/api/v1/runs/{run.pk}/log/", body).status_code == 200


@pytest.mark.parametrize("scope", ["read", "log", "write"])
def test_both_open_with_any_token(api, bob, scope):
    script = api(bob, scope=scope)
    assert script.get("/api/schema/").json()["info"]["title"] == "ExpTrack API"
    assert script.get("/api/docs/")["Content-Type"].startswith("text/html")


def test_both_open_for_who_is_signed_in(signed_in, bob):
    browser = signed_in(bob)
    assert browser.get("/api/schema/").status_code == 200
    assert browser.get("/api/docs/").status_code == 200


def test_neither_opens_for_anyone_else(api, alice, client):
    assert client.get("/api/schema/").status_code == 401
    answer = client.get("/api/docs/")
    assert (answer.status_code, answer["Location"]) == (302, "/account/sign-in/?next=/api/docs/")
    alice.is_active = False
    alice.save()
    revoked = api(alice)
    assert revoked.get("/api/schema/").status_code == 401
    assert revoked.get("/api/docs/").status_code == 401


def test_the_page_has_no_script_or_style_of_its_own(signed_in, alice):
    page = signed_in(alice).get("/api/docs/").content.decode()
    assert all(" src=" in script for script in re.findall("<script[^>]*>", page))
    assert "<style" not in page
    assert not re.search(r"<[^>]+ (style|on\w+)=", page)


def test_the_page_shows_every_operation_and_breaks_no_rule(live_server, context, signed_in, alice):
    session = signed_in(alice).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda fault: said.append(str(fault)))
    page.goto(f"{live_server.url}/api/docs/")
    page.wait_for_selector(".opblock")
    assert page.locator(".opblock").count() == len(OPERATIONS)
    page.locator("#operations-runs-log .opblock-summary-control").click()
    page.wait_for_selector("#operations-runs-log .opblock-body .responses-table")
    assert said == []

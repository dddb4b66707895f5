"""Every address with every method, and who may come in. A new address fails until it stands here.

The tables name the methods that an address takes; HEAD goes with GET, OPTIONS is tried everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

# Who may come in is not decided by the database.
pytestmark = pytest.mark.only_on("sqlite")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# Open to anybody, and why.
OPEN = {
    "health/live/": "GET",  # asked by a balancer
    "health/ready/": "GET",
    "exptrack-client.zip": "GET",  # fetched by pip
    "account/sign-in/": "GET POST PUT",  # Django takes a PUT of a form for a POST
    "account/sign-out/": "POST",  # leaving needs no right
    "account/password/reset/": "GET POST PUT",
    "account/password/reset/sent/": "GET",
    # A link that leads nowhere says so, however it is asked.
    "account/password/reset/<uidb64>/<token>/": "GET POST PUT PATCH DELETE",
    "account/password/reset/done/": "GET",
    # Says that there is nothing there.
    "api/^(?P<path>[\\s\\S]*)$": "GET POST PUT PATCH DELETE",
    "api": "GET POST PUT PATCH DELETE",
}
# Pages: a session opens them, a token does not; whoever is signed out is sent to sign-in.
PAGES = {
    "": "GET",
    "experiments/names/": "GET",
    "experiments/matching/": "GET",
    "experiments/complete/": "POST",
    "experiments/archive/": "POST",
    "experiments/reopen/": "POST",
    "experiments/trash/": "POST",
    "experiments/restore/": "POST",
    "experiments/<uuid:pk>/": "GET",
    "experiments/<uuid:pk>/columns/": "GET",
    "experiments/<uuid:pk>/complete/": "GET",
    "experiments/<uuid:pk>/grouping/": "GET",
    "experiments/<uuid:pk>/runs.csv": "GET",
    "experiments/<uuid:pk>/groups/series/": "GET",
    "experiments/<uuid:pk>/groups/means.csv": "GET",
    "experiments/<uuid:pk>/views/new/": "POST",
    "experiments/<uuid:pk>/views/<uuid:view_id>/": "GET POST",
    "experiments/<uuid:pk>/views/<uuid:view_id>/update/": "POST",
    "experiments/<uuid:pk>/views/<uuid:view_id>/delete/": "POST",
    "experiments/<uuid:pk>/runs/matching/": "GET",
    "experiments/<uuid:pk>/runs/compare/": "POST",
    "experiments/<uuid:pk>/runs/tag/": "POST",
    "experiments/<uuid:pk>/runs/untag/": "POST",
    "experiments/<uuid:pk>/runs/stop/": "POST",
    "experiments/<uuid:pk>/runs/trash/": "POST",
    "experiments/<uuid:pk>/runs/restore/": "POST",
    "experiments/<uuid:pk>/settings/": "GET POST",
    "experiments/<uuid:pk>/tags/": "POST",
    "experiments/<uuid:pk>/people/": "POST",
    "experiments/<uuid:pk>/people/remove/": "POST",
    "experiments/<uuid:pk>/trash/": "POST",
    "experiments/<uuid:pk>/restore/": "GET POST",
    "storage/": "GET POST",
    "trash/": "GET",
    "trash/purge/": "GET POST",
    "runs/<uuid:pk>/": "GET",
    "runs/<uuid:pk>/params/": "GET",
    "runs/<uuid:pk>/params.json": "GET",
    "runs/<uuid:pk>/params.yaml": "GET",
    "runs/<uuid:pk>/children/": "GET",
    "runs/<uuid:pk>/series/": "GET",
    "runs/<uuid:pk>/stop/": "POST",
    "runs/<uuid:pk>/name/": "GET POST",
    "runs/<uuid:pk>/notes/": "GET POST",
    "runs/<uuid:pk>/tags/": "GET POST",
    "runs/<uuid:pk>/move/": "GET POST",
    "runs/<uuid:pk>/trash/": "POST",
    "runs/<uuid:pk>/restore/": "POST",
    "markdown/": "POST",
    "live/": "GET",
    "compare/": "GET",
    "compare/runs/": "GET",
    "compare/series/": "GET",
    "compare/points.csv": "GET",
    "account/": "GET",
    "account/people/": "GET",
    "account/form-token/": "GET",
    "account/signed-in/": "GET",
    "account/profile/": "GET POST",
    "account/appearance/": "POST",
    "account/password/": "GET POST",
    "account/tokens/create/": "GET POST",
    "account/tokens/<uuid:token_id>/revoke/": "POST",
    "styleguide/": "GET",
    "styleguide/series/": "GET",
}
# The API: a token opens it, a session does not; whoever has none gets a 401.
API = {
    "api/v1/experiments/": "GET POST",
    "api/v1/experiments/<pk>/": "GET PUT PATCH DELETE",
    "api/v1/experiments/<pk>/restore/": "POST",
    "api/v1/experiments/<pk>/summary/": "GET",
    "api/v1/experiments/<pk>/collaborators/": "GET POST",
    "api/v1/experiments/<pk>/collaborators/<username>/": "DELETE",
    "api/v1/experiments/<pk>/runs.csv": "GET",
    "api/v1/runs/": "GET POST",
    "api/v1/runs.csv": "GET",
    "api/v1/runs/<pk>/": "GET PATCH DELETE",
    "api/v1/runs/<pk>/restore/": "POST",
    "api/v1/runs/<pk>/stop/": "POST",
    "api/v1/runs/<pk>/heartbeat/": "POST",
    "api/v1/runs/<pk>/finish/": "POST",
    "api/v1/runs/<pk>/log/": "POST",
    "api/v1/runs/<pk>/metrics/": "GET",
    "api/v1/runs/<pk>/history/": "GET",
    "api/v1/series/": "GET",
    "api/v1/compare/": "GET",
    "api/v1/me/": "GET",
    "api/v1/tokens/": "GET POST",
    "api/v1/tokens/<pk>/": "DELETE",
}
# Its description: a token opens it, and so does a session.
API_DESCRIPTION = {
    "api/docs/": "GET",
    "api/schema/": "GET",
}
# Django's admin guards each of its own; only admins come in.
ADMIN = "admin/"

SAMPLES = {"uuid": "00000000-0000-7000-8000-000000000000", "int": "1", "path": "x", "str": "x"}


def routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Every route that the resolver knows, as written in the `urls` modules."""
    for each in (resolver or get_resolver()).url_patterns:
        route = f"{prefix}{each.pattern}"
        if isinstance(each, URLPattern):
            yield route
        else:
            yield from routes(each, route)


def address_of(route: str) -> str:
    """A path that leads to a route."""
    path = re.sub(r"\^?\(\?P<\w+>[^)]*\)\$?", "x", route)
    path = re.sub(r"<pk>", SAMPLES["uuid"], path)
    path = re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES[found[1] or "str"], path)
    return f"/{path.removesuffix('$')}"


def each_of(*tables: dict[str, str]) -> pytest.MarkDecorator:
    """Run a test for each route of some tables."""
    return pytest.mark.parametrize("route", [route for table in tables for route in table])


def asked(client: Client, method: str, route: str, **extra: object) -> tuple[int, str]:
    """The status of a request without a body, and where it is sent on to."""
    client.raise_request_exception = False
    response = client.generic(method, address_of(route), content_type="application/json", **extra)
    assert response.status_code < 500, f"{method} /{route}: {response.content[:500]}"
    return response.status_code, response.headers.get("Location", "")


def taken_by(client: Client, route: str) -> set[str]:
    """The methods for which the answer is anything but 405."""
    methods = set(METHODS) - {"HEAD", "OPTIONS"}
    return {method for method in methods if asked(client, method, route)[0] != 405}


def test_every_address_is_classified_and_every_classified_one_exists():
    classified = OPEN | PAGES | API | API_DESCRIPTION
    found = {route for route in routes() if not route.startswith(ADMIN)}
    assert found == set(classified)


@each_of(PAGES)
def test_a_page_sends_whoever_is_signed_out_to_sign_in(db, route):
    visitor = Client()
    for method in METHODS:
        status, target = asked(visitor, method, route)
        assert (status, target.split("?")[0]) == (302, "/account/sign-in/"), method


@each_of(PAGES)
def test_a_fragment_never_becomes_a_sign_in_form(db, client, route):
    response = client.get(address_of(route), headers={"HX-Request": "true"})
    assert (response.status_code, response.content) == (204, b"")
    assert response["HX-Redirect"].startswith("/account/sign-in/")


@each_of(API)
def test_the_api_answers_401_to_whoever_has_no_token(api, route, db):
    script = api()
    for method in METHODS:
        assert asked(script, method, route)[0] == 401, method


@each_of(API_DESCRIPTION)
def test_session_and_token_open_the_description_of_the_api(api, signed_in, bob, route):
    for method in METHODS:
        status, target = asked(Client(), method, route)
        assert status == 401 or target.startswith("/account/sign-in/"), method
    for reader in (api(bob), signed_in(bob)):
        assert asked(reader, "GET", route)[0] == 200


@each_of(API)
def test_a_session_opens_no_api(signed_in, ada, route):
    browser = signed_in(ada)
    for method in METHODS:
        assert asked(browser, method, route)[0] == 401, method


@each_of(PAGES)
def test_a_token_opens_no_page(api, ada, route):
    script = api(ada)
    for method in METHODS:
        status, target = asked(script, method, route)
        assert (status, target.split("?")[0]) == (302, "/account/sign-in/"), method


@each_of(PAGES)
def test_a_page_takes_no_other_methods(signed_in, ada, route):
    assert taken_by(signed_in(ada), route) == set(PAGES[route].split())


@each_of(API, API_DESCRIPTION)
def test_the_api_takes_no_other_methods(api, ada, route):
    assert taken_by(api(ada), route) == set((API | API_DESCRIPTION)[route].split())


@each_of(OPEN)
def test_what_is_open_takes_no_other_methods(db, route):
    assert taken_by(Client(), route) == set(OPEN[route].split())


@pytest.mark.parametrize("route", [route for route in routes() if route.startswith(ADMIN)])
def test_the_admin_is_for_admins(db, signed_in, charlie, route):
    if route in ("admin/login/", "admin/logout/"):
        return
    visitors = (Client(), signed_in(charlie))
    for method in METHODS:
        for client in visitors:
            status, target = asked(client, method, route)
            assert status in (302, 403), method
            assert status == 403 or re.match("/admin/login/|/account/sign-in/", target), target


@pytest.mark.parametrize("path", ["nowhere/", "runs", "account", "static/nowhere.js", "media/x"])
def test_what_does_not_exist_tells_nothing(db, client, path):
    assert client.get(f"/{path}").status_code in (301, 302, 404)

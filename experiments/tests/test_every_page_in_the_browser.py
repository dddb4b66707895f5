"""Every page there is, in a real browser, with hostile text in every stored string.

No page runs it, breaks, loses its layout or leaves axe something to find, in either theme. A new
address fails here until it is walked, or stands among those that are no pages.
"""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db.models.expressions import RawSQL
from django.urls import reverse
from playwright.sync_api import Page, expect

from experiments.models import Run
from experiments.tests import hostile_world
from exptrack.tests import test_routes
from exptrack.tests.browser import enter
from exptrack.tests.servers import GunicornServer, database_url_of_tests

# Where each page is seen, by its route; the names in braces are of `hostile_world.fill`.
WALKED = {
    "": ["/", "/?search=zzz", "/?ordering=frog&status=x"],
    "experiments/<uuid:pk>/": [
        "/experiments/{experiment}/",
        "/experiments/{experiment}/?search=zzz",
        "/experiments/{experiment}/?view=charts",
        "/experiments/{gone}/",
    ],
    "experiments/<uuid:pk>/columns/": ["/experiments/{experiment}/columns/"],
    "experiments/<uuid:pk>/grouping/": [
        "/experiments/{experiment}/grouping/",
        "/experiments/{experiment}/grouping/?group=params.x&find=zzz",
    ],
    "experiments/<uuid:pk>/views/<uuid:view_id>/": ["/experiments/{experiment}/views/{view}/"],
    "experiments/<uuid:pk>/settings/": ["/experiments/{experiment}/settings/"],
    "experiments/<uuid:pk>/restore/": ["/experiments/{gone}/restore/"],
    "storage/": ["/storage/", "/storage/?page=9"],
    "trash/": ["/trash/", "/trash/?kind=runs", "/trash/?search=zzz"],
    "trash/purge/": ["/trash/purge/", "/trash/purge/?run={trashed}"],
    "runs/<uuid:pk>/": [
        "/runs/{run}/",
        "/runs/{failed}/?view=table",
        "/runs/{trashed}/?search=zzz",
    ],
    "runs/<uuid:pk>/params/": ["/runs/{run}/params/"],
    "runs/<uuid:pk>/children/": ["/runs/{run}/children/", "/runs/{other}/children/"],
    "runs/<uuid:pk>/name/": ["/runs/{run}/name/"],
    "runs/<uuid:pk>/notes/": ["/runs/{run}/notes/"],
    "runs/<uuid:pk>/tags/": ["/runs/{run}/tags/"],
    "runs/<uuid:pk>/move/": ["/runs/{run}/move/"],
    "compare/": ["/compare/", "/compare/?run={run}&run={failed}&run={other}"],
    "compare/runs/": ["/compare/runs/?run={run}&run={failed}"],
    "account/": ["/account/"],
    "account/signed-in/": ["/account/signed-in/"],
    "account/password/": ["/account/password/"],
    "account/sign-in/": ["/account/sign-in/?next=/"],
    "account/password/reset/": ["/account/password/reset/"],
    "account/password/reset/sent/": ["/account/password/reset/sent/"],
    "account/password/reset/<uidb64>/<token>/": ["/account/password/reset/x/y/"],
    "account/password/reset/done/": ["/account/password/reset/done/"],
    "styleguide/": ["/styleguide/"],  # a 404 here; the guide itself is walked below
    "styleguide/series/": ["/styleguide/series/"],
}
NO_PAGES = {
    "experiments/<uuid:pk>/runs.csv",
    "experiments/<uuid:pk>/runs/matching/",
    "experiments/matching/",
    "experiments/<uuid:pk>/groups/series/",
    "experiments/<uuid:pk>/groups/means.csv",
    "runs/<uuid:pk>/params.json",
    "runs/<uuid:pk>/params.yaml",
    "runs/<uuid:pk>/series/",
    "compare/series/",
    "compare/points.csv",
    "live/",
    "account/people/",  # fills a field
    "experiments/names/",  # too
    "experiments/<uuid:pk>/complete/",  # too
    "account/form-token/",
    "account/profile/",  # leads on
    "account/tokens/create/",
    "health/live/",
    "health/ready/",
    "exptrack-client.zip",
    "api/^(?P<path>[\\s\\S]*)$",
    "api",
}
SIGNED_OUT = ("account/sign-in/", "account/password/reset/")
# What none of the payloads may have become.
STRAYS = (
    "main :is(img, iframe, math, embed, object, [onerror], [onload], [hx-on\\:load]), "
    "b[hx-get], form[name=querySelector], main script:not([type='application/json'])"
)


@pytest.fixture
def world(transactional_db, ada) -> dict[str, str]:
    return hostile_world.fill(ada)


@pytest.fixture
def walker(page: Page, gunicorn_server, world, ada) -> Page:
    """The page, an admin signed in, everything hostile; a request to elsewhere fails the test."""
    enter(page, gunicorn_server.url, ada)
    strays = []
    page.on("request", lambda request: request.url.startswith((gunicorn_server.url, "data:"))
            or strays.append(request.url))  # fmt: skip
    yield page
    assert strays == []


def settle(page: Page) -> None:
    """Wait until it is drawn. An open stream never lets the network be idle."""
    page.wait_for_load_state("load")
    expect(page.locator(".htmx-request, [data-state=loading]")).to_have_count(0)


def test_every_page_is_walked_or_is_none():
    routes = test_routes.OPEN | test_routes.PAGES
    readable = {route for route, methods in routes.items() if "GET" in methods.split()}
    assert set(WALKED) | NO_PAGES == readable
    assert not set(WALKED) & NO_PAGES


@pytest.mark.parametrize("route", WALKED)
def test_hostile_text_does_nothing_and_the_page_is_faultless(
    walker, gunicorn_server, world, faultless, route
):
    if route.startswith(SIGNED_OUT):
        walker.context.clear_cookies()
    titles = set()
    for path in WALKED[route]:
        walker.goto(gunicorn_server.url + path.format(**world))
        settle(walker)
        assert walker.locator(STRAYS).count() == 0, path
        assert walker.get_by_role("heading", level=1).count() == 1, path
        faultless()
        titles.add(walker.title())
    assert all(title.endswith("ExpTrack") and len(title) > len("· ExpTrack") for title in titles)


def test_forms_in_their_place_are_no_less_safe(walker, gunicorn_server, world, faultless):
    walker.goto(f"{gunicorn_server.url}/runs/{world['run']}/")
    for name in ("Rename", "Edit tags", "Edit notes"):
        walker.get_by_role("link", name=name).click()
        settle(walker)
    walker.get_by_role("button", name="Preview").click()
    walker.locator("#preview .prose").wait_for()
    walker.evaluate("document.querySelectorAll('main details').forEach(each => each.open = true)")
    assert walker.locator(STRAYS).count() == 0
    faultless()


def test_the_admin_keeps_to_the_policy(walker, gunicorn_server, world):
    ours = [model._meta for model in admin.site._registry
            if model._meta.app_label in ("accounts", "experiments")]  # fmt: skip
    for meta in ours:
        name = f"admin:{meta.app_label}_{meta.model_name}"
        assert walker.goto(gunicorn_server.url + reverse(f"{name}_changelist")).ok, name
        strays = STRAYS.replace("img", "img:not([src*='/admin/img/'])")
        assert walker.locator(strays).count() == 0, name
        if row := meta.default_manager.first():
            change = reverse(f"{name}_change", args=[row.pk])
            assert walker.goto(gunicorn_server.url + change).ok, name
            settle(walker)


def test_errors_are_faultless_too(walker, gunicorn_server, world, faultless):
    assert walker.goto(f"{gunicorn_server.url}/nothing/here/").status == 404
    faultless()
    walker.goto(f"{gunicorn_server.url}/account/password/")
    walker.evaluate("document.querySelector('main [name=csrfmiddlewaretoken]').value = 'x'")
    with walker.expect_navigation():
        walker.evaluate("document.querySelector('main form').submit()")
    assert "out of date" in walker.get_by_role("heading", level=1).inner_text()
    faultless()


def test_the_page_of_a_fault_of_ours_is_faultless_and_leads_home(
    walker, gunicorn_server, world, complaints, faultless
):
    no_such_month = RawSQL("'2026-13-01 00:00:00'", ())
    Run.objects.filter(pk=world["run"]).update(created_at=no_such_month)
    assert walker.goto(f"{gunicorn_server.url}/runs/{world['run']}/").status == 500
    expect(walker.get_by_role("heading", name="Something broke on our side")).to_be_visible()
    faultless()
    assert len(complaints) == 1
    assert "status of 500" in complaints.pop()
    walker.get_by_role("link", name="To the experiments").click()
    expect(walker.get_by_role("heading", name="Experiments")).to_be_visible()


def test_the_style_guide_is_faultless(page, ada, faultless, transactional_db):
    server = GunicornServer(DATABASE_URL=database_url_of_tests(), EXPTRACK_DEBUG="true").start()
    try:
        enter(page, server.url, ada)
        assert page.goto(f"{server.url}/styleguide/").status == 200
        page.wait_for_load_state("networkidle")
        for chart in page.locator("metric-chart").all():
            chart.scroll_into_view_if_needed()
            states = {"empty": "empty", "error": "error"}
            said = states.get(chart.get_attribute("data-metric"), "ready")
            expect(chart).to_have_attribute("data-state", said)
        faultless()
        page.get_by_role("button", name="Open a drawer").click()
        expect(page.get_by_role("dialog", name="Columns")).to_be_visible()
        faultless()
    finally:
        server.remove()

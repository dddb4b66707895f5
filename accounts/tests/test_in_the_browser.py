"""The account's pages as people meet them: scripts, both themes, a phone."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import Token
from exptrack.tests.browser import enter
from exptrack.tests.people import PASSWORD

ACCOUNT = reverse("account")
# The answers to forms and addresses that do not fit are part of the tests.
EXPECTED = re.compile(r"status of (404|422|429|503)|Response Status Error Code 503")


@pytest.fixture
def page(page: Page, gunicorn_server) -> Page:
    """A page of the running server; whatever the browser complains of fails the test."""
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    yield page
    assert [text for text in complaints if not EXPECTED.search(text)] == []


@pytest.fixture
def account(page: Page, gunicorn_server, alice) -> Page:
    """The page of Alice's account."""
    enter(page, gunicorn_server.url, alice)
    page.goto(gunicorn_server.url + ACCOUNT)
    return page


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    # What is typed before the next page is there would go to this one.
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def test_a_refused_sign_in_says_so_and_a_lock_too(page, gunicorn_server, alice, faultless):
    page.goto(gunicorn_server.url + reverse("sign-in"))
    sign_in(page, "alice", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    faultless()
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        sign_in(page, "alice", "wrong")
    expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
    faultless()


def test_one_signs_in_and_is_where_one_wanted_to_be(page, gunicorn_server, alice):
    page.goto(f"{gunicorn_server.url}{reverse('sign-in')}?next={ACCOUNT}")
    sign_in(page, "alice")
    expect(page.get_by_role("heading", name="Account")).to_be_visible()


def test_a_token_is_made_copied_and_revoked_without_leaving_the_page(account, alice, faultless):
    page = account
    expect(page.get_by_text("No tokens yet")).to_be_visible()
    faultless()

    page.get_by_label("Only this experiment").fill("digits")
    page.get_by_label("Name", exact=True).fill("gpu-3")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text("You see no experiment of this name.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("gpu-3")
    faultless()

    page.get_by_label("Only this experiment").fill("")
    page.get_by_role("button", name="Create token").click()
    made = page.get_by_role("region", name=re.compile("gpu-3.* is ready"))
    expect(made).to_be_focused()
    secret = made.locator("#token-secret").inner_text()
    assert Token.objects.by_secret(secret).user == alice
    faultless()

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    made.get_by_role("button", name="Copy token").click()
    expect(made.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret

    page.get_by_role("button", name="Revoke gpu-3").click()
    page.get_by_role("button", name="Keep it").click()
    assert Token.objects.by_secret(secret)
    page.get_by_role("button", name="Revoke gpu-3").click()
    faultless()
    page.get_by_role("button", name="Revoke token").click()
    expect(page.get_by_role("status").filter(has_text="is revoked")).to_be_visible()
    assert Token.objects.by_secret(secret) is None
    expect(page.get_by_text("No tokens yet")).to_be_visible()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("is revoked")).to_have_count(0)


def test_a_theme_is_taken_at_once_and_kept(account, faultless):
    page = account
    page.get_by_role("button", name="Menu of alice").click()
    menu = page.get_by_role("navigation", name="Account")
    expect(menu).to_be_visible()
    faultless()
    with page.expect_response(f"**{reverse('appearance-save')}"):
        menu.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_css("background-color", "rgb(15, 19, 23)")
    page.reload()
    expect(page.locator("html")).to_have_css("background-color", "rgb(15, 19, 23)")
    page.keyboard.press("Escape")
    expect(menu).not_to_be_visible()


def test_a_page_without_the_server_says_so(account):
    page = account
    page.get_by_label("Name", exact=True).fill("gpu-3")
    page.route("**/tokens/create/", lambda route: route.fulfill(status=503))
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#messages")).to_contain_text("The server had a problem")
    expect(page.get_by_label("Name", exact=True)).to_have_value("gpu-3")
    page.unroute("**/tokens/create/")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text("The server had a problem")).to_have_count(0)


def test_changing_the_password_is_faultless(account, faultless):
    page = account
    page.get_by_role("link", name="Change password").click()
    expect(page.get_by_label("Current password")).to_be_visible()
    faultless()
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password again").fill("other")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("This is not your current password.")).to_be_visible()
    faultless()


def test_the_keyboard_reaches_the_content_first(account):
    page = account
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_without_a_script_everything_works(scriptless, gunicorn_server, alice):
    page = scriptless
    page.goto(f"{gunicorn_server.url}{reverse('sign-in')}?next={ACCOUNT}")
    sign_in(page, "alice")
    page.get_by_label("Name", exact=True).fill("gpu-3")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator("#token-secret").inner_text()
    assert Token.objects.by_secret(secret)
    expect(page.get_by_role("button", name="Copy token")).not_to_be_visible()
    page.get_by_role("button", name="Revoke gpu-3").click()
    expect(page.get_by_text("is revoked and opens nothing any more.")).to_be_visible()
    page.get_by_role("button", name="Comfortable").click()
    expect(page.locator("html")).to_have_attribute("data-density", "comfortable")


def test_a_page_weighs_little(account):
    page = account
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("heading", name="Account")).to_be_visible()
    weight = page.evaluate(
        "performance.getEntriesByType('resource').concat("
        "performance.getEntriesByType('navigation'))"
        ".reduce((sum, entry) => sum + entry.decodedBodySize, 0)"
    )
    assert 20_000 < weight < 250_000

"""A real browser: Debian's Chromium, driven by Playwright.

Tests that ask for `page` (or `context`, `browser`) are browser tests. Without Chromium they
skip, loudly; under CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

from exptrack.tests.waiting import PATIENCE

expect.set_options(timeout=1000 * PATIENCE)

# The same engine without windows of its own takes half the processor time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
WITHOUT_CHROMIUM = (
    "No chromium on this machine: browser tests cannot run (`make test` as root installs it)."
)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Whoever asks for a page is a browser test, marked or not."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker("browser")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """Chromium without its talk to the world outside."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail(WITHOUT_CHROMIUM)
        pytest.skip(WITHOUT_CHROMIUM)
    flags = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--no-first-run",
    ]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    return {"executable_path": CHROMIUM, "args": flags}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    """Nothing moves by itself: neither under the pointer nor while a colour is judged."""
    return browser_context_args | {"reduced_motion": "reduce"}


def enter(page: Page, url: str, user) -> None:
    """Give the browser the session of a signed-in person."""
    visit = Client()
    visit.force_login(user, "django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": visit.cookies[name].value, "url": url}])


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    """Of pages that are waited for as everything is."""
    context.set_default_timeout(1000 * PATIENCE)
    return context


@pytest.fixture
def scriptless(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of a browser that runs no script."""
    return new_context(java_script_enabled=False).new_page()


@pytest.fixture
def faultless(page: Page) -> Callable[[], None]:
    """Finds what axe finds, in both themes, and whether any width of screen scrolls sideways."""
    axe = Axe()

    def check() -> None:
        # Of all that axe knows only the contrast can differ between the themes.
        for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            page.emulate_media(color_scheme=scheme)
            options = {"resultTypes": ["violations"], **rules}
            violations = axe.run(page, options=options).response["violations"]
            assert [
                (found["id"], node["html"][:300]) for found in violations for node in found["nodes"]
            ] == []
        size = page.viewport_size
        for width in (360, 390, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.set_viewport_size(size)

    return check

"""How tests go about in a real browser; the fixtures `page` and `visit` stand in
conftest."""

from __future__ import annotations

import re

from django.conf import settings
from django.test import Client
from playwright.sync_api import Locator, Page

# Answers that a test brings about itself.
EXPECTED = re.compile(
    r"(status of|Status Error Code) (400|401|403|404|422|503)"
    r"|htmx:(sendAbort|afterRequest)"  # given up for a newer one
    r"|net::ERR_(FAILED|CONNECTION_\w+|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)"
)


def enter(page: Page, url: str, user) -> None:
    """Give the browser the session of a signed-in person."""
    visit = Client()
    visit.force_login(user, "django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": visit.cookies[name].value, "url": url}])


def rows(page: Page) -> Locator:
    """The rows of the page's table."""
    return page.locator("tbody tr")

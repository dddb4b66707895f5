"""How tests go about in a real browser; the fixtures `page` and `visit` stand in
conftest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, Route, expect

from exptrack.tests.waiting import wait_until

# Answers that a test brings about itself.
EXPECTED = re.compile(
    r"(status of|Status Error Code) (400|401|403|404|422|503)"
    r"|htmx:(sendAbort|afterRequest)"  # given up for a newer one
    r"|net::ERR_(FAILED|CONNECTION_\w+|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)"
)


def rows(page: Page) -> Locator:
    """The rows of the page's table."""
    return page.locator("tbody tr")


# --- What has to be waited for ------------------------------------------------------------------


def ready(page: Page) -> Page:
    """The page once every chart near the screen is drawn."""
    expect(page.locator("metric-chart").first).to_have_attribute("data-state", "ready")
    expect(page.locator("metric-chart[data-state=loading]")).to_have_count(0)
    return page


def expect_of(element: Locator, script: str, value: object) -> None:
    """Wait until an element has this of itself to tell, by a function of it."""
    element.page.wait_for_function(
        "([element, value]) => JSON.stringify((" + script + ")(element)) === JSON.stringify(value)",
        arg=[element.element_handle(), value],
    )


def heard(page: Page, condition: Callable[[], bool]) -> None:
    """Wait until the page's events have brought something about in the test itself."""
    # Only while it waits are events told.
    wait_until(lambda: condition() or page.wait_for_timeout(20))


def held(
    page: Page, url: str | re.Pattern, count: int, asking: Callable[[], object]
) -> list[Route]:
    """Let `asking` bring about so many requests, which wait for their answer until the test
    gives it; later ones go on."""
    routes: list[Route] = []

    def hold(route: Route) -> None:
        if len(routes) < count:
            routes.append(route)
        else:
            route.fallback()

    page.route(url, hold)
    asking()
    heard(page, lambda: len(routes) >= count)
    return routes


@contextmanager
def replaced(element: Locator) -> Iterator[None]:
    """What happens meanwhile ends with another element in its place."""
    old = element.element_handle()
    yield
    element.page.wait_for_function("old => !old.isConnected", arg=old)

"""A real browser: Debian's Chromium, driven by Playwright.

Tests that ask for `page` (or `context`, `browser`) are browser tests. Without Chromium they
skip, loudly; under CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
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

"""What the tests of experiments share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from accounts.models import User
from experiments.models import Experiment
from experiments.tests.browsing import EXPECTED
from experiments.tests.contract import CheckedClient
from exptrack.tests.browser import enter


@pytest.fixture
def api(token: Callable[..., str]) -> Callable[..., CheckedClient]:
    """Makes scripts, as everywhere; here each answer must be one that the OpenAPI document
    tells."""

    def script(user: User | None = None, **fields: object) -> CheckedClient:
        return CheckedClient(token(user, **fields) if user else None)

    return script


@pytest.fixture
def experiment(alice: User) -> Experiment:
    """An experiment of Alice's, to be filled."""
    return Experiment.objects.create(owner=alice, name="digits")


@pytest.fixture
def secret(alice: User) -> Experiment:
    """A private one of hers."""
    return Experiment.objects.create(owner=alice, name="secret", visibility="private")


@pytest.fixture
def here(experiment: Experiment) -> str:
    """The address of its page."""
    return reverse("experiment-detail", args=[experiment.pk])


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has complained of so far."""
    return []


@pytest.fixture
def page(page: Page, gunicorn_server, alice, complaints) -> Page:
    """A page of the running server, Alice signed in; whatever the browser complains of, and
    every dialog, fails the test."""
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    enter(page, gunicorn_server.url, alice)
    yield page
    assert [text for text in complaints if not EXPECTED.search(text)] == []


@pytest.fixture
def visit(page, gunicorn_server) -> Callable[..., Page]:
    """Opens the page of a URL name: `visit("run-detail", run.pk)`."""

    def opened(name: str, *args: object, query: str = "") -> Page:
        page.goto(f"{gunicorn_server.url}{reverse(name, args=args)}{query}")
        return page

    return opened

"""The people of every test, and the doors they come through."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import Token, User

PASSWORD = "correct horse battery staple"


class ApiClient(Client):
    """A script with a token: speaks JSON, carries no cookie, sees every status as it is."""

    def __init__(self, secret: str | None = None, **defaults: object) -> None:
        headers = {"Authorization": f"Bearer {secret}"} if secret else None
        super().__init__(raise_request_exception=False, headers=headers, **defaults)
        self.secret = secret

    def generic(self, method, path, data="", content_type="application/json", **extra):
        """What every verb ends in; Django's forms give way to JSON."""
        return super().generic(method, path, data, content_type, **extra)

    def post(self, path, data=None, content_type="application/json", **extra):
        return super().post(path, data, content_type, **extra)


@pytest.fixture
def alice(db: None) -> User:
    """Owns things."""
    return User.objects.create_user("alice", PASSWORD, email="alice@example.org")


@pytest.fixture
def bob(db: None) -> User:
    """May read: a viewer."""
    return User.objects.create_user("bob", PASSWORD, role=User.Role.VIEWER)


@pytest.fixture
def charlie(db: None) -> User:
    """A stranger: a member who owns nothing that is looked for here."""
    return User.objects.create_user("charlie", PASSWORD)


@pytest.fixture
def ada(db: None) -> User:
    """An admin."""
    return User.objects.create_user("ada", PASSWORD, role=User.Role.ADMIN)


@pytest.fixture
def token(db: None) -> Callable[..., str]:
    """Makes a token: `token(alice, scope="read")` is its secret."""

    def issue(user: User, **fields: object) -> str:
        return Token.objects.issue(user, **{"name": "test", **fields})[1]

    return issue


@pytest.fixture
def api(token: Callable[..., str]) -> Callable[..., ApiClient]:
    """Makes scripts: `api(alice)` may all she may, `api(alice, scope="log")` less, `api()` has
    no token. `api(alice).post("/api/v1/runs/", {...}).json()`."""

    def script(user: User | None = None, **fields: object) -> ApiClient:
        return ApiClient(token(user, **fields) if user else None)

    return script


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """Makes browsers without JavaScript: `signed_in(alice).get("/")`."""

    def visit(user: User) -> Client:
        browser = Client()
        browser.force_login(user, "django.contrib.auth.backends.ModelBackend")
        return browser

    return visit

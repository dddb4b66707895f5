"""What the tests of experiments share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts.models import User
from experiments.tests.contract import CheckedClient


@pytest.fixture
def api(token: Callable[..., str]) -> Callable[..., CheckedClient]:
    """Makes scripts, as everywhere; here each answer must be one that the OpenAPI document
    tells."""

    def script(user: User | None = None, **fields: object) -> CheckedClient:
        return CheckedClient(token(user, **fields) if user else None)

    return script

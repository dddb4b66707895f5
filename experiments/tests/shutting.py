"""Everything that ends what a token opens, for the tests of what is done from memory."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Token, User


def shutting(*, bound: int) -> pytest.MarkDecorator:
    """Parametrizes a test by `change`, to be called, and the `status` that follows it; by status
    `bound` where the token was bound to another experiment."""
    return pytest.mark.parametrize(
        ("change", "status"),
        [
            (lambda: Token.objects.all().revoke(), 401),
            (lambda: Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1)), 401),
            (lambda: User.objects.update(is_active=False), 401),
            (lambda: User.objects.update(role="viewer"), 403),
            (lambda: Token.objects.update(scope="read"), 403),
            (lambda: Token.objects.update(experiment_id=uuid.uuid4()), bound),
        ],
        ids=["revoked", "expired", "inactive", "viewer", "scope", "bound"],
    )

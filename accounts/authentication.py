"""How a request to the API says who it is: a token, never a cookie."""

from __future__ import annotations

import structlog
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Token, User

SCHEMES = (b"bearer", b"token")


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` or `Token <token>`."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """The user, carrying the token, so that every later decision sees both."""
        scheme, *rest = get_authorization_header(request).split() or [b""]
        if scheme.lower() not in SCHEMES:
            return None
        secret = rest[0].decode("latin-1") if len(rest) == 1 else ""
        token = Token.objects.by_secret(secret)
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        token.note_use()
        user = token.user
        user.token = token
        structlog.contextvars.bind_contextvars(user=user.username)
        return user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="ExpTrack"'

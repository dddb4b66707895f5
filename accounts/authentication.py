"""How a request to the API says who it is: a token, never a cookie."""

from __future__ import annotations

import structlog
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import Token, User, digest_of

SCHEMES = (b"bearer", b"token")


# Tokens lately seen by this process, by the digest of their secret.
MOST_REMEMBERED = 1_000
remembered: dict[str, Token] = {}


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` or `Token <token>`."""

    def authenticate(self, request: Request) -> tuple[User, Token | None] | None:
        """The user, carrying the token, so that every later decision sees both."""
        secret = secret_of(request)
        return None if secret is None else accepted(self.found(secret))

    def found(self, secret: str) -> Token:
        """The live token with this secret."""
        token = Token.objects.by_secret(secret)
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        token.note_use()
        return token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="ExpTrack"'


class RememberedTokenAuthentication(TokenAuthentication):
    """For the hot path, whose own statement asks whether the token still opens what it did: one
    that this process looked up within the last minute is taken from memory. `request.auth` is
    None then, and whoever does anything else with it calls `looked_up` first."""

    def authenticate(self, request: Request) -> tuple[User, Token | None] | None:
        secret = secret_of(request)
        known = remembered.get(digest_of(secret or ""))
        if known is None or not known.was_used_lately:
            return super().authenticate(request)
        return accepted(known)[0], None

    def found(self, secret: str) -> Token:
        token = super().found(secret)
        if len(remembered) >= MOST_REMEMBERED:
            remembered.clear()
        remembered[token.digest] = token
        return token


def looked_up(request: Request) -> None:
    """Look a token up that was taken from memory; AuthenticationFailed when it opens nothing any
    more."""
    request.user, request.auth = TokenAuthentication().authenticate(request)


def secret_of(request: Request) -> str | None:
    """The secret that a request shows; None when it shows none of ours."""
    scheme, *rest = get_authorization_header(request).split() or [b""]
    if scheme.lower() not in SCHEMES:
        return None
    return rest[0].decode("latin-1") if len(rest) == 1 else ""


def accepted(token: Token) -> tuple[User, Token]:
    """The token's user, carrying it."""
    user = token.user
    user.token = token
    structlog.contextvars.bind_contextvars(user=user.username)
    return user, token

"""Make a token from the command line."""

from __future__ import annotations

import difflib
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from accounts.durations import parse_duration
from accounts.models import Token, User

NAME_LENGTH = Token._meta.get_field("name").max_length


class Command(BaseCommand):
    help = "Make a token for a user and print it, alone, on standard output."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="user name of whoever it speaks for")
        parser.add_argument("--name", required=True, help="where it will be used")
        parser.add_argument(
            "--scope",
            choices=Token.Scope.values,
            default=Token.Scope.WRITE.value,
            help="what it may: read, log (make runs and log to them) or write (default)",
        )
        parser.add_argument("--expires", metavar="30d", help="12h, 30d, 2w, 1y; default: never")

    def handle(self, *, user: str, name: str, scope: str, expires: str | None, **_: object) -> None:
        try:
            secret = make_token(user, name=name, scope=scope, expires=expires)
        except DatabaseError as error:
            raise CommandError(
                f"The database cannot be used: {str(error).strip()}. "
                "It is prepared when the server starts: run `make run` first."
            ) from error
        self.stdout.write(secret)


def make_token(username: str, *, name: str, scope: str, expires: str | None) -> str:
    """The secret of a new token; CommandError with a sentence where that cannot be."""
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise CommandError(f"The name must be 1 to {NAME_LENGTH} printable characters.")
    try:
        lifetime = None if expires is None else parse_duration(expires)
    except ValueError as error:
        raise CommandError(str(error)) from error
    expires_at = timezone.now() + lifetime if lifetime else None
    owner = active_user(username)
    return Token.objects.issue(owner, name, scope=scope, expires_at=expires_at)[1]


def active_user(username: str) -> User:
    """The active user of this name; CommandError names who may have been meant."""
    # What the shell could not decode is no name, and no database would take it.
    wanted = User.normalize_username(username) if username.isprintable() else ""
    user = User.objects.filter(username=wanted).first()
    if user is None:
        names = User.objects.filter(is_active=True).values_list("username", flat=True)
        close = difflib.get_close_matches(username, names, n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise CommandError(f"There is no user “{username}”.{hint}")
    if not user.is_active:
        raise CommandError(f"The user “{username}” is deactivated: a token would open nothing.")
    return user

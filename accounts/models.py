"""People and the tokens their scripts use. Knows nothing of experiments."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Collection
from datetime import timedelta
from functools import cache
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from uuid_utils.compat import uuid7

from exptrack.databases import prepared_cursor

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN_PREFIX = "ext_"  # noqa: S105
TOKEN_RANDOM_BYTES = 20
TOKEN_BODY_LENGTH, TOKEN_CHECK_LENGTH = 27, 6
# A row written by every request would make reading tokens as dear as writing them.
LAST_USED_EVERY = timedelta(minutes=1)
# For PostgreSQL: whether a token still opens what it did when it was read; the values are those
# of `Token.proof`.
STILL_OPENS = """EXISTS (
    SELECT FROM accounts_token t JOIN accounts_user u ON u.id = t.user_id
    WHERE t.id = %s AND t.user_id = %s AND t.scope = %s AND t.revoked_at IS NULL
      AND t.experiment_id IS NOT DISTINCT FROM %s::uuid
      AND (t.expires_at IS NULL OR t.expires_at > %s) AND u.is_active AND u.role = %s)"""


class UserQuerySet(models.QuerySet):
    def active_admins(self) -> UserQuerySet:
        return self.filter(role=self.model.Role.ADMIN, is_active=True)

    def would_keep_an_admin(self, *, without: Collection[UUID]) -> bool:
        """Whether an active admin remains when the people with these ids are none any more.

        Locks the admins until the transaction ends: two who demote each other at the same
        moment must not both succeed.
        """
        admins = self.active_admins().select_for_update().values_list("pk", flat=True)
        return any(pk not in without for pk in admins)

    def with_live_tokens(self) -> UserQuerySet:
        """With `live_token_count`. A subquery: joined, every user would be grouped before the
        first page is cut."""
        live = Token.objects.live().filter(user=OuterRef("pk")).order_by().values("user")
        count = live.annotate(count=Count("pk")).values("count")
        return self.annotate(live_token_count=Coalesce(Subquery(count), 0))


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):
    """Makes people; names are compared as typed, in NFKC."""

    def create_user(self, username: str, password: str | None = None, **fields: object) -> User:
        """A stored user; without a password one that cannot sign in by password."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields) -> User:
        """A stored user with the role admin (Django's own command calls this)."""
        return self.create_user(username, password, role=User.Role.ADMIN, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username=username)


class User(AbstractBaseUser):
    """Someone who signs in. The role is the only source of rights over the whole site."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        MEMBER = "member", "Member"
        ADMIN = "admin", "Admin"

    class Theme(models.TextChoices):
        AUTO = "auto", "As the system"
        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    class Density(models.TextChoices):
        DENSE = "dense", "Dense"
        COMFORTABLE = "comfortable", "Comfortable"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = models.CharField(
        max_length=150, unique=True, validators=[UnicodeUsernameValidator()]
    )
    email = models.EmailField(blank=True)
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    theme = models.CharField(max_length=5, choices=Theme, default=Theme.AUTO)
    density = models.CharField(max_length=11, choices=Density, default=Density.DENSE)
    is_active = models.BooleanField("active", default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    # The token this request came with; None in a session. Rights are the least of the two.
    token: Token | None = None

    class Meta:
        ordering = ["username"]
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["viewer", "member", "admin"]), name="user_role_known"
            ),
            models.CheckConstraint(
                condition=Q(theme__in=["auto", "light", "dark"]), name="user_theme_known"
            ),
            models.CheckConstraint(
                condition=Q(density__in=["dense", "comfortable"]), name="user_density_known"
            ),
        ]

    @property
    def is_admin(self) -> bool:
        return self.is_active and self.role == self.Role.ADMIN

    @property
    def may_write(self) -> bool:
        """Whether the role allows any change at all; viewers only read."""
        return self.is_active and self.role != self.Role.VIEWER

    # Django's admin asks these; the role answers, there are no permission rows.
    is_staff = is_superuser = is_admin

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_admin

    def has_perms(self, perm_list: list[str], obj: object = None) -> bool:
        return self.is_admin

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_admin


class TokenQuerySet(models.QuerySet):
    def live(self) -> TokenQuerySet:
        """Tokens that open something now: neither revoked nor past their end."""
        now = timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def expired(self) -> TokenQuerySet:
        """Tokens past their end that nobody had to revoke."""
        return self.filter(expires_at__lte=timezone.now(), revoked_at=None)

    def revoke(self) -> int:
        """End them, from the next request on; when one first ended stays. How many ended."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())

    revoke.queryset_only = True  # never of all tokens by a slip

    def for_account(self, user: User) -> TokenQuerySet:
        """The user's tokens to show them: the revoked are gone, the expired still stand."""
        return self.filter(user=user, revoked_at=None).order_by("-created_at", "-id")

    def older_than(self, token_id: str) -> TokenQuerySet:
        """Those of `for_account` that come after the one with this id; all if there is none."""
        try:
            last = self.model.objects.filter(pk=token_id).only("created_at").first()
        except ValidationError:  # not an id
            last = None
        if last is None:
            return self
        return self.filter(
            Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, id__lt=last.pk)
        )

    def by_secret(self, secret: str) -> Token | None:
        """The live token of an active user with this secret, its user loaded; one query."""
        if not looks_like_token(secret):
            return None
        sql, token_columns, user_columns = by_secret_statement(self.db)
        with prepared_cursor() as cursor:
            cursor.execute(sql, [digest_of(secret)])
            row = cursor.fetchone()
        if row is None:
            return None
        token = from_row(Token, token_columns, row, self.db)
        token.user = from_row(User, user_columns, row[len(token_columns) :], self.db)
        usable = token.revoked_at is None and not token.has_expired and token.user.is_active
        return token if usable else None

    def issue(self, user: User, name: str, **fields: object) -> tuple[Token, str]:
        """Store a new token; returns it with its secret, which is nowhere else."""
        secret = new_secret()
        token = self.create(
            user=user, name=name, digest=digest_of(secret), hint=secret[:8], **fields
        )
        return token, secret


class Token(models.Model):
    """What a script shows instead of a password. Only the SHA-256 of the secret is kept:
    with 160 random bits a slow password hash would add nothing but its cost."""

    class Scope(models.TextChoices):
        READ = "read", "Read"
        LOG = "log", "Log only"
        WRITE = "write", "Read and write"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False)
    scope = models.CharField(max_length=5, choices=Scope, default=Scope.WRITE)
    # Not a foreign key: accounts knows no experiments, and a token bound to one that was
    # purged must open nothing rather than everything.
    experiment_id = models.UUIDField("experiment", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(scope__in=["read", "log", "write"]), name="token_scope_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def revoke(self) -> None:
        """End it, from the next request on; when it first ended stays."""
        type(self).objects.filter(pk=self.pk).revoke()
        self.refresh_from_db(fields=["revoked_at"])

    def proof(self) -> list[object]:
        """The values of STILL_OPENS."""
        return [self.pk, self.user_id, self.scope, self.experiment_id, timezone.now(),
                self.user.role]  # fmt: skip

    @property
    def was_used_lately(self) -> bool:
        """Whether its last use was noted within the last minute."""
        return (
            self.last_used_at is not None and timezone.now() - self.last_used_at <= LAST_USED_EVERY
        )

    def note_use(self) -> None:
        """Remember that it was used, at most once a minute."""
        if not self.was_used_lately:
            now = timezone.now()
            type(self).objects.filter(pk=self.pk, last_used_at=self.last_used_at).update(
                last_used_at=now
            )
            self.last_used_at = now


@cache
def by_secret_statement(using: str) -> tuple[str, list, list]:
    """The statement that every API request begins with, made once: composing it anew took the
    ORM longer than the rest of the authentication. With the columns of token and user, each as
    the field's name and what turns a stored value into Python's. Only names of our own models
    are put into the text."""
    connection = connections[using]
    names, columns = [], []
    for model in (Token, User):
        columns.append([])
        for field in model._meta.concrete_fields:
            column = field.get_col(model._meta.db_table)
            converters = column.get_db_converters(connection)
            converters += connection.ops.get_db_converters(column)
            columns[-1].append((field.attname, column, converters))
            names.append(f'"{model._meta.db_table}"."{field.column}"')
    sql = (
        f"SELECT {', '.join(names)} FROM accounts_token "  # noqa: S608
        "JOIN accounts_user ON accounts_user.id = accounts_token.user_id "
        "WHERE accounts_token.digest = %s"
    )
    return sql, *columns


def from_row(model: type[models.Model], columns: list, row: tuple, using: str) -> models.Model:
    """An instance from the first columns of a row fetched from the database `using`."""
    values = []
    for (_, column, converters), value in zip(columns, row, strict=False):
        for convert in converters:
            value = convert(value, column, connections[using])
        values.append(value)
    return model.from_db(using, [name for name, _, _ in columns], values)


def new_secret() -> str:
    """A fresh secret: prefix, 160 random bits, CRC-32, the last two in base 62."""
    number = int.from_bytes(secrets.token_bytes(TOKEN_RANDOM_BYTES))
    body = TOKEN_PREFIX + base62(number, TOKEN_BODY_LENGTH)
    return body + checksum(body)


def looks_like_token(text: str) -> bool:
    """Whether prefix, length and checksum fit: a typo costs no query."""
    expected = len(TOKEN_PREFIX) + TOKEN_BODY_LENGTH + TOKEN_CHECK_LENGTH
    if len(text) != expected or not text.startswith(TOKEN_PREFIX) or not text.isascii():
        return False
    return checksum(text[:-TOKEN_CHECK_LENGTH]) == text[-TOKEN_CHECK_LENGTH:]


def digest_of(secret: str) -> str:
    """SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def checksum(text: str) -> str:
    """CRC-32 of ASCII text in six base-62 digits; secret scanners use it against false alarms."""
    return base62(zlib.crc32(text.encode()), TOKEN_CHECK_LENGTH)


def base62(number: int, length: int) -> str:
    """`number` in base 62, padded with zeros to `length` digits."""
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = ALPHABET[rest] + digits
    return digits.rjust(length, ALPHABET[0])

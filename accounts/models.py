"""People and the tokens their scripts use. Knows nothing of experiments."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN_PREFIX = "ext_"  # noqa: S105
TOKEN_RANDOM_BYTES = 20
TOKEN_BODY_LENGTH, TOKEN_CHECK_LENGTH = 27, 6
# A row written by every request would make reading tokens as dear as writing them.
LAST_USED_EVERY = timedelta(minutes=1)


class UserManager(BaseUserManager):
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
        return (
            self.live()
            .filter(digest=digest_of(secret), user__is_active=True)
            .select_related("user")
            .first()
        )

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
        now = timezone.now()
        if type(self).objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now):
            self.revoked_at = now

    def note_use(self) -> None:
        """Remember that it was used, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > LAST_USED_EVERY:
            type(self).objects.filter(pk=self.pk, last_used_at=self.last_used_at).update(
                last_used_at=now
            )


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

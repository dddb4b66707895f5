"""What happens between `manage.py serve` and the first request, in order."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.staticfiles.finders import get_finders
from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User

# Any number, as long as it is always the same: who holds it prepares the database.
PREPARING = 4_031_977_266_015
# Of a password to be read off a screen: none that looks like another.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class CannotStart(Exception):
    """Why ExpTrack does not start, as one sentence for whoever started it."""


def check_folder(folder: Path) -> None:
    """CannotStart unless files can be made in the data folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise CannotStart(
            f"The data folder {folder} cannot be written ({error.strerror}). "
            "Set EXPTRACK_DATA to a folder of yours."
        ) from error


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; CannotStart when the port is taken or not ours to take.

    It is held from here on: nobody can take the port while the database is prepared, and an
    early visitor waits instead of being refused.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except PermissionError as error:
        raise CannotStart(
            f"Port {port} is not open to this account. Set PORT to another, such as 8000."
        ) from error
    except socket.gaierror as error:
        raise CannotStart(f"HOST is {host}, which is no address of this machine.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} is in use. Stop what uses it, or set PORT to another."
            ) from error
        raise CannotStart(f"Cannot listen at {host}, port {port}: {error.strerror}.") from error


def check_database() -> None:
    """CannotStart unless the database answers, and is one we can keep our promises on."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT lower('Ä') = 'ä'")
            [folds_case] = cursor.fetchone()
    except DatabaseError as error:
        reason = str(error).strip().splitlines()[0]
        raise CannotStart(f"The database cannot be reached: {reason}. See DATABASE_URL.") from error
    if connection.vendor != "postgresql":
        return
    if connection.pg_version < 150_000:
        raise CannotStart("This PostgreSQL is too old: ExpTrack needs version 15 or newer.")
    if not folds_case:
        raise CannotStart(
            "This database folds only the case of A to Z. Create it anew with "
            "ENCODING 'UTF8' and a locale such as C.UTF-8 or en_US.UTF-8."
        )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold back every other start on this data folder or database meanwhile."""
    with (folder / "starting").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            # Whoever waits here waits for another's migrations, which may be long.
            cursor.execute("SET lock_timeout = 0; SET statement_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
            # A migration must not queue for long before others' queries, nor be cut short.
            cursor.execute("SET lock_timeout = '15s'")
        try:
            yield
        finally:
            connection.close()


def has_migrations_to_run() -> bool:
    """Whether the tables are older than the code."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@dataclass(frozen=True)
class Stamp:
    """What the static files looked like when they were last collected."""

    path: Path
    text: str

    def keep(self) -> None:
        """Remember that they were collected."""
        self.path.write_text(self.text)


def stamp_of_changed_static_files(folder: Path) -> Stamp | None:
    """To be kept once they are collected; None when none changed since the last time."""
    for source in settings.STATICFILES_DIRS:
        path = Path(source[1] if isinstance(source, tuple) else source)
        if not path.is_dir():
            raise CannotStart(f"The browser libraries are missing (no {path}). Run `npm ci`.")
    stamp = Stamp(folder / "static-files", fingerprint_of_static_files())
    unchanged = stamp.path.exists() and stamp.path.read_text() == stamp.text
    return None if unchanged else stamp


def fingerprint_of_static_files() -> str:
    """Changes whenever a static file is added, changed or removed."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
            status = os.stat(storage.path(name))
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def an_admin() -> str | None:
    """The name of the admin who has been here longest."""
    admins = User.objects.filter(role=User.Role.ADMIN, is_active=True).order_by("date_joined")
    return admins.values_list("username", flat=True).first()


@dataclass(frozen=True)
class FirstAdmin:
    """Who was made at the first start; `password` only when it was made up, not given."""

    name: str
    password: str | None


def make_first_admin(name: str, given_password: str) -> FirstAdmin | None:
    """Make the first user, an admin, when there is none yet; CannotStart when the name or the
    password given will not do. Without a password one is made up."""
    if User.objects.exists():
        return None
    password = given_password or made_up_password()
    user = User(username=User.normalize_username(name), role=User.Role.ADMIN)
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise CannotStart(f"EXPTRACK_ADMIN_USER will not do: {' '.join(error.messages)}") from error
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise CannotStart(
            f"EXPTRACK_ADMIN_PASSWORD will not do: {' '.join(error.messages)}"
        ) from error
    user.set_password(password)
    user.save()
    return FirstAdmin(user.username, None if given_password else password)


def made_up_password() -> str:
    """Four groups of five letters and digits: 99 random bits that can be read aloud."""
    groups = ("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
    return "-".join(groups)

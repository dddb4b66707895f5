"""`manage.py serve`: check, prepare, say where, and become gunicorn."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import BaseCommand, call_command, get_commands
from django.db import connection

from exptrack import start

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Command(BaseCommand):
    """Serves ExpTrack, after preparing whatever a first or a newer start needs."""

    help = "Serve ExpTrack at HOST:PORT; the first start also makes the database and an admin."
    requires_system_checks = ()

    def handle(self, **options: object) -> None:
        """Everything in order; one sentence and a non-zero exit where it cannot go on."""
        # What is written from here on, the database and its journals above all, is ours alone.
        os.umask(0o077)
        try:
            start.check_folder(settings.DATA_DIR)
            listener = start.listen(settings.HOST, settings.PORT)
            start.check_database()
            with start.alone(settings.DATA_DIR):
                admin = self.prepare()
        except start.CannotStart as error:
            sys.exit(f"ExpTrack cannot start: {error}")
        except KeyboardInterrupt:
            sys.exit(130)
        self.announce(listener.getsockname()[1], admin)
        become_gunicorn(listener)

    def prepare(self) -> start.FirstAdmin | None:
        """Tables, static files, the first admin and the demo, each only when it is missing."""
        if start.has_migrations_to_run():
            self.say("Preparing the database ...")
            call_command("migrate", interactive=False, verbosity=0)
        if stamp := start.stamp_of_changed_static_files(settings.DATA_DIR):
            self.say("Preparing the static files ...")
            call_command("collectstatic", interactive=False, verbosity=0)
            stamp.keep()
        # Not left in the environment, where every worker would carry it for ever.
        given_password = os.environ.pop("EXPTRACK_ADMIN_PASSWORD", "")
        admin = start.make_first_admin(settings.ADMIN_USER, given_password)
        if admin and settings.DEMO and "load_demo" in get_commands():
            self.say("Loading the demo ...")
            call_command("load_demo")
        return admin

    def announce(self, port: int, made: start.FirstAdmin | None) -> None:
        """Say where, with which login, and how to log a first run."""
        here = f"http://{shown_host()}:{port}"
        admin = made.name if made else start.an_admin() or "NAME"
        self.say(f"\nExpTrack serves at {here}/\n")
        self.say(login(admin, made))
        if settings.HOST not in LOOPBACK and not settings.PRODUCTION:
            self.say(
                "Others reach it without HTTPS; docs/configuration.md says how to change that."
            )
        self.say("\nTo log a first run, in another terminal:\n\n")
        for line in first_run(site_url() or here, admin):
            self.say(f"  {line}")
        kept = "PostgreSQL, files in " if connection.vendor == "postgresql" else ""
        self.say(f"\nCtrl-C stops it. Everything is kept in {kept}{settings.DATA_DIR}.\n")

    def say(self, line: str) -> None:
        """Print at once: gunicorn takes this process over, and what is buffered would be lost."""
        self.stdout.write(line)
        self.stdout.flush()


def login(admin: str, made: start.FirstAdmin | None) -> str:
    """Who can sign in; a password only the one time it is made up."""
    if made is None:
        return f"Sign in as {admin}, or whoever you are there."
    if made.password is None:
        return f"Sign in as {admin} with the password of EXPTRACK_ADMIN_PASSWORD."
    return (
        f"Sign in as {admin} with the password {made.password}\n"
        "It is shown this once and stored nowhere; "
        f"`{python()} manage.py changepassword {admin}` sets another."
    )


def site_url() -> str:
    """What scripts call the site in production, by its first name; there HTTP is refused."""
    return f"https://{settings.ALLOWED_HOSTS[0]}" if settings.PRODUCTION else ""


def first_run(url: str, user: str) -> list[str]:
    """The three lines that log a run, to be pasted into a shell in this folder."""
    manage = f"{python()} manage.py"
    if "EXPTRACK_DATA" in os.environ:
        manage = f"EXPTRACK_DATA={shlex.quote(str(settings.DATA_DIR))} {manage}"
    if "DATABASE_URL" in os.environ:
        manage = f"DATABASE_URL=... {manage}"
    token = f"$({manage} create_token {shlex.quote(user)} --name first)"
    return [
        f"{python()} -m pip install ./client scikit-learn",
        f"export EXPTRACK_URL={url} EXPTRACK_TOKEN={token}",
        f"{python()} client/examples/digits.py",
    ]


def python() -> str:
    """The interpreter that runs us, as short as it can be typed."""
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def shown_host() -> str:
    """An address that a browser on this machine can open."""
    if settings.HOST in ("0.0.0.0", "::"):  # noqa: S104
        return "127.0.0.1"
    return f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST


def become_gunicorn(listener: socket.socket) -> None:
    """Replace this process by gunicorn, which takes over the listening socket."""
    listener.set_inheritable(True)
    config = settings.BASE_DIR / "deploy" / "gunicorn.conf.py"
    arguments = ["-m", "gunicorn", f"--config={config}", f"--bind=fd://{listener.fileno()}"]
    os.execv(sys.executable, [sys.executable, *arguments])

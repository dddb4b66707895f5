"""What is captured of where a run runs, and what it may cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from exptrack_client import capture

pytestmark = pytest.mark.only_on("sqlite")  # nothing here meets a database


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one commit, holding the script that runs."""

    def git(*arguments):
        who = ["-c", "user.name=Alice", "-c", "user.email=alice@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "train.py").write_text("print()\n")
    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "Begin")
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", str(tmp_path / "train.py"), raising=False
    )
    return tmp_path


def test_the_commit_the_branch_and_whether_it_differs_are_captured(repository):
    clean = capture.environment()["git"]
    (repository / "train.py").write_text("print(1)\n")
    dirty = capture.environment()["git"]

    assert len(clean["commit"]) == 40
    assert clean["branch"] == "main"
    assert clean["dirty"] is False
    assert dirty["dirty"] is True


def test_outside_of_git_there_is_nothing_about_git(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", str(tmp_path / "train.py"), raising=False
    )
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "git" not in capture.environment()


def test_secrets_in_the_command_line_stay_here(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/opt/python", "train.py", "--token", "abc def"])
    assert capture.command() == "python train.py --token '[masked]'"


def test_a_machine_that_lacks_things_costs_only_those(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("socket.gethostname", lambda: 1 / 0)
    found = capture.environment()
    assert "git" not in found
    assert "host" not in found
    assert found["python"]


def test_capture_does_not_wait_for_a_git_that_hangs(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    began = time.monotonic()
    found = capture.environment()

    assert time.monotonic() - began < 30  # it gives up after 300 ms; git would take a minute
    assert "git" not in found

"""What is captured of where a run runs, and what it may cost."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import time

import pytest
from exptrack_client import capture
from exptrack_client.masking import masked_patch

from exptrack.tests.waiting import PATIENCE

pytestmark = pytest.mark.only_on("sqlite")  # nothing here meets a database


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one commit, holding the script that runs, and time to look at it."""
    monkeypatch.setattr(capture, "SECONDS", PATIENCE)

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


def test_what_differs_from_the_commit_is_captured_with_secrets_masked(repository):
    (repository / "train.py").write_text('API_KEY = "abc"\nlr = 0.5\n')
    found = capture.environment()["git"]["patch"]

    assert "-print()" in found
    assert "+API_KEY = [masked]" in found
    assert "+lr = 0.5" in found
    assert "abc" not in found


def test_what_changed_in_files_for_secrets_stays_here(repository):
    for name in (".env", "deploy.pem"):
        (repository / name).write_text("one\n")
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    (repository / "train.py").write_text("print(2)\n")
    found = capture.environment()["git"]["patch"]

    assert "print(2)" in found
    assert ".env" not in found
    assert "deploy.pem" not in found


def test_a_long_patch_is_cut_at_a_line(repository):
    (repository / "train.py").write_text("print('a line that is as long as others')\n" * 100_000)
    found = capture.environment()["git"]["patch"]

    assert len(found) < 140_000
    assert found.endswith("\n… cut here\n")
    assert set(found.splitlines()[10:-1]) == {"+print('a line that is as long as others')"}


def test_a_git_that_answers_for_ever_costs_only_what_it_says(tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/bin/sh\nexec yes\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "git" not in capture.environment()


def test_packages_and_hardware_are_captured():
    found = capture.environment()
    assert found["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert found["packages"]["django"] == importlib.metadata.version("django")
    assert list(found["packages"]) == sorted(found["packages"])
    assert found["hardware"]["cores"] >= 1
    assert found["hardware"]["memory_gib"] > 0


def test_gpus_are_named_by_the_makers_tool_where_no_file_does(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA H100\necho NVIDIA H100\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(capture, "glob", lambda pattern: [])
    assert capture.gpus(time.monotonic() + PATIENCE) == ["NVIDIA H100", "NVIDIA H100"]


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ('+API_KEY = "abc"', "+API_KEY = [masked]"),
        ("-password: hunter2", "-password: [masked]"),
        ('+  f(token="a b", lr=0.1)', "+  f(token=[masked], lr=0.1)"),
        ('+  "client_secret": \'x y\',', '+  "client_secret": [masked],'),
        ("+max_tokens = 512", "+max_tokens = 512"),
        ("+password = None", "+password = None"),
        ("+url = https://alice:secret@host/", "+url = https://[masked]@host/"),
        ("+-----BEGIN RSA PRIVATE KEY-----\n+MIIE\n+-----END RSA PRIVATE KEY-----\n+x",
         "+[masked]\n+[masked]\n+[masked]\n+x"),
    ],
)  # fmt: skip
def test_a_patch_keeps_secrets_and_nothing_else(line, masked):
    assert masked_patch(line) == masked

"""What `make` does before any Python of ours runs, on machines unlike this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR


@pytest.fixture
def machine(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs deploy/venv where these commands are all there is: name → what a shell does for it."""

    def run(**commands: str) -> subprocess.CompletedProcess:
        path = tmp_path / "path"
        path.mkdir()
        for name, body in commands.items():
            command = path / name.replace("_", ".")
            command.write_text(f"#!/bin/sh\n{body}\n")
            command.chmod(0o755)
        return subprocess.run(
            [ROOT / "deploy" / "venv", tmp_path / "venv"],
            env={"PATH": str(path)},
            capture_output=True,
            text=True,
        )

    return run


# A Python that says it is this old and does nothing else; and the one we run on.
PYTHON_3_9 = "echo 3.9.18"
PYTHON_2_7 = "echo 2.7.18"
THIS_PYTHON = f'exec {sys.executable} "$@"'
# As Debian has it without python3-venv.
WITHOUT_VENV = f"""case "$*" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@" """
NO_VENV = (
    f"python3 {sys.version.split()[0]} without its venv module (Debian: apt install python3-venv)"
)
BROKEN = "echo 'no such version' >&2; exit 127"


def test_the_first_python_that_is_new_enough_is_taken(machine, tmp_path):
    made = machine(python3=PYTHON_3_9, python3_13=BROKEN, python3_12=THIS_PYTHON)
    assert (made.returncode, made.stderr) == (0, "")
    assert (tmp_path / "venv" / "bin" / "python").exists()


@pytest.mark.parametrize(
    ("commands", "has"),
    [
        ({}, "no python3 at all"),
        ({"python3": PYTHON_3_9}, "python3 3.9.18"),
        ({"python": PYTHON_2_7}, "python 2.7.18"),
        ({"python3": BROKEN}, "no python3 at all"),
        ({"python3": WITHOUT_VENV}, NO_VENV),
    ],
)
def test_a_machine_without_one_is_told_in_one_sentence(machine, tmp_path, commands, has):
    refused = machine(**commands)
    assert refused.returncode == 1
    assert refused.stderr == f"ExpTrack needs Python 3.11 or newer; this machine has {has}.\n"
    assert not (tmp_path / "venv").exists()


def test_make_has_at_most_nine_verbs_and_explains_each():
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    [phony] = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY")
    ]
    verbs = phony.split(":")[1].split()
    assert [line.split()[1] for line in shown] == verbs
    assert len(verbs) <= 9


def test_pinned_packages_have_hashes_and_no_index_is_named():
    for name in ("requirements", "requirements-test", "requirements-node"):
        pinned = (ROOT / f"{name}.txt").read_text()
        packages = [line for line in pinned.splitlines() if "==" in line]
        assert all(line.endswith("\\") for line in packages)
        addresses = ("http:", "https:", "file:/", "--index", "--find-links")
        assert not any(word in pinned for word in addresses)
        wanted = {line.split()[0] for line in (ROOT / f"{name}.in").read_text().splitlines()}
        names = {line.split("==")[0] for line in packages}
        assert {without_details(each) for each in wanted if each[0] not in "#-"} <= names
    for name in ("package.json", "package-lock.json"):
        assert "resolved" not in (ROOT / name).read_text()


def without_details(requirement: str) -> str:
    """`psycopg[binary]>=3` → `psycopg`."""
    for mark in "[<>=":
        requirement = requirement.split(mark)[0]
    return requirement


def test_every_direct_requirement_has_its_reason():
    lines = Path(ROOT / "requirements.in").read_text().splitlines()
    assert [line for line in lines if " # " not in line and not line.startswith("#")] == []

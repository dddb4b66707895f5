"""The whole way from `init` to `sync` under every Python that the package promises, as far as this
machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import exptrack_client as exptrack
import pytest

from exptrack.tests.waiting import PATIENCE

from .conftest import SOURCE

pytestmark = pytest.mark.only_on("sqlite")

STORY = """
import os, sys, threading
import exptrack_client as exptrack
from exptrack_client import cli

def train(**options):
    with exptrack.init("pythons", params={"lr": 0.1, "deep": {"er": [1, 2]}}, **options) as run:
        for step in range(100):
            run.log({"loss": step / 7, "bad": float("nan")}, step=step)
        beside = threading.Thread(target=run.log, args=({"beside": 1},))
        beside.start()
        beside.join()
        run.tags(["story"])
        if hasattr(os, "fork") and not options:
            child = os.fork()
            if child == 0:
                run.log({"child": 1})
                left = run.finish()
                os._exit(left)
            assert os.waitpid(child, 0)[1] == 0
    return run

run = train()
offline = train(mode="offline", capture=False)
assert (run.pending, offline.pending) == (0, 201)
assert cli.main(["offline-status"]) == cli.main(["sync", "--quiet"]) == 0
assert cli.main(["runs", "pythons", "--json"]) == 0
for one in (run, offline):
    stored = exptrack.get_run(one.id)
    assert stored.history("loss").values == [step / 7 for step in range(100)]
    assert stored.params["deep/er"] == [1, 2]
print("told by %d.%d" % sys.version_info[:2])
"""


def python_of(version: str) -> str | None:
    """A command that starts this Python; None when there is none. Where pyenv keeps several, its
    commands want to be told which one is meant."""
    command = shutil.which(f"python{version}")
    if command is None:
        return None
    asked = [command, "-c", "import ssl, zlib"]
    done = subprocess.run(asked, env={**os.environ, "PYENV_VERSION": version}, capture_output=True)
    return command if done.returncode == 0 else None


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_a_run_is_logged_synced_and_read_back_by(tracker, version):
    python = sys.executable if sys.version.startswith(f"{version}.") else python_of(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    done = subprocess.run(
        [python, "-c", STORY],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYENV_VERSION": version},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    assert f"told by {version}" in done.stdout
    assert [run.status for run in exptrack.runs("pythons")] == ["finished", "finished"]

"""Other trackers, installed into virtual environments that are thrown away, and their servers.

Nothing of theirs is kept in this repository, and they are driven from outside: over HTTP, or by a
script that runs in their own environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
from served import ROOT  # noqa: F401  where our packages are

from exptrack.tests.waiting import kept_port

KEPT = []
STARTS_WITHIN_SECONDS = 180
# Runs on any interpreter: what its packages take, without pip, setuptools and byte code.
SIZE_OF_PACKAGES = """
import os, site, sys
total = 0
for folder, names, files in os.walk(site.getsitepackages()[0]):
    names[:] = [n for n in names if n not in ("pip", "setuptools", "__pycache__")
                and not n.startswith(("pip-", "setuptools-"))]
    total += sum(os.lstat(os.path.join(folder, f)).st_size for f in files if not f.endswith(".pyc"))
print(total)
"""


class Environment:
    """A virtual environment with some packages in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def version(self, package: str) -> str:
        """The installed version of a package."""
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return self.run("-c", code).strip()

    def size(self) -> int:
        """Bytes that its packages take, without pip, setuptools and byte code."""
        return int(self.run("-c", SIZE_OF_PACKAGES))

    def run(self, *arguments: str, **environment: str) -> str:
        """What its Python prints when run so."""
        command = [self.python, *arguments]
        env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout


@contextlib.contextmanager
def environment(*packages: str, keep: Path | None = None) -> Iterator[Environment]:
    """An environment with these packages, gone afterwards; with `keep`, one that is made in that
    folder at first and found there later."""
    folder = keep or Path(tempfile.mkdtemp(prefix="exptrack-peer-"))
    try:
        if not (folder / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, *packages], check=True)
        yield Environment(folder)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A process that serves at `url`, with its children."""

    def __init__(self, url: str, process: subprocess.Popen, took: float) -> None:
        self.url = url
        self.process = psutil.Process(process.pid)
        self.started_in = took

    def memory(self) -> int:
        """Bytes that the process and all below it hold, pages they share counted once."""
        return memory_of([self.process, *self.process.children(recursive=True)])


def memory_of(processes: list[psutil.Process]) -> int:
    """Proportional set size of all of them together, in bytes."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


@contextlib.contextmanager
def serving(command: list[str], port: int, path: str, **environment: str) -> Iterator[Server]:
    """A server of that command; once it answers at `path`, until the end of the block."""
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | environment, start_new_session=True
        )
        try:
            while not answers(url + path):
                if (
                    process.poll() is not None
                    or time.perf_counter() - began > STARTS_WITHIN_SECONDS
                ):
                    log.seek(0)
                    sys.exit(f"{command[0]} does not serve:\n{log.read().decode()[-4000:]}")
                time.sleep(0.02)
            yield Server(url, process, time.perf_counter() - began)
        finally:
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    one.terminate()
            process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  ours
            return response.status == 200
    except OSError:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody but such a server will get, as long as this process lives."""
    port, kept = kept_port()
    KEPT.append(kept)
    return port

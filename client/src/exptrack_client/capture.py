"""Where a run runs: command, host, Python and the git commit, masked and quick.

Nothing here raises and nothing takes long: what cannot be had in time is left out.
"""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
import time

from exptrack_client.masking import masked_command
from exptrack_client.names import sendable_text
from exptrack_client.version import VERSION

SECONDS = 0.25
LONGEST_COMMAND = 4_000


def environment() -> dict[str, object]:
    """What was found, in at most about a quarter of a second."""
    deadline = time.monotonic() + SECONDS
    found: dict[str, object] = {}
    for name, look in (
        ("command", command),
        ("host", socket.gethostname),
        ("python", platform.python_version),
        ("platform", platform.platform),
        ("client", lambda: VERSION),
        ("git", lambda: git(deadline)),
    ):
        try:
            value = look()
        except Exception:  # noqa: S112  a machine may lack anything; the run goes on
            continue
        if value:
            found[name] = value if isinstance(value, dict) else sendable_text(value)
    return found


def command() -> str:
    """The command line as it could be typed again, secrets masked, without the interpreter's
    folder."""
    arguments = list(getattr(sys, "orig_argv", None) or ["python", *sys.argv])
    arguments[0] = os.path.basename(arguments[0]) or "python"
    line = " ".join(shlex.quote(argument) for argument in masked_command(arguments))
    return line if len(line) <= LONGEST_COMMAND else line[:LONGEST_COMMAND] + "…"


def git(deadline: float) -> dict[str, object]:
    """Commit, branch and whether tracked files differ from the commit; {} outside of git."""
    folder = script_folder()
    head = run_git(folder, deadline, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").split()
    if len(head) != 2:
        return {}
    found: dict[str, object] = {"commit": head[0]}
    if head[1] != "HEAD":
        found["branch"] = head[1]
    try:
        changes = run_git(folder, deadline, "status", "--porcelain", "--untracked-files=no")
        found["dirty"] = bool(changes.strip())
    except subprocess.TimeoutExpired:
        pass  # a large repository: unknown is better than late
    return found


def script_folder() -> str:
    """Where the code is: the script's folder, or the current one in a notebook or shell."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.dirname(os.path.abspath(script)) if script else os.getcwd()


def run_git(folder: str, deadline: float, *arguments: str) -> str:
    """git's answer; raises when it fails, is missing or takes too long."""
    return subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=folder,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=max(deadline - time.monotonic(), 0.01),
        check=True,
        encoding="utf-8",
        errors="replace",
    ).stdout

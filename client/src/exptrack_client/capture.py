"""Where a run runs: command, host, Python, hardware, packages and git, masked and quick.

Nothing here raises and nothing takes long: what cannot be had in time is left out.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from glob import glob

from exptrack_client.masking import masked_command, masked_patch
from exptrack_client.names import sendable_text
from exptrack_client.transport import VERSION

SECONDS = 0.25
LONGEST_COMMAND = 4_000
MOST_PATCH = 128 * 1024  # bytes
MOST_PACKAGES = 1_000
MOST_GPUS = 64
PACKAGE = re.compile(r"([\w.]+)-([\w.!+]+)(?:-.*)?\.(?:dist|egg)-info")
# What changed in these is nobody's business but their owner's.
SECRET_FILES = (".env*", "*.pem", "*.key", "id_rsa*", "id_ed25519*", "*credentials*", "*secrets*")


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
        ("hardware", lambda: hardware(deadline)),
        ("git", lambda: git(deadline)),
        ("packages", packages),
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
    """Commit, branch and what tracked files differ in from the commit; {} outside of git."""
    folder = script_folder()
    head = run_git(folder, deadline, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").split()
    if len(head) != 2:
        return {}
    found: dict[str, object] = {"commit": head[0]}
    if head[1] != "HEAD":
        found["branch"] = sendable_text(head[1])
    try:
        changes = run_git(folder, deadline, "status", "--porcelain", "--untracked-files=no")
        found["dirty"] = bool(changes.strip())
        if found["dirty"]:
            found["patch"] = patch(folder, deadline)
    except subprocess.SubprocessError:
        pass  # a large repository: unknown is better than late
    return found


def patch(folder: str, deadline: float) -> str:
    """What makes the code other than the commit, secrets masked, cut where it gets long."""
    options = ["--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short"]
    secret = [f":(top,exclude,glob)**/{name}" for name in SECRET_FILES]
    text = run_git(folder, deadline, "diff", "HEAD", *options, "--", ":/", *secret, most=MOST_PATCH)
    if len(text) >= MOST_PATCH:
        text = text[: text.rfind("\n") + 1] + "… cut here\n"
    return sendable_text(masked_patch(text))


def script_folder() -> str:
    """Where the code is: the script's folder, or the current one in a notebook or shell."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.dirname(os.path.abspath(script)) if script else os.getcwd()


def run_git(folder: str, deadline: float, *arguments: str, most: int = 65_536) -> str:
    """As much of git's answer as asked for; a SubprocessError or OSError when it fails, is
    missing or takes too long."""
    command = ["git", *arguments]
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=folder,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    seconds = max(deadline - time.monotonic(), 0.01)
    # Killed rather than waited for; reading then ends by itself, also of an endless answer.
    watch = threading.Timer(seconds, process.kill)
    watch.daemon = True
    watch.start()
    try:
        answer = process.stdout.read(most)
        if len(answer) == most:
            process.kill()
        elif process.wait() != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
    finally:
        watch.cancel()
        process.kill()
        process.stdout.close()
        process.wait()
    return answer.decode("utf-8", "replace")


def packages() -> dict[str, str]:
    """Version of every package installed, by its name: read from the names of folders, since
    opening hundreds of files takes long."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = [entry.name for entry in os.scandir(folder or ".")]
        except OSError:
            continue
        for name in sorted(names):
            if match := PACKAGE.fullmatch(name):
                found.setdefault(match[1].replace("_", "-").lower(), match[2])
    return dict(sorted(found.items())[:MOST_PACKAGES])


def hardware(deadline: float) -> dict[str, object]:
    """Processor, cores that this process may use, memory, and the names of GPUs."""
    found: dict[str, object] = {"cpu": cpu() or platform.processor(), "cores": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        found["cores"] = len(os.sched_getaffinity(0))
    if hasattr(os, "sysconf"):
        found["memory_gib"] = round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
        )
    if names := gpus(deadline):
        found["gpus"] = names
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        found["visible_gpus"] = sendable_text(visible)
    return {name: value for name, value in found.items() if value}


def cpu() -> str:
    """The processor's name, as its maker calls it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() in ("model name", "Model", "cpu model"):
                    return sendable_text(value.strip())
    except OSError:
        if sys.platform == "darwin":
            asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(asked, capture_output=True, text=True, timeout=0.1).stdout.strip()
    return ""


def gpus(deadline: float) -> list[str]:
    """The names of the GPUs: from the driver's files, or else from NVIDIA's tool."""
    files = [*sorted(glob("/proc/driver/nvidia/gpus/*/information"))]
    files += sorted(glob("/sys/class/drm/card*/device/product_name"))
    names = []
    for path in files:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(4_096)
        model = re.search(r"^Model:\s*(.+)$", text, re.MULTILINE)
        names.append(sendable_text((model[1] if model else text.partition("\n")[0]).strip()))
    tool = None if names else shutil.which("nvidia-smi")
    if tool:
        asked = [tool, "--query-gpu=name", "--format=csv,noheader"]
        left = max(deadline - time.monotonic(), 0.01)
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=left)
        names = [sendable_text(line.strip()) for line in answer.stdout.splitlines() if line.strip()]
    return names[:MOST_GPUS]

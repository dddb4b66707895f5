"""Where spools lie, who finds them again, and where refused requests are kept."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from exptrack_client.spool import ENDING, NoSpool, Spool
from exptrack_client.transport import unpacked

REFUSED = "refused"
# A run whose every request is refused must not fill the disk with them.
MOST_REFUSED_FILES = 1_000


def default_folder() -> Path:
    """EXPTRACK_SPOOL, else a folder of this user's that outlives the process and, on a cluster,
    is usually the same on every node."""
    if given := os.environ.get("EXPTRACK_SPOOL"):
        return Path(given).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "exptrack" / "spool"


def second_folder() -> Path:
    """Where to when the home folder cannot be written, as in many containers."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    # Not by `tempfile`, whose lock a forked child may inherit for ever.
    temporary = os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp"  # noqa: S108
    return Path(temporary) / f"exptrack-{user}"


def private_folder(folder: Path) -> Path:
    """The folder, made if it is not there, which nobody else may read; OSError otherwise."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    if hasattr(os, "getuid"):
        if found.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to somebody else")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    return folder


def usable_folder() -> Path:
    """The folder for new spools; OSError when none can be had."""
    try:
        return private_folder(default_folder())
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        if os.environ.get("EXPTRACK_SPOOL"):
            raise
        return private_folder(second_folder())


def folders() -> list[Path]:
    """Where spools of this user may lie."""
    found = []
    for folder in (default_folder, second_folder):
        try:
            found.append(folder())
        except RuntimeError:
            continue
    return found[:1] if os.environ.get("EXPTRACK_SPOOL") else found


def spool_files(folder: Path) -> list[Path]:
    """The spools in a folder, in the order they were begun."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ENDING)
    except OSError:
        return []


def left_behind(folder: Path, url: str) -> Iterator[Spool]:
    """What processes that are gone left for this server, oldest first, now ours."""
    for path in spool_files(folder):
        try:
            spool = Spool.open(path)
        except (NoSpool, OSError):
            continue
        if spool.is_ours and spool.url == url:
            yield spool
        else:
            spool.close()


def keep_refused(folder: Path, name: str, run_id: str, why: str, body: bytes) -> Path | None:
    """Keep a request that the server will not take, with its reason, and say where; None when it
    cannot be kept."""
    try:
        refused = private_folder(folder / REFUSED)
        if len(list(refused.iterdir())) >= MOST_REFUSED_FILES:
            return None
        path = refused / f"{name}.json"
        kept = {"run": run_id, "why": why, "request": json.loads(unpacked(body))}
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file)
    except (OSError, ValueError):
        return None
    return path


def set_aside(spool: Spool) -> Path | None:
    """Move a whole spool that the server will never take to the refused ones; where to."""
    try:
        path = private_folder(spool.path.parent / REFUSED) / spool.path.name
        os.replace(spool.path, path)
    except OSError:
        return None
    return path

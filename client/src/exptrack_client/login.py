"""Which server, and who we are there: arguments, then the environment, then `exptrack login`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from exptrack_client.transport import Transport, base_url

DEFAULT_URL = "http://127.0.0.1:8000"


def login_file() -> Path:
    """Where `exptrack login` keeps address and token."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "exptrack" / "login.json"


def saved() -> dict:
    """What `exptrack login` kept: `url` and `token`; {} when there is nothing to read."""
    try:
        found = json.loads(login_file().read_text())
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def save(url: str, token: str) -> Path:
    """Keep an address and its token for this user's eyes only; OSError when it cannot be."""
    path = login_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": url, "token": token}, file)
    os.replace(beside, path)
    return path


def known_url(url: str | None = None) -> str:
    """The server's address, as it was given anywhere."""
    return url or os.environ.get("EXPTRACK_URL") or str(saved().get("url") or DEFAULT_URL)


def known_token(url: str, token: str | None = None) -> str:
    """The token for the server at `url`; "" when there is none. A saved one goes to the server
    it was made for and to no other."""
    if given := str(token or os.environ.get("EXPTRACK_TOKEN") or "").strip():
        return given
    kept = saved()
    return str(kept.get("token") or "") if kept.get("url") == base_url(url) else ""


def transport(url: str | None = None, token: str | None = None) -> Transport:
    """A connection to the server; ValueError with a sentence when there cannot be one."""
    address = base_url(known_url(url))
    secret = known_token(address, token)
    if not secret:
        raise ValueError(
            f"there is no token for {address}. Make one at {address}/account/, then "
            "`exptrack login`, or set EXPTRACK_TOKEN"
        )
    return Transport(address, secret)

"""Beginning a run: what is asked for, what the environment says, and what the server is told."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping

from exptrack_client import capture as machine
from exptrack_client import lifecycle
from exptrack_client.ids import uuid7
from exptrack_client.names import sendable_text
from exptrack_client.notices import say
from exptrack_client.run import DISABLED, IMPOSSIBLE, ON, Run, now_text
from exptrack_client.transport import Transport, base_url

DEFAULT_URL = "http://127.0.0.1:8000"
MODES = ("online", "disabled")
# How long init() waits to hear whether the server takes the run; training starts in any case.
OPEN_SECONDS = 2.0
RESUME_SECONDS = 10.0
LONGEST_NAME = 250


def init(
    experiment: str,
    name: str | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | Iterable[str] | None = None,
    notes: str | None = None,
    parent: Run | uuid.UUID | str | None = None,
    id: uuid.UUID | str | None = None,  # noqa: A002
    resume: bool = False,
    mode: str | None = None,
    url: str | None = None,
    token: str | None = None,
    capture: bool = True,
) -> Run:
    """Begin a run of `experiment`, which is made when it does not exist.

    `url`, `token` and `mode` ("online" or "disabled") default to EXPTRACK_URL, EXPTRACK_TOKEN
    and EXPTRACK_MODE. With `id` the run may be a known one: a running one is joined, an ended
    one needs `resume`. A server that cannot be reached, or refuses, is said on standard error
    and never raised; only a wrong mode, `id` or `parent` is, as a ValueError.
    """
    run_id = uuid_text("id", id) if id is not None else str(uuid7())
    mode = mode or os.environ.get("EXPTRACK_MODE") or "online"
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it can be {' or '.join(map(repr, MODES))}")
    about = {
        "experiment": sendable_text(experiment).strip(),
        "id": run_id,
        "name": sendable_text(name or "").strip()[:LONGEST_NAME],
        "notes": sendable_text(notes or ""),
        "parent": uuid_text("parent", getattr(parent, "id", parent)) if parent else "",
        "started_at": now_text(),
        "resume": resume,
    }
    run = Run(run_id, state=DISABLED) if mode == "disabled" else online(about, url, token, capture)
    lifecycle.remember(run)
    run._begin(params or {}, tags or {}, RESUME_SECONDS if resume else OPEN_SECONDS)
    return run


def online(about: dict, url: str | None, token: str | None, capture: bool) -> Run:
    """A run that is sent to a server, or one that says why it cannot be."""
    url = url or os.environ.get("EXPTRACK_URL") or DEFAULT_URL
    token = (token or os.environ.get("EXPTRACK_TOKEN") or "").strip()
    try:
        base = base_url(url)
        if not token:
            raise ValueError(f"there is no token. Make one at {base}/account/ for EXPTRACK_TOKEN")
        Transport(url, token)
    except ValueError as fault:
        cause = f"EXPTRACK_URL and EXPTRACK_TOKEN cannot be used: {fault}"
        say(f"{cause}. Training goes on, nothing is recorded.")
        return Run(about["id"], state=IMPOSSIBLE, cause=cause)
    return Run(
        about["id"],
        url=f"{base}/runs/{about['id']}/",
        make_transport=lambda: Transport(url, token),
        opening=opening(about, capture),
        resume=about["resume"],
        state=ON,
    )


def opening(about: dict, capture: bool) -> Callable[[], dict]:
    """Makes the body that creates the run. It is called in the background: capture takes time."""

    def body() -> dict:
        found = {"environment": machine.environment()} if capture else {}
        return {name: value for name, value in {**about, **found}.items() if value}

    return body


def uuid_text(what: str, value: object) -> str:
    """A UUID in its usual form; ValueError naming `what` when it is none."""
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError(f"{what} is {value!r}; it must be a UUID") from None

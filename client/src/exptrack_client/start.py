"""Beginning a run: what is asked for, what the environment says, and what the server is told."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from exptrack_client import capture as machine
from exptrack_client import lifecycle, login
from exptrack_client.names import NAME_LENGTH, sendable_text, shared_id, uuid7
from exptrack_client.notices import say
from exptrack_client.recording import Recording
from exptrack_client.run import Run, now_text
from exptrack_client.transport import base_url

MODES = ("online", "offline", "disabled")
# How long init() waits to hear whether the server takes the run; training starts in any case.
OPEN_SECONDS = 2.0
RESUME_SECONDS = 10.0


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
    raise_on_stop: bool = False,
) -> Run:
    """Begin a run of `experiment`, which is made when it does not exist.

    `url`, `token` and `mode` ("online", "offline" or "disabled") default to EXPTRACK_URL,
    EXPTRACK_TOKEN and EXPTRACK_MODE; url and token then to what `exptrack login` kept. With `id`
    the run may be a known one: a running one is joined, an ended one needs `resume`. With
    `raise_on_stop`, `log` raises StopRequested once when someone presses Stop. A server that
    cannot be reached, or refuses, is said on standard error and never raised; only a wrong
    `experiment`, `mode`, `id` or `parent` is, as a ValueError.
    """
    mode = mode or os.environ.get("EXPTRACK_MODE") or "online"
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it can be {', '.join(map(repr, MODES))}")
    home = "" if experiment is None else sendable_text(experiment).strip()
    if not home:
        raise ValueError(f"experiment is {experiment!r}; it must be a name or an id")
    shared, is_restarted = shared_id() if id is None else (None, False)
    run_id = uuid_text("id", id) if id is not None else shared or str(uuid7())
    resume = resume or is_restarted
    about = {
        "experiment": home,
        "id": run_id,
        "name": sendable_text(name or "").strip()[:NAME_LENGTH],
        "notes": sendable_text(notes or ""),
        "parent": uuid_text("parent", getattr(parent, "id", parent)) if parent else "",
        "started_at": now_text(),
        "resume": resume,
    }
    options = {"capture": capture, "is_shared": shared is not None}
    run = made(mode, about, url, token, raise_on_stop, options)
    lifecycle.remember(run)
    run._begin(params or {}, tags or {}, RESUME_SECONDS if resume else OPEN_SECONDS)
    return run


def made(
    mode: str, about: dict, url: str | None, token: str | None, raise_on_stop: bool, options: dict
) -> Run:
    """The run of a mode, not begun; `options` are those of `recording`. One whose address or
    token cannot be used stays on disk."""
    if mode == "disabled":
        return Run(about["id"])
    page, base, connect, cause = "", "", None, ""
    try:
        base = base_url(login.known_url(url))
        if mode == "online":
            login.transport(url, token)
            connect = partial(login.transport, base, token)
            page = f"{base}/runs/{about['id']}/"
    except ValueError as fault:
        if mode == "online":
            cause = f"the server cannot be used: {fault}"
            say(f"{cause}. Training goes on; what it logs is kept on disk.")
    record = partial(recording, about, url=base, make_transport=connect, cause=cause, **options)
    return Run(about["id"], url=page, record=record, raise_on_stop=raise_on_stop)


def recording(about: dict, *, is_joined: bool, capture: bool, **options: object) -> Recording:
    """What records a run in this process; `is_joined` when it is a forked child."""
    return Recording(
        run_id=about["id"],
        opening=None if is_joined else opening(about, capture),
        resume=about["resume"] and not is_joined,
        **options,
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
        raise ValueError(
            f"{what} is {value!r}; it must be a UUID. uuid.uuid5(uuid.NAMESPACE_URL, …) makes the "
            "same one of the same text"
        ) from None

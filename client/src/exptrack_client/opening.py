"""Creating a run at the server, whatever became of it there since it was first begun."""

from __future__ import annotations

from collections.abc import Callable

from exptrack_client.transport import Answer, NotLetIn

# A creation that the server refuses is tried again without these.
OPTIONAL = ("name", "notes", "parent", "environment")

Call = Callable[..., Answer]


def open_run(call: Call, body: dict, *, is_known: bool) -> tuple[Answer, str]:
    """The answer to a run's creation by `call`; and, where it is only taken without what is
    OPTIONAL, why. Repeating it is harmless. A run that `is_known` is gone on with in whatever
    experiment it is by now: people rename those, and move runs."""
    answer = call("POST", "runs/", body)
    if answer.status == 409 and is_known and (home := home_of(call, body["id"])):
        body = {**body, "experiment": home}
        answer = call("POST", "runs/", body)
    left_out = [name for name in OPTIONAL if name in body]
    if answer.status != 400 or not left_out:
        return answer, ""
    complaint = f"recorded without {', '.join(left_out)}: {answer.sentence}"
    bare = {name: value for name, value in body.items() if name not in OPTIONAL}
    return call("POST", "runs/", bare), complaint


def home_of(call: Call, run_id: str) -> str | None:
    """The id of the experiment a run belongs to now; None when we may not see the run."""
    try:
        experiment = call("GET", f"runs/{run_id}/").body.get("experiment")
    except NotLetIn:
        return None
    return experiment.get("id") if isinstance(experiment, dict) else None

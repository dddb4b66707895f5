"""Log machine-learning runs to ExpTrack.

    import exptrack_client as exptrack

    with exptrack.init(experiment="digits", params={"lr": 0.1}) as run:
        for step in range(1000):
            run.log({"loss": 1 / (step + 1)}, step=step)

EXPTRACK_URL and EXPTRACK_TOKEN say where to, or `exptrack login` did. `log` takes microseconds,
never waits for network or disk and never raises for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from exptrack_client import lifecycle
from exptrack_client.endings import StopRequested
from exptrack_client.notices import Notices
from exptrack_client.reading import Points, ReadError, Runs, StoredRun, get_run, runs
from exptrack_client.run import Run
from exptrack_client.start import init
from exptrack_client.transport import VERSION as __version__

__all__ = [
    "Points",
    "ReadError",
    "Run",
    "Runs",
    "StopRequested",
    "StoredRun",
    "__version__",
    "current_run",
    "finish",
    "get_run",
    "init",
    "log",
    "params",
    "runs",
    "tags",
]

_notices = Notices()


def current_run() -> Run | None:
    """The run begun last that has not ended, if there is one."""
    return lifecycle.current()


def log(
    metrics: Mapping[str, object],
    step: int | None = None,
    time: float | datetime | None = None,
) -> None:
    """`Run.log` of the current run."""
    if (run := _current("log")) is not None:
        run.log(metrics, step, time)


def params(params: Mapping[str, object]) -> None:
    """`Run.params` of the current run."""
    if (run := _current("params")) is not None:
        run.params(params)


def tags(tags: Mapping[str, object] | Iterable[str]) -> None:
    """`Run.tags` of the current run."""
    if (run := _current("tags")) is not None:
        run.tags(tags)


def finish(status: str = "finished") -> int:
    """`Run.finish` of the current run."""
    run = _current("finish")
    return run.finish(status) if run is not None else 0


def _current(verb: str) -> Run | None:
    run = lifecycle.current()
    if run is None:
        _notices.once("run", f"{verb}() has no run to work on: call exptrack_client.init() first")
    return run

"""`exptrack sync`: everything that lies in spools on its way, with a person watching."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from exptrack_client.exchange import Exchange, Later, NotLetIn
from exptrack_client.folder import spool_files
from exptrack_client.leftovers import Leftover
from exptrack_client.spool import NoSpool, Spool
from exptrack_client.transport import Backoff

# Failures in a row before a spool is left for another time.
PATIENCE = 5


class Outcome:
    """What became of one spool."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = self.experiment = ""
        self.sent = self.left = self.refused = self.cut = 0
        self.state = "sent"  # or "live", "left", "elsewhere"
        self.why = ""

    @property
    def is_done(self) -> bool:
        return self.state == "sent" and not self.refused

    @property
    def sentence(self) -> str:
        """For the person who called it."""
        who = f"run {self.run_id}" if self.run_id else str(self.path)
        parts = [f"{who}: {self.sent:,} points are at the server"]
        if self.state == "left":
            parts = [f"{who}: {self.left:,} points are left: {self.why}"]
        elif self.state == "elsewhere":
            parts = [f"{who}: {self.left:,} points are for {self.why}; --url sends them elsewhere"]
        elif self.state == "live":
            parts.append("it is still being written, so the file stays")
        if self.refused:
            parts.append(
                f"{self.refused:,} were refused ({self.why.rstrip('.')}) and are kept apart"
            )
        if self.cut:
            parts.append(f"{self.cut:,} bytes that were not whole at its end were cut off")
        return "; ".join(parts) + "."

    def as_json(self) -> dict:
        names = ("run_id", "experiment", "state", "sent", "left", "refused", "cut", "why")
        return {"path": str(self.path), **{name: getattr(self, name) for name in names}}


def chosen(paths: Sequence[str], default: Sequence[Path]) -> Iterator[Path]:
    """The spools in the given files and folders, oldest first."""
    for place in map(Path, paths) if paths else default:
        if place.is_dir():
            yield from spool_files(place)
        elif paths:
            yield place


def sync_file(
    path: Path, exchange: Exchange, *, any_url: bool, keep: bool, show: Callable[[str], None]
) -> Outcome:
    """Send one spool and remove it, unless it is live or to `keep`. Nothing is raised: what
    could not be done stands in the outcome."""
    outcome = Outcome(path)
    try:
        spool = Spool.open(path)
    except (NoSpool, OSError) as error:
        outcome.state, outcome.why = "left", f"it cannot be read: {error}"
        return outcome
    outcome.run_id, outcome.cut = spool.run_id, spool.cut
    outcome.experiment = str(spool.opening.get("experiment", ""))
    try:
        if spool.url not in ("", exchange.base) and not any_url:
            outcome.state, outcome.why, outcome.left = "elsewhere", spool.url, spool.points
        else:
            send(spool, exchange, outcome, show)
        if outcome.state == "sent" and not keep:
            spool.remove()
    finally:
        spool.close()
    return outcome


def send(spool: Spool, exchange: Exchange, outcome: Outcome, show: Callable[[str], None]) -> None:
    """Send all records; patient with a server that is busy, not with one that refuses."""
    backoff = Backoff()
    outcome.left = spool.points
    while outcome.state != "left":
        leftover = Leftover(spool, exchange)
        try:
            for outcome.left in leftover.steps():
                backoff.reset()
                show(f"run {spool.run_id}: {outcome.left:,} points are left")
            outcome.state = "live" if spool.is_live else "sent"
            return
        except NotLetIn as refusal:
            outcome.state, outcome.why = "left", str(refusal)
        except Later as trouble:
            if backoff.failures >= PATIENCE:
                outcome.state, outcome.why = "left", str(trouble)
            else:
                show(f"run {spool.run_id}: {trouble}; trying again")
                time.sleep(backoff.next_wait(trouble.wait))
        finally:
            outcome.sent += leftover.points
            outcome.refused += leftover.refused
            outcome.why = leftover.delivery.last_refusal or outcome.why

"""Sending what earlier processes left behind: by the next run, and by `exptrack sync`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from exptrack_client.delivery import Delivery
from exptrack_client.folder import folders, left_behind, spool_files
from exptrack_client.notices import ended, points_are, say
from exptrack_client.opening import open_run
from exptrack_client.records import Record
from exptrack_client.spool import NoSpool, Spool
from exptrack_client.transport import Backoff, Exchange, Later, NotLetIn

# Failures in a row before a spool is left for another time.
PATIENCE = 5


class Leftover:
    """One spool on its way to the server: the Box that its Delivery empties."""

    def __init__(self, spool: Spool, exchange: Exchange) -> None:
        self.spool = spool
        self.refused = 0  # points the server will not take
        self.points = 0  # points brought to it, those it had already included
        self.delivery = Delivery(exchange, spool.run_id, self, spool.path.parent)
        self._exchange = exchange

    def confirm(self, record: Record, points: int) -> None:
        self.points += points
        self.spool.confirm(record)

    def following(self, record: Record) -> Record | None:
        return self.spool.following(record)

    def go_to(self, seq: int) -> int:
        return self.spool.go_to(seq)

    def steps(self) -> Iterator[int]:
        """Send everything, a request each step; yields the points that are left. Later or
        NotLetIn when it cannot be done, after which a new Leftover begins where this ended."""
        self._find_place()
        yield self.spool.points
        while (record := self.spool.first()) is not None:
            self.delivery.deliver(record)
            yield self.spool.points

    def _find_place(self) -> None:
        """Begin where the server is: a copy may have been sent before, and the run that it
        began may have been resumed or ended otherwise since."""
        try:
            expected = self.delivery.expected(self.spool.writer)
        except NotLetIn as refusal:
            if refusal.status != 404:
                raise
            expected = 1
        if expected == 1 and self.spool.opening:
            self._open()
        first = self.spool.first()
        if first is not None and expected > first.seq:
            self.spool.go_to(expected)

    def _open(self) -> None:
        body = self.spool.opening
        # An id that nobody chose is no other run's.
        is_known = bool(body.get("resume")) or uuid.UUID(body["id"]).version == 7
        answer, _ = open_run(self._exchange.call, body, is_known=is_known)
        if not answer.ok:
            raise NotLetIn(answer.sentence, answer.status)


class Leftovers:
    """What gone processes left for this server, sent while a run has nothing else to do."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._spools = self._found()
        self._current: Leftover | None = None
        self._steps: Iterator[int] = iter(())
        self._runs: set[str] = set()
        self._points = 0

    def work(self, is_busy: Callable[[], bool]) -> None:
        """Go on sending until `is_busy` or all is sent. A spool that cannot be sent now waits
        for the next run: it costs this one nothing."""
        while not is_busy():
            if self._current is None:
                spool = next(self._spools, None)
                if spool is None:
                    self._report()
                    return
                self._begin(spool)
            self._step()

    def of_run(self, run_id: str) -> None:
        """Send what an earlier process of this run left, before the run goes on."""
        for spool in self._found():
            if spool.run_id != run_id:
                spool.close()
                continue
            self._begin(spool)
            while self._current is not None:
                self._step()

    def close(self) -> None:
        """Let go of what is not sent yet."""
        self._spools = iter(())
        if self._current is not None:
            self._current.spool.close()
            self._current = None
        self._report()

    def _found(self) -> Iterator[Spool]:
        for folder in folders():
            yield from left_behind(folder, self._exchange.base)

    def _begin(self, spool: Spool) -> None:
        self._current = Leftover(spool, self._exchange)
        self._steps = self._current.steps()

    def _step(self) -> None:
        leftover = self._current
        try:
            if next(self._steps, None) is not None:
                return
            self._points += leftover.points
            self._runs.add(leftover.spool.run_id)
            leftover.spool.remove()
        except (Later, NotLetIn, OSError):
            leftover.spool.close()
        self._current = None

    def _report(self) -> None:
        if self._points:
            runs = "an earlier run" if len(self._runs) == 1 else f"{len(self._runs)} earlier runs"
            say(f"sent {self._points:,} points that {runs} had left on this machine.")
        self._points, self._runs = 0, set()


# --- With a person watching ------------------------------------------------------------------


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
        parts = [f"{who}: {points_are(self.sent)} at the server"]
        if self.state == "left":
            parts = [f"{who}: {points_are(self.left)} left: {self.why}"]
        elif self.state == "elsewhere":
            parts = [f"{who}: {points_are(self.left)} for {self.why}; --url sends them elsewhere"]
        elif self.state == "live":
            parts.append("it is still being written, so the file stays")
        if self.refused:
            parts.append(
                f"{self.refused:,} were refused ({self.why.rstrip('.')}) and are kept apart"
            )
        if self.cut:
            parts.append(f"{self.cut:,} bytes that were not whole at its end were cut off")
        return ended("; ".join(parts))

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
                show(f"run {spool.run_id}: {points_are(outcome.left)} left")
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

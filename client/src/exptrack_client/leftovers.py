"""Sending what earlier processes left behind, while a run has nothing of its own to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exptrack_client.delivery import Delivery
from exptrack_client.exchange import Exchange, Later, NotLetIn
from exptrack_client.folder import folders, left_behind
from exptrack_client.notices import say
from exptrack_client.records import Record
from exptrack_client.spool import Spool


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

    def go_to(self, seq: int) -> int:
        return self.spool.go_to(seq)

    def steps(self) -> Iterator[int]:
        """Send everything, a record each step; yields the points that are left. Later or
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
        answer = self._exchange.call("POST", "runs/", body)
        if answer.status == 400:
            kept = ("experiment", "id", "started_at", "resume")
            bare = {name: body[name] for name in kept if name in body}
            answer = self._exchange.call("POST", "runs/", bare)
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

"""What stands behind a run in one process: queue, spool and sender, from begin to end."""

from __future__ import annotations

from collections.abc import Callable

from exptrack_client.folder import REFUSED
from exptrack_client.notices import ended, points_are, say
from exptrack_client.outbox import BATCH_POINTS, Changes, Outbox, where
from exptrack_client.points import PointQueue
from exptrack_client.sender import Sender
from exptrack_client.transport import Transport

# Points waiting in memory: 2.5 million when a log() call has ten, 340,000 when it has one.
QUEUE_BYTES = 64 * 1024 * 1024
# How long writing the rest down may take, when there is nothing to send it to.
SEAL_SECONDS = 30.0


class Recording:
    """Records what one process logs of a run, and sends it if there is where to."""

    def __init__(
        self,
        *,
        run_id: str,
        url: str = "",
        make_transport: Callable[[], Transport] | None = None,
        opening: Callable[[], dict] | None = None,
        is_shared: bool = False,
        resume: bool = False,
        cause: str = "",
        first_step: int = 0,
        on_open: Callable[[dict], None] = lambda run: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Without `make_transport` it is kept on disk only, because of `cause`. `opening` makes
        what creates the run; None when another process did."""
        self.run_id = run_id
        self.queue = PointQueue(QUEUE_BYTES, BATCH_POINTS)
        self.queue.next_step = first_step
        self.changes = Changes()
        self.cause = cause
        self.outbox = Outbox(
            run_id=run_id, url=url, queue=self.queue, changes=self.changes, opening=opening
        )
        self.sender: Sender | None = None
        if make_transport is not None:
            self.sender = Sender(
                run_id=run_id,
                transport=make_transport(),
                outbox=self.outbox,
                is_joined=opening is None,
                is_shared=is_shared,
                resume=resume,
                on_open=on_open,
                on_stop=on_stop,
                on_steps=self.queue.continue_after,
            )

    def start(self, patience: float = 0.0) -> None:
        """Begin to record, and wait a moment for the server's first word."""
        self.outbox.start()
        if self.sender is not None:
            self.sender.start()
            self.sender.first_word.wait(patience)

    def abandon(self) -> None:
        """In a forked child: leave file, thread and connection to the parent."""
        if self.outbox.spool is not None:
            self.outbox.spool.abandon()

    # --- How it stands ------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Points taken in and neither confirmed nor refused."""
        return self.queue.logged - self.outbox.delivered - self.outbox.refused

    @property
    def dropped(self) -> int:
        """Points that could not be kept, or that the server refused."""
        return self.queue.dropped + self.outbox.refused

    @property
    def stop_requested(self) -> bool:
        return self.sender is not None and self.sender.stop_requested

    # --- The end ------------------------------------------------------------------------------

    def finish(self, ending: dict) -> None:
        """Record everything, then this end; {} when the run goes on elsewhere. Does not wait."""
        self.outbox.finish(ending)
        if self.sender is not None:
            self.sender.finish()

    def wait(self, patience: float) -> None:
        """Wait until all is delivered, or written down when there is nobody to deliver it to."""
        if self.sender is not None:
            self.sender.wait_until_done(patience, lambda: self.pending)
            patience = max(patience, 1)
        # What was not delivered is to stand in the file, whole, before anyone says so.
        self.outbox.is_sealed.wait(SEAL_SECONDS if self.sender is None else patience)

    def report(self) -> int:
        """Say what was not delivered, why, and where it is; how many points that are."""
        missing = self.pending + self.dropped
        kept = min(self.outbox.in_spool, self.pending)
        is_complete = self.sender is not None and self.sender.is_complete
        if missing == kept and self.sender is None and not self.cause:
            self._say("", kept)  # offline, as was asked for
        elif missing:
            what = "1 point was" if missing == 1 else f"{missing:,} points were"
            self._say(f"{what} not delivered: {self._why()}", kept)
        elif not is_complete:
            self._say(f"not all was delivered: {self._why()}", kept)
        if self.outbox.spool is not None and (self.sender is None or self.sender.done.is_set()):
            self.outbox.spool.close()  # for whoever is to send it
        return missing

    def _say(self, sentence: str, kept: int) -> None:
        """Say a sentence, and what is kept where."""
        parts = [ended(sentence)] if sentence else []
        spool, refused = self.outbox.spool, self._refused()
        if spool is not None and not (self.sender and self.sender.is_complete):
            if spool.path.parent.name == REFUSED:
                how = "`exptrack sync` with its path sends"
            elif self.sender is None:
                how = "`exptrack sync` sends"
            else:
                how = "The next run or `exptrack sync` sends"
            parts.append(f"{points_are(kept)} kept in {where(spool.path)}. {how} what is there.")
        if lost := self.pending - kept + self.queue.dropped:
            parts.append(f"{lost:,} could not be kept.")
        if refused:
            parts.append(f"What was refused is kept in {where(refused[0].parent)}.")
        say(f"run {self.run_id}: {' '.join(parts)}")

    def _refused(self) -> list:
        return self.sender.delivery.kept if self.sender and self.sender.delivery else []

    def _why(self) -> str:
        if self.sender is None:
            return self.cause or self.outbox.fault or "there was no room left for them"
        if self.outbox.refused and not self.pending and self.sender.delivery:
            return self.sender.delivery.last_refusal
        full = "there was no room left for them" if self.queue.dropped else "time was up"
        return self.sender.trouble or self.outbox.fault or full

"""Delivery: one background thread a run that sends what was logged and keeps the run alive.

The thread works in rounds: open the run, beat, send what the outbox holds, then what earlier runs
left behind. A request that may succeed later ends the round and is made again after a wait;
nothing here raises into training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from exptrack_client.delivery import Delivery
from exptrack_client.folder import set_aside
from exptrack_client.leftovers import Leftovers
from exptrack_client.notices import say
from exptrack_client.opening import open_run
from exptrack_client.outbox import Outbox
from exptrack_client.records import END
from exptrack_client.transport import Backoff, Exchange, Later, NotLetIn, Transport

BEAT_EVERY = 15.0
# A request a second at most, while points trickle in; the first after a pause goes at once.
SEND_EVERY = 1.0
# A server that refused the token, or is no ExpTrack, is asked again this often.
ASK_AGAIN_EVERY = 30.0
LONGEST_WAIT_AT_THE_END = 2.0
PATIENCE_FOR_A_STRANGER = 5.0
# Failures in a row before an outage is worth a line; a server that restarts is not.
SAY_AFTER = 3
SAY_PROGRESS_EVERY = 5.0
ENDED = ("finished", "failed", "killed")


class Refused(Exception):
    """The run cannot be recorded at all."""


class Sender:
    """Delivers what one run's outbox holds."""

    def __init__(
        self,
        *,
        run_id: str,
        transport: Transport,
        outbox: Outbox,
        is_joined: bool = False,
        is_shared: bool = False,
        resume: bool = False,
        on_open: Callable[[dict], None] = lambda run: None,
        on_stop: Callable[[], None] = lambda: None,
        on_steps: Callable[[int], None] = lambda step: None,
    ) -> None:
        """`is_joined`: another process of ours created the run; `is_shared`: one of the same
        launch may have, and even ended it. `on_steps` hears the greatest step that a resumed run
        has stored."""
        self.outbox = outbox
        self.stop_requested = False
        self.trouble = ""  # why the last request failed; "" when it did not
        self.opened = self._is_joined = is_joined
        self.first_word = threading.Event()  # the server answered, or did not
        self.done = threading.Event()  # nothing more will be delivered
        self.is_complete = False  # because all of it was
        self.delivery: Delivery | None = None
        self._run_id = run_id
        self._run_path = f"runs/{run_id}/"
        self._exchange = Exchange(transport)
        self._leftovers = Leftovers(self._exchange)
        self._is_shared = is_shared
        self._resume = resume
        self._on_open, self._on_stop, self._on_steps = on_open, on_stop, on_steps
        self._is_ending = self._has_seen_end = False
        self._is_held = False
        self._said_trouble = False
        self._backoff = Backoff()
        self._beat_at = self._progress_at = monotonic()
        self._points_at = float("-inf")
        self._thread = threading.Thread(target=self._work, name="exptrack", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # --- The end, seen from the thread that trains --------------------------------------------

    def finish(self) -> None:
        """Deliver everything, then stop."""
        self._is_ending = True
        self.outbox.news.set()

    def wait_until_done(self, patience: float, waiting: Callable[[], int]) -> None:
        """Wait while there is progress, and at most `patience` seconds without any; less for a
        server that never answered, which is likely no server at all. `waiting` tells how many
        points are left, for those who wait."""
        began = said_at = monotonic()
        if not self.opened:
            patience = min(patience, PATIENCE_FOR_A_STRANGER)
        while not self.done.wait(0.1) and self._thread.is_alive():
            now = monotonic()
            if now - max(self._progress_at, began) > patience:
                break
            if now - said_at > SAY_PROGRESS_EVERY:
                said_at = now
                cause = f" ({self.trouble.rstrip('.')})" if self.trouble else ""
                say(f"{waiting():,} points are still to be sent{cause}. Ctrl-C leaves them.")

    # --- The thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        self.outbox.is_ready.wait()
        folder = self.outbox.spool.path.parent if self.outbox.spool else None
        self.delivery = Delivery(self._exchange, self._run_id, self.outbox, folder)
        while not self.done.is_set():
            self._has_seen_end = self._is_ending
            try:
                self._round()
            except Later as trouble:
                self._postpone(str(trouble), trouble.wait)
            except NotLetIn as refusal:
                self._hold(str(refusal))
            except Refused as refusal:
                self._give_up(str(refusal))
            except Exception as defect:  # a defect of ours must not end delivery in silence
                self._postpone(f"{type(defect).__name__}: {defect}", None)
            else:
                self._recover()
                if self.is_complete:
                    self.done.set()  # after all that there is to say: finish() may return now
                    break
                pause = 0 if self._has_seen_end else self._pause()
                self._sleep(pause or SEND_EVERY, until_news=not pause)
        self.first_word.set()
        self._leftovers.close()
        self._exchange.close()
        self.outbox.is_sealed.wait()  # a run that was refused is still written down
        if self.outbox.spool is not None:
            self.outbox.spool.close()  # for whoever is to send the rest

    def _round(self) -> None:
        """Do everything that is due; Later, NotLetIn or Refused when it cannot be done."""
        is_sealed = self._is_ending and self.outbox.is_sealed.is_set()
        if not self.opened:
            self._open()
            self.first_word.set()
        self._beat(now=self._is_held)
        ended = self._send()
        if ended or is_sealed:
            self.is_complete = True
            if self.outbox.spool is not None:
                self.outbox.spool.remove()
            self._leftovers.close()
        elif not self._is_ending and not self._is_joined:
            self._leftovers.work(self._is_busy)

    def _is_busy(self) -> bool:
        beat_is_due = monotonic() - self._beat_at >= BEAT_EVERY
        return self.outbox.news.is_set() or self._is_ending or beat_is_due

    def _open(self) -> None:
        """Create the run, or join it; the id is ours, so a repeat makes no second one."""
        if self._resume:
            self._leftovers.of_run(self._run_id)
        answer, complaint = open_run(self._call, self.outbox.opening, is_known=self._resume)
        if complaint and answer.ok:
            say(f"the run is {complaint}")
        if not answer.ok:
            raise Refused(answer.sentence)
        if self._resume:
            self._continue_steps()
        elif answer.body.get("status") in ENDED and not self._is_shared:
            raise Refused(f"it has {answer.body['status']}. resume=True would go on with it")
        self.opened = True
        self._on_open(answer.body)
        self._beat(now=True)

    def _continue_steps(self) -> None:
        """Count steps on from the greatest one stored."""
        answer = self._call("GET", f"{self._run_path}metrics/")
        steps = [series.get("last_step") for series in answer.body.get("results", [])]
        whole = [step for step in steps if isinstance(step, int)]
        if whole:
            self._on_steps(max(whole))

    def _beat(self, now: bool = False) -> None:
        """Tell that the run lives, every 15 s, and hear whether it should stop."""
        if now or monotonic() - self._beat_at >= BEAT_EVERY:
            answer = self._call("POST", f"{self._run_path}heartbeat/", {})
            self._beat_at = monotonic()
            was_requested, self.stop_requested = (
                self.stop_requested,
                bool(answer.body.get("stop_requested")),
            )
            if self.stop_requested and not was_requested:
                self._on_stop()

    def _send(self) -> bool:
        """Send what there is; whether that was the end of the run."""
        if self._pause() and not self._is_ending:
            return False
        everything = True  # what the disk has no room for is sent in full batches after that
        while (record := self.outbox.next(everything)) is not None:
            self.delivery.deliver(record)
            if self.delivery.largest:
                self.outbox.most_points = min(self.outbox.most_points, self.delivery.largest)
            self._progress_at = self._points_at = monotonic()
            if record.kind == END:
                return True
            everything = self._is_ending
            self._beat()
        return False

    def _pause(self) -> float:
        """Seconds until points that trickle in may be sent again; 0 when they may."""
        return max(self._points_at + SEND_EVERY - monotonic(), 0)

    def _call(self, method: str, path: str, body: dict | None = None) -> object:
        answer = self._exchange.call(method, path, body)
        self._progress_at = monotonic()
        return answer

    # --- Waiting ------------------------------------------------------------------------------

    def _recover(self) -> None:
        """A round went through."""
        if self._said_trouble:
            say(f"{self._exchange.base} answers again.")
        self.trouble, self._said_trouble, self._is_held = "", False, False
        self._backoff.reset()

    def _postpone(self, trouble: str, asked: float | None) -> None:
        """Wait before the next attempt: longer each time, shorter when the run is ending."""
        self.trouble = trouble
        if self._is_ending:
            asked = min(asked or 0.0, LONGEST_WAIT_AT_THE_END)
            wait = self._backoff.next_wait(asked, LONGEST_WAIT_AT_THE_END)
        else:
            wait = self._backoff.next_wait(asked)
        if not self.opened or self._backoff.failures >= SAY_AFTER:
            self._say_trouble(f"{trouble.rstrip('.')}.")
        self.first_word.set()
        self._sleep(wait)

    def _hold(self, refusal: str) -> None:
        """Ask again now and then; at the end, give up at once."""
        self.trouble, self._is_held = refusal, True
        self._say_trouble(refusal)
        self.first_word.set()
        if self._is_ending:
            self.outbox.is_sealed.wait(1)
            self.done.set()
        else:
            self._sleep(ASK_AGAIN_EVERY)

    def _say_trouble(self, sentence: str) -> None:
        if not self._said_trouble:
            self._said_trouble = True
            where = "in memory" if self.outbox.fault else "on disk"
            say(f"{sentence} Training goes on; what it logs is kept {where} and sent later.")

    def _give_up(self, refusal: str) -> None:
        """The server will never take this run: keep what is logged apart, and send nothing."""
        self.trouble = refusal
        say(f"this run is not recorded: {refusal}")
        if self.outbox.spool is not None and (path := set_aside(self.outbox.spool)):
            self.outbox.spool.path = path
        self.done.set()

    def _sleep(self, seconds: float, until_news: bool = False) -> None:
        """Sleep; woken by the end, and if `until_news` by something to send."""
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0:
            self.outbox.news.wait(left)
            self.outbox.news.clear()
            if until_news or (self._is_ending and not self._has_seen_end):
                return

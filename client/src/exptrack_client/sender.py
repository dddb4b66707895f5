"""Delivery: one background thread a run that sends what was logged and keeps the run alive.

The thread works in rounds: open the run, beat, send params and tags, send points, end the run.
A request that may succeed later ends the round and is made again after a wait; nothing here
raises into training.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from time import monotonic

from exptrack_client.changes import Changes
from exptrack_client.notices import Notices, say
from exptrack_client.outbox import Outbox
from exptrack_client.points import PointQueue
from exptrack_client.transport import Answer, Backoff, Transport, Unreachable, packed

SEND_EVERY = 1.0
BEAT_EVERY = 15.0
# A server that refused the token, or is no ExpTrack, is asked again this often.
ASK_AGAIN_EVERY = 30.0
LONGEST_WAIT_AT_THE_END = 2.0
PATIENCE_FOR_A_STRANGER = 15.0
# Failures in a row before an outage is worth a line; a server that restarts is not.
SAY_AFTER = 3
SAY_PROGRESS_EVERY = 10.0
MOST_DETOURS = 3
# A creation that the server refuses is tried again without these.
OPTIONAL = ("name", "notes", "parent", "environment")


class Later(Exception):
    """Not now: no answer, or one that asks to come again, after `wait` seconds if it says so."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class NotLetIn(Exception):
    """The server answers, but not to us: a dead token, a run gone, an address of something else.
    What is logged stays queued in case that changes."""


class Refused(Exception):
    """The run cannot be recorded at all."""


class Sender:
    """Delivers one run's points, params and tags, and its end."""

    def __init__(
        self,
        *,
        run_id: str,
        transport: Transport,
        queue: PointQueue,
        changes: Changes,
        opening: Callable[[], dict] | None,
        resume: bool = False,
        on_open: Callable[[dict], None] = lambda run: None,
    ) -> None:
        """`opening` makes the body that creates the run; None when another process did."""
        self.queue = queue
        self.changes = changes
        self.outbox = Outbox(queue)
        self.stop_requested = False
        self.trouble = ""  # why the last request failed; "" when it did not
        self.last_refusal = ""  # why points were refused, if any were
        self.opened = opening is None
        self.first_word = threading.Event()  # the server answered, or did not
        self.done = threading.Event()  # nothing more will be delivered
        self.is_complete = False  # because all of it was
        self._run_path = f"runs/{run_id}/"
        self._transport = transport
        self._opening = opening
        self._opening_body: dict | None = None
        self._resume = resume
        self._on_open = on_open
        self._ending: dict | None = None
        self._is_held = False
        self._said_trouble = False
        self._detours = 0
        self._notices = Notices()
        self._backoff = Backoff()
        self._beat_at = self._points_at = self._progress_at = monotonic()
        self._thread = threading.Thread(target=self._work, name="exptrack", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pending(self) -> int:
        """Points taken in and neither confirmed nor refused."""
        return self.queue.logged - self.outbox.delivered - self.outbox.refused

    # --- The end, seen from the thread that trains --------------------------------------------

    def finish(self, ending: dict) -> None:
        """Deliver everything, then this end; {} ends only this sender's work."""
        self._ending = ending
        self.queue.wake.set()

    def wait_until_done(self, patience: float) -> None:
        """Wait while there is progress, and at most `patience` seconds without any; less for a
        server that never answered, which is likely no server at all."""
        began = said_at = monotonic()
        if not self.opened:
            patience = min(patience, PATIENCE_FOR_A_STRANGER)
        while not self.done.wait(0.1) and self._thread.is_alive():
            now = monotonic()
            if now - max(self._progress_at, began) > patience:
                break
            if now - said_at > SAY_PROGRESS_EVERY:
                said_at = now
                cause = f" ({self.trouble})" if self.trouble else ""
                say(f"{self.pending:,} points are still to be sent{cause}. Ctrl-C leaves them.")

    # --- The thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        while not self.done.is_set():
            try:
                self._round()
            except Later as trouble:
                self._postpone(str(trouble), trouble.wait)
            except NotLetIn as refusal:
                self._hold(str(refusal))
            except Refused as refusal:
                self.trouble = str(refusal)
                self.queue.close()
                say(f"this run is not recorded: {refusal}")
                self.done.set()
            except Exception as defect:  # a defect of ours must not end delivery in silence
                self._postpone(f"{type(defect).__name__}: {defect}", None)
            else:
                self._recover()
                self._sleep(self._points_at + SEND_EVERY - monotonic(), until_points=True)
        self.first_word.set()
        self._transport.close()

    def _round(self) -> None:
        """Do everything that is due; Later, NotLetIn or Refused when it cannot be done."""
        ending = self._ending  # before the points are read: what was logged before it goes first
        if not self.opened:
            self._open()
            self.first_word.set()
        self._beat(now=self._is_held)
        self._send_changes()
        due = monotonic() - self._points_at >= SEND_EVERY * 0.9
        self._send_points(everything=due or ending is not None)
        if ending is not None:
            self._end(ending)
            self.is_complete = True
            self.done.set()

    def _open(self) -> None:
        """Create the run, or join it; the id is ours, so a repeat makes no second one."""
        body = self._opening_body = self._opening_body or self._opening()
        answer = self._call("POST", "runs/", body)
        left_out = [name for name in OPTIONAL if name in body]
        if answer.status == 400 and left_out:
            bare = {name: value for name, value in body.items() if name not in OPTIONAL}
            complaint, answer = answer.sentence, self._call("POST", "runs/", bare)
            if answer.ok:
                say(f"the run is recorded without {', '.join(left_out)}: {complaint}")
        if not answer.ok:
            raise Refused(answer.sentence)
        if self._resume:
            self._continue_steps()
        elif answer.body.get("status") in ("finished", "failed", "killed"):
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
            self.queue.continue_after(max(whole))

    def _beat(self, now: bool = False) -> None:
        """Tell that the run lives, every 15 s, and hear whether it should stop."""
        if now or monotonic() - self._beat_at >= BEAT_EVERY:
            answer = self._call("POST", f"{self._run_path}heartbeat/", {})
            self._beat_at = monotonic()
            self.stop_requested = bool(answer.body.get("stop_requested"))

    def _send_changes(self) -> None:
        while (change := self.changes.take()) is not None:
            kind, values = change
            try:
                answer = self._call("POST", f"{self._run_path}log/", {kind: values})
            except Exception:
                self.changes.put_back(kind, values)
                raise
            if not answer.ok and len(values) > 1:
                self.changes.send_apart(kind, values)
            elif not answer.ok:
                name = next(iter(values))
                self._notices.once(kind, f"{kind[:-1]} {name!r} was not taken: {answer.sentence}")

    def _send_points(self, everything: bool) -> None:
        """Send full batches, and the rest too when `everything` is to go."""
        while (batch := self.outbox.next_batch(everything)) is not None:
            answer = self._judged("POST", f"{self._run_path}log/", batch.body)
            if not answer.ok:
                self._make_way(answer)
                continue
            self.outbox.confirm()
            self._detours = 0
            self._points_at = monotonic()
            everything = self._ending is not None
            self._beat()
        if everything:
            self._points_at = monotonic()

    def _make_way(self, answer: Answer) -> None:
        """A batch was not taken: change what is sent so that the next attempt may be."""
        is_gap = answer.error.get("code") == "sequence_gap"
        if is_gap or answer.status == 422:
            self._detours += 1
            if self._detours > MOST_DETOURS:
                raise Later(answer.sentence)
        if is_gap:
            if missing := self.outbox.rewind(answer.details.get("expected")):
                say(f"the server no longer has {missing} batches that it had confirmed")
        elif answer.status == 422:
            self.outbox.become_another_writer()
        elif answer.status != 413 or not self.outbox.split():
            self.outbox.refuse()
            self._notices.once("refused", f"points were refused: {answer.sentence}")
            self.last_refusal = answer.sentence

    def _end(self, ending: dict) -> None:
        if not ending:
            return
        answer = self._call("POST", f"{self._run_path}finish/", ending)
        if not answer.ok:
            say(f"the run's end was not taken: {answer.sentence}")

    # --- One request --------------------------------------------------------------------------

    def _call(self, method: str, path: str, body: dict | None = None) -> Answer:
        """The answer to one request: ok, or a refusal of just this request."""
        return self._judged(method, path, None if body is None else packed(json.dumps(body)))

    def _judged(self, method: str, path: str, body: bytes | None) -> Answer:
        """The answer, when it is one to this request; else Later or NotLetIn."""
        try:
            answer = self._transport.request(method, path, body)
        except Unreachable as error:
            raise Later(f"{self._transport.base} cannot be reached: {error}") from error
        status = answer.status
        if status in (408, 425, 429) or status >= 500:
            raise Later(f"{self._transport.base}: {answer.sentence}", answer.retry_after)
        if status in (401, 403, 404) and answer.error:
            raise NotLetIn(answer.sentence)
        if not answer.is_json or not (answer.ok or answer.error):
            if status == 413:  # a proxy in front says it in its own words
                return answer
            raise NotLetIn(
                f"{self._transport.base} does not answer like ExpTrack (status {status}"
                + (f", it points to {answer.headers.get('Location')}" if status // 100 == 3 else "")
                + "). Is EXPTRACK_URL right?"
            )
        self._progress_at = monotonic()
        return answer

    # --- Waiting ------------------------------------------------------------------------------

    def _recover(self) -> None:
        """A round went through."""
        if self._said_trouble:
            say(f"{self._transport.base} answers again.")
        self.trouble, self._said_trouble, self._is_held = "", False, False
        self._backoff.reset()

    def _postpone(self, trouble: str, asked: float | None) -> None:
        """Wait before the next attempt: longer each time, shorter when the run is ending."""
        self.trouble = trouble
        ending = self._ending is not None
        if ending:
            asked = min(asked or 0.0, LONGEST_WAIT_AT_THE_END)
            wait = self._backoff.next_wait(asked, LONGEST_WAIT_AT_THE_END)
        else:
            wait = self._backoff.next_wait(asked)
        if not self._said_trouble and (not self.opened or self._backoff.failures >= SAY_AFTER):
            self._said_trouble = True
            say(f"{trouble}. Training goes on; what it logs is kept in memory and sent later.")
        self.first_word.set()
        self._sleep(wait)

    def _hold(self, refusal: str) -> None:
        """Ask again now and then; at the end, give up at once."""
        self.trouble, self._is_held = refusal, True
        if not self._said_trouble:
            self._said_trouble = True
            say(f"{refusal} Training goes on; what it logs is kept in memory for now.")
        self.first_word.set()
        if self._ending is not None:
            self.done.set()
        else:
            self._sleep(ASK_AGAIN_EVERY)

    def _sleep(self, seconds: float, until_points: bool = False) -> None:
        """Sleep; woken by the end, and if `until_points` by a full batch."""
        deadline = monotonic() + seconds
        was_ending = self._ending is not None
        while (left := deadline - monotonic()) > 0:
            self.queue.wake.wait(left)
            self.queue.wake.clear()
            if until_points or (self._ending is not None and not was_ending):
                return

"""A run, as the training script sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from time import time_ns
from types import TracebackType

from exptrack_client import lifecycle
from exptrack_client.endings import StopRequested, outcome
from exptrack_client.masking import masked_text, masked_value
from exptrack_client.names import (
    INT64_MAX,
    INT64_MIN,
    NAME_RULE,
    NameBook,
    flattened,
    inner_values,
    named_values,
    printed,
    sendable_text,
    sendable_value,
    shortened,
)
from exptrack_client.notices import Notices, say
from exptrack_client.points import Shape
from exptrack_client.recording import Recording

# A log() call with more metrics becomes several rows, so that a batch can always be split.
NAMES_A_ROW = 1_000
SHAPES_KEPT = 1_000
# How long finish() waits for a server that takes nothing; while it takes something, it goes on.
FINISH_PATIENCE = 10.0
STATUSES = ("finished", "failed", "killed")

ON, DISABLED, FINISHED, FORKED, STOPPING = "on", "disabled", "finished", "forked", "stopping"


class Run:
    """One recorded execution, made by `init`: a context manager, or ended by `finish`.

    No method raises for a fault of the tracker, and none but `finish` waits for the network.
    """

    def __init__(
        self,
        run_id: str,
        *,
        url: str = "",
        record: Callable[..., Recording] | None = None,
        raise_on_stop: bool = False,
    ) -> None:
        """Use `init`. `record` makes what records it in this process, given `is_joined`, the
        first step and two callbacks; a run without it is disabled."""
        self.id = run_id
        self.name = ""
        self.url = url  # of its page; "" when it is not recorded
        self._state = DISABLED if record is None else ON
        self._is_on = False  # log() may go straight to the queue
        self._is_ours = True  # this process began it and is to end it
        self._has_reported = False
        self._record = record
        self._raise_on_stop = raise_on_stop
        self._notices = Notices()
        self._shapes: dict[tuple, Shape] = {}
        self._names: dict[str, NameBook] = {}
        self._first_params: dict[str, object] = {}
        self._recording: Recording | None = None
        self._starting = threading.RLock()
        if record is not None:
            self._make_recording(0)

    # --- What it is ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<exptrack run {self.id} {self._state}>"

    @property
    def pending(self) -> int:
        """Points logged in this process that the server has not confirmed yet."""
        return self._recording.pending if self._recording else 0

    @property
    def dropped(self) -> int:
        """Points this process could not keep, for want of room or because the server refused
        them."""
        return self._recording.dropped if self._recording else 0

    @property
    def stop_requested(self) -> bool:
        """Whether someone asked for this run to stop; known within 15 s."""
        return self._recording is not None and self._recording.stop_requested

    # --- Logging ------------------------------------------------------------------------------

    def log(
        self,
        metrics: Mapping[str, object],
        step: int | None = None,
        time: float | datetime | None = None,
    ) -> None:
        """Queue one point of each metric; returns in microseconds.

        A value is anything `float()` takes. Without `step` the run's own counter is used, one
        up a call. `time` is a datetime or seconds since the epoch, now by default.
        """
        if not self._is_on:
            if self._state == STOPPING:
                self._log_and_stop(metrics, step, time)
            if not self._can_log(metrics):
                return
        try:
            shape = self._shapes[tuple(metrics)]
            values = shape.pack(*metrics.values())
        except Exception:  # a new set of names, or a value that is no plain number
            self._log_slowly(metrics, step, time)
            return
        if step is not None and (type(step) is not int or not INT64_MIN <= step <= INT64_MAX):
            step = self._whole(step)
        moment = time_ns() // 1_000_000 if time is None else self._milliseconds(time)
        if not self._recording.queue.put(shape, values, step, moment):
            self._say_full()

    def params(self, params: Mapping[str, object]) -> None:
        """Record hyperparameters. Nested ones are flattened with `/`; a param keeps its first
        value."""
        new = {}
        for name, value in self._checked("param", params):
            value = shortened(masked_value(name, sendable_value(value)))
            first = self._first_params.setdefault(name, value)
            if first is value:
                new[name] = value
            elif first != value:
                self._notices.once(
                    "param", f"param {name!r} keeps its first value, {short(first)}."
                )
        self._send_changes("params", new)

    def tags(self, tags: Mapping[str, object] | Iterable[str]) -> None:
        """Label the run: names with a text each, or bare labels. A later text replaces it."""
        if isinstance(tags, str):
            tags = [tags]
        if not isinstance(tags, Mapping):
            try:
                tags = dict.fromkeys(tags, "")
            except Exception as error:
                self._notices.once("tag", f"tags must be a dict or a list of labels: {error}")
                return
        texts = {
            name: shortened(masked_value(name, "" if value is None else sendable_text(value)))
            for name, value in self._checked("tag", tags)
        }
        self._send_changes("tags", texts)

    # --- The end ------------------------------------------------------------------------------

    def finish(self, status: str = "finished", *, timeout: float = FINISH_PATIENCE) -> int:
        """Deliver what is queued and end the run as finished, failed or killed.

        Waits while the server takes points, and `timeout` seconds when it takes none. Returns
        how many points were not delivered, and says so. A second call does nothing.
        """
        if status not in STATUSES:
            say(f"{short(status)} is no status; the run is marked as finished")
            status = "finished"
        self._begin_to_finish(status)
        return self._wait_and_report(timeout)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._begin_to_finish(*outcome(error))
        self._wait_and_report(FINISH_PATIENCE)

    def _begin_to_finish(self, status: str, error: str = "") -> None:
        """Take no more points, and have what is there delivered; does not wait."""
        if self._state == FINISHED:
            return
        if self._state == FORKED:
            self._recording = None  # this child logged nothing
        self._state, self._is_on = FINISHED, False
        if self._recording is not None:
            ending = {"status": status, "ended_at": now_text()}
            if error:
                ending["error"] = masked_text(sendable_text(error))
            self._recording.finish(ending if self._is_ours else {})

    def _wait_and_report(self, timeout: float) -> int:
        """Wait until all is delivered and say what could not be: how many points."""
        if self._has_reported:
            return 0
        missing = 0
        try:
            if self._recording is not None:
                self._recording.wait(timeout)
        finally:  # also when the wait is broken off by Ctrl-C
            lifecycle.forget(self)
            self._has_reported = True
            if self._recording is not None:
                missing = self._recording.report()
        return missing

    # --- Starting, and starting again after a fork --------------------------------------------

    def _make_recording(self, first_step: int) -> None:
        self._recording = self._record(
            is_joined=not self._is_ours,
            first_step=first_step,
            on_open=self._opened,
            on_stop=self._stop,
        )

    def _begin(self, params: Mapping, tags: Mapping | Iterable[str], patience: float) -> None:
        """Start to record, and wait a moment for the server's first word."""
        self.params(params)
        self.tags(tags)
        if self._recording is not None:
            self._is_on = True
            self._recording.start(patience)

    def _opened(self, answer: dict) -> None:
        """The server has the run; called from the sender's thread."""
        self.name = str(answer.get("name") or self.name)
        self.url = str(answer.get("url") or self.url)
        say(f"run {self.name} is at {self.url}")

    def _stop(self) -> None:
        """A stop was requested; called from the sender's thread."""
        if self._raise_on_stop and self._state == ON:
            self._state, self._is_on = STOPPING, False

    def _after_fork(self) -> None:
        """In a forked child: what records the run is the parent's. The child gets its own, as a
        writer of its own, when it first logs something."""
        if self._state not in (ON, STOPPING):
            return
        self._state, self._is_on, self._is_ours = FORKED, False, False
        parents, self._starting = self._recording, threading.RLock()
        parents.abandon()
        self._make_recording(parents.queue.next_step)

    def _start_in_child(self) -> None:
        with self._starting:
            if self._state != FORKED:
                return
            self._recording.start()
            self._state, self._is_on = ON, True
        lifecycle.flush_when_child_exits(self)

    # --- What log() leaves to others ----------------------------------------------------------

    def _log_and_stop(self, metrics: Mapping, step: object, time: object) -> None:
        """Raise StopRequested, once; what is logged is kept, also while the run ends."""
        self._state, self._is_on = ON, True
        self.log(metrics, step, time)
        raise StopRequested(f"someone asked for run {self.name or self.id} to stop")

    def _can_log(self, values: Mapping) -> bool:
        """Whether values may be queued although the run is not plainly on."""
        if self._state == FORKED:
            self._start_in_child()
        elif self._state == FINISHED:
            self._notices.once("finished", "log() was called after finish(); that is not recorded")
        return self._is_on

    def _log_slowly(self, metrics: object, step: object, time: object) -> None:
        """log() for names not seen before and values that are no plain numbers."""
        try:
            numbers = dict(self._numbers(metrics))
        except Exception as error:
            self._notices.once("metrics", f"log() takes a dict of numbers: {error}")
            return
        if step is not None:
            step = self._whole(step)
        moment = time_ns() // 1_000_000 if time is None else self._milliseconds(time)
        names = list(numbers)
        if step is None and len(names) > NAMES_A_ROW:
            step = self._recording.queue.next_step
        for start in range(0, len(names), NAMES_A_ROW):
            some = names[start : start + NAMES_A_ROW]
            shape = Shape(some)
            values = shape.pack(*[numbers[name] for name in some])
            if not self._recording.queue.put(shape, values, step, moment):
                self._say_full()
        is_flat = all(inner_values(value) is None for value in metrics.values())
        if is_flat and 0 < len(names) == len(metrics) <= NAMES_A_ROW:
            if len(self._shapes) >= SHAPES_KEPT:
                self._shapes.clear()
            self._shapes[tuple(metrics)] = shape

    def _numbers(self, metrics: Mapping) -> Iterable[tuple[str, float]]:
        """Allowed names with values as floats; what is no number is said once and left out."""
        for name, value in flattened(metrics):
            try:
                number = float(value)
            except Exception as error:
                cause = str(error) or type(error).__name__
                self._notices.once("value", f"metric {short(name)} is left out: {cause}")
                continue
            yield self._allowed("metric", name), number

    def _whole(self, step: object) -> int | None:
        """A step as an int64, or None, which is the run's own counter."""
        try:
            whole = int(step)
            if whole == step and INT64_MIN <= whole <= INT64_MAX:
                return whole
        except Exception:  # noqa: S110  said below
            pass
        self._notices.once(
            "step", f"step {short(step)} is no whole number; the run's own count is used instead"
        )
        return None

    def _milliseconds(self, time: object) -> int:
        """A datetime, or seconds since the epoch, as milliseconds; now when it is neither."""
        try:
            seconds = time.timestamp() if isinstance(time, datetime) else float(time)
            milliseconds = round(seconds * 1000)
            if INT64_MIN <= milliseconds <= INT64_MAX:
                return milliseconds
        except Exception:  # noqa: S110  said below
            pass
        self._notices.once("time", f"time {short(time)} is no time; the point is logged as of now")
        return time_ns() // 1_000_000

    def _say_full(self) -> None:
        self._notices.once(
            "full",
            "too much waits in memory, and new points are dropped until there is room. "
            "finish() will say how many.",
        )

    # --- Params and tags ----------------------------------------------------------------------

    def _send_changes(self, kind: str, values: dict[str, object]) -> None:
        if values and (self._state in (ON, STOPPING) or self._can_log({})):
            self._recording.changes.add(kind, values)

    def _checked(self, kind: str, values: object) -> Iterable[tuple[str, object]]:
        """Flattened values under allowed names; says so when it is no mapping."""
        try:
            pairs = list(flattened(named_values(values)))
        except Exception as error:
            self._notices.once(kind, f"{kind}s must be a dict: {error}")
            return []
        return [(self._allowed(kind, name), value) for name, value in pairs]

    def _allowed(self, kind: str, name: str) -> str:
        """The name under which it is sent; says once when that is another."""
        book = self._names.setdefault(kind, NameBook())
        allowed = book.allowed(name)
        if allowed != name:
            why = f"names are made of {NAME_RULE}"
            self._notices.once("name", f"{kind} {short(name)} is logged as {allowed!r}: {why}")
        return allowed


def short(value: object) -> str:
    """A value in a sentence."""
    text = printed(value, repr)
    return text if len(text) <= 60 else text[:59] + "…"


def now_text() -> str:
    """The time as the API writes it: RFC 3339, UTC, microseconds."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

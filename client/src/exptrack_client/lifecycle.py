"""The runs of this process, and what becomes of them when it ends, is told to end, or forks."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

from exptrack_client.endings import outcome

if TYPE_CHECKING:
    from exptrack_client.run import Run

# What is left may take this long when the process is told to end: schedulers kill soon after.
SIGTERM_PATIENCE = 5.0
EXIT_PATIENCE = 30.0

live: list[Run] = []
# What the script last asked to be left with by sys.exit, since a run began.
exits: list[SystemExit] = []
is_noting_exits = False


def remember(run: Run) -> None:
    """`run` has begun: it is the current one until it ends."""
    live.append(run)
    exits.clear()  # whatever there was, it was caught
    note_exits()
    catch_sigterm()


def forget(run: Run) -> None:
    """`run` has ended."""
    if run in live:
        live.remove(run)
    if not live:
        release_sigterm()


def current() -> Run | None:
    """The run begun last that has not ended."""
    return live[-1] if live else None


def end_all(status: str, error: str, patience: float) -> None:
    """End every run, the last begun first, and wait for all of them together."""
    runs = live[::-1]
    for run in runs:
        run._begin_to_finish(status, error)
    deadline = monotonic() + patience
    for run in runs:
        run._wait_and_report(max(deadline - monotonic(), 0.5))


@atexit.register
def end_at_exit() -> None:
    """The script is over and did not end its runs: they end as it did."""
    if live:
        end_all(*outcome(unhandled_exception()), EXIT_PATIENCE)


def unhandled_exception() -> BaseException | None:
    """What the script died of. In a notebook or shell that is an error long past: None."""
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return None
    died_of = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return died_of or (exits[-1] if exits else None)


def note_exits() -> None:
    """Have `sys.exit` note what it is called with, from now on: Python tells nobody what a script
    was left with, and Hydra, Click and many a `main()` end what failed by `sys.exit(1)`."""
    global is_noting_exits
    if is_noting_exits:
        return
    is_noting_exits = True
    plain = sys.exit

    def exit(status: object = None, /) -> NoReturn:  # noqa: A001
        """As ever: leave Python by raising SystemExit(status)."""
        if threading.current_thread() is threading.main_thread():
            exits.append(SystemExit(status))
        plain(status)

    sys.exit = exit


# --- SIGTERM ---------------------------------------------------------------------------------


def catch_sigterm() -> None:
    """Mark runs killed on SIGTERM, unless the script has its own way with it."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end_on_sigterm)


def release_sigterm() -> None:
    """Take our handler away again. From another thread it cannot be, and does no harm."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) is end_on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end_on_sigterm(number: int, frame: object) -> None:
    """Deliver what there is as killed, then die of the signal as if nothing had been there."""
    end_all("killed", "", SIGTERM_PATIENCE)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


# --- Forks -----------------------------------------------------------------------------------


def after_fork_in_child() -> None:
    """Runs stay the parent's: here they only deliver what this child logs."""
    for run in live:
        run._after_fork()


def flush_when_child_exits(run: Run) -> None:
    """A child of multiprocessing leaves without atexit: deliver its points there too."""
    from multiprocessing.util import Finalize

    Finalize(None, deliver_rest, args=(run,), exitpriority=10)


def deliver_rest(run: Run) -> None:
    run._begin_to_finish("finished")
    run._wait_and_report(EXIT_PATIENCE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork_in_child)

"""How a run ends when nobody calls finish(): exits, exceptions, signals, forks."""

from __future__ import annotations

import signal
import sys

import exptrack_client as exptrack
import pytest

from exptrack.tests.waiting import PATIENCE

# What is tested is this side; the other database would double the cost and tell nothing.
pytestmark = pytest.mark.only_on("sqlite")

HEAD = """
import os, sys, time, signal
import exptrack_client as exptrack
run = exptrack.init("digits")
run.log({"loss": 0.5})
print(run.id, flush=True)
"""
# Not one long sleep: Python misses a signal that comes just before it, until it is over.
WAIT = "\nwhile True: time.sleep(0.1)\n"


def left_behind(process):
    """The run a script began, its exit code and what it said, once it is over."""
    output, errors = process.communicate(timeout=PATIENCE)
    assert output, errors
    return output.split()[0], process.returncode, errors


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        ("", "finished", 0),
        ("sys.exit()", "finished", 0),
        ("raise ValueError('the loss went up')", "failed", 1),
        ("raise KeyboardInterrupt", "killed", -signal.SIGINT),
        ("run.finish('killed')", "killed", 0),
    ],
)
def test_a_script_that_ends_without_finish_ends_its_run(
    tracker, start_script, ending, status, code
):
    run_id, returned, _ = left_behind(start_script(HEAD + ending))

    stored = tracker.run(run_id)
    assert (stored["status"], returned) == (status, code)
    assert ("the loss went up" in stored["error"]) == (status == "failed")
    assert tracker.points(run_id, "loss") == [(0, 0.5)]


@pytest.mark.parametrize(
    ("ending", "status", "error", "code"),
    [
        ("sys.exit(3)", "failed", "exit: 3", 3),
        ("sys.exit('no such data')", "failed", "exit: no such data", 1),
        ("sys.exit(0)", "finished", "", 0),
        ("raise SystemExit(3)", "finished", "", 3),  # unheard of: nothing tells of it
    ],
)
def test_a_script_that_says_it_failed_has_a_failed_run(
    tracker, start_script, ending, status, error, code
):
    run_id, returned, _ = left_behind(start_script(HEAD + ending))

    stored = tracker.run(run_id)
    assert (stored["status"], stored["error"], returned) == (status, error, code)


def test_an_exit_of_a_thread_or_before_the_run_is_not_the_scripts(tracker, start_script):
    code = """
import sys, threading
import exptrack_client as exptrack
exptrack.init("digits").finish()
try:
    sys.exit(3)
except SystemExit as error:
    assert error.code == 3
run = exptrack.init("digits")
print(run.id, flush=True)
beside = threading.Thread(target=sys.exit, args=(4,))
beside.start()
beside.join()
"""
    run_id, returned, errors = left_behind(start_script(code))

    assert returned == 0, errors
    assert tracker.run(run_id)["status"] == "finished"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_marks_the_run_killed_and_still_ends_the_process(tracker, start_script, number):
    process = start_script(HEAD + WAIT)
    run_id = process.stdout.readline().strip()
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == -number
    assert tracker.run(run_id)["status"] == "killed"
    assert tracker.points(run_id, "loss") == [(0, 0.5)]


def test_a_scripts_own_sigterm_handler_is_left_alone(tracker, start_script):
    own = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    process = start_script(own + HEAD + WAIT)
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=PATIENCE)

    assert process.returncode == 7


def test_the_sigterm_handler_goes_with_the_last_run(tracker):
    before = signal.getsignal(signal.SIGTERM)
    run = exptrack.init("digits")
    caught = signal.getsignal(signal.SIGTERM)
    run.finish()

    assert caught is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_server_away_at_exit_is_waited_for_no_longer_than_said(tracker, start_script):
    process = start_script(
        "from exptrack_client import lifecycle\nlifecycle.EXIT_PATIENCE = 1\n"
        + HEAD
        + "while run.pending: time.sleep(0.01)\nprint('delivered', flush=True)\n"
        + "sys.stdin.readline()\nrun.log({'loss': 1})",
    )
    process.stdout.readline()
    assert process.stdout.readline() == "delivered\n"
    tracker.server.kill()
    _, errors = process.communicate("go on\n", timeout=PATIENCE)

    assert process.returncode == 0
    assert "1 point was not delivered" in errors


def test_a_forked_child_logs_as_a_writer_of_its_own_and_leaves_the_run_open(tracker, start_script):
    code = (
        HEAD
        + """
pid = os.fork()
if pid == 0:
    for step in range(100):
        run.log({"child": step})
    sys.exit(run.finish())
for step in range(100):
    run.log({"parent": step})
assert os.waitpid(pid, 0)[1] == 0
"""
    )
    run_id, returned, errors = left_behind(start_script(code))

    assert returned == 0, errors
    assert [value for _, value in tracker.points(run_id, "child")] == list(range(100))
    assert [value for _, value in tracker.points(run_id, "parent")] == list(range(100))
    assert tracker.points(run_id, "loss") == [(0, 0.5)]
    assert tracker.run(run_id)["status"] == "finished"


def test_a_multiprocessing_child_delivers_before_it_goes(tracker, start_script):
    code = """
import multiprocessing, sys, time
import exptrack_client as exptrack

def work(run):
    for step in range(50):
        run.log({"child": step})

if __name__ == "__main__":
    run = exptrack.init("digits")
    print(run.id, flush=True)
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=(run,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
"""
    run_id, returned, errors = left_behind(start_script(code))

    assert returned == 0, errors
    assert tracker.summaries(run_id)["child"]["count"] == 150
    assert tracker.run(run_id)["status"] == "finished"


def test_a_child_that_is_terminated_delivers_first_and_leaves_the_run_open(tracker, start_script):
    code = (
        HEAD
        + """
pid = os.fork()
if pid == 0:
    run.log({"child": 1})
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3600)
assert os.waitpid(pid, 0)[1] == signal.SIGTERM
run.log({"parent": 1})
"""
    )
    run_id, returned, errors = left_behind(start_script(code))

    assert returned == 0, errors
    assert set(tracker.summaries(run_id)) == {"loss", "child", "parent"}
    assert tracker.run(run_id)["status"] == "finished"


def test_a_forked_child_that_logs_nothing_starts_nothing_and_dies_at_once(tracker, start_script):
    code = (
        HEAD
        + """
import threading
pid = os.fork()
if pid == 0:
    alone = threading.active_count() == 1
    if not alone:
        os._exit(3)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3600)
assert os.waitpid(pid, 0)[1] == signal.SIGTERM
"""
    )
    run_id, returned, errors = left_behind(start_script(code))

    assert returned == 0, errors
    assert tracker.run(run_id)["status"] == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
def test_a_killed_process_is_lost_only_until_it_speaks_again(tracker, start_script):
    process = start_script(
        HEAD + "while run.pending: time.sleep(0.01)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    run_id, returned, _ = left_behind(process)

    assert returned == -signal.SIGKILL
    assert tracker.run(run_id)["status"] == "running"  # lost once it is silent for long enough
    with exptrack.init("digits", id=run_id) as run:
        run.log({"loss": 0.4}, step=1)
    assert tracker.points(run_id, "loss") == [(0, 0.5), (1, 0.4)]


def test_standard_error_that_is_closed_harms_nothing(tracker, start_script):
    code = "import sys, os\nsys.stderr.close(); sys.stderr = None\n" + HEAD + "run.log({'a b%': 1})"
    run_id, returned, _ = left_behind(start_script(code, PYTHONUNBUFFERED="1"))

    assert returned == 0
    assert tracker.run(run_id)["status"] == "finished"

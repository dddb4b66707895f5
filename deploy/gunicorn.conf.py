"""How gunicorn serves ExpTrack: `manage.py serve` uses this, and so may a service manager."""

import gc
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from exptrack import settings  # noqa: E402

wsgi_app = "exptrack.wsgi"
bind = f"{settings.HOST}:{settings.PORT}"
# Threads, of which charts have a lane of their own.
worker_class = "exptrack.lanes.Worker"
workers = settings.WORKERS
threads = settings.THREADS
# One import instead of one a worker, and a killed worker is back at once. Nothing that a fork
# would break, such as a connection or a thread, is open by then.
preload_app = True
# A socket that takes commands is one more door, and nothing here uses it.
control_socket_disable = True
# Workers show by a file that they are alive; on a disk under load that would look like death.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
# A comparison of a hundred runs names each in its address.
limit_request_line = 8190
# Long enough for the largest batch to commit on a slow machine.
timeout = 120
# Longer than the SDK's heartbeats are apart, shorter than a stop may take: a connection that a
# browser opened ahead of need holds up an orderly stop for as long.
keepalive = 20
graceful_timeout = 30
loglevel = "warning"


def when_ready(server: object) -> None:
    """Load the pages too, then let the garbage collector leave alone what is there for good: else
    it looks through it again and again, for a third of the time that long lists and exports take,
    and the workers would have a copy each of what they share."""
    import exptrack.urls  # noqa: F401

    gc.collect()
    gc.freeze()


def post_worker_init(worker: object) -> None:
    """Leave Ctrl-C to the master, which tells the workers: a worker told twice at once locks
    itself up in its own signal handler until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_streams_on_stop(worker)


def end_streams_on_stop(worker: object) -> None:
    """Let open streams end when the worker is to stop in order: it waits for every thread."""

    def stop(*signal_and_frame: object) -> None:
        worker_int(worker)
        worker.handle_exit(*signal_and_frame)

    signal.signal(signal.SIGTERM, stop)
    signal.siginterrupt(signal.SIGTERM, False)


def worker_int(worker: object) -> None:
    """The same when it is to stop at once, as after Ctrl-C: Python itself then waits for them."""
    from experiments.streams import hub

    hub.stop()

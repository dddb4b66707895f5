"""How gunicorn serves ExpTrack. The bind address comes from the command line."""

import os

wsgi_app = "exptrack.wsgi"
worker_class = "gthread"
workers = int(os.environ.get("EXPTRACK_WORKERS") or 2)
threads = int(os.environ.get("EXPTRACK_THREADS") or 8)
# One import instead of one a worker, and a killed worker is back at once. Nothing that a fork
# would break (connections, threads) is open by then.
preload_app = True
# A socket that takes commands is one more door; nothing here uses it.
control_socket_disable = True
# Long enough for the largest batch to commit when the machine is slow.
timeout = 120
graceful_timeout = 30
keepalive = 75
accesslog = None
loglevel = "warning"

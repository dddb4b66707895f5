"""How gunicorn serves the push stream in a process of its own, which holds thousands of idle
connections; a proxy sends /live/ there and everything else to gunicorn.conf.py's processes."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from exptrack import settings  # noqa: E402

wsgi_app = "exptrack.asgi"
bind = f"{settings.HOST}:{settings.LIVE_PORT}"
worker_class = "asgi"
workers = 1
worker_connections = 10_000
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
# Beside a hundred runs an address holds how far its page has come.
limit_request_line = 8190
asgi_lifespan = "off"
# A stream ends when its process does; its page comes back by itself, and nothing is lost.
graceful_timeout = 1
loglevel = "warning"

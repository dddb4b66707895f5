"""ExpTrack's settings with the views of `nothing_views.py`, for `limits.py`."""

import os

from exptrack.settings import *  # noqa: F403

ROOT_URLCONF = "nothing_views"
if os.environ.get("EXPTRACK_BENCH_BARE"):
    MIDDLEWARE = []

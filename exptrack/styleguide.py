"""/styleguide/: every component in every state, while developing."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.messages import constants
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

STATUSES = ("queued", "running", "finished", "failed", "killed", "lost")
EXPERIMENT_STATUSES = ("active", "completed", "archived")
GROUNDS = ("canvas", "sunken", "surface", "raised", "hover", "line", "edge", "accent-soft")
INKS = ("ink", "muted", "faint", "accent", "accent-strong")
ICONS = (
    "queued running finished failed killed lost active completed archived check info warning "
    "error close copy left right up down ascending descending search filter columns table chart "
    "scatter parallel compare experiment run stop user people key lock mail sign-out settings "
    "light dark auto add edit trash storage restore download tag star eye eye-off expand more "
    "keyboard help link clock branch"
).split()
NUMBERS = (0.93456789, 12_345.678, 1_234_567.8, 0.000012, 42, 1_234_567, float("nan"), None)
DURATIONS = (0.04, 5.31, 65, 7980, 273_600, None)
BYTES = (0, 812, 14_300, 16 * 1024**2, None)
COUNTS = (
    {"running": 3, "finished": 412, "failed": 9, "killed": 2, "lost": 1, "queued": 5},
    {"finished": 60},
    {"finished": 9_999, "failed": 1},
    {},
)
PATCH = """\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -12,5 +12,6 @@ def main():
     model = Net(depth=4)
-    optimizer = SGD(model.parameters(), lr=lr)
+    optimizer = AdamW(model.parameters(), lr=lr)
+    schedule = cosine(optimizer)
     for epoch in range(epochs):"""
TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 81, in main
    loss.backward()
RuntimeError: loss is not finite at step 1320"""
HOSTILE = "<b>not bold</b> \u202eright to left " + "w" * 80


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """The guide; a 404 unless DEBUG is on."""
    if not settings.DEBUG:
        raise Http404("The style guide is shown with EXPTRACK_DEBUG only.")
    now = timezone.now()
    context = {
        "statuses": STATUSES,
        "experiment_statuses": EXPERIMENT_STATUSES,
        "grounds": GROUNDS,
        "inks": INKS,
        "runs": range(1, 13),
        "icons": ICONS,
        "numbers": NUMBERS,
        "durations": DURATIONS,
        "bytes": BYTES,
        "moments": [now - timedelta(seconds=age) for age in (2, 40, 190, 9000, 2e5, 4e7)],
        "counts": COUNTS,
        "levels": [constants.DEFAULT_TAGS[level] for level in (25, 20, 30, 40)],
        "hostile": HOSTILE,
        "patch": PATCH,
        "traceback": TRACEBACK,
        "faults": ["“frog” cannot be used as ordering, so it was left out."],
        "ordering": request.GET.get("ordering", "-accuracy"),
        "snippet": 'import exptrack_client as exptrack\n\nwith exptrack.init("digits") as run:\n'
        '    run.log({"loss": 0.31}, step=7)\n',
    }
    return render(request, "styleguide.html", context)

"""/styleguide/: every component in every state, while developing."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from types import SimpleNamespace

from django.conf import settings
from django.contrib.messages import constants
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
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
LINES = [
    {"id": f"run-{n}", "name": name, "ink": n, "dash": dash, "url": "#charts"}
    for n, name, dash in ((1, "brisk-heron", 0), (2, "calm-otter", 1), (3, HOSTILE, 2))
]
# What each chart shows; `charted` answers for them.
CHARTED = ("several runs", "band", "smoothed", "odd values", "empty", "error")
STEPS = range(60)
# A query that is wrong, as `Asked` tells of it.
QUERY = ("metrics.loss =", "<", " 0.1")
WRONG_QUERY = SimpleNamespace(
    query_text="".join(QUERY),
    query_parts=QUERY,
    query_fault=SimpleNamespace(sentence="Found “<”, expected a value.", found="<"),
)
PLOTTED = ("lr", "optimizer", "val/loss")
SCALES = ("", "")


def charted(name: str) -> list[dict]:
    """The series of one of the guide's charts."""
    curves = [[math.exp(-x / (9 * n)) + 0.1 / n for x in STEPS] for n in (1, 2, 3)]
    if name == "several runs":
        return [curve(name, n, values) for n, values in enumerate(curves, start=1)]
    rough = [value + 0.08 * math.sin(7 * x) for x, value in zip(STEPS, curves[1], strict=True)]
    if name == "band":
        ends = {"lo": [y - 0.15 for y in curves[1]], "hi": [y + 0.2 for y in curves[1]]}
        return [curve(name, 2, curves[1], raw=False, total=60_000, **ends)]
    if name == "smoothed":
        return [curve(name, 1, rough, smooth=curves[1])]
    if name == "odd values":
        odd = {8: "NaN", 9: "NaN", 24: "Infinity", 40: "-Infinity"}
        return [curve(name, 1, [odd.get(x, y) for x, y in zip(STEPS, rough, strict=True)])]
    return []


def curve(name: str, run: int, values: list, **more: object) -> dict:
    """One series as charts fetch it."""
    given = {"run": f"run-{run}", "metric": name, "raw": True, "x": list(STEPS), "y": values}
    return {**given, "count": len(values), "total": len(values), **more}


def board() -> dict:
    """Charts in every state, as `_chart_board.html` takes them."""
    odd = {"odd values": {"nan_count": 2, "inf_count": 2}}
    metrics = [
        {"name": name, "runs": 3, "count": len(STEPS), **odd.get(name, {})} for name in CHARTED
    ]
    return {
        "lines": LINES,
        "lines_json": json.dumps(LINES),
        "has_key": True,
        "metrics_at_once": 1,  # so that one may fail alone
        "settings": {"x": "step", "smoothing": "0"},
        "series_url": reverse("styleguide-series"),
        "points_url": f"{reverse('styleguide-series')}?metric=band",
        "groups": [("", metrics[:2]), ("a group", metrics[2:])],
    }


def plotted() -> str:
    """Whole runs, for the plots of two values and of several."""
    rows = [(10**-n, ("adam", "sgd", None)[n % 3], 0.2 + (n - 2) ** 2 / 10) for n in range(5)]
    return json.dumps([
        {"id": str(n), "name": f"calm-otter-{n}", "ink": n + 1, "url": "#plots", "values": row}
        for n, row in enumerate(rows)
    ])  # fmt: skip


@require_safe
def styleguide_series(request: HttpRequest) -> HttpResponse:
    """What the guide's charts fetch; one of them is refused."""
    if not settings.DEBUG:
        raise Http404("The style guide is shown with EXPTRACK_DEBUG only.")
    names = request.GET.getlist("metric")
    if "error" in names:
        return JsonResponse({"error": {"message": "An example."}}, status=503)
    return JsonResponse({"series": [series for name in names for series in charted(name)]})


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
        "wrong_query": WRONG_QUERY,
        "faults": ["“frog” cannot be used as ordering, so it was left out."],
        "board": board(),
        "plotted": plotted(),
        "plotted_fields": json.dumps(PLOTTED),
        "plot_scales": json.dumps(SCALES),
        "live_states": (
            ("live", "Live"),
            ("reconnecting", "Reconnecting …"),
            ("paused", "Paused"),
            ("signed-out", "Signed out"),
        ),
        "ordering": request.GET.get("ordering", "-accuracy"),
        "snippet": 'import exptrack_client as exptrack\n\nwith exptrack.init("digits") as run:\n'
        '    run.log({"loss": 0.31}, step=7)\n',
    }
    return render(request, "styleguide.html", context)

"""What pages with a running run listen to: a stream of what changes, or the same on request."""

from __future__ import annotations

import threading
from functools import partial
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from experiments import access, live
from experiments.live import Cursor, Watch
from experiments.streams import AsyncStream, Stream, ThreadedStream
from experiments.values import uuid_in
from experiments.views.charts import json_response

MOST_WATCHED = 100
RETRY_AFTER_SECONDS = 20
EVENT_STREAM = "text/event-stream"


class Places:
    """How many streams the threads of this process hold; the rest of them serve pages."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken = 0

    def take(self) -> bool:
        with self.lock:
            if self.taken >= settings.LIVE_STREAMS:
                return False
            self.taken += 1
            return True

    def give_back(self) -> None:
        with self.lock:
            self.taken -= 1


places = Places()


@require_safe
def live_changes(request: HttpRequest) -> HttpResponse:
    """What changes in some runs (`run`, several) or experiments (`experiment`): a stream where
    the browser accepts one, else what is new since `since`, and 204 when nothing is."""
    watch = watch_in(request)
    if watch is None:
        return refusal(400, f"Name up to {MOST_WATCHED} runs or experiments by their ids.")
    access.require_readable(request.user, watch.runs, watch.experiments)
    cursor = live.cursor_in(request.headers.get("Last-Event-ID") or request.GET.get("since", ""))
    wants_stream = request.method == "GET" and EVENT_STREAM in request.headers.get("Accept", "")
    response = (open_stream if wants_stream else news)(request, watch, cursor)
    response["Cache-Control"] = "no-store"
    response["Vary"] = "Accept, Cookie"
    return response


def refusal(status: int, message: str) -> HttpResponse:
    return json_response({"error": {"message": message}}, status=status)


def watch_in(request: HttpRequest) -> Watch | None:
    """What an address asks to watch; None when that is nothing, too much, or no ids."""
    found = [set(map(uuid_in, request.GET.getlist(name))) for name in ("run", "experiment")]
    if None in set.union(*found) or not 1 <= sum(map(len, found)) <= MOST_WATCHED:
        return None
    return Watch(*map(frozenset, found))


def news(request: HttpRequest, watch: Watch, cursor: Cursor) -> HttpResponse:
    """What a stream would have told meanwhile, as one JSON document."""
    events = []
    for change in live.changes_since(cursor, watch, live.look(watch, cursor)):
        events.append({"event": change.event, "data": change.data})
        cursor = change.cursor
    if live.has_ended(cursor, watch):
        events.append({"event": "end", "data": {"reason": "ended"}})
    if not events:
        return HttpResponse(status=204)
    return json_response({"since": live.token_of(cursor), "events": events})


def open_stream(request: HttpRequest, watch: Watch, cursor: Cursor) -> HttpResponse:
    """A stream that goes on until it has nothing more to tell or the reader leaves; 503 when
    every thread that may hold one does."""
    is_async = isinstance(request, ASGIRequest)
    if not is_async and not places.take():
        response = refusal(503, "Every stream of this server is taken. Ask again, with `since`.")
        response["Retry-After"] = RETRY_AFTER_SECONDS
        return response
    told = Stream(watch, cursor, partial(why_not, request.session.session_key, watch))
    if is_async:
        content = AsyncStream(told)
    else:
        content = ThreadedStream(told, request.environ.get("gunicorn.socket"), places.give_back)
    response = StreamingHttpResponse(content, content_type=EVENT_STREAM)
    response["X-Accel-Buffering"] = "no"
    return response


def why_not(session_key: str, watch: Watch) -> str | None:
    """Why the reader of an open stream may watch this no more; None when that is still so.
    Everything is asked anew: the session, the person's account and what they may see."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated:
        return "signed-out"
    return "forbidden" if access.hides_any(user, watch.runs, watch.experiments) else None

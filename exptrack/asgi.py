"""The ASGI application: the push stream and nothing else, for a small process of its own.

`gunicorn --config deploy/live.conf.py` serves it; a proxy sends /live/ there.
"""

import os
from collections.abc import Awaitable, Callable

import django
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exptrack.settings")

SERVED = ("/live/", "/health/live/", "/health/ready/")


class Handler(ASGIHandler):
    """Does everything but send in one thread, whatever request it is for. Django would give each
    request a thread, and with it a connection to the database, for as long as its stream is open.
    """

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] not in SERVED:
            await answer(send, 404)
        elif has_body(scope):  # Django would keep it whole, however long it is
            await answer(send, 413)
        else:
            # Django would look up whatever charset it names, and some are none.
            headers = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
            await self.handle(scope | {"headers": headers}, receive, send)


def has_body(scope: dict) -> bool:
    """Whether a request says that it brings one."""
    headers = dict(scope["headers"])
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def answer(send: Callable[[dict], Awaitable], status: int) -> None:
    """Answer without a body."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


django.setup(set_prefix=False)
application = Handler()

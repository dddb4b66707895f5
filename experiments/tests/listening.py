"""A reader of /live/: a stream's events one by one, over a real connection."""

from __future__ import annotations

import json
import socket
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.test import Client

from accounts.models import User
from exptrack.tests.waiting import PATIENCE


@dataclass
class Event:
    """One event of a stream."""

    event: str
    data: dict
    id: str | None


def session_of(user: User) -> str:
    """The session key of a person who has just signed in."""
    visit = Client()
    visit.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return visit.session.session_key


class Listening:
    """An open stream of a server at `url`. `query` as in the address, `since` the id to go on
    from."""

    def __init__(self, url: str, session: str | None, query: str, since: str = "") -> None:
        parsed = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parsed.hostname, parsed.port), timeout=PATIENCE)
        cookie = f"Cookie: {settings.SESSION_COOKIE_NAME}={session}\r\n" if session else ""
        last = f"Last-Event-ID: {since}\r\n" if since else ""
        self.socket.sendall(
            f"GET /live/?{query} HTTP/1.1\r\nHost: {parsed.netloc}\r\n"
            f"Accept: text/event-stream\r\n{cookie}{last}\r\n".encode()
        )
        self.buffer = b""
        head = self.until(b"\r\n\r\n").decode()
        self.status = int(head.split()[1])
        lines = (line.partition(": ") for line in head.split("\r\n")[1:])
        self.headers = {name.lower(): value for name, _, value in lines}
        self.body = b""

    def until(self, end: bytes) -> bytes:
        """What comes up to a mark; ConnectionError when the server closes before it."""
        while end not in self.buffer:
            received = self.socket.recv(65_536)
            if not received:
                raise ConnectionError("The server closed the stream.")
            self.buffer += received
        part, _, self.buffer = self.buffer.partition(end)
        return part

    def blocks(self) -> Iterator[str]:
        """The blocks of the stream as they come; ends with it."""
        while True:
            while b"\n\n" in self.body:
                block, _, self.body = self.body.partition(b"\n\n")
                yield block.decode()
            if not (size := int(self.until(b"\r\n"), 16)):
                return
            while len(self.buffer) < size + 2:
                self.buffer += self.socket.recv(65_536)
            self.body, self.buffer = self.body + self.buffer[:size], self.buffer[size + 2 :]

    def __iter__(self) -> Iterator[Event]:
        for block in self.blocks():
            fields = dict(line.split(": ", 1) for line in block.split("\n") if line[0] != ":")
            if "event" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))

    def next(self, *kinds: str) -> Event:
        """The next event, of these kinds if any are named."""
        return next(event for event in self if not kinds or event.event in kinds)

    def close(self) -> None:
        self.socket.close()

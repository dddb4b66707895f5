"""A wire between the SDK and a real server that loses, delays and replaces on demand."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Wire:
    """Forwards each request to `upstream` and its answer back, unless a fault is due.

    Faults are taken in order by requests whose path ends with `to` ("log/" by default):
    "lose request" (never forwarded), "lose reply" (forwarded, then a reset), a status to answer
    instead of forwarding, ("after", status) to forward and answer that, ("slow", seconds), "hang
    up" (answer, and close the kept connection without a word, as servers do after a while).
    """

    def __init__(self, upstream: str, port: int = 0) -> None:
        self.requests: list[tuple[str, dict, bytes]] = []  # path, headers, body; as they came
        self.faults: deque = deque()
        self.to = "log/"
        self.retry_after: str | None = None
        self.most_bytes: int | None = None  # of a body; larger ones are a 413
        self.plain_body = False  # answer faults in HTML, as a proxy does
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                wire.handle(self)

            do_GET = do_POST = handle_one

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._is_cut = False
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Refuse new connections, and reset a kept one at its next request."""
        self._is_cut = True
        self._server.shutdown()
        self._server.server_close()

    def begin_anew(self, *faults: object) -> None:
        """Forget the requests so far; those that follow meet these faults and no earlier ones."""
        with self._lock:
            self.requests, self.faults = [], deque(faults)

    def sent(self, ending: str = "log/") -> list[tuple[str, dict, bytes]]:
        """The requests so far to paths that end so."""
        return [request for request in self.requests if request[0].endswith(ending)]

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self._is_cut:
            return self.reset(handler)
        with self._lock:
            self.requests.append((handler.path, dict(handler.headers), body))
            due = handler.path.endswith(self.to) and self.faults
            fault = self.faults.popleft() if due else None
        if self.most_bytes is not None and len(body) > self.most_bytes:
            fault = 413
        if isinstance(fault, int):
            return self.answer(handler, fault, self.fault_body(fault))
        if fault == "lose request":
            return self.reset(handler)
        if isinstance(fault, tuple) and fault[0] == "slow":
            time.sleep(fault[1])
        status, answer = self.forward(handler, body)
        if fault == "lose reply":
            return self.reset(handler)
        if isinstance(fault, tuple) and fault[0] == "after":
            status, answer = fault[1], self.fault_body(fault[1])
        self.answer(handler, status, answer)
        handler.close_connection = handler.close_connection or fault == "hang up"
        return None

    def fault_body(self, status: int) -> bytes:
        if self.plain_body:
            return b"<html>no</html>"
        return json.dumps({"error": {"code": "fault", "message": f"Fault {status}."}}).encode()

    def forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        upstream = http.client.HTTPConnection(
            self._upstream.hostname, self._upstream.port, timeout=60
        )
        try:
            headers = {**dict(handler.headers), "Connection": "close"}
            upstream.request(handler.command, handler.path, body, headers)
            response = upstream.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 502, b"<html>bad gateway</html>"
        finally:
            upstream.close()

    def answer(self, handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        if self.retry_after and status in (429, 503):
            handler.send_header("Retry-After", self.retry_after)
        handler.end_headers()
        handler.wfile.write(body)

    def reset(self, handler: BaseHTTPRequestHandler) -> None:
        """Close so that the other side sees a reset, not an end."""
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.close_connection = True
        handler.rfile.close()
        handler.connection.close()

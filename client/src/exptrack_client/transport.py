"""One kept-open HTTP connection to the server, what its answers mean, and how long to wait
between attempts."""

from __future__ import annotations

import http.client
import json
import platform
import random
import socket
import ssl
import zlib
from email.utils import parsedate_to_datetime
from time import time
from typing import NamedTuple
from urllib.parse import urlsplit

VERSION = "0.1.0"  # of this package

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
LONGEST_ANSWER = 16 * 1024 * 1024
GZIP_ABOVE = 1024
# Level 1 packs points nearly as well as 6 in a third of the time.
GZIP_LEVEL = 1

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_RETRY_AFTER = 300.0

TIMEOUTS = (TimeoutError, socket.timeout)  # apart until Python 3.10


class Unreachable(Exception):
    """No answer came: whether the request was carried out is unknown."""


class Answer(NamedTuple):
    """What the server said. `body` is {} when it was no JSON object."""

    status: int
    body: dict
    is_json: bool
    headers: object

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def error(self) -> dict:
        """The API's error object, or {}."""
        error = self.body.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def details(self) -> dict:
        details = self.error.get("details")
        return details if isinstance(details, dict) else {}

    @property
    def sentence(self) -> str:
        """Why the server refused, for a person."""
        text = str(self.error.get("message") or f"the answer was {self.status}")
        for field, faults in list(self.details.items())[:3]:
            if isinstance(faults, list) and faults:
                text += f" {field}: {faults[0]}"
        return text[:500]

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, if it does."""
        asked = self.headers.get("Retry-After")
        if not asked:
            return None
        try:
            seconds = float(asked)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(asked).timestamp() - time()
            except (TypeError, ValueError):
                return None
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


class Transport:
    """Requests to one server, one at a time, over one connection while it lasts."""

    def __init__(self, url: str, token: str) -> None:
        self.base = base_url(url)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("the token holds characters that no token has")
        parts = urlsplit(self.base)
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {token}",
            "User-Agent": f"exptrack-client/{VERSION} Python/{platform.python_version()}",
        }
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send one request and read its answer; Unreachable when none came.

        A kept connection that the server closed meanwhile is replaced at once: every request of
        ours may be repeated.
        """
        for is_last_try in (False, True):
            kept = self._connection is not None
            try:
                return self._exchange(method, path, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                if is_last_try or not kept or isinstance(error, TIMEOUTS):
                    raise Unreachable(reason(error)) from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except OSError:
                pass

    def _exchange(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = self._headers
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
            if is_gzipped(body):
                headers["Content-Encoding"] = "gzip"
        connection = self._connection or self._connect()
        connection.request(method, f"{self._prefix}/api/v1/{path}", body, headers)
        response = connection.getresponse()
        data = response.read(LONGEST_ANSWER)
        if response.read(1) or response.will_close:
            self.close()  # it goes on and on, or ends here
        try:
            parsed = json.loads(data)
        except ValueError:
            parsed = None
        is_json = isinstance(parsed, dict)
        return Answer(response.status, parsed if is_json else {}, is_json, response.headers)

    def _connect(self) -> http.client.HTTPConnection:
        if self._context is not None:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=CONNECT_SECONDS, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        self._connection = connection
        return connection


class Later(Exception):
    """Not now: no answer, or one that asks to come again, after `wait` seconds if it says so."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class NotLetIn(Exception):
    """The server answers, but not to us: a dead token, a run gone, an address of something else.
    What is logged stays spooled in case that changes."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Exchange:
    """Requests over one connection, with answers judged alike wherever they are made. A context
    manager that closes the connection; the next request opens another."""

    def __init__(self, transport: Transport) -> None:
        self.base = transport.base
        self._transport = transport

    def call(self, method: str, path: str, body: dict | None = None) -> Answer:
        """The answer to one request: ok, or a refusal of just this request."""
        return self.send(method, path, None if body is None else packed(json.dumps(body)))

    def send(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """The answer, when it is one to this request; else Later or NotLetIn."""
        try:
            answer = self._transport.request(method, path, body)
        except Unreachable as error:
            raise Later(f"{self.base} cannot be reached: {error}") from error
        status = answer.status
        if status in (408, 425, 429) or status >= 500:
            raise Later(f"{self.base}: {answer.sentence}", answer.retry_after)
        if status == 404 and answer.sentence.startswith("There is nothing at"):
            raise NotLetIn(f"{self.base} is older than this client. {answer.sentence}", status)
        if status == 401 and answer.error:
            raise NotLetIn(f"{answer.sentence} Make another at {self.base}/account/.", status)
        if status in (403, 404) and answer.error:
            raise NotLetIn(answer.sentence, status)
        if not answer.is_json or not (answer.ok or answer.error):
            if status == 413:  # a proxy in front says it in its own words
                return answer
            raise NotLetIn(
                f"{self.base} does not answer like ExpTrack (status {status}"
                + (f", it points to {answer.headers.get('Location')}" if status // 100 == 3 else "")
                + "). Is EXPTRACK_URL right?"
            )
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Backoff:
    """How long to wait after each failure in a row: doubling, with jitter, up to half a minute."""

    def __init__(self) -> None:
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next_wait(self, asked: float | None, longest: float | None = None) -> float:
        """Seconds until the next attempt; at least what the server asked for."""
        longest = LONGEST_WAIT if longest is None else longest
        wait = min(FIRST_WAIT * 2 ** min(self.failures, 10), longest) * random.uniform(0.5, 1)
        self.failures += 1
        return wait if asked is None else max(wait, asked * random.uniform(1, 1.1))


def base_url(url: str) -> str:
    """The server's address without the slash, query or API path that was pasted with it;
    ValueError with a sentence when it is none."""
    url = str(url).strip()
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address. It begins with http:// or https://")
    if parts.username is not None:
        raise ValueError("the address holds a user name; the token goes into EXPTRACK_TOKEN")
    _ = parts.port  # ValueError when it is no number
    path = parts.path.rstrip("/")
    for ending in ("/api/v1", "/api"):
        if path.endswith(ending):
            path = path[: -len(ending)]
    return f"{parts.scheme}://{parts.netloc}{path}"


def packed(text: str) -> bytes:
    """A body's bytes, gzipped when that pays. Equal texts give equal bytes: there is no time
    inside, so a batch can be repeated to the byte."""
    data = text.encode()
    if len(data) <= GZIP_ABOVE:
        return data
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    return deflate.compress(data) + deflate.flush()


def is_gzipped(body: bytes) -> bool:
    """Whether `packed` gzipped it; JSON never begins so."""
    return body[:2] == b"\x1f\x8b"


def unpacked(body: bytes) -> str:
    """The text that `packed` was given."""
    return (zlib.decompress(body, wbits=31) if is_gzipped(body) else body).decode()


def unpacked_size(body: bytes) -> int:
    """Bytes of that text; gzip writes them at its end."""
    return int.from_bytes(body[-4:], "little") if is_gzipped(body) else len(body)


def reason(error: BaseException) -> str:
    """Why a connection failed, in a few words."""
    if isinstance(error, TIMEOUTS):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = error.verify_message.rstrip(".")
        return f"its certificate is not trusted: {cause}. SSL_CERT_FILE can name more to trust"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "it speaks no HTTPS; http:// may be right"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""One request and what its answer means: done, refused, not now, or not for us."""

from __future__ import annotations

import json

from exptrack_client.transport import Answer, Transport, Unreachable, packed


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
    """Requests over one connection, with answers judged alike wherever they are made."""

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
        if status in (401, 403, 404) and answer.error:
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

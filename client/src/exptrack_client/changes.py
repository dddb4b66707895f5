"""Params and tags on their way. They travel in requests of their own, apart from the points."""

from __future__ import annotations

import json
import threading

NAMES_A_REQUEST = 500
BYTES_A_REQUEST = 1024 * 1024


class Changes:
    """Params and tags that wait to be recorded. A tag set again meanwhile is sent once."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, object]] = {"params": {}, "tags": {}}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def add(self, kind: str, values: dict[str, object]) -> None:
        """Queue values; `kind` is "params" or "tags"."""
        with self._lock:
            self._waiting[kind].update(values)

    def take(self) -> tuple[str, dict[str, object]] | None:
        """The next request's kind and values, no longer queued; None when there is none."""
        with self._lock:
            for kind, waiting in self._waiting.items():
                if waiting:
                    return kind, self._some(waiting)
        return None

    @staticmethod
    def _some(waiting: dict[str, object]) -> dict[str, object]:
        """Remove and return the first values that fit into one request."""
        taken: dict[str, object] = {}
        size = 0
        for name in list(waiting)[:NAMES_A_REQUEST]:
            size += len(json.dumps(waiting[name]))
            if taken and size > BYTES_A_REQUEST:
                break
            taken[name] = waiting.pop(name)
        return taken

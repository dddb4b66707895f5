"""Word of each change, carried by Redis from the process that wrote to those that stream.

Without REDIS_URL, and while Redis is away, nothing is sent and the streams look twice a second.
Only that something changed is said, never what: the truth is in the database.
"""

from __future__ import annotations

import time
import uuid
from functools import cache, partial

import structlog
from django.conf import settings
from django.db import transaction
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 0.2
# After a failure Redis is left alone for a while: of many requests one waits for it.
RETRY_SECONDS = 15


@cache
def redis() -> Redis:
    """The connections of this process; none is made before it is needed."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class Breaker:
    """Keeps a process from asking a Redis that has just failed."""

    def __init__(self) -> None:
        self.closed_until = 0.0

    @property
    def is_open(self) -> bool:
        return bool(settings.REDIS_URL) and time.monotonic() >= self.closed_until

    def note_failure(self, error: Exception) -> None:
        self.closed_until = time.monotonic() + RETRY_SECONDS
        log.warning("redis_unavailable", error=str(error))


breaker = Breaker()


def channel(experiment_id: uuid.UUID) -> str:
    return f"exptrack:experiment:{experiment_id}"


def announce(experiment_id: uuid.UUID) -> None:
    """Say, once this transaction commits, that a run of an experiment has changed."""
    if settings.REDIS_URL:
        transaction.on_commit(partial(publish, experiment_id), robust=True)


def publish(experiment_id: uuid.UUID) -> None:
    """Say so now; nothing happens while Redis is away."""
    if not breaker.is_open:
        return
    try:
        redis().publish(channel(experiment_id), b"")
    except (RedisError, OSError) as error:
        breaker.note_failure(error)


class Listener:
    """Hears what is said of some experiments; deaf while Redis is away."""

    def __init__(self) -> None:
        self.pubsub: PubSub | None = None
        self.channels: set[str] = set()

    def listen_to(self, experiments: set[uuid.UUID]) -> bool:
        """Listen to just these from now on; whether that works."""
        channels = {channel(experiment) for experiment in experiments}
        if not breaker.is_open or not channels:
            return False
        try:
            self.pubsub = self.pubsub or redis().pubsub(ignore_subscribe_messages=True)
            if new := channels - self.channels:
                self.pubsub.subscribe(*new)
            if old := self.channels - channels:
                self.pubsub.unsubscribe(*old)
        except (RedisError, OSError) as error:
            self.fail(error)
            return False
        self.channels = channels
        return True

    def hears_within(self, seconds: float) -> bool:
        """Wait until something is said, but no longer than this; whether it was, or can no longer
        be heard."""
        until = time.monotonic() + seconds
        try:
            while (left := until - time.monotonic()) > 0:
                if self.pubsub.get_message(timeout=left):
                    return True
        except (RedisError, OSError) as error:
            self.fail(error)
            return True
        return False

    def drain(self) -> None:
        """Forget what was said until now."""
        while self.pubsub and self.hears_within(0.001):
            pass

    def fail(self, error: Exception) -> None:
        breaker.note_failure(error)
        self.close()

    def close(self) -> None:
        """Listen to nothing any more."""
        pubsub, self.pubsub, self.channels = self.pubsub, None, set()
        if pubsub is not None:
            pubsub.close()

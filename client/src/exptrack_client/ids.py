"""Ids made here, so that creating a thing can be repeated without making it twice, and the ids
that the processes of one launch share."""

from __future__ import annotations

import itertools
import os
import time
import uuid

RANKS = uuid.UUID("5f3a1c52-9f0e-4c43-9d4f-6a0d1c1f7e55")  # of ours, so that ids are no one else's
count = itertools.count()


def uuid7() -> uuid.UUID:
    """A UUID of version 7: 48 bits of milliseconds, then 74 random bits. Sorts by time."""
    milliseconds = time.time_ns() // 1_000_000
    # os.urandom and not random: a forked child must not repeat its parent's ids.
    chance = int.from_bytes(os.urandom(10), "big")
    high, low = (chance >> 68) & 0xFFF, chance & 0x3FFF_FFFF_FFFF_FFFF
    number = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    return uuid.UUID(int=number | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def shared_id() -> tuple[str | None, bool]:
    """The id of the run this process is to join, if its launcher names one, and whether it goes
    on with it after a restart.

    EXPTRACK_RUN_ID, a UUID or any text, names the run that the first `init` of each process means.
    `torchrun --standalone` names each launch by a UUID of its own, so that its ranks find each
    other without; other rendezvous ids are chosen by people, who use them again.
    """
    nth = next(count)
    counts = (os.environ.get(f"{by}_RESTART_COUNT") for by in ("TORCHELASTIC", "SLURM"))
    restarted = any(number not in (None, "", "0") for number in counts)
    given = os.environ.get("EXPTRACK_RUN_ID")
    if given and nth == 0:
        return as_uuid(given), restarted
    launch = os.environ.get("TORCHELASTIC_RUN_ID", "")
    if os.environ.get("WORLD_SIZE", "1") != "1" and is_uuid(launch):
        return str(uuid.uuid5(RANKS, f"{launch}/{nth}")), restarted
    return None, False


def as_uuid(text: str) -> str:
    """A UUID as it is, and one that follows from any other text."""
    return str(uuid.UUID(text)) if is_uuid(text) else str(uuid.uuid5(RANKS, text))


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True

"""Ids made on this machine, so that creating a thing can be repeated without making it twice."""

from __future__ import annotations

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """A UUID of version 7: 48 bits of milliseconds, then 74 random bits. Sorts by time."""
    milliseconds = time.time_ns() // 1_000_000
    # os.urandom and not random: a forked child must not repeat its parent's ids.
    chance = int.from_bytes(os.urandom(10), "big")
    high, low = (chance >> 68) & 0xFFF, chance & 0x3FFF_FFFF_FFFF_FFFF
    number = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    return uuid.UUID(int=number | 0x7 << 76 | high << 64 | 0b10 << 62 | low)

"""JSON as it travels, from the API and from the addresses beside the pages: numbers that are not
finite go as the strings "NaN", "Infinity" and "-Infinity"."""

from __future__ import annotations

import math
import uuid

import msgspec

NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encoded(data: object) -> bytes:
    """UTF-8 JSON of plain values, datetimes and UUIDs."""
    return msgspec.json.encode(tokens(data), enc_hook=str)


def tokens(value: object) -> object:
    """`value` with "NaN", "Infinity" and "-Infinity" in place of such floats; msgspec would
    write null and lose which one it was."""
    if isinstance(value, float):
        return value if math.isfinite(value) else token(value)
    if isinstance(value, dict):
        return {str(key) if isinstance(key, uuid.UUID) else key: tokens(item)
                for key, item in value.items()}  # fmt: skip
    if isinstance(value, list | tuple):
        return [tokens(item) for item in value]
    return value


def token(number: float) -> str:
    """The string by which a number that is not finite travels."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"

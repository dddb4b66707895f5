"""What runs, metrics, params and tags are called, and how values travel."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import sys
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace

NAME_LENGTH = 250
VALUE_BYTES = 64 * 1024
DEEPEST = 16
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

ALLOWED = re.compile(r"[\w\-./:]([\w\-./: ]*[\w\-./:])?")
NOT_ALLOWED = re.compile(r"[^\w\-./: ]")
NAME_RULE = "letters, digits, _ - . / : and spaces"


def is_allowed(name: str) -> bool:
    """Whether the server takes a name as it is."""
    return (
        len(name) <= NAME_LENGTH
        and ALLOWED.fullmatch(name) is not None
        and unicodedata.is_normalized("NFC", name)
    )


def mended(name: str) -> str:
    """The nearest allowed name: `acc@5` is `acc_5`."""
    text = NOT_ALLOWED.sub("_", unicodedata.normalize("NFC", name))
    return text.strip(" ")[:NAME_LENGTH].rstrip(" ") or "_"


class NameBook:
    """The allowed name for each name that was used; two never share one."""

    def __init__(self) -> None:
        self._allowed: dict[object, str] = {}
        self._taken: set[str] = set()

    def allowed(self, name: object) -> str:
        """The name under which `name` is sent, always the same one."""
        if name not in self._allowed:
            text = str(name)
            self._allowed[name] = self._free(text if is_allowed(text) else mended(text))
            self._taken.add(self._allowed[name])
        return self._allowed[name]

    def _free(self, text: str) -> str:
        number, free = 1, text
        while free in self._taken:
            number += 1
            ending = f"_{number}"
            free = text[: NAME_LENGTH - len(ending)] + ending
        return free


def named_values(values: object) -> Mapping:
    """What holds values by name, as a mapping: itself, or the attributes of any object."""
    inner = inner_values(values)
    return vars(values) if inner is None else inner


def inner_values(value: object) -> Mapping | None:
    """What holds values by name also where it is a value itself: a mapping, a dataclass, a
    namespace. None for everything else."""
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):  # one with slots has no `vars`
        names = [field.name for field in fields(value) if hasattr(value, field.name)]
        return {name: getattr(value, name) for name in names}
    argparse = sys.modules.get("argparse")  # whoever has a Namespace of it has imported it
    kinds = (SimpleNamespace, argparse.Namespace) if argparse else SimpleNamespace
    return vars(value) if isinstance(value, kinds) else None


def flattened(values: Mapping, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Nested values as names with slashes: {"a": {"b": 1}} gives ("a/b", 1)."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        inner = inner_values(value) if depth < DEEPEST else None
        if inner:
            yield from flattened(inner, f"{name}/", depth + 1)
        else:
            yield name, value


def printed(value: object, by: Callable[[object], str] = str) -> str:
    """`str(value)` or `repr(value)`, whatever an object of somebody else's makes of that."""
    try:
        return by(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be printed>"


def sendable_text(value: object) -> str:
    """`str(value)` without what no database holds: NUL and lone surrogates."""
    return printed(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def sendable_value(value: object) -> object:
    """A param's value as JSON, or as text where asking for it fails, as it does of a tensor that
    holds no data."""
    try:
        return plain_value(value)
    except Exception:
        return sendable_text(value)


def plain_value(value: object) -> object:
    """Simple values and lists of them as they are, numbers that JSON lacks and all other objects
    as text."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a numpy scalar, or a tensor without dimensions
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if INT64_MIN <= value <= INT64_MAX else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else number_text(value)
    simple = (bool, int, float, str, type(None))
    if isinstance(value, (list, tuple)) and all(isinstance(item, simple) for item in value):
        return [plain_value(item) for item in value]
    return sendable_text(value)


def number_text(value: float) -> str:
    """What the API calls a number that is not finite."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def shortened(value: object) -> object:
    """`value`, or as much of its text as the server takes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) * 4 <= VALUE_BYTES or len(text.encode()) <= VALUE_BYTES:
        return value
    return text.encode()[: VALUE_BYTES - 3].decode(errors="ignore") + "…"


# --- Ids -------------------------------------------------------------------------------------

RANKS = uuid.UUID("5f3a1c52-9f0e-4c43-9d4f-6a0d1c1f7e55")  # of ours, so that ids are no one else's
inits = itertools.count()


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

    EXPTRACK_RUN_ID, a UUID or any text, names the run of each process's first `init`. Of torchrun's
    ids only UUIDs, as of `--standalone`, tell one launch: others are chosen by people, and again.
    """
    nth = next(inits)
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

"""What metrics, params and tags may be called, and how values travel. Pure."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping

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


def flattened(values: Mapping, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Nested mappings as names with slashes: {"a": {"b": 1}} gives ("a/b", 1)."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < DEEPEST:
            yield from flattened(value, f"{name}/", depth + 1)
        else:
            yield name, value


def sendable_text(value: object) -> str:
    """`str(value)` without what no database holds: NUL and lone surrogates."""
    return str(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def sendable_value(value: object) -> object:
    """A param's value as JSON: simple values and lists of them as they are, numbers that JSON
    lacks and all other objects as text."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a numpy scalar, or a tensor without dimensions
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if INT64_MIN <= value <= INT64_MAX else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else number_text(value)
    if isinstance(value, (list, tuple)):
        return sendable_list(value)
    return sendable_text(value)


def sendable_list(values: list | tuple) -> object:
    """A list of simple values, or the text of any other."""
    simple = all(item is None or isinstance(item, (bool, int, float, str)) for item in values)
    return [sendable_value(item) for item in values] if simple else sendable_text(values)


def number_text(value: float) -> str:
    """What the API calls a number that is not finite."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def shortened(value: object) -> object:
    """`value`, or as much of its text as the server takes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) * 4 <= VALUE_BYTES or len(text.encode()) <= VALUE_BYTES:
        return value
    return text.encode()[: VALUE_BYTES - 3].decode(errors="ignore") + "…"

"""What names and params are made of: pure rules, the same for every door."""

from __future__ import annotations

import json
import math
import random
import re
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
NAME_LENGTH = 250
PARAM_BYTES = 64 * 1024
TEXT_HEAD_LENGTH = 200
LONG_TEXT, SHORT_TEXT = 1024 * 1024, 64 * 1024  # notes and errors; the text of a tag
# Lists show a thousand experiments at once, with these whole.
MAX_DESCRIPTION = 64 * 1024
MAX_EXPERIMENT_TAGS, MAX_EXPERIMENT_TAG = 100, 1_000

# Letters and digits of any script, and _ - . / : space, not at the ends.
FIELD_NAME = re.compile(r"[\w\-./:]([\w\-./: ]*[\w\-./:])?")
UUID_FORM = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.I)
# Direction overrides can make one name look like another.
BIDI_CONTROLS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What nobody sees makes two names look the same. Joiners and variation selectors are part of emoji
# and of some scripts, but change nothing beside a Latin letter, a digit, or the end.
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028\u2029\u2060-\u206f\u3164"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
    "|(?:^|[\0-\u024f\u200c\u200d])[\u200c\u200d\ufe00-\ufe0f]|[\u200c\u200d](?=[\0-\u024f]|$)"
)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # NUL and lone surrogates
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Below this a float with no fraction is written as the integer it equals.
INTEGER_LIMIT = 2.0**63


class InvalidValue(ValueError):
    """A name or value that cannot be stored; the message tells the person why."""


@dataclass(frozen=True, slots=True)
class ParamValue:
    """One param as it is stored; two are equal when `kind` and `text` are."""

    value: object
    kind: str
    text: str
    number: float | None

    @property
    def text_head(self) -> str:
        return self.text[:TEXT_HEAD_LENGTH]

    def equals(self, kind: str, text: str) -> bool:
        return self.kind == kind and self.text == text


def field_name(text: str) -> str:
    """A metric's, param's or tag's name in NFC, or InvalidValue."""
    if text.isascii() and len(text) <= NAME_LENGTH and FIELD_NAME.fullmatch(text):
        return text
    name = unicodedata.normalize("NFC", text)
    if not name:
        raise InvalidValue("A name cannot be empty.")
    if len(name) > NAME_LENGTH:
        raise InvalidValue(f"A name has at most {NAME_LENGTH} characters, this has {len(name)}.")
    if not FIELD_NAME.fullmatch(name):
        raise InvalidValue(
            "A name is made of letters, digits, _ - . / : and spaces, with no space at its ends."
        )
    return name


def title(text: str) -> str:
    """A run's or experiment's name: any printable text in NFC, spaces at its ends cut off."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise InvalidValue("A name cannot be empty.")
    if len(name) > NAME_LENGTH:
        raise InvalidValue(f"A name has at most {NAME_LENGTH} characters, this has {len(name)}.")
    return printable(name, "A name")


def printable(text: str, what: str) -> str:
    """`text` itself, unless it holds control characters or direction overrides."""
    if any(char in BIDI_CONTROLS or unicodedata.category(char) == "Cc" for char in text):
        raise InvalidValue(f"{what} cannot hold control characters or direction overrides.")
    return text


def storable(text: str) -> str:
    """`text` itself, unless it holds what one of the databases cannot keep."""
    if UNSTORABLE.search(text):
        raise InvalidValue("Text cannot hold the character NUL, nor half a character (\\ud800).")
    return text


def experiment_title(text: str) -> str:
    """An experiment's name: a title that is not shaped like an id, which would always be taken
    for one, and in which everything is to be seen: what looks the same is the same."""
    name = title(text)
    if UNSEEN.search(name):
        raise InvalidValue("An experiment's name cannot hold characters that nobody sees.")
    if uuid_in(name) is not None:
        raise InvalidValue("A name cannot have the form of a UUID: that is taken for an id.")
    return name


def uuid_in(text: str) -> uuid.UUID | None:
    """The UUID a text is shaped like, in the form with hyphens or without, or None. (The type's
    own constructor takes braces, underscores and `urn:` too.)"""
    return uuid.UUID(text) if UUID_FORM.fullmatch(text) else None


def moment_in(text: str) -> datetime | None:
    """The aware moment a text means, or None."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and timezone.is_aware(moment) else None


def param_value(value: object) -> ParamValue:
    """The stored form of a param's JSON value, or InvalidValue when it is too long."""
    kind = kind_of(value)
    text = canonical_text(value)
    if len(text) * 4 > PARAM_BYTES and len(text.encode()) > PARAM_BYTES:
        raise InvalidValue(f"A value has at most {PARAM_BYTES // 1024} KiB.")
    number = None
    if kind == "number" or kind == "text":
        number = number_in(text)
    return ParamValue(value, kind, text, number)


def kind_of(value: object) -> str:
    """The JSON kind, with true and 1 apart (in Python they are equal)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def canonical_text(value: object) -> str:
    """One text for all equal values: 1 and 1.0 give "1", keys of objects are sorted."""
    if isinstance(value, str):
        return value
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: object) -> object:
    """`value` with every float that is a whole number written as that number."""
    if isinstance(value, float) and value.is_integer() and abs(value) < INTEGER_LIMIT:
        return int(value)
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    return value


def number_in(text: str) -> float | None:
    """The finite number `text` reads as, or None."""
    if not DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


ADJECTIVES = (
    "amber bold brisk calm clear cosmic crisp daring deep eager early fair fleet fresh gentle "
    "glad golden grand happy hidden honest jolly keen kind lively lucid lucky mellow merry mild "
    "misty modest neat nimble noble patient placid plain polar proud quick quiet rapid ready "
    "royal rustic serene sharp silent silver sleek smooth snowy solar steady still sunny swift "
    "tidy vivid warm wise witty"
).split()
NOUNS = (
    "acorn aspen badger birch bison brook canyon cedar cloud comet coral crane delta dune eagle "
    "ember falcon fern finch fjord forest fox glacier grove harbor hare hawk hazel heron hill "
    "island ivy juniper lagoon lake lark lily lynx maple marsh meadow moon moss oak ocean orca "
    "osprey otter owl pebble pine planet prairie raven reef ridge river robin sparrow spruce star "
    "stone thistle tide valley willow wren"
).split()


def readable_name() -> str:
    """A name for a run that was given none, like `calm-otter-417`."""
    return f"{random.choice(ADJECTIVES)}-{random.choice(NOUNS)}-{random.randint(100, 999)}"

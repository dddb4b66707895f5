"""How a field of a run is named in text: `metrics.loss.min`, ``params.`my lr` ``, `duration`.

Pure. Used alike by orderings, the columns of the runs table, `fields=` and the filter language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from experiments.values import InvalidValue, field_name

AGGREGATES = ("last", "min", "max", "mean", "count", "first_step", "last_step")
# What may be asked of a run itself, by the short name and the name of the column.
ATTRIBUTES = {
    "id": "id",
    "name": "name",
    "status": "status",
    "owner": "owner",
    "experiment": "experiment",
    "created": "created",
    "created_at": "created",
    "started": "started",
    "started_at": "started",
    "ended": "ended",
    "ended_at": "ended",
    "duration": "duration",
    "last_seen": "last_seen",
    "last_seen_at": "last_seen",
    "parent": "parent",
    "revision": "revision",
}
NOT_ORDERED = ("id", "last_seen", "parent", "revision")
QUOTED = re.compile(r"(metrics|params|tags)\.(?:`([^`]+)`|\"([^\"]+)\")(?:\.(\w+))?")
PLAIN = re.compile(r"(metrics|params|tags)\.([\w\-/.: ]+)")
NEEDS_NO_QUOTES = re.compile(r"[\w\-/.]+")


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to show, sort or compare: an attribute of the run, or a param, tag or metric
    by name; a metric with the aggregate that is meant."""

    kind: str  # attribute, param, tag or metric
    name: str
    aggregate: str = ""

    def __str__(self) -> str:
        if self.kind == "attribute":
            return self.name
        suffix = f".{self.aggregate}" if self.kind == "metric" and self.aggregate != "last" else ""
        plain = NEEDS_NO_QUOTES.fullmatch(self.name) and not ends_like_aggregate(self)
        name = self.name if plain else f"`{self.name}`"
        return f"{self.kind}s.{name}{suffix}"

    @property
    def label(self) -> str:
        """What a table's head says."""
        shown = self.name.capitalize() if self.kind == "attribute" else self.name
        return f"{shown} ({self.aggregate})" if self.aggregate not in ("", "last") else shown


def ends_like_aggregate(field: Field) -> bool:
    """Whether a bare metric name would be cut at its last dot."""
    return field.kind == "metric" and field.name.rpartition(".")[2] in AGGREGATES


def parse_field(text: str) -> Field:
    """The field a text names, or InvalidValue that says what would be one."""
    if text in ATTRIBUTES:
        return Field("attribute", ATTRIBUTES[text])
    if match := QUOTED.fullmatch(text):
        room, ticked, quoted, aggregate = match.groups()
        name = ticked or quoted
    elif match := PLAIN.fullmatch(text):
        room, name = match.groups()
        aggregate = None
        head, _, last = name.rpartition(".")
        if room == "metrics" and head and last in AGGREGATES:
            name, aggregate = head, last
    else:
        is_name = "." not in text and PLAIN.fullmatch(f"metrics.{text}")
        hint = f"Did you mean metrics.{text} or params.{text}? " if is_name else ""
        raise InvalidValue(
            f"{text!r} is no field. {hint}"
            f"Fields are {', '.join(sorted(set(ATTRIBUTES.values())))}, "
            "params.<name>, tags.<name> and metrics.<name> with .last, .min, .max, .mean, "
            ".count, .first_step or .last_step."
        )
    if aggregate is not None and (room != "metrics" or aggregate not in AGGREGATES):
        raise InvalidValue(f".{aggregate} is not one of {', '.join(AGGREGATES)}.")
    kind = room[:-1]
    return Field(kind, field_name(name), (aggregate or "last") if kind == "metric" else "")


@dataclass(frozen=True, slots=True)
class Ordering:
    """A field and a direction, written with a leading `-` when it goes down."""

    field: Field
    descending: bool

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.field}"


def parse_ordering(text: str) -> Ordering:
    """The ordering a text means, or InvalidValue."""
    field = parse_field(text.removeprefix("-"))
    if field.kind == "tag" or (field.kind == "attribute" and field.name in NOT_ORDERED):
        raise InvalidValue(f"Runs cannot be ordered by {text.removeprefix('-')!r}.")
    return Ordering(field, text.startswith("-"))

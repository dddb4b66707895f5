"""What could come next in a query that is being written, in one experiment.

The grammar says which kind of thing may stand there; the names and values are those that the
experiment's runs have, found by index and few at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from accounts.models import User
from experiments.fields import Field
from experiments.models import Experiment, Run
from experiments.names import names_in, values_in
from experiments.search import NAMES, STATUSES, field_of, syntax
from experiments.syntax import QueryFault
from experiments.values import TEXT_HEAD_LENGTH, number_in

MOST = 20
MOST_OF_A_KIND = 6
ROOMS = {"metrics": "metric", "params": "param", "tags": "tag"}
# What is being written: a field by name, a quoted text, or a word.
FIELD_BEGUN = re.compile(
    r"(metrics?|param(?:eter)?s?|tags?)\.(?:[`\"]([^`\"]*)|([\w\-/.]*))$", re.IGNORECASE
)
QUOTE_BEGUN = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)$""", re.DOTALL)
WORD_BEGUN = re.compile(r"""[^\s()'"`,=<>!~]*$""")
NEEDS_QUOTES = re.compile(r"""[\s()'"`,=<>!~\\]""")
OPERATORS = {
    "=": "equal", "!=": "different", "<": "less", "<=": "at most", ">": "more", ">=": "at least",
    "~": "contains", "!~": "does not contain", "in (": "one of", "not in (": "none of",
    "between": "from … and …", "like": "pattern with %", "is null": "is missing",
    "exists": "is there", "has nan": "anywhere in the series", "has inf": "anywhere in the series",
}  # fmt: skip
ORDERED = ("=", "!=", "<", "<=", ">", ">=", "between", "in (", "not in (")
TEXTS = ("=", "!=", "~", "!~", "in (", "not in (", "like")
OFFERED = {
    "metric": (*ORDERED, "has nan", "has inf", "is null"),
    "param": (*ORDERED, "~", "!~", "like", "is null"),
    "tag": (*TEXTS, "is null"),
    "status": ("=", "!=", "in (", "not in ("),
    "time": ORDERED[:7],
    "text": TEXTS,
}
TIMES = {"-1h": "an hour ago", "-1d": "a day ago", "-7d": "a week ago", "-30d": "a month ago"}
DURATIONS = {"10m": "ten minutes", "1h": "an hour", "1d": "a day"}


@dataclass(frozen=True, slots=True)
class Option:
    """Something to put in: the text, what it is, and that in words where it needs any."""

    text: str
    kind: str  # field, operator, value or word
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What may take the place of the last `replaced` characters."""

    replaced: int
    options: list[Option]


def completion(experiment: Experiment, text: str) -> Completion:
    """What could come at the end of a text. At most 20 options, in at most four statements."""
    if found := FIELD_BEGUN.search(text):
        begun, offer = found[0], lambda: fields_in_room(experiment, found)
    elif (found := QUOTE_BEGUN.search(text)) and not balanced(text):
        begun, offer = found[0], None
    else:
        begun, offer = WORD_BEGUN.search(text)[0], None
    accepted, field = syntax().before(text[: len(text) - len(begun)])
    if "FIELD" in accepted:
        options = offer() if offer else conditions(experiment, begun)
    elif accepted == {"WORD"}:
        options = [Option("nan ", "word"), Option("inf ", "word")]
    elif "STRING" in accepted and (asked := field_named(field)) is not None:
        options = values(experiment, asked, begun.lstrip("\"'"))
    else:
        options = signs(accepted, field_named(field), begun)
    return Completion(len(begun), [each for each in options if each.text != begun][:MOST])


def balanced(text: str) -> bool:
    """Whether every quote that was opened is closed."""
    rest = re.sub(r""""(\\.|[^"\\])*"|'(\\.|[^'\\])*'""", "", text, flags=re.DOTALL)
    return not set(rest) & set("\"'")


def field_named(token: object) -> Field | None:
    """The field of a token that may be none."""
    try:
        return None if token is None else field_of(token)
    except QueryFault:
        return None


def fields_in_room(experiment: Experiment, found: re.Match) -> list[Option]:
    """Names of metrics, params or tags that contain what was begun."""
    room = next(room for room in ROOMS if found[1].lower()[:3] == room[:3])
    return named(experiment, room, found[2] or found[3] or "", MOST)


def named(experiment: Experiment, room: str, text: str, most: int) -> list[Option]:
    """Fields of one room whose names contain a text, those that begin with it first."""
    kind = ROOMS[room]
    names, _ = names_in(experiment.pk, kind, text, most)
    names.sort(key=lambda name: not name.lower().startswith(text.lower()))
    last = "last" if kind == "metric" else ""
    return [Option(f"{Field(kind, name, last)} ", "field", kind) for name in names]


def conditions(experiment: Experiment, begun: str) -> list[Option]:
    """Where a condition may begin: fields of any kind that contain what was begun."""
    word = begun.lower()
    attributes = [Option(f"{name} ", "field", "run") for name in NAMES if name.startswith(word)]
    fields = [each for room in ROOMS for each in named(experiment, room, begun, MOST_OF_A_KIND)]
    rooms = [
        Option(f"{room}.", "field", "by name") for room in ROOMS if word and room.startswith(word)
    ]
    return [*rooms, *attributes, *fields] if word else [*fields, *attributes]


def signs(accepted: set[str], field: Field | None, begun: str) -> list[Option]:
    """Operators behind a field, and what joins conditions."""
    kind = "" if field is None else field.kind if field.kind != "attribute" else field.name
    kind = {"created": "time", "started": "time", "ended": "time", "duration": "time"}.get(
        kind, kind if kind in OFFERED else "text"
    )
    offered = OFFERED[kind] if "COMPARE" in accepted else ()
    options = [
        Option(sign if sign.endswith("(") else f"{sign} ", "operator", OPERATORS[sign])
        for sign in offered
    ]
    if "_NULL" in accepted:
        options += [Option("null ", "word"), Option("not null ", "word")]
    options += [
        Option(f"{word} ", "word") for word in ("and", "or") if f"_{word.upper()}" in accepted
    ]
    return [each for each in options if each.text.startswith(begun.lower())]


def values(experiment: Experiment, field: Field, begun: str) -> list[Option]:
    """Values of a field that contain what was begun."""
    if field.kind == "metric":
        return []
    if field.kind in ("param", "tag"):
        found = values_in(experiment.pk, field.kind, field.name, begun, MOST)
        return [
            Option(f"{literal(text)} ", "value")
            for text in found
            if 0 < len(text) < TEXT_HEAD_LENGTH
        ]
    offered: dict[str, Callable[[], dict[str, str]]] = {
        "status": lambda: dict.fromkeys(list(STATUSES)[:-1], ""),
        "owner": lambda: dict.fromkeys(owners(experiment), ""),
        "duration": lambda: DURATIONS,
        **dict.fromkeys(("created", "started", "ended"), lambda: TIMES),
    }
    found = offered.get(field.name, dict)()
    return [
        Option(f"{literal(text)} ", "value", detail)
        for text, detail in found.items()
        if begun.lower() in text.lower()
    ]


def owners(experiment: Experiment) -> list[str]:
    """Who has runs there."""
    runs = Run.objects.inside(experiment).order_by()
    people = User.objects.filter(pk__in=runs.values("owner")).order_by("username")
    return list(people.values_list("username", flat=True)[:MOST])


def literal(text: str) -> str:
    """A text as a query holds it: as it is where it can be taken for nothing else."""
    plain = not NEEDS_QUOTES.search(text) and syntax().before("name = " + text)[0]
    if number_in(text) is not None or plain:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

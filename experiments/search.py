"""The filter language: text → tree. Pure; `matching` turns the tree into conditions on rows.

    metrics.accuracy > 0.9 and (params.optimizer = "adam" or tags.debug) and not status = running

Words that stand by themselves are looked for in the runs' names. MLflow's filters mean the same
here. Any text is parsed or refused in time linear in its length: the grammar is LALR, its regular
expressions do not backtrack, and length, depth and number of conditions are bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from lark import Token, Transformer, v_args

from experiments.fields import Field, parse_field
from experiments.literals import Ago, Span, duration_in, exact_number, time_in
from experiments.syntax import QueryFault, Syntax, shortened
from experiments.values import InvalidValue, number_in, uuid_in

MAX_DEPTH = 40
MAX_CONDITIONS = 50

# What may be asked of a run itself, by every name it goes by; MLflow's among them.
NAMES = {
    "id": "id run_id",
    "name": "name run_name",
    "status": "status",
    "owner": "owner user_id",
    "experiment": "experiment",
    "notes": "notes",
    "parent": "parent",
    "created": "created created_at",
    "started": "started started_at start_time",
    "ended": "ended ended_at end_time",
    "duration": "duration",
}
ATTRIBUTES = {word: name for name, words in NAMES.items() for word in words.split()}
STATUSES = {
    **{word: word for word in "queued running finished failed killed lost".split()},
    "scheduled": "queued",  # as MLflow calls it
}
ROOMS = {"metric": "metrics", "param": "params", "parameter": "params", "parameters": "params",
         "tag": "tags"}  # fmt: skip

ORDERED = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", "between")
PLAIN = ("=", "!=", "in", "not in")
ANY = (*ORDERED, "~", "!~", "like", "ilike")
NEGATIVE = {"!=": "=", "!~": "~", "not in": "in"}


# --- The tree --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """What a param or tag is compared with: `number` when it reads as one."""

    text: str
    number: float | None
    quoted: bool

    @property
    def is_number(self) -> bool:
        """Whether a number is meant, not a text that happens to be one."""
        return self.number is not None and not self.quoted


Value = Given | int | float | str | UUID | Span | Ago | timedelta


@dataclass(frozen=True, slots=True)
class Compare:
    """A field beside one value, two (`between`) or many (`in`). Metrics go with numbers, params
    and tags with `Given`, times with `Span` or `Ago`, durations with timedeltas, ids with UUIDs,
    the other attributes with texts."""

    field: Field
    operator: str
    values: tuple[Value, ...]
    depth = 0
    size = 1


@dataclass(frozen=True, slots=True)
class Is:
    """That a field is there (`exists`), is `null`, or that its series has a `nan` or `inf`."""

    field: Field
    what: str
    depth = 0
    size = 1


@dataclass(frozen=True, slots=True)
class Word:
    """A text to look for in the names of runs, or a run's id."""

    text: str
    depth = 0
    size = 1


@dataclass(frozen=True, slots=True)
class Not:
    """The complement."""

    part: Node
    depth: int
    size: int


@dataclass(frozen=True, slots=True)
class Join:
    """All of the parts, or any of them. Without parts: everything, or nothing."""

    all: bool
    parts: tuple[Node, ...]
    depth: int
    size: int


Node = Compare | Is | Word | Not | Join
EVERYTHING = Join(True, (), 0, 0)


def parse(text: str) -> Node:
    """The tree of a text, or QueryFault. An empty text means everything."""
    if not text.strip():
        return EVERYTHING
    tree = syntax().tree(text)
    if tree.size > MAX_CONDITIONS:
        raise QueryFault(f"A query has at most {MAX_CONDITIONS} conditions.", 0)
    return tree


# --- From tokens to the tree -----------------------------------------------------------------


def value_of(token: Token) -> str:
    """The text a token stands for: a quoted one without its quotes and backslashes."""
    if token.type == "WORD":
        return str(token)
    return re.sub(r"""\\([\\"'])""", r"\1", token[1:-1])


def field_of(token: Token) -> Field:
    """The field a token names; QueryFault when it is no name."""
    if token.type == "ATTRIBUTE":
        return Field("attribute", ATTRIBUTES[token.lower().rpartition(".")[2]])
    room, _, rest = token.partition(".")
    room = room.lower()
    try:
        return parse_field(f"{ROOMS.get(room, room)}.{rest}")
    except InvalidValue as error:
        raise QueryFault(str(error), token.start_pos, token, ["a field"]) from error


def number_of(token: Token) -> int | float:
    """The number a metric is compared with."""
    number = exact_number(value_of(token))
    if number is None:
        raise InvalidValue(
            f"A metric is compared with a number, and “{shortened(value_of(token))}” is none. "
            "To find those that have logged NaN or infinity, write has nan or has inf."
        )
    return number


def given_of(token: Token) -> Given:
    """What a param or tag is compared with."""
    text = value_of(token)
    return Given(text, number_in(text), token.type == "STRING")


def text_of(token: Token) -> str:
    """A text in NFC, as names are stored."""
    return unicodedata.normalize("NFC", value_of(token))


def id_of(token: Token) -> UUID:
    """The id a text is."""
    found = uuid_in(value_of(token))
    if found is None:
        raise InvalidValue(f"“{shortened(value_of(token))}” is no id.")
    return found


def status_of(token: Token) -> str:
    """One of the statuses, in any case."""
    word = value_of(token).lower()
    if word not in STATUSES:
        known = ", ".join(STATUSES)
        raise InvalidValue(f"There is no status “{shortened(value_of(token))}”. Known are {known}.")
    return STATUSES[word]


# For each kind of field, or attribute: what reads its values, what that is called, and the
# operators it goes with.
KINDS: dict[str, tuple[Callable[[Token], Value], str, tuple[str, ...]]] = {
    "metric": (number_of, "a number", ORDERED),
    "param": (given_of, "a value", ANY),
    "tag": (given_of, "a value", ANY),
    "id": (id_of, "an id", PLAIN),
    "parent": (id_of, "an id", PLAIN),
    "status": (status_of, "a status", PLAIN),
    **dict.fromkeys(("name", "owner", "experiment", "notes"), (text_of, "a text", ANY)),
    **dict.fromkeys(
        ("created", "started", "ended"), (lambda token: time_in(value_of(token)), "a time", ORDERED)
    ),
    "duration": (lambda token: duration_in(value_of(token)), "a duration", ORDERED),
}
OPERATORS = {"==": "=", "<>": "!="}


def compared(field: Token, name: str, operator: Token, values: list[Token]) -> Compare:
    """A comparison, its operator and values checked against what the field is."""
    found = field_of(field)
    read, called, operators = KINDS[found.name if found.kind == "attribute" else found.kind]
    if name not in operators:
        sentence = f"{found} cannot be compared by {name}. It goes with {', '.join(operators)}."
        raise QueryFault(sentence, operator.start_pos, operator, operators)
    return Compare(found, name, tuple(checked(read, called, value) for value in values))


def checked(read: Callable[[Token], Value], called: str, token: Token) -> Value:
    """A value as its field needs it; QueryFault at its place when it is none."""
    try:
        return read(token)
    except InvalidValue as error:
        raise QueryFault(str(error), token.start_pos, token, [called]) from error


def joined(every: bool, parts: tuple[Node, ...]) -> Node:
    """Several parts as one; a single one stays what it is."""
    if len(parts) == 1:
        return parts[0]
    depth = 1 + max(part.depth for part in parts)
    return Join(every, parts, depth, sum(part.size for part in parts))


@v_args(inline=True)
class Builder(Transformer):
    """Makes nodes as the parser goes, so nothing recurses into what was typed."""

    def disjunction(self, *parts: Node) -> Node:
        return joined(False, parts)

    def conjunction(self, *parts: Node) -> Node:
        return joined(True, parts)

    def negation(self, mark: Token, part: Node) -> Node:
        self.check_depth(mark, part)
        return part.part if isinstance(part, Not) else Not(part, part.depth + 1, part.size)

    def group(self, mark: Token, part: Node) -> Node:
        self.check_depth(mark, part)
        return part

    def check_depth(self, mark: Token, part: Node) -> None:
        if part.depth >= MAX_DEPTH:
            sentence = f"A query is at most {MAX_DEPTH} levels deep."
            raise QueryFault(sentence, mark.start_pos, mark)

    def words(self, *tokens: Token) -> Node:
        return joined(True, tuple(Word(text_of(token)) for token in tokens))

    def present(self, field: Token) -> Node:
        return Is(field_of(field), "exists")

    def null(self, field: Token) -> Node:
        return Is(field_of(field), "null")

    def not_null(self, field: Token, mark: Token) -> Node:
        return Not(self.null(field), 1, 1)

    def having(self, field: Token, what: Token) -> Node:
        found, word = field_of(field), what.lower()
        if found.kind != "metric":
            raise QueryFault("Only a metric has nan or inf.", field.start_pos, field)
        if word not in ("nan", "inf"):
            sentence = f"A metric has nan or has inf, not “{shortened(word)}”."
            raise QueryFault(sentence, what.start_pos, what, ["nan", "inf"])
        return Is(found, word)

    def comparison(self, field: Token, *tokens: Token) -> Node:
        values = [token for token in tokens if token.type in ("WORD", "STRING")]
        signs = [token for token in tokens if token.type in ("NOT", "COMPARE", "BETWEEN", "IN")]
        name = " ".join(sign.lower() for sign in signs)
        return compared(field, OPERATORS.get(name, name), signs[0], values)


@cache
def syntax() -> Syntax:
    """The grammar, read once."""
    return Syntax(Builder(), ATTRIBUTES)

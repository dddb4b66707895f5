"""Text into tokens and rules by the grammar in `search.lark`, and what to say of text that it
refuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken

from experiments.values import InvalidValue

MAX_BYTES = 2_048
SHOWN = 40
GRAMMAR = Path(__file__).with_name("search.lark")

# What each token is called to people, in the order in which they are told.
CALLED = {
    "FIELD": "a field",
    "ATTRIBUTE": "a field",
    "COMPARE": "an operator such as = < ~",
    "IN": "in",
    "BETWEEN": "between",
    "_IS": "is null",
    "_EXISTS": "exists",
    "_HAS": "has nan",
    "WORD": "a value",
    "STRING": "a value",
    "NOT": "not",
    "_NULL": "null",
    "_AND": "and",
    "_OR": "or",
    "LPAR": "(",
    "_COMMA": "a comma",
    "_RPAR": ")",
    "$END": "the end",
}
FOLLOW_A_FIELD = ("COMPARE", "IN", "BETWEEN", "_HAS", "_IS", "_EXISTS")
UNFINISHED_FIELD = re.compile(r"(metrics?|param(eter)?s?|tags?)\.", re.IGNORECASE)
Tree = TypeVar("Tree")


class QueryFault(InvalidValue):
    """A text that is no query. `sentence` says what is wrong; `position` is where, counted in
    characters from 0, `found` what stands there, `expected` what could."""

    def __init__(
        self, sentence: str, position: int, found: str = "", expected: Iterable[str] = ()
    ) -> None:
        super().__init__(f"At character {position + 1}: {sentence}")
        self.sentence = sentence
        self.position = position
        self.found = shortened(found)
        self.expected = list(expected)

    def around(self, text: str) -> tuple[str, str, str]:
        """Of the text at fault what stands before the place, at it and behind, cut to what can
        be taken in; a space where it ends too early."""
        start, end = self.position, self.position + max(1, len(self.found))
        before, behind = text[:start], text[end:]
        return (
            before if len(before) <= SHOWN else f"…{before[1 - SHOWN :]}",
            shortened(text[start:end]) or " ",
            shortened(behind),
        )


class Syntax:
    """A grammar with what builds its trees, and every word for an attribute with its name. Keeps
    no state from one text to the next."""

    def __init__(self, builder: Transformer[Token, Tree], attributes: Mapping[str, str]) -> None:
        names = "|".join(sorted(attributes, key=len, reverse=True))
        grammar = GRAMMAR.read_text(encoding="utf-8").replace("{attributes}", names)
        self.attributes = attributes
        self.lark = Lark(grammar, parser="lalr", transformer=builder)

    def tree(self, text: str) -> Tree:
        """What the builder makes of a text, or QueryFault."""
        check_bounds(text)
        try:
            return self.lark.parse(text)
        except UnexpectedCharacters as error:
            raise fault_of_characters(text, error) from error
        except UnexpectedToken as error:
            before = error.token_history[-1] if error.token_history else None
            if before and before.type == "WORD" and error.token.type in FOLLOW_A_FIELD:
                raise self.fault_of_word(before) from error
            raise fault_of_token(text, error) from error

    def before(self, text: str) -> tuple[set[str], Token | None]:
        """What may come behind a text, and the last field in it; nothing may when it is at fault
        already."""
        try:
            check_bounds(text)
            parser = self.lark.parse_interactive(text)
            tokens = list(parser.exhaust_lexer())
        except (QueryFault, UnexpectedCharacters, UnexpectedToken):
            return set(), None
        fields = [token for token in tokens if token.type in ("FIELD", "ATTRIBUTE")]
        return parser.accepts(), fields[-1] if fields else None

    def fault_of_word(self, token: Token) -> QueryFault:
        """What to say of a word that is compared with something: it is no field, or has words to
        look for in front of it."""
        word = shortened(token)
        if word.lower() in self.attributes:
            return QueryFault(
                f"Put and or or before “{word}”: words and conditions are joined by them.",
                token.start_pos,
                word,
                ["and", "or"],
            )
        near = get_close_matches(word.lower(), self.attributes, 1, 0.7)
        hint = near[0] if near else f"params.{word}, metrics.{word} or tags.{word}"
        sentence = f"There is no field “{word}”. Did you mean {hint}?"
        known = [
            *dict.fromkeys(self.attributes.values()),
            "metrics.<name>",
            "params.<name>",
            "tags.<name>",
        ]
        return QueryFault(sentence, token.start_pos, word, known)


def check_bounds(text: str) -> None:
    """QueryFault for what is too long or could be in no database."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryFault("This is no character.", error.start) from error
    if size > MAX_BYTES:
        raise QueryFault(f"A query has at most {MAX_BYTES:,} bytes, this has {size:,}.", 0)
    if "\0" in text:
        raise QueryFault("A query cannot hold the character NUL.", text.index("\0"))


def shortened(text: str) -> str:
    """At most so much of a text as is shown of it."""
    return str(text) if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def called(terminals: Iterable[str]) -> list[str]:
    """What people call these tokens, each once. Where a condition may begin, words are looked
    for in names; elsewhere they are values."""
    found = set(terminals)
    begins = "FIELD" in found
    if begins:
        found -= {"WORD", "STRING"}
    names = list(dict.fromkeys(name for token, name in CALLED.items() if token in found))
    return [*names, "words to look for in names"] if begins else names


def one_of(expected: Sequence[str]) -> str:
    """`a, b or c`. Of many operators the first will do to see what is meant."""
    if expected[0] == CALLED["COMPARE"]:
        operators = {CALLED[token] for token in (*FOLLOW_A_FIELD, "NOT")}
        expected = [expected[0], *(each for each in expected if each not in operators)]
    *most, last = expected
    return f"{', '.join(most)} or {last}" if most else last


def fault_of_characters(text: str, error: UnexpectedCharacters) -> QueryFault:
    """What to say of characters that begin no token."""
    position = error.pos_in_stream
    found = text[position:].split(maxsplit=1)[0]
    if found[0] in "\"'`":
        return QueryFault("This quote is not closed.", position, found, [found[0]])
    if UNFINISHED_FIELD.match(found):
        room = found.partition(".")[0]
        sentence = f"After “{room}.” comes a name, as in {room}.loss."
        return QueryFault(sentence, position, found, ["a name"])
    expected = called(error.allowed)
    sentence = f"Found “{shortened(found)}”, expected {one_of(expected)}."
    return QueryFault(sentence, position, found, expected)


def fault_of_token(text: str, error: UnexpectedToken) -> QueryFault:
    """What to say of a token that has no place where it stands."""
    token, accepted = error.token, error.accepts or error.expected
    expected = called(accepted)
    if token.type == "_RPAR" and "_RPAR" not in accepted and expected == ["the end"]:
        return QueryFault("This parenthesis was never opened.", token.start_pos, token, expected)
    if token.type == "$END":
        sentence = f"The query ends where {one_of(expected)} was expected."
        return QueryFault(sentence, len(text.rstrip()), "", expected)
    sentence = f"Found “{shortened(token)}”, expected {one_of(expected)}."
    if "COMPARE" in accepted and not text[token.start_pos - 1].isspace():
        sentence += " A name with such characters goes in backticks."
    return QueryFault(sentence, token.start_pos, token, expected)

"""What the person at the terminal is told: one line each, on standard error, never twice."""

from __future__ import annotations

import sys

# A script with a thousand bad names gets this many lines about them, not a thousand.
MOST_OF_A_KIND = 10


def say(text: str) -> None:
    """One line on standard error. A closed or missing stream is nobody's problem."""
    if sys.stderr is None:  # print() would take standard output instead
        return
    # What a server sent must not move the cursor or ring the bell.
    printable = "".join(char if char.isprintable() else " " for char in text)
    try:
        print(f"exptrack: {printable}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError, RuntimeError):
        pass


def points_are(number: int) -> str:
    """`1 point is` or `2 points are`."""
    return "1 point is" if number == 1 else f"{number:,} points are"


def ended(sentence: str) -> str:
    """A sentence with the full stop that it may lack."""
    return sentence if sentence.endswith("?") else f"{sentence.rstrip('. ')}."


class Notices:
    """Says each thing once, and of one kind only so many."""

    def __init__(self) -> None:
        self._said: dict[str, set[str]] = {}

    def once(self, kind: str, text: str) -> None:
        """Say `text` unless it was said, or enough of its kind was."""
        said = self._said.setdefault(kind, set())
        if text in said or len(said) > MOST_OF_A_KIND:
            return
        said.add(text)
        is_last = len(said) > MOST_OF_A_KIND
        say("(more warnings of this kind are not shown)" if is_last else text)

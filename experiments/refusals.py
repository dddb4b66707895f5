"""Writes that were not made, and why. The API turns each into its status; pages show the
message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from experiments.values import InvalidValue


class Refused(Exception):
    """A write that was not made; `message` and `details` tell the sender why."""

    def __init__(self, message: str, details: dict | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}


class Invalid(Refused):
    """The values themselves cannot be stored. `details` maps a field to its faults."""


class Conflict(Refused):
    """They contradict what is stored."""


class SequenceGap(Refused):
    """A writer skipped a batch; `details["expected"]` is the seq to go on from."""


class RepeatDiffers(Refused):
    """A seq was sent again with another body."""


class Gone(Refused):
    """The run or experiment was purged while the request was on its way."""


@contextmanager
def nothing_purged() -> Iterator[None]:
    """Gone, when a write fails since what it refers to was purged at that very moment."""
    try:
        yield
    except IntegrityError as error:
        if "foreign key" not in str(error).lower():
            raise
        raise Gone("What this belongs to was purged at this moment.") from error


def checked(rule: Callable[[str], str], text: str, field: str) -> str:
    """`rule(text)`, its fault told under the name of the field."""
    try:
        return rule(text)
    except InvalidValue as error:
        raise Invalid(str(error), {field: [str(error)]}) from error

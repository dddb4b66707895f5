"""The body of `log/`: one batch, or several of one writer in a row."""

from __future__ import annotations

import re

import msgspec
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from experiments.api.errors import PayloadTooLarge, ValidationFailed
from experiments.api.parsers import (
    BatchIn,
    check_charset,
    complaint,
    decode,
    decode_batch,
    read_body,
)


class BacklogIn(msgspec.Struct, forbid_unknown_fields=True):
    """Several batches of one writer in one body of `log/`."""

    batches: list[msgspec.Raw]


# As "batches" is the only name of its object, it comes first.
BACKLOG = re.compile(rb'\s*\{\s*"batches"\s*:')
MAX_BATCHES = 10_000


class LogParser(BaseParser):
    """The body of `log/`: a BatchIn, with the bytes it came from for the repeat check; or a
    list of such pairs."""

    media_type = "application/json"

    def parse(self, stream: HttpRequest, media_type: str, parser_context: dict) -> tuple | list:
        check_charset(media_type)
        body = read_body(stream)
        if BACKLOG.match(body):
            return decode_backlog(body)
        return decode_batch(body), body


def decode_backlog(body: bytes) -> list[tuple[BatchIn, bytes]]:
    """The batches of `{"batches": […]}`, each with the very bytes that it is alone."""
    try:
        batches = decode(body, BacklogIn).batches
    except msgspec.ValidationError as error:
        path, message = complaint(error)
        raise ValidationFailed(
            "The batches cannot be read.", {path or "body": [message]}
        ) from error
    bodies = [bytes(batch) for batch in batches]
    if body.count(b":") > 1 + sum(batch.count(b":") for batch in bodies):
        raise ParseError("A name stands twice in one object of the body.")
    if not bodies:
        raise ValidationFailed("There is nothing to log.", {"batches": ["Give at least one."]})
    if len(bodies) > MAX_BATCHES:
        raise PayloadTooLarge(f"A request has at most {MAX_BATCHES:,} batches. Send several.")
    return [(decode_one_of_many(number, batch), batch) for number, batch in enumerate(bodies)]


def decode_one_of_many(number: int, body: bytes) -> BatchIn:
    """A batch of a backlog: points of a numbered batch, and no more; errors name its place."""
    try:
        batch = decode_batch(body)
    except ValidationFailed as error:
        details = {f"batches[{number}].{path}": says for path, says in error.details.items()}
        raise ValidationFailed(str(error.detail), details) from error
    if batch.writer is None or batch.params or batch.tags:
        raise ValidationFailed(
            "Batches that come together hold numbered points only.",
            {f"batches[{number}]": ["Give metrics, writer and seq, and no params or tags."]},
        )
    return batch

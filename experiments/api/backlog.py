"""Batches as they come: one, or several of one writer in a row, to `log/`; the first with the
start of its run."""

from __future__ import annotations

import hashlib
import re

import msgspec
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from experiments.api.errors import PayloadTooLarge, ValidationFailed
from experiments.api.parsers import (
    BatchIn,
    StrictJSONParser,
    check_charset,
    complaint,
    decode,
    decode_batch,
    read_body,
)
from experiments.models import WRITER_LENGTH
from experiments.storing import Mark
from experiments.values import INT64_MAX, InvalidValue, printable


class BacklogIn(msgspec.Struct, forbid_unknown_fields=True):
    """Several batches of one writer in one body of `log/`."""

    batches: list[msgspec.Raw]


# As "batches" is the only name of its object, it comes first.
BACKLOG = re.compile(rb'\s*\{\s*"batches"\s*:')
MAX_BATCHES = 10_000
IDEMPOTENCY_SEQ = 1


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


class StartParser(StrictJSONParser):
    """The body of `runs/`, in which `log` is a BatchIn of points with its very bytes, as if it had
    come to `log/` alone."""

    def parse(self, stream: HttpRequest, media_type: str, parser_context: dict) -> object:
        fields = super().parse(stream, media_type, parser_context)
        if isinstance(fields, dict) and isinstance(fields.get("log"), dict):
            body = bytes(decode(read_body(stream), dict[str, msgspec.Raw])["log"])
            fields["log"] = decode_first(body), body
        return fields


def decode_first(body: bytes) -> BatchIn:
    """The batch that comes with the start of a run, which has params and tags of its own."""
    batch = decode_batch(body)
    if batch.params or batch.tags:
        raise ValidationFailed(
            "Params and tags of a new run stand beside its log.",
            {"log": ["Give metrics, writer, seq and step, and no params or tags."]},
        )
    return batch


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


def mark_of(request: Request, batch: BatchIn, body: bytes) -> Mark | None:
    """What tells a repeat of the batch in this body; None when it is not numbered.
    `Idempotency-Key` is a writer of that name with seq 1."""
    key = request.headers.get("Idempotency-Key")
    writer, seq = (key, IDEMPOTENCY_SEQ) if key is not None else (batch.writer, batch.seq)
    if key is not None and batch.writer is not None:
        raise ValidationFailed(
            "Give either an Idempotency-Key or a writer.", {"writer": ["Leave one of them out."]}
        )
    if (writer is None) != (seq is None):
        missing = "seq" if seq is None else "writer"
        raise ValidationFailed(
            "A writer numbers its batches.", {missing: ["writer and seq belong together."]}
        )
    if writer is None:
        return None
    if not 1 <= len(writer) <= WRITER_LENGTH:
        raise ValidationFailed(
            "The writer cannot be used.", {"writer": [f"1 to {WRITER_LENGTH} characters."]}
        )
    try:
        printable(writer, "A writer")
    except InvalidValue as error:
        raise ValidationFailed("The writer cannot be used.", {"writer": [str(error)]}) from error
    if not 1 <= seq <= INT64_MAX:
        raise ValidationFailed("The seq cannot be used.", {"seq": ["Counts up from 1."]})
    return Mark(writer, seq, hashlib.sha256(body).digest())

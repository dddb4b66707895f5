"""Batches of points as they come: one, or several of one writer in a row, to `log/`; the first
with the start of its run. Read by msgspec straight into columns, without serializers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Union

import msgspec
import numpy as np
from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from experiments.api.errors import PayloadTooLarge, ValidationFailed
from experiments.api.parsers import (
    REPEATED_NAME,
    StrictJSONParser,
    check_charset,
    check_tree,
    decode,
    read_body,
    refuse_repeated_names,
)
from experiments.models import WRITER_LENGTH
from experiments.storing import Columns, Mark
from experiments.values import INT64_MAX, InvalidValue, printable
from experiments.wire import NOT_FINITE

EMPTY_BODY = "The body is empty."
# As "batches" is the only name of its object, it comes first.
BACKLOG = re.compile(rb'\s*\{\s*"batches"\s*:')
MAX_BATCHES = 10_000
IDEMPOTENCY_SEQ = 1


class ColumnsIn(msgspec.Struct, forbid_unknown_fields=True):
    """One series' points as columns of equal length."""

    values: list[Union[float, str]]  # noqa: UP007
    steps: list[int] | None = None
    times: list[int] | None = None


class PointIn(msgspec.Struct, forbid_unknown_fields=True):
    """One point of a list."""

    name: str
    value: Union[float, str]  # noqa: UP007
    step: int | None = None
    time: int | None = None


class BatchIn(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `log/` in any of its three forms."""

    metrics: Union[dict[str, Union[ColumnsIn, float, str]], list[PointIn]] = {}  # noqa: UP007
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    writer: str | None = None
    seq: int | None = None
    step: int | None = None


class BacklogIn(msgspec.Struct, forbid_unknown_fields=True):
    """Several batches of one writer in one body of `log/`."""

    batches: list[msgspec.Raw]


# Made here, by one thread: see `decode`.
BATCH = msgspec.json.Decoder(BatchIn)
SEVERAL = msgspec.json.Decoder(BacklogIn)
PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


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
            body = bytes(decode(read_body(stream), PARTS)["log"])
            fields["log"] = decode_first(body), body
        return fields


# --- One batch -------------------------------------------------------------------------------


def decode_batch(body: bytes) -> BatchIn:
    """A batch within the limits, or an error that names the field."""
    if not body:
        raise ParseError(EMPTY_BODY)
    try:
        batch = decode(body, BATCH)
    except msgspec.ValidationError as error:
        raise explained(body, error) from error
    if may_repeat_names(body, batch):
        refuse_repeated_names(body, decode(body))
    if batch.params:
        check_tree(batch.params)
    for text in (*batch.tags, *batch.tags.values(), batch.writer or ""):
        if "\0" in text:
            raise ParseError("Text cannot hold the character NUL (\\u0000).")
    names = len(batch.metrics) if isinstance(batch.metrics, dict) else 0
    refuse_too_many_names(max(names, len(batch.params), len(batch.tags)))
    return batch


def may_repeat_names(body: bytes, batch: BatchIn) -> bool:
    """Whether a name may stand twice in one object of a batch: False means that none does that
    could hide a point, param or tag. Counting every name in a list of points would cost a
    quarter of what parsing it does, and two of one point's names hide nothing else."""
    if isinstance(batch.metrics, list):
        return bool(batch.params or batch.tags) or body.count(b'"metrics"') > 1
    colons = len(batch.params) + len(batch.tags) + "".join(batch.metrics).count(":")
    colons += sum(bool(getattr(batch, name)) for name in ("metrics", "params", "tags"))
    colons += sum(getattr(batch, name) is not None for name in ("writer", "seq", "step"))
    for value in batch.metrics.values():
        if isinstance(value, ColumnsIn):
            colons += 2 + (value.steps is not None) + (value.times is not None)
        else:
            colons += 1
    return body.count(b":") > colons


def explained(body: bytes, error: msgspec.ValidationError) -> ValidationFailed:
    """msgspec's complaint, with the metric's name where it only says `[...]`."""
    path, message = complaint(error)
    if not path.startswith("metrics[...]"):
        return ValidationFailed("The batch cannot be read.", {path or "body": [message]})
    for name, value in decode(body)["metrics"].items():
        try:
            msgspec.convert(value, Union[ColumnsIn, float, str])  # noqa: UP007
        except msgspec.ValidationError as fault:
            inner, message = complaint(fault)
            path = f"metrics.{name}.{inner}" if inner else f"metrics.{name}"
            break
    return ValidationFailed("The batch cannot be read.", {path: [message]})


def complaint(error: msgspec.ValidationError) -> tuple[str, str]:
    """Path and sentence of a message like "Expected `int`, got `str` - at `$.a[0]`"."""
    message, _, path = str(error).partition(" - at `$")
    return path.rstrip("`").lstrip("."), f"{message}."


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


# --- Its points ------------------------------------------------------------------------------


def columns_of(batch: BatchIn) -> dict[str, Columns]:
    """The batch's points by metric, as `appending.append` takes them."""
    if isinstance(batch.metrics, list):
        columns = from_list(batch)
    else:
        columns = {
            name: from_value(name, value, batch.step) for name, value in batch.metrics.items()
        }
    refuse_too_many([columns])
    return columns


def refuse_too_many(batches: Sequence[Mapping[str, Columns]]) -> None:
    """Refuse a request of more points or names than one may have."""
    points = sum(len(series.values) for batch in batches for series in batch.values())
    if points > settings.MAX_POINTS_PER_REQUEST:
        raise PayloadTooLarge(
            f"A request has at most {settings.MAX_POINTS_PER_REQUEST:,} points, this has "
            f"{points:,}. Send several."
        )
    refuse_too_many_names(len(set().union(*batches)))


def refuse_too_many_names(names: int) -> None:
    if names > settings.MAX_NAMES_PER_REQUEST:
        raise PayloadTooLarge(
            f"A request has at most {settings.MAX_NAMES_PER_REQUEST:,} names. Send several."
        )


def from_list(batch: BatchIn) -> dict[str, Columns]:
    """Points one by one, gathered by name in their order."""
    gathered: dict[str, list[PointIn]] = {}
    for point in batch.metrics:
        gathered.setdefault(point.name, []).append(point)
    columns = {}
    for name, points in gathered.items():
        steps = [batch.step if point.step is None else point.step for point in points]
        times = [point.time for point in points]
        columns[name] = Columns(
            values=numbers(name, [point.value for point in points]), steps=steps, times=times
        )
    return columns


def from_value(name: str, value: ColumnsIn | float | str, step: int | None) -> Columns:
    """One entry of the object form: columns, or a single value."""
    if not isinstance(value, ColumnsIn):
        return Columns(values=numbers(name, [value]), steps=None if step is None else [step])
    n, steps, times = len(value.values), value.steps, value.times
    if n != (n if steps is None else len(steps)) or n != (n if times is None else len(times)):
        raise ValidationFailed(
            "A column has another length than its values.",
            {
                f"metrics.{name}.{column}": [
                    f"{len(given)} {column} for {n} values: they must be as many."
                ]
                for column, given in (("steps", steps), ("times", times))
                if given is not None and len(given) != n
            },
        )
    if steps is None and step is not None and value.values:
        steps = [step] * len(value.values) if len(value.values) == 1 else None
        if steps is None:
            raise ValidationFailed(
                "One step cannot serve several values.",
                {f"metrics.{name}.steps": ["Give a step for each value, or none at all."]},
            )
    return Columns(values=numbers(name, value.values), steps=steps, times=value.times)


def numbers(name: str, values: list[float | str]) -> np.ndarray:
    """Values as float64[n]; "NaN", "Infinity" and "-Infinity" are the only texts."""
    try:
        # np.array would read text like "0.5" too: a text among floats makes it dtype U.
        array = np.array(values) if values else np.empty(0)
        if array.dtype == np.float64:
            return array
        return np.array(
            [NOT_FINITE[value] if isinstance(value, str) else value for value in values],
            dtype=np.float64,
        )
    except KeyError as error:
        raise ValidationFailed(
            "A value is no number.",
            {
                f"metrics.{name}.values": [
                    f"{str(error.args[0])[:40]!r} is not NaN, Infinity or -Infinity."
                ]
            },
        ) from error


# --- With a start, and several at once -------------------------------------------------------


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
        batches = decode(body, SEVERAL).batches
    except msgspec.ValidationError as error:
        path, message = complaint(error)
        raise ValidationFailed(
            "The batches cannot be read.", {path or "body": [message]}
        ) from error
    bodies = [bytes(batch) for batch in batches]
    if body.count(b":") > 1 + sum(batch.count(b":") for batch in bodies):
        raise ParseError(REPEATED_NAME)
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

"""Bodies in: bounded before they are parsed, strict once they are.

Every JSON body passes the same gates: size (unpacked too), depth, number of keys, no NUL, no
lone surrogate, no number past int64 or double. Batches of points are read by msgspec straight
into columns, without serializers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Union

import msgspec
import numpy as np
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from experiments.api.errors import LengthRequired, PayloadTooLarge, ValidationFailed
from experiments.storing import Columns
from experiments.values import INT64_MAX, INT64_MIN
from experiments.wire import NOT_FINITE

MAX_DEPTH = 32
MAX_KEYS = 100_000
# JSON of real points unpacks to 3 to 20 times its size; beyond the first MiB more is a bomb.
GZIP_FREE_BYTES = 1024 * 1024
GZIP_MAX_RATIO = 100
EMPTY_BODY = "The body is empty."


# --- The body's bytes ------------------------------------------------------------------------


def read_body(request: HttpRequest) -> bytes:
    """The whole body, unpacked when it came gzipped, never more than the limit."""
    if request.headers.get("Transfer-Encoding"):
        raise LengthRequired()
    limit = settings.MAX_BODY_BYTES
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
            raise PayloadTooLarge(f"A body has at most {limit // 2**20} MiB.")
        body = request.body
    except RequestDataTooBig as error:
        raise PayloadTooLarge(f"A body has at most {limit // 2**20} MiB.") from error
    except ValueError as error:
        raise ParseError("Content-Length is not a number.") from error
    declared = int(request.META.get("CONTENT_LENGTH") or 0)
    if len(body) < declared:
        raise ParseError(f"The body ends after {len(body)} of {declared} bytes.")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gunzip(body, limit)
    raise UnsupportedMediaType(
        encoding, f"Content-Encoding {encoding[:40]!r} is not read; gzip is."
    )


def check_charset(media_type: str) -> None:
    """Refuse a body in another charset than UTF-8, before a byte of it is read."""
    charset = parse_header_parameters(media_type)[1].get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(media_type, "JSON is read as UTF-8 only.")


def gunzip(packed: bytes, limit: int) -> bytes:
    """One gzip member, unpacked a step at a time up to `limit` bytes and a bounded ratio."""
    allowed = min(limit, max(GZIP_FREE_BYTES, len(packed) * GZIP_MAX_RATIO))
    inflate = zlib.decompressobj(wbits=31)
    try:
        body = inflate.decompress(packed, allowed + 1)
    except zlib.error as error:
        raise ParseError("The body is not valid gzip.") from error
    if len(body) > allowed:
        raise PayloadTooLarge(
            f"Unpacked, a body has at most {limit // 2**20} MiB and, beyond 1 MiB, "
            f"{GZIP_MAX_RATIO} times its packed size."
        )
    if not inflate.eof:
        raise ParseError("The gzip body ends too early.")
    if inflate.unused_data:
        raise ParseError("The gzip body goes on after its end.")
    return body


# --- JSON of any shape -----------------------------------------------------------------------


class StrictJSONParser(BaseParser):
    """application/json for every endpoint but the batch."""

    media_type = "application/json"

    def parse(self, stream: HttpRequest, media_type: str, parser_context: dict) -> object:
        check_charset(media_type)
        body = read_body(stream)
        if not body:
            return {}
        value = decode(body)
        check_tree(value)
        refuse_repeated_names(body, value)
        return value


def decode(body: bytes, type: object = Any) -> Any:
    """JSON as msgspec reads it, every failure as a 400 that says what is wrong; only where a
    `type` is given, JSON that is not of it is a msgspec.ValidationError."""
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        if type is not Any:
            raise
        raise ParseError(f"The body cannot be read: {error}.") from error
    except RecursionError as error:
        raise ParseError(f"The JSON is nested more than {MAX_DEPTH} deep.") from error
    except UnicodeDecodeError as error:
        raise ParseError("The body is not valid UTF-8.") from error
    except msgspec.DecodeError as error:
        if "truncated" in str(error) and b"\\ud" in body.lower():
            raise ParseError("The JSON holds a lone surrogate (\\ud800 to \\udfff).") from error
        raise ParseError(f"The body is not valid JSON: {error}.") from error


def check_tree(value: object) -> None:
    """Refuse what one of the databases cannot hold: too deep, too many keys, NUL, integers
    past 64 bits. Walks without recursion."""
    keys = 0
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                raise ParseError("Text cannot hold the character NUL (\\u0000).")
        elif isinstance(item, int):
            if not INT64_MIN <= item <= INT64_MAX:
                raise ParseError("An integer lies beyond 64 bits. Send it as text or a float.")
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise ParseError(f"The JSON is nested more than {MAX_DEPTH} deep.")
            keys += len(item)
            if keys > MAX_KEYS:
                raise PayloadTooLarge(f"A body has at most {MAX_KEYS:,} keys and items.")
            if isinstance(item, dict):
                waiting += [(key, depth) for key in item]
                item = item.values()
            waiting += [(child, depth + 1) for child in item]


def refuse_repeated_names(body: bytes, value: object) -> None:
    """Refuse an object that has the same name twice: only the last would be kept, and the rest
    lost. `value` is what the body reads as. Outside of texts a colon stands behind each name,
    so a body with more of them than names and texts account for says something twice."""
    colons = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            colons += item.count(":")
        elif isinstance(item, dict):
            colons += len(item)
            waiting += item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    if body.count(b":") > colons:
        raise ParseError("A name stands twice in one object of the body.")


# --- Batches of points -----------------------------------------------------------------------


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


def decode_batch(body: bytes) -> BatchIn:
    """A batch within the limits, or an error that names the field."""
    if not body:
        raise ParseError(EMPTY_BODY)
    try:
        batch = decode(body, BatchIn)
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
    if max(names, len(batch.params), len(batch.tags)) > settings.MAX_NAMES_PER_REQUEST:
        raise PayloadTooLarge(
            f"A request has at most {settings.MAX_NAMES_PER_REQUEST:,} names. Send several."
        )
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


def columns_of(batch: BatchIn) -> dict[str, Columns]:
    """The batch's points by metric, as `recording.append` takes them."""
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
    if len(set().union(*batches)) > settings.MAX_NAMES_PER_REQUEST:
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

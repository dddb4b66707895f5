"""Bodies in: bounded before they are parsed, strict once they are.

Every JSON body passes the same gates: size (unpacked too), depth, number of keys, no NUL, no
lone surrogate, no number past int64 or double. What batches of points are is in `batches`.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from experiments.api.errors import LengthRequired, PayloadTooLarge
from experiments.values import INT64_MAX, INT64_MIN

MAX_DEPTH = 32
MAX_KEYS = 100_000
# JSON of real points unpacks to 3 to 20 times its size; beyond the first MiB more is a bomb.
GZIP_FREE_BYTES = 1024 * 1024
GZIP_MAX_RATIO = 100
REPEATED_NAME = "A name stands twice in one object of the body."


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


# A reader is made where its module is loaded, by one thread. msgspec works a Struct out when it is
# first read, and a second thread that reads one meanwhile ends the process (in 0.22).
ANYTHING = msgspec.json.Decoder()


def decode(body: bytes, reader: msgspec.json.Decoder = ANYTHING) -> Any:
    """JSON as msgspec reads it, every failure as a 400 that says what is wrong; only where a
    `reader` of a type is given, JSON that is not of it is a msgspec.ValidationError."""
    try:
        return reader.decode(body)
    except msgspec.ValidationError as error:
        if reader is not ANYTHING:
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
        raise ParseError(REPEATED_NAME)

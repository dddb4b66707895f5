"""What a spool file is made of: records with a checksum each, one after another. Pure.

A file begins with 16 bytes of `MAGIC` and a mark of 16 bytes, which tells where the first record
begins that is not confirmed. A record is a frame and a body:

    crc32 (4)  length of the body (4)  kind (1)  number (8)  points (4)  body

all little-endian; the checksum is over everything behind it. Kinds are `HEAD` (JSON: run, writer,
url), `OPENING` (JSON: what creates the run), `LOG` (a request to the run's log/, byte for byte as
it is sent, whose number is the writer's seq) and `END` (JSON: what ends the run).
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

MAGIC = b"exptrack spool 1"
MARK = struct.Struct("<QI4x")
CHECK = struct.Struct("<I")
FIELDS = struct.Struct("<IcQI")
FRAME_BYTES = CHECK.size + FIELDS.size
FIRST = len(MAGIC) + MARK.size

HEAD, OPENING, LOG, END = b"H", b"O", b"L", b"E"
KINDS = (HEAD, OPENING, LOG, END)


class Record(NamedTuple):
    """One record; `end` is where the next one begins in its file, 0 for one in memory."""

    writer: str
    kind: bytes
    seq: int
    points: int
    body: bytes
    end: int = 0


def framed(kind: bytes, seq: int, points: int, body: bytes) -> bytes:
    """A record as it is written."""
    checked = FIELDS.pack(len(body), kind, seq, points) + body
    return CHECK.pack(zlib.crc32(checked)) + checked


def read_record(file: BinaryIO, at: int, size: int, writer: str = "") -> Record | None:
    """The record that begins at `at` of a file of `size` bytes; None when it is not whole or
    not what was written."""
    if at + FRAME_BYTES > size:
        return None
    file.seek(at)
    frame = file.read(FRAME_BYTES)
    if len(frame) < FRAME_BYTES:
        return None
    (check,) = CHECK.unpack_from(frame)
    length, kind, seq, points = FIELDS.unpack_from(frame, CHECK.size)
    end = at + FRAME_BYTES + length
    if kind not in KINDS or end > size:
        return None
    body = file.read(length)
    if len(body) < length or zlib.crc32(body, zlib.crc32(frame[CHECK.size :])) != check:
        return None
    return Record(writer, kind, seq, points, body, end)


def end_of_broken(file: BinaryIO, at: int, size: int) -> int | None:
    """Where the record ends that begins at `at` and fails its checksum, if a good one follows:
    a flipped bit costs one record. None when nothing good does: the file ends here."""
    if at + FRAME_BYTES > size:
        return None
    file.seek(at)
    frame = file.read(FRAME_BYTES)
    if len(frame) < FRAME_BYTES:
        return None
    end = at + FRAME_BYTES + FIELDS.unpack_from(frame, CHECK.size)[0]
    return end if read_record(file, end, size) is not None else None


def mark(at: int) -> bytes:
    """The mark that says that everything before `at` is confirmed."""
    place = struct.pack("<Q", at)
    return place + struct.pack("<I4x", zlib.crc32(place))


def read_mark(data: bytes) -> int:
    """Where a mark points to; FIRST when it was not written whole. A mark that points too far
    back costs repeats, which the server recognises."""
    if len(data) < MARK.size:
        return FIRST
    at, check = MARK.unpack(data)
    return at if zlib.crc32(data[:8]) == check and at >= FIRST else FIRST

"""Points of a series, and their bytes: packed in tails, compressed in chunks.

Pure: numpy in, numpy out. The only module that knows how points look in the database; what it
writes must stay readable for ever, so a new layout gets a new format number. What is stored keeps
every bit.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pcodec import ChunkConfig, DeltaSpec
from pcodec.standalone import simple_compress, simple_decompress_into

TAIL_POINTS = 64  # a tail holds fewer than this; at this many it is sealed
SMALL_CHUNK_POINTS = 4_096  # a chunk below this is small, to be merged
MERGE_AT = 64  # that many small chunks in a row are merged into one
LARGEST_CHUNK_POINTS = 65_536

RAW, PCO = 0, 1  # formats of a chunk

POINT = np.dtype([("step", "<i8"), ("time", "<i8"), ("value", "<f8")])

LARGEST_INT64 = 2**63 - 1

# --- Points ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of one series in order of arrival: `steps` int64[n], `times` int64[n] in
    milliseconds since the epoch (empty where nobody asks for them, see `decode_all`), `values`
    float64[n]."""

    steps: np.ndarray
    times: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def slice(self, start: int, stop: int | None) -> Points:
        """The points from position `start` up to `stop`, sharing memory with these."""
        return Points(self.steps[start:stop], self.times[start:stop], self.values[start:stop])

    @classmethod
    def of(
        cls,
        steps: Sequence[int] | np.ndarray,
        times: Sequence[int] | np.ndarray,
        values: Sequence[float] | np.ndarray,
    ) -> Points:
        """Points of three columns, lists or arrays. OverflowError for an integer past int64 (or
        one past double as a value), ValueError for columns of unequal length."""
        points = cls(int64(steps), int64(times), np.asarray(values, dtype=np.float64))
        if not points.steps.shape == points.times.shape == points.values.shape == (len(points),):
            raise ValueError("Steps, times and values must be flat and equally long.")
        return points

    @staticmethod
    def concat(parts: Sequence[Points]) -> Points:
        """All points of the parts, one part after the other; where one of them has no times,
        none has any."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Points.empty()
        timed = all(len(part.times) == len(part) for part in parts)
        return Points(
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.times for part in parts]) if timed else np.empty(0, np.int64),
            np.concatenate([part.values for part in parts]),
        )

    @staticmethod
    def empty() -> Points:
        """No points."""
        return Points(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def int64(integers: Sequence[int] | np.ndarray) -> np.ndarray:
    """The integers as int64[n]; OverflowError when one does not fit, TypeError for an array of
    another kind."""
    if isinstance(integers, np.ndarray) and integers.dtype != np.int64:
        if integers.dtype.kind not in "iu" and integers.size:
            raise TypeError(f"Steps and times are integers, not {integers.dtype}.")
        # numpy would wrap them round without a word.
        if integers.dtype.kind == "u" and integers.size and integers.max() > LARGEST_INT64:
            raise OverflowError(f"{integers.max()} does not fit into int64.")
    return np.asarray(integers, dtype=np.int64)


# --- Bytes -----------------------------------------------------------------------------------


def pack(points: Points) -> bytes:
    """The bytes of a tail: 24 little-endian ones a point, so `pack(a) + pack(b)` packs a + b."""
    rows = np.empty(len(points), POINT)
    rows["step"] = points.steps
    rows["time"] = points.times
    rows["value"] = points.values
    return rows.tobytes()


def unpack(data: bytes | memoryview) -> Points:
    """The points of a tail; ValueError when the bytes are no whole number of points."""
    if len(data) % POINT.itemsize:
        raise ValueError(f"{len(data)} bytes are no whole number of points: the data is damaged.")
    rows = np.frombuffer(data, POINT)
    return Points(
        rows["step"].astype(np.int64),
        rows["time"].astype(np.int64),
        rows["value"].astype(np.float64),
    )


CHECKSUM = struct.Struct("<I")  # before either format: CRC-32 of all that follows
PCO_HEAD = struct.Struct("<III")  # points, bytes of the steps, bytes of the times

# Steps and times grow steadily: to name their delta gives the bytes that pcodec's own search
# finds, at 64 points in 84 instead of 232 ns a point. Values are left to the search, for 64
# points at level 4 (losses of 4 decimals: 2.5 B and 300 ns a point; level 8: 2.5 B, 580 ns): a
# small chunk is soon encoded anew. A large one stays, and level 6 pays: 65,536 points of a
# cosine schedule take 0.92 B a point (level 4: 1.42, 8: 0.80), of losses 1.57 (1.61, 1.57), of
# float32 losses 3.14 (3.24, 3.11), while level 8 needs up to 3 times as long (4,096 points: 57
# and 144 ns a point).
STEADY = DeltaSpec.try_consecutive(1)
SMALL = ChunkConfig(compression_level=4)
SMALL_STEADY = ChunkConfig(compression_level=4, delta_spec=STEADY)
LARGE = ChunkConfig(compression_level=6)
LARGE_STEADY = ChunkConfig(compression_level=6, delta_spec=STEADY)


def encode(points: Points) -> tuple[int, bytes]:
    """A chunk's (format, data), bit-exact, the smaller of packed and compressed by column.
    ValueError when there are none (pcodec could not give them back) or too many."""
    if not 0 < len(points) <= LARGEST_CHUNK_POINTS:
        raise ValueError(
            f"A chunk holds 1 to {LARGEST_CHUNK_POINTS} points, {len(points)} cannot be encoded."
        )
    small = len(points) < SMALL_CHUNK_POINTS
    steady, free = (SMALL_STEADY, SMALL) if small else (LARGE_STEADY, LARGE)
    steps = simple_compress(np.ascontiguousarray(points.steps), steady)
    times = simple_compress(np.ascontiguousarray(points.times), steady)
    values = simple_compress(np.ascontiguousarray(points.values), free)
    body = PCO_HEAD.pack(len(points), len(steps), len(times)) + steps + times + values
    if len(body) < len(points) * POINT.itemsize:
        return PCO, CHECKSUM.pack(zlib.crc32(body)) + body
    body = pack(points)
    return RAW, CHECKSUM.pack(zlib.crc32(body)) + body


def decode(format: int, data: bytes | memoryview) -> Points:  # noqa: A002, a column's name
    """The points of a chunk; ValueError for an unknown format and for damaged data."""
    return decode_all([(format, data)])


def decode_all(
    chunks: Sequence[tuple[int, bytes | memoryview]], *, with_times: bool = True
) -> Points:
    """The points of several (format, data), one chunk after the other: into columns that are
    made once, for to join them costs as much as a third of decoding. ValueError as for one.

    Without times `times` is left empty, if the steps are in order and no two alike: only the
    choice among points of one step asks for them then.
    """
    bodies = [checked(*chunk) for chunk in chunks]
    counts = [count_in(kind, body) for kind, body in bodies]
    total = sum(counts)
    steps, values = np.empty(total, np.int64), np.empty(total, np.float64)
    times = np.empty(total if with_times else 0, np.int64)
    start = 0
    for (kind, body), count in zip(bodies, counts, strict=True):
        place = slice(start, start + count)
        into = decompress if kind == PCO else unpack_into
        into(body, steps[place], times[place] if with_times else None, values[place])
        start += count
    if not with_times and not (steps[1:] > steps[:-1]).all():
        return decode_all(chunks)
    return Points(steps, times, values)


def follows(points: Points, tail: Points) -> bool:
    """Whether a tail can be put behind points: whether these have their times, or no one will
    ask for them, since every step is beyond the one before."""
    if len(points.times) == len(points) or not len(tail):
        return True
    steps = np.concatenate([points.steps[-1:], tail.steps])
    return bool((steps[1:] > steps[:-1]).all())


def checked(format: int, data: bytes | memoryview) -> tuple[int, memoryview]:  # noqa: A002
    """A chunk's format and body; ValueError for an unknown format and for damaged data."""
    if format not in (RAW, PCO):
        raise ValueError(f"Chunk format {format} is unknown: a newer version may have written it.")
    body = memoryview(data)[CHECKSUM.size :]
    if not body or zlib.crc32(body) != CHECKSUM.unpack_from(data)[0]:
        raise ValueError("The chunk's checksum does not match: the data is damaged.")
    return format, body


def count_in(format: int, body: memoryview) -> int:  # noqa: A002
    """How many points a chunk's body holds; ValueError when there cannot be so many."""
    if format == RAW:
        return len(body) // POINT.itemsize
    if len(body) < PCO_HEAD.size:
        raise ValueError("The chunk ends within its head: the data is damaged.")
    count = PCO_HEAD.unpack_from(body)[0]
    if not 0 < count <= LARGEST_CHUNK_POINTS:
        raise ValueError(f"A chunk cannot hold {count} points: the data is damaged.")
    return count


def unpack_into(
    body: memoryview, steps: np.ndarray, times: np.ndarray | None, values: np.ndarray
) -> None:
    """Put the points of a packed chunk's body into columns; ValueError when damaged."""
    points = unpack(body)
    steps[:], values[:] = points.steps, points.values
    if times is not None:
        times[:] = points.times


def decompress(
    body: memoryview, steps: np.ndarray, times: np.ndarray | None, values: np.ndarray
) -> None:
    """Put the points of a compressed chunk's body, its head first, into columns; ValueError when
    damaged."""
    _, step_bytes, time_bytes = PCO_HEAD.unpack_from(body)
    times_at = PCO_HEAD.size + step_bytes
    values_at = times_at + time_bytes
    decompress_column(body[PCO_HEAD.size : times_at], steps)
    if times is not None:
        decompress_column(body[times_at:values_at], times)
    decompress_column(body[values_at:], values)


def decompress_column(data: memoryview, column: np.ndarray) -> None:
    """Fill a column; ValueError when the data holds fewer numbers, more or others."""
    try:
        progress = simple_decompress_into(bytes(data), column)
    except RuntimeError as error:
        raise ValueError(f"A column cannot be decompressed: {error}") from error
    if progress.n_processed != len(column) or not progress.finished:
        raise ValueError(f"A column does not hold {len(column)} numbers: the data is damaged.")


def split(points: Points) -> Iterator[Points]:
    """The points in as few blocks of at most LARGEST_CHUNK_POINTS as can be, equally long to a
    point, so that no small rest is left to be merged."""
    n = len(points)
    blocks = -(-n // LARGEST_CHUNK_POINTS)
    for block in range(blocks):
        yield points.slice(n * block // blocks, n * (block + 1) // blocks)

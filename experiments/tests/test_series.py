"""Points and their bytes."""

import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.series import (
    LARGEST_CHUNK_POINTS,
    PCO,
    RAW,
    SMALL_CHUNK_POINTS,
    Points,
    decode,
    encode,
    pack,
    split,
    unpack,
)
from experiments.tests.arbitrary_points import (
    GREATEST,
    LEAST,
    NAN,
    bits_of,
    curve,
    points_of_any_bits,
    quick,
)


def test_points_are_made_of_lists_and_of_arrays_alike():
    listed = Points.of([1, 2], [3, 4], [0.5, 6])
    arrays = Points.of(np.array([1, 2], "u1"), np.array([3, 4], ">i8"), np.array([0.5, 6], "f4"))
    assert bits_of(listed) == bits_of(arrays)
    assert len(listed) == 2
    assert len(Points.of([], [], [])) == len(Points.empty()) == 0
    assert bits_of(Points.of(np.array([]), np.array([]), np.array([]))) == bits_of(Points.empty())


def test_points_are_cut_and_joined():
    points = curve(10)
    assert points.slice(2, 5).steps.tolist() == [20, 30, 40]
    assert points.slice(8, None).steps.tolist() == [80, 90]
    parts = [points.slice(0, 3), Points.empty(), points.slice(3, 10)]
    assert bits_of(Points.concat(parts)) == bits_of(points)
    assert bits_of(Points.concat([])) == bits_of(Points.empty())


@quick
@given(points_of_any_bits())
def test_a_packed_tail_gives_back_every_bit(points):
    data = pack(points)
    assert len(data) == 24 * len(points)
    assert bits_of(unpack(data)) == bits_of(points)
    assert bits_of(unpack(memoryview(data))) == bits_of(points)


@quick
@given(points_of_any_bits(), points_of_any_bits())
def test_packing_two_parts_is_packing_them_joined(first, second):
    assert pack(first) + pack(second) == pack(Points.concat([first, second]))


@quick
@given(points_of_any_bits(min_size=1))
def test_a_chunk_gives_back_every_bit(points):
    code, data = encode(points)
    assert bits_of(decode(code, data)) == bits_of(points)
    assert bits_of(decode(code, memoryview(data))) == bits_of(points)


@settings(quick, max_examples=40)
@given(
    n=st.sampled_from([63, 64, 1000, SMALL_CHUNK_POINTS, 20_000]),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["decimals", "single", "double", "constant", "bits", "holes"]),
)
def test_a_long_chunk_gives_back_every_bit(n, seed, kind):
    points, rng = curve(n, seed), np.random.default_rng(seed)
    values = {
        "decimals": points.values,
        "single": points.values.astype("f4").astype("f8"),
        "double": rng.normal(size=n),
        "constant": np.full(n, -0.0),
        "bits": rng.integers(LEAST, GREATEST, n).view("f8"),
        "holes": np.where(rng.random(n) < 0.1, NAN, points.values),
    }[kind]
    steps = rng.integers(LEAST, GREATEST, n) if kind == "bits" else points.steps
    points = Points(steps, points.times, values)
    assert bits_of(decode(*encode(points))) == bits_of(points)


def test_a_chunk_of_every_other_point_of_an_array_is_encoded_too():
    points = curve(500)
    thinned = Points(points.steps[::2], points.times[::2], points.values[::2])
    assert bits_of(decode(*encode(thinned))) == bits_of(thinned)


def test_a_chunk_is_never_bigger_than_its_points_packed():
    rng = np.random.default_rng(0)
    steps, times, bits = rng.integers(LEAST, GREATEST, (3, 200))
    noise = Points(steps, times, bits.view("f8"))
    for points in (curve(1), curve(3), noise):
        code, data = encode(points)
        assert code == RAW
        assert len(data) == len(pack(points)) + 4


def test_chunks_written_by_earlier_versions_stay_readable():
    compressed = bytes.fromhex(
        "01372a6240000000370000003700000070636f21030006100401043f0000a100000000000000100101800000"
        "000000000040000400100000000000000000cccccccccccccc0c0070636f21030006100401043f0000a10f00"
        "0000000000100101800000000000000040000400740000000000000000df13dd2c701283000070636f210300"
        "06100401063f0000d232c4b12e6ea3f11b43030022feffffffffffff33e4ffffffffffffff9f000400000000"
        "0000007d1000f8ffffffffffffff0b001027000000000080a9fbffffffffffffde00000000000000b9299834"
        "1b28d7fde80704600251379eebbce62e4787f42890421d000000000000000023750000000000000000750100"
        "000000000000740b11b3dcffffffffbfe68f6fb57fdfdcfedf0100"
    )
    points = decode(PCO, compressed)
    assert points.steps.tolist() == list(range(0, 640, 10))
    assert points.times.tolist() == [1_700_000_000_000 + 250 * i for i in range(64)]
    assert points.values[:63].tolist() == [round(1 / (1 + i / 8), 4) for i in range(63)]
    assert math.isnan(points.values[63])
    packed = bytes.fromhex("c8ea9b0effffffffffffffff0068e5cf8b0100000000000000000080")
    assert bits_of(decode(RAW, packed)) == bits_of(Points.of([-1], [1_700_000_000_000], [-0.0]))


@pytest.mark.parametrize("n", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_points_are_split_into_even_blocks_that_are_not_too_long(n):
    points = curve(n) if n else Points.empty()
    blocks = list(split(points))
    lengths = [len(block) for block in blocks]
    assert len(blocks) == math.ceil(n / LARGEST_CHUNK_POINTS)
    assert all(0 < length <= LARGEST_CHUNK_POINTS for length in lengths)
    assert not lengths or max(lengths) - min(lengths) <= 1
    assert bits_of(Points.concat(blocks)) == bits_of(points)


@pytest.mark.parametrize("integers", [[2**63], [-(2**63) - 1], np.array([2**63], "u8")])
def test_an_integer_past_int64_overflows(integers):
    with pytest.raises(OverflowError):
        Points.of(integers, [0], [0.0])
    with pytest.raises(OverflowError):
        Points.of([0], integers, [0.0])


def test_a_value_past_double_overflows():
    with pytest.raises(OverflowError):
        Points.of([0], [0], [10**400])


def test_an_array_of_other_numbers_is_no_column_of_steps():
    with pytest.raises(TypeError, match="integers"):
        Points.of(np.array([1.5]), [0], [0.0])


@pytest.mark.parametrize("columns", [([1], [1, 2], [1.0]), ([1], [1], []), ([[1]], [[1]], [[1.0]])])
def test_columns_of_unequal_length_are_refused(columns):
    with pytest.raises(ValueError, match="equally long"):
        Points.of(*columns)


def test_a_chunk_without_points_or_with_too_many_is_refused():
    for n in (0, LARGEST_CHUNK_POINTS + 1):
        with pytest.raises(ValueError, match=f"{n} cannot be encoded"):
            encode(Points(np.arange(n), np.arange(n), np.zeros(n)))


def test_a_tail_cut_short_is_refused():
    with pytest.raises(ValueError, match="damaged"):
        unpack(pack(curve(3))[:-1])


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format 2 is unknown"):
        decode(2, encode(curve(64))[1])


@quick
@given(st.data(), st.sampled_from([1, 2, 64, 500]))
def test_a_chunk_with_any_byte_changed_is_refused(data, n):
    code, sound = encode(curve(n))
    damaged = bytearray(sound)
    damaged[data.draw(st.integers(0, len(sound) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="damaged"):
        decode(code, bytes(damaged))


@quick
@given(st.data(), st.sampled_from([1, 64]))
def test_a_chunk_cut_short_or_grown_is_refused(data, n):
    code, sound = encode(curve(n))
    with pytest.raises(ValueError, match="damaged"):
        decode(code, sound[: data.draw(st.integers(0, len(sound) - 1))])
    with pytest.raises(ValueError, match="damaged"):
        decode(code, sound + data.draw(st.binary(min_size=1, max_size=30)))


@pytest.mark.parametrize("count", [0, 1, 63, 65, 65_537, 2**32 - 1])
def test_a_chunk_whose_counts_disagree_is_refused(count):
    body = bytearray(encode(curve(64))[1][4:])
    body[:4] = struct.pack("<I", count)
    with pytest.raises(ValueError, match="damaged"):
        decode(PCO, signed(body))


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\0" * 11, struct.pack("<III", 64, 9, 9) + b"x" * 40]
)
def test_a_chunk_that_is_no_chunk_is_refused(body):
    with pytest.raises(ValueError, match="damaged|cannot be decompressed"):
        decode(PCO, signed(body))


def test_a_chunk_with_columns_of_the_wrong_kind_is_refused():
    body = encode(curve(64))[1][4:]
    _, steps, times = struct.unpack_from("<III", body)
    steps_at_the_end = body[12 + steps :] + body[12 : 12 + steps]
    head = struct.pack("<III", 64, times, len(body) - 12 - steps - times)
    with pytest.raises(ValueError, match="cannot be decompressed"):
        decode(PCO, signed(head + steps_at_the_end))


def signed(body):
    """The body behind a checksum that matches it."""
    return struct.pack("<I", zlib.crc32(body)) + bytes(body)


# --- The cost --------------------------------------------------------------------------------


def test_a_curve_takes_few_bytes_on_disk():
    for n, most in ((64, 6), (SMALL_CHUNK_POINTS, 3), (LARGEST_CHUNK_POINTS, 2.7)):
        code, data = encode(curve(n))
        assert code == PCO
        assert len(data) / n < most

"""Rows into columns, and the queue between. Pure."""

from __future__ import annotations

import json
import math
import random

import pytest
from exptrack_client.names import INT64_MAX, INT64_MIN
from exptrack_client.points import PointQueue, Shape, metrics_json, numbers_json
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.only_on("sqlite")  # nothing here meets a database

INT64 = st.integers(INT64_MIN, INT64_MAX)
NAMES = ["a"], ["b"], ["a", "b"], ["b", "c", 'quote"\\ü']
SHAPES = [Shape(names) for names in NAMES]


def columns_one_by_one(rows):
    """The plain way: every value appended to its metric's lists."""
    columns = {}
    for shape, values, step, time in rows:
        for name, value in zip(shape.names, memoryview(values).cast("d")):
            column = columns.setdefault(name, {"steps": [], "times": [], "values": []})
            column["steps"].append(step)
            column["times"].append(time)
            column["values"].append(value if math.isfinite(value) else json.dumps(value).strip('"'))
    return columns


@st.composite
def row_lists(draw):
    rows = []
    for shape in draw(st.lists(st.sampled_from(SHAPES), max_size=30)):
        values = draw(st.lists(st.floats(), min_size=shape.count, max_size=shape.count))
        rows.append((shape, shape.pack(*values), draw(INT64), draw(INT64)))
    return rows


@given(row_lists())
def test_columns_hold_every_value_in_the_order_logged(rows):
    text = metrics_json(rows)

    # repr, since it tells -0.0 from 0.0; a bare NaN or Infinity is an error in strict JSON.
    parsed = json.loads(text, parse_constant=lambda name: f"bare {name}")
    assert repr(parsed) == repr({name: parsed[name] for name in columns_one_by_one(rows)})
    assert repr({name: parsed[name] for name in columns_one_by_one(rows)}) == repr(
        columns_one_by_one(rows)
    )


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_keep_every_bit(values):
    assert repr(json.loads(f"[{numbers_json(values)}]")) == repr(values)


def test_the_queue_gives_rows_back_in_order_up_to_a_number_of_points():
    queue = PointQueue(10**6, 100)
    shape = SHAPES[2]
    for number in range(10):
        assert queue.put(shape, shape.pack(number, number), None, 0)

    first = queue.take(7)
    assert [row[2] for row in first] == [0, 1, 2]
    assert (queue.waiting, queue.logged) == (14, 20)
    assert [row[2] for row in queue.take(1000)] == list(range(3, 10))
    assert queue.take(1000) == []
    assert queue.waiting == 0


def test_a_row_larger_than_what_is_asked_for_comes_alone():
    queue = PointQueue(10**6, 100)
    wide = Shape([f"m{number}" for number in range(50)])
    for _ in range(2):
        queue.put(wide, wide.pack(*range(50)), None, 0)

    assert len(queue.take(10)) == 1


def test_a_full_queue_drops_what_is_new_and_counts_it_and_takes_in_again_later():
    queue = PointQueue(3 * SHAPES[0].bytes, 100)
    taken = [queue.put(SHAPES[0], SHAPES[0].pack(1), None, 0) for _ in range(5)]

    assert taken == [True, True, True, False, False]
    assert (queue.dropped, queue.logged) == (2, 3)
    queue.take(1)
    assert queue.put(SHAPES[0], SHAPES[0].pack(1), None, 0)


def test_the_thread_is_woken_once_when_enough_points_wait():
    queue = PointQueue(10**6, 10)
    put = lambda: queue.put(SHAPES[2], SHAPES[2].pack(1, 2), None, 0)  # noqa: E731
    for _ in range(4):
        put()
    assert not queue.wake.is_set()
    put()
    assert queue.wake.is_set()
    queue.wake.clear()
    put()
    assert not queue.wake.is_set()


def test_taking_rows_never_needs_the_lock_that_log_takes():
    queue = PointQueue(10**6, 100)
    queue.put(SHAPES[0], SHAPES[0].pack(1), None, 0)
    queue._lock = None  # a thread asleep inside of log() would hold it as long
    assert len(queue.take(10)) == 1


def test_steps_never_leave_64_bits():
    queue = PointQueue(10**6, 10)
    queue.put(SHAPES[0], SHAPES[0].pack(1), INT64_MAX, 0)
    queue.put(SHAPES[0], SHAPES[0].pack(1), None, 0)
    queue.continue_after(INT64_MAX)

    assert [row[2] for row in queue.take(10)] == [INT64_MAX, INT64_MAX]
    assert queue.next_step == INT64_MAX


def test_shapes_that_share_no_metric_are_gathered_apart():
    shape_a, shape_b = SHAPES[0], SHAPES[1]
    rows = [
        (shape, shape.pack(random.random()), step, step)
        for step in range(100)
        for shape in (shape_a, shape_b)
    ]
    text = metrics_json(rows)
    assert json.loads(text) == columns_one_by_one(rows)

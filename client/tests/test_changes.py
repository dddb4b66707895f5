"""Params and tags that wait. Pure."""

from __future__ import annotations

import pytest
from exptrack_client import outbox
from exptrack_client.outbox import Changes

pytestmark = pytest.mark.only_on("sqlite")  # nothing here meets a database


def taken(waiting):
    """All requests it comes to, in order."""
    return list(iter(waiting.take, None))


def test_a_tag_set_again_meanwhile_is_sent_once():
    waiting = Changes()
    waiting.add("tags", {"stage": "warm-up", "host": "a"})
    waiting.add("tags", {"stage": "main"})

    assert taken(waiting) == [("tags", {"stage": "main", "host": "a"})]


def test_params_and_tags_are_requests_of_their_own():
    waiting = Changes()
    waiting.add("tags", {"a": "b"})
    waiting.add("params", {"lr": 1})

    assert len(waiting) == 2
    assert taken(waiting) == [("params", {"lr": 1}), ("tags", {"a": "b"})]


def test_many_or_long_values_are_several_requests(monkeypatch):
    waiting = Changes()
    waiting.add("params", {str(number): number for number in range(1200)})
    assert [len(values) for _, values in taken(waiting)] == [500, 500, 200]

    monkeypatch.setattr(outbox, "BYTES_A_REQUEST", 100)
    waiting.add("params", {"a": "x" * 60, "b": "x" * 60, "c": "x" * 500, "d": 1})
    assert [list(values) for _, values in taken(waiting)] == [["a"], ["b"], ["c"], ["d"]]

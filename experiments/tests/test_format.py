"""How values look on a page."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from math import inf, nan

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from experiments.templatetags.format import (
    STATUSES,
    ago,
    byte_size,
    capped,
    count_bar,
    day,
    duration,
    exact,
    number,
)

NOW = datetime(2026, 11, 23, 5, 29, 32, tzinfo=UTC)


@pytest.fixture
def now(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.93456789, "0.9346"),
        (0.5, "0.5"),
        (1.0, "1"),
        (-0.25, "-0.25"),
        (12.3456, "12.35"),
        (1234.5, "1,234"),
        (12_345.678, "12,346"),
        (999_949.0, "999,949"),
        (999_999.6, "1e6"),
        (1_234_567.8, "1.235e6"),
        (0.00012345, "0.0001234"),
        (0.0000999999, "0.0001"),
        (0.000012, "1.2e-5"),
        (-1.23456e-7, "-1.235e-7"),
        (5e-324, "4.941e-324"),
        (1.7976931348623157e308, "1.798e308"),
        (0.0, "0"),
        (-0.0, "0"),
        (nan, "NaN"),
        (inf, "∞"),
        (-inf, "-∞"),
        (0, "0"),
        (42, "42"),
        (-1_234_567, "-1,234,567"),
        (999_999_999_999_999, "999,999,999,999,999"),
        (10**15, "1e15"),
        (2**63 - 1, "9.223e18"),
        (-(10**400), "-1e400"),
        (True, "true"),
        (False, "false"),
        (None, "–"),
        ("adam", "adam"),
        ("0.10", "0.10"),
    ],
)
def test_a_number_reads_at_a_glance(value, text):
    assert number(value) == text


@given(st.floats(-1e308, 1e308))
def test_what_a_number_says_is_within_half_a_unit_of_its_fourth_digit(value):
    read = float(number(value).replace(",", ""))
    assert abs(read - value) <= abs(value) * 0.5001e-3


@given(st.integers())
def test_an_integer_says_itself_or_four_digits_of_it(value):
    text = number(value)
    if abs(value) < 10**15:
        assert int(text.replace(",", "")) == value
    else:
        assert re.fullmatch(r"-?\d(\.\d{1,3})?e\d+", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (nan, "–"),
        (0, "0 s"),
        (0.0001, "1 ms"),
        (0.0404, "40 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1, "1 s"),
        (5.31, "5.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (7980, "2 h 13 min"),
        (7985, "2 h 13 min"),
        (86_400 + 59, "1 d"),
        (3 * 86_400 + 4 * 3600, "3 d 4 h"),
        (4000 * 86_400, "4,000 d"),
        (-65, "-1 min 5 s"),
        (timedelta(hours=2, minutes=13), "2 h 13 min"),
    ],
)
def test_a_duration_says_its_two_greatest_units(value, text):
    assert duration(value) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (9, "just now"),
        (40, "40 s ago"),
        (190, "3 min ago"),
        (3600, "1 h ago"),
        (7199, "1 h ago"),
        (29 * 86_400, "29 d ago"),
        (30 * 86_400, "24 Oct 2026"),
        (-40, "in 40 s"),
        (-90 * 86_400, "21 Feb 2027"),
    ],
)
def test_a_moment_is_seen_from_now(now, seconds, words):
    assert f">{words}</time>" in ago(NOW - timedelta(seconds=seconds))


def test_a_moment_carries_its_exact_time(now):
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert ago(east) == (
        '<time datetime="2026-11-23T05:29:32+00:00" title="2026-11-23 05:29:32 UTC" data-ago>'
        "just now</time>"
    )
    assert "data-ago" not in ago(NOW + timedelta(hours=1))


def test_no_moment_is_a_dash():
    assert ago(None) == exact(None) == day(None) == "–"


def test_a_day_is_a_day_in_utc():
    late = datetime(2026, 3, 12, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert day(late) == "13 Mar 2026"
    assert day(date(2026, 3, 1)) == "1 Mar 2026"
    assert exact(late) == "2026-03-13 04:30:00 UTC"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (812, "812 B"),
        (1000, "1 KiB"),
        (1434, "1.4 KiB"),
        (14_300, "14 KiB"),
        (16 * 1024**2, "16 MiB"),
        (1023 * 1024**2, "1 GiB"),
        (5 * 1024**5, "5,120 TiB"),
    ],
)
def test_bytes_read_in_a_fitting_unit(count, text):
    assert byte_size(count) == text


def test_a_long_count_is_capped():
    assert [capped(total) for total in (0, 9999, 10_000, 10_001)] == [
        "0",
        "9,999",
        "10,000",
        "10,000+",
    ]


def test_a_bar_shows_each_status_nearly_in_proportion():
    bar = count_bar({"finished": 75, "failed": 25, "queued": 0, "total": 100})
    assert bar["total"] == 100
    assert bar["segments"] == [
        {"status": "finished", "count": 75, "x": 0.0, "width": 74.0},
        {"status": "failed", "count": 25, "x": 74.0, "width": 26.0},
    ]


@given(st.dictionaries(st.sampled_from(STATUSES), st.integers(0, 10**9)))
def test_a_bar_is_full_and_nothing_in_it_invisible(counts):
    segments = count_bar(counts)["segments"]
    assert {part["status"] for part in segments} == {name for name in counts if counts[name]}
    if segments:
        assert all(part["width"] >= 2 for part in segments)
        assert abs(sum(part["width"] for part in segments) - 100) < 0.1


def test_a_bar_without_runs_says_so():
    html = Template("{% load format %}{% count_bar counts %}").render(Context({"counts": {}}))
    assert "No runs" in html


def test_a_bar_is_said_in_words_too():
    counts = {"running": 1, "finished": 1234}
    html = Template("{% load format %}{% count_bar counts %}").render(Context({"counts": counts}))
    assert 'aria-label="1235 runs"' in html
    assert 'title="1,234 finished"' in html
    assert 'aria-label="running"' in html
    assert "style=" not in html
    assert "<a" not in html


def test_a_bar_leads_to_the_runs_it_counts():
    text = "{% load format %}{% count_bar counts '/here/' %}"
    html = Template(text).render(Context({"counts": {"failed": 2, "killed": 0}}))
    assert html.count("<a ") == 1
    assert 'href="/here/?status=failed"' in html

"""The filter language as text: what parses to what, and what is said of what does not."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import search
from experiments.fields import Field
from experiments.literals import Ago, Span
from experiments.search import Compare, Given, Is, Join, Not, Word, parse
from experiments.syntax import MAX_BYTES, QueryFault

LOSS = Field("metric", "loss", "last")
LR = Field("param", "lr")


def on(attribute: str, operator: str, *values: object) -> Compare:
    return Compare(Field("attribute", attribute), operator, values)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("metrics.loss > 0.5", Compare(LOSS, ">", (0.5,))),
        ("metrics.loss.last>.5", Compare(LOSS, ">", (0.5,))),
        ("metrics.`a/b`.min<=-1e-3", Compare(Field("metric", "a/b", "min"), "<=", (-1e-3,))),
        ('metrics."loss.min" = 1', Compare(Field("metric", "loss.min", "last"), "=", (1,))),
        ("metrics.loss.last_step = 9007199254740993",
         Compare(Field("metric", "loss", "last_step"), "=", (9007199254740993,))),
        ("params.lr = 0.1", Compare(LR, "=", (Given("0.1", 0.1, False),))),
        ("params.lr = '0.1'", Compare(LR, "=", (Given("0.1", 0.1, True),))),
        (r'params.lr ~ "a \"b\" \\ \d"', Compare(LR, "~", (Given(r'a "b" \ \d', None, True),))),
        ("params.lr not in (1, adam)",
         Compare(LR, "not in", (Given("1", 1.0, False), Given("adam", None, False)))),
        ("params.lr between 1e-4 and 1",
         Compare(LR, "between", (Given("1e-4", 1e-4, False), Given("1", 1.0, False)))),
        ("metrics.loss HAS NaN", Is(LOSS, "nan")),
        ("tags.debug", Is(Field("tag", "debug"), "exists")),
        ("tags.debug exists", Is(Field("tag", "debug"), "exists")),
        ("params.lr IS NULL", Is(LR, "null")),
        ("params.lr is not null", Not(Is(LR, "null"), 1, 1)),
        ("not not not adam", Not(Word("adam"), 1, 1)),
        ("((adam))", Word("adam")),
        ("status = Lost", on("status", "=", "lost")),
        ("duration > 1h30m", on("duration", ">", timedelta(minutes=90))),
        ("duration > 90", on("duration", ">", timedelta(seconds=90))),
        ("started > -7d", on("started", ">", Ago(timedelta(days=7)))),
        ("started = 2026-01-31",
         on("started", "=", Span(datetime(2026, 1, 31, tzinfo=UTC),
                                 datetime(2026, 2, 1, tzinfo=UTC)))),
        ("started < '2026-01-31 12:00:30.5+01:00'",
         on("started", "<", Span(datetime(2026, 1, 31, 11, 0, 30, 500_000, UTC),
                                 datetime(2026, 1, 31, 11, 0, 30, 500_001, UTC)))),
        ("id = 019A0000000070008000000000000000",
         on("id", "=", UUID("019a0000-0000-7000-8000-000000000000"))),
        ("name = 'e\u0301'", on("name", "=", "\xe9")),
        ("", search.EVERYTHING),
        (" \n ", search.EVERYTHING),
    ],
)  # fmt: skip
def test_a_text_becomes_a_tree(text, tree):
    assert parse(text) == tree


def test_and_binds_closer_than_or_and_not_closest():
    tree = parse("adam or not resnet AND digits")
    resnet = Not(Word("resnet"), 1, 1)
    assert tree == Join(False, (Word("adam"), Join(True, (resnet, Word("digits")), 2, 2)), 3, 3)


def test_plain_words_are_looked_for_in_names():
    assert parse("resnet android") == Join(True, (Word("resnet"), Word("android")), 1, 2)
    assert parse('"not adam" or 0.1') == Join(False, (Word("not adam"), Word("0.1")), 1, 2)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("status = finished", "attributes.status = 'FINISHED'"),
        ("status = finished", 'attribute.status = "FINISHED"'),
        ("status = queued", "run.status='SCHEDULED'"),
        ("name like '%x%'", "attr.run_name LIKE '%x%'"),
        ("owner = alice", "user_id == 'alice'"),
        ("metrics.acc > 0.9 and params.lr = '0.1'", "metric.acc > 0.9 AND parameters.lr = '0.1'"),
        ("tags.`mlflow.user` ilike 'A%'", 'tag."mlflow.user" ILIKE "A%"'),
        ("started > 2022-09-25T01:04:12.747Z", "attributes.start_time > 1664067852747"),
    ],
)
def test_mlflows_filters_mean_the_same(ours, theirs):
    assert str(parse(ours)).replace("747001", "748000") == str(parse(theirs))


@pytest.mark.parametrize(
    ("text", "position", "found", "says"),
    [
        ("params.lr >", 11, "", "ends where a value"),
        ("params.lr 0.1", 10, "0.1", "expected an operator such as"),
        ("params.lr > 0.1 params.x", 16, "params.x", "expected and, or or the end"),
        ("statsu = running", 0, "statsu", "Did you mean status?"),
        ("lr > 0.1", 0, "lr", "Did you mean params.lr, metrics.lr or tags.lr?"),
        ("adam status = running", 5, "status", "Put and or or before"),
        ("metrics.loss > high", 15, "high", "compared with a number"),
        ("metrics.loss = nan", 15, "nan", "has nan"),
        ("metrics.loss ~ 3", 13, "~", "cannot be compared by ~"),
        ("metrics.loss has fun", 17, "fun", "has nan or has inf"),
        ("params.lr has nan", 0, "params.lr", "Only a metric"),
        ("metrics.val:loss > 1", 11, ":loss", "backticks"),
        ("metrics.", 0, "metrics.", "comes a name"),
        ("tags.'a'", 0, "tags.'a'", "comes a name"),
        ('tags."a=b"', 0, 'tags."a=b"', "A name is made of"),
        ("metrics.`loss`.median > 1", 0, "metrics.`loss`.median", ".median is not one of"),
        ("params.x = params.y", 11, "params.y", "expected a value"),
        ("params.x = and", 11, "and", "expected a value"),
        ("name = 'abc", 7, "'abc", "quote is not closed"),
        ("(adam", 5, "", "ends where )"),
        ("adam)", 4, ")", "never opened"),
        ("status = runing", 9, "runing", "Known are queued"),
        ("status < lost", 7, "<", "It goes with =, !=, in, not in"),
        ("started > yesterday", 10, "yesterday", "is no time"),
        ("started > 2026-02-30", 10, "2026-02-30", "There is no time"),
        ("started > 0001-01-01T00:00+10:00", 10, "0001-01-01T00:00+10:00", "There is no time"),
        ("started > 2026", 10, "2026", "is no time"),
        ("duration > long", 11, "long", "is no duration"),
        ("duration > 9999999d", 11, "9999999d", "at most 100,000 days"),
        ("id = 7", 5, "7", "is no id"),
        ("and", 0, "and", "expected a field"),
        ("a\0b", 1, "", "NUL"),
        ("a \ud800", 2, "", "no character"),
    ],
)
def test_a_fault_names_its_place_and_what_was_expected(text, position, found, says):
    with pytest.raises(QueryFault) as caught:
        parse(text)
    fault = caught.value
    assert (fault.position, fault.found) == (position, found)
    assert says in str(fault)
    assert f"At character {position + 1}: " in str(fault)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params.lr in 3", ["("]),
        ("params.lr is 3", ["not", "null"]),
        ("params.lr between 1 to 2", ["and"]),
        ("not", ["a field", "not", "(", "words to look for in names"]),
    ],
)
def test_what_was_expected_is_told(text, expected):
    with pytest.raises(QueryFault) as caught:
        parse(text)
    assert caught.value.expected == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x" * (MAX_BYTES + 1), "at most 2,048 bytes, this has 2,049"),
        ("é" * (MAX_BYTES // 2 + 1), "at most 2,048 bytes"),
        (" or ".join("a" for _ in range(51)), "at most 50 conditions"),
        ("not (a and " * 41 + "b" + ")" * 41, "levels deep"),
    ],
)
def test_what_is_too_much_is_refused(text, says):
    with pytest.raises(QueryFault, match=says):
        parse(text)


@pytest.mark.parametrize(
    "text", ["x" * MAX_BYTES, "(" * 1000 + "a" + ")" * 1000, "not " * 500 + "a",
             f"params.x in ({'1,' * 1000}1)", " or ".join("a" for _ in range(50))]
)  # fmt: skip
def test_what_is_just_not_too_much_is_parsed(text):
    parse(text)


PIECES = st.sampled_from(
    ["metrics.", "params.a", "tags.`b`", "status", "and", "or", "not", "in", "(", ")", "is", "null",
     "=", "!=", "~", "has", "nan", "between", ",", "0.1", "-7d", '"', "'", "`", "\\", " ", ".", "-",
     "2026-01-01", "like", "%", "é", "\n", "\0"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=2048), st.lists(PIECES, max_size=400).map("".join),
                 st.lists(PIECES, max_size=300).map(" ".join)))  # fmt: skip
def test_any_text_is_parsed_or_refused_with_a_place_in_it(text):
    with suppress(QueryFault):
        assert parse(text).size <= search.MAX_CONDITIONS
        return
    with pytest.raises(QueryFault) as caught:
        parse(text)
    assert 0 <= caught.value.position <= len(text)
    assert len(str(caught.value)) < 500

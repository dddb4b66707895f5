"""What the filter language means, told a second time in plain Python: runs drawn at random,
conditions drawn by hypothesis, and which of the runs meet which condition. Shares no code with
`search` and `matching`."""

from __future__ import annotations

import math
import operator
import random
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from experiments.values import canonical_text

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
AGGREGATES = ("", ".last", ".min", ".max", ".mean", ".count", ".first_step", ".last_step")

# --- Runs ------------------------------------------------------------------------------------

TEXTS = [
    *("adam", "Adam", "adamw", "a%b", "a_b", "a\\b", "a*b", "[a]", "İstanbul", "istanbul", "ΣΑΣ"),
    *("σας", "Straße", "STRASSE", "0.1", "0.10", "1e-1", "10", "9", "NaN", "Infinity", "", " "),
    *("true", "null", "x" * 199, "x" * 200, "x" * 199 + "y", "x" * 260, "it's", 'say "hi"'),
    "1" * 120,  # a tag of so many digits is a text only
]
PARAMS = [*TEXTS, 0.1, 1, 1.0, -2.5, 0, 10, 1e-4, 2**53 + 1, 1e300, True, False, None, [1, "a"],
          {"a": 1.0}]  # fmt: skip
VALUES = [0.0, -0.0, 0.1, 1.0, -2.5, 1e-320, 1.7e308, math.nan, math.inf, -math.inf]
STEPS = [0, 1, 7, -(2**63), 2**63 - 1]
STARTS = [
    None,
    *(NOW - timedelta(seconds=age) for age in (0, 1, 59, 3600, 86_400, 700_000)),
    *(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 31, 12, 0, 30, 5, tzinfo=UTC)),
]


@dataclass
class Drawn:
    """A run before it is stored."""

    name: str
    notes: str
    status: str  # as shown
    owner: str
    has_parent: bool
    started: datetime | None
    ended: datetime | None
    seen: datetime
    params: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)


def drawn_runs(chance: random.Random) -> list[Drawn]:
    """Runs among which every value of a param and every text of a tag occurs."""
    return [drawn_run(value, chance) for value in PARAMS]


def drawn_run(value: object, chance: random.Random) -> Drawn:
    """A run with this param, whatever else it may have."""
    status = chance.choice(["queued", "running", "lost", "finished", "failed", "killed"])
    started = chance.choice(STARTS)
    ended = None
    if status in ("finished", "failed", "killed"):
        ended = (started or NOW) + timedelta(seconds=chance.choice([0, 60, 90, 7200]))
    return Drawn(
        name=chance.choice([text for text in TEXTS if text.strip() and len(text) < 250]),
        notes=chance.choice(["", "adam", "Read me"]),
        status=status,
        owner=chance.choice(["alice", "bob"]),
        has_parent=chance.random() < 0.5,
        started=started,
        ended=ended,
        seen=NOW - timedelta(hours=1) if status == "lost" else NOW,
        params={"p": value} | some({"q": chance.choice(PARAMS)}, chance),
        tags=some(
            {"p": value if isinstance(value, str) else "", "q": chance.choice(TEXTS)}, chance
        ),
        metrics=some({"m": series(chance), "a/b": series(chance)}, chance),
    )


def some(items: dict, chance: random.Random) -> dict:
    """Most of the items."""
    return {name: item for name, item in items.items() if chance.random() < 0.8}


def series(chance: random.Random) -> list[tuple[int, float]]:
    """Points, as (step, value)."""
    count = chance.randint(1, 4)
    return [(chance.choice(STEPS), chance.choice(VALUES)) for _ in range(count)]


# --- Conditions ------------------------------------------------------------------------------


@dataclass
class Asked:
    """A condition: as text, and as what it is made of."""

    text: str
    kind: str
    parts: tuple


def quoted(text: str) -> str:
    """A text as the language quotes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def sets_of(values: st.SearchStrategy) -> st.SearchStrategy:
    """(operator, values) for one, two and many values."""
    return st.one_of(
        st.tuples(st.sampled_from(["=", "!=", *ORDER]), st.tuples(values)),
        st.tuples(st.just("between"), st.tuples(values, values)),
        st.tuples(st.sampled_from(["in", "not in"]), st.lists(values, min_size=1, max_size=3)),
    )


def words_of(sign: str, values: list[str]) -> str:
    """`OPERATOR values` as text."""
    if sign == "between":
        return f"between {values[0]} and {values[1]}"
    return f"{sign} ({', '.join(values)})" if sign.endswith("in") else f"{sign} {values[0]}"


NUMBERS = ["0.1", "1", "1.0", "-2.5", "0", "10", "1e-4", "1e999", "7", "9223372036854775807",
           "9007199254740993", "-9223372036854775808", "0.5", "1e19", "-1e19"]  # fmt: skip


@st.composite
def metric_conditions(draw) -> Asked:
    name = draw(st.sampled_from(["m", "a/b", "absent"]))
    aggregate = draw(st.sampled_from(AGGREGATES))
    numbers = [number for number in NUMBERS if number != "1e999"]
    sign, values = draw(sets_of(st.sampled_from(numbers)))
    word = f"metrics.`{name}`{aggregate}"
    return Asked(
        f"{word} {words_of(sign, list(values))}", "metric", (name, aggregate, sign, values)
    )


@st.composite
def label_conditions(draw) -> Asked:
    """On a param or a tag."""
    room, name = draw(st.sampled_from(["params", "tags"])), draw(st.sampled_from("pqz"))
    given = st.one_of(
        st.sampled_from(NUMBERS).map(lambda text: (text, False)),
        st.sampled_from(TEXTS).map(lambda text: (text, True)),
    )
    texts = given.filter(lambda pair: pair[1])
    patterns = st.sampled_from(
        [*TEXTS, "a%", "%A%", "_dam", r"a\%b", r"a\_b", "a\\", "%", "[a]%", "*"]
    ).map(lambda text: (text, True))
    sign, values = draw(
        st.one_of(
            sets_of(given),
            st.tuples(st.sampled_from(["~", "!~"]), st.tuples(texts)),
            st.tuples(st.sampled_from(["like", "ilike"]), st.tuples(patterns)),
        )
    )
    shown = [quoted(text) if is_text else text for text, is_text in values]
    return Asked(f"{room}.{name} {words_of(sign, shown)}", "label", (room, name, sign, values))


@st.composite
def presence_conditions(draw) -> Asked:
    word, what = draw(
        st.sampled_from(
            [(f"{room}.{name}", what) for room in ("params", "tags", "metrics") for name in "pqmz"
             for what in ("", "exists", "is null", "is not null")]
            + [(f"metrics.{name}", f"has {odd}") for name in "mz" for odd in ("nan", "inf")]
            + [(name, what) for name in ("parent", "notes", "started", "ended", "name")
               for what in ("exists", "is null", "is not null")]
        )
    )  # fmt: skip
    return Asked(f"{word} {what}", "presence", (word, what))


SPANS = {  # what a text means: from, up to and not including
    "2026-01-31": (datetime(2026, 1, 31, tzinfo=UTC), timedelta(days=1)),
    "2026-01-31T13:00+01:00": (datetime(2026, 1, 31, 12, tzinfo=UTC), timedelta(minutes=1)),
    "2026-01-31T12:00:30Z": (datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC), timedelta(seconds=1)),
    "-59s": (NOW - timedelta(seconds=59), timedelta(microseconds=1)),
    "-1h": (NOW - timedelta(hours=1), timedelta(microseconds=1)),
    "-1w": (NOW - timedelta(weeks=1), timedelta(microseconds=1)),
    "9999-12-31": (datetime(9999, 12, 31, tzinfo=UTC), timedelta(days=1, microseconds=-1)),
    "1769860800000": (datetime(2026, 1, 31, 12, tzinfo=UTC), timedelta(milliseconds=1)),
}
LENGTHS = {"60": 60, "1m": 60, "90s": 90, "2h": 7200, "1m30s": 90, "0s": 0, "3d": 259_200}


@st.composite
def attribute_conditions(draw) -> Asked:
    name, values, signs = draw(
        st.sampled_from(
            [
                ("status", ["running", "LOST", "finished", "'FAILED'", "scheduled"], False),
                ("owner", ["alice", "ALICE", "bob"], True),
                ("name", [quoted(text) for text in TEXTS], True),
                ("started", list(SPANS), True),
                ("ended", list(SPANS), True),
                ("duration", list(LENGTHS), True),
            ]
        )
    )
    chosen = sets_of(st.sampled_from(values))
    if not signs:
        chosen = chosen.filter(lambda pair: pair[0] in ("=", "!=", "in", "not in"))
    if name in ("owner", "name"):
        other = st.tuples(st.sampled_from(["~", "!~", "like", "ilike"]),
                          st.tuples(st.sampled_from(values)))  # fmt: skip
        chosen = st.one_of(chosen, other)
    sign, picked = draw(chosen)
    return Asked(f"{name} {words_of(sign, list(picked))}", "attribute", (name, sign, picked))


WORDS = st.sampled_from(["adam", "ISTANBUL", "ß", "σ", "x" * 30]).map(
    lambda text: Asked(text, "word", (text,))
)
CONDITIONS = st.one_of(
    metric_conditions(), label_conditions(), presence_conditions(), attribute_conditions(), WORDS
)


def joined(parts: list[Asked]) -> st.SearchStrategy:
    return st.sampled_from(["and", "or"]).map(
        lambda sign: Asked(
            "(" + f") {sign} (".join(part.text for part in parts) + ")", sign, tuple(parts)
        )
    )


QUERIES = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        inner.map(lambda part: Asked(f"not ({part.text})", "not", (part,))),
        st.lists(inner, min_size=2, max_size=3).flatmap(joined),
    ),
    max_leaves=5,
)

# --- Which runs meet them --------------------------------------------------------------------


def meets(run: Drawn, asked: Asked) -> bool:
    """Whether a run is meant."""
    if asked.kind == "and":
        return all(meets(run, part) for part in asked.parts)
    if asked.kind == "or":
        return any(meets(run, part) for part in asked.parts)
    if asked.kind == "not":
        return not meets(run, asked.parts[0])
    return CHECKS[asked.kind](run, *asked.parts)


def lowered(text: str) -> str:
    """Lower case, a letter for a letter."""
    return "".join("i" if letter == "İ" else letter.lower() for letter in text)


def number_of(text: str) -> float | None:
    if not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def order(sign: str, values: list, test) -> bool:  # noqa: ANN001
    """Any operator but the negative ones, by `test(plain operator, value)`."""
    if sign == "between":
        return test(">=", values[0]) and test("<=", values[1])
    if sign == "in":
        return any(test("=", value) for value in values)
    return test(sign, values[0])


POSITIVE = {"!=": "=", "!~": "~", "not in": "in"}


def metric(run: Drawn, name: str, aggregate: str, sign: str, values: list[str]) -> bool:
    points = run.metrics.get(name)
    if points is None:
        return False
    value = aggregated(points, aggregate.removeprefix(".") or "last")
    if value is None or not math.isfinite(value):
        return False
    numbers = [int(text) if re.fullmatch(r"-?\d+", text) else float(text) for text in values]
    if isinstance(value, float):
        numbers = [float(number) for number in numbers]

    def test(plain, number):  # noqa: ANN001, ANN202
        return value == number if plain == "=" else ORDER[plain](value, number)

    if sign in POSITIVE:
        return not order(POSITIVE[sign], numbers, test)
    return order(sign, numbers, test)


def aggregated(points: list[tuple[int, float]], aggregate: str) -> float | int | None:
    """Of points logged in this order, at times that go on."""
    steps = [step for step, _ in points]
    finite = [value + 0.0 for _, value in points if math.isfinite(value)]
    if aggregate in ("count", "first_step", "last_step"):
        return {"count": len(points), "first_step": min(steps), "last_step": max(steps)}[aggregate]
    if aggregate == "last":
        greatest = max(range(len(points)), key=lambda index: (steps[index], index))
        return points[greatest][1]
    if not finite:
        return None
    if aggregate in ("min", "max"):
        return min(finite) if aggregate == "min" else max(finite)
    total = 0.0
    for value in finite:
        total += value
    return 0.0 if abs(total) < 1e-300 else total / len(finite)


def label(run: Drawn, room: str, name: str, sign: str, values: list[tuple[str, bool]]) -> bool:
    there = getattr(run, room)
    if name not in there:
        return False
    raw = there[name]
    text = canonical_text(raw)
    number = None if isinstance(raw, bool) or not isinstance(raw, int | float | str) else (
        number_of(text) if isinstance(raw, str) else float(raw)
    )  # fmt: skip
    if room == "tags" and len(text) > 99:
        number = None
    numeric = [number_of(value) is not None and not is_text for value, is_text in values]
    if sign in POSITIVE:
        odd = any(numeric) and text in ("NaN", "Infinity", "-Infinity")
        return not odd and not order(
            POSITIVE[sign], values, lambda plain, value: labelled(text, number, plain, value)
        )
    return order(sign, values, lambda plain, value: labelled(text, number, plain, value))


def labelled(text: str, number: float | None, plain: str, given: tuple[str, bool]) -> bool:
    value, is_text = given
    wanted = number_of(value)
    if plain in ("~", "like", "ilike"):
        return text_meets(text, plain, value)
    if plain == "=":
        by_number = wanted is not None and number == wanted
        return by_number or ((is_text or wanted is None) and text == value)
    if wanted is not None:
        return number is not None and ORDER[plain](number, wanted)
    return ORDER[plain](text, value)


def text_meets(text: str, plain: str, value: str) -> bool:
    if plain == "=":
        return text == value
    if plain == "~":
        return lowered(value) in lowered(text)
    if plain == "ilike":
        text, value = lowered(text), lowered(value)
    if plain in ORDER:
        return ORDER[plain](text, value)
    pattern = re.sub(
        r"\\(.)|([%_])|(.)",
        lambda found: {"%": ".*", "_": "."}.get(found[2]) or re.escape(found[1] or found[3]),
        value,
        flags=re.DOTALL,
    )
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def presence(run: Drawn, word: str, what: str) -> bool:
    room, _, name = word.rpartition(".")
    if not room:
        there = bool({"parent": run.has_parent}.get(word) or getattr(run, word, None))
        return there != (what == "is null")
    rows = getattr(run, room)
    if what.startswith("has"):
        test = math.isnan if what == "has nan" else math.isinf
        return any(test(value) for _, value in rows.get(name, ()))
    if what in ("", "exists"):
        return name in rows
    is_null = name not in rows or rows[name] is None
    return is_null == (what == "is null")


def attribute(run: Drawn, name: str, sign: str, values: list[str]) -> bool:
    if name == "status":
        value = run.status
        wanted = [text.strip("'").lower().replace("scheduled", "queued") for text in values]
    elif name in ("owner", "name"):
        value = getattr(run, name)
        wanted = [re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text
                  for text in values]  # fmt: skip
    elif name == "duration":
        if run.started is None:
            return False
        end = run.ended or (run.seen if run.status == "lost" else NOW)
        value = end - run.started
        wanted = [timedelta(seconds=LENGTHS[text]) for text in values]
    else:
        value = getattr(run, name)
        if value is None:
            return False
        wanted = [(start, start + length) for start, length in map(SPANS.get, values)]

    def test(plain, other):  # noqa: ANN001, ANN202
        if name in ("started", "ended"):
            start, end = other
            return {"=": start <= value < end, "<": value < start, "<=": value < end,
                    ">": value >= end, ">=": value >= start}[plain]  # fmt: skip
        if name in ("owner", "name"):
            return text_meets(value, plain, other)
        return value == other if plain == "=" else ORDER[plain](value, other)

    if sign in POSITIVE:
        return not order(POSITIVE[sign], wanted, test)
    return order(sign, wanted, test)


def word(run: Drawn, text: str) -> bool:
    return lowered(text) in lowered(run.name)


CHECKS = {"metric": metric, "label": label, "presence": presence, "attribute": attribute,
          "word": word}  # fmt: skip

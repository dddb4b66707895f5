"""Runs in groups: those with the same values of some params or tags, and what came of each group.

Grouped in Python over at most 10,000 runs, the newest: a selection may be narrowed by anything and
grouped by twenty params, which no join of the params with themselves would bear. Params are read by
one statement, tags and metrics too, however many fields, runs and groups there are.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Case, CharField, Count, F, Max, Min, QuerySet, Value, When
from django.db.models.functions import MD5, Cast, Length

from experiments.csv_text import csv_line
from experiments.expressions import Among, Words, words_of
from experiments.fields import Field, parse_field
from experiments.models import Metric, Param, Tag
from experiments.names import names_in
from experiments.paging import bounded_count
from experiments.querysets import metric_is_finite, metric_value
from experiments.tables import COMPARED
from experiments.values import TEXT_HEAD_LENGTH, InvalidValue

MOST_RUNS = 10_000
MOST_FIELDS = 20
MOST_PARAMS = 200  # among which those that differ are looked for
NUMBER, TEXT, ABSENT = range(3)  # how keys of different kinds follow one another
MODELS = {"param": Param, "tag": Tag}


@dataclass(frozen=True, slots=True)
class Grouping:
    """By what runs are grouped: these params and tags, or all params that differ but these."""

    fields: tuple[Field, ...]
    all_but: bool = False

    def __str__(self) -> str:
        return ",".join(f"{'-' * self.all_but}{each}" for each in self.fields)


def parse_grouping(text: str) -> Grouping:
    """What `params.lr,tags.stage` or `-params.seed` means, or InvalidValue."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    fields = tuple(dict.fromkeys(parse_field(word.removeprefix("-")) for word in words))
    left_out = {word.startswith("-") for word in words}
    if any(each.kind not in MODELS for each in fields):
        raise InvalidValue("Runs are grouped by params.<name> and tags.<name>.")
    if len(left_out) != 1:
        raise InvalidValue("Name what to group by, or with - in front of each what not to.")
    if len(fields) > MOST_FIELDS:
        raise InvalidValue(f"Runs are grouped by at most {MOST_FIELDS} fields at once.")
    return Grouping(fields, all_but=left_out == {True})


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """The value that a group's runs share: its kind and place among others, and as it is shown
    (None where they have none). Of equal ones `keys_of` makes one object, told by its identity:
    two hundred thousand are looked up."""

    kind: int
    value: float | str
    shown: str | None

    @property
    def order(self) -> tuple:
        return (self.kind, self.value)


# A run's id as the database writes it: ten thousand of them cost a tenth of as many UUIDs.
RUN_WORD = Cast("run_id", CharField())
NO_KEY = Key(ABSENT, "", None)


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over the runs of a group that have a finite value: how many those are, mean, sample
    standard deviation (n - 1; None for one run), least and greatest."""

    count: int
    mean: float
    std: float | None
    least: float
    greatest: float


@dataclass(slots=True)
class Group:
    """Runs with the same keys, in the order of the fields they are grouped by, newest first."""

    keys: tuple[Key, ...]
    run_ids: list[uuid.UUID] = field(default_factory=list)
    latest: datetime | None = None
    spreads: dict[Field, Spread] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """What names the group in an address: short, and the same as long as its keys are."""
        text = repr([(key.kind, key.value) for key in self.keys])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(slots=True)
class Grouped:
    """The groups of a selection, by which fields, over how many runs, and whether that is all."""

    fields: list[Field]
    groups: list[Group]
    runs: int
    is_whole: bool


def grouped(rows: QuerySet, experiment_id: uuid.UUID, grouping: Grouping) -> Grouped:
    """The selected runs of an experiment in groups, ordered by their keys."""
    runs = list(newest_of(rows).values_list("pk", "started_at"))
    runs.sort(key=lambda run: run[1] is None)  # first on PostgreSQL, last on SQLite
    words = words_of([pk for pk, _ in runs])
    fields = fields_of(grouping, experiment_id, words)
    keys = keys_of(fields, words)
    groups: dict[tuple, Group] = {}
    for word, (pk, started) in zip(words, runs, strict=True):
        of_run = tuple(found.get(word, NO_KEY) for found in keys)
        if (group := groups.get(of_run)) is None:
            group = groups[of_run] = Group(of_run, latest=started)
        group.run_ids.append(pk)
    ordered = sorted(groups.values(), key=lambda group: [key.order for key in group.keys])
    is_whole = len(runs) < MOST_RUNS or bounded_count(rows)[1]
    return Grouped(fields, ordered, len(runs), is_whole)


def newest_of(rows: QuerySet) -> QuerySet:
    """As many of the selected runs as are grouped."""
    return rows.select_related(None).order_by("-started_at", "-pk")[:MOST_RUNS]


def fields_of(grouping: Grouping, experiment_id: uuid.UUID, runs: Sequence[str]) -> list[Field]:
    """The fields that a grouping of these runs names; of all params but some those that differ, or
    that only some runs have, as many as can be grouped by."""
    if not grouping.all_but:
        return list(grouping.fields)
    left_out = {each.name for each in grouping.fields if each.kind == "param"}
    names = [
        name
        for name in names_in(experiment_id, "param", most=MOST_PARAMS)[0]
        if name not in left_out
    ]
    differing = (
        Param.objects.filter(Among("run", runs), name__in=names)
        .order_by("name")
        .values("name")
        .annotate(least=Min("text_head"), greatest=Max("text_head"), runs=Count("pk"))
        .exclude(least=F("greatest"), runs=len(runs))
    )
    return [Field("param", row["name"]) for row in differing[:MOST_FIELDS]]


def keys_of(fields: Sequence[Field], runs: Sequence[str]) -> list[dict[str, Key]]:
    """For each field the keys that runs have in it, by the run's id as a word. Numbers are equal as
    numbers, whatever they were logged as; texts whole, though of a long one only the head is
    shown. A statement for each kind of field."""
    found: dict[Field, dict[str, Key]] = {each: {} for each in fields}
    known: dict[tuple, Key] = {}
    for kind in MODELS:
        names = [each.name for each in fields if each.kind == kind]
        for name, having, *value in values_of(kind, names, runs) if names else ():
            key = key_of(*value)
            key = known.setdefault(key.order, key)
            found[Field(kind, name)].update(dict.fromkeys(having.split(), key))
    return list(found.values())


def values_of(kind: str, names: Sequence[str], runs: Sequence[str]) -> QuerySet:
    """Each value of the params or tags of these names, with the runs that have it, as words: a
    sweep has few values, and a row for each run's cost ten times as long."""
    # Beyond the head only a digest is read: a text may have 64 KiB.
    is_long = When(length=TEXT_HEAD_LENGTH, then=MD5("text"))
    rest = Case(is_long, default=Value(""), output_field=CharField())
    typed = ("kind", "number") if kind == "param" else ()
    rows = MODELS[kind].objects.filter(Among("run", runs), name__in=names).order_by()
    rows = rows.annotate(length=Length("text_head"), rest=rest)
    values = ("text_head", "rest", *typed)
    return (
        rows.values("name", *values)
        .annotate(having=Words("run"))
        .values_list("name", "having", *values)
    )


def key_of(head: str, digest: str, kind: str = "text", number: float | None = None) -> Key:
    """The key of one stored value; a tag's is a text."""
    if number is not None:
        return Key(NUMBER, number + 0.0, head)
    return Key(TEXT, f"{head}{digest}\0{kind}", head)


# --- Metrics of groups ---------------------------------------------------------------------------


def add_spreads(groups: Sequence[Group], columns: Iterable[Field]) -> None:
    """Give groups the spread of each of these metric columns, where they have any; a statement
    for each aggregate among them."""
    columns = [each for each in columns if each.kind == "metric" and each.aggregate in COMPARED]
    runs = words_of([pk for group in groups for pk in group.run_ids])
    numbers = [number for number, group in enumerate(groups) for _ in group.run_ids]
    place = dict(zip(runs, numbers, strict=True))
    for aggregate in dict.fromkeys(each.aggregate for each in columns):
        named = {each.name: each for each in columns if each.aggregate == aggregate}
        pairs: dict[str, list[tuple[int, float]]] = {name: [] for name in named}
        rows = (
            Metric.objects.filter(Among("run", runs), name__in=list(named))
            .filter(metric_is_finite(aggregate))
            .order_by()
            .values_list(RUN_WORD, "name", metric_value(aggregate))
        )
        for run, name, value in rows:
            pairs[name].append((place[run], value))
        for name, column in named.items():
            for number, spread in spreads(pairs[name]):
                groups[number].spreads[column] = spread


def spreads(pairs: Iterable[tuple[int, float]]) -> Iterator[tuple[int, Spread]]:
    """The spread of each group named in the (group, value) pairs."""
    values: dict[int, list[float]] = {}
    for number, value in pairs:
        values.setdefault(number, []).append(value)
    for number, of_group in values.items():
        yield number, spread_of(of_group)


def spread_of(values: Sequence[float]) -> Spread:
    """Of finite values, in two passes: a sum of squares alone would lose what little tells alike
    values apart. Sums are exact before they are rounded, so the order of the rows is no matter."""
    count, least, greatest = len(values), min(values), max(values)
    try:
        mean = math.fsum(values) / count
    except OverflowError:  # near the greatest double, parts are summed
        mean = math.fsum(value / count for value in values)
    mean = min(max(mean, least), greatest)  # rounding must not carry it past the values
    try:
        squares = math.fsum((value - mean) ** 2 for value in values)
    except OverflowError:
        squares = math.inf
    std = math.sqrt(squares / (count - 1)) if count > 1 else None
    return Spread(count, mean, std, least, greatest)


# --- Their order, and as CSV ---------------------------------------------------------------------


def group_ordering(fields: Sequence[Field], columns: Sequence[Field]) -> Callable[[str], str]:
    """A rule that takes what groups can be ordered by: `runs`, `started`, a field they are grouped
    by, or the mean of a metric shown; with - for downward."""
    words = ["runs", "started", *map(str, fields), *map(str, columns)]

    def rule(text: str) -> str:
        word = text.removeprefix("-")
        if word not in words:
            raise InvalidValue(f"Groups are ordered by {', '.join(words[:8])}.")
        return text

    return rule


def put_in_order(found: Grouped, columns: Sequence[Field], ordering: str) -> None:
    """Order groups as `group_ordering` let through; those without a value come last either way,
    ties stay in the order of their keys."""
    word, down = ordering.removeprefix("-"), ordering.startswith("-")
    by_word = {str(each): place for place, each in enumerate(found.fields)}
    column = next((each for each in columns if str(each) == word), None)

    def value(group: Group) -> object:
        if word == "runs":
            return len(group.run_ids)
        if word == "started":
            return group.latest
        if word in by_word:
            key = group.keys[by_word[word]]
            return None if key is NO_KEY else key.order
        spread = group.spreads.get(column)
        return None if spread is None else spread.mean

    having = [group for group in found.groups if value(group) is not None]
    without = [group for group in found.groups if value(group) is None]
    found.groups = sorted(having, key=value, reverse=down) + without


def csv_of_groups(found: Grouped, columns: Sequence[Field]) -> Iterator[str]:
    """Every group as a line of CSV, numbers exact."""
    heads = [
        f"{column} {what}" for column in columns for what in ("n", "mean", "std", "min", "max")
    ]
    yield csv_line([*map(str, found.fields), "runs", *heads])
    for group in found.groups:
        cells: list[object] = [key.shown for key in group.keys]
        cells.append(len(group.run_ids))
        for column in columns:
            spread = group.spreads.get(column)
            cells += (
                [None] * 5
                if spread is None
                else [spread.count, spread.mean, spread.std, spread.least, spread.greatest]
            )
        yield csv_line(cells)

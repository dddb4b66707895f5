"""From the tree of a query to the runs it means.

Every condition on a param, tag or metric is an EXISTS of its own, true or false and never
unknown, so that `not` is the plain complement. Its rows are named by experiment and name: with
the run's experiment fixed, PostgreSQL walks the index by value (`param_number`, `param_text`,
`tag_text`, `metric_last`) for a condition that few runs meet, and asks run by run
(`param_unique`, …) in the order of the page for one that many do. (IN took 10 to 100 times as
long wherever conditions are joined by `or`.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import reduce
from operator import and_, or_

from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet, Value
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
)

from experiments import search
from experiments.expressions import CodePoints, Like, NumberInText
from experiments.fields import Field
from experiments.literals import Ago, Span
from experiments.models import Metric, Param, Run, Tag
from experiments.querysets import (
    duration_key,
    folded_contains,
    is_shown_as,
    metric_is_finite,
    metric_value,
)
from experiments.search import Compare, Given, Is, Join, Node, Not, Word
from experiments.values import INT64_MAX, INT64_MIN, TEXT_HEAD_LENGTH, uuid_in
from experiments.wire import NOT_FINITE

MODELS: dict[str, type[Model]] = {"param": Param, "tag": Tag, "metric": Metric}
SIGNS = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
ORDERS = {"<": LessThan, "<=": LessThanOrEqual, ">": GreaterThan, ">=": GreaterThanOrEqual}
WHOLE = ("count", "first_step", "last_step")
COLUMNS = {"name": "name", "owner": "owner__username", "experiment": "experiment__name",
           "notes": "notes", "created": "created_at", "started": "started_at",
           "ended": "ended_at", "id": "pk", "parent": "parent_id"}  # fmt: skip

NOTHING = Q(pk__in=[])
ANYTHING = ~NOTHING


def matching(rows: QuerySet[Run], tree: Node, now: datetime) -> QuerySet[Run]:
    """Those of the runs that a query means, at a moment."""
    return rows if tree == search.EVERYTHING else rows.filter(condition(tree, now))


def condition(tree: Node, now: datetime) -> Q:
    """The condition on a run that a query means."""
    match tree:
        case Join(every, parts):
            return reduce(and_ if every else or_, [condition(part, now) for part in parts])
        case Not(part):
            return ~condition(part, now)
        case Word(text):
            pk = uuid_in(text)
            found = folded_contains("name", text)
            return found if pk is None else found | Q(pk=pk)
        case Is(field, what) if field.kind == "attribute":
            return has_attribute(field.name) if what == "exists" else ~has_attribute(field.name)
        case Is(field, what):
            return related(field, what)
        case Compare(field, operator, values) if field.kind == "attribute":
            test = attribute_test(field.name, now)
            return has_attribute(field.name) & compared(test, operator, values)
        case Compare(field, operator, values):
            return Q(Exists(rows_of(field).filter(row_test(field, operator, values))))


def compared(test: Callable[[str, Sequence], Q], operator: str, values: Sequence) -> Q:
    """Any operator, by a test that knows the plain ones: `in` for equality, and `<`, `~` …"""
    if operator in search.NEGATIVE:
        return ~compared(test, search.NEGATIVE[operator], values)
    if operator == "between":
        return test(">=", values[:1]) & test("<=", values[1:])
    return test("in" if operator == "=" else operator, values)


def any_of(conditions: Sequence[Q]) -> Q:
    return reduce(or_, conditions)


# --- Params, tags and metrics: conditions on their rows --------------------------------------


def rows_of(field: Field) -> QuerySet:
    """The rows of this name that belong to the run of the query around. Their experiment is the
    run's: saying so lets an index lead with it."""
    rows = MODELS[field.kind].objects.filter(
        run=OuterRef("pk"), experiment=OuterRef("experiment"), name=field.name
    )
    return rows.alias(number=NumberInText(F("text"))) if field.kind == "tag" else rows


def related(field: Field, what: str) -> Q:
    """That a row is there, that none but a null is, or that a series has nan or inf."""
    rows = rows_of(field)
    if what == "null":
        return ~Q(Exists(rows.exclude(kind="null") if field.kind == "param" else rows))
    if what == "exists":
        return Q(Exists(rows))
    return Q(
        Exists(rows.filter(nan_count__gt=0) if what == "nan" else rows.filter(inf_count__gt=0))
    )


def row_test(field: Field, operator: str, values: Sequence) -> Q:
    """The condition on a row of a param, tag or metric."""
    if field.kind == "metric":
        test = whole_test if field.aggregate in WHOLE else real_test
        found = compared(lambda sign, numbers: test(field, sign, numbers), operator, values)
        return metric_is_finite(field.aggregate) & found
    found = compared(lambda sign, given: given_test(field, sign, given), operator, values)
    if operator in search.NEGATIVE and any(given.is_number for given in values):
        found &= ~Q(text_head__in=[*NOT_FINITE])
    return found


def real_test(field: Field, sign: str, numbers: Sequence[int | float]) -> Q:
    """A metric's floating-point aggregate beside numbers."""
    value = metric_value(field.aggregate)
    if sign == "in":
        return any_of([Q(Exact(value, Value(number))) for number in map(float, numbers)])
    return Q(ORDERS[sign](value, Value(float(numbers[0]))))


def whole_test(field: Field, sign: str, numbers: Sequence[int | float]) -> Q:
    """A metric's count or step beside numbers, exact to the last digit of 64 bits."""
    if sign == "in":
        whole = [int(number) for number in numbers if number == math.floor(number)]
        kept = [number for number in whole if INT64_MIN <= number <= INT64_MAX]
        return Q(**{f"{field.aggregate}__in": kept}) if kept else NOTHING
    least, greatest = INT64_MIN, INT64_MAX
    number = numbers[0]
    if sign in ("<", "<="):
        greatest = math.ceil(number) - 1 if sign == "<" else math.floor(number)
    else:
        least = math.floor(number) + 1 if sign == ">" else math.ceil(number)
    if greatest < INT64_MIN or least > INT64_MAX:
        return NOTHING
    bounds = {"gte": max(least, INT64_MIN), "lte": min(greatest, INT64_MAX)}
    return Q(**{f"{field.aggregate}__{lookup}": bound for lookup, bound in bounds.items()})


def given_test(field: Field, sign: str, given: Sequence[Given]) -> Q:
    """A param's or tag's value beside others: as numbers where these are numbers."""
    if sign == "in":
        return given_equals(field, given)
    number, text = given[0].number, given[0].text
    if sign in ORDERS and number is not None:
        return Q(number__isnull=False) & Q(**{f"number__{SIGNS[sign]}": number})
    return text_test("text", sign, [text])


def given_equals(field: Field, given: Sequence[Given]) -> Q:
    """That a param or tag is one of these. Whatever reads as a number is found by it; the tag's
    own reading has limits, so that its text counts too."""
    numbers = [each.number for each in given if each.number is not None]
    texts = [
        each.text for each in given if each.number is None or (field.kind == "tag" and each.quoted)
    ]
    short = [text for text in texts if len(text) < TEXT_HEAD_LENGTH]
    found = [Q(number__isnull=False, number__in=numbers)] if numbers else []
    found += [Q(text_head__in=short)] if short else []
    found += [
        Q(text_head=text[:TEXT_HEAD_LENGTH], text=text)
        for text in texts
        if len(text) >= TEXT_HEAD_LENGTH
    ]
    return any_of(found)


# --- What is asked of the run itself ---------------------------------------------------------


def has_attribute(name: str) -> Q:
    """That a run has one: some are not started, not over, without notes or a parent."""
    if name == "notes":
        return ~Q(notes="")
    column = {"duration": "started_at"}.get(name, COLUMNS.get(name))
    return Q(**{f"{column}__isnull": False}) if name in OPTIONAL else ANYTHING


OPTIONAL = ("started", "ended", "parent", "duration")


def attribute_test(name: str, now: datetime) -> Callable[[str, Sequence], Q]:
    """The test of one attribute of a run."""
    if name == "status":
        return lambda sign, statuses: any_of([is_shown_as(each, now) for each in set(statuses)])
    if name == "duration":
        return lambda sign, values: duration_test(sign, values, now)
    column = COLUMNS[name]
    if name in ("created", "started", "ended"):
        return lambda sign, spans: any_of(
            [time_test(column, "=" if sign == "in" else sign, span, now) for span in spans]
        )
    if name in ("id", "parent"):
        return lambda sign, ids: Q(**{f"{column}__in": ids})
    if name == "experiment":
        return experiment_test
    return lambda sign, texts: text_test(column, sign, texts)


def experiment_test(sign: str, texts: Sequence[str]) -> Q:
    """The experiment by its name, or by its id."""
    ids = [found for text in texts if (found := uuid_in(text)) is not None]
    by_name = text_test("experiment__name", sign, texts)
    return by_name | Q(experiment__in=ids) if sign == "in" and ids else by_name


def time_test(column: str, sign: str, span: Span | Ago, now: datetime) -> Q:
    """A moment beside a span of time: equal when inside it."""
    if isinstance(span, Ago):
        span = span.at(now)
    before, behind = Q(**{f"{column}__lt": span.start}), Q(**{f"{column}__gte": span.end})
    return {
        "=": Q(**{f"{column}__gte": span.start, f"{column}__lt": span.end}),
        "<": before,
        "<=": Q(**{f"{column}__lt": span.end}),
        ">": behind,
        ">=": Q(**{f"{column}__gte": span.start}),
    }[sign]


def duration_test(sign: str, values: Sequence, now: datetime) -> Q:
    """How long a run took, or has been running, beside durations."""
    if sign == "in":
        return any_of([Q(Exact(duration_key(now), Value(value))) for value in values])
    return Q(ORDERS[sign](duration_key(now), Value(values[0])))


# --- Texts -----------------------------------------------------------------------------------


def text_test(column: str, sign: str, texts: Sequence[str]) -> Q:
    """A text beside others; ordered by code points, as neither database's language would."""
    if sign == "in":
        return Q(**{f"{column}__in": texts})
    text = texts[0]
    if sign == "~":
        return folded_contains(column, text)
    if sign in ("like", "ilike"):
        return Q(Like(F(column), text, folded=sign == "ilike"))
    return Q(ORDERS[sign](CodePoints(F(column)), Value(text)))

"""FilterSets shared by pages and API."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

from experiments import search
from experiments.matching import matching
from experiments.models import Experiment, Run
from experiments.querysets import STATUSES, folded_contains
from experiments.syntax import QueryFault
from experiments.values import InvalidValue, field_name

LONGEST_TEXT = 250
# How long ago runs may have started: days and words.
AGES = {"1d": (1, "Last day"), "7d": (7, "Last 7 days"), "30d": (30, "Last 30 days")}


def text_filter(**options: object) -> filters.CharFilter:
    return filters.CharFilter(max_length=LONGEST_TEXT, **options)


def moment_filter(**options: object) -> filters.IsoDateTimeFilter:
    return filters.IsoDateTimeFilter(validators=[check_moment], **options)


def check_moment(moment: datetime) -> None:
    """Refuse a time that exists in its own zone only, like 0001-01-01T00:00+10:00."""
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValidationError("This time lies too far away.") from error


def split_tag(text: str) -> tuple[str, str | None]:
    """`debug` is any tag of that name, `stage=warm-up` the one with that text."""
    name, equals, value = text.partition("=")
    return unicodedata.normalize("NFC", name), value if equals else None


def check_tag(text: str) -> None:
    """Refuse what no tag could be called."""
    try:
        field_name(split_tag(text)[0])
    except InvalidValue as error:
        raise ValidationError(str(error)) from error


class BadQuery(ValidationError):
    """What a form says of a text that is no query; `fault` knows more."""

    def __init__(self, fault: QueryFault) -> None:
        super().__init__(str(fault), code="query_syntax")
        self.fault = fault


class QueryField(forms.CharField):
    """A text in the filter language, cleaned to its tree."""

    def __init__(self, **options: object) -> None:
        super().__init__(strip=False, **options)  # positions count from its very beginning

    def clean(self, value: str | None) -> search.Node:
        text = super().clean(value)
        try:
            return search.parse(text)
        except QueryFault as fault:
            raise BadQuery(fault) from fault


class QueryFilter(filters.Filter):
    """Runs by the filter language."""

    field_class = QueryField

    def filter(self, rows: QuerySet, value: search.Node) -> QuerySet:
        return matching(rows, value, timezone.now()) if value else rows


class ExperimentFilter(filters.FilterSet):
    """What narrows the list of experiments."""

    search = text_filter(method="filter_search", label="Part of the name or description")
    owner = text_filter(field_name="owner__username", label="Owner's user name")
    status = filters.ChoiceFilter(choices=Experiment.Status.choices)
    visibility = filters.ChoiceFilter(choices=Experiment.Visibility.choices)
    tag = text_filter(
        method="filter_tag", label="Tag, as name or name=text", validators=[check_tag]
    )

    class Meta:
        model = Experiment
        fields: list[str] = []

    def filter_search(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.searched(value)

    def filter_tag(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        tag, text = split_tag(value)
        return rows.tagged(tag, text)


class NameFilter(filters.FilterSet):
    """What narrows the metrics or params of a run."""

    search = text_filter(method="filter_search", label="Part of the name")

    def filter_search(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.filter(folded_contains("name", value))


class RunFilter(filters.FilterSet):
    """What narrows the list of runs."""

    q = QueryFilter(
        label="The filter language, as in `params.lr > 0.01 and status = finished`, at most "
        "2,048 bytes of UTF-8"
    )
    search = text_filter(method="filter_search", label="Part of the name, or the id")
    owner = text_filter(field_name="owner__username", label="Owner's user name")
    status = filters.ChoiceFilter(
        method="filter_status",
        choices=[(status, status.capitalize()) for status in STATUSES],
    )
    tag = text_filter(
        method="filter_tag", label="Tag, as name or name=text", validators=[check_tag]
    )
    created_after = moment_filter(field_name="created_at", lookup_expr="gte")
    created_before = moment_filter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Run
        fields: list[str] = []

    def filter_search(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.searched(value)

    def filter_status(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.with_status(value)

    def filter_tag(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.tagged(*split_tag(value))


class RunTableFilter(RunFilter):
    """As for the API, and by age: an address with a day in it would be wrong tomorrow."""

    within = filters.ChoiceFilter(
        method="filter_within", choices=[(text, words) for text, (_, words) in AGES.items()]
    )

    def filter_within(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.filter(started_at__gte=timezone.now() - timedelta(days=AGES[value][0]))


class ApiRunFilter(RunFilter):
    """As on the pages, and by experiment, which a page has in its address."""

    experiment = text_filter(method="filter_experiment", label="Experiment's name or id")

    def filter_experiment(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows.filter(experiment=self.chosen_experiment())

    def chosen_experiment(self) -> Experiment | None:
        """The experiment asked for, if any; ValidationError when it is unknown to the user."""
        text = self.form.cleaned_data.get("experiment")
        if not text:
            return None
        if not hasattr(self, "_experiment"):
            found = Experiment.objects.visible_to(self.request.user)
            self._experiment = found.by_name_or_id(text, self.request.user)
        if self._experiment is None:
            raise ValidationError(
                {"experiment": [f"There is no experiment {text[:80]!r} that you may see."]}
            )
        return self._experiment

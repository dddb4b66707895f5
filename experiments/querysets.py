"""Every read of rows, named for its purpose. Points are read in `reading`."""

from __future__ import annotations

import sys
import unicodedata
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Func,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.related_lookups import RelatedExact
from django.db.models.functions import Cast, Coalesce, Concat, Lower, NullIf, StrIndex
from django.db.models.lookups import Exact, GreaterThan, IsNull
from django.db.models.sql.where import WhereNode
from django.utils import timezone

from experiments.expressions import Unsearched, Unseen
from experiments.fields import Field, Ordering
from experiments.paging import Segment, keyed, unkeyed
from experiments.values import uuid_in

if TYPE_CHECKING:
    from accounts.models import User
    from experiments.models import Experiment, Run

STATUSES = ("queued", "running", "finished", "failed", "killed", "lost")


def longest_silence(has_beaten: bool) -> timedelta:
    """How long a running run may be silent before it counts as lost."""
    seconds = (
        settings.LOST_AFTER_SECONDS if has_beaten else settings.LOST_AFTER_SECONDS_WITHOUT_HEARTBEAT
    )
    return timedelta(seconds=seconds)


def is_lost(now: datetime | None = None) -> Q:
    """Running, but silent for longer than it may be; judged by the server's clock."""
    now = now or timezone.now()
    return Q(status="running") & (
        Q(has_beaten=True, last_seen_at__lt=now - longest_silence(True))
        | Q(has_beaten=False, last_seen_at__lt=now - longest_silence(False))
    )


def is_shown_as(status: str, now: datetime | None = None) -> Q:
    """That a run shows this status; `running` and `lost` are disjoint."""
    if status == "lost":
        return is_lost(now)
    return Q(status=status) & ~is_lost(now) if status == "running" else Q(status=status)


def shown_status(now: datetime | None = None) -> Case:
    """The status as people see it, `lost` among them."""
    return Case(When(is_lost(now), then=Value("lost")), default=F("status"))


def folded_contains(field: str, text: str) -> Q:
    """That `field` contains `text` in any case, alike on both databases. The text goes through
    the database's own lower() too, so both sides fold by the same rules."""
    position = StrIndex(Lower(field), Lower(Value(text, output_field=CharField())))
    return Q(GreaterThan(position, 0))


def rows_of(model: str) -> models.QuerySet:
    """All rows of one of our models, by its name: models import this module for their managers."""
    return apps.get_model("experiments", model).objects.all()


class JsonText(Func):
    """The text under one name of a JSON object. (Django's own transform takes a name of digits
    for the place in a list.)"""

    output_field = CharField()

    def __init__(self, field: str, name: str) -> None:
        super().__init__(F(field), Value(name, output_field=CharField()))

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        template = "JSON_EXTRACT(%(expressions)s)"
        place = Concat(Value('$."'), self.source_expressions[1], Value('"'))
        return Func(self.source_expressions[0], place, template=template).as_sql(
            compiler, connection
        )

    def as_postgresql(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" ->> ")


class ExperimentQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> ExperimentQuerySet:
        """What the user, through the token if there is one, may read; trash included."""
        found = self
        if user.token is not None and user.token.experiment_id is not None:
            found = found.filter(pk=user.token.experiment_id)
        if user.is_admin:
            return found
        shared = rows_of("Collaborator").filter(experiment=OuterRef("pk"), user=user)
        return found.filter(Q(visibility="internal") | Q(owner=user) | Exists(shared))

    def editable_by(self, user: User) -> ExperimentQuerySet:
        """What the user may change, as `access.edits_experiment` says of one."""
        if not user.may_write:
            return self.none()
        if user.is_admin:
            return self.visible_to(user)
        shared = rows_of("Collaborator").filter(experiment=OuterRef("pk"), user=user)
        editors = shared.filter(role="editor")
        return self.visible_to(user).filter(Q(owner=user) | Exists(editors))

    def open_to(self, user: User) -> ExperimentQuerySet:
        """Living ones that take the user's runs, as `access.may_add_runs` says of one."""
        if not user.may_write:
            return self.none()
        edited = self.model.objects.editable_by(user).values("pk")
        open_ones = self.visible_to(user).alive()
        return open_ones.filter(Q(visibility="internal") | Q(pk__in=edited))

    def alive(self) -> ExperimentQuerySet:
        return self.filter(trashed_at=None)

    def named(self, name: str, user: User) -> Experiment | None:
        """Of the experiments of this name: mine, else the internal one, else the single one
        shared with me."""
        own = Q(owner=user) | Q(visibility="internal")
        candidates = list(self.filter(own, name=name).select_related("owner"))
        candidates.sort(
            key=lambda found: (found.owner_id != user.pk, found.visibility != "private")
        )
        if candidates:
            return candidates[0]
        shared = rows_of("Collaborator").filter(user=user).values("experiment")
        others = list(self.filter(name=name, pk__in=shared).select_related("owner")[:2])
        return others[0] if len(others) == 1 else None

    def searched(self, text: str) -> ExperimentQuerySet:
        """Whose name or description contains the text, in any case."""
        return self.filter(folded_contains("name", text) | folded_contains("description", text))

    def tagged(self, name: str, text: str | None) -> ExperimentQuerySet:
        """With a tag of this name, and of this text when one is given."""
        found = self.filter(tags__has_key=name)
        return found if text is None else found.filter(Exact(JsonText("tags", name), text))

    def by_name_or_id(self, text: str, user: User) -> Experiment | None:
        """The one of this id, or the living one of this name."""
        if (pk := uuid_in(text)) is not None:
            return self.filter(pk=pk).select_related("owner").first()
        return self.alive().named(unicodedata.normalize("NFC", text).strip(), user)

    def owners(self) -> list[str]:
        """User names of those who own any of them, for a filter to choose from."""
        return list(
            self.order_by("owner__username").values_list("owner__username", flat=True).distinct()
        )

    def for_list(self) -> ExperimentQuerySet:
        """With their owner, ready for `with_counts`."""
        return self.select_related("owner")

    def segments(self, ordering: str) -> tuple[list[Segment], bool]:
        """The listing by one of EXPERIMENT_KEYS, with `-` for downward. `name`, `created_at` and
        `last_run_at` walk the index of their name, the others are sorted."""
        field = ordering.removeprefix("-")
        with_value = self.exclude(last_run_at=None) if field == "last_run_at" else self
        parts = [keyed(with_value, EXPERIMENT_KEYS[field]())]
        if field == "last_run_at":
            parts.append(unkeyed(self.filter(last_run_at=None)))
        return parts, ordering.startswith("-")


def runs_counted() -> models.Expression:
    """How many living runs an experiment has; a range of one index each."""
    living = rows_of("Run").filter(experiment=OuterRef("pk"), trashed_at=None).order_by()
    counted = living.values("experiment").annotate(runs=Count("pk")).values("runs")
    return Coalesce(Subquery(counted), 0)


EXPERIMENT_KEYS = {
    "name": lambda: F("name"),
    "created_at": lambda: F("created_at"),
    "last_run_at": lambda: F("last_run_at"),
    "status": lambda: F("status"),
    "owner": lambda: F("owner__username"),
    "runs": runs_counted,
}


class RunQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> RunQuerySet:
        """What the user, through the token if there is one, may read; trash included."""
        found = self
        if user.token is not None and user.token.scope == "log":
            found = found.filter(owner=user)
        if user.is_admin and (user.token is None or user.token.experiment_id is None):
            return found
        return found.filter(experiment__in=rows_of("Experiment").visible_to(user))

    def alive(self) -> RunQuerySet:
        """Neither the run nor its experiment is in the trash."""
        return self.filter(trashed_at=None, experiment__trashed_at=None)

    def editable_by(self, user: User) -> RunQuerySet:
        """What the user may change, as `access.edits_run` says of one."""
        if not user.may_write:
            return self.none()
        if user.is_admin:
            return self.visible_to(user)
        edited = rows_of("Experiment").editable_by(user).values("pk")
        return self.visible_to(user).filter(Q(owner=user) | Q(experiment__in=edited))

    def inside(self, experiment: Experiment) -> RunQuerySet:
        """Of one experiment that its reader may see; those in the trash by themselves are left
        out, those that are there with the whole experiment are not."""
        return self.filter(experiment=experiment, trashed_at=None)

    def newest(self, count: int) -> list[Run]:
        """The so many that started last, nothing but their ids read."""
        started = self.filter(started_at__isnull=False).select_related(None)
        return list(started.order_by("-started_at", "-id").only("pk")[:count])

    def with_status(self, status: str, now: datetime | None = None) -> RunQuerySet:
        """Of one shown status."""
        return self.filter(is_shown_as(status, now))

    def searched(self, text: str) -> RunQuerySet:
        """Whose name contains the text in any case, or whose id it is."""
        found = folded_contains("name", text)
        pk = uuid_in(text)
        return self.filter(found if pk is None else found | Q(pk=pk))

    def tagged(self, name: str, text: str | None) -> RunQuerySet:
        """With a tag of this name, and of this text when one is given."""
        tags = rows_of("Tag").filter(run=OuterRef("pk"), name=name)
        return self.filter(Exists(tags if text is None else tags.filter(text=text)))

    def for_table(self) -> RunQuerySet:
        """With what a row of the runs table names, without the long texts."""
        return self.select_related("experiment", "owner").defer("notes", "error")

    def planned_as_any(self, *, by_index: bool = True) -> RunQuerySet:
        """The same, where they are of one experiment planned as for any other: to be joined with
        its params, tags or metrics. PostgreSQL looks at a table when a tenth of it is new. Of an
        experiment that is not known since it believes that it has one row in each table, and
        compares each of its runs with each of its params: minutes for 100,000. Without `by_index`
        it looks for no runs by that, or by being in the trash or not: rows joined to them lead
        there. Of tables that it never looked at it goes through all runs for each of those, 125 ms
        for a page of 2,000 instead of 1.5."""
        found, experiment = self.all(), self.model._meta.get_field("experiment")
        where = found.query.where
        children = list(where.children)
        for n, each in enumerate(children):
            if isinstance(each, RelatedExact) and each.lhs.target == experiment:
                children[n] = each = Exact(each.lhs, Unseen(each.rhs))
            if not by_index and (is_unseen(each) or isinstance(each, IsNull)):
                children[n] = Unsearched(each)
        found.query.where = WhereNode(children, where.connector, where.negated)
        return found

    def segments(
        self,
        ordering: Ordering,
        experiment_id: uuid.UUID | None = None,
        now: datetime | None = None,
    ) -> list[Segment]:
        """The listing in one order, as of a moment. Inside one experiment these are served by an
        index: started, created, ended, name, status, metric (its last value), param; the others
        are sorted."""
        if ordering.field.kind == "metric":
            return self.by_metric(ordering.field, experiment_id)
        if ordering.field.kind == "param":
            return self.by_param(ordering.field, experiment_id)
        if ordering.field.name == "status":
            # One after the other, each by id: sorted together they would all be read.
            shown = sorted(STATUSES, reverse=ordering.descending)
            return [unkeyed(self.with_status(status, now)) for status in shown]
        key = ATTRIBUTE_KEYS[ordering.field.name](now or timezone.now())
        if ordering.field.name in ("started", "ended", "duration"):
            column = {"ended": "ended_at"}.get(ordering.field.name, "started_at")
            absent = self.filter(**{f"{column}__isnull": True})
            there = self.filter(**{f"{column}__isnull": False})
            keys = None
            if ordering.field.name == "started":
                begun = self.model.objects.filter(started_at__isnull=False)
                keys = keys_of(begun, key, experiment_id, "pk")
            return [keyed(there, key, keys=keys), unkeyed(absent)]
        return [keyed(self, key)]

    def by_metric(self, field: Field, experiment_id: uuid.UUID | None) -> list[Segment]:
        """Those with a finite value, walked by the index, then the rest."""
        named = self.related_by_name("metrics", field.name, experiment_id)
        value = metric_value(field.aggregate, "found__")
        finite = metric_is_finite(field.aggregate, "found__")
        values = rows_of("Metric").filter(metric_is_finite(field.aggregate), name=field.name)
        keys = keys_of(values, metric_value(field.aggregate), experiment_id)
        return [
            keyed(named.filter(finite), value, "found__run_id", keys),
            unkeyed(self.filter(~Exists(values.filter(run=OuterRef("pk"))))),
        ]

    def by_param(self, field: Field, experiment_id: uuid.UUID | None) -> list[Segment]:
        """Numbers in their order, then other values by their text, then runs without."""
        named = self.related_by_name("params", field.name, experiment_id)
        params = rows_of("Param").filter(name=field.name)
        numbers = named.filter(found__number__isnull=False)
        texts = named.filter(found__id__isnull=False, found__number=None)
        keys = keys_of(params.filter(number__isnull=False), F("number"), experiment_id)
        text_keys = keys_of(params.filter(number=None), F("text_head"), experiment_id)
        if experiment_id is not None:
            # Asked once, of `param_number`. Where all are numbers, as most often, PostgreSQL would
            # look for a text among them all: 13 seconds at a million runs.
            some = params.filter(experiment=experiment_id, number=None)
            first = Subquery(some.order_by("number", "run_id").values("pk")[:1])
            texts = texts.filter(IsNull(first, False))
        return [
            keyed(numbers, F("found__number"), "found__run_id", keys),
            keyed(texts, F("found__text_head"), "found__run_id", text_keys),
            unkeyed(self.filter(~Exists(params.filter(run=OuterRef("pk"))))),
        ]

    def related_by_name(
        self, relation: str, name: str, experiment_id: uuid.UUID | None
    ) -> RunQuerySet:
        """Joined as `found` with its row of this name; the experiment lets the index lead."""
        condition = Q(**{f"{relation}__name": name})
        if experiment_id is not None:
            condition &= Q(**{f"{relation}__experiment": Unseen(experiment_id)})
        rows = self.planned_as_any(by_index=experiment_id is None)
        return rows.annotate(found=FilteredRelation(relation, condition=condition))


def is_unseen(condition: object) -> bool:
    """Whether it says which experiment, without telling PostgreSQL beforehand."""
    return isinstance(condition, Exact) and isinstance(condition.rhs, Unseen)


def keys_of(
    rows: models.QuerySet, key: object, experiment_id: uuid.UUID | None, run_id: str = "run_id"
) -> models.QuerySet | None:
    """The key and the run of each of these rows of one experiment, in no order, none of the run's
    own conditions asked; None across experiments."""
    if experiment_id is None:
        return None
    return keyed(rows.filter(experiment=experiment_id), key, run_id).rows.order_by()


def duration_key(now: datetime) -> ExpressionWrapper:
    """How long a run took, ran until it was lost, or has been running at a moment."""
    end = Case(
        When(ended_at__isnull=False, then=F("ended_at")),
        When(is_lost(now), then=F("last_seen_at")),
        default=Value(now, output_field=DateTimeField()),
        output_field=DateTimeField(),
    )
    return ExpressionWrapper(end - F("started_at"), output_field=DurationField())


ATTRIBUTE_KEYS = {
    "name": lambda now: F("name"),
    "owner": lambda now: F("owner__username"),
    "experiment": lambda now: F("experiment__name"),
    "created": lambda now: F("created_at"),
    "started": lambda now: F("started_at"),
    "ended": lambda now: F("ended_at"),
    "duration": duration_key,
}


def metric_value(aggregate: str, prefix: str = "") -> models.Expression:
    """The SQL of one aggregate of a metric's row. A mean too small for a double is 0, where
    PostgreSQL would raise an error."""
    if aggregate == "mean":
        finite = F(f"{prefix}count") - F(f"{prefix}nan_count") - F(f"{prefix}inf_count")
        mean = F(f"{prefix}sum") / NullIf(Cast(finite, models.FloatField()), Value(0.0))
        tiny = Q(**{f"{prefix}sum__gt": -1e-300, f"{prefix}sum__lt": 1e-300})
        return Case(When(tiny, then=Value(0.0)), default=mean, output_field=models.FloatField())
    return F(f"{prefix}{aggregate}")


def metric_is_finite(aggregate: str, prefix: str = "") -> Q:
    """That the aggregate has a finite value in a metric's row."""
    if aggregate in ("count", "first_step", "last_step"):
        return Q(**{f"{prefix}count__gt": 0})
    if aggregate != "mean":
        return Q(**{f"{prefix}{aggregate}__isnull": False})
    largest = sys.float_info.max  # a sum may go past it though no value does
    finite = {"min__isnull": False, "sum__gte": -largest, "sum__lte": largest}
    return Q(**{f"{prefix}{lookup}": value for lookup, value in finite.items()})

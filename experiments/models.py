"""Tables. An experiment has runs, a run has metrics; that is the whole tree.

Every rule that can be a constraint is one. Child tables carry no index on a foreign key that a
unique constraint already leads with. Points live packed in `Tail` and `Chunk`; only `series`
knows their bytes, and only `storing` writes them.
"""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from experiments import querysets
from experiments.values import NAME_LENGTH, TEXT_HEAD_LENGTH

WRITER_LENGTH = 64
VALUES_OF_KINDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class JSONText(models.TextField):
    """JSON handed back just as it came. jsonb would turn 1e22 into an integer and lose -0.0."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> object:
        return None if value is None else json.loads(value)

    def to_python(self, value: object) -> object:
        return value

    def get_prep_value(self, value: object) -> str:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    def value_to_string(self, obj: models.Model) -> object:
        return self.value_from_object(obj)


def trasher() -> models.ForeignKey:
    """Who moved a row to the trash, as far as is known. Never searched by."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        db_index=False,
    )


def in_trash_index(name: str) -> models.Index:
    """What the trash is paged by; nothing outside of it has an entry."""
    return models.Index(
        fields=["trashed_at", "id"], condition=Q(trashed_at__isnull=False), name=name
    )


class Experiment(models.Model):
    """A question and the runs that try to answer it."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        COMPLETED = "completed", "Completed"
        ARCHIVED = "archived", "Archived"

    class Visibility(models.TextChoices):
        INTERNAL = "internal", "Internal"
        PRIVATE = "private", "Private"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.INTERNAL)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="experiments")
    tags = models.JSONField(default=dict, blank=True)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    trashed_at = models.DateTimeField(null=True, blank=True)
    trashed_by = trasher()

    objects = querysets.ExperimentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(visibility="internal", trashed_at=None),
                name="experiment_internal_name_unique",
            ),
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=Q(visibility="private", trashed_at=None),
                name="experiment_private_name_unique",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "completed", "archived"]),
                name="experiment_status_known",
            ),
            models.CheckConstraint(
                condition=Q(visibility__in=["internal", "private"]),
                name="experiment_visibility_known",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="experiment_has_name"),
        ]
        indexes = [
            models.Index(fields=["last_run_at", "id"], name="experiment_last_run"),
            models.Index(fields=["created_at", "id"], name="experiment_created"),
            models.Index(fields=["name", "id"], name="experiment_name"),
            in_trash_index("experiment_trashed"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether a run is likely to begin in it yet."""
        return self.status == self.Status.ACTIVE and self.trashed_at is None


class Collaborator(models.Model):
    """Someone an experiment's owner let in."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        EDITOR = "editor", "Editor"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    experiment = models.ForeignKey(
        Experiment, models.CASCADE, related_name="collaborators", db_index=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)

    class Meta:
        ordering = ["user__username"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "user"], name="collaborator_unique"),
            models.CheckConstraint(
                condition=Q(role__in=["viewer", "editor"]), name="collaborator_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"


class Run(models.Model):
    """One execution of a training script. `lost` is judged when read, never stored."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        KILLED = "killed", "Killed"

    LOST = "lost"
    ENDED = (Status.FAILED, Status.KILLED, Status.FINISHED)  # worst first: failed beats killed

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    experiment = models.ForeignKey(Experiment, models.CASCADE, related_name="runs", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="runs", db_index=False
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="children"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(default=timezone.now, editable=False)
    has_beaten = models.BooleanField(default=False, editable=False)
    stop_requested = models.BooleanField(default=False)
    revision = models.BigIntegerField(default=0, editable=False)
    notes = models.TextField(blank=True)
    error = models.TextField(blank=True)
    trashed_at = models.DateTimeField(null=True, blank=True)
    trashed_by = trasher()

    objects = querysets.RunQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running", "finished", "failed", "killed"]),
                name="run_status_known",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="run_has_name"),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "running"], ended_at=None)
                | Q(status__in=["finished", "failed", "killed"], ended_at__isnull=False),
                name="run_ended_has_end",
            ),
        ]
        # last_seen_at and revision change with every batch: they stay out of every index, so
        # that PostgreSQL can update the row in place (HOT).
        indexes = [
            models.Index(fields=["experiment", "started_at", "id"], name="run_experiment_started"),
            # Counts by status are read from it alone.
            models.Index(
                fields=["experiment", "status"], condition=Q(trashed_at=None), name="run_living"
            ),
            models.Index(fields=["experiment", "name", "id"], name="run_experiment_name"),
            models.Index(fields=["experiment", "created_at", "id"], name="run_experiment_created"),
            # A run has an entry in it once it is over.
            models.Index(
                fields=["experiment", "ended_at", "id"],
                condition=Q(ended_at__isnull=False),
                name="run_experiment_ended",
            ),
            models.Index(fields=["owner", "started_at", "id"], name="run_owner_started"),
            models.Index(fields=["started_at", "id"], name="run_started"),
            in_trash_index("run_trashed"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_ended(self) -> bool:
        return self.status in self.ENDED

    @property
    def in_trash_since(self) -> datetime | None:
        """When it, or its experiment, was moved to the trash; None when neither was."""
        return self.trashed_at or self.experiment.trashed_at

    @property
    def shown_status(self) -> str:
        """The stored status, or `lost`: running, and silent for longer than it may be."""
        if self.status != self.Status.RUNNING:
            return self.status
        silence = timezone.now() - self.last_seen_at
        return self.LOST if silence > querysets.longest_silence(self.has_beaten) else self.status

    @property
    def duration(self) -> timedelta | None:
        """From start to end, to the last sign of life of a lost run, or until now."""
        if self.started_at is None:
            return None
        lost = self.shown_status == self.LOST
        end = self.ended_at or (self.last_seen_at if lost else timezone.now())
        return max(end - self.started_at, timedelta())


class Environment(models.Model):
    """Where a run ran. Apart from the run: that row is rewritten by every batch, and SQLite
    would copy a long patch with it each time."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="environment")
    data = JSONText(default=dict)

    def __str__(self) -> str:
        return f"Environment of {self.run_id}"


class Param(models.Model):
    """One hyperparameter of one run: written once, the same value again is fine.

    `value` is only handed back. `text` is canonical: two params are equal when kind and text
    are. `number` is the finite number it is or reads as. `text_head` is what the index holds,
    since long text would break a B-tree row.
    """

    class Kind(models.TextChoices):
        NUMBER = "number"
        TEXT = "text"
        BOOLEAN = "boolean"
        NULL = "null"
        LIST = "list"
        OBJECT = "object"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="params", db_index=False)
    experiment = models.ForeignKey(Experiment, models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    value = JSONText()
    kind = models.CharField(max_length=7, choices=Kind)
    text = models.TextField()
    text_head = models.CharField(max_length=TEXT_HEAD_LENGTH)
    number = models.FloatField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="param_unique")]
        # The run behind the value: a sweep has few values, and a page within one of them must
        # not sort all of its runs.
        indexes = [
            models.Index(fields=["experiment", "name", "number", "run"], name="param_number"),
            models.Index(fields=["experiment", "name", "text_head", "run"], name="param_text"),
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.text_head}"


class Tag(models.Model):
    """One label of one run, with a text that may be empty and may be overwritten."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="tags", db_index=False)
    experiment = models.ForeignKey(Experiment, models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    text = models.TextField(blank=True)
    text_head = models.CharField(max_length=TEXT_HEAD_LENGTH, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="tag_unique")]
        indexes = [models.Index(fields=["experiment", "name", "text_head"], name="tag_text")]

    def __str__(self) -> str:
        return f"{self.name}: {self.text_head}" if self.text_head else self.name


class Metric(models.Model):
    """One named series of one run, summed up. These slim rows are the runs table.

    `last` belongs to the point with the greatest (step, time, value), NaN lowest, whatever the
    order of arrival; null unless finite, `last_kind` then says what it was. `min`, `max` and
    `sum` are over the finite values, `min_step` and `max_step` the lowest step that has them.
    Times are milliseconds since the epoch.
    """

    class Kind(models.TextChoices):
        FINITE = "finite"
        NAN = "nan"
        POSITIVE_INFINITY = "inf"
        NEGATIVE_INFINITY = "-inf"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="metrics", db_index=False)
    experiment = models.ForeignKey(Experiment, models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    count = models.BigIntegerField()
    first_step = models.BigIntegerField()
    last_step = models.BigIntegerField()
    last = models.FloatField(null=True)
    last_kind = models.CharField(max_length=6, choices=Kind)
    last_time = models.BigIntegerField()
    min = models.FloatField(null=True)
    min_step = models.BigIntegerField(null=True)
    max = models.FloatField(null=True)
    max_step = models.BigIntegerField(null=True)
    sum = models.FloatField()
    nan_count = models.BigIntegerField()
    inf_count = models.BigIntegerField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["run", "name"], name="metric_unique"),
            models.CheckConstraint(
                condition=Q(last_kind="finite", last__isnull=False)
                | Q(last_kind__in=["nan", "inf", "-inf"], last=None),
                name="metric_last_finite_or_null",
            ),
            models.CheckConstraint(condition=Q(count__gt=0), name="metric_has_points"),
        ]
        # `min` and `max` come along to be sorted: in an order of their own each would be one more
        # entry to write with every batch, and from the rows each order would read them all.
        indexes = [
            models.Index(
                fields=["experiment", "name", "last", "run", "min", "max"], name="metric_last"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def mean(self) -> float | None:
        """Of the finite values; None when there is none."""
        return mean_of(self.sum, self.count, self.nan_count, self.inf_count)

    @property
    def last_value(self) -> float:
        """The last value, finite or not."""
        return last_of(self.last, self.last_kind)


def mean_of(total: float, count: int, nan_count: int, inf_count: int) -> float | None:
    """The mean of a metric's finite values, whose sum is `total`; None when there is none."""
    finite = count - nan_count - inf_count
    return total / finite if finite else None


def last_of(last: float | None, kind: str) -> float:
    """The last value of a metric, finite or not."""
    return VALUES_OF_KINDS[kind] if last is None else last


class Tail(models.Model):
    """The open end of a metric: up to 64 points, packed. Apart from `Metric`: in one table,
    full tails made the metrics 6.6 times larger and the runs table 4 times slower."""

    metric = models.OneToOneField(Metric, models.CASCADE, primary_key=True, related_name="tail")
    position = models.BigIntegerField()  # of its first point: how many points are sealed
    small_chunks = models.IntegerField(default=0)  # at the end of the sealed, not yet merged
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"Tail of {self.metric_id} from {self.position}"


class Chunk(models.Model):
    """One sealed, compressed block of a metric's points."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    metric = models.ForeignKey(Metric, models.CASCADE, related_name="chunks", db_index=False)
    position = models.BigIntegerField()
    count = models.IntegerField()
    min_step = models.BigIntegerField()
    max_step = models.BigIntegerField()
    min_value = models.FloatField(null=True)
    max_value = models.FloatField(null=True)
    format = models.SmallIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["metric", "position"], name="chunk_unique"),
            models.CheckConstraint(condition=Q(count__gt=0), name="chunk_has_points"),
        ]

    def __str__(self) -> str:
        return f"{self.count} points from {self.position}"


class Writer(models.Model):
    """How far one process has got in writing to one run: what makes a repeat harmless."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="writers", db_index=False)
    name = models.CharField(max_length=WRITER_LENGTH)
    seq = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="writer_unique")]

    def __str__(self) -> str:
        return f"{self.name} at {self.seq}"


class SavedView(models.Model):
    """A named query string of an experiment's page."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    experiment = models.ForeignKey(Experiment, models.CASCADE, related_name="views", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=NAME_LENGTH)
    query = models.TextField(blank=True)
    shared = models.BooleanField(default=False)
    is_default = models.BooleanField("default", default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "owner", "name"], name="saved_view_unique"
            ),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(is_default=True), name="saved_view_one_default"
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(shared=True), name="saved_view_default_is_shared"
            ),
        ]

    def __str__(self) -> str:
        return self.name

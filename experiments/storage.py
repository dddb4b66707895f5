"""How much is kept: by any runs, and by each experiment."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from django.core.cache import cache
from django.db import connection
from django.db.models import BigIntegerField, Count, Func, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from experiments.models import Chunk, Metric, Run
from experiments.series import POINT

USAGE_KEY, USAGE_KEPT_SECONDS = "storage-usage", 600


class OctetLength(Func):
    """How many bytes a binary column holds, told without reading them."""

    function = "OCTET_LENGTH"
    output_field = BigIntegerField()

    def as_sqlite(self, compiler, connection, **context):  # noqa: ANN001, ANN201
        return self.as_sql(compiler, connection, function="LENGTH", **context)


@dataclass(frozen=True, slots=True)
class Size:
    """What some runs hold. `bytes` are those of their points as they are kept."""

    runs: int
    metrics: int
    points: int
    bytes: int


def size_of(runs: QuerySet) -> Size:
    """What these runs hold; three statements."""
    ids = runs.order_by().values("pk")
    metrics = Metric.objects.filter(run__in=ids).aggregate(rows=Count("pk"), points=Sum("count"))
    sealed = Chunk.objects.filter(metric__run__in=ids).aggregate(
        points=Sum("count"), bytes=Sum(OctetLength("data"))
    )
    points = metrics["points"] or 0
    return Size(
        runs.count(),
        metrics["rows"],
        points,
        kept_bytes(points, sealed["points"] or 0, sealed["bytes"] or 0),
    )


def kept_bytes(points: int, sealed_points: int, sealed_bytes: int) -> int:
    """What so many points take: those that are sealed as they are, the rest in open tails. To
    look into the tails, a row for every metric, would take longer than all else together."""
    return sealed_bytes + (points - sealed_points) * POINT.itemsize


@dataclass(frozen=True, slots=True)
class Usage:
    """What every experiment that has runs holds, as of a moment, and all there is on the disk."""

    by_experiment: dict[uuid.UUID, Size]
    database_bytes: int
    moment: datetime = field(default_factory=timezone.now)

    @property
    def total(self) -> Size:
        """All experiments together."""
        sizes = self.by_experiment.values()
        return Size(
            *(sum(getattr(size, part) for size in sizes) for part in Size.__dataclass_fields__)
        )


def usage(*, anew: bool = False) -> Usage:
    """What each experiment holds, at most ten minutes old: counting reads every metric's row,
    seconds where there are millions. Four statements, however many experiments."""
    known = None if anew else cache.get(USAGE_KEY)
    if known is None:
        known = Usage(sizes_by_experiment(), database_bytes())
        cache.set(USAGE_KEY, known, USAGE_KEPT_SECONDS)
    return known


def sizes_by_experiment() -> dict[uuid.UUID, Size]:
    """The sizes of all experiments that have runs."""
    runs = Run.objects.order_by().values_list("experiment").annotate(Count("pk"))
    metrics = Metric.objects.order_by().values_list(table_by_table("experiment"))
    summed = {pk: rest for pk, *rest in metrics.annotate(Count("pk"), Sum("count"))}
    chunks = Chunk.objects.order_by().values_list(table_by_table("metric__experiment"))
    chunks = chunks.annotate(points=Sum("count"), bytes=Sum(OctetLength("data")))
    sealed = {pk: rest for pk, *rest in chunks}
    sizes = {}
    for pk, count in runs:
        rows, points = summed.get(pk, (0, 0))
        kept = kept_bytes(points, *sealed.get(pk, (0, 0)))
        sizes[pk] = Size(count, rows, points, kept)
    return sizes


def table_by_table(experiment: str) -> Coalesce:
    """The experiment to sum up by, as an expression: SQLite would read every row in the order of
    an index that leads with it, five times as long as from the table's first to its last."""
    return Coalesce(experiment, experiment)


def database_bytes() -> int:
    """How large the whole database is, with its indexes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return cursor.fetchone()[0]

"""Points in and out: log, metrics, history, series, compare."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec
from django.http import Http404, StreamingHttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import RememberedTokenAuthentication
from experiments import access, appending, charts, comparing, reading
from experiments.api import serializers
from experiments.api.base import AnyAcceptView, ApiView, checked_input, csv_response, path_id
from experiments.api.batches import (
    EMPTY_BODY,
    BatchIn,
    LogParser,
    columns_of,
    mark_of,
    refuse_too_many,
)
from experiments.api.errors import ValidationFailed
from experiments.compare_and_swap import append_from_memory
from experiments.csv_text import csv_line, csv_of_points
from experiments.models import Metric, Run
from experiments.storing import Columns, Mark, Receipt
from experiments.wire import encoded

DEFAULT_HISTORY = 10_000
# Of more, each metric comes with fewer points, and `next` says where to go on.
MAX_ANSWER_POINTS = 500_000
METRICS_AT_ONCE = 2_000


class RunLog(ApiView):
    """The hot path: one batch of points, params and tags, stored whole before the answer."""

    authentication_classes = [RememberedTokenAuthentication]
    parser_classes = [LogParser]
    log_scope_methods = ("POST",)

    def post(self, request: Request, pk: str) -> Response:
        try:
            receipt = self.stored(request, path_id(pk))
        except Exception:  # what is wrong is not for one whose token was revoked a moment ago
            self.look_token_up(request)
            raise
        return Response(
            {
                "accepted": receipt.accepted,
                "duplicate": receipt.duplicate,
                "revision": receipt.revision,
            }
        )

    def stored(self, request: Request, run_id: UUID) -> Receipt:
        """What became of the batch: in one statement if that serves, else in several."""
        if isinstance(request.data, list):
            self.look_token_up(request)
            batches = backlog_of(request, request.data)
            return appending.append_in_a_row(user=request.user, run_id=run_id, batches=batches)
        if not isinstance(request.data, tuple):
            raise ParseError(EMPTY_BODY)
        batch, body = request.data
        points = {
            "run_id": run_id,
            "mark": mark_of(request, batch, body),
            "metrics": columns_of(batch),
        }
        has_points_only = not batch.params and not batch.tags
        if has_points_only and (receipt := append_from_memory(user=request.user, **points)):
            return receipt
        self.look_token_up(request)
        labels = {"params": batch.params, "tags": batch.tags}
        return appending.append(user=request.user, **points, **labels)


def backlog_of(
    request: Request, batches: list[tuple[BatchIn, bytes]]
) -> list[tuple[Mark, dict[str, Columns]]]:
    """Marks and points of batches that came together: one writer's, counting up by one."""
    found = []
    for batch, body in batches:
        mark = mark_of(request, batch, body)
        if found and (mark.writer, mark.seq - 1) != found[-1][0][:2]:
            raise ValidationFailed(
                "The batches are not in a row.",
                {f"batches[{len(found)}].seq": ["The same writer's next one has to follow."]},
            )
        found.append((mark, columns_of(batch)))
    refuse_too_many([columns for _, columns in found])
    return found


class RunMetrics(ApiView):
    """Every series of a run, summed up."""

    log_scope_methods = ("GET",)

    def get(self, request: Request, pk: str) -> Response:
        run = access.readable_run(request.user, path_id(pk))
        return Response(
            {"results": [written(comparing.summary_json(metric)) for metric in summaries(run)]}
        )


def summaries(run: Run) -> Iterator[Metric]:
    """A run's metrics by name, a bounded number in memory at a time."""
    last = ""
    while True:
        some = list(run.metrics.filter(name__gt=last).order_by("name")[:METRICS_AT_ONCE])
        yield from some
        if len(some) < METRICS_AT_ONCE:
            return
        last = some[-1].name


class RunHistory(AnyAcceptView):
    """Exact points, in the order logged."""

    reads_query = True
    log_scope_methods = ("GET",)

    def get(self, request: Request, pk: str) -> Response | StreamingHttpResponse:
        run = access.readable_run(request.user, path_id(pk))
        query = checked_input(serializers.HistoryQuery, request.query_params)
        found = run.metrics.filter(name__in=query["metric"]).select_related("tail")
        by_name = {metric.name: metric for metric in found}
        unknown = [name for name in query["metric"] if name not in by_name]
        if unknown:
            raise Http404(f"This run has no metric {unknown[0]!r}.")
        after = dict(zip(query["metric"], query["after"], strict=True))
        if query["format"] == "csv":
            lines = history_lines(by_name, after, query.get("limit"))
            return csv_response(lines, f"history-{run.pk}.csv")
        limit = min(query.get("limit", DEFAULT_HISTORY), MAX_ANSWER_POINTS // len(after))
        return Response(
            {"metrics": {name: piece(by_name[name], after[name], limit) for name in after}}
        )


def piece(metric: Metric, after: int, limit: int) -> msgspec.Raw:
    """Points of one series from a cursor on, written out: as text they take a third of the
    memory."""
    steps, times, values = [], [], []
    for points in reading.blocks(metric, after, after + limit):
        steps += points.steps.tolist()
        times += points.times.tolist()
        values += points.values.tolist()
    end = after + len(steps)
    return written(
        {
            "count": metric.count,
            "after": after,
            "next": end if end < metric.count else None,
            "steps": steps,
            "times": times,
            "values": values,
        }
    )


def written(value: object) -> msgspec.Raw:
    """A part of an answer as the JSON it will be."""
    return msgspec.Raw(encoded(value))


def history_lines(
    metrics: dict[str, Metric], after: dict[str, int], limit: int | None
) -> Iterator[str]:
    yield csv_line(["metric", "step", "time", "value"])
    for name, start in after.items():
        stop = None if limit is None else start + limit
        yield from csv_of_points([name], reading.blocks(metrics[name], start, stop))


class Series(ApiView):
    """Series of several runs, thinned out for a chart."""

    reads_query = True

    def get(self, request: Request) -> Response:
        return Response({"series": asked_series(request.user, request.query_params)})


def asked_series(user: object, params: object) -> list[dict]:
    """What a chart asks for, by query; the pages' own addresses answer with the same."""
    query = checked_input(serializers.SeriesQuery, params)
    axis = charts.Axis(
        query["x"],
        query.get("from"),
        query.get("to"),
        query["buckets"],
        query["smoothing"],
        query["xscale"] == "log",
    )
    runs = access.readable_runs(user, query["run"])
    return charts.chart_series(runs, list(dict.fromkeys(query["metric"])), axis)


class Compare(ApiView):
    """Runs side by side."""

    reads_query = True

    def get(self, request: Request) -> Response:
        query = checked_input(serializers.CompareQuery, request.query_params)
        runs = access.readable_runs(request.user, query["run"])
        return Response(comparing.compared(runs))

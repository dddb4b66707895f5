"""/runs/: finding, starting, changing and ending them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import RememberedTokenAuthentication
from experiments import access, curating, recording, run_values, tables
from experiments.api import batches, serializers, shapes
from experiments.api.base import (
    PAGING,
    AnyAcceptView,
    ApiView,
    checked_input,
    csv_response,
    filtered,
    page_response,
    path_id,
)
from experiments.api.errors import ValidationFailed
from experiments.fields import Ordering, parse_ordering
from experiments.filters import ApiRunFilter, RunFilter
from experiments.models import Environment, Experiment, Run
from experiments.paging import Segment
from experiments.querysets import RunQuerySet
from experiments.run_values import RunValues
from experiments.selecting import Selection, is_joined, selection
from experiments.starting import Begun, begin_from_memory
from experiments.values import InvalidValue, field_name
from exptrack.databases import time_limit

DEFAULT_ORDERING = "-started_at"


def listed(
    request: Request, rows: QuerySet, filterset_class: type[RunFilter], *others: str
) -> tuple[QuerySet, Ordering, RunFilter]:
    """The runs a request asks for, their ordering, and the filters; `others` are the parameters
    it may have besides."""
    rows, filterset = filtered(filterset_class, request, rows, ["ordering", "fields", *others])
    try:
        ordering = parse_ordering(request.query_params.get("ordering", DEFAULT_ORDERING))
    except InvalidValue as error:
        raise ValidationFailed(
            "The ordering cannot be used.", {"ordering": [str(error)]}
        ) from error
    return rows, ordering, filterset


def found_first(
    request: Request,
    rows: RunQuerySet,
    experiment: Experiment | None,
    *,
    is_counted: bool = True,
) -> Selection:
    """The rows, by their ids where the request narrows them to few."""
    is_narrowed = not RunFilter.base_filters.keys().isdisjoint(request.query_params)
    if not is_narrowed:
        return Selection(rows, is_whole=True)
    return selection(rows, experiment and experiment.pk, is_counted=is_counted)


def columns_of(request: Request) -> list | None:
    """The fields asked for, or None."""
    if "fields" not in request.query_params:
        return None
    try:
        columns = tables.parse_columns(request.query_params["fields"])
        if not columns:
            raise InvalidValue("Name at least one, or leave the parameter out.")
        return columns
    except InvalidValue as error:
        raise ValidationFailed("The fields cannot be used.", {"fields": [str(error)]}) from error


def filled(request: Request, runs: list[Run], columns: list | None) -> RunValues:
    """What the runs hold, of the chosen columns or the first; and no parent that is hidden."""
    if columns is None or run_values.PARENT in columns:
        access.hide_parents(request.user, runs)
    return run_values.complete(runs) if columns is None else run_values.chosen(runs, columns)


def detail(request: Request, run: Run) -> dict:
    """One run with everything but its points."""
    access.hide_parents(request.user, [run])
    environment = Environment.objects.filter(run=run).first()
    return shapes.run_detail_json(
        request, run, run_values.complete([run]), environment.data if environment else {}
    )


def detail_as_started(request: Request, begun: Begun, fields: dict) -> dict:
    """`detail` of a run just started, from what it was started with."""
    run = begun.run
    params = {field_name(name): value for name, value in (fields.get("params") or {}).items()}
    tags = {field_name(name): text for name, text in (fields.get("tags") or {}).items()}
    values = run_values.as_started(run, params, tags, begun.series)
    return shapes.run_detail_json(request, run, values, fields.get("environment") or {})


def first_points(request: Request, log: tuple | None, run_id: UUID | None) -> dict:
    """What `recording.begin_run` takes of the batch that comes with a start. Where the run has an
    id the batch must have a number, or nobody could tell a repeat from another process's."""
    if log is None:
        return {}
    batch, body = log
    mark = batches.mark_of(request, batch, body)
    if mark is None and run_id is not None:
        raise ValidationFailed(
            "Points for a run with an id are numbered, so that a repeat adds nothing.",
            {"log": ["Give writer and seq."]},
        )
    return {"metrics": batches.columns_of(batch), "mark": mark}


class RunList(ApiView):
    """All runs one may see, and new ones."""

    authentication_classes = [RememberedTokenAuthentication]
    reads_query = True
    log_scope_methods = ("GET", "POST")
    parser_classes = [batches.StartParser]

    @time_limit()
    def get(self, request: Request) -> Response:
        self.look_token_up(request)
        rows = Run.objects.visible_to(request.user).alive().for_table()
        rows, ordering, filters = listed(request, rows, ApiRunFilter, *PAGING)
        experiment = filters.chosen_experiment()
        if ordering.field.kind == "attribute" and (experiment is None or not is_joined(rows)):
            found = Selection(rows)
        else:
            found = found_first(request, rows, experiment, is_counted=False)
        columns = columns_of(request)
        experiment_id = experiment and experiment.pk

        def listing(now: datetime) -> list[Segment]:
            return found.segments(ordering, experiment_id, now)

        def shape(runs: list[Run]) -> list[dict]:
            values = filled(request, runs, columns)
            return [shapes.run_json(request, run, values) for run in runs]

        def octets(runs: list[Run]) -> list[int]:
            return run_values.octets(runs, columns)

        return page_response(request, listing, ordering.descending, shape, octets)

    def post(self, request: Request) -> Response:
        try:
            begun, fields = self.begun(request)
        except Exception:  # what is wrong is not for one whose token was revoked a moment ago
            self.look_token_up(request)
            raise
        if not begun.is_new:
            return Response(detail(request, begun.run))
        return Response(detail_as_started(request, begun, fields), status=201)

    def begun(self, request: Request) -> tuple[Begun, dict]:
        """The run that was begun or joined, in one statement if that serves; and the body."""
        fields = checked_input(serializers.RunIn, request.data)
        points = first_points(request, fields.pop("log", None), fields.get("id"))
        begun = begin_from_memory(user=request.user, **fields, **points)
        if begun is None:
            self.look_token_up(request)
            begun = recording.begin_run(user=request.user, **fields, **points)
        return begun, fields


class RunDetail(ApiView):
    """One run."""

    log_scope_methods = ("GET",)

    def get(self, request: Request, pk: str) -> Response:
        return Response(detail(request, access.readable_run(request.user, path_id(pk))))

    def patch(self, request: Request, pk: str) -> Response:
        run = access.writable_run(request.user, path_id(pk))
        fields = checked_input(serializers.RunChange, request.data, partial=True)
        if "experiment" in fields:
            fields["experiment"] = self.target(request, fields["experiment"])
        curating.update_run(run=run, **fields)
        return Response(detail(request, access.readable_run(request.user, run.pk)))

    def target(self, request: Request, name_or_id: str) -> Experiment:
        """The experiment to move a run to: one that exists and takes the user's runs."""
        target = (
            Experiment.objects.visible_to(request.user)
            .alive()
            .by_name_or_id(name_or_id, request.user)
        )
        if target is None:
            raise ValidationFailed(
                "The run cannot be moved there.", {"experiment": ["There is no such experiment."]}
            )
        if not access.may_add_runs(request.user, target):
            access.refuse("You may not add runs to this experiment.")
        return target

    def delete(self, request: Request, pk: str) -> Response:
        """Move it to the trash."""
        run = access.writable_run(request.user, path_id(pk))
        curating.trash_runs(user=request.user, runs=[run])
        return Response(status=204)


class RunRestore(ApiView):
    """Back from the trash."""

    def post(self, request: Request, pk: str) -> Response:
        run = access.writable_run(request.user, path_id(pk))
        checked_input(serializers.Nothing, request.data)
        curating.restore_run(run=run)
        return Response(detail(request, access.readable_run(request.user, run.pk)))


class RunStop(ApiView):
    """Ask the training process to stop."""

    def post(self, request: Request, pk: str) -> Response:
        run = access.writable_run(request.user, path_id(pk))
        checked_input(serializers.Nothing, request.data)
        stopped = curating.request_stop(run=run)
        return Response({"status": stopped.shown_status, "stop_requested": True})


class RunHeartbeat(ApiView):
    """A sign of life."""

    log_scope_methods = ("POST",)

    def post(self, request: Request, pk: str) -> Response:
        run = access.writable_run(request.user, path_id(pk))
        checked_input(serializers.Nothing, request.data)
        run = recording.heartbeat(run=run)
        return Response({"status": run.shown_status, "stop_requested": run.stop_requested})


class RunFinish(ApiView):
    """The end of a run."""

    log_scope_methods = ("POST",)

    def post(self, request: Request, pk: str) -> Response:
        run = access.writable_run(request.user, path_id(pk))
        fields = checked_input(serializers.FinishIn, request.data)
        recording.finish_run(run=run, **fields)
        return Response(detail(request, access.readable_run(request.user, run.pk)))


class RunCsv(AnyAcceptView):
    """The runs table as CSV."""

    reads_query = True

    @time_limit()
    def get(self, request: Request) -> StreamingHttpResponse:
        rows = Run.objects.visible_to(request.user).alive().for_table()
        rows, ordering, filters = listed(request, rows, ApiRunFilter)
        experiment = filters.chosen_experiment()
        found = found_first(request, rows, experiment)
        segments = found.segments(ordering, experiment and experiment.pk)
        lines = run_values.csv_of_runs(request.user, segments, ordering, columns_of(request))
        return csv_response(lines, "runs.csv")


class ExperimentCsv(AnyAcceptView):
    """The runs table of one experiment as CSV."""

    reads_query = True

    @time_limit()
    def get(self, request: Request, pk: str) -> StreamingHttpResponse:
        experiment = access.readable_experiment(request.user, path_id(pk))
        rows = Run.objects.visible_to(request.user).alive().for_table()
        rows, ordering, _ = listed(request, rows.filter(experiment=experiment), RunFilter)
        found = found_first(request, rows, experiment)
        segments = found.segments(ordering, experiment.pk)
        lines = run_values.csv_of_runs(request.user, segments, ordering, columns_of(request))
        return csv_response(lines, "runs.csv")

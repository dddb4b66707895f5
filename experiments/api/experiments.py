"""/experiments/"""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from experiments import access, curating, outcomes, recording
from experiments.api import serializers, shapes
from experiments.api.base import (
    PAGING,
    ApiView,
    checked_input,
    filtered,
    page_response,
    path_id,
)
from experiments.api.errors import ValidationFailed
from experiments.filters import ExperimentFilter
from experiments.models import Experiment
from exptrack.databases import time_limit

ORDERINGS = ("name", "created_at", "last_run_at")


def detail(request: Request, experiment: Experiment) -> dict:
    """One experiment with its counts and latest run."""
    return described(request, [experiment])[0]


def described(request: Request, experiments: list[Experiment]) -> list[dict]:
    """Experiments with their counts and latest runs; three statements for any number."""
    counts = outcomes.counts_by_status(experiments)
    latest = outcomes.latest_runs(experiments)
    return [
        shapes.experiment_json(request, found, counts[found.pk], latest.get(found.pk))
        for found in experiments
    ]


def ordering_of(request: Request) -> str:
    ordering = request.query_params.get("ordering", "-last_run_at")
    if ordering.removeprefix("-") not in ORDERINGS:
        raise ValidationFailed(
            "The ordering cannot be used.",
            {"ordering": [f"One of {', '.join(ORDERINGS)}, with - for downward."]},
        )
    return ordering


class ExperimentList(ApiView):
    """All experiments one may see, and new ones."""

    reads_query = True

    @time_limit()
    def get(self, request: Request) -> Response:
        rows: QuerySet = Experiment.objects.visible_to(request.user).alive().for_list()
        rows, _ = filtered(ExperimentFilter, request, rows, ["ordering", *PAGING])
        segments, descending = rows.segments(ordering_of(request))
        return page_response(
            request,
            lambda now: segments,
            descending,
            lambda found: described(request, found),
            lambda found: [len(each.description) + len(str(each.tags)) for each in found],
        )

    def post(self, request: Request) -> Response:
        fields = checked_input(serializers.ExperimentIn, request.data)
        experiment = recording.create_experiment(user=request.user, **fields)
        return Response(detail(request, experiment), status=201)


class ExperimentDetail(ApiView):
    """One experiment."""

    def get(self, request: Request, pk: str) -> Response:
        experiment = access.readable_experiment(request.user, path_id(pk))
        return Response(detail(request, experiment))

    def put(self, request: Request, pk: str) -> Response:
        """Replace every field: those left out get their default, but for the visibility, which
        stays: nothing private is shown to all by leaving something out."""
        experiment = access.writable_experiment(request.user, path_id(pk))
        fields = checked_input(serializers.ExperimentChange, request.data)
        defaults = {"description": "", "tags": {}, "status": "active"}
        return self.changed(request, experiment, {**defaults, **fields})

    def patch(self, request: Request, pk: str) -> Response:
        experiment = access.writable_experiment(request.user, path_id(pk))
        fields = checked_input(serializers.ExperimentChange, request.data, partial=True)
        return self.changed(request, experiment, fields)

    def changed(self, request: Request, experiment: Experiment, fields: dict) -> Response:
        curating.update_experiment(user=request.user, experiment=experiment, **fields)
        return Response(detail(request, experiment))

    def delete(self, request: Request, pk: str) -> Response:
        """Move it to the trash."""
        experiment = access.writable_experiment(request.user, path_id(pk))
        curating.trash_experiment(user=request.user, experiment=experiment)
        return Response(status=204)


class ExperimentRestore(ApiView):
    """Back from the trash."""

    def post(self, request: Request, pk: str) -> Response:
        experiment = access.writable_experiment(request.user, path_id(pk))
        fields = checked_input(serializers.RestoreIn, request.data)
        curating.restore_experiment(user=request.user, experiment=experiment, **fields)
        return Response(detail(request, experiment))


class CollaboratorList(ApiView):
    """Who else may see and edit an experiment."""

    def get(self, request: Request, pk: str) -> Response:
        experiment = access.readable_experiment(request.user, path_id(pk))
        found = experiment.collaborators.select_related("user")
        return Response({"results": [shapes.collaborator_json(each) for each in found]})

    def post(self, request: Request, pk: str) -> Response:
        experiment = access.writable_experiment(request.user, path_id(pk))
        fields = checked_input(serializers.CollaboratorIn, request.data)
        username = User.normalize_username(fields["user"])
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None or user.pk == experiment.owner_id:
            message = "There is no such user." if user is None else "The owner is in already."
            raise ValidationFailed("This person cannot be added.", {"user": [message]})
        added = curating.share_experiment(experiment=experiment, user=user, role=fields["role"])
        return Response(shapes.collaborator_json(added), status=201)


class CollaboratorDetail(ApiView):
    """One person's part in an experiment."""

    def delete(self, request: Request, pk: str, username: str) -> Response:
        experiment = access.writable_experiment(request.user, path_id(pk))
        username = User.normalize_username(username)
        user = User.objects.filter(username=username).first()
        if user is None or not curating.unshare_experiment(experiment=experiment, user=user):
            raise Http404("This person is no collaborator of the experiment.")
        return Response(status=204)


class ExperimentSummary(ApiView):
    """What came out of the runs one may see."""

    reads_query = True

    @time_limit()
    def get(self, request: Request, pk: str) -> Response:
        experiment = access.readable_experiment(request.user, path_id(pk))
        query = checked_input(serializers.SummaryQuery, request.query_params)
        latest = outcomes.latest_runs([experiment]).get(experiment.pk)
        return Response(
            {
                "run_counts": outcomes.counts_by_status([experiment])[experiment.pk],
                "latest_run": latest and shapes.latest_run_json(latest),
                "metrics": {
                    name: self.metric(experiment, name)
                    for name in dict.fromkeys(query.get("metric", []))
                },
            }
        )

    def metric(self, experiment: Experiment, name: str) -> dict:
        """Count, mean, sample deviation and extremes of the last values, and whose they are."""
        summary = outcomes.metric_over_runs(experiment, name)
        for side in ("best_by_min", "best_by_max"):
            summary[side] = summary[side] and {
                **shapes.latest_run_json(summary[side]),
                "value": summary[side].page_value,
            }
        return summary

"""What answers look like: plain dictionaries, told in the schema by `components`. A test holds
every answer against it."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Token, User
from experiments.fields import Field, ends_like_aggregate
from experiments.models import Collaborator, Experiment, Run, last_of
from experiments.run_values import RunValues

# How a run's attributes are called in an answer, where it is not as in `fields`.
KEYS = {"created": "created_at", "started": "started_at", "ended": "ended_at"}


def rfc3339(moment: datetime | None) -> str | None:
    """UTC with microseconds, like 2026-01-31T12:00:00.000000Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def page_url(request: HttpRequest, name: str, pk: object) -> str:
    """The absolute address of an object's page."""
    return request.build_absolute_uri(reverse(name, args=[pk]))


def experiment_json(
    request: HttpRequest, experiment: Experiment, counts: dict, latest: Run | None
) -> dict:
    return {
        "id": experiment.pk,
        "name": experiment.name,
        "description": experiment.description,
        "status": experiment.status,
        "visibility": experiment.visibility,
        "owner": experiment.owner.username,
        "tags": experiment.tags,
        "created_at": rfc3339(experiment.created_at),
        "last_run_at": rfc3339(experiment.last_run_at),
        "trashed_at": rfc3339(experiment.trashed_at),
        "run_counts": counts,
        "latest_run": latest and latest_run_json(latest),
        "url": page_url(request, "experiment-detail", experiment.pk),
    }


def latest_run_json(run: Run) -> dict:
    return {
        "id": run.pk,
        "name": run.name,
        "status": run.shown_status,
        "started_at": rfc3339(run.started_at),
    }


def run_json(request: HttpRequest, run: Run, values: RunValues) -> dict:
    """A run as lists show it; where columns were chosen, its id and just those."""
    duration = run.duration
    shown = {
        "id": run.pk,
        "name": run.name,
        "experiment": {"id": run.experiment_id, "name": run.experiment.name},
        "owner": run.owner.username,
        "status": run.shown_status,
        "started_at": rfc3339(run.started_at),
        "ended_at": rfc3339(run.ended_at),
        "duration": None if duration is None else duration.total_seconds(),
        "last_seen_at": rfc3339(run.last_seen_at),
        "params": values.params[run.pk],
        "tags": values.tags[run.pk],
        "metrics": metric_values(run, values),
        "parent": run.parent_id,
        "stop_requested": run.stop_requested,
        "revision": run.revision,
        "trashed_at": rfc3339(run.in_trash_since),
        "truncated": run.pk in values.truncated,
        "url": page_url(request, "run-detail", run.pk),
    }
    return only_asked(run, shown, values.columns) if values.columns else shown


def only_asked(run: Run, shown: dict, columns: list[Field]) -> dict:
    """What was asked for by name, and the id."""
    shown["created_at"] = rfc3339(run.created_at)
    asked = {"id"} | {
        KEYS.get(column.name, column.name) if column.kind == "attribute" else f"{column.kind}s"
        for column in columns
    }
    return {key: value for key, value in shown.items() if key in asked}


def metric_values(run: Run, values: RunValues) -> dict:
    """By name the last value of each metric; of chosen columns the aggregate asked for, under
    the name with `.min` and the like behind it."""
    if not values.columns:
        return {name: last_of(*last) for name, last in values.metrics[run.pk].items()}
    return {
        metric_key(column): value
        for column in values.columns
        if column.kind == "metric" and (value := values.of_column(column, [run])[0]) is not None
    }


def metric_key(column: Field) -> str:
    """The name of a chosen metric in an answer; in backticks where the name itself ends like an
    aggregate, so that no two are called alike."""
    name = f"`{column.name}`" if ends_like_aggregate(column) else column.name
    return name if column.aggregate == "last" else f"{name}.{column.aggregate}"


def run_detail_json(request: HttpRequest, run: Run, values: RunValues, environment: dict) -> dict:
    """A run by itself: with its long texts too."""
    return {
        **run_json(request, run, values),
        "notes": run.notes,
        "environment": environment,
        "error": run.error,
    }


def collaborator_json(collaborator: Collaborator) -> dict:
    return {"user": collaborator.user.username, "role": collaborator.role}


def token_json(token: Token) -> dict:
    return {
        "id": token.pk,
        "name": token.name,
        "hint": token.hint,
        "scope": token.scope,
        "experiment": token.experiment_id,
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "last_used_at": rfc3339(token.last_used_at),
    }


def me_json(user: User) -> dict:
    """Who a token is and what it may send."""
    return {
        "user": user.username,
        "role": user.role,
        "token": token_json(user.token),
        "limits": {
            "body_bytes": settings.MAX_BODY_BYTES,
            "points_per_request": settings.MAX_POINTS_PER_REQUEST,
            "names_per_request": settings.MAX_NAMES_PER_REQUEST,
        },
    }

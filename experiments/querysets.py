"""Every read of rows, named for its purpose. Points are read in `reading`."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Case, Count, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower, Now
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import User

COUNTED = ("queued", "running", "finished", "failed", "killed", "lost")


def longest_silence(has_beaten: bool) -> timedelta:
    """How long a running run may be silent before it counts as lost."""
    seconds = (
        settings.LOST_AFTER_SECONDS
        if has_beaten
        else settings.LOST_AFTER_SECONDS_WITHOUT_HEARTBEAT
    )
    return timedelta(seconds=seconds)


def is_lost() -> Q:
    """Running, but silent for longer than it may be; judged by the server's clock."""
    now = timezone.now()
    return Q(status="running") & (
        Q(has_beaten=True, last_seen_at__lt=now - longest_silence(True))
        | Q(has_beaten=False, last_seen_at__lt=now - longest_silence(False))
    )


def contains_folded(field: str, text: str) -> Q:
    """`field` contains `text`, in any case, alike on both databases."""
    return Q(**{f"{field}__lower__contains": text.lower()})


class ExperimentQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> ExperimentQuerySet:
        """What the user, through the token if there is one, may read; trash included."""
        found = self
        if user.token is not None and user.token.experiment_id is not None:
            found = found.filter(pk=user.token.experiment_id)
        if user.is_admin:
            return found
        collaborator = self.model.collaborators.rel.related_model
        shared = collaborator.objects.filter(experiment=OuterRef("pk"), user=user)
        return found.filter(Q(visibility="internal") | Q(owner=user) | Exists(shared))

    def alive(self) -> ExperimentQuerySet:
        return self.filter(trashed_at=None)


class RunQuerySet(models.QuerySet):
    pass

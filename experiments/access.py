"""Who may see and change what: decided here, once, for every door.

Each function fetches and authorises in one step: 404 for what is invisible, 403 for what may
be seen but not changed. Rights are the least of the user and the token the request came with
(`user.token`, None in a session).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from django.core.exceptions import PermissionDenied
from django.http import Http404

from accounts.models import Token, User
from experiments.models import Collaborator, Experiment, Run


def refuse(message: str) -> None:
    raise PermissionDenied(message)


def edits_experiment(user: User, experiment: Experiment) -> bool:
    """Owner, editors and admins change everything in an experiment."""
    if not user.may_write:
        return False
    if user.is_admin or experiment.owner_id == user.pk:
        return True
    return Collaborator.objects.filter(experiment=experiment, user=user, role="editor").exists()


def may_add_runs(user: User, experiment: Experiment) -> bool:
    """Members add runs to any internal experiment they see; to private ones, its editors."""
    if not user.may_write:
        return False
    return experiment.visibility == "internal" or edits_experiment(user, experiment)


def edits_run(user: User, run: Run) -> bool:
    """Whoever owns the run, or edits its experiment."""
    if not user.may_write:
        return False
    if user.token is not None and user.token.scope == Token.Scope.LOG:
        return run.owner_id == user.pk
    return run.owner_id == user.pk or edits_experiment(user, run.experiment)


def surely_edits_run(user: User, run: Run) -> bool:
    """Whether the user may change the run, told without a query for the usual case: their own
    run where they may add one. False means that only `writable_run` can tell."""
    token = user.token
    return (
        user.may_write
        and run.owner_id == user.pk
        and (token is None or token.experiment_id in (None, run.experiment_id))
        and (run.experiment.visibility == "internal" or run.experiment.owner_id == user.pk)
    )


def readable_experiment(user: User, experiment_id: uuid.UUID) -> Experiment:
    """The experiment, in the trash or not; 404 when the user may not see it."""
    found = Experiment.objects.visible_to(user).select_related("owner").filter(pk=experiment_id)
    experiment = found.first()
    if experiment is None:
        raise Http404("There is no such experiment, or you may not see it.")
    return experiment


def writable_experiment(user: User, experiment_id: uuid.UUID) -> Experiment:
    """The experiment, if the user may change it; 403 when it may only be seen."""
    experiment = readable_experiment(user, experiment_id)
    if not edits_experiment(user, experiment):
        refuse("Only the experiment's owner, its editors and admins may change it.")
    return experiment


def readable_run(user: User, run_id: uuid.UUID) -> Run:
    """The run with its experiment and owner, in the trash or not; 404 when invisible."""
    found = Run.objects.visible_to(user).select_related("experiment", "owner")
    run = found.filter(pk=run_id).first()
    if run is None:
        raise Http404("There is no such run, or you may not see it.")
    return run


def require_readable(
    user: User, runs: Collection[uuid.UUID], experiments: Collection[uuid.UUID]
) -> None:
    """404 when the user may not see every one of these."""
    seen = Run.objects.visible_to(user).filter(pk__in=runs).count() if runs else 0
    if experiments:
        seen += Experiment.objects.visible_to(user).filter(pk__in=experiments).count()
    if seen < len(runs) + len(experiments):
        raise Http404("There is no such run or experiment, or you may not see it.")


def hides_any(user: User, runs: Collection[uuid.UUID], experiments: Collection[uuid.UUID]) -> bool:
    """Whether any of these that exist may not be seen by the user (any more)."""
    return any(
        model.objects.filter(pk__in=ids)
        .exclude(pk__in=model.objects.visible_to(user).filter(pk__in=ids).values("pk"))
        .exists()
        for model, ids in ((Run, runs), (Experiment, experiments))
        if ids
    )


def readable_runs(user: User, ids: Sequence[uuid.UUID]) -> list[Run]:
    """These runs in this order, each once; 404 when one of them is invisible."""
    found = visible_runs(user, ids)
    for run_id in ids:
        if run_id not in found:
            raise Http404(f"There is no run {run_id}, or you may not see it.")
    return [found[run_id] for run_id in dict.fromkeys(ids)]


def named_experiment(user: User, text: str) -> uuid.UUID | None:
    """The id of the experiment of this name, or id, that the user sees; None if there is none."""
    found = Experiment.objects.visible_to(user).by_name_or_id(text, user)
    return found and found.pk


def visible_runs(user: User, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Run]:
    """Those of these runs that are to be seen, by id, each with its experiment and owner."""
    return Run.objects.visible_to(user).select_related("experiment", "owner").in_bulk(ids)


def hide_parents(user: User, runs: Sequence[Run]) -> None:
    """From runs that are only to be shown, take away the parents that the user may not see. One
    statement, none where no run has a parent."""
    parents = {run.parent_id for run in runs if run.parent_id is not None}
    if parents:
        seen = Run.objects.visible_to(user).filter(pk__in=parents)
        hidden = parents - set(seen.values_list("pk", flat=True))
        for run in runs:
            if run.parent_id in hidden:
                run.parent_id = None


def writable_run(user: User, run_id: uuid.UUID) -> Run:
    """The run, if the user may change it or log to it; 403 when it may only be seen."""
    run = readable_run(user, run_id)
    if not edits_run(user, run):
        refuse("Only the run's owner, the experiment's editors and admins may change it.")
    return run


def picked_experiments(
    user: User, ids: Sequence[uuid.UUID]
) -> tuple[list[Experiment], list[Experiment]]:
    """Of the living experiments of these ids that the user sees: those they may change, and those
    they may not. Two statements, however many there are."""
    found = Experiment.objects.visible_to(user).alive().filter(pk__in=ids).order_by("pk")
    edited = set(
        Experiment.objects.editable_by(user).filter(pk__in=ids).values_list("pk", flat=True)
    )
    own = [experiment for experiment in found if experiment.pk in edited]
    return own, [experiment for experiment in found if experiment.pk not in edited]


def picked_runs(
    user: User, experiment: Experiment, ids: Sequence[uuid.UUID]
) -> tuple[list[Run], list[Run]]:
    """Of the runs of these ids in an experiment that the user sees: those they may change, and
    those they may not. At most two statements, however many there are."""
    found = Run.objects.visible_to(user).filter(experiment=experiment, pk__in=ids)
    runs = list(found.select_related("experiment").order_by("pk"))
    if edits_experiment(user, experiment):
        return runs, []
    own = [run for run in runs if user.may_write and run.owner_id == user.pk]
    return own, [run for run in runs if run not in own]

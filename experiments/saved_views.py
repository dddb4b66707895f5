"""Named selections of an experiment's runs: the query of its page, kept under a name.

A view is its owner's own until it is shared; then whoever sees the experiment sees it. One shared
view may be what the experiment opens with. Only the query is kept, and of it only what the page
reads: a view never leads anywhere else.
"""

from __future__ import annotations

import uuid
from urllib.parse import parse_qsl, urlencode

import structlog
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.models import User
from experiments.access import edits_experiment
from experiments.models import Experiment, SavedView
from experiments.refusals import Conflict, Gone, checked, nothing_purged
from experiments.values import InvalidValue, title

log = structlog.get_logger(__name__)

# What of an address says which runs are shown and how; a place in the list is not part of it.
FILTERS = ("q", "search", "owner", "status", "tag", "within", "created_after", "created_before")
TABLE = ("ordering", "columns", "group", "inside", "limit", "view")
CURVES = (
    *("drawn", "metric", "hide", "x", "xscale", "yscale", "smoothing", "outliers", "band"),
    "limits",
)
KEPT = frozenset((*FILTERS, *TABLE, *CURVES))
LONGEST_QUERY = 8_000
MOST_SHOWN = 200


def kept_query(text: str) -> str:
    """What of a query a view keeps, in its order; InvalidValue when that is too long to be an
    address."""
    pairs = parse_qsl(text.removeprefix("?"))
    query = urlencode([(name, value) for name, value in pairs if name in KEPT], safe=",:")
    if len(query) > LONGEST_QUERY:
        raise InvalidValue("This selection is too long to be kept. Choose fewer columns.")
    return query


def same_query(one: str, other: str) -> bool:
    """Whether two queries ask for the same, in whatever order."""
    return sorted(parse_qsl(one)) == sorted(parse_qsl(other))


def views_seen_by(user: User, experiment: Experiment) -> QuerySet:
    """The views of an experiment that the user sees: their own and shared ones, by name."""
    seen = SavedView.objects.filter(Q(owner=user) | Q(shared=True), experiment=experiment)
    return seen.select_related("owner").order_by("name", "pk")


def changeable_view(user: User, experiment: Experiment, view_id: uuid.UUID) -> SavedView:
    """The view, if the user may change it: their own, or a shared one of an experiment they edit.
    404 when it is not theirs to see, 403 when only that."""
    view = views_seen_by(user, experiment).filter(pk=view_id).first()
    if view is None:
        raise Http404("There is no such view, or you may not see it.")
    if not may_change(user, view, edits_experiment(user, experiment)):
        raise PermissionDenied("Only a view's owner and the experiment's editors may change it.")
    return view


def may_change(user: User, view: SavedView, is_editor: bool) -> bool:
    """Whether the user, who edits the experiment or not, may change a view they see."""
    return user.may_write and (is_editor or view.owner_id == user.pk)


def save_view(
    *, view: SavedView, name: str, shared: bool, is_default: bool, query: str | None = None
) -> SavedView:
    """Store a view, new or not, with what is given; Conflict when its owner has another one of
    this name. A default is shared, and the only one of its experiment."""
    view.name = checked(title, name, "name")
    view.shared, view.is_default = shared or is_default, is_default
    if query is not None:
        view.query = checked(kept_query, query, "query")
    try:
        with nothing_purged(), transaction.atomic():
            if is_default:
                others = SavedView.objects.filter(experiment=view.experiment, is_default=True)
                others.exclude(pk=view.pk).update(is_default=False)
            if view._state.adding:
                view.save()
            else:
                write(view, "name", "shared", "is_default", "query")
    except IntegrityError as error:
        message = "You have a view of this name already. Choose another one."
        raise Conflict(message, {"name": [message]}) from error
    log.info("view_saved", view=str(view.pk), shared=view.shared, default=is_default)
    return view


def update_view(*, view: SavedView, query: str) -> None:
    """Let a view show what this query does from now on."""
    view.query = checked(kept_query, query, "query")
    write(view, "query")
    log.info("view_updated", view=str(view.pk))


def write(view: SavedView, *fields: str) -> None:
    """Store these fields of a view; Gone where it was deleted meanwhile, not made anew."""
    values = {field: getattr(view, field) for field in fields}
    if not SavedView.objects.filter(pk=view.pk).update(**values):
        raise Gone("This view has been deleted.")


def delete_view(*, view: SavedView) -> None:
    """Forget a view; runs are not touched."""
    view.delete()
    log.info("view_deleted", view=str(view.pk))

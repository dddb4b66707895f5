"""The tag that lets a page follow what it shows."""

from __future__ import annotations

from collections.abc import Collection

from django import template
from django.http import QueryDict
from django.template import Context
from django.urls import reverse

from experiments import live
from experiments.live import Heads, Watch
from experiments.models import Experiment, Run

register = template.Library()


@register.inclusion_tag("experiments/_live_updates.html", takes_context=True)
def live_updates(
    context: Context,
    run: Run | None = None,
    experiment: Experiment | None = None,
    runs: Collection[Run] = (),
    experiments: Collection[Experiment] = (),
    *,
    look_every: int = 0,
    heads: Heads | None = None,
    oob: bool = False,
    calm: bool = False,
) -> dict:
    """What keeps a page up to date while it is open: the points and states of those of these runs
    that have not ended, and the states of the runs of these experiments. Nothing where there is
    nothing to wait for, unless the page looks at itself every so many seconds, for what is not
    known yet. `calm` where nothing but curves shows what runs log. One statement, none where the
    `heads` were read with the counts."""
    watch = Watch.by_page(filter(None, (run, *runs)), filter(None, (experiment, *experiments)))
    if not watch.runs and not watch.experiments:
        return {"url": None, "look_every": look_every, "oob": oob, "request": context["request"]}
    query = QueryDict(mutable=True)
    query.setlist("run", sorted(watch.runs))
    query.setlist("experiment", sorted(watch.experiments))
    return {
        "url": f"{reverse('live')}?{query.urlencode()}",
        "look_every": look_every,
        "since": live.token_of(live.seen_by_now(watch, heads)),
        "oob": oob,
        "calm": calm,
        "request": context["request"],
    }

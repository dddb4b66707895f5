"""A server whose every stored string is one of the payloads, past whatever would refuse them."""

from __future__ import annotations

import numpy as np
from django.utils import timezone

from accounts.models import Token, User
from experiments import appending, recording
from experiments.models import (
    Collaborator,
    Experiment,
    Metric,
    Param,
    Run,
    SavedView,
    Tag,
)
from experiments.storing import Columns
from experiments.tests.hostile import MARKDOWN, PAYLOADS
from experiments.values import FIELD_NAME

ENVIRONMENT = {
    **{text: text for text in PAYLOADS},
    "patch": "".join(f"{sign}{text}\n" for text in PAYLOADS for sign in "+- "),
    "packages": {text: text for text in PAYLOADS},
    "list": list(PAYLOADS),
}


def fill(admin: User) -> dict[str, str]:
    """Make it, owned by an admin; the ids that addresses need, by what they are of."""
    people = [User.objects.create_user(f"person {n}") for n in range(len(PAYLOADS))]
    experiment = recording.create_experiment(user=admin, name="main", visibility="private")
    runs = [start(experiment, person) for person in people]
    failed = runs[3]
    recording.finish_run(run=failed, status="failed", error="\n".join(PAYLOADS) * 5)
    trashed = start(experiment, admin)
    Run.objects.filter(pk=trashed.pk).update(trashed_at=timezone.now(), trashed_by=people[0])
    Run.objects.exclude(pk=runs[0].pk).update(parent=runs[0])
    view = poison(admin, experiment, people)
    ids = {"experiment": experiment, "run": runs[0], "failed": failed, "trashed": trashed}
    others = {"other": runs[1], "view": view}
    gone = Experiment.objects.filter(trashed_at__isnull=False).first()
    return {name: str(row.pk) for name, row in {**ids, **others, "gone": gone}.items()}


def start(experiment: Experiment, owner: User) -> Run:
    """A run with as many params, tags and metrics as there are payloads."""
    Collaborator.objects.get_or_create(experiment=experiment, user=owner, role="editor")
    each = range(len(PAYLOADS))
    run, _ = recording.start_run(
        user=owner,
        experiment=str(experiment.pk),
        params={f"p{n}": text for n, text in enumerate(PAYLOADS)},
        tags={f"t{n}": text for n, text in enumerate(PAYLOADS)},
        notes=MARKDOWN,
        environment=ENVIRONMENT,
    )
    metrics = {f"m{n}": Columns(values=np.linspace(0, 1, 5)) for n in each}
    appending.append(user=owner, run_id=run.pk, metrics=metrics)
    return run


def poison(admin: User, experiment: Experiment, people: list[User]) -> SavedView:
    """Put the payloads where names are, and views, tokens and trash of such names beside."""
    for number, (text, person) in enumerate(zip(PAYLOADS, people, strict=True)):
        User.objects.filter(pk=person.pk).update(username=text[:150])
        Run.objects.filter(owner=person).update(name=text)
        # A curve is asked for by its metric's name, which must be one that can be.
        names = ((Param, "p"), (Tag, "t"), *([(Metric, "m")] if FIELD_NAME.fullmatch(text) else []))
        for model, letter in names:
            model.objects.filter(name=f"{letter}{number}").update(name=text)
        Token.objects.issue(admin, text[:100])
        view = SavedView.objects.create(
            experiment=experiment, owner=admin, name=text, query=f"search={text}", shared=True
        )
        trashed_at = timezone.now() if number % 2 else None
        Experiment.objects.create(
            owner=person, name=text, description=MARKDOWN, trashed_at=trashed_at,
            tags={text: text},
        )  # fmt: skip
    User.objects.filter(pk=admin.pk).update(username=f"{PAYLOADS[1]}!")
    Run.objects.filter(owner=admin).update(name=PAYLOADS[3])
    Experiment.objects.filter(pk=experiment.pk).update(
        name=PAYLOADS[1][:-1], description=MARKDOWN, tags=dict.fromkeys(PAYLOADS, PAYLOADS[0])
    )
    return view

"""Which runs a command is for."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser, ArgumentTypeError

from django.core.management.base import CommandError
from django.db.models import QuerySet

from experiments.models import Experiment, Run


def an_id(text: str) -> uuid.UUID:
    """A UUID given as an argument."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no id; ids look like {uuid.UUID(int=0)}") from error


def add_choice(parser: ArgumentParser) -> None:
    """`--run` and `--experiment`; without them a command is for all runs."""
    parser.add_argument("--run", type=an_id, metavar="ID", help="this run only")
    parser.add_argument("--experiment", type=an_id, metavar="ID", help="the runs of this one only")


def chosen_runs(options: dict) -> QuerySet:
    """The runs that were asked for; CommandError when there is no such run or experiment."""
    rows = Run.objects.order_by("pk")
    for model, name, condition in ((Run, "run", "pk"), (Experiment, "experiment", "experiment")):
        if (pk := options[name]) is None:
            continue
        if not model.objects.filter(pk=pk).exists():
            raise CommandError(f"There is no {name} {pk}.")
        rows = rows.filter(**{condition: pk})
    return rows

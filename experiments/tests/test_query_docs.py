"""The examples in docs/query.md find the runs they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from experiments import appending, recording, search
from experiments.matching import matching
from experiments.models import Experiment, Run
from experiments.storing import Columns

TEXT = (settings.BASE_DIR / "docs" / "query.md").read_text()
EXAMPLE = re.compile(
    r"^(\d+)\. [^\n]+\n(?:   [^\n]+\n)*\n {7,8}(\S[^\n]*)\n\n {3,4}(\S[^\n]*)$", re.M
)
EXAMPLES = EXAMPLE.findall(TEXT)


def rows() -> Iterator[dict[str, str]]:
    """The table of runs."""
    lines = [line for line in TEXT.partition("## Twenty examples")[2].splitlines() if "|" in line]
    head, _, *body = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return (dict(zip(head, cells, strict=True)) for cells in body)


def span_of(words: str) -> timedelta:
    """`3 days` or `3 days ago`."""
    number, unit = words.removesuffix(" ago").split()
    return timedelta(**{f"{unit.removesuffix('s')}s": int(number)})


def numbers(values: list) -> Columns:
    return Columns(values=np.array([float(value) for value in values]))


@pytest.fixture
def experiment(alice: User, bob: User) -> Experiment:
    """The runs of the table."""
    people = {"alice": alice, "bob": bob}
    bob.role = User.Role.MEMBER
    bob.save()
    for row in rows():
        started = (
            timezone.now() - span_of(row["started"])
            if row["started"].endswith("ago")
            else datetime.fromisoformat(row["started"])
        )
        run, _ = recording.start_run(
            user=people[row["owner"]],
            experiment="examples",
            name=row["run"],
            params=json.loads(row["params"]),
            tags=json.loads(row["tags"]),
            started_at=started,
        )
        metrics = {name: numbers(values) for name, values in json.loads(row["metrics"]).items()}
        appending.append(user=run.owner, run_id=run.pk, metrics=metrics)
        if row["status"] != "running":
            end = started + span_of(row["took"])
            recording.finish_run(run=run, status=row["status"], ended_at=end)
    return Experiment.objects.get()


def test_there_are_twenty_and_seven_runs_to_try_them_on():
    assert [int(number) for number, *_ in EXAMPLES] == list(range(1, 21))
    assert len(list(rows())) == 7


@pytest.mark.django_db
def test_each_finds_what_it_says(experiment):
    found = {
        query: set(
            matching(Run.objects.inside(experiment), search.parse(query), timezone.now())
            .values_list("name", flat=True)
        )
        for _, query, _ in EXAMPLES
    }  # fmt: skip
    assert found == {query: set(names.split(", ")) for _, query, names in EXAMPLES}


def test_the_query_above_them_is_one():
    [block] = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
    assert search.parse(block).size == 4

"""Orders that follow the clock: while one walks, running runs grow older."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from experiments import recording
from experiments.models import Run

LIST = "/api/v1/runs/"


@pytest.fixture
def runs(alice):
    """Running, lost and ended runs, started a minute apart."""
    now = timezone.now()
    for n in range(30):
        started = now - timedelta(minutes=n)
        run, _ = recording.start_run(user=alice, experiment="digits", started_at=started)
        if n % 3 == 0:
            recording.finish_run(run=run, status="finished")
        if n % 3 == 1:
            Run.objects.filter(pk=run.pk).update(
                has_beaten=True, last_seen_at=now - timedelta(hours=1)
            )


def walked(script, ordering, clock):
    """Every row of a list, two a page, half a minute between the pages."""
    found, url = [], f"{LIST}?ordering={ordering}&limit=2"
    while url:
        page = script.get(url.removeprefix("http://testserver")).json()
        found += page["results"]
        url = page["next"]
        clock.shift(30)
        assert len(found) <= 60
    return found


@pytest.mark.parametrize("ordering", ["duration", "-duration", "status", "-status"])
def test_a_walk_sees_every_run_once_however_long_it_takes(runs, api, alice, ordering):
    script = api(alice)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        found = walked(script, ordering, clock)
    assert len(found) == 30
    assert len({run["id"] for run in found}) == 30


def test_a_lost_run_lasted_until_it_was_last_heard_of(runs, api, alice):
    found = api(alice).get(f"{LIST}?ordering=-duration&limit=1000").json()["results"]
    shown = [run["duration"] for run in found if run["status"] != "lost"]
    assert shown == sorted(shown, reverse=True)
    lost = [place for place, run in enumerate(found) if run["status"] == "lost"]
    assert len(lost) == 10
    assert min(lost) >= 19  # only the run that ended as it began was shorter

"""/storage/: what each experiment holds."""

from __future__ import annotations

import numpy as np
import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from experiments import appending, storage
from experiments.models import Chunk, Experiment, Run, Tail
from experiments.storing import Columns
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import page_of, table_of
from exptrack.tests.statements import cost

HERE = reverse("storage")


@pytest.fixture(autouse=True)
def nothing_counted_yet():
    cache.clear()


def make(owner, name, runs) -> Experiment:
    experiment = Experiment.objects.create(owner=owner, name=name)
    crowd(experiment, owner, runs)
    return experiment


def log_more(experiment) -> None:
    """Points that are sealed in chunks, and some that are not."""
    run = Run.objects.filter(experiment=experiment).first()
    for count in (100, 30, 900, 5):
        columns = Columns(values=np.random.default_rng(count).normal(size=count))
        appending.append(user=run.owner, run_id=run.pk, metrics={"more": columns})
    assert Chunk.objects.exists()


def names(answer) -> list[str]:
    return [row["Experiment"].split()[0] for row in table_of(page_of(answer))]


def test_the_largest_experiment_comes_first(signed_in, alice, ada):
    make(alice, "small", 2)
    make(alice, "large", 6)
    Experiment.objects.create(owner=alice, name="empty")
    rows = table_of(page_of(signed_in(ada).get(HERE)))
    assert [(row["Experiment"], row["Runs"], row["Metrics"], row["Points"]) for row in rows] == [
        ("large", "6", "36", "1,440"), ("small", "2", "12", "480"),
    ]  # fmt: skip
    assert [row["Share"] for row in rows] == ["75.0 %", "25.0 %"]


def test_it_counts_just_what_is_kept(alice):
    first, second = make(alice, "a", 2), make(alice, "b", 3)
    log_more(first)
    kept = storage.sizes_by_experiment()
    for experiment in (first, second):
        runs = Run.objects.filter(experiment=experiment)
        assert kept[experiment.pk] == storage.size_of(runs)
        tails = Tail.objects.filter(metric__experiment=experiment)
        chunks = Chunk.objects.filter(metric__experiment=experiment)
        assert kept[experiment.pk].bytes == sum(len(row.data) for row in [*tails, *chunks])
    assert storage.usage().total == storage.size_of(Run.objects.all())
    assert storage.usage().database_bytes > storage.usage().total.bytes


@pytest.mark.parametrize("column", ["runs", "metrics", "points", "bytes"])
def test_it_is_sorted_both_ways(signed_in, alice, ada, column):
    for number, name in enumerate("cab"):
        make(alice, name, number + 1)
    visit = signed_in(ada)
    assert names(visit.get(f"{HERE}?ordering={column}")) == ["c", "a", "b"]
    assert names(visit.get(f"{HERE}?ordering=-{column}")) == ["b", "a", "c"]


def test_it_is_paged(signed_in, alice, ada):
    for number in range(53):
        experiment = Experiment.objects.create(owner=alice, name=f"e{number}")
        Run.objects.create(experiment=experiment, owner=alice, name="run")
    visit = signed_in(ada)
    first = visit.get(HERE)
    assert len(names(first)) == 50
    second = visit.get(HERE + page_of(first).one("a", rel="next")["href"])
    assert len(set(names(first) + names(second))) == 53
    assert page_of(second).one("a", rel="prev")


def test_what_was_counted_is_kept_for_a_while_and_counted_anew_at_will(signed_in, alice, ada):
    make(alice, "a", 1)
    visit = signed_in(ada)
    assert table_of(page_of(visit.get(HERE)))[0]["Runs"] == "1"
    make(alice, "b", 2)
    assert names(visit.get(HERE)) == ["a"]
    assert visit.post(HERE).status_code == 302
    assert names(visit.get(HERE)) == ["b", "a"]


def test_only_admins_see_it(signed_in, alice, bob, ada):
    for user in (alice, bob):
        assert signed_in(user).get(HERE).status_code == 403
        assert signed_in(user).post(HERE).status_code == 403
    assert HERE in signed_in(ada).get(reverse("admin:index")).text


def test_it_says_what_is_in_the_trash_and_leaves_out_what_was_purged(signed_in, alice, ada):
    gone, kept = make(alice, "gone", 1), make(alice, "kept", 1)
    visit = signed_in(ada)
    visit.get(HERE)
    Run.objects.filter(experiment=gone).delete()
    gone.delete()
    Experiment.objects.filter(pk=kept.pk).update(trashed_at=timezone.now())
    page = page_of(visit.get(HERE))
    assert len(table_of(page)) == 1
    assert page.one("tbody").all("svg", aria_label="In the trash")


@pytest.mark.parametrize("query", ["ordering=frog", "page=0", "page=x", "page=-1", "page=99999999"])
def test_what_an_address_asks_in_vain_is_told(signed_in, alice, ada, query):
    make(alice, "a", 1)
    page = page_of(signed_in(ada).get(f"{HERE}?{query}"), 422)
    assert "cannot be used as" in page.one("div", role="alert").words


def test_with_nothing_kept_it_says_so(signed_in, ada):
    assert "Nothing is kept here" in page_of(signed_in(ada).get(HERE)).words


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, ada, payload):
    make(alice, "a", 1)
    Experiment.objects.update(name=payload)
    assert is_inert(signed_in(ada).get(HERE).content.decode())


def test_statements_do_not_grow_with_experiments(signed_in, alice, ada):
    def statements():
        cache.clear()
        return cost(visit.get, HERE)

    visit = signed_in(ada)
    make(alice, "first", 1)
    few = statements()
    for number in range(10):
        make(alice, f"e{number}", 2)
    assert statements() == few <= 9

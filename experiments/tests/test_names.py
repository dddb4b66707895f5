"""Which names the params, metrics and tags of an experiment have."""

from __future__ import annotations

import pytest

from experiments.models import Experiment, Metric
from experiments.names import names_in
from experiments.tests.crowds import METRICS, crowd
from exptrack.tests.statements import cost


@pytest.fixture
def experiment(alice) -> Experiment:
    found = Experiment.objects.create(owner=alice, name="digits")
    crowd(found, alice, 4)
    return found


def rename(count):
    """Gives the metrics names m0000, m0001 … instead."""
    for number, metric in enumerate(Metric.objects.order_by("pk")[:count]):
        Metric.objects.filter(pk=metric.pk).update(name=f"m{number:04}")


def test_each_name_comes_once_in_order(experiment):
    assert names_in(experiment.pk, "metric") == (sorted(METRICS), False)
    assert names_in(experiment.pk, "param")[0] == [
        "batch_size", "dataset", "epochs", "lr", "optimizer", "seed"
    ]  # fmt: skip
    assert names_in(experiment.pk, "tag") in ((["stage"], False), ([], False))


def test_every_word_is_looked_for_in_any_case(experiment):
    assert names_in(experiment.pk, "metric", "LOSS")[0] == ["train/loss", "val/loss"]
    assert names_in(experiment.pk, "metric", "acc  val")[0] == ["val/accuracy"]
    Metric.objects.filter(name="lr").update(name="Größe")
    assert names_in(experiment.pk, "metric", "GRÖSSE")[0] == []
    assert names_in(experiment.pk, "metric", "GRÖ")[0] == ["Größe"]


def test_no_more_than_asked_for_are_read(experiment):
    rename(20)
    assert names_in(experiment.pk, "metric", "m0", 5) == ([f"m{n:04}" for n in range(5)], True)
    assert names_in(experiment.pk, "metric", "m00", 20)[1] is False


def test_names_of_other_experiments_are_not_told(experiment, alice):
    other = Experiment.objects.create(owner=alice, name="other")
    assert names_in(other.pk, "metric") == ([], False)


@pytest.mark.parametrize("text", ["%", "_", "\\", "' OR 1=1 --", "%s", "{table}", "a" * 5000, "\0"])
def test_a_text_is_only_ever_a_text(experiment, text):
    assert names_in(experiment.pk, "metric", text) == (
        [name for name in sorted(METRICS) if text == "\0"], False
    )  # fmt: skip


def test_it_is_one_statement(experiment):
    assert cost(names_in, experiment.pk, "metric", "a b c") == 1

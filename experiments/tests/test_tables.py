"""The runs table: which columns, and which value of a column is the best."""

from __future__ import annotations

from collections import Counter

import pytest

from experiments import tables
from experiments.cells import places, short_of, tail_of
from experiments.charts import run_colour
from experiments.fields import Field
from experiments.models import Experiment, Param, Run
from experiments.named_rows import first_cuts, params_of_runs
from experiments.templatetags.runs import shown_of, spans
from experiments.tests.crowds import crowd, param


@pytest.mark.parametrize(
    "name",
    ["loss", "val/loss", "Loss", "train_loss", "valLoss", "RMSE", "testError@5", "wer", "val.ppl",
     "time_per_step", "cross-entropy", "FID50k", "grad/L1Distance"],
)  # fmt: skip
def test_what_measures_a_fault_or_a_cost_gets_better_as_it_falls(name):
    assert tables.least_is_best(name)


@pytest.mark.parametrize(
    "name",
    ["accuracy", "val/acc", "reward", "f1", "lossless_ratio", "bleu", "timely", "terror", "AUC",
     "mAP", "flops", "fidelity", ""],
)  # fmt: skip
def test_whatever_else_is_taken_to_get_better_as_it_rises(name):
    assert not tables.least_is_best(name)


@pytest.mark.parametrize(
    "name",
    ["epoch", "train/lr", "global_step", "Iterations", "grad/norm", "GradNorm", "learning_rate",
     "layers.0.weight", "samples_seen", "system/gpu.0.memory", "system.cpu", "gpu/0/util",
     "cpu_percent"],
)  # fmt: skip
def test_what_only_counts_or_is_of_a_machine_has_no_best(name):
    assert tables.says_nothing_of_quality(name)


@pytest.mark.parametrize(
    "name",
    ["loss", "val/weighted_f1", "normalized_accuracy", "parameter_efficiency", "time_on_gpu"],
)
def test_what_only_sounds_like_it_may_be_the_best(name):
    assert not tables.says_nothing_of_quality(name)


def test_metrics_that_tell_how_good_a_run_is_come_first():
    counts = Counter(
        {"epoch": 9, "train/loss": 9, "val/acc": 8, "x": 9, "system/gpu": 9, "rare/test": 4}
    )
    assert tables.most_telling(counts) == ["val/acc", "train/loss", "x", "epoch", "system/gpu"]
    assert tables.most_telling(Counter()) == []


def test_params_that_differ_or_that_some_lack_are_columns():
    params = [
        ("extra", 1, False),
        ("activation", 3, True),
        ("lr", 3, True),
        ("one", 3, True),
        ("seed", 3, False),
    ]
    assert tables.differing(params, 3) == ["lr", "activation", "one", "extra"]
    assert tables.differing([], 0) == []


def test_a_params_values_differ_by_kind_or_text_among_those_that_are_looked_at(alice):
    experiment = Experiment.objects.create(owner=alice, name="digits")
    one, other = crowd(experiment, alice, 2, metrics=())
    Param.objects.all().delete()
    for run, values in ((one, {"a": 1, "b": 1, "c": 1}), (other, {"a": 1, "b": "1", "c": 2})):
        for name, value in values.items():
            param(run, name, value).save()
    for number in range(101):
        param(other, f"ä{number:03}", number).save()
    runs = list(Run.objects.all())
    found = list(params_of_runs(runs, first_cuts(runs, "params")))
    assert sorted(found)[:3] == [("a", 2, False), ("b", 2, True), ("c", 2, True)]
    assert len(found) == 100


def test_the_best_is_the_least_loss_and_the_greatest_accuracy_of_finite_ones(alice):
    experiment = Experiment.objects.create(owner=alice, name="digits")
    crowd(experiment, alice, 5)
    runs = list(Run.objects.all())
    columns = [Field("metric", name, "last") for name in ("val/loss", "val/accuracy", "lr")]
    columns.append(Field("metric", "val/loss", "count"))
    table = tables.chosen(runs, columns)
    values = [[table.value(run, column) for run in runs] for column in columns]
    expected = [min(values[0]), max(values[1]), None, None]
    assert [table.best(column) for column in columns] == expected
    alone = tables.chosen(runs[:1], columns)
    assert alone.best(columns[0]) is None


@pytest.mark.parametrize(
    ("text", "tail"), [("0.25", ".25"), ("12", ""), ("1.2e-5", ".2e-5"), ("NaN", ""), ("-∞", "")]
)
def test_what_stands_behind_the_point_is_measured(text, tail):
    assert tail_of(text) == tail
    assert places([text, "1.5"]) == max(len(tail), 2)


def test_a_column_without_points_is_not_padded():
    assert places(["1", "20"]) == places([]) == 0
    assert short_of("20", 0) == ""


@pytest.mark.parametrize(
    ("text", "short"),
    [("0.125", ""), ("0.5", "short-2"), ("7", "whole short-3"), ("NaN", ""), ("-∞", ""),
     ("1.25e-5", ""), ("0.123456", "")],
)  # fmt: skip
def test_a_number_says_how_much_less_it_has_behind_its_point(text, short):
    assert short_of(text, 4) == short


def test_a_list_says_how_much_of_it_is_shown():
    assert shown_of([0], (1, True), "run") == "1 run"
    assert shown_of([0] * 3, (3, True), "run") == "3 runs"
    assert shown_of([0] * 100, (2431, True), "run") == "100 of 2,431 runs"
    assert shown_of([0] * 100, (10_000, False), "run") == "100 of 10,000+ runs"
    assert shown_of([], (0, True), "run") == "0 runs"


def test_every_run_has_one_of_twelve_colours_for_good(alice):
    experiment = Experiment.objects.create(owner=alice, name="digits")
    runs = crowd(experiment, alice, 200, metrics=())
    colours = {run_colour(run.pk) for run in runs}
    assert colours == set(range(1, 13))
    assert run_colour(runs[0].pk) == run_colour(type(runs[0].pk)(str(runs[0].pk)))


def test_columns_of_a_kind_stand_together():
    class Shown:
        def __init__(self, kind):
            self.field = Field(kind, "x")

    kinds = ["attribute", "attribute", "param", "metric", "metric", "metric", "param"]
    assert spans([Shown(kind) for kind in kinds]) == [2, 1, 3, 1]

"""The recipes of docs/sdk.md do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import exptrack_client as exptrack
import pytest
from exptrack_client import cli

from exptrack.tests.waiting import PATIENCE

pytestmark = pytest.mark.only_on("sqlite")

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "sdk.md"
RECIPE = re.compile(r"^### (.+?)\n(.*?)(?=^##)", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def recipes():
    """The Python of each recipe, by its heading."""
    text = DOCUMENT.read_text().partition("\n## Recipes\n")[2]
    found = {heading: PYTHON.findall(body) for heading, body in RECIPE.findall(text)}
    return {heading: code[0] for heading, code in found.items() if code}


@pytest.fixture
def cook(start_script):
    """Runs a recipe to its end: `cook("A plain loop", RANK="1")`; what it printed."""

    def run(*headings, **environment):
        started = [start_script(recipes()[heading], **environment) for heading in headings]
        for script in started:
            output, errors = script.communicate(timeout=PATIENCE)
            assert script.returncode == 0, errors
        return output

    return run


def test_every_recipe_is_known_and_is_python():
    assert list(recipes()) == [
        "A plain loop",
        "A PyTorch loop",
        "Lightning",
        "Transformers",
        "Keras",
        "Several ranks",
        "A cluster node without a network",
        "A sweep with child runs",
    ]
    for heading, code in recipes().items():
        compile(code, heading, "exec")


def test_a_plain_loop(tracker, cook):
    cook("A plain loop")
    (run,) = exptrack.runs("recipes", tag="plain loop")
    assert run.status == "finished"
    assert run.params == {"lr": 0.05, "steps": 200, "seed": 1}
    assert run.history("loss").steps == list(range(200))
    assert abs(run.metrics["weight"] - 3) < 0.5


@pytest.fixture
def needs(start_script):
    """Skips where a library is not installed: `needs("torch")`."""

    def look(library, **environment):
        looked = start_script(f"import {library}", **environment)
        if "ModuleNotFoundError" in looked.communicate(timeout=PATIENCE)[1]:
            pytest.skip(f"{library} is not installed")

    return look


def test_a_pytorch_loop(tracker, cook, needs):
    needs("torch")
    cook("A PyTorch loop")
    (run,) = exptrack.runs("recipes", tag="torch")
    assert len(run.history("train/loss").values) == 24


def test_lightning(tracker, cook, needs):
    needs("lightning")
    cook("Lightning")
    (run,) = exptrack.runs("recipes", tag="lightning")
    assert (run.status, run.params) == ("finished", {"lr": 0.1})
    assert run.history("train/loss").steps == list(range(3, 48, 4))


def test_transformers(tracker, cook, needs):
    needs("transformers")
    cook("Transformers")
    (run,) = exptrack.runs(
        "recipes", fields=["params.training/max_steps", "params.model/hidden_size"]
    )
    assert run.params == {"training/max_steps": 20, "model/hidden_size": 16}
    assert exptrack.get_run(run.id).history("loss").steps == [5, 10, 15, 20]


def test_keras(tracker, cook, needs):
    needs("keras", KERAS_BACKEND="torch")
    cook("Keras", KERAS_BACKEND="torch")
    (run,) = exptrack.runs("recipes", tag="keras")
    assert run.history("val_loss").steps == [0, 1, 2]


def test_several_ranks(tracker, start_script):
    code = recipes()["Several ranks"]
    launch = {"EXPTRACK_RUN_ID": "slurm-4711", "WORLD_SIZE": "2"}
    for script in [start_script(code, **launch, RANK=str(rank)) for rank in range(2)]:
        _, errors = script.communicate(timeout=PATIENCE)
        assert script.returncode == 0, errors
    (run,) = exptrack.runs("recipes")
    assert set(run.metrics) == {"loss", "rank0/loss", "rank1/loss"}
    assert run.history("rank1/loss").steps == list(range(50))


def test_a_cluster_node_without_a_network(tracker, cook, spool):
    assert cook("A cluster node without a network") == "100 points wait\n"
    assert cook("A cluster node without a network") == "100 points wait\n"  # after preemption
    assert exptrack.runs() == []
    assert cli.main(["sync", str(spool)]) == 0
    (run,) = exptrack.runs("recipes")
    assert run.history("loss").steps == [*range(100), *range(100)]
    assert (run.status, run.tags) == ("finished", {"job": "4711"})


def test_a_sweep_with_child_runs(tracker, cook):
    cook("A sweep with child runs")
    *trials, sweep = exptrack.runs("recipes")
    assert sweep.name == "sweep"
    assert [trial.parent for trial in trials] == [sweep.id] * 4
    assert sweep.metrics["best/loss"] == min(trial.metrics["loss"] for trial in trials)

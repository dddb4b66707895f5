"""Every operation driven with what the OpenAPI document allows and with what it forbids: a short
form of bench/fuzz_api.py, the same on every run. Each answer is held against the document, and
afterwards everything that was stored can be read."""

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from experiments import appending, recording
from experiments.api.operations import OPERATIONS
from experiments.api.schema import document
from experiments.models import Experiment, Metric, Run
from experiments.storing import Columns

EXAMPLES = 4
V1 = "/api/v1/"
quickly = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def described() -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(document())


@pytest.fixture
def run(alice) -> Run:
    started = recording.start_run(user=alice, experiment="digits", params={"lr": 0.1})[0]
    points = Columns(values=np.array([0.5, np.nan, 0.25]))
    appending.append(user=alice, run_id=started.pk, metrics={"loss": points})
    return started


@pytest.fixture
def send(api, alice):
    """Sends a case as a script of Alice's, which holds each answer against the document."""
    script = api(alice)

    def call(case):
        said = requests.Request(**options_of(case)).prepare()
        headers = {name: value for name, value in said.headers.items() if name != "Content-Length"}
        kind = headers.pop("Content-Type", "application/json")
        return script.generic(said.method, said.path_url, said.body or b"", kind, headers=headers)

    return call


def options_of(case) -> dict:
    """A case as `requests` takes it."""
    options = case.as_transport_kwargs(base_url="http://testserver")
    names = ("method", "url", "headers", "params", "json", "data", "cookies")
    return {name: options[name] for name in names if options.get(name) is not None}


def is_forbidden(case) -> bool:
    """Whether its body or query is one that the document forbids."""
    parts = {part.value: info.mode for part, info in case.meta.components.items()}
    return GenerationMode.NEGATIVE in (parts.get("body"), parts.get("query"))


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("name", sorted(told.id for told in OPERATIONS.values()))
def test_what_the_document_allows_and_forbids(described, send, run, still_reads, name, mode):
    operation = described.find_operation_by_id(name)
    known = run.experiment_id if operation.path.startswith(f"{V1}experiments/") else run.pk
    fixed = {"id": str(known)} if "{id}" in operation.path else None
    if mode == GenerationMode.NEGATIVE and fixed and name != "log":
        fixed = None  # else an operation with an id alone has nothing to be wrong about

    @quickly
    @given(operation.as_strategy(mode, path_parameters=fixed))
    def drive(case):
        answer = send(case)
        assert answer.status_code < 500, answer.content
        if is_forbidden(case):
            assert answer.status_code >= 400, (case.meta.components, answer.content)

    drive()
    still_reads()


@pytest.fixture
def still_reads(api, alice, run):
    """Fails unless all that is stored can be read."""
    script = api(alice)

    def read():
        for path in ("experiments/", "runs/", "runs.csv", "tokens/", f"runs/{run.pk}/"):
            assert script.get(V1 + path).status_code == 200, path
        for pk in Experiment.objects.values_list("pk", flat=True):
            assert script.get(f"{V1}experiments/{pk}/summary/?metric=loss").status_code == 200
        for metric in Metric.objects.all()[:10]:
            query = {"metric": metric.name}
            found = script.get(f"{V1}runs/{metric.run_id}/history/", query)
            assert found.status_code == 200, found.content

    return read

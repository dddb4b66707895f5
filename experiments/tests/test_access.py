"""Who may do what over the API: every operation, for every kind of caller, on an internal and on
a private experiment. The expected statuses stand in one table; an operation that is missing in
it fails the test."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from accounts.models import User
from experiments import appending, curating, recording
from experiments.api.operations import OPERATIONS
from experiments.models import Collaborator, Experiment, Run
from experiments.storing import Columns

V1 = "/api/v1/"

# By operation: method, path, body. `{run}` and `{experiment}` are Alice's.
CALLS = {
    "ExperimentList.get": ("get", "experiments/", None),
    "ExperimentList.post": ("post", "experiments/", {"name": "new"}),
    "ExperimentDetail.get": ("get", "experiments/{experiment}/", None),
    "ExperimentDetail.put": ("put", "experiments/{experiment}/", {"name": "digits"}),
    "ExperimentDetail.patch": ("patch", "experiments/{experiment}/", {}),
    "ExperimentDetail.delete": ("delete", "experiments/{experiment}/", None),
    "ExperimentRestore.post": ("post", "experiments/{experiment}/restore/", {}),
    "ExperimentSummary.get": ("get", "experiments/{experiment}/summary/?metric=loss", None),
    "CollaboratorList.get": ("get", "experiments/{experiment}/collaborators/", None),
    "CollaboratorList.post": ("post", "experiments/{experiment}/collaborators/", {"user": "zoe"}),
    "CollaboratorDetail.delete": ("delete", "experiments/{experiment}/collaborators/yan/", None),
    "ExperimentCsv.get": ("get", "experiments/{experiment}/runs.csv", None),
    "RunList.get": ("get", "runs/", None),
    "RunList.post": ("post", "runs/", {"experiment": "{experiment}"}),
    "RunCsv.get": ("get", "runs.csv", None),
    "RunDetail.get": ("get", "runs/{run}/", None),
    "RunDetail.patch": ("patch", "runs/{run}/", {}),
    "RunDetail.delete": ("delete", "runs/{run}/", None),
    "RunRestore.post": ("post", "runs/{run}/restore/", {}),
    "RunStop.post": ("post", "runs/{run}/stop/", {}),
    "RunHeartbeat.post": ("post", "runs/{run}/heartbeat/", {}),
    "RunFinish.post": ("post", "runs/{run}/finish/", {"status": "finished"}),
    "RunLog.post": ("post", "runs/{run}/log/", {"metrics": {"loss": 1}}),
    "RunMetrics.get": ("get", "runs/{run}/metrics/", None),
    "RunHistory.get": ("get", "runs/{run}/history/?metric=loss", None),
    "Series.get": ("get", "series/?run={run}&metric=loss", None),
    "Compare.get": ("get", "compare/?run={run}", None),
    "Me.get": ("get", "me/", None),
    "TokenList.get": ("get", "tokens/", None),
    "TokenList.post": ("post", "tokens/", {"name": "new"}),
    "TokenDetail.delete": ("delete", "tokens/{token}/", None),
}
# What an operation asks for decides who may: see one thing, change it, add to it, or nothing in
# particular.
OWN = {"ExperimentList.get", "RunList.get", "RunCsv.get", "Me.get", "TokenList.get"}
MAKING = {"ExperimentList.post"}
TOKENS = {"TokenList.post", "TokenDetail.delete"}
ADDING = {"RunList.post"}
READING = {name for name in CALLS if name.endswith(".get") and name not in OWN}
OF_RUNS = {name for name in CALLS if name.startswith(("Run", "Series", "Compare"))} - OWN - ADDING
CHANGING = set(CALLS) - OWN - MAKING - TOKENS - ADDING - READING
LOGGING = {"RunHeartbeat.post", "RunFinish.post", "RunLog.post"}
OF_LOG_TOKENS = {
    "Me.get", "RunList.get", "RunList.post", "RunDetail.get", "RunMetrics.get", "RunHistory.get",
    *LOGGING,
}  # fmt: skip
# What ends, deletes and last of all revokes comes behind what needs it alive.
ENDING = ("RunFinish.post", *sorted(name for name in CALLS if name.endswith(".delete")))
IN_ORDER = [*(name for name in CALLS if name not in ENDING), *ENDING]
SUCCESS = {"ExperimentList.post": 201, "CollaboratorList.post": 201, "RunList.post": 201,
           "TokenList.post": 201}  # fmt: skip


def success(name: str) -> int:
    return SUCCESS.get(name, 204 if name.endswith(".delete") else 200)


@dataclass
class Caller:
    """Who calls. `sees`, `edits` and `adds` are the visibilities of Alice's experiment with which
    they may see it, change it, and add runs to it (as they may change it, unless told); `bound`
    says which experiment the token is bound to; `own` whether the run is theirs."""

    sees: tuple[str, ...]
    edits: tuple[str, ...]
    adds: tuple[str, ...] | None = None
    role: str = "member"
    scope: str = "write"
    bound: str = ""
    own: bool = False

    def expected(self, name: str, visibility: str) -> int:
        """The status this caller should get."""
        if self.scope == "log" and name not in OF_LOG_TOKENS:
            return 403
        if self.scope == "read" and not name.endswith(".get"):
            return 403
        if name in OWN:
            return 200
        if name in TOKENS:
            return self.expected_of_tokens(name)
        if name in MAKING:
            return 403 if self.role == "viewer" or self.bound else 201
        if visibility not in self.sees or self.bound == "other":
            return 404
        if self.scope == "log" and name in OF_RUNS and not self.own:
            return 404  # a log token sees its owner's runs only
        if name in READING:
            return 200
        adds = self.edits if self.adds is None else self.adds
        allowed = adds if name in ADDING else self.edits
        return success(name) if visibility in allowed else 403

    def expected_of_tokens(self, name: str) -> int:
        if name == "TokenList.post":
            return 403 if self.bound else 201
        return 204


BOTH, INTERNAL, NEITHER = ("internal", "private"), ("internal",), ()
CALLERS = {
    "owner": Caller(BOTH, BOTH, own=True),
    "admin": Caller(BOTH, BOTH),
    "stranger": Caller(INTERNAL, NEITHER, adds=INTERNAL),
    "viewer": Caller(INTERNAL, NEITHER, role="viewer"),
    "collaborator viewer": Caller(BOTH, NEITHER, adds=INTERNAL),
    "collaborator editor": Caller(BOTH, BOTH),
    "viewer let in as editor": Caller(BOTH, NEITHER, role="viewer"),
    "owner with a read token": Caller(BOTH, BOTH, scope="read", own=True),
    "owner with a log token": Caller(BOTH, BOTH, scope="log", own=True),
    "owner bound to it": Caller(BOTH, BOTH, bound="this", own=True),
    "owner bound to another": Caller(BOTH, BOTH, bound="other", own=True),
    "owner with a log token bound to it": Caller(BOTH, BOTH, scope="log", bound="this", own=True),
    "admin with a log token": Caller(BOTH, BOTH, scope="log"),
    "admin bound to another": Caller(BOTH, BOTH, bound="other"),
    "stranger with a log token": Caller(INTERNAL, NEITHER, adds=INTERNAL, scope="log"),
}
SHUT_OUT = ("anonymous", "revoked", "expired", "disabled", "unknown token", "session only")


@pytest.fixture
def people(alice, bob, charlie, ada):
    """By the first word of a caller, the user."""
    dora = User.objects.create_user("dora")
    eric = User.objects.create_user("eric")
    vera = User.objects.create_user("vera", role=User.Role.VIEWER)
    for name in ("yan", "zoe"):
        User.objects.create_user(name)
    return {
        "owner": alice, "admin": ada, "stranger": charlie, "viewer": bob,
        "collaborator viewer": dora, "collaborator editor": eric,
        "viewer let in as editor": vera,
    }  # fmt: skip


@pytest.fixture
def world(people):
    """Alice's experiment of the visibility asked for, with a run of hers; and another one."""

    def make(visibility):
        experiment = recording.create_experiment(
            user=people["owner"], name="digits", visibility=visibility
        )
        for name, role in {"collaborator viewer": "viewer", "collaborator editor": "editor",
                           "viewer let in as editor": "editor"}.items():  # fmt: skip
            Collaborator.objects.create(experiment=experiment, user=people[name], role=role)
        yan = User.objects.get(username="yan")
        Collaborator.objects.create(experiment=experiment, user=yan)
        run = recording.start_run(user=people["owner"], experiment=str(experiment.pk))[0]
        batch = {"loss": Columns(values=np.array([1.0]))}
        appending.append(user=people["owner"], run_id=run.pk, metrics=batch)
        return experiment, run

    return make


@pytest.fixture
def call(api):
    """Makes a call of the table as some script."""

    def make(script, name, experiment, run, token=""):
        ids = {"experiment": experiment.pk, "run": run.pk, "token": token}
        method, path, body = CALLS[name]
        if body:
            body = {
                key: value.format(**ids) if isinstance(value, str) else value
                for key, value in body.items()
            }
        return getattr(script, method)(V1 + path.format(**ids), body)

    return make


def test_every_operation_stands_in_the_table():
    assert set(CALLS) == set(OPERATIONS)


@pytest.mark.parametrize("visibility", BOTH)
@pytest.mark.parametrize("caller", CALLERS)
def test_each_caller_may_do_what_the_table_says(api, call, world, people, caller, visibility):
    rules = CALLERS[caller]
    user = people[max((name for name in people if caller.startswith(name)), key=len)]
    experiment, run = world(visibility)
    bound = {"this": experiment.pk, "other": uuid.uuid4(), "": None}[rules.bound]
    script = api(user, scope=rules.scope, experiment_id=bound)
    token = script.get(f"{V1}me/").json()["token"]["id"]
    got = {name: call(script, name, experiment, run, token).status_code for name in IN_ORDER}
    assert got == {name: rules.expected(name, visibility) for name in IN_ORDER}


@pytest.mark.parametrize("caller", SHUT_OUT)
def test_who_is_nobody_may_do_nothing(api, call, world, alice, caller):
    experiment, run = world("internal")
    script = api(alice)
    if caller in ("anonymous", "session only"):
        script = api()
    if caller == "session only":
        script.force_login(alice, "django.contrib.auth.backends.ModelBackend")
        assert script.get("/account/").status_code == 200
    if caller == "unknown token":
        script = type(script)(script.secret[:-1] + ("a" if script.secret[-1] != "a" else "b"))
    if caller == "revoked":
        alice.tokens.get().revoke()
    if caller == "expired":
        alice.tokens.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    if caller == "disabled":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    before = snapshot()
    for name in CALLS:
        answer = call(script, name, experiment, run, uuid.uuid4())
        assert answer.status_code == 401, name
        assert "digits" not in answer.content.decode()
    assert snapshot() == before


def snapshot() -> list:
    """What a call might have changed."""
    return [
        list(Experiment.objects.order_by("pk").values()),
        list(Run.objects.order_by("pk").values()),
        list(Collaborator.objects.order_by("pk").values()),
    ]


def test_a_refusal_is_the_same_for_what_is_hidden_and_what_is_not_there(api, call, world, charlie):
    experiment, run = world("private")
    script = api(charlie)
    nowhere = Experiment(id=uuid.uuid4()), Run(id=uuid.uuid4())
    for name in READING | CHANGING | ADDING:
        hidden = call(script, name, experiment, run)
        absent = call(script, name, *nowhere)
        said = hidden.json()["error"] | {"request_id": ""}
        expected = absent.json()["error"] | {"request_id": ""}
        for theirs, ours in zip(
            (experiment.pk, run.pk), (nowhere[0].pk, nowhere[1].pk), strict=True
        ):
            said["message"] = said["message"].replace(str(theirs), str(ours))
        assert (hidden.status_code, said) == (absent.status_code, expected), name


def test_lists_searches_and_counts_leak_nothing_of_what_is_hidden(api, world, charlie, alice):
    experiment, run = world("private")
    script = api(charlie)
    for path in (
        "experiments/", "experiments/?search=digits", "runs/", f"runs/?search={run.name}",
        f"runs/?search={run.pk}", "runs/?ordering=metrics.loss", "runs.csv",
    ):  # fmt: skip
        content = script.get(V1 + path)
        text = b"".join(content).decode() if content.streaming else content.content.decode()
        assert str(run.pk) not in text
        assert run.name not in text
    for query in (f"experiment={experiment.pk}", "experiment=digits"):
        answer = script.get(f"{V1}runs/?{query}")
        assert (answer.status_code, "alice" in answer.content.decode()) == (400, False)


def test_ids_in_bodies_and_queries_leak_nothing(api, world, charlie):
    experiment, run = world("private")
    script = api(charlie)
    mine = script.post(f"{V1}runs/", {"experiment": "mine"}).json()
    refused = [
        script.post(f"{V1}runs/", {"experiment": "mine", "parent": str(run.pk)}),
        script.post(f"{V1}runs/", {"experiment": "mine", "id": str(run.pk)}),
        script.post(f"{V1}runs/", {"experiment": "mine", "id": str(run.pk), "resume": True}),
        script.patch(f"{V1}runs/{mine['id']}/", {"experiment": str(experiment.pk)}),
        script.patch(f"{V1}runs/{mine['id']}/", {"experiment": "digits"}),
        script.get(f"{V1}series/?run={mine['id']}&run={run.pk}&metric=loss"),
        script.get(f"{V1}compare/?run={mine['id']}&run={run.pk}"),
        script.post(f"{V1}tokens/", {"name": "x", "experiment": str(experiment.pk)}),
    ]
    assert [answer.status_code for answer in refused] == [400, 409, 409, 400, 400, 404, 404, 404]
    for answer in refused:
        for secret in ("digits", run.name, "alice"):
            assert secret not in answer.content.decode()


@pytest.mark.parametrize("hides", [True, False], ids=["private", "internal"])
def test_a_child_shows_no_parent_one_may_not_see(api, signed_in, world, alice, charlie, hides):
    _, parent = world("private" if hides else "internal")
    child = recording.start_run(user=alice, experiment="open", parent=parent.pk)[0]
    of_experiment = f"experiments/{child.experiment_id}/"
    rooms = [f"runs/{child.pk}/", "runs/?experiment=open", "runs/?fields=parent"]
    files = ["runs.csv?fields=name,parent", f"{of_experiment}runs.csv?fields=parent"]
    pages = [f"/{of_experiment}?columns=parent", f"/{of_experiment}runs.csv?columns=parent"]
    answers = [api(charlie).get(V1 + path) for path in [*rooms, *files]]
    answers += [signed_in(charlie).get(path) for path in [*pages, f"/runs/{child.pk}/"]]
    for answer in answers:
        assert answer.status_code == 200
        text = read(answer)
        assert parent.name not in text or not hides
        assert (str(parent.pk) in text) is not hides
    assert str(parent.pk) in read(api(alice).get(f"{V1}runs/{child.pk}/"))
    mine = {"experiment": "mine", "parent": str(parent.pk)}
    assert api(charlie).post(f"{V1}runs/", mine).status_code == (400 if hides else 201)


def read(answer) -> str:
    """The whole text of an answer, streamed or not."""
    return answer.getvalue().decode()


def test_a_member_runs_in_others_internal_experiments_and_changes_only_their_own(
    api, world, charlie
):
    experiment, run = world("internal")
    script = api(charlie)
    mine = script.post(f"{V1}runs/", {"experiment": str(experiment.pk)}).json()
    assert script.post(f"{V1}runs/{mine['id']}/log/", {"metrics": {"x": 1}}).status_code == 200
    assert script.patch(f"{V1}runs/{mine['id']}/", {"notes": "x"}).status_code == 200
    assert script.delete(f"{V1}runs/{mine['id']}/").status_code == 204
    assert script.patch(f"{V1}runs/{run.pk}/", {"notes": "x"}).status_code == 403


def test_a_run_moves_only_where_one_may_add_runs(api, world, alice, charlie):
    experiment, _ = world("private")
    dora = User.objects.get(username="dora")
    script = api(dora)
    mine = script.post(f"{V1}runs/", {"experiment": "mine"}).json()
    moved = script.patch(f"{V1}runs/{mine['id']}/", {"experiment": str(experiment.pk)})
    assert moved.status_code == 403
    Collaborator.objects.filter(user=dora).update(role="editor")
    moved = script.patch(f"{V1}runs/{mine['id']}/", {"experiment": str(experiment.pk)})
    assert moved.status_code == 200


def test_who_is_let_out_sees_their_own_runs_there_no_more(api, world, alice):
    experiment, _ = world("private")
    eric = User.objects.get(username="eric")
    script = api(eric)
    mine = script.post(f"{V1}runs/", {"experiment": str(experiment.pk)}).json()
    curating.unshare_experiment(experiment=experiment, user=eric)
    for room in ("", "metrics/"):
        assert script.get(f"{V1}runs/{mine['id']}/{room}").status_code == 404
    assert script.post(f"{V1}runs/{mine['id']}/log/", {"metrics": {"x": 1}}).status_code == 404
    assert script.post(f"{V1}runs/{mine['id']}/heartbeat/").status_code == 404


def test_a_member_made_viewer_logs_no_more(api, world, alice):
    _, run = world("internal")
    script = api(alice)
    User.objects.filter(pk=alice.pk).update(role="viewer")
    for room, body in {"log": {"metrics": {"x": 1}}, "heartbeat": {}, "stop": {}}.items():
        assert script.post(f"{V1}runs/{run.pk}/{room}/", body).status_code == 403
    assert script.get(f"{V1}runs/{run.pk}/").status_code == 200


def test_head_asks_for_the_same_rights_as_get(api, alice, world):
    _, run = world("internal")
    assert api(alice, scope="log").head(f"{V1}runs/{run.pk}/").status_code == 200
    assert api(alice, scope="log").head(f"{V1}tokens/").status_code == 403
    assert api(alice, scope="read").head(f"{V1}tokens/").status_code == 200
    assert api().head(f"{V1}me/").status_code == 401


def test_a_token_opens_no_session(api, alice):
    script = api(alice)
    assert script.get(f"{V1}me/").status_code == 200
    assert not script.cookies
    answer = script.get("/account/")
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/account/sign-in/")

"""/admin/ for everything recorded."""

import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from experiments import appending, curating, recording
from experiments.models import Experiment, Metric, Param, Run
from experiments.storing import Columns, Mark
from exptrack.tests.statements import cost

MODELS = [model._meta.model_name for model in apps.get_app_config("experiments").get_models()]


def started(user, n, experiment="digits"):
    """n runs with a param, a tag, an environment and a sealed metric each."""
    runs = []
    for number in range(n):
        run, _ = recording.start_run(
            user=user,
            experiment=experiment,
            name=f"run {number}",
            params={"lr": number / 10},
            tags={"stage": "main"},
            environment={"host": "gpu-1"},
        )
        appending.append(
            user=user,
            run_id=run.pk,
            metrics={"loss": Columns(np.linspace(1, 0, 100))},
            mark=Mark("w", 1, b""),
        )
        runs.append(run)
    return runs


@pytest.fixture
def operator(signed_in, ada):
    return signed_in(ada)


@pytest.fixture
def act(operator):
    """Runs an action of a model's list on some rows."""

    def run_action(model, action, *rows, **extra):
        return operator.post(
            reverse(f"admin:experiments_{model}_changelist"),
            {"action": action, "_selected_action": [row.pk for row in rows], **extra},
            follow=True,
        )

    return run_action


def test_every_model_is_there(db):
    registered = {model._meta.model_name for model in admin.site._registry}
    assert set(MODELS) <= registered


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_forms_open_and_search(operator, alice, model):
    run = started(alice, 2)[0]
    curating.share_experiment(experiment=run.experiment, user=alice, role="viewer")
    path = reverse(f"admin:experiments_{model}_changelist")
    for query in ("", "loss", str(run.pk), "x" * 300, "\0", "a' OR 1=1 --"):
        assert operator.get(path, {"q": query} if query else {}).status_code == 200
    row = apps.get_model("experiments", model).objects.first()
    if row is not None:
        form = operator.get(reverse(f"admin:experiments_{model}_change", args=[row.pk]))
        assert form.status_code == 200


@pytest.mark.parametrize(
    "sent", ["nonsense", str(uuid.uuid4()), "a\0b"], ids=["text", "gone", "nul"]
)
@pytest.mark.parametrize("model", ["experiment", "run", "collaborator", "savedview"])
def test_ids_made_by_hand_change_nothing_and_are_no_fault_of_ours(operator, alice, model, sent):
    run = started(alice, 1)[0]
    path = reverse(f"admin:experiments_{model}_changelist")
    fields = ("experiment", "owner", "user")
    choices = reverse("admin:autocomplete")
    field = {"app_label": "experiments", "model_name": "experiment", "field_name": "owner"}
    answers = [
        operator.post(f"{path}add/", dict.fromkeys(fields, sent)),
        operator.get(f"{path}add/", dict.fromkeys(fields, sent)),
        operator.get(path, {"id__exact": sent}),
        operator.get(path, {"name__exact": sent}),
        operator.get(choices, {**field, "term": sent}),
        operator.get(choices, {**field, "term": "a", "page": sent}),
    ]
    for action in ("move_to_trash", "purge", "finish", "delete_selected"):
        chosen = {"action": action, "_selected_action": [sent]}
        answers.append(operator.post(path, {**chosen, "confirmed": "yes", "post": "yes"}))
    if model in ("experiment", "run"):
        row = run if model == "run" else run.experiment
        answers.append(operator.post(f"{path}{row.pk}/change/", dict.fromkeys(fields, sent)))
    assert {answer.status_code for answer in answers} <= {200, 302, 400, 403, 404}
    assert Experiment.objects.alive().get() == run.experiment


def test_only_admins_come_in(signed_in, alice, bob):
    path = reverse("admin:experiments_run_changelist")
    for user in (alice, bob):
        assert signed_in(user).get(path).status_code == 302


def test_what_training_wrote_cannot_be_changed(operator, alice):
    started(alice, 1)
    for model, row in (("param", Param.objects.get()), ("metric", Metric.objects.get())):
        path = reverse(f"admin:experiments_{model}_change", args=[row.pk])
        assert operator.post(path, {"name": "other"}).status_code == 403
        assert operator.get(reverse(f"admin:experiments_{model}_add")).status_code == 403


def test_a_run_is_corrected_by_the_rules_of_its_life(operator, alice):
    run = started(alice, 1)[0]
    path = reverse("admin:experiments_run_change", args=[run.pk])
    form = {"name": "better", "experiment": run.experiment_id, "status": "failed", "notes": ""}
    assert operator.post(path, form).status_code == 302
    run.refresh_from_db()
    assert (run.name, run.status) == ("better", "failed")
    assert run.ended_at is not None
    assert "control characters" in operator.post(path, {**form, "name": "a\u202eb"}).text


def test_a_run_that_has_ended_is_not_queued_and_the_form_says_so(operator, alice):
    run = started(alice, 1)[0]
    recording.finish_run(run=run, status="finished")
    path = reverse("admin:experiments_run_change", args=[run.pk])
    form = {"name": "run", "experiment": run.experiment_id, "status": "queued", "notes": ""}
    assert "A run that has ended cannot be queued again." in operator.post(path, form).text
    run.refresh_from_db()
    assert run.status == "finished"


@pytest.mark.parametrize("tags", [r'{"a": "\u0000"}', r'{"a": "\ud800"}', r'{"\ud800": "a"}'])
def test_tags_that_no_database_keeps_are_told_in_the_form(operator, alice, tags):
    experiment = recording.create_experiment(user=alice, name="digits")
    path = reverse("admin:experiments_experiment_change", args=[experiment.pk])
    form = {"name": "digits", "status": "active", "visibility": "internal", "owner": alice.pk}
    answer = operator.post(path, {**form, "tags": tags})
    assert (answer.status_code, "errorlist" in answer.text) == (200, True)
    assert escape(tags) in answer.text
    experiment.refresh_from_db()
    assert experiment.tags == {}


def test_a_taken_experiment_name_is_told_in_the_form(operator, alice):
    started(alice, 1)
    other = recording.create_experiment(user=alice, name="other")
    path = reverse("admin:experiments_experiment_change", args=[other.pk])
    form = {
        "name": "digits",
        "status": "active",
        "visibility": "internal",
        "owner": alice.pk,
        "tags": "{}",
    }
    answer = operator.post(path, form)
    assert "This name is in use." in answer.text
    assert Experiment.objects.get(pk=other.pk).name == "other"


def test_runs_are_finished_trashed_restored_and_purged(act, alice):
    first, second = started(alice, 2)
    act("run", "finish", first)
    first.refresh_from_db()
    assert first.status == "finished"
    act("run", "move_to_trash", first)
    first.refresh_from_db()
    assert first.trashed_at is not None
    act("run", "restore", first)
    first.refresh_from_db()
    assert first.trashed_at is None
    assert "Only what is in the trash is purged." in act("run", "purge", first).text
    act("run", "move_to_trash", first)
    asked = act("run", "purge", first, second)
    assert "There is no way back" in asked.text
    assert Run.objects.count() == 2
    act("run", "purge", first, second, confirmed="yes")
    assert list(Run.objects.all()) == [second]


def test_an_experiment_is_purged_with_its_runs(act, alice):
    run = started(alice, 3)[0]
    act("experiment", "move_to_trash", run.experiment)
    assert "3 runs" in act("experiment", "purge", run.experiment).text
    act("experiment", "purge", run.experiment, confirmed="yes")
    assert not Run.objects.exists()
    assert not Experiment.objects.exists()


def test_restoring_into_a_taken_name_is_told(act, alice):
    run = started(alice, 1)[0]
    act("experiment", "move_to_trash", run.experiment)
    started(alice, 1)
    assert "is in use" in act("experiment", "restore", run.experiment).text


def test_deleting_by_django_s_own_way_is_closed(operator, act, alice):
    run = started(alice, 1)[0]
    assert operator.post(reverse("admin:experiments_run_delete", args=[run.pk])).status_code == 403
    act("run", "delete_selected", run, post="yes")
    assert Run.objects.count() == 1


@pytest.mark.parametrize("model", MODELS)
def test_no_list_asks_per_row(operator, alice, model):
    path = reverse(f"admin:experiments_{model}_changelist")
    started(alice, 3)
    operator.get(path)
    few = cost(operator.get, path)
    started(alice, 20, "more")
    assert cost(operator.get, path) == few


def test_lost_runs_are_told_from_running_ones(operator, alice):
    lost, _ = started(alice, 2)
    Run.objects.filter(pk=lost.pk).update(
        has_beaten=True, last_seen_at=timezone.now() - timedelta(hours=1)
    )
    path = reverse("admin:experiments_run_changelist")
    for status, shown, hidden in (("lost", "run 0", "run 1"), ("running", "run 1", "run 0")):
        page = operator.get(path, {"status": status}).text
        assert shown in page
        assert hidden not in page


def test_the_trash_says_who_in_the_list(operator, alice):
    run = started(alice, 1)[0]
    curating.trash_runs(user=alice, runs=[run])
    page = operator.get(reverse("admin:experiments_run_changelist"), {"trash": "yes"}).text
    assert '<td class="field-trashed_by' in page
    assert ">alice<" in page


@pytest.mark.parametrize("model", ["run", "experiment"])
def test_a_row_leads_to_its_page(operator, alice, model):
    run = started(alice, 1)[0]
    row = run if model == "run" else run.experiment
    form = operator.get(reverse(f"admin:experiments_{model}_change", args=[row.pk])).text
    assert reverse(f"{model}-detail", args=[row.pk]) in form

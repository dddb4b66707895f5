"""Pages of experiments and runs, and the JSON twins beside them."""

from django.urls import path

from experiments.views import (
    columns,
    compare,
    completing,
    experiments,
    group_charts,
    grouping,
    live,
    picked_experiments,
    picked_runs,
    prose,
    run_edits,
    runs,
    saved_views,
    settings,
    storage,
    trash,
)

# /
urlpatterns = [path("", experiments.experiment_list, name="experiment-list")]

# /experiments/
urlpatterns += [
    path(f"experiments/{verb}/", view, name=f"experiments-{verb}")
    for verb, view in {
        "matching": picked_experiments.experiments_matching,
        "trash": picked_experiments.experiments_trash,
        "restore": picked_experiments.experiments_restore,
    }.items()
]
urlpatterns += [
    path(
        f"experiments/{verb}/",
        picked_experiments.experiments_status,
        {"status": status},
        name=f"experiments-{verb}",
    )
    for verb, status in {
        "complete": "completed",
        "archive": "archived",
        "reopen": "active",
    }.items()
]
urlpatterns += [
    path("experiments/names/", completing.experiment_names, name="experiment-names"),
    path("experiments/<uuid:pk>/", experiments.experiment_detail, name="experiment-detail"),
    path("experiments/<uuid:pk>/columns/", columns.experiment_columns, name="experiment-columns"),
    path(
        "experiments/<uuid:pk>/complete/",
        completing.experiment_complete,
        name="experiment-complete",
    ),
    path(
        "experiments/<uuid:pk>/grouping/",
        grouping.experiment_grouping,
        name="experiment-grouping",
    ),
    path(
        "experiments/<uuid:pk>/runs.csv",
        experiments.experiment_runs_csv,
        name="experiment-runs-csv",
    ),
    path("experiments/<uuid:pk>/groups/series/", group_charts.group_series, name="group-series"),
    path("experiments/<uuid:pk>/groups/means.csv", group_charts.group_means, name="group-means"),
    path("experiments/<uuid:pk>/views/new/", saved_views.view_create, name="view-create"),
    path("experiments/<uuid:pk>/views/<uuid:view_id>/", saved_views.view_edit, name="view-edit"),
    path(
        "experiments/<uuid:pk>/views/<uuid:view_id>/update/",
        saved_views.view_update,
        name="view-update",
    ),
    path(
        "experiments/<uuid:pk>/views/<uuid:view_id>/delete/",
        saved_views.view_delete,
        name="view-delete",
    ),
]
urlpatterns += [
    path(f"experiments/<uuid:pk>/runs/{verb}/", view, name=f"runs-{verb}")
    for verb, view in {
        "matching": picked_runs.runs_matching,
        "compare": picked_runs.runs_compare,
        "tag": picked_runs.runs_tag,
        "untag": picked_runs.runs_untag,
        "stop": picked_runs.runs_stop,
        "trash": picked_runs.runs_trash,
        "restore": picked_runs.runs_restore,
    }.items()
]

# /experiments/<id>/: what its owner and editors settle
urlpatterns += [
    path(
        "experiments/<uuid:pk>/settings/", settings.experiment_settings, name="experiment-settings"
    ),
    path("experiments/<uuid:pk>/tags/", settings.experiment_tags, name="experiment-tags"),
    path("experiments/<uuid:pk>/people/", settings.experiment_people, name="experiment-people"),
    path(
        "experiments/<uuid:pk>/people/remove/",
        settings.experiment_person_remove,
        name="experiment-person-remove",
    ),
    path("experiments/<uuid:pk>/trash/", settings.experiment_trash, name="experiment-trash"),
    path("experiments/<uuid:pk>/restore/", trash.experiment_restore, name="experiment-restore"),
]

# /trash/
urlpatterns += [
    path("trash/", trash.trash, name="trash"),
    path("trash/purge/", trash.trash_purge, name="trash-purge"),
]

# /storage/
urlpatterns += [path("storage/", storage.storage_use, name="storage")]

# /runs/
urlpatterns += [
    path("runs/<uuid:pk>/", runs.run_detail, name="run-detail"),
    path("runs/<uuid:pk>/params/", runs.run_params, name="run-params"),
    path("runs/<uuid:pk>/params.json", runs.run_params_json, name="run-params-json"),
    path("runs/<uuid:pk>/params.yaml", runs.run_params_yaml, name="run-params-yaml"),
    path("runs/<uuid:pk>/children/", runs.run_children, name="run-children"),
    path("runs/<uuid:pk>/series/", runs.run_series, name="run-series"),
    path("runs/<uuid:pk>/stop/", runs.run_stop, name="run-stop"),
    path("runs/<uuid:pk>/name/", run_edits.run_name, name="run-name"),
    path("runs/<uuid:pk>/notes/", run_edits.run_notes, name="run-notes"),
    path("runs/<uuid:pk>/tags/", run_edits.run_tags, name="run-tags"),
    path("runs/<uuid:pk>/move/", run_edits.run_move, name="run-move"),
    path("runs/<uuid:pk>/trash/", run_edits.run_trash, name="run-trash"),
    path("runs/<uuid:pk>/restore/", run_edits.run_restore, name="run-restore"),
]

# /markdown/
urlpatterns += [path("markdown/", prose.markdown_preview, name="markdown-preview")]

# /live/
urlpatterns += [path("live/", live.live_changes, name="live")]

# /compare/
urlpatterns += [
    path("compare/", compare.compare, name="compare"),
    path("compare/runs/", compare.compare_runs, name="compare-runs"),
    path("compare/series/", compare.compare_series, name="compare-series"),
    path("compare/points.csv", compare.compare_points, name="compare-points"),
]

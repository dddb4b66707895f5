"""/api/v1/: what scripts call. Paths end with a slash; anything else is a 404 that says so."""

from django.urls import path, re_path

from experiments.api import errors, experiments, points, runs, schema, tokens

experiment_urls = [
    path("experiments/", experiments.ExperimentList.as_view(), name="api-experiment-list"),
    path("experiments/<pk>/", experiments.ExperimentDetail.as_view(), name="api-experiment"),
    path("experiments/<pk>/restore/", experiments.ExperimentRestore.as_view()),
    path("experiments/<pk>/summary/", experiments.ExperimentSummary.as_view()),
    path("experiments/<pk>/collaborators/", experiments.CollaboratorList.as_view()),
    path("experiments/<pk>/collaborators/<username>/", experiments.CollaboratorDetail.as_view()),
    path("experiments/<pk>/runs.csv", runs.ExperimentCsv.as_view(), name="api-experiment-csv"),
]

run_urls = [
    path("runs/", runs.RunList.as_view(), name="api-run-list"),
    path("runs.csv", runs.RunCsv.as_view(), name="api-run-csv"),
    path("runs/<pk>/", runs.RunDetail.as_view(), name="api-run"),
    path("runs/<pk>/restore/", runs.RunRestore.as_view()),
    path("runs/<pk>/stop/", runs.RunStop.as_view()),
    path("runs/<pk>/heartbeat/", runs.RunHeartbeat.as_view()),
    path("runs/<pk>/finish/", runs.RunFinish.as_view()),
    path("runs/<pk>/log/", points.RunLog.as_view(), name="api-run-log"),
    path("runs/<pk>/metrics/", points.RunMetrics.as_view()),
    path("runs/<pk>/history/", points.RunHistory.as_view()),
    path("series/", points.Series.as_view(), name="api-series"),
    path("compare/", points.Compare.as_view(), name="api-compare"),
]

account_urls = [
    path("me/", tokens.Me.as_view(), name="api-me"),
    path("tokens/", tokens.TokenList.as_view(), name="api-token-list"),
    path("tokens/<pk>/", tokens.TokenDetail.as_view()),
]

urlpatterns = [*experiment_urls, *run_urls, *account_urls]

# Below /api/, beside v1/.
site_urls = [
    path("schema/", schema.ApiDocument.as_view(), name="api-schema"),
    path("docs/", schema.ApiDocs.as_view(), name="api-docs"),
    re_path(r"^(?P<path>[\s\S]*)$", errors.unknown_path),
]

"""Every operation of the API as the OpenAPI document tells it: what it takes, and each status
it can answer with. A test fails for a view and method that is missing here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django_filters import FilterSet
from django_filters import filters as kinds
from drf_spectacular.utils import OpenApiParameter

from experiments.api import serializers
from experiments.api.base import DEFAULT_LIMIT, MAX_LIMIT
from experiments.api.components import (
    BATCH_EXAMPLES,
    NO_NUL,
    Schema,
    list_of,
    page_of,
    record,
    ref,
)
from experiments.api.experiments import ORDERINGS
from experiments.fields import ATTRIBUTES, NOT_ORDERED
from experiments.filters import (
    LONGEST_TEXT,
    ApiRunFilter,
    ExperimentFilter,
    QueryFilter,
    RunFilter,
)
from experiments.models import WRITER_LENGTH
from experiments.syntax import MAX_BYTES

CSV = "text/csv"
# What any request may meet, and what only some may.
ALWAYS = (400, 401, 403, 411, 500, 503)
WITH_BODY = (413, 415, 507)


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers` maps a 2xx status to the schema of its body, None for an empty one; `refuses`
    are the statuses beyond those that any request may meet."""

    id: str
    summary: str
    answers: dict[int, Schema | None]
    body: type[serializers.Strict] | Schema | None = None
    query: Sequence[OpenApiParameter] | type[serializers.Strict] = ()
    refuses: tuple[int, ...] = ()
    csv: bool = False
    needs_body: bool = True
    examples: Mapping[str, object] = field(default_factory=dict)

    @property
    def refusals(self) -> list[int]:
        """Every status of an error, in order."""
        more = WITH_BODY if self.body is not None else ()
        unacceptable = () if self.csv else (406,)
        too_long = (414,) if self.query and self.body is None else ()
        return sorted({*ALWAYS, *more, *unacceptable, *too_long, *self.refuses})


TEXT = {"type": "string", "minLength": 1, "pattern": NO_NUL}


def parameter(name: str, schema: Schema, text: str, **options: object) -> OpenApiParameter:
    return OpenApiParameter(name, schema, description=text, **options)


def filter_parameters(filterset: type[FilterSet]) -> list[OpenApiParameter]:
    """A query's parameters as a FilterSet reads them."""
    return [
        parameter(name, filter_schema(found), f"{found.label or name.capitalize()}.")
        for name, found in filterset.base_filters.items()
    ]


def filter_schema(found: kinds.Filter) -> Schema:
    if isinstance(found, kinds.ChoiceFilter):
        return {"type": "string", "enum": [str(value) for value, _ in found.extra["choices"]]}
    if isinstance(found, kinds.IsoDateTimeFilter):
        return {"type": "string", "format": "date-time"}
    return TEXT | {"maxLength": MAX_BYTES if isinstance(found, QueryFilter) else LONGEST_TEXT}


PAGING = [
    parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "How many rows a page has at most; with long values fewer, and `next`.",
    ),
    parameter("cursor", TEXT, "Where to go on; taken from `next` or `previous`."),
]
EXPERIMENT_ORDERING = parameter(
    "ordering",
    {
        "type": "string",
        "enum": [f"{sign}{name}" for name in ORDERINGS for sign in ("", "-")],
        "default": "-last_run_at",
    },
    "The order, with `-` for downward.",
)
ORDERED_BY = [word for word, name in ATTRIBUTES.items() if name not in NOT_ORDERED]
RUN_ORDERING = parameter(
    "ordering",
    {
        "type": "string",
        "pattern": rf"^-?({'|'.join(ORDERED_BY)}|(metrics|params)\..+)$",
        "default": "-started_at",
    },
    "An attribute, `params.<name>` or `metrics.<name>` with `.last`, `.min`, `.max`, `.mean`, "
    "`.count`, `.first_step` or `.last_step`; with `-` for downward. Runs without a value, and "
    "values that are not finite, come last both ways.",
)
FIELDS = parameter(
    "fields",
    TEXT,
    "What to show, with commas: attributes, `params.<name>`, `tags.<name>`, "
    "`metrics.<name>[.min …]`. The id always comes.",
)
RUNS_QUERY = [RUN_ORDERING, FIELDS]
LOG_HEADERS = [
    parameter(
        "Idempotency-Key",
        {
            "type": "string",
            "minLength": 1,
            "maxLength": WRITER_LENGTH,
            "pattern": "^[\\u0021-\\u007e]+$",
        },
        "Makes a single batch repeatable: a writer of this name, with seq 1.",
        location=OpenApiParameter.HEADER,
    ),
]
REQUEST_ID = parameter(
    "X-Request-ID",
    {"type": "string"},
    "Comes back in the answer when it is at most 64 letters, digits and `._:-`.",
    location=OpenApiParameter.HEADER,
)
PATH_IDS = {
    "id": parameter(
        "id",
        {"type": "string", "format": "uuid"},
        "The id of what the path names.",
        location=OpenApiParameter.PATH,
        required=True,
    ),
    "username": parameter(
        "username",
        {"type": "string", "minLength": 1},
        "A user's name.",
        location=OpenApiParameter.PATH,
        required=True,
    ),
}

EXPERIMENTS = {
    "ExperimentList.get": Operation(
        "listExperiments",
        "List experiments",
        {200: page_of(ref("Experiment"))},
        query=[*filter_parameters(ExperimentFilter), EXPERIMENT_ORDERING, *PAGING],
    ),
    "ExperimentList.post": Operation(
        "createExperiment",
        "Create an experiment",
        {201: ref("Experiment")},
        body=serializers.ExperimentIn,
        refuses=(409,),
    ),
    "ExperimentDetail.get": Operation(
        "readExperiment", "Read an experiment", {200: ref("Experiment")}, refuses=(404,)
    ),
    "ExperimentDetail.put": Operation(
        "replaceExperiment",
        "Replace an experiment's fields",
        {200: ref("Experiment")},
        body=serializers.ExperimentChange,
        refuses=(404, 409),
    ),
    "ExperimentDetail.patch": Operation(
        "changeExperiment",
        "Change some of an experiment's fields",
        {200: ref("Experiment")},
        body=serializers.ExperimentChange,
        refuses=(404, 409),
    ),
    "ExperimentDetail.delete": Operation(
        "trashExperiment",
        "Move an experiment and its runs to the trash",
        {204: None},
        refuses=(404,),
    ),
    "ExperimentRestore.post": Operation(
        "restoreExperiment",
        "Bring an experiment back from the trash",
        {200: ref("Experiment")},
        body=serializers.RestoreIn,
        refuses=(404, 409),
    ),
    "ExperimentSummary.get": Operation(
        "summarizeExperiment",
        "Sum up an experiment's runs",
        {200: ref("ExperimentSummary")},
        query=serializers.SummaryQuery,
        refuses=(404,),
    ),
    "CollaboratorList.get": Operation(
        "listCollaborators",
        "List who else may see and edit an experiment",
        {200: record(results=list_of(ref("Collaborator")))},
        refuses=(404,),
    ),
    "CollaboratorList.post": Operation(
        "addCollaborator",
        "Let someone in, or change their role",
        {201: ref("Collaborator")},
        body=serializers.CollaboratorIn,
        refuses=(404,),
    ),
    "CollaboratorDetail.delete": Operation(
        "removeCollaborator", "Let someone out again", {204: None}, refuses=(404,)
    ),
    "ExperimentCsv.get": Operation(
        "exportExperimentRuns",
        "Export the runs of one experiment as CSV",
        {200: None},
        query=[*filter_parameters(RunFilter), *RUNS_QUERY],
        refuses=(404,),
        csv=True,
    ),
}
RUNS = {
    "RunList.get": Operation(
        "listRuns",
        "List runs",
        {200: page_of({"anyOf": [ref("Run"), ref("RunFields")]})},
        query=[*filter_parameters(ApiRunFilter), *RUNS_QUERY, *PAGING],
    ),
    "RunList.post": Operation(
        "startRun",
        "Start a run, or join one by its id",
        {200: ref("RunDetail"), 201: ref("RunDetail")},
        body=serializers.RunIn,
        query=LOG_HEADERS,
        refuses=(404, 409, 422),
    ),
    "RunCsv.get": Operation(
        "exportRuns",
        "Export runs as CSV",
        {200: None},
        query=[*filter_parameters(ApiRunFilter), *RUNS_QUERY],
        csv=True,
    ),
    "RunDetail.get": Operation("readRun", "Read a run", {200: ref("RunDetail")}, refuses=(404,)),
    "RunDetail.patch": Operation(
        "changeRun",
        "Correct a run, end or reopen it, move it",
        {200: ref("RunDetail")},
        body=serializers.RunChange,
        refuses=(404,),
    ),
    "RunDetail.delete": Operation(
        "trashRun", "Move a run to the trash", {204: None}, refuses=(404,)
    ),
    "RunRestore.post": Operation(
        "restoreRun",
        "Bring a run back from the trash",
        {200: ref("RunDetail")},
        body=record(),
        needs_body=False,
        refuses=(404, 409),
    ),
    "RunStop.post": Operation(
        "stopRun",
        "Ask a run to stop",
        {200: ref("RunState")},
        body=record(),
        needs_body=False,
        refuses=(404, 409),
    ),
    "RunHeartbeat.post": Operation(
        "beat",
        "Give a sign of life",
        {200: ref("RunState")},
        body=record(),
        needs_body=False,
        refuses=(404,),
    ),
    "RunFinish.post": Operation(
        "finishRun",
        "End a run",
        {200: ref("RunDetail")},
        body=serializers.FinishIn,
        refuses=(404,),
    ),
    "RunLog.post": Operation(
        "log",
        "Log points, params and tags",
        {200: ref("Receipt")},
        body={"anyOf": [ref("Batch"), ref("Backlog")]},
        query=LOG_HEADERS,
        refuses=(404, 409, 422),
        examples=BATCH_EXAMPLES,
    ),
    "RunMetrics.get": Operation(
        "listMetrics",
        "List the metrics of a run",
        {200: record(results=list_of(ref("MetricSummary")))},
        refuses=(404,),
    ),
    "RunHistory.get": Operation(
        "readHistory",
        "Read exact points",
        {200: ref("History")},
        query=serializers.HistoryQuery,
        refuses=(404,),
        csv=True,
    ),
    "Series.get": Operation(
        "readSeries",
        "Read series thinned out for a chart",
        {200: record(series=list_of(ref("Series")))},
        query=serializers.SeriesQuery,
        refuses=(404,),
    ),
    "Compare.get": Operation(
        "compareRuns",
        "Compare runs",
        {200: ref("Comparison")},
        query=serializers.CompareQuery,
        refuses=(404,),
    ),
}
ACCOUNT = {
    "Me.get": Operation("readMe", "Read who the token is", {200: ref("Me")}),
    "TokenList.get": Operation(
        "listTokens", "List your tokens", {200: record(results=list_of(ref("Token")))}
    ),
    "TokenList.post": Operation(
        "createToken",
        "Create a token",
        {201: ref("NewToken")},
        body=serializers.TokenIn,
        refuses=(404,),
    ),
    "TokenDetail.delete": Operation("revokeToken", "Revoke a token", {204: None}, refuses=(404,)),
}
OPERATIONS = {**EXPERIMENTS, **RUNS, **ACCOUNT}

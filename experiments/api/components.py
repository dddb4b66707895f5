"""What travels, as JSON Schema: every answer of `shapes`, the one error, the batch of `log/`.

Exact: each object names all its keys and allows no other. A test holds every answer the tests
see against these.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from accounts.models import Token, User
from experiments import values, wire
from experiments.api.batches import MAX_BATCHES
from experiments.api.errors import CODES
from experiments.models import WRITER_LENGTH, Collaborator, Experiment
from experiments.querysets import STATUSES

Schema = dict[str, object]

INT64 = {"minimum": values.INT64_MIN, "maximum": values.INT64_MAX}
NO_NUL = "^[^\\u0000]*$"
# What `values.field_name` lets through: `\w` stands for the letters and digits of any script.
FIELD_NAME = f"^{values.FIELD_NAME.pattern}$"
AXIS = rf"^(step|time|relative|metric:{FIELD_NAME[1:-1]})$"
# What `values.title` lets through: something to see, no control character, no direction override.
CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f" + "".join(
    f"\\u{ord(each):04x}" for each in sorted(values.BIDI_CONTROLS)
)
TITLE = f"^[^{CONTROLS}]*[^{CONTROLS}\\s][^{CONTROLS}]*$"
LIMITS = ("body_bytes", "points_per_request", "names_per_request")

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer", **INT64}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
UUID: Schema = {"type": "string", "format": "uuid"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
URL: Schema = {"type": "string", "format": "uri"}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": {}}
NOT_FINITE: Schema = {"type": "string", "enum": [*wire.NOT_FINITE]}


def ref(name: str) -> Schema:
    """One of COMPONENTS."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(optional: Iterable[str] = (), **properties: Schema) -> Schema:
    """An object with just these keys, all of them but the optional ones always there."""
    required = [name for name in properties if name not in set(optional)]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def list_of(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


def map_of(values: Schema, **limits: object) -> Schema:
    """An object with names of the user's."""
    return {"type": "object", "additionalProperties": values, **limits}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def page_of(rows: Schema) -> Schema:
    """A page of a list, with the addresses of its neighbours."""
    return record(next=nullable(URL), previous=nullable(URL), results=list_of(rows))


FIELD_NAMES = {"type": "string", "maxLength": values.NAME_LENGTH, "pattern": FIELD_NAME}
SHOWN_STATUS = one_of(STATUSES)
VALUE: Schema = {"anyOf": [NUMBER, NOT_FINITE]}
DETAIL: Schema = {"anyOf": [list_of(STRING), STRING, {"type": "integer"}]}

SHORT_RUN = {
    "id": UUID,
    "name": STRING,
    "status": SHOWN_STATUS,
    "started_at": nullable(MOMENT),
}
EXPERIMENT = {
    "id": UUID,
    "name": STRING,
    "description": STRING,
    "status": one_of(Experiment.Status),
    "visibility": one_of(Experiment.Visibility),
    "owner": STRING,
    "tags": map_of(STRING),
    "created_at": MOMENT,
    "last_run_at": nullable(MOMENT),
    "trashed_at": nullable(MOMENT),
    "run_counts": ref("RunCounts"),
    "latest_run": nullable(ref("ShortRun")),
    "url": URL,
}
RUN = {
    "id": UUID,
    "name": STRING,
    "experiment": record(id=UUID, name=STRING),
    "owner": STRING,
    "status": SHOWN_STATUS,
    "started_at": nullable(MOMENT),
    "ended_at": nullable(MOMENT),
    "duration": nullable({"type": "number", "minimum": 0, "description": "Seconds."}),
    "last_seen_at": MOMENT,
    "params": map_of({}),
    "tags": map_of(STRING),
    "metrics": map_of(VALUE, description="The last value of each, by name."),
    "parent": nullable(UUID),
    "stop_requested": BOOLEAN,
    "revision": COUNT,
    "trashed_at": nullable(MOMENT),
    "truncated": {"type": "boolean", "description": "There are more params, tags or metrics."},
    "url": URL,
}
SUMMARY = {
    "name": STRING,
    "count": COUNT,
    "first_step": INTEGER,
    "last_step": INTEGER,
    "last": VALUE,
    "last_time": {**INTEGER, "description": "Milliseconds since the epoch."},
    "min": nullable(NUMBER),
    "min_step": nullable(INTEGER),
    "max": nullable(NUMBER),
    "max_step": nullable(INTEGER),
    "mean": nullable(VALUE),
    "nan_count": COUNT,
    "inf_count": COUNT,
}
TOKEN = {
    "id": UUID,
    "name": STRING,
    "hint": {"type": "string", "description": "How the secret begins."},
    "scope": one_of(Token.Scope),
    "experiment": nullable(UUID),
    "created_at": MOMENT,
    "expires_at": nullable(MOMENT),
    "last_used_at": nullable(MOMENT),
}
BEST_RUN = nullable(record(**SHORT_RUN, value=NUMBER))

ANSWERS: dict[str, Schema] = {
    "Error": record(
        error=record(
            code=one_of(sorted({*CODES.values(), "sequence_gap", "query_syntax"})),
            message={"type": "string", "description": "A sentence a person can act on."},
            details=map_of(
                DETAIL,
                description="What is wrong, by field; of a fault in `q` the "
                "`position` (in characters, from 0), what was `found` and what `expected`.",
            ),
            request_id=STRING,
        )
    ),
    "RunCounts": record(total=COUNT, **dict.fromkeys(STATUSES, COUNT)),
    "ShortRun": record(**SHORT_RUN),
    "Experiment": record(**EXPERIMENT),
    "ExperimentSummary": record(
        run_counts=ref("RunCounts"),
        latest_run=nullable(ref("ShortRun")),
        metrics=map_of(
            record(
                runs=COUNT,
                mean=nullable(NUMBER),
                std=nullable(NUMBER),
                min=nullable(NUMBER),
                max=nullable(NUMBER),
                best_by_min=BEST_RUN,
                best_by_max=BEST_RUN,
            )
        ),
    ),
    "Collaborator": record(user=STRING, role=one_of(Collaborator.Role)),
    "Run": record(**RUN),
    "RunFields": record(
        [name for name in (*RUN, "created_at") if name != "id"],
        **{**RUN, "metrics": map_of(VALUE)},
        created_at=MOMENT,
    ),
    "RunDetail": record(**RUN, notes=STRING, environment=ANY_OBJECT, error=STRING),
    "RunState": record(status=SHOWN_STATUS, stop_requested=BOOLEAN),
    "Receipt": record(accepted=COUNT, duplicate=BOOLEAN, revision=COUNT),
    "MetricSummary": record(**SUMMARY),
    "History": record(
        metrics=map_of(
            record(
                count=COUNT,
                after=COUNT,
                next=nullable(COUNT),
                steps=list_of(INTEGER),
                times=list_of(INTEGER),
                values=list_of(VALUE),
            )
        )
    ),
    "Series": record(
        ["smooth"],
        run=UUID,
        metric=STRING,
        count={**COUNT, "description": "Points behind what is drawn: one a step, in the range."},
        total={**COUNT, "description": "Points logged by then, in any range."},
        x=list_of(VALUE),
        y=list_of(VALUE),
        lo=list_of(nullable(NUMBER)),
        hi=list_of(nullable(NUMBER)),
        nan=list_of(COUNT),
        inf=list_of(COUNT),
        raw={"type": "boolean", "description": "Every point is here, none was thinned out."},
        smooth=list_of(VALUE),
    ),
    "Comparison": record(
        runs=list_of(
            record(
                id=UUID,
                name=STRING,
                experiment=record(id=UUID, name=STRING),
                status=SHOWN_STATUS,
            )
        ),
        params=list_of(record(name=STRING, differs=BOOLEAN, values=map_of({}))),
        metrics=list_of(record(name=STRING, values=map_of(ref("MetricSummary")))),
        tags=list_of(record(name=STRING, differs=BOOLEAN, values=map_of(STRING))),
        environment=list_of(record(name=STRING, differs=BOOLEAN, values=map_of({}))),
        truncated={
            "type": "boolean",
            "description": "There is more: see `GET /compare/`.",
        },
    ),
    "Token": record(**TOKEN),
    "NewToken": record(**TOKEN, token={"type": "string", "description": "Shown only here."}),
    "Me": record(
        user=STRING,
        role=one_of(User.Role),
        token=ref("Token"),
        limits=record(**dict.fromkeys(LIMITS, COUNT)),
    ),
}

LABELS = ("params", "tags")
POINTS = {"maxItems": settings.MAX_POINTS_PER_REQUEST}
MAP_LIMITS = {"propertyNames": FIELD_NAMES, "maxProperties": settings.MAX_NAMES_PER_REQUEST}
BATCH: Schema = record(
    ["metrics", "params", "tags", "writer", "seq", "step"],
    metrics={
        "anyOf": [
            map_of(
                {
                    "anyOf": [
                        NUMBER,
                        NOT_FINITE,
                        record(
                            ["steps", "times"],
                            values=list_of(VALUE, **POINTS),
                            steps=nullable(list_of(INTEGER, **POINTS)),
                            times=nullable(list_of(INTEGER, **POINTS)),
                        ),
                    ]
                },
                **MAP_LIMITS,
            ),
            list_of(
                record(
                    ["step", "time"],
                    name=FIELD_NAMES,
                    value=VALUE,
                    step=nullable(INTEGER),
                    time=nullable(INTEGER),
                ),
                **POINTS,
            ),
        ]
    },
    params=map_of({}, **MAP_LIMITS),
    tags=map_of(
        {"type": "string", "maxLength": values.SHORT_TEXT, "pattern": NO_NUL}, **MAP_LIMITS
    ),
    writer=nullable({"type": "string", "minLength": 1, "maxLength": WRITER_LENGTH}),
    seq=nullable({"type": "integer", "minimum": 1, "maximum": values.INT64_MAX}),
    step=nullable(INTEGER),
)
# What comes with the start of a run, which has params and tags of its own.
FIRST_BATCH: Schema = record(
    BATCH["properties"],
    **{name: schema for name, schema in BATCH["properties"].items() if name not in LABELS},
)
# Of these, params and tags have to be empty, and writer and seq to be there.
BACKLOG: Schema = record(batches=list_of(ref("Batch"), minItems=1, maxItems=MAX_BATCHES))
BATCH_EXAMPLES = {
    "Columns": {
        "writer": "2f0c6a5e-0b7a-4d0e-9c55-5d1f6f0e8f11",
        "seq": 1,
        "metrics": {
            "train/loss": {
                "steps": [10, 11],
                "times": [1700000000000, 1700000000500],
                "values": [0.5, "NaN"],
            }
        },
    },
    "A list": {"metrics": [{"name": "loss", "value": 0.3, "step": 4, "time": 1700000000000}]},
    "The shortest": {"metrics": {"loss": 0.3}, "step": 4},
    "Several in a row": {
        "batches": [
            {"writer": "2f0c6a5e", "seq": 1, "metrics": {"loss": {"values": [0.5, 0.4]}}},
            {"writer": "2f0c6a5e", "seq": 2, "metrics": {"loss": {"values": [0.3]}}},
        ]
    },
    "Params and tags": {"params": {"lr": 0.001}, "tags": {"stage": "warm-up"}},
}
SAYS = {
    400: "Something in the request cannot be used; `details` name it. Also a list of runs that "
    "took too long to find: the same request would again.",
    401: "The token is missing, unknown, expired or revoked.",
    403: "The user or the token may not do this.",
    404: "There is no such thing, or you may not see it.",
    406: "Only JSON can be had here.",
    409: "It contradicts what is stored.",
    411: "The request has no Content-Length.",
    413: "The request is larger than its limits; the message names the one.",
    414: "The address is longer than 8 KiB. The server says so before ExpTrack sees the request, "
    "so this is the one answer that is not JSON.",
    415: "The body is not JSON in UTF-8, plain or gzipped.",
    422: "This seq was stored before with another body.",
    500: "Our fault; it has been logged.",
    503: "Not committed, or unknown. Repeating is safe.",
    507: "The server's disk is full; nothing was stored.",
}
HEADERS = {
    "X-Request-ID": "Names this request in the server's log.",
    "WWW-Authenticate": "How to say who you are.",
    "Retry-After": "Seconds to wait.",
}
MORE_HEADERS = {401: ["WWW-Authenticate"], 503: ["Retry-After"]}


def header_refs(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def refusal(status: int) -> Schema:
    """The answer of an error's status."""
    return {"$ref": f"#/components/responses/{status}"}


REQUEST_ID_HEADER = header_refs("X-Request-ID")
COMPONENTS = {
    "schemas": {**ANSWERS, "Batch": BATCH, "FirstBatch": FIRST_BATCH, "Backlog": BACKLOG},
    "headers": {name: {"description": text, "schema": STRING} for name, text in HEADERS.items()},
    "responses": {
        str(status): {
            "description": text,
            "headers": header_refs("X-Request-ID", *MORE_HEADERS.get(status, ())),
            "content": {
                "text/html" if status == 414 else "application/json": {
                    "schema": STRING if status == 414 else ref("Error")
                }
            },
        }
        for status, text in SAYS.items()
    },
}

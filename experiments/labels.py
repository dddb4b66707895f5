"""Params and tags of a run: checked, compared with what is stored, written.

The write functions run inside the transaction of their caller, who holds the lock on the run.
"""

from __future__ import annotations

from collections.abc import Mapping

from uuid_utils.compat import uuid7

from experiments.models import JSONText, Param, Run
from experiments.refusals import Conflict, Invalid
from experiments.statements import Insert, inserts, key
from experiments.values import (
    PARAM_BYTES,
    TEXT_HEAD_LENGTH,
    InvalidValue,
    ParamValue,
    field_name,
    param_value,
    storable,
)
from exptrack.databases import write_together

PARAMS = Insert(
    """INSERT INTO experiments_param (id, run_id, experiment_id, name, value, kind, text,
    text_head, number)""",
    ("uuid", "uuid", "uuid", "text", "text", "text", "text", "text", "float8"),
)
TAGS = Insert(
    "INSERT INTO experiments_tag (id, run_id, experiment_id, name, text, text_head)",
    ("uuid", "uuid", "uuid", "text", "text", "text"),
    "ON CONFLICT (run_id, name) DO UPDATE SET text = EXCLUDED.text, text_head = EXCLUDED.text_head",
)
json_text = JSONText().get_prep_value


def prepare_params(params: Mapping[str, object]) -> dict[str, ParamValue]:
    """Checked names and stored forms, or Invalid naming every fault."""
    prepared, faults = {}, {}
    for name, value in params.items():
        try:
            put_once(prepared, field_name(name), param_value(value))
        except InvalidValue as error:
            faults[f"params.{name}"] = [str(error)]
    if faults:
        raise Invalid("Some params cannot be stored.", faults)
    return prepared


def write_params(run: Run, params: Mapping[str, ParamValue]) -> None:
    """Store params of a locked run. An equal value again is fine, a different one a Conflict."""
    if params:
        insert_params(run, without_stored(run, params))


def without_stored(run: Run, params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    """Those of the params that the run does not have; Conflict when it has another value."""
    known = dict(run.params.filter(name__in=params).values_list("name", "pk"))
    stored = {param.name: param for param in Param.objects.filter(pk__in=known.values())}
    differing = {
        f"params.{name}": [f"It is {stored[name].text_head} already."]
        for name, new in params.items()
        if name in stored and not new.equals(stored[name].kind, stored[name].text)
    }
    if differing:
        raise Conflict("A param keeps its first value; these differ from it.", differing)
    return {name: new for name, new in params.items() if name not in stored}


def insert_params(run: Run, params: Mapping[str, ParamValue]) -> None:
    """Store params that the run does not have."""
    for statement in inserts(PARAMS, param_rows(run, params)):
        write_together([statement])


def param_rows(run: Run, params: Mapping[str, ParamValue]) -> list[tuple]:
    """Rows of PARAMS."""
    owner = key(run.pk), key(run.experiment_id)
    return [
        (key(uuid7()), *owner, name, json_text(new.value), new.kind, new.text, new.text_head,
         new.number)
        for name, new in params.items()
    ]  # fmt: skip


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags with checked names, or Invalid naming every fault."""
    prepared, faults = {}, {}
    for name, text in tags.items():
        try:
            if len(storable(text).encode()) > PARAM_BYTES:
                raise InvalidValue(f"A tag has at most {PARAM_BYTES // 1024} KiB.")
            put_once(prepared, field_name(name), text)
        except InvalidValue as error:
            faults[f"tags.{name}"] = [str(error)]
    if faults:
        raise Invalid("Some tags cannot be stored.", faults)
    return prepared


def put_once(prepared: dict, name: str, value: object) -> None:
    """Add under a checked name, or InvalidValue where two names are one in NFC."""
    if name in prepared:
        raise InvalidValue("This name equals another one when normalized (NFC).")
    prepared[name] = value


def write_tags(run: Run, tags: Mapping[str, str]) -> None:
    """Set tags of a locked run, over what they were."""
    for statement in inserts(TAGS, tag_rows(run, tags)):
        write_together([statement])


def tag_rows(run: Run, tags: Mapping[str, str]) -> list[tuple]:
    """Rows of TAGS."""
    owner = key(run.pk), key(run.experiment_id)
    return [
        (key(uuid7()), *owner, name, text, text[:TEXT_HEAD_LENGTH]) for name, text in tags.items()
    ]

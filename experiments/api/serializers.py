"""What bodies and queries may hold. Strict: an unknown field is an error, nothing is coerced."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import msgspec
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from accounts.models import Token, User
from experiments import charts
from experiments.comparing import MAX_COMPARED
from experiments.models import Collaborator, Experiment, Run
from experiments.values import (
    DECIMAL,
    INT64_MAX,
    LONG_TEXT,
    MAX_DESCRIPTION,
    MAX_EXPERIMENT_TAG,
    MAX_EXPERIMENT_TAGS,
    NAME_LENGTH,
    SHORT_TEXT,
    InvalidValue,
    field_name,
    title,
    uuid_in,
)

MAX_HISTORY = 100_000
MAX_HISTORY_METRICS = 200
MAX_ENVIRONMENT_BYTES = 1024 * 1024
WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)


class Strict(serializers.Serializer):
    """A serializer that names every field it does not know, and every parameter of a query that
    is given more often than it is read."""

    def to_internal_value(self, data: object) -> dict:
        if hasattr(data, "keys"):
            unknown = [name for name in data.keys() if name not in self.fields]  # noqa: SIM118
            if unknown:
                known = ", ".join(sorted(self.fields)) or "none"
                raise ValidationError(
                    {name: [f"Unknown field. Known are {known}."] for name in unknown}
                )
        if isinstance(data, QueryDict):
            faults = self.query_faults(data)
            if faults:
                raise ValidationError(faults)
        return super().to_internal_value(data)

    def query_faults(self, query: QueryDict) -> dict:
        """What a form would let pass: an empty value, and one of several."""
        faults = {}
        for name, values in query.lists():
            if "" in values:
                faults[name] = ["Give it a value, or leave it out."]
            elif len(values) > 1 and not isinstance(self.fields[name], serializers.ListField):
                faults[name] = ["Give it once."]
        return faults


class Text(serializers.CharField):
    """A string; numbers are not taken for one."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            raise ValidationError("This must be a string.")
        return super().to_internal_value(data)


class Title(Text):
    """A run's or experiment's name; `recording` has the last word on it."""


class Boolean(serializers.BooleanField):
    """true or false; 1 and "yes" are neither."""

    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            raise ValidationError("This must be true or false.")
        return data


class Integer(serializers.IntegerField):
    """A whole number in a query, in ASCII digits."""

    def to_internal_value(self, data: object) -> int:
        if not isinstance(data, str) or not WHOLE.fullmatch(data):
            raise ValidationError("A whole number is needed.")
        return super().to_internal_value(data)


class FiniteFloat(serializers.FloatField):
    """A number in a query, with an end."""

    def to_internal_value(self, data: object) -> float:
        if not isinstance(data, str) or not DECIMAL.fullmatch(data):
            raise ValidationError("A number is needed.")
        number = float(data)
        if number - number != 0:
            raise ValidationError("A finite number is needed.")
        return number


class Uuid(serializers.UUIDField):
    """A UUID of any version, as text."""

    def to_internal_value(self, data: object) -> uuid.UUID:
        found = uuid_in(data) if isinstance(data, str) else None
        if found is None:
            raise ValidationError("This must be a UUID.")
        return found


class Moment(serializers.DateTimeField):
    """RFC 3339; without an offset it is taken as UTC."""

    def __init__(self, **options: object) -> None:
        super().__init__(default_timezone=UTC, **options)

    def to_internal_value(self, data: object) -> datetime:
        if not isinstance(data, str):
            raise ValidationError("This must be a time like 2026-01-31T12:00:00Z.")
        moment = super().to_internal_value(data)
        if not 1970 <= moment.year < 9999:
            raise ValidationError("The year must lie between 1970 and 9998.")
        return moment


class TagMap(serializers.DictField):
    """Names and texts."""

    child = Text(allow_blank=True, max_length=SHORT_TEXT)
    most = settings.MAX_NAMES_PER_REQUEST

    def to_internal_value(self, data: object) -> dict[str, str]:
        if isinstance(data, dict) and len(data) > self.most:
            raise ValidationError(f"At most {self.most:,} names at once.")
        return super().to_internal_value(data)


class ExperimentTagMap(TagMap):
    """An experiment's tags, which every list of experiments shows."""

    child = Text(allow_blank=True, max_length=MAX_EXPERIMENT_TAG)
    most = MAX_EXPERIMENT_TAGS


@extend_schema_field(OpenApiTypes.OBJECT)
class JsonObject(serializers.Field):
    """Any JSON object; depth, keys and text were checked by the parser."""

    def to_internal_value(self, data: object) -> dict:
        if not isinstance(data, dict):
            raise ValidationError("This must be an object.")
        return data

    def to_representation(self, value: dict) -> dict:
        return value


class ParamMap(JsonObject):
    """Names and values of any kind."""

    most = settings.MAX_NAMES_PER_REQUEST

    def to_internal_value(self, data: object) -> dict:
        if isinstance(data, dict) and len(data) > self.most:
            raise ValidationError(f"At most {self.most:,} names at once.")
        return super().to_internal_value(data)


class EnvironmentObject(JsonObject):
    """Where a run ran. A comparison loads those of a hundred runs."""

    def to_internal_value(self, data: object) -> dict:
        value = super().to_internal_value(data)
        if len(msgspec.json.encode(value)) > MAX_ENVIRONMENT_BYTES:
            raise ValidationError(f"At most {MAX_ENVIRONMENT_BYTES // 1024:,} KiB of JSON.")
        return value


class FieldName(Text):
    """A metric's name, in NFC."""

    def to_internal_value(self, data: object) -> str:
        try:
            return field_name(super().to_internal_value(data))
        except InvalidValue as error:
            raise ValidationError(str(error)) from error


class Axis(Text):
    """What a chart's x is."""

    def to_internal_value(self, data: object) -> str:
        try:
            return charts.checked_axis(super().to_internal_value(data))
        except InvalidValue as error:
            raise ValidationError(str(error)) from error


class ExperimentIn(Strict):
    name = Title(max_length=NAME_LENGTH)
    description = Text(allow_blank=True, max_length=MAX_DESCRIPTION, required=False)
    tags = ExperimentTagMap(required=False)
    visibility = serializers.ChoiceField(Experiment.Visibility.choices, required=False)


class ExperimentChange(ExperimentIn):
    status = serializers.ChoiceField(Experiment.Status.choices, required=False)


class RestoreIn(Strict):
    name = Title(max_length=NAME_LENGTH, required=False)


class CollaboratorIn(Strict):
    user = Title(max_length=User._meta.get_field("username").max_length)
    role = serializers.ChoiceField(Collaborator.Role.choices, default="viewer")


@extend_schema_field({"$ref": "#/components/schemas/FirstBatch"})
class FirstBatch(serializers.Field):
    """A batch as the parser has read it."""

    def to_internal_value(self, data: object) -> tuple:
        if not isinstance(data, tuple):
            raise ValidationError("This must be an object.")
        return data


class RunIn(Strict):
    experiment = Title(max_length=NAME_LENGTH)
    id = Uuid(required=False)
    name = Title(max_length=NAME_LENGTH, required=False)
    params = ParamMap(required=False)
    tags = TagMap(required=False)
    parent = Uuid(required=False, allow_null=True)
    environment = EnvironmentObject(required=False)
    notes = Text(allow_blank=True, max_length=LONG_TEXT, required=False)
    started_at = Moment(required=False)
    resume = Boolean(required=False)
    log = FirstBatch(required=False)


class RunChange(Strict):
    name = Title(max_length=NAME_LENGTH, required=False)
    notes = Text(allow_blank=True, max_length=LONG_TEXT, required=False)
    tags = TagMap(required=False)
    status = serializers.ChoiceField(Run.Status.choices, required=False)
    experiment = Title(max_length=NAME_LENGTH, required=False)


class FinishIn(Strict):
    status = serializers.ChoiceField([str(status) for status in Run.ENDED])
    error = Text(allow_blank=True, max_length=LONG_TEXT, required=False)
    ended_at = Moment(required=False)


class Nothing(Strict):
    """A body without a field."""


class TokenIn(Strict):
    name = Title(max_length=Token._meta.get_field("name").max_length)
    scope = serializers.ChoiceField(Token.Scope.choices, default="write")
    experiment = Uuid(required=False, allow_null=True)
    expires_at = Moment(required=False, allow_null=True)

    def validate_name(self, name: str) -> str:
        try:
            return title(name)
        except InvalidValue as error:
            raise ValidationError(str(error)) from error

    def validate_expires_at(self, moment: datetime | None) -> datetime | None:
        if moment is not None and moment <= timezone.now():
            raise ValidationError("This lies in the past.")
        return moment


class SummaryQuery(Strict):
    metric = serializers.ListField(child=FieldName(), max_length=20, required=False)


class HistoryQuery(Strict):
    metric = serializers.ListField(child=FieldName(), min_length=1, max_length=MAX_HISTORY_METRICS)
    after = serializers.ListField(child=Integer(min_value=0, max_value=INT64_MAX), required=False)
    limit = Integer(min_value=1, max_value=MAX_HISTORY, required=False)
    format = serializers.ChoiceField(["json", "csv"], default="json")

    def validate_metric(self, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValidationError("Name each metric once.")
        return names

    def validate(self, query: dict) -> dict:
        after = query.get("after") or [0]
        if len(after) not in (1, len(query["metric"])):
            raise ValidationError({"after": ["Give one for all metrics, or one for each."]})
        query["after"] = after * len(query["metric"]) if len(after) == 1 else after
        return query


class SeriesQuery(Strict):
    run = serializers.ListField(child=Uuid(), min_length=1, max_length=charts.MAX_SERIES)
    metric = serializers.ListField(child=FieldName(), min_length=1, max_length=charts.MAX_SERIES)
    x = Axis(max_length=charts.LONGEST_AXIS, default="step")
    to = FiniteFloat(required=False)
    buckets = Integer(min_value=1, max_value=charts.MAX_BUCKETS, default=charts.DEFAULT_BUCKETS)
    smoothing = FiniteFloat(min_value=0, max_value=charts.MAX_SMOOTHING, default=0)
    xscale = serializers.ChoiceField(["linear", "log"], default="linear")

    def get_fields(self) -> dict:
        # `from` is a word of Python's, so it cannot stand among the attributes.
        return {**super().get_fields(), "from": FiniteFloat(required=False)}

    def validate(self, query: dict) -> dict:
        pairs = len(set(query["run"])) * len(set(query["metric"]))
        if pairs > charts.MAX_SERIES:
            raise ValidationError(
                {"run": [f"{pairs} series were asked for; {charts.MAX_SERIES} is the most."]}
            )
        return query


class CompareQuery(Strict):
    run = serializers.ListField(child=Uuid(), min_length=1, max_length=MAX_COMPARED)

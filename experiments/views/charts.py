"""What the charts of a page ask for. The API reads the same words by a serializer, for its
schema; both end in `charts.chart_series`."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict

from experiments.charts import DEFAULT_BUCKETS, MAX_BUCKETS, MAX_SERIES, Axis, checked_axis
from experiments.values import NAME_LENGTH, InvalidValue, field_name
from experiments.wire import encoded


class ChartForm(forms.Form):
    """The query of a chart: `metric` once or more, and how to draw them."""

    x = forms.CharField(required=False, max_length=NAME_LENGTH + len("metric:"))
    to = forms.FloatField(required=False)
    buckets = forms.IntegerField(required=False, min_value=1, max_value=MAX_BUCKETS)
    smoothing = forms.FloatField(required=False, min_value=0, max_value=0.999)

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query)
        # `from` is a word of Python's, so it cannot stand among the attributes.
        self.fields["from"] = forms.FloatField(required=False)
        self.fields["metric"] = forms.Field(required=False)

    def clean_x(self) -> str:
        try:
            return checked_axis(self.cleaned_data["x"] or "step")
        except InvalidValue as error:
            raise ValidationError(str(error)) from error

    def clean(self) -> None:
        """The metrics, which come as many times as there are."""
        try:
            names = [field_name(name) for name in dict.fromkeys(self.data.getlist("metric"))]
        except InvalidValue as error:
            raise ValidationError({"metric": str(error)}) from error
        if not 1 <= len(names) <= MAX_SERIES:
            raise ValidationError({"metric": f"Name 1 to {MAX_SERIES} metrics."})
        self.cleaned_data["names"] = names

    def axis(self) -> Axis:
        """The axis that a valid form asks for."""
        asked = self.cleaned_data
        return Axis(
            x=asked["x"],
            low=asked["from"],
            high=asked["to"],
            buckets=asked["buckets"] or DEFAULT_BUCKETS,
            smoothing=asked["smoothing"] or 0.0,
        )


def json_response(data: object, status: int = 200) -> HttpResponse:
    """JSON as the API writes it."""
    return HttpResponse(encoded(data), "application/json", status=status)

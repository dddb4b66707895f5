"""What people fill in about experiments and runs, by the same rules as the API."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.core.exceptions import ValidationError

from experiments.curating import version_of
from experiments.refusals import Refused
from experiments.values import (
    LONG_TEXT,
    NAME_LENGTH,
    SHORT_TEXT,
    InvalidValue,
    field_name,
    title,
)

PLAIN_TEXT = {"autocomplete": "off", "spellcheck": "false"}


def by_rule(rule: Callable[[str], str]) -> Callable[[str], None]:
    """A validator that tells what `rule` has against a text."""

    def check(text: str) -> None:
        try:
            rule(text)
        except InvalidValue as error:
            raise ValidationError(str(error)) from error

    return check


def tell(form: forms.Form, refusal: Refused, field: str | None = None) -> None:
    """Put a refusal into a form, its faults before its message: under the fields it names, the
    others under `field`, or above."""
    listed = {name: faults for name, faults in refusal.details.items() if isinstance(faults, list)}
    for name, faults in listed.items():
        form.add_error(name if name in form.fields else field, faults)
    if not listed:
        form.add_error(field, refusal.message)


class UnixLinesField(forms.CharField):
    """A long text; browsers send its lines with CR LF."""

    widget = forms.Textarea

    def to_python(self, value: object) -> str:
        return super().to_python(value).replace("\r\n", "\n")


class RunNameForm(forms.Form):
    """What a run is called."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        validators=[by_rule(title)],
        widget=forms.TextInput(attrs={**PLAIN_TEXT, "autofocus": True}),
    )


class NotesForm(forms.Form):
    """A run's notes, with the version of those they are to replace."""

    notes = UnixLinesField(
        required=False,
        strip=False,
        max_length=LONG_TEXT,
        help_text="Markdown: # heading, **bold**, `code`, - list, [link](https://…).",
        widget=forms.Textarea(attrs={"rows": 12, "autofocus": True}),
    )
    seen = forms.CharField(widget=forms.HiddenInput)

    @classmethod
    def showing(cls, notes: str) -> NotesForm:
        """The form as one begins with it."""
        return cls(initial={"notes": notes, "seen": version_of(notes)})


class TagForm(forms.Form):
    """One tag: a name, and a text that may be empty."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        validators=[by_rule(field_name)],
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )
    text = forms.CharField(
        required=False,
        max_length=SHORT_TEXT,
        label="Value",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )

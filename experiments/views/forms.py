"""What people fill in about experiments and runs, by the same rules as the API."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse_lazy

from accounts.models import User
from experiments.curating import version_of
from experiments.models import Collaborator, Experiment
from experiments.refusals import Refused
from experiments.values import (
    LONG_TEXT,
    MAX_DESCRIPTION,
    MAX_EXPERIMENT_TAG,
    NAME_LENGTH,
    SHORT_TEXT,
    InvalidValue,
    experiment_title,
    field_name,
    title,
)

MARKDOWN_HELP = "Markdown: # heading, **bold**, `code`, - list, [link](https://…)."
VISIBILITIES = [
    ("internal", "Internal: everybody who signs in here sees it, members add runs"),
    ("private", "Private: only its owner, the people below and admins see it"),
]
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
        help_text=MARKDOWN_HELP,
        widget=forms.Textarea(attrs={"rows": 12, "autofocus": True}),
    )
    seen = forms.CharField(widget=forms.HiddenInput)

    @classmethod
    def showing(cls, notes: str) -> NotesForm:
        """The form as one begins with it."""
        return cls(initial={"notes": notes, "seen": version_of(notes)})


class ExperimentNameForm(forms.Form):
    """What an experiment is called."""

    name = forms.CharField(
        max_length=NAME_LENGTH,
        validators=[by_rule(experiment_title)],
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )


class ExperimentForm(ExperimentNameForm):
    """What an experiment is, with the version of the description it is to replace."""

    description = UnixLinesField(
        required=False,
        strip=False,
        max_length=MAX_DESCRIPTION,
        help_text=MARKDOWN_HELP,
        widget=forms.Textarea(attrs={"rows": 8}),
    )
    status = forms.ChoiceField(
        choices=Experiment.Status,
        help_text="Completed and archived are said beside its name; runs can still be logged.",
    )
    visibility = forms.ChoiceField(
        choices=VISIBILITIES, widget=forms.RadioSelect(attrs={"class": "options"})
    )
    seen = forms.CharField(widget=forms.HiddenInput)

    @classmethod
    def showing(cls, experiment: Experiment, sent: QueryDict | None = None) -> ExperimentForm:
        """The form as one begins with it, or as it was `sent`."""
        initial = {name: getattr(experiment, name) for name in cls.base_fields if name != "seen"}
        return cls(sent, initial={**initial, "seen": version_of(experiment.description)})

    def changes(self) -> dict[str, str]:
        """What was changed, by field."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "seen"}


class CollaboratorForm(forms.Form):
    """Whom to let in, and as what."""

    user = forms.CharField(
        label="User name",
        max_length=User._meta.get_field("username").max_length,
        widget=forms.TextInput(
            attrs={
                **PLAIN_TEXT,
                "list": "people-names",
                "hx-get": reverse_lazy("people"),
                "hx-target": "#people-names",
                "hx-trigger": "input changed delay:150ms",
            }
        ),
    )
    role = forms.ChoiceField(choices=Collaborator.Role)

    def __init__(self, experiment: Experiment, *args: object) -> None:
        super().__init__(*args)
        self.experiment = experiment

    def clean_user(self) -> User:
        """The person of this name."""
        username = User.normalize_username(self.cleaned_data["user"])
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise ValidationError("There is no such user. User names mind capital letters.")
        if user.pk == self.experiment.owner_id:
            raise ValidationError("The owner is in already.")
        return user


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


class ExperimentTagForm(TagForm):
    """The same for an experiment, whose tags every list shows."""

    text = forms.CharField(
        required=False,
        max_length=MAX_EXPERIMENT_TAG,
        label="Value",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )

from django.apps import AppConfig


class ExptrackConfig(AppConfig):
    """The site itself: its commands."""

    name = "exptrack"
    verbose_name = "ExpTrack"

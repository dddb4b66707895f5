from django.apps import AppConfig
from django.db.backends.signals import connection_created

from exptrack.databases import prepare_connection


class ExperimentsConfig(AppConfig):
    name = "experiments"

    def ready(self) -> None:
        connection_created.connect(prepare_connection, dispatch_uid="prepare_connection")

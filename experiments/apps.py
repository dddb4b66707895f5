from django.apps import AppConfig
from django.db.backends.signals import connection_created

from exptrack.databases import prepare_connection


class ExperimentsConfig(AppConfig):
    name = "experiments"

    def ready(self) -> None:
        from experiments.remembering import forget_runs

        connection_created.connect(prepare_connection, dispatch_uid="prepare_connection")
        connection_created.connect(forget_runs, dispatch_uid="forget_runs")

"""What both databases must do alike, set up as each connection opens."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper


def prepare_connection(sender: object, connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """Give SQLite PostgreSQL's idea of lower and upper case: its own stops at ASCII."""
    if connection.vendor != "sqlite":
        return
    for name, fold in (("lower", str.lower), ("upper", str.upper)):
        connection.connection.create_function(
            name,
            1,
            lambda text, fold=fold: fold(text) if isinstance(text, str) else text,
            deterministic=True,
        )

"""The OpenAPI document and the page to browse it."""

from __future__ import annotations

from drf_spectacular.openapi import AutoSchema


class ApiSchema(AutoSchema):
    """What every operation has in common."""

"""Bodies out: JSON in which numbers that are not finite travel as strings."""

from __future__ import annotations

from rest_framework.renderers import BaseRenderer

from experiments.wire import encoded


class StrictJSONRenderer(BaseRenderer):
    """application/json, never with a bare NaN."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: object, media_type: str | None = None, context: object = None) -> bytes:
        return b"" if data is None else encoded(data)

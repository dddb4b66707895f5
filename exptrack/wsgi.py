"""The WSGI application: pages, API and admin."""

import os

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exptrack.settings")


class Request(WSGIRequest):
    """A request that is UTF-8, whatever charset its Content-Type names. Django would decode the
    address by that charset while it makes the request: one such as `bz2_codec` raises an error
    before there is anything to answer it."""

    def _set_content_type_params(self, meta: dict) -> None:
        try:
            parsed = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):
            meta["CONTENT_TYPE"], parsed = "", ("", {})
        self.content_type, self.content_params = parsed


class Handler(WSGIHandler):
    request_class = Request


django.setup(set_prefix=False)
application = Handler()

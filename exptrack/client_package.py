"""The client for training scripts, in this server's own version, for pip to install from here."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

NAME = "exptrack-client"
CLIENT = settings.BASE_DIR / "client"


@require_safe
@login_not_required  # pip has no session, and there is nothing in it but public code
def client_package(request: HttpRequest) -> HttpResponse:
    """The client's source, as a zip."""
    name = f'attachment; filename="{NAME}.zip"'
    return HttpResponse(
        packed(), content_type="application/zip", headers={"Content-Disposition": name}
    )


@cache
def packed() -> bytes:
    """What pip needs to build the client; the same bytes each time."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sources():
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(CLIENT)}")
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def sources() -> Iterator[Path]:
    """The files of the client, without its tests and what was built from it."""
    yield CLIENT / "pyproject.toml"
    for kind in ("*.py", "py.typed"):
        yield from sorted((CLIENT / "src").rglob(kind))

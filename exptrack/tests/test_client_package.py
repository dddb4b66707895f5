"""/exptrack-client.zip: the client, in this server's version, for pip."""

from __future__ import annotations

import io
import zipfile

from django.conf import settings

from exptrack.client_package import packed


def test_anybody_gets_the_client_s_source_and_nothing_else(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        answer = client.get("/exptrack-client.zip")
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    package = settings.BASE_DIR / "client" / "src" / "exptrack_client"
    sources = {path.name for path in package.iterdir() if path.is_file()}
    folder = "exptrack-client/src/exptrack_client/"
    assert set(found) == {"exptrack-client/pyproject.toml", *(folder + name for name in sources)}
    assert found[f"{folder}run.py"] == (package / "run.py").read_bytes()
    assert len(answer.content) < 100_000


def test_it_is_the_same_each_time():
    first = packed()
    packed.cache_clear()
    assert packed() == first

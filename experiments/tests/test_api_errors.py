"""Every refusal under /api/ has one shape, whatever refused it."""

import json
import urllib.error
import urllib.request

import pytest
from django.db import OperationalError, connection
from psycopg.errors import DiskFull

from accounts.models import new_secret
from experiments import recording
from experiments.api.errors import described
from experiments.models import Tail
from exptrack.tests.servers import GunicornServer
from exptrack.tests.waiting import PATIENCE

V1 = "/api/v1/"


def error(answer) -> dict:
    """What an error says, after a look at its shape."""
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message", "details", "request_id"]
    assert body["error"]["request_id"] == answer["X-Request-ID"]
    assert body["error"]["message"]
    return body["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "extra", "status", "code"),
    [
        ("get", "runs/?limit=0", None, {}, 400, "validation_error"),
        ("get", "runs/?q=x=", None, {}, 400, "query_syntax"),
        ("get", "runs/0199aaaa-0000-7000-8000-000000000000/", None, {}, 404, "not_found"),
        ("get", "runs/not-an-id/", None, {}, 404, "not_found"),
        ("get", "nothing/", None, {}, 404, "not_found"),
        ("get", "runs", None, {}, 404, "not_found"),
        ("put", "runs/", {}, {}, 405, "method_not_allowed"),
        ("options", "runs/", None, {}, 405, "method_not_allowed"),
        ("trace", "runs/?status=running", None, {}, 405, "method_not_allowed"),
        ("get", "runs/", None, {"Accept": "text/html"}, 406, "not_acceptable"),
        ("get", "runs/", None, {"Accept": "a/b; c*=utf-9''%41"}, 406, "not_acceptable"),
        ("post", "runs/", {}, {"Transfer-Encoding": "chunked"}, 411, "length_required"),
        ("get", "runs/", None, {"Transfer-Encoding": "chunked"}, 411, "length_required"),
        ("post", "runs/", b" " * (16 * 2**20 + 1), {}, 413, "payload_too_large"),
        ("post", "runs/", {}, {"Content-Encoding": "br"}, 415, "unsupported_media_type"),
    ],
)
def test_each_refusal_has_its_status_and_code(api, alice, method, path, body, extra, status, code):
    answer = getattr(api(alice), method)(V1 + path, body, headers=extra)
    assert (answer.status_code, error(answer)["code"]) == (status, code)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
        "",
        "application/json; charset=utf-16",
        "application/json; charset=bz2_codec",
    ],
)
@pytest.mark.parametrize("path", ["experiments/", "runs/{run}/log/", "runs/{run}/heartbeat/"])
def test_a_body_that_is_no_json_is_not_read(api, alice, run, path, content_type):
    where = V1 + path.format(run=run.pk)
    answer = api(alice).generic("POST", where, b'{"name": "x"}', content_type)
    assert (answer.status_code, error(answer)["code"]) == (415, "unsupported_media_type")


def test_who_sends_no_token_learns_how(api, alice):
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer ext_wrong"}):
        answer = api().get(f"{V1}me/", headers=headers)
        assert (answer.status_code, error(answer)["code"]) == (401, "not_authenticated")
        assert answer["WWW-Authenticate"] == 'Bearer realm="ExpTrack"'


def test_a_token_without_the_right_is_a_403(api, alice):
    answer = api(alice, scope="read").post(f"{V1}experiments/", {"name": "x"})
    assert (answer.status_code, error(answer)["code"]) == (403, "permission_denied")


def test_a_path_without_its_slash_says_so_and_leads_nowhere(api, alice):
    for method in ("get", "post", "delete"):
        answer = getattr(api(alice), method)(f"{V1}runs")
        assert answer.status_code == 404
        assert error(answer)["message"].endswith("Paths end with a slash: /api/v1/runs/")
    assert "slash" not in error(api(alice).get(f"{V1}nothing"))["message"]
    assert "slash" not in error(api(alice).get("/api/v1/{a}{0}"))["message"]


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/x/", "/api/%0A"])
def test_nothing_under_api_redirects(client, path):
    for method in ("get", "post"):
        answer = getattr(client, method)(path)
        assert answer.status_code == 404, answer
        assert error(answer)["code"] == "not_found"


def test_a_refused_method_names_those_allowed(api, alice):
    answer = api(alice).patch(f"{V1}runs/", {})
    assert answer.status_code == 405
    assert set(answer["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_unknown_fields_and_parameters_are_named(api, alice, run):
    script = api(alice)
    answer = script.post(f"{V1}experiments/", {"name": "x", "nmae": "y", "owner": "z"})
    assert answer.status_code == 400
    assert set(error(answer)["details"]) == {"nmae", "owner"}
    for path in ("me/", "tokens/", "experiments/", "runs/", "runs.csv", f"runs/{run.pk}/"):
        answer = script.get(f"{V1}{path}?ownr=alice")
        assert answer.status_code == 400, path
        assert list(error(answer)["details"]) == ["ownr"]
    answer = script.post(f"{V1}runs/{run.pk}/heartbeat/?x=1")
    assert list(error(answer)["details"]) == ["x"]


def test_a_parameter_given_twice_or_without_a_value_is_refused(api, alice, run):
    script = api(alice)
    for path, name in [
        ("runs/?status=running&status=failed", "status"),
        ("experiments/?ordering=name&ordering=-name", "ordering"),
        (f"series/?run={run.pk}&metric=a&buckets=5&buckets=6", "buckets"),
        ("runs/?status=", "status"),
        ("runs/?created_after=", "created_after"),
        ("runs/?fields=", "fields"),
        (f"runs/{run.pk}/history/?metric=a&limit=", "limit"),
    ]:
        answer = script.get(V1 + path)
        assert (answer.status_code, list(error(answer)["details"])) == (400, [name]), path


def test_a_request_keeps_a_sane_id_of_its_own(api, alice):
    answer = api(alice).get(f"{V1}nothing/", headers={"X-Request-ID": "train-17.a:b"})
    assert answer["X-Request-ID"] == error(answer)["request_id"] == "train-17.a:b"
    for insane in ("", "a b", "x" * 65, "a\tb", "é"):
        answer = api(alice).get(f"{V1}me/", headers={"X-Request-ID": insane})
        assert answer["X-Request-ID"] != insane
        assert answer["X-Request-ID"]


def test_a_foreign_host_is_a_400(api, alice):
    for host in ("evil.example", "localhost.evil.example", "localhost:80@evil.example", "a b"):
        answer = api(alice).get(f"{V1}me/", headers={"Host": host})
        assert (answer.status_code, error(answer)["code"]) == (400, "validation_error"), host


def test_an_error_repeats_no_more_of_a_request_than_a_person_reads(api, alice, run):
    long = "x" * 100_000
    body = {
        "metrics": {f"{long}{n}": 1 for n in range(150)},
        "params": {f"a$b{n}": 1 for n in range(500)},
    }
    answer = api(alice).post(f"{V1}runs/{run.pk}/log/", body)
    assert answer.status_code == 400
    assert len(error(answer)["details"]) == 100
    answer = api(alice).post(f"{V1}runs/", {long: 1, "experiment": "x"})
    assert len(answer.content) < 3_000
    assert len(api(alice).get(f"{V1}runs/?ordering={'y' * 5_000}").content) < 3_000


def test_what_goes_wrong_on_our_side_is_a_500_that_tells_nothing_of_the_inside(api, alice, run):
    script = api(alice)
    script.post(f"{V1}runs/{run.pk}/log/", {"metrics": {"loss": 1.0}})
    Tail.objects.update(data=b"damaged", position=7)
    for path in (f"runs/{run.pk}/history/?metric=loss", f"series/?run={run.pk}&metric=loss",
                 f"runs/{run.pk}/history/?metric=loss&format=csv"):  # fmt: skip
        answer = script.get(V1 + path)
        assert (answer.status_code, error(answer)["code"]) == (500, "server_error"), path
        for inside in ("Traceback", "Error", "experiments", "Tail", "chunk", "/", str(run.pk)):
            assert inside not in error(answer)["message"]
        assert error(answer)["details"] == {}


def test_a_full_disk_is_a_507(api, alice):
    full = OperationalError("could not extend file")
    full.__cause__ = DiskFull("could not extend file")
    assert described(full)[:2] == ("insufficient_storage", 507)


@pytest.mark.only_on("sqlite")
def test_a_batch_that_no_longer_fits_is_a_507_and_leaves_nothing(transactional_db, api, alice):
    run = recording.start_run(user=alice, experiment="digits")[0]
    script = api(alice)
    values = [n / 7 for n in range(50_000)]
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # what other tests left free would take it in
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
    try:
        answer = script.post(f"{V1}runs/{run.pk}/log/", {"metrics": {"loss": {"values": values}}})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 4294967294")
    assert (answer.status_code, error(answer)["code"]) == (507, "insufficient_storage")
    assert not run.metrics.exists()
    assert script.get(f"{V1}runs/{run.pk}/").json()["revision"] == 0


@pytest.mark.only_on("postgresql")
def test_a_database_that_is_away_is_a_503(postgres_server):
    served = GunicornServer(DATABASE_URL=postgres_server.url()).start()
    try:
        postgres_server.stop()
        status, headers, body = status_of(f"{served.url}{V1}me/", new_secret())
    finally:
        served.remove()
    assert (status, body["error"]["code"]) == (503, "unavailable")
    assert int(headers["Retry-After"]) > 0
    assert body["error"]["request_id"] == headers["X-Request-ID"]


def status_of(url: str, secret: str) -> tuple[int, dict, dict]:
    """Status, headers and body of a GET over the wire."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {secret}"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, dict(answer.headers), json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), json.load(refused)


@pytest.fixture
def run(alice):
    return recording.start_run(user=alice, experiment="digits", name="one")[0]

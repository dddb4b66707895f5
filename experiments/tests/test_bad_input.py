"""What no client should send: each is refused with its status in the one shape, on both
databases alike, and nothing that was stored breaks a reader."""

import gzip
import json
import socket
import time
import tracemalloc
import uuid
from itertools import product

import pytest

from experiments import recording
from experiments.models import Experiment, Metric, Param, Run, Tag
from exptrack.tests.waiting import PATIENCE

V1 = "/api/v1/"
DEEP = 2_000


@pytest.fixture
def run(alice) -> Run:
    return recording.start_run(user=alice, experiment="digits", name="one")[0]


@pytest.fixture
def script(api, alice, run):
    """Alice's, with a run that has something of everything."""
    script = api(alice)
    batch = {"metrics": {"loss": 1.0}, "params": {"lr": 0.1}, "tags": {"stage": "a"}}
    assert script.post(f"{V1}runs/{run.pk}/log/", batch).status_code == 200
    return script


@pytest.fixture
def send(script, run):
    """Sends a body to a path, in which `{run}` and `{experiment}` stand for ids."""

    def post(path, body, method="POST", content_type="application/json", **headers):
        where = V1 + path.format(run=run.pk, experiment=run.experiment_id)
        return script.generic(method, where, body, content_type, headers=headers)

    return post


@pytest.fixture
def still_reads(script, run):
    """Fails unless every reading endpoint works, for all that is stored."""

    def walk():
        paths = ["experiments/", "runs/", "runs/?ordering=params.lr", "runs/?ordering=metrics.loss"]
        paths += ["runs.csv", "runs/?ordering=name", "me/", "tokens/"]
        for experiment in Experiment.objects.all():
            rooms = ("", "collaborators/", "summary/?metric=loss", "runs.csv")
            paths += [f"experiments/{experiment.pk}/{room}" for room in rooms]
        for found in Run.objects.all():
            paths += [f"runs/{found.pk}/{room}" for room in ("", "metrics/")]
            paths += [f"compare/?run={found.pk}"]
        for metric in Metric.objects.order_by("name")[:20]:
            query = {"metric": metric.name, "run": str(metric.run_id)}
            assert script.get(f"{V1}series/", query).status_code == 200
            history = script.get(f"{V1}runs/{metric.run_id}/history/", {"metric": metric.name})
            assert history.status_code == 200
        for path in paths:
            answer = script.get(V1 + path)
            assert answer.status_code == 200, path
            if answer.streaming:
                assert b"".join(answer)

    return walk


# Every place that takes a body, and a body of it in which X stands for a text of the caller's.
PLACES = {
    "experiments/": {"name": "X"},
    "experiments/{experiment}/": {"description": "X"},
    "experiments/{experiment}/restore/": {"name": "X"},
    "experiments/{experiment}/collaborators/": {"user": "X"},
    "runs/": {"experiment": "digits", "params": {"p": "X"}},
    "runs/{run}/": {"notes": "X"},
    "runs/{run}/log/": {"params": {"p": "X"}},
    "runs/{run}/finish/": {"status": "failed", "error": "X"},
    "runs/{run}/heartbeat/": {"x": "X"},
    "tokens/": {"name": "X"},
}


def method_of(path: str) -> str:
    return "PATCH" if path in ("experiments/{experiment}/", "runs/{run}/") else "POST"


def with_text(body: object, text: str) -> bytes:
    """A body with raw JSON text in place of X."""
    return json.dumps(body).replace('"X"', text).encode("utf-8", "surrogatepass")


# --- Text that one of the databases cannot hold ------------------------------------------------


NO_TEXTS = (
    '"\\ud800"', '"a\\udfffb"', '"\\udc00\\ud800"', '"\ud800"', '"\\u0000"', '"a\\u0000b"',
    '"\x00"', '{"\\u0000": 1}', '{"\\ud800": 1}', '[["\\u0000"]]',
)  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_text_that_is_no_text_is_a_400_everywhere(send, still_reads, path):
    before = Param.objects.count(), Experiment.objects.count(), Run.objects.count()
    for text in NO_TEXTS:
        answer = send(path, with_text(PLACES[path], text), method_of(path))
        assert answer.status_code == 400, (text, answer.content)
    assert before == (Param.objects.count(), Experiment.objects.count(), Run.objects.count())
    still_reads()


@pytest.mark.parametrize(
    "body",
    [
        b'{"metrics": {"a\\u0000": 1}}',
        b'{"metrics": {"\\ud800": 1}}',
        b'{"metrics": [{"name": "a\\u0000", "value": 1}]}',
        b'{"tags": {"a\\u0000": "x"}}',
        b'{"tags": {"a": "\\u0000"}}',
        b'{"params": {"a\\u0000": 1}}',
        b'{"writer": "a\\u0000", "seq": 1}',
        b'{"metrics": {"\xff": 1}}',
        b'{"metrics": {"a": "\xed\xa0\x80"}}',
        '{"metrics": {"\u202eevil": 1}}'.encode(),
        '{"metrics": {"a\u200b": 1}}'.encode(),
    ],
)
def test_names_that_are_no_names_are_a_400(send, still_reads, body):
    assert send("runs/{run}/log/", body).status_code == 400
    assert set(Metric.objects.values_list("name", flat=True)) == {"loss"}
    still_reads()


@pytest.mark.parametrize(
    "text", ["\x7f", "\u00a0", "\u2028", "😀", "ﷺ" * 50, "e" + "\u0301" * 99, "<b>", "' OR 1=1 --"]
)  # fmt: skip
def test_any_other_text_goes_in_and_comes_out_the_same(send, script, run, still_reads, text):
    body = json.dumps({"params": {"odd": text, "deep": {text: [text]}}, "tags": {"odd": text}})
    assert send("runs/{run}/log/", body.encode()).status_code == 200
    found = script.get(f"{V1}runs/{run.pk}/").json()
    assert found["params"]["odd"] == found["tags"]["odd"] == text
    assert found["params"]["deep"] == {text: [text]}
    assert script.get(f"{V1}runs/", {"search": text}).status_code == 200
    still_reads()


@pytest.mark.parametrize(
    "path",
    [
        "runs/?search=a%00b", "runs/?owner=%00", "runs/?tag=%00", "runs/?experiment=%00",
        "runs/?ordering=%00", "runs/?fields=params.%00", "runs/?cursor=%00", "runs/?%00=1",
        "experiments/?search=%00", "experiments/?tag=a=%00", "runs.csv?search=%00",
        "runs/{run}/history/?metric=%00", "series/?run={run}&metric=%00",
        "series/?run=%00&metric=a",
        "compare/?run=%00", "experiments/{experiment}/summary/?metric=%00",
    ],
)  # fmt: skip
def test_nul_in_a_query_is_a_400(send, path):
    assert send(path, b"", "GET").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "runs/%00/", "runs/{run}%00/", "experiments/%00/", "tokens/%00/", "%00/",
        "experiments/{experiment}/collaborators/%00/", "experiments/%ff/", "runs/%ed%a0%80/",
        "runs/..%2f..%2f/", "runs/%2e%2e/", "runs/%252e/", "runs/{run};x/", "runs/{run}%0a/",
    ],
)  # fmt: skip
def test_odd_characters_in_a_path_are_a_404(send, path):
    for method in ("GET", "DELETE"):
        assert send(path, b"", method).status_code in (404, 405)


@pytest.mark.parametrize("path", ["runs/", "experiments/", "runs.csv"])
def test_a_search_takes_any_text_for_what_it_is(script, path):
    began = time.monotonic()
    for text in ("(a+)+$", "(", "[", "\\", "%", "_", "*", "a" * 250, "'", '"', "\ufffd"):
        assert script.get(V1 + path, {"search": text}).status_code == 200, text
    assert time.monotonic() - began < 60  # a pattern that runs away takes minutes


# --- Shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PLACES)
def test_deep_nesting_is_a_400_everywhere(send, path):
    for (opening, closing), depth in product(("[]", ('{"a":', "}")), (33, DEEP, 100_000)):
        text = opening * depth + "1" + closing * depth
        for body in (text.encode(), with_text(PLACES[path], text)):
            assert send(path, body, method_of(path)).status_code == 400


def test_nesting_up_to_the_limit_is_kept(send, script, run, still_reads):
    value = 1
    for _ in range(28):
        value = [value]
    assert send("runs/{run}/log/", json.dumps({"params": {"deep": value}})).status_code == 200
    assert script.get(f"{V1}runs/{run.pk}/").json()["params"]["deep"] == value
    still_reads()


NO_OBJECTS = (
    b"[]", b"1", b'"x"', b"null", b"true", b"{", b"}", b"{}{}", b"{},", b"\xef\xbb\xbf{}", b"NaN",
    b"{'a': 1}", b'{"a": 1,}', b'{"a": 1e999}', b'{"a": -1e999}', b'{"a": -Infinity}',
    b'{"a": 01}', b'{"a": .5}', b'{"a"}', b"\x00", b"\xff\xfe{\x00}\x00", b'{"a": "\n"}', b"a=1",
    b'{"a": ' + b"9" * 5_000 + b"}", b"<xml/>",
)  # fmt: skip


@pytest.mark.parametrize("path", PLACES)
def test_what_is_no_json_object_is_a_400_everywhere(send, path):
    for body in NO_OBJECTS:
        assert send(path, body, method_of(path)).status_code == 400, body[:40]


@pytest.mark.parametrize(
    "body",
    [
        b'{"metrics": {"a": 1, "a": 2}}',
        b'{"metrics": {"a": {"values": [1]}, "b": 1, "a": {"values": [2]}}}',
        b'{"metrics": {"a": {"values": [1], "values": [2]}}}',
        b'{"metrics": {"a": 1}, "metrics": {"b": 2}}',
        b'{"metrics": [{"name": "a", "value": 1}], "metrics": [{"name": "b", "value": 1}]}',
        b'{"params": {"a": 1, "a": 2}}',
        b'{"params": {"p": {"a": 1, "a": 2}}}',
        b'{"params": {"x:y": ":", "a": 1, "a": 2}}',
        b'{"tags": {"a": "1", "a": "2"}}',
        '{"metrics": {"\u00e9": 1, "e\u0301": 2}}'.encode(),
        '{"params": {"\u00e9": 1, "e\u0301": 2}}'.encode(),
        '{"tags": {"\u00e9": "1", "e\u0301": "2"}}'.encode(),
    ],
)
def test_a_name_that_comes_twice_is_a_400_since_one_of_the_two_would_be_lost(send, run, body):
    answer = send("runs/{run}/log/", body)
    assert answer.status_code == 400, answer.content
    run.refresh_from_db()
    assert (run.revision, Metric.objects.count(), Param.objects.count(), Tag.objects.count()) == (
        1, 1, 1, 1
    )  # fmt: skip


@pytest.mark.parametrize("path", sorted(PLACES))
def test_a_field_that_comes_twice_is_a_400_everywhere(send, path):
    text = json.dumps(PLACES[path])[1:-1]
    answer = send(path, f"{{{text}, {text}}}".encode(), method_of(path))
    assert answer.status_code == 400


def test_colons_in_names_and_texts_are_no_repeats(send):
    body = {
        "metrics": {"a:b": {"values": [1, "NaN"], "steps": None}, "c::d": 1, "e": "Infinity"},
        "params": {"x:y": "::", "z": {":": [":"]}},
        "tags": {"t:u": "a:b:c"},
        "writer": "w:1",
        "seq": 1,
        "step": None,
    }
    assert send("runs/{run}/log/", json.dumps(body)).status_code == 200
    escaped = json.dumps({"params": {"q": "::::"}}).replace("::::", "\\u003a" * 4)
    assert send("runs/{run}/log/", escaped).status_code == 200


# --- Numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"metrics": {"x": X}}',
        '{"metrics": {"x": {"values": [X]}}}',
        '{"metrics": [{"name": "x", "value": X}]}',
        '{"metrics": {"x": {"values": [1], "steps": [X]}}}',
        '{"metrics": {"x": {"values": [1], "times": [X]}}}',
        '{"params": {"x": X}}',
        '{"params": {"x": [{"a": X}]}}',
        '{"writer": "w", "seq": X}',
    ],
)
def test_a_number_past_a_double_is_a_400(send, run, body):
    long = ("9" * 400, "1" + "0" * 5_000)
    for number in ("1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1.0e", "0x1", *long):
        answer = send("runs/{run}/log/", body.replace("X", number).encode())
        assert answer.status_code == 400, (number, answer.content)
    run.refresh_from_db()
    assert run.revision == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"metrics": {"x": {"values": [1], "steps": [X]}}}',
        '{"metrics": {"x": {"values": [1], "times": [X]}}}',
        '{"metrics": [{"name": "x", "value": 1, "step": X}]}',
        '{"metrics": {"x": 1}, "step": X}',
        '{"writer": "w", "seq": X}',
    ],
)
def test_a_step_time_or_seq_that_is_no_64_bit_integer_is_a_400(send, run, body):
    for number in (str(2**63), str(-(2**63) - 1), str(2**64), "1e3", "1.0", '"1"'):
        answer = send("runs/{run}/log/", body.replace("X", number).encode())
        assert answer.status_code == 400, (number, answer.content)
    run.refresh_from_db()
    assert run.revision == 1


@pytest.mark.parametrize("number", [str(2**63), str(-(2**63) - 1)])
def test_an_integer_past_64_bits_is_no_param(send, number):
    for body in ('{"params": {"x": X}}', '{"params": {"x": {"a": [X]}}}'):
        assert send("runs/{run}/log/", body.replace("X", number).encode()).status_code == 400


def test_values_at_the_ends_of_a_double_are_kept_and_summed_up(send, script, run, still_reads):
    values = [1.7976931348623157e308, 1.7976931348623157e308, -5e-324, 2.0**70, 10**30]
    body = json.dumps({"metrics": {"x": {"values": values}, "loss": 1.7e308, "y": 2**64}})
    assert send("runs/{run}/log/", body).status_code == 200
    found = script.get(f"{V1}runs/{run.pk}/history/", {"metric": "x"}).json()["metrics"]["x"]
    assert found["values"] == list(map(float, values))
    (x,) = [m for m in script.get(f"{V1}runs/{run.pk}/metrics/").json()["results"] if m["name"] == "x"]  # fmt: skip  # noqa: E501
    assert (x["max"], x["min"], x["mean"]) == (values[0], -5e-324, "Infinity")
    for ordering in ("metrics.x.mean", "-metrics.x.mean", "metrics.x.max"):
        assert script.get(f"{V1}runs/", {"ordering": ordering}).status_code == 200
    still_reads()


@pytest.mark.parametrize(
    "path",
    [
        "runs/?limit=" + "9" * 1_000, "runs/?limit=-1", "runs/?limit=1e9", "runs/?limit=1000000000",
        "runs/{run}/history/?metric=loss&after=" + "9" * 30,
        "runs/{run}/history/?metric=loss&after=9223372036854775808",
        "runs/{run}/history/?metric=loss&limit=9223372036854775808",
        "series/?run={run}&metric=loss&buckets=" + "9" * 30,
        "series/?run={run}&metric=loss&from=" + "9" * 400,
        "series/?run={run}&metric=loss&smoothing=1e999",
        "runs/?offset=1000000000", "runs/?page=2",
    ],
)  # fmt: skip
def test_numbers_past_their_limits_in_a_query_are_a_400(send, path):
    assert send(path, b"", "GET").status_code == 400


# --- Sizes -------------------------------------------------------------------------------------


def test_three_megabytes_are_read(send, script, still_reads):
    values = {"values": [0.123456789] * 90_000, "steps": list(range(90_000))}
    times = [1_700_000_000_000 + n for n in range(90_000)]
    body = json.dumps({"metrics": {"big": {**values, "times": times}}})
    assert len(body) > 3_000_000
    assert send("runs/{run}/log/", body).json()["accepted"] == 90_000
    still_reads()


@pytest.mark.parametrize("path", PLACES)
def test_more_than_sixteen_megabytes_are_a_413_everywhere(send, path):
    answer = send(path, b" " * (16 * 2**20 + 1), method_of(path))
    assert answer.status_code == 413
    assert "16 MiB" in answer.json()["error"]["message"]


POINTS = [{"name": f"m{n}", "value": 1} for n in range(10_001)]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("runs/{run}/log/", {"metrics": {f"m{n}": 1 for n in range(10_001)}}, 413),
        ("runs/{run}/log/", {"params": {f"m{n}": 1 for n in range(10_001)}}, 413),
        ("runs/{run}/log/", {"tags": {f"m{n}": "" for n in range(10_001)}}, 413),
        ("runs/{run}/log/", {"metrics": POINTS}, 413),
        ("runs/{run}/log/", {"metrics": {"x": {"values": [1] * 100_001}}}, 413),
        ("runs/{run}/log/", {"params": {"x": list(range(100_001))}}, 413),
        ("runs/{run}/log/", {"params": {"x": "a" * 2_500_000}}, 400),
        ("runs/{run}/log/", {"tags": {"x": "a" * 2_500_000}}, 400),
        ("runs/", {"experiment": "x", "environment": {f"k{n}": 1 for n in range(100_001)}}, 413),
        ("runs/", {"experiment": "x", "params": {f"k{n}": 1 for n in range(10_001)}}, 400),
        ("runs/", {"experiment": "x", "notes": "a" * 2_500_000}, 400),
        ("experiments/", {f"k{n}": 1 for n in range(100_001)}, 413),
        ("experiments/", {f"k{n}": 1 for n in range(5_000)}, 400),
    ],
)  # fmt: skip
def test_too_many_of_anything_is_refused_by_the_name_of_its_limit(send, run, path, body, status):
    answer = send(path, json.dumps(body))
    assert answer.status_code == status, answer.content[:500]
    assert len(answer.content) < 100_000
    run.refresh_from_db()
    assert run.revision == 1
    assert not Experiment.objects.filter(name="x").exists()


def test_ten_thousand_names_are_taken(send, script, run, still_reads):
    body = json.dumps(
        {
            "metrics": {f"m{n}": n for n in range(10_000)},
            "params": {f"m{n}": n for n in range(2_000)},
            "tags": {f"m{n}": "" for n in range(2_000)},
        }
    )
    assert send("runs/{run}/log/", body).json()["accepted"] == 10_000
    found = script.get(f"{V1}runs/{run.pk}/").json()
    assert (len(found["params"]), found["truncated"]) == (100, True)
    still_reads()


# --- Gzip --------------------------------------------------------------------------------------


def packed(text: bytes) -> bytes:
    # Without the time of day: both of xdist's processes must collect the same tests.
    return gzip.compress(text, 6, mtime=0)


BATCH = b'{"metrics": {"loss": 2}}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (packed(BATCH), 200),
        (packed(b""), 400),
        (b"", 400),
        (BATCH, 400),
        (packed(BATCH)[:-1], 400),
        (packed(BATCH)[:-9], 400),
        (packed(BATCH)[:5], 400),
        (packed(BATCH) + b"x", 400),
        (packed(BATCH) + packed(b'{"metrics": {"loss": 3}}'), 400),
        (packed(packed(BATCH)), 400),
        (packed(BATCH)[:-5] + b"\x00" + packed(BATCH)[-4:], 400),
    ],
)
def test_gzip_is_read_whole_or_not_at_all(send, run, body, status):
    answer = send("runs/{run}/log/", body, **{"Content-Encoding": "gzip"})
    assert answer.status_code == status, answer.content
    run.refresh_from_db()
    assert run.revision == (2 if status == 200 else 1)


@pytest.mark.parametrize("size", [2_000_000, 16 * 2**20 + 1, 200_000_000])
def test_gzip_is_bounded(send, run, size):
    body = packed(b" " * size)
    tracemalloc.start()
    answer = send("runs/{run}/log/", body, **{"Content-Encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413, answer.content
    assert peak < 40 * 2**20  # the largest would be 200 million, unpacked whole
    run.refresh_from_db()
    assert run.revision == 1


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "x" * 500, "GZIP;q=1"])
def test_another_encoding_is_a_415(send, encoding):
    answer = send("runs/{run}/log/", BATCH, **{"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert len(answer.content) < 1_000


# --- Repeats -----------------------------------------------------------------------------------


def test_a_run_started_twice_is_one_run(script):
    body = {"experiment": "digits", "id": str(uuid.uuid4())}
    assert [script.post(f"{V1}runs/", body).status_code for _ in range(3)] == [201, 200, 200]
    assert Run.objects.filter(pk=body["id"]).count() == 1


@pytest.mark.parametrize("key", ["", "x" * 65, "a\x7fb", "\x85"])
def test_an_idempotency_key_that_is_no_name_is_a_400(send, key):
    assert send("runs/{run}/log/", BATCH, **{"Idempotency-Key": key}).status_code == 400


def test_a_key_and_a_writer_together_are_a_400(send):
    body = b'{"metrics": {"x": 1}, "writer": "w", "seq": 1}'
    assert send("runs/{run}/log/", body, **{"Idempotency-Key": "k"}).status_code == 400


# --- Over the wire -------------------------------------------------------------------------------


def wire(server, head: str, body: bytes = b"", *, close: bool = False) -> tuple[int, bytes]:
    """Status and body of the answer to a request sent as it stands; `close` ends our side."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body)
        if close:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        headers = {}
        while line := answer.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            return status, answer.read(int(headers["content-length"]))
        size = int(answer.readline(), 16)  # the edge answers in one chunk
        return status, answer.read(size)


@pytest.fixture
def over(gunicorn_server, alice, token):
    """A real server, a run on it, and how a request to it begins."""
    run = recording.start_run(user=alice, experiment="digits")[0]
    host = f"Host: 127.0.0.1:{gunicorn_server.port}\n"
    who = f"Authorization: Bearer {token(alice)}\nContent-Type: application/json\n"

    def request(line="", *, body=b"", close=False, host=host, who=who, more=""):
        line = line or f"POST {V1}runs/{run.pk}/log/ HTTP/1.1"
        return wire(gunicorn_server, f"{line}\n{host}{who}{more}", body, close=close)

    request.run = run
    return request


def test_no_body_is_ever_read_in_part(over):
    """Each with the status it must have; none may store a point."""
    chunked = b"18\r\n" + BATCH + b"\r\n0\r\n\r\n"
    length = len(BATCH)
    for more, body, close, status in [
        ("Transfer-Encoding: chunked\n", chunked, False, 411),
        ("Transfer-Encoding: chunked\n", chunked[:9], True, 411),
        (f"Transfer-Encoding: chunked\nContent-Length: {length}\n", chunked, False, 400),
        (f"Content-Length: {length + 5}\n", BATCH, True, 400),
        (f"Content-Length: {length - 5}\n", BATCH, True, 400),
        ("Content-Length: -5\n", BATCH, True, 400),
        ("Content-Length: x\n", BATCH, True, 400),
        (f"Content-Length: {length}\nContent-Length: {length}\n", BATCH, True, 400),
        ("Content-Length: 0\n", b"", False, 400),
        ("", BATCH, True, 400),
        ("Content-Length: 20000000\n", b"", False, 413),
    ]:
        got, answer = over(more=more, body=body, close=close)
        assert got == status, (more, answer)
    assert not Metric.objects.exists()
    assert over(more=f"Content-Length: {length}\n", body=BATCH)[0] == 200
    assert Metric.objects.get().count == 1


def test_odd_requests_get_their_status_in_the_one_shape(over):
    path = f"GET {V1}runs/"
    for line, options, status in [
        (
            f"{path}?limit=5 HTTP/1.1",
            {"more": "Content-Type: a/b; charset=bz2_codec\n", "who": ""},
            401,
        ),
        (f"{path}?{'a&' * 1_500} HTTP/1.1", {}, 400),
        (f"{path} HTTP/1.1", {"host": "Host: evil.example\n"}, 400),
        (f"{path} HTTP/1.1", {"host": "Host: localhost.evil.example\n"}, 400),
        (f"GET {V1}runs HTTP/1.1", {}, 404),
        ("POST /api HTTP/1.1", {"more": "Content-Length: 2\n", "body": b"{}"}, 404),
        (f"BREW {V1}runs/ HTTP/1.1", {}, 405),
    ]:
        got, answer = over(line, **options)
        assert got == status, (line[:60], answer)
        assert json.loads(answer)["error"]["request_id"]
    for charset in ("bz2_codec", "utf-16", "idna", "unicode_escape", "no-such", "*=x''%41"):
        who = "Content-Type: application/json; charset=" + charset + "\n"
        got, answer = over(f"{path}?search=a HTTP/1.1", who=who)
        assert (got, json.loads(answer)["error"]["code"]) == (401, "not_authenticated")


def test_a_head_request_has_no_body(over, gunicorn_server):
    for path, status in (("me/", 200), ("nothing/", 404)):
        assert over(f"HEAD {V1}{path} HTTP/1.1", more="Connection: close\n")[0] == status

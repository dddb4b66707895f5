"""`exptrack` in a terminal. What sync and offline-status do is in test_offline.py."""

from __future__ import annotations

import io
import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import exptrack_client as exptrack
import pytest
from exptrack_client import cli, login

from exptrack.tests.waiting import PATIENCE

pytestmark = pytest.mark.only_on("sqlite")


@pytest.fixture
def two_runs(tracker):
    for number in (1, 2):
        with exptrack.init("digits", name=f"run {number}", params={"lr": number}) as run:
            run.log({"loss": number / 7, "odd": float("nan")})


def test_runs_are_a_table_for_people(two_runs, capfd):
    assert cli.main(["runs", "digits"]) == 0
    heading, newest, oldest = capfd.readouterr().out.splitlines()
    assert cli.main(["runs"]) == 0
    assert capfd.readouterr().out.splitlines()[0].split()[5] == "experiment"
    assert heading.split() == [*"id name status started took metrics.loss metrics.odd".split()]
    assert "run 2" in newest
    assert "0.285714" in newest
    assert "run 1" in oldest


def test_runs_are_json_for_programs(two_runs, capfd):
    command = ["runs", "--json", "--order", "metrics.loss", "--fields", "metrics.loss,params.lr"]
    assert cli.main(command) == 0
    found = json.loads(capfd.readouterr().out)["runs"]
    assert [run["params"]["lr"] for run in found] == [1, 2]
    assert cli.main(["runs", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["runs"][0]["metrics"]["odd"] == "NaN"


def test_the_greatest_first_is_asked_for_by_a_minus(two_runs, capfd):
    for order in (["--order", "-metrics.loss"], ["--order=-metrics.loss"]):
        assert cli.main(["runs", *order, "--limit", "1", "--json"]) == 0
        assert [run["name"] for run in json.loads(capfd.readouterr().out)["runs"]] == ["run 2"]
    for nothing in (["--order"], ["--order", "--json"]):
        with pytest.raises(SystemExit):
            cli.main(["runs", *nothing])


def test_any_field_is_a_column(two_runs, capfd):
    assert cli.main(["runs", "--fields", "owner,created,params.lr,owner", "--limit", "1"]) == 0
    heading, run = capfd.readouterr().out.splitlines()[:2]
    assert heading.split()[4:] == ["took", "experiment", "owner", "created", "params.lr"]
    assert (run.count(" ago "), "digits" in run, "alice" in run, run.split()[-1]) == (
        2,
        True,
        True,
        "2",
    )
    assert cli.main(["runs", "--fields", "lr"]) == 1
    assert "Did you mean metrics.lr or params.lr?" in capfd.readouterr().err


def test_a_limit_says_that_there_may_be_more(two_runs, capfd):
    assert cli.main(["runs", "--limit", "1"]) == 0
    assert "--limit shows more" in capfd.readouterr().out
    assert cli.main(["runs", "--limit", "0"]) == 1


def test_nothing_found_is_said(tracker, capfd):
    assert cli.main(["runs"]) == 0
    assert capfd.readouterr().out == "No runs found.\n"


def test_logging_in_keeps_a_token_that_works_for_this_user_only(tracker, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{tracker.token}\n"))
    assert cli.main(["login", tracker.url + "/api/v1"]) == 0
    captured = capfd.readouterr()
    assert f"Logged in to {tracker.url} as alice" in captured.out
    assert "goes before" not in captured.err
    assert stat.S_IMODE(login.login_file().stat().st_mode) == 0o600
    monkeypatch.delenv("EXPTRACK_URL")
    monkeypatch.delenv("EXPTRACK_TOKEN")

    with exptrack.init("digits") as run:
        run.log({"loss": 1.0})
    assert tracker.points(run.id, "loss") == [(0, 1.0)]
    assert cli.main(["runs"]) == 0


def test_what_goes_before_a_kept_token_is_said(tracker, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{tracker.token}\n"))
    monkeypatch.setenv("EXPTRACK_URL", f"{tracker.url}/")
    monkeypatch.setenv("EXPTRACK_TOKEN", "ext_" + "0" * 33)
    assert cli.main(["login"]) == 0
    assert capfd.readouterr().err.splitlines()[1:] == [
        "EXPTRACK_TOKEN is set to another: it goes before what is kept."
    ]


def test_a_kept_token_goes_to_no_other_server(tracker, monkeypatch):
    login.save(tracker.url, tracker.token)
    monkeypatch.delenv("EXPTRACK_TOKEN")
    assert login.known_token(tracker.url)
    assert login.known_token("http://elsewhere.example") == ""


@pytest.mark.parametrize("given", ["ext_" + "0" * 33, "", "not a token"])
def test_a_token_that_does_not_work_is_not_kept(tracker, monkeypatch, capfd, given):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{given}\n"))
    assert cli.main(["login", tracker.url]) == 1
    assert capfd.readouterr().err
    assert not login.login_file().exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", "cannot be reached"),
        ("tracker.example", "begins with http"),
        ("{tracker}/account", "does not answer like ExpTrack"),
        ("https://{place}", "it speaks no HTTPS; http:// may be right"),
    ],
)
def test_a_wrong_address_is_a_sentence_and_json_for_programs(
    tracker, capfd, monkeypatch, url, says
):
    monkeypatch.setattr("exptrack_client.transport.FIRST_WAIT", 0.01)
    url = url.format(tracker=tracker.url, place=tracker.url.partition("//")[2])
    assert cli.main(["runs", "--json", "--url", url]) == 1
    captured = capfd.readouterr()
    assert says in captured.err
    assert says in json.loads(captured.out)["error"]


def test_a_certificate_of_ones_own_is_asked_for_where_it_is_needed(monkeypatch, tmp_path, capfd):
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl here to make a certificate")
    pair = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", *pair, *about]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    monkeypatch.setattr("exptrack_client.transport.FIRST_WAIT", 0.01)
    monkeypatch.setenv("EXPTRACK_TOKEN", "ext_" + "0" * 33)
    with ThreadingHTTPServer(("localhost", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = ["runs", "--url", f"https://localhost:{server.server_port}"]
        assert cli.main(command) == 1
        assert "not trusted: self-signed certificate. SSL_CERT_FILE can" in capfd.readouterr().err
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
        assert cli.main(command) == 1
        assert "the answer was 501" in capfd.readouterr().err
        server.shutdown()


def test_a_server_that_is_too_old_is_told_apart(tracker, wire, capfd, monkeypatch):
    body = {"error": {"code": "not_found", "message": "There is nothing at /api/v1/runs/."}}
    monkeypatch.setattr(wire, "fault_body", lambda status: json.dumps(body).encode())
    wire.to = ""
    wire.faults.append(404)
    assert cli.main(["runs"]) == 1
    assert "is older than this client" in capfd.readouterr().err


def test_it_runs_as_a_module_and_ends_quietly_when_nobody_listens(two_runs):
    source = os.path.dirname(os.path.dirname(cli.__file__))
    line = f"{sys.executable} -m exptrack_client runs | head -n 0; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_command_it_says_how(capfd):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2

"""manage.py create_token"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Token, User


def create_token(*arguments: str) -> str:
    """What the command prints, run within this process."""
    out, err = StringIO(), StringIO()
    call_command("create_token", *arguments, stdout=out, stderr=err)
    assert err.getvalue() == ""
    return out.getvalue()


def test_it_prints_the_token_alone_and_the_token_works(alice, api):
    printed = create_token("alice", "--name", "gpu-3")
    assert printed.count("\n") == 1
    script = type(api())(printed.strip())
    assert script.get("/api/v1/me/").status_code == 200
    token = Token.objects.get()
    assert (token.user, token.name) == (alice, "gpu-3")


def test_by_default_it_writes_and_never_expires(alice):
    create_token("alice", "--name", "x")
    token = Token.objects.get()
    assert (token.scope, token.expires_at) == ("write", None)


@pytest.mark.parametrize("scope", ["read", "log", "write"])
def test_it_takes_a_scope(alice, scope):
    create_token("alice", "--name", "x", "--scope", scope)
    assert Token.objects.get().scope == scope


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("1y", timedelta(days=365)),
    ],
)
def test_it_takes_a_lifetime(alice, text, span):
    create_token("alice", "--name", "x", "--expires", text)
    left = Token.objects.get().expires_at - timezone.now()
    assert abs(left - span) < timedelta(minutes=1)


def test_the_secret_is_kept_nowhere(alice, everything_stored, caplog):
    caplog.set_level("DEBUG")
    secret = create_token("alice", "--name", "x").strip()
    assert secret not in everything_stored()
    assert secret not in caplog.text


def test_an_unknown_user_is_named_with_close_ones(alice, charlie):
    with pytest.raises(CommandError, match="There is no user “alicia”. Did you mean alice?"):
        create_token("alicia", "--name", "x")
    with pytest.raises(CommandError, match="There is no user “zebra”.$"):
        create_token("zebra", "--name", "x")


def test_a_deactivated_user_gets_none(alice):
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(CommandError, match="is deactivated"):
        create_token("alice", "--name", "x")


@pytest.mark.parametrize(
    "text",
    ["", " ", "30", "d", "30 days", "0d", "-3d", "1.5d", "1m", "٣d", "99999y", "1e3d", "30d;"],
)
def test_no_duration_is_refused_with_its_form(alice, text):
    with pytest.raises(CommandError, match="12h, 30d, 2w or 1y"):
        create_token("alice", "--name", "x", f"--expires={text}")
    assert not Token.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb", "a\x00b", "a\udcff"])
def test_no_name_is_refused(alice, name):
    with pytest.raises(CommandError, match="1 to 100 printable characters"):
        create_token("alice", "--name", name)


@pytest.mark.parametrize("user", ["", "a\x00b", "a\udcffb", "' OR 1=1 --", "x" * 5000])
def test_hostile_user_names_are_unknown(alice, user):
    with pytest.raises(CommandError, match="There is no user"):
        create_token(user, "--name", "x")


def test_the_name_is_compared_as_it_was_stored(db):
    User.objects.create_user("ﬁona")  # with a ligature, which NFKC takes apart
    assert create_token("ﬁona", "--name", "x")
    assert create_token("fiona", "--name", "x")


@pytest.mark.parametrize(
    "arguments",
    [["zebra", "--name", "x"], ["zebra"], ["zebra", "--name", "x", "--scope", "root"]],
)
def test_from_the_shell_errors_go_to_stderr_and_the_exit_code(arguments, tmp_path):
    environment = {**os.environ, "EXPTRACK_DATA": str(tmp_path)}
    environment.pop("DATABASE_URL")
    done = subprocess.run(
        [sys.executable, "manage.py", "create_token", *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_before_the_first_start_it_says_what_to_do(tmp_path):
    environment = {**os.environ, "EXPTRACK_DATA": str(tmp_path)}
    environment.pop("DATABASE_URL")
    done = subprocess.run(
        [sys.executable, "manage.py", "create_token", "alice", "--name", "x"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "run `make run` first" in done.stderr

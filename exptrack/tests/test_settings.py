"""The settings: what the environment may say, and what stops the start."""

from __future__ import annotations

import os
import runpy
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

SETTINGS = Path(__file__).parent.parent / "settings.py"
KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reads the settings afresh, from nothing but the variables given."""

    def run(**environment: str) -> dict:
        for name in [*os.environ]:
            if name.startswith("EXPTRACK_") or name in (
                "DATABASE_URL",
                "REDIS_URL",
                "EMAIL_URL",
                "HOST",
                "PORT",
            ):
                monkeypatch.delenv(name)
        for name, value in {"EXPTRACK_DATA": str(tmp_path / "data"), **environment}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(SETTINGS))

    return run


# --- It works --------------------------------------------------------------------------------


def test_without_any_variable_everything_is_embedded_and_local(read, tmp_path):
    settings = read()
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "data" / "exptrack.sqlite3")
    assert settings["HOST"] == "127.0.0.1"
    assert (settings["DEBUG"], settings["PRODUCTION"]) == (False, False)
    assert "*" not in settings["ALLOWED_HOSTS"]


def test_the_key_is_made_once_and_kept_private(read, tmp_path):
    key = read()["SECRET_KEY"]
    assert read()["SECRET_KEY"] == key
    assert len(key) >= 50
    [file] = (tmp_path / "data").glob("secret-key*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_installs_have_different_keys(read, tmp_path):
    keys = {read(EXPTRACK_DATA=str(tmp_path / name))["SECRET_KEY"] for name in ("one", "two")}
    assert len(keys) == 2


def test_postgresql_gets_time_outs_that_its_url_may_change(read):
    def options(url: str) -> dict:
        return read(DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]

    assert "statement_timeout" in options("postgresql://u:p@h/x")["options"]
    changed = options("postgresql://u:p@h/x?sslmode=require&connect_timeout=9")
    assert (changed["sslmode"], changed["connect_timeout"]) == ("require", 9)


def test_production_asks_for_https_everywhere(read):
    named = {"EXPTRACK_SECRET_KEY": KEY, "EXPTRACK_ALLOWED_HOSTS": "exptrack.example"}
    settings = read(EXPTRACK_PRODUCTION="true", **named)
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["SECURE_SSL_REDIRECT"]
    assert not settings["DEMO"]


def test_an_old_key_still_reads_what_it_signed(read):
    settings = read(EXPTRACK_SECRET_KEY=KEY, EXPTRACK_SECRET_KEY_FALLBACKS=f"{KEY}1, {KEY}2")
    assert settings["SECRET_KEY_FALLBACKS"] == [f"{KEY}1", f"{KEY}2"]


# --- What stops the start --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "http", "PORT must be a whole number."),
        ("PORT", "70000", "PORT must be between 0 and 65535."),
        ("EXPTRACK_WORKERS", "0", "EXPTRACK_WORKERS must be between 1 and 256."),
        ("EXPTRACK_DEBUG", "ja", "EXPTRACK_DEBUG must be true or false."),
        ("EXPTRACK_PRODUCTION", "true", "EXPTRACK_SECRET_KEY must be set when"),
        ("EXPTRACK_SECRET_KEY", "secret", "EXPTRACK_SECRET_KEY must have 50 random characters"),
        ("EXPTRACK_LOG_LEVEL", "loud", "EXPTRACK_LOG_LEVEL must be debug, info, warning or error."),
        ("DATABASE_URL", "mysql://u:hush@h/x", "DATABASE_URL must begin with postgresql://"),
        ("DATABASE_URL", "postgresql://u:hush/x@h/x", "DATABASE_URL must be postgresql://user:"),
        ("DATABASE_URL", "postgresql://u:hush@h/", "DATABASE_URL must name a database"),
        ("DATABASE_URL", "sqlite://:memory:", "DATABASE_URL must name a database"),
        ("DATABASE_URL", "sqlite:////no/such/x.db", "The database file /no/such/x.db cannot be"),
        ("REDIS_URL", "redis://:hush@h:port", "REDIS_URL must be redis://:password@host:6379/0"),
        ("REDIS_URL", "memcached://hush", "REDIS_URL must be redis://:password@host:6379/0"),
        ("EXPTRACK_LIVE_STREAMS", "8", "EXPTRACK_LIVE_STREAMS must be between 0 and 7."),
        ("EMAIL_URL", "pigeon://hush@coop", "EMAIL_URL must be smtp+tls://user:password@host:port"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_repeated(read, name, value, sentence):
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(**{name: value})
    assert str(refusal.value).startswith(sentence)
    assert "hush" not in str(refusal.value)


def test_production_is_no_place_to_debug(read):
    with pytest.raises(ImproperlyConfigured, match="exclude each other"):
        read(EXPTRACK_PRODUCTION="true", EXPTRACK_DEBUG="true", EXPTRACK_SECRET_KEY=KEY)


def test_production_must_know_its_name(read):
    with pytest.raises(ImproperlyConfigured, match="^EXPTRACK_ALLOWED_HOSTS must name this site"):
        read(EXPTRACK_PRODUCTION="true", EXPTRACK_SECRET_KEY=KEY)


# --- The edges -------------------------------------------------------------------------------


def test_an_empty_variable_is_an_unset_one(read):
    empty = {"EXPTRACK_SECRET_KEY": "", "DATABASE_URL": " ", "PORT": "", "EXPTRACK_DEBUG": ""}
    assert read(**empty)["PORT"] == 8000


def test_spaces_in_a_list_mean_nothing(read):
    assert read(EXPTRACK_ALLOWED_HOSTS="a.example , b.example,")["ALLOWED_HOSTS"] == [
        "a.example",
        "b.example",
    ]


def test_no_value_stands_for_another_variable(read):
    key = "$HOME" + KEY
    assert read(EXPTRACK_SECRET_KEY=key)["SECRET_KEY"] == key

"""/api/v1/tokens/ and /api/v1/me/: who a token is, and tokens made with it."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Token
from experiments import recording
from exptrack.tests.people import ApiClient

TOKENS = "/api/v1/tokens/"
ME = "/api/v1/me/"


@pytest.fixture
def experiment(alice):
    return recording.create_experiment(user=alice, name="digits")


def made(answer) -> dict:
    assert answer.status_code == 201, answer.content
    return answer.json()


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def test_me_tells_who_the_token_is_and_what_it_may_send(api, alice):
    found = api(alice, name="laptop", scope="log").get(ME).json()
    assert (found["user"], found["role"]) == ("alice", "member")
    assert found["limits"] == {
        "body_bytes": 16 * 2**20,
        "points_per_request": 100_000,
        "names_per_request": 10_000,
    }
    token = found["token"]
    assert (token["name"], token["scope"], token["experiment"]) == ("laptop", "log", None)
    assert token["hint"].startswith("ext_")
    assert "token" not in token


def test_the_secret_is_told_once_and_works(api, alice):
    script = api(alice)
    token = made(script.post(TOKENS, {"name": "gpu-1"}))
    assert re.fullmatch(r"ext_[0-9A-Za-z]{33}", token["token"]), token["token"]
    assert (token["scope"], token["experiment"], token["expires_at"]) == ("write", None, None)
    assert ApiClient(token["token"]).get(ME).json()["token"]["id"] == token["id"]
    listed = script.get(TOKENS)
    assert token["token"] not in listed.content.decode()
    names = [found["name"] for found in listed.json()["results"]]
    assert names == ["gpu-1", "test"]


def test_a_token_may_be_narrower_in_every_way(api, alice, experiment):
    token = made(
        api(alice).post(
            TOKENS,
            {
                "name": "ci",
                "scope": "read",
                "experiment": str(experiment.pk),
                "expires_at": in_days(30),
            },
        )
    )
    assert (token["scope"], token["experiment"]) == ("read", str(experiment.pk))
    narrow = ApiClient(token["token"])
    assert narrow.get(f"/api/v1/experiments/{experiment.pk}/").status_code == 200
    assert narrow.post("/api/v1/runs/", {"experiment": "digits"}).status_code == 403


def test_both_words_before_a_token_work(api, alice, token):
    secret = token(alice)
    for word in ("Bearer", "Token", "bearer", "TOKEN"):
        answer = api().get(ME, headers={"Authorization": f"{word} {secret}"})
        assert answer.status_code == 200
    for header in (secret, f"Bearer {secret} {secret}", "Bearer", f"Basic {secret}"):
        assert api().get(ME, headers={"Authorization": header}).status_code == 401


def test_a_revoked_token_opens_nothing_from_the_next_request_on(api, alice):
    script = api(alice)
    token = made(script.post(TOKENS, {"name": "lost laptop"}))
    other = ApiClient(token["token"])
    assert other.get(ME).status_code == 200
    assert script.delete(f"{TOKENS}{token['id']}/").status_code == 204
    assert other.get(ME).status_code == 401
    assert script.delete(f"{TOKENS}{token['id']}/").status_code == 404


def test_a_token_may_revoke_itself(api, alice):
    script = api(alice)
    assert script.delete(f"{TOKENS}{script.get(ME).json()['token']['id']}/").status_code == 204
    assert script.get(ME).status_code == 401


# --- Who may not -------------------------------------------------------------------------------


def test_other_people_s_tokens_are_neither_seen_nor_revoked(api, alice, charlie, ada):
    mine = made(api(alice).post(TOKENS, {"name": "mine"}))
    for other in (charlie, ada):
        script = api(other)
        assert "mine" not in script.get(TOKENS).content.decode()
        assert script.delete(f"{TOKENS}{mine['id']}/").status_code == 404
    assert script.delete(f"{TOKENS}not-an-id/").status_code == 404


@pytest.mark.parametrize("scope", ["read", "log"])
def test_only_a_token_that_may_write_makes_tokens(api, alice, scope):
    assert api(alice, scope=scope).post(TOKENS, {"name": "x", "scope": scope}).status_code == 403


def test_no_token_makes_one_that_is_wider_or_lives_longer(api, alice, experiment):
    other = recording.create_experiment(user=alice, name="speech")
    ends = datetime.now(UTC) + timedelta(days=10)
    bound = api(alice, experiment_id=experiment.pk, expires_at=ends)
    same = {"experiment": str(experiment.pk), "expires_at": in_days(5)}
    made(bound.post(TOKENS, {"name": "same", **same}))
    for wider in (
        {"experiment": None},
        {"experiment": str(other.pk)},
        {"expires_at": None},
        {"expires_at": in_days(11)},
    ):
        assert bound.post(TOKENS, {"name": "wider", **same, **wider}).status_code == 403, wider
    for missing in same:
        body = {name: value for name, value in same.items() if name != missing}
        assert bound.post(TOKENS, {"name": "wider", **body}).status_code == 403, missing
    assert not Token.objects.filter(name="wider").exists()


def test_a_bound_token_sees_and_revokes_only_tokens_bound_alike(api, alice, experiment):
    free = made(api(alice).post(TOKENS, {"name": "free"}))
    bound = api(alice, name="bound", experiment_id=experiment.pk)
    assert [found["name"] for found in bound.get(TOKENS).json()["results"]] == ["bound"]
    assert bound.delete(f"{TOKENS}{free['id']}/").status_code == 404


def test_a_token_is_bound_to_no_experiment_one_may_not_see(api, alice, charlie):
    hidden = recording.create_experiment(user=charlie, name="x", visibility="private")
    for pk in (hidden.pk, uuid.uuid4()):
        answer = api(alice).post(TOKENS, {"name": "x", "experiment": str(pk)})
        assert answer.status_code == 404
    assert not Token.objects.filter(name="x").exists()


# --- The edges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 1}, "name"),
        ({"name": "x", "scope": "admin"}, "scope"),
        ({"name": "x", "experiment": "digits"}, "experiment"),
        ({"name": "x", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-10:00"}, "expires_at"),
        ({"name": "x", "user": "ada"}, "user"),
        ({"name": "x", "token": "ext_mine"}, "token"),
    ],
)
def test_a_token_that_cannot_be_is_named(api, alice, body, field):
    answer = api(alice).post(TOKENS, body)
    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, [field])


def test_an_expired_token_opens_nothing(api, alice):
    gone = datetime.now(UTC) - timedelta(seconds=1)
    assert api(alice, expires_at=gone).get(ME).status_code == 401

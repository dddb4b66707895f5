"""What a token opens, and when it stops."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import (
    Token,
    User,
    checksum,
    looks_like_token,
    new_secret,
)

ME = "/api/v1/me/"


def test_a_live_token_finds_its_user(alice, token):
    found = Token.objects.by_secret(token(alice, scope="log"))
    assert (found.user, found.scope) == (alice, "log")


def test_bearer_and_token_both_say_it(client, alice, token):
    secret = token(alice)
    for scheme in ("Bearer", "Token", "bearer", "TOKEN"):
        response = client.get(ME, headers={"Authorization": f"{scheme} {secret}"})
        assert response.status_code == 200, scheme


def test_a_session_opens_nothing_of_the_api(signed_in, alice):
    assert signed_in(alice).get(ME).status_code == 401


def test_expired_revoked_and_disabled_open_nothing(api, alice, charlie):
    now = timezone.now()
    expired = api(alice, expires_at=now - timedelta(seconds=1))
    revoked = api(alice, revoked_at=now)
    disabled = api(charlie)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    for script in (expired, revoked, disabled):
        response = script.get(ME)
        assert response.status_code == 401
        assert "unknown, expired or revoked" in response.json()["error"]["message"]
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_token_ends_on_time(api, alice, time_machine):
    script = api(alice, expires_at=timezone.now() + timedelta(hours=1))
    assert script.get(ME).status_code == 200
    time_machine.move_to(timezone.now() + timedelta(hours=1, seconds=1))
    assert script.get(ME).status_code == 401


def test_an_activated_user_has_the_tokens_back(api, alice):
    script = api(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert script.get(ME).status_code == 401
    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert script.get(ME).status_code == 200


def test_nonsense_opens_nothing(client, alice, token):
    secret = token(alice)
    for header in (
        "Bearer",
        "Bearer ",
        f"Bearer {secret} {secret}",
        f"Bearer {secret[:-1]}",
        f"Bearer {secret.lower()}",
        f"Bearer x{secret}",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 5000,
        "Basic YWxpY2U6eA==",
        secret,
    ):
        response = client.get(ME, headers={"Authorization": header})
        assert response.status_code == 401, header


def test_a_typing_slip_costs_no_query(alice, token, django_assert_num_queries):
    secret = token(alice)
    slip = "b" if secret[10] == "a" else "a"
    with django_assert_num_queries(0):
        assert Token.objects.by_secret(secret[:10] + slip + secret[11:]) is None


def test_finding_a_token_takes_one_query(alice, token, django_assert_num_queries):
    secret = token(alice)
    with django_assert_num_queries(1):
        assert Token.objects.by_secret(secret).user.username == "alice"


def test_use_is_noted_at_most_once_a_minute(api, alice, time_machine):
    script = api(alice)
    row = Token.objects.get()
    script.get(ME)
    first = Token.objects.get().last_used_at
    script.get(ME)
    assert Token.objects.get().last_used_at == first is not None
    time_machine.move_to(timezone.now() + timedelta(seconds=61))
    script.get(ME)
    assert Token.objects.get().last_used_at > first
    assert row.last_used_at is None


def test_every_secret_is_new_and_checks_itself():
    secrets = {new_secret() for _ in range(500)}
    assert len(secrets) == 500
    for secret in secrets:
        assert len(secret) == 37
        assert looks_like_token(secret)
        assert checksum(secret[:-6]) == secret[-6:]


def test_only_the_digest_is_kept(alice, token, everything_stored):
    secret = token(alice)
    assert secret not in everything_stored()
    assert Token.objects.get().hint == secret[:8]


def test_revoking_all_at_once_needs_a_queryset():
    with pytest.raises(AttributeError):
        Token.objects.revoke()

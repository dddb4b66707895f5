from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Token, User
from exptrack.tests.statements import cost

LIST = reverse("admin:accounts_token_changelist")


def act(browser: Client, action: str, *tokens: Token):
    chosen = [token.pk for token in tokens]
    return browser.post(LIST, {"action": action, "_selected_action": chosen}, follow=True)


def names(page) -> set[str]:
    return {token.name for token in page.context["cl"].result_list}


@pytest.fixture
def three(alice, bob, token) -> None:
    token(alice, name="live")
    token(alice, name="expired", expires_at=timezone.now() - timedelta(1))
    token(bob, name="revoked", revoked_at=timezone.now())


def test_the_list_shows_tokens_and_finds_them(signed_in, ada, three):
    browser = signed_in(ada)
    assert names(browser.get(LIST)) == {"live", "expired", "revoked"}
    assert names(browser.get(LIST, {"q": "bob"})) == {"revoked"}
    for state in ("live", "expired", "revoked"):
        assert names(browser.get(LIST, {"state": state})) == {state}


def test_revoking_ends_them_with_effect_on_the_next_request(signed_in, api, ada, alice):
    script = api(alice)
    assert script.get("/api/v1/me/").status_code == 200
    browser = signed_in(ada)
    token = Token.objects.get()
    assert "1 revoked." in act(browser, "revoke", token).text
    assert script.get("/api/v1/me/").status_code == 401
    history = browser.get(reverse("admin:accounts_token_history", args=[token.pk]))
    assert "Revoked." in history.text


def test_revoking_again_keeps_the_first_time(signed_in, ada, three, fresh):
    token = Token.objects.get(name="revoked")
    assert "0 revoked." in act(signed_in(ada), "revoke", token).text
    assert fresh(token).revoked_at == token.revoked_at


def test_no_admin_no_tokens(signed_in, alice, three, fresh):
    browser = signed_in(alice)
    assert "/admin/login/" in browser.get(LIST)["Location"]
    token = Token.objects.get(name="live")
    act(browser, "revoke", token)
    assert fresh(token).revoked_at is None


def test_digests_are_shown_nowhere_and_cannot_be_sought(signed_in, ada, three):
    browser, token = signed_in(ada), Token.objects.get(name="live")
    page = browser.get(reverse("admin:accounts_token_change", args=[token.pk]))
    assert page.status_code == 200
    for text in (page.text, browser.get(LIST).text):
        assert token.digest not in text
        assert token.digest[:12] not in text
    assert browser.get(LIST, {"digest__startswith": "0"}).status_code == 400
    assert names(browser.get(LIST, {"q": token.digest})) == set()


def test_nothing_can_be_added_changed_or_deleted(signed_in, ada, three):
    browser, token = signed_in(ada), Token.objects.get(name="live")
    change = reverse("admin:accounts_token_change", args=[token.pk])
    assert browser.get(reverse("admin:accounts_token_add")).status_code == 403
    assert browser.post(change, {"name": "mine", "scope": "read"}).status_code == 403
    assert browser.get(reverse("admin:accounts_token_delete", args=[token.pk])).status_code == 403
    act(browser, "delete_selected", token)
    assert Token.objects.count() == 3


def test_hostile_names_are_harmless(signed_in, ada, token):
    token(ada, name="<script>alert(1)</script>")
    assert "<script>alert" not in signed_in(ada).get(LIST).text


def test_statements_do_not_grow_with_tokens(signed_in, ada, token):
    token(ada)
    browser = signed_in(ada)
    few = cost(browser.get, LIST)
    for number in range(20):
        token(User.objects.create_user(f"user{number}"))
    assert cost(browser.get, LIST) == few <= 4  # session, user, count, tokens

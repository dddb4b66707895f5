from uuid import uuid4

from django.urls import reverse

from accounts.models import Token

HTMX = {"HX-Request": "true"}


def revoke(browser, token: Token, **extra):
    return browser.post(reverse("token-revoke", args=[token.pk]), **extra)


def test_it_opens_nothing_from_the_next_request_on(signed_in, api, alice):
    script = api(alice)
    assert script.get("/api/v1/me/").status_code == 200
    browser = signed_in(alice)
    response = revoke(browser, Token.objects.get())
    assert response["Location"] == reverse("account")
    assert "is revoked" in browser.get(response["Location"]).text
    assert script.get("/api/v1/me/").status_code == 401


def test_htmx_gets_the_remaining_tokens_and_the_message(signed_in, alice, token):
    token(alice, name="kept")
    token(alice, name="ended")
    response = revoke(signed_in(alice), Token.objects.get(name="ended"), headers=HTMX)
    assert response.text.count("<tr>") == 2  # the head and one token
    assert "<bdi>kept</bdi>" in response.text
    assert 'hx-swap-oob="innerHTML"' in response.text
    assert "“ended” is revoked" in response.text


def test_again_is_fine_and_keeps_the_first_time(signed_in, alice, token, fresh):
    token(alice)
    browser, row = signed_in(alice), Token.objects.get()
    revoke(browser, row)
    first = fresh(row).revoked_at
    assert revoke(browser, row).status_code == 302
    assert fresh(row).revoked_at == first


def test_nobody_revokes_anothers_here(signed_in, alice, charlie, ada, token, fresh):
    token(alice)
    row = Token.objects.get()
    for other in (charlie, ada):
        assert revoke(signed_in(other), row).status_code == 404
    assert fresh(row).revoked_at is None


def test_signed_out_nothing_is_revoked(client, alice, token, fresh):
    token(alice)
    row = Token.objects.get()
    assert revoke(client, row)["Location"].startswith(reverse("sign-in"))
    assert fresh(row).revoked_at is None


def test_a_link_revokes_nothing(signed_in, alice, token, fresh):
    token(alice)
    row = Token.objects.get()
    assert signed_in(alice).get(reverse("token-revoke", args=[row.pk])).status_code == 405
    assert fresh(row).revoked_at is None


def test_an_unknown_one_is_not_found(signed_in, alice):
    assert revoke(signed_in(alice), Token(pk=uuid4())).status_code == 404


def test_a_hostile_name_is_harmless_in_the_message(signed_in, alice, token):
    token(alice, name="<script>alert(1)</script>")
    response = revoke(signed_in(alice), Token.objects.get(), headers=HTMX)
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert(1)" in response.text

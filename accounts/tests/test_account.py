from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Token
from accounts.views.account import TOKENS_PER_PAGE
from exptrack.tests.statements import cost

URL = reverse("account")
HTMX = {"HX-Request": "true"}


def names_on(page) -> list[str]:
    return [token.name for token in page.context["tokens"]]


@pytest.fixture
def many(alice) -> list[str]:
    """Names of two pages of Alice's tokens and a half, newest first, several made at once."""
    now = timezone.now()
    names = [f"t{number:03}" for number in range(TOKENS_PER_PAGE * 5 // 2)]
    for number, name in enumerate(names):
        Token.objects.issue(alice, name, created_at=now - timedelta(seconds=number // 7))
    return [token.name for token in Token.objects.for_account(alice)]


def test_it_shows_who_one_is_and_ones_tokens(signed_in, alice, token):
    secret = token(alice, name="gpu-3 nightly", scope="log")
    page = signed_in(alice).get(URL)
    assert page.status_code == 200
    for text in ("alice@example.org", "Member", "gpu-3 nightly", "Log only", secret[:8]):
        assert text in page.text
    assert secret not in page.text
    assert secret[:9] not in page.text


def test_without_tokens_it_says_what_to_do(signed_in, alice):
    assert "No tokens yet" in signed_in(alice).get(URL).text


def test_expired_tokens_stay_marked_and_revoked_ones_go(signed_in, alice, token):
    token(alice, name="old", expires_at=timezone.now() - timedelta(seconds=1))
    token(alice, name="ended")
    Token.objects.get(name="ended").revoke()
    page = signed_in(alice).get(URL)
    assert names_on(page) == ["old"]
    assert "Expired" in page.text


def test_a_bound_token_shows_its_experiment(signed_in, alice, token):
    experiment = uuid4()
    token(alice, experiment_id=experiment)
    page = signed_in(alice).get(URL)
    assert f'title="{experiment}"' in page.text


def test_the_experiment_may_come_with_the_address(signed_in, alice):
    experiment = str(uuid4())
    page = signed_in(alice).get(f"{URL}?experiment={experiment}")
    assert f'value="{experiment}"' in page.text


def test_the_pages_of_many_tokens_show_each_once(signed_in, alice, many):
    browser = signed_in(alice)
    seen, url = [], URL
    for _ in range(3):
        page = browser.get(url)
        seen += names_on(page)
        url = f"{URL}?before={page.context['tokens'][-1].pk}"
        assert (url.replace("/account/", "") in page.text) == (len(seen) < len(many))
    assert seen == many


def test_htmx_gets_the_tokens_alone_and_other_visits_the_page(signed_in, alice, token):
    browser = signed_in(alice)
    fragment = browser.get(URL, headers=HTMX)
    assert fragment.text.lstrip().startswith('<div class="stack" id="tokens">')
    assert "HX-Request" in fragment["Vary"]
    for headers in ({}, {**HTMX, "HX-Boosted": "true"}):
        assert "<!doctype html>" in browser.get(URL, headers=headers).text
    restored = browser.get(URL, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<!doctype html>" in restored.text


def test_it_is_kept_out_of_every_cache(signed_in, alice):
    assert "no-store" in signed_in(alice).get(URL)["Cache-Control"]


def test_signed_out_it_leads_to_sign_in(client, db):
    assert client.get(URL)["Location"] == f"{reverse('sign-in')}?next={URL}"


def test_a_signed_out_fragment_sends_the_whole_page_to_sign_in(client, db):
    headers = {**HTMX, "HX-Current-URL": "http://testserver/account/?a=1&b=2"}
    response = client.get(URL, headers=headers)
    assert response.status_code == 204
    page = client.get(response["HX-Redirect"])
    assert 'name="next" value="/account/?a=1&amp;b=2"' in page.text


def test_a_token_opens_no_page(client, alice, token):
    secret = token(alice)
    response = client.get(URL, headers={"Authorization": f"Bearer {secret}"})
    assert response.status_code == 302


def test_nobody_sees_anothers_tokens(signed_in, alice, ada, token):
    token(alice, name="of alice")
    assert "of alice" not in signed_in(ada).get(URL).text


def test_a_viewer_is_offered_only_what_a_viewer_may(signed_in, bob):
    form = signed_in(bob).get(URL).context["token_form"]
    assert [scope for scope, _ in form.fields["scope"].choices] == ["read"]


def test_hostile_names_are_harmless(signed_in, alice, token):
    for name in ('"><script>alert(1)</script>', "{{ 7*7 }}", "\u202egnp.exe", "' onclick=x"):
        token(alice, name=name)
    page = signed_in(alice).get(URL)
    assert "<script>alert" not in page.text
    assert ">49<" not in page.text
    assert "&quot;&gt;&lt;script&gt;" in page.text


def test_hostile_addresses_are_harmless(signed_in, alice, charlie, token):
    browser = signed_in(alice)
    token(charlie)
    theirs = Token.objects.get().pk
    for query in ("before=x", "before=", f"before={uuid4()}", f"before={theirs}", "before=%00"):
        assert browser.get(f"{URL}?{query}").status_code == 200, query
    page = browser.get(URL, {"experiment": '"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text


def test_statements_do_not_grow_with_tokens(signed_in, alice, token):
    browser = signed_in(alice)
    few = cost(browser.get, URL)
    for _ in range(20):
        token(alice)
    assert cost(browser.get, URL) == few <= 3  # session, user, tokens

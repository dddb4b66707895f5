import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Token

URL = reverse("token-create")
ACCOUNT = reverse("account")
HTMX = {"HX-Request": "true"}


def create(browser, headers=None, **changes):
    data = {"id": uuid4(), "name": "gpu-3 nightly", "scope": "write", "lifetime": "90d"}
    return browser.post(URL, {**data, **changes}, headers=headers)


def secret_in(page) -> str:
    return re.search(r'id="token-secret">(ext_\w+)<', page.text)[1]


def test_a_new_token_is_shown_with_its_secret_and_works(signed_in, api, alice):
    page = create(signed_in(alice))
    assert page.status_code == 200
    secret = secret_in(page)
    assert "shown this once" in page.text
    script = type(api())(secret)
    assert script.get("/api/v1/me/").status_code == 200


def test_the_snippet_runs_as_pasted(signed_in, alice):
    page = create(signed_in(alice))
    assert f"export EXPTRACK_TOKEN={secret_in(page)}\n" in page.text
    assert "export EXPTRACK_URL=http://testserver\n" in page.text
    python = [snippet.text for snippet in page.context["snippets"] if "Python" in snippet.label]
    compile(python[0], "snippet", "exec")
    assert 'init(experiment="first"' in python[0]


def test_a_reading_token_comes_with_a_reading_snippet(signed_in, alice):
    page = create(signed_in(alice), scope="read")
    assert "curl" in page.text
    assert "run.log" not in page.text


def test_a_bound_token_comes_with_its_experiment_in_the_snippet(signed_in, alice):
    experiment = uuid4()
    page = create(signed_in(alice), experiment_id=experiment)
    assert Token.objects.get().experiment_id == experiment
    assert f"init(experiment=&quot;{experiment}&quot;" in page.text


def test_the_secret_is_shown_never_again(signed_in, alice):
    browser = signed_in(alice)
    secret = secret_in(create(browser))
    for page in (browser.get(ACCOUNT), browser.get(ACCOUNT, headers=HTMX)):
        assert secret not in page.text
        assert "gpu-3 nightly" in page.text


def test_the_secret_is_neither_in_the_database_nor_in_the_log(
    signed_in, alice, everything_stored, caplog
):
    caplog.set_level("DEBUG")
    browser = signed_in(alice)
    secret = secret_in(create(browser))
    browser.get(ACCOUNT)
    assert "token_created" in caplog.text
    for kept in (everything_stored(), caplog.text, repr(browser.cookies)):
        assert secret not in kept
        assert secret[9:] not in kept
    assert secret[:8] in everything_stored()


def test_the_answer_stays_out_of_every_cache(signed_in, alice):
    assert "no-store" in create(signed_in(alice))["Cache-Control"]


def test_htmx_gets_the_tokens_alone(signed_in, alice):
    page = create(signed_in(alice), headers=HTMX)
    assert "<html" not in page.text
    assert 'id="tokens"' in page.text
    assert secret_in(page)


@pytest.mark.parametrize(
    ("lifetime", "days"), [("7d", 7), ("30d", 30), ("90d", 90), ("1y", 365), ("never", None)]
)
def test_it_lives_as_long_as_chosen(signed_in, alice, lifetime, days):
    create(signed_in(alice), lifetime=lifetime)
    expires_at = Token.objects.get().expires_at
    if days is None:
        assert expires_at is None
    else:
        assert abs(expires_at - timezone.now() - timedelta(days=days)) < timedelta(minutes=1)


def test_signed_out_nothing_is_made(client, db):
    assert create(client)["Location"].startswith(reverse("sign-in"))
    assert not Token.objects.exists()


def test_a_viewer_gets_a_reading_token_and_no_other(signed_in, bob):
    browser = signed_in(bob)
    for scope in ("write", "log"):
        assert create(browser, scope=scope).status_code == 422
    assert create(browser, scope="read").status_code == 200
    assert [token.scope for token in Token.objects.all()] == ["read"]


def test_nobody_makes_a_token_for_another(signed_in, alice, ada):
    create(signed_in(alice), user=ada.pk, user_id=ada.pk)
    assert Token.objects.get().user == alice


def test_sending_the_form_twice_makes_one_token_and_shows_no_secret_again(signed_in, alice):
    browser, number = signed_in(alice), uuid4()
    secret = secret_in(create(browser, id=number))
    again = create(browser, id=number)
    assert again.status_code == 422
    assert "made already" in again.text
    assert secret not in again.text
    assert Token.objects.count() == 1


def test_anothers_id_cannot_be_taken_over(signed_in, alice, charlie, token):
    token(charlie, name="of charlie")
    theirs = Token.objects.get()
    assert create(signed_in(alice), id=theirs.pk).status_code == 422
    assert Token.objects.get().user == charlie


def test_what_does_not_fit_is_said_and_nothing_is_made(signed_in, alice):
    browser = signed_in(alice)
    for changes, said in [
        ({"name": ""}, "This field is required."),
        ({"name": "   "}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\x00b"}, "Null characters are not allowed."),
        ({"scope": "root"}, "root is not one of the available choices"),
        ({"lifetime": "9999y"}, "9999y is not one of the available choices"),
        ({"experiment_id": "digits"}, "You see no experiment of this name."),
    ]:
        page = create(browser, **changes)
        assert page.status_code == 422, changes
        assert said in page.text, changes
    assert not Token.objects.exists()


def test_hostile_text_comes_back_harmless(signed_in, alice):
    page = create(signed_in(alice), name="<script>alert(1)</script>")
    assert "<script>alert" not in page.text
    page = create(signed_in(alice), experiment_id="<script>alert(1)</script>")
    assert page.status_code == 422
    assert "<script>alert" not in page.text


def test_who_comes_back_from_signing_in_finds_the_page(signed_in, alice):
    assert signed_in(alice).get(URL)["Location"] == ACCOUNT


def test_it_takes_few_queries(signed_in, alice, django_assert_max_num_queries):
    browser = signed_in(alice)
    with django_assert_max_num_queries(6):  # session, user, savepoint and its end, insert, list
        create(browser)

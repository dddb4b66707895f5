from django.conf import settings
from django.urls import reverse

from exptrack.tests.people import PASSWORD

URL = reverse("profile-save")
HTMX = {"HX-Request": "true"}


def save(browser, email="new@example.org", password=PASSWORD, **extra):
    return browser.post(URL, {"email": email, "current_password": password}, **extra)


def test_the_address_is_saved(signed_in, alice, fresh):
    browser = signed_in(alice)
    response = save(browser)
    assert response["Location"] == reverse("account")
    assert fresh(alice).email == "new@example.org"
    assert "Your e-mail address is saved." in browser.get(response["Location"]).text


def test_htmx_gets_the_form_and_the_message(signed_in, alice):
    response = save(signed_in(alice), headers=HTMX)
    assert response.status_code == 200
    assert "<html" not in response.text
    assert 'id="profile"' in response.text
    assert "Your e-mail address is saved." in response.text


def test_it_may_be_taken_away(signed_in, alice, fresh):
    save(signed_in(alice), email="")
    assert fresh(alice).email == ""


def test_a_viewer_may_too(signed_in, bob, fresh):
    save(signed_in(bob))
    assert fresh(bob).email == "new@example.org"


def test_signed_out_it_leads_to_sign_in(client, db):
    assert save(client).status_code == 302


def test_an_unlocked_browser_is_not_enough(signed_in, alice, fresh):
    browser = signed_in(alice)
    for password in ("wrong", ""):
        response = save(browser, password=password)
        assert response.status_code == 422
    assert fresh(alice).email == "alice@example.org"


def test_guessing_is_locked_out(signed_in, alice):
    browser = signed_in(alice)
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = save(browser, password="wrong")
    assert response.status_code == 429


def test_role_and_name_cannot_be_smuggled_in(signed_in, bob, fresh):
    data = {"email": "", "current_password": PASSWORD, "role": "admin", "username": "root"}
    signed_in(bob).post(URL, {**data, "is_active": "1", "is_superuser": "1"})
    assert (fresh(bob).role, fresh(bob).username) == ("viewer", "bob")


def test_no_address_is_refused_with_the_form(signed_in, alice):
    response = save(signed_in(alice), email="<script>alert(1)</script>", headers=HTMX)
    assert response.status_code == 422
    assert "<script>alert" not in response.text
    assert 'aria-invalid="true"' in response.text


def test_who_comes_back_from_signing_in_finds_the_page(signed_in, alice):
    assert signed_in(alice).get(URL)["Location"] == reverse("account")


def test_what_was_typed_is_kept_nowhere(signed_in, alice, everything_stored, caplog):
    caplog.set_level("DEBUG")
    save(signed_in(alice), password="nearly-my-password")
    assert "nearly" not in everything_stored() + caplog.text

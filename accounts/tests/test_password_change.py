from django.conf import settings
from django.urls import reverse

from exptrack.tests.people import PASSWORD

URL = reverse("password-change")
NEW = "four unrelated words here"


def change(browser, current=PASSWORD, new=NEW, again=None):
    data = {"current_password": current, "new_password1": new, "new_password2": again or new}
    return browser.post(URL, data)


def test_a_new_password_takes_the_place_of_the_old(signed_in, alice, fresh):
    response = change(signed_in(alice))
    assert response["Location"] == reverse("account")
    assert fresh(alice).check_password(NEW)


def test_this_session_stays_and_the_others_end(signed_in, alice):
    here, elsewhere = signed_in(alice), signed_in(alice)
    page = here.get(change(here)["Location"])
    assert "Your password is changed" in page.text
    assert elsewhere.get("/account/").status_code == 302


def test_tokens_keep_working(signed_in, api, alice):
    script = api(alice)
    change(signed_in(alice))
    assert script.get("/api/v1/me/").status_code == 200


def test_signed_out_it_leads_to_sign_in(client, db):
    assert client.get(URL)["Location"].startswith(reverse("sign-in"))


def test_the_current_password_must_be_right(signed_in, alice, fresh):
    response = change(signed_in(alice), current="wrong")
    assert response.status_code == 422
    assert "This is not your current password." in response.text
    assert fresh(alice).check_password(PASSWORD)


def test_guessing_the_current_password_is_locked_out(signed_in, alice):
    browser = signed_in(alice)
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = change(browser, current="wrong")
    assert response.status_code == 429
    assert change(browser).status_code == 429


def test_a_weak_or_mistyped_new_password_is_refused_with_the_reason(signed_in, alice, fresh):
    browser = signed_in(alice)
    for new, again, reason in [
        ("tiny-one", None, "at least 12 characters"),
        ("alice.example.org", None, "too similar"),
        ("qwerty123456", None, "too common"),
        (NEW, NEW + "!", "didn’t match"),
    ]:
        response = change(browser, new=new, again=again)
        assert response.status_code == 422
        assert reason in response.text.replace("&#x27;", "’")
        assert new not in response.text
        assert fresh(alice).check_password(PASSWORD)


def test_sixty_four_characters_and_more_are_fine(signed_in, alice, fresh):
    long = "ünïcode and spaces " * 8
    assert change(signed_in(alice), new=long).status_code == 302
    assert fresh(alice).check_password(long)


def test_what_was_typed_is_kept_nowhere(signed_in, alice, everything_stored, caplog):
    caplog.set_level("DEBUG")
    typed = ("nearly-my-password", "a new one, unrelated", "a new one, unrelatet")
    change(signed_in(alice), *typed)
    assert "nearly" not in everything_stored() + caplog.text
    assert "unrelate" not in everything_stored() + caplog.text

from django.urls import reverse

URL = reverse("sign-out")


def test_signing_out_ends_the_session(signed_in, alice):
    browser = signed_in(alice)
    assert browser.post(URL)["Location"] == reverse("sign-in")
    assert browser.get("/account/").status_code == 302


def test_who_is_signed_out_already_is_led_to_sign_in(client, db):
    assert client.post(URL)["Location"] == reverse("sign-in")


def test_a_link_signs_nobody_out(signed_in, alice):
    browser = signed_in(alice)
    assert browser.get(URL).status_code == 405
    assert browser.get("/account/").status_code == 200

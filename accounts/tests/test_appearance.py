from django.urls import reverse

URL = reverse("appearance-save")


def test_a_theme_is_kept_and_shown(signed_in, alice):
    browser = signed_in(alice)
    response = browser.post(URL, {"theme": "dark", "next": "/account/?before=1"})
    assert response["Location"] == "/account/?before=1"
    assert 'data-theme="dark" data-density="dense"' in browser.get("/account/").text


def test_a_density_is_kept_and_leaves_the_theme_alone(signed_in, alice, fresh):
    browser = signed_in(alice)
    browser.post(URL, {"theme": "light"})
    browser.post(URL, {"density": "comfortable"})
    assert (fresh(alice).theme, fresh(alice).density) == ("light", "comfortable")


def test_htmx_needs_no_answer(signed_in, bob, fresh):
    response = signed_in(bob).post(URL, {"theme": "dark"}, headers={"HX-Request": "true"})
    assert (response.status_code, response.content) == (204, b"")
    assert fresh(bob).theme == "dark"


def test_signed_out_it_leads_to_sign_in(client, db):
    assert client.post(URL, {"theme": "dark"})["Location"].startswith(reverse("sign-in"))


def test_no_such_theme_is_a_400_and_changes_nothing(signed_in, alice, fresh):
    for data in ({"theme": "mauve"}, {"density": "x", "theme": "dark"}, {"theme": ""}):
        assert signed_in(alice).post(URL, data).status_code == 400
    assert fresh(alice).theme == "auto"


def test_nothing_else_can_be_set(signed_in, bob, fresh):
    signed_in(bob).post(URL, {"theme": "dark", "role": "admin"})
    assert fresh(bob).role == "viewer"


def test_it_leads_to_no_other_site(signed_in, alice):
    for page in ("https://evil.example/", "//evil.example", ""):
        response = signed_in(alice).post(URL, {"theme": "dark", "next": page})
        assert response["Location"] == reverse("account")

from datetime import timedelta

from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from exptrack.tests.people import PASSWORD

URL = reverse("sign-in")


def sign_in(client: Client, username: str, password: str, **data: str):
    return client.post(URL, {"username": username, "password": password, **data})


def lock_out(client: Client, username: str):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = sign_in(client, username, "wrong")
    return response


def test_the_right_password_signs_in_and_leads_on(client, alice):
    response = sign_in(client, "alice", PASSWORD, next="/account/")
    assert response.status_code == 302
    assert response["Location"] == "/account/"
    assert client.get("/account/").context["user"] == alice


def test_without_a_next_page_it_leads_to_the_experiments(client, alice):
    assert sign_in(client, "alice", PASSWORD)["Location"] == reverse("experiment-list")


def test_a_page_that_needs_signing_in_leads_here_and_back(client, alice):
    response = client.get("/account/?before=1")
    assert response["Location"] == f"{URL}?next=/account/%3Fbefore%3D1"
    page = client.get(response["Location"])
    assert 'name="next" value="/account/?before=1"' in page.text


def test_who_is_signed_in_already_is_led_on(signed_in, alice):
    response = signed_in(alice).get(f"{URL}?next=/account/")
    assert (response.status_code, response["Location"]) == (302, "/account/")


def test_signing_in_makes_a_new_session(client, alice):
    client.get(URL)
    client.session["kept"] = True
    client.session.save()
    before = client.session.session_key
    sign_in(client, "alice", PASSWORD)
    assert client.session.session_key != before


def test_one_answer_for_a_wrong_password_an_unknown_and_a_deactivated_user(client, alice, charlie):
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    User.objects.create_user("daemon")  # has no password at all
    answers = {
        tuple(sign_in(client, name, password).context["form"].non_field_errors())
        for name, password in [
            ("alice", "wrong"),
            ("nobody", "wrong"),
            ("charlie", PASSWORD),
            ("daemon", ""),
            ("daemon", "!"),
        ]
        if password
    }
    assert len(answers) == 1
    assert "do not belong together" in answers.pop()[0]
    assert "_auth_user_id" not in client.session


def test_a_refused_form_is_a_422_and_shows_no_password(client, alice):
    response = sign_in(client, "alice", "almost-the-password")
    assert response.status_code == 422
    assert "almost-the-password" not in response.text


def test_too_many_wrong_passwords_lock_this_name_out_from_this_address(client, alice, bob):
    response = lock_out(client, "alice")
    assert response.status_code == 429
    assert "accounts/locked_out.html" in [template.name for template in response.templates]
    assert "15 min" in response.text
    assert sign_in(client, "alice", PASSWORD).status_code == 429
    assert sign_in(client, "bob", PASSWORD).status_code == 302
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")
    assert sign_in(elsewhere, "alice", PASSWORD).status_code == 302


def test_the_log_tells_a_sign_in_by_one_line(client, alice, caplog):
    sign_in(client, "alice", PASSWORD)
    sign_in(Client(REMOTE_ADDR="203.0.113.9"), "alice", "almost-the-password")
    lock_out(Client(), "alice")
    told = [one.msg for one in caplog.records if one.name.startswith(("accounts", "axes"))]
    refusals = ["sign_in_refused"] * settings.AXES_FAILURE_LIMIT
    assert [line["event"] for line in told] == ["signed_in", *refusals, "sign_in_closed"]
    assert told[1]["address"] == "203.0.113.9"
    assert "almost-the-password" not in caplog.text


def test_a_claimed_address_does_not_get_round_the_lock(client, alice):
    for number in range(settings.AXES_FAILURE_LIMIT):
        claim = Client(headers={"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": "1.2.3.4"})
        response = sign_in(claim, "alice", "wrong")
    assert response.status_code == 429


def test_behind_a_proxy_its_own_word_tells_addresses_apart(client, alice, settings):
    settings.BEHIND_PROXY = True
    for number in range(settings.AXES_FAILURE_LIMIT):
        claimed = f"203.0.113.{number}, 198.51.100.7"
        response = sign_in(Client(headers={"X-Forwarded-For": claimed}), "alice", "wrong")
    assert response.status_code == 429
    for claimed in ("198.51.100.7, 198.51.100.8", "198.51.100.7, nonsense", ""):
        elsewhere = Client(headers={"X-Forwarded-For": claimed})
        assert sign_in(elsewhere, "alice", PASSWORD).status_code == 302


def test_who_comes_by_a_socket_of_files_can_sign_in(alice):
    client = Client(REMOTE_ADDR="")
    assert sign_in(client, "alice", "wrong").status_code == 422
    assert sign_in(client, "alice", PASSWORD).status_code == 302


def test_a_lock_ends_by_itself(client, alice, time_machine):
    lock_out(client, "alice")
    time_machine.move_to(timezone.now() + timedelta(minutes=16))
    assert sign_in(client, "alice", PASSWORD).status_code == 302


def test_an_unknown_name_is_locked_out_just_the_same(client, db):
    assert lock_out(client, "nobody").status_code == 429


def test_the_admin_has_the_same_lock(client, ada):
    admin = "/admin/login/?next=/admin/"
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = client.post(admin, {"username": "ada", "password": "wrong"})
    assert response.status_code == 429
    assert client.post(admin, {"username": "ada", "password": PASSWORD}).status_code == 429
    assert sign_in(client, "ada", PASSWORD).status_code == 429


def test_next_leads_to_no_other_site_and_not_in_a_circle(client, alice):
    for target in ("https://evil.example/", "//evil.example", "javascript:alert(1)", URL):
        response = sign_in(Client(), "alice", PASSWORD, next=target)
        assert response["Location"] == reverse("experiment-list"), target
    client.force_login(alice, "django.contrib.auth.backends.ModelBackend")
    circle = client.get(f"{URL}?next={URL}%3Fnext%3D/")
    assert circle["Location"] == reverse("experiment-list")


def test_hostile_names_are_refused_and_shown_harmless(client, db):
    for name in ("<script>alert(1)</script>", "a\x00b", "x" * 200, "\u202eecila", "' OR 1=1 --"):
        response = sign_in(client, name, "wrong")
        assert response.status_code == 422, name
        assert "<script>alert" not in response.text


def test_deactivating_ends_the_session(signed_in, alice):
    browser = signed_in(alice)
    assert browser.get("/account/").status_code == 200
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert browser.get("/account/").status_code == 302


def test_what_was_typed_is_kept_nowhere(client, alice, everything_stored, caplog):
    caplog.set_level("DEBUG")
    sign_in(client, "alice", "nearly-my-password")
    client.post("/admin/login/", {"username": "alice", "password": "nearly-my-password"})
    assert "sign_in_refused" in caplog.text
    assert "nearly" not in everything_stored() + caplog.text


def test_the_form_is_refused_without_its_csrf_token(alice):
    strict = Client(enforce_csrf_checks=True)
    response = sign_in(strict, "alice", PASSWORD)
    assert response.status_code == 403
    assert "This form is out of date" in response.text


def test_the_page_asks_nothing_of_the_database(client, db, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get(URL)

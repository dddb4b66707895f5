import re
import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from exptrack.tests.people import PASSWORD

URL = reverse("password-reset")
SENT = reverse("password-reset-sent")
NEW = "four unrelated words here"


def ask(address: str = "alice@example.org", client: Client | None = None):
    """Ask for a link, and wait for the mail that is sent beside the request."""
    response = (client or Client()).post(URL, {"email": address})
    for thread in threading.enumerate():
        if thread.name == "password-reset-mail":
            thread.join()
    return response


def link_in(message) -> str:
    return re.search(r"http://testserver(\S+)", message.body)[1]


@pytest.fixture
def form_url(client, alice) -> str:
    """Where the link in Alice's mail leads `client`."""
    ask()
    return client.get(link_in(mail.outbox[0]))["Location"]


def test_the_link_in_the_mail_sets_a_new_password(client, alice, fresh):
    response = ask()
    assert response["Location"] == SENT
    message = mail.outbox[0]
    assert message.to == ["alice@example.org"]
    assert message.subject == "A new password for ExpTrack"
    assert "Hello alice" in message.body

    form = client.get(link_in(message))["Location"]
    assert "Choose a new password" in client.get(form).text
    response = client.post(form, {"new_password1": NEW, "new_password2": NEW})
    assert response["Location"] == reverse("password-reset-done")
    assert "Your new password is set" in client.get(response["Location"]).text
    assert fresh(alice).check_password(NEW)


def test_the_link_itself_leaves_the_address_bar(form_url):
    assert form_url.endswith("/set-password/")


def test_the_old_sessions_end(signed_in, client, alice):
    browser = signed_in(alice)
    ask()
    form = client.get(link_in(mail.outbox[0]))["Location"]
    client.post(form, {"new_password1": NEW, "new_password2": NEW})
    assert browser.get("/account/").status_code == 302


def test_who_was_locked_out_may_sign_in_with_the_new_one(client, alice, form_url):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post(reverse("sign-in"), {"username": "alice", "password": "wrong"})
    client.post(form_url, {"new_password1": NEW, "new_password2": NEW})
    response = client.post(reverse("sign-in"), {"username": "alice", "password": NEW})
    assert response.status_code == 302


def test_the_same_answer_whether_or_not_somebody_has_the_address(alice):
    known, unknown = ask("alice@example.org"), ask("nobody@example.org")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert len(mail.outbox) == 1


def test_nobody_without_a_password_or_deactivated_gets_a_link(alice, charlie):
    User.objects.filter(pk=alice.pk).update(is_active=False)
    User.objects.create_user("daemon", email="daemon@example.org")
    ask("alice@example.org")
    ask("daemon@example.org")
    ask("")
    assert mail.outbox == []


def test_asking_again_at_once_sends_no_second_mail(alice):
    ask()
    assert ask()["Location"] == SENT
    assert len(mail.outbox) == 1


def test_a_link_works_once(client, alice, form_url):
    link = link_in(mail.outbox[0])
    client.post(form_url, {"new_password1": NEW, "new_password2": NEW})
    assert "This link has ended" in Client().get(link).text


def test_signing_in_ends_a_link(signed_in, client, alice):
    ask()
    signed_in(alice)
    assert "This link has ended" in client.get(link_in(mail.outbox[0])).text


def test_a_link_ends_after_three_days(client, alice, time_machine):
    ask()
    time_machine.move_to(timezone.now() + timedelta(days=3, minutes=1))
    assert "This link has ended" in client.get(link_in(mail.outbox[0])).text


def test_nonsense_links_end_politely(client, db):
    for uid, token in [("x", "y"), ("_w", "set-password"), ("MQ", "a-b"), ("AAAA", "set-password")]:
        response = client.get(reverse("password-reset-confirm", args=[uid, token]))
        assert response.status_code == 200
        assert "This link has ended" in response.text


def test_a_weak_new_password_is_refused(client, alice, form_url, fresh):
    response = client.post(form_url, {"new_password1": "short", "new_password2": "short"})
    assert response.status_code == 422
    assert fresh(alice).check_password(PASSWORD)


def test_no_address_is_a_422(db):
    assert ask("not an address").status_code == 422


def test_mail_that_cannot_be_sent_shows_in_the_log_and_nowhere_else(alice, caplog, settings):
    settings.EMAIL_BACKEND = "no.such.Backend"
    assert ask()["Location"] == SENT
    assert "password_reset_mail_failed" in caplog.text
    assert str(alice.pk) in caplog.text
    assert "alice@example.org" not in caplog.text

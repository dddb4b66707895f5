"""What people see when something is not as they thought."""

import re

import pytest
from django.template.loader import get_template
from django.test import Client, RequestFactory
from django.urls import get_resolver
from django.views.defaults import bad_request, permission_denied


@pytest.mark.parametrize("code", ["400", "500", "403_csrf"])
def test_a_page_of_last_resort_needs_no_request_no_user_and_no_database(code):
    # Without the fixture `db` any query would fail this test.
    page = get_template(f"{code}.html").render()
    assert "<h1" in page
    assert 'href="/"' in page


def test_a_broken_page_names_the_request_and_nothing_of_the_inside(rf):
    request = rf.get("/")
    request.id = "abc123"
    response = get_resolver().resolve_error_handler(500)(request)
    assert response.status_code == 500
    assert "abc123" in response.text
    for word in ("Traceback", "Exception", "site-packages", "django", "SELECT"):
        assert word not in response.text


def test_a_request_without_sense_is_a_400():
    assert bad_request(RequestFactory().get("/"), Exception("secret")).status_code == 400


def test_a_page_that_is_not_there_keeps_the_frame_and_says_so(signed_in, alice):
    page = signed_in(alice).get("/nothing/here/")
    assert page.status_code == 404
    assert "There is nothing here" in page.text
    assert "signed in as alice" in page.text


def test_signed_out_it_offers_to_sign_in(client, db):
    page = client.get("/nothing/here/")
    assert page.status_code == 404
    assert ">Sign in</a>" in page.text


def test_a_hostile_address_is_harmless(client, db):
    page = client.get("/<script>alert(1)</script>/")
    assert "<script>alert" not in page.text


def test_what_one_may_not_do_says_who_one_is(rf, bob):
    request = rf.get("/")
    request.user = bob
    response = permission_denied(request, Exception())
    assert response.status_code == 403
    assert "signed in as bob (viewer)" in response.text


def test_every_answer_has_the_strict_policy(client, signed_in, alice):
    answers = [
        client.get("/nothing/here/"),
        client.get("/account/sign-in/"),
        signed_in(alice).get("/account/"),
        signed_in(alice).get("/account/", headers={"HX-Request": "true"}),
        Client(enforce_csrf_checks=True).post("/account/sign-in/"),
        Client(raise_request_exception=False).get("/", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert not re.search("unsafe|nonce|https?:", policy)
        assert answer["X-Content-Type-Options"] == "nosniff"

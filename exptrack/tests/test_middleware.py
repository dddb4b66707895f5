"""What a request passes on its way to the view."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

import exptrack.urls


def forgetful(request: HttpRequest) -> HttpResponse:
    """A view that does not say who may come in."""
    return HttpResponse("secret")


urlpatterns = [path("api/v1/forgetful/", forgetful), *exptrack.urls.urlpatterns]


def test_a_script_passes_nothing_that_is_for_pages(api, alice):
    request = api(alice).get("/api/v1/me/").wsgi_request
    assert request.id
    assert not {"session", "_messages", "htmx"} & vars(request).keys()


@pytest.mark.parametrize("address", ["/", "/api/docs/", "/api/v1"])
def test_whoever_may_have_a_session_passes_all_of_it(signed_in, alice, address):
    assert {"session", "_messages", "htmx"} <= vars(
        signed_in(alice).get(address).wsgi_request
    ).keys()


@pytest.mark.urls(__name__)
def test_a_view_among_the_scripts_that_says_not_who_may_come_in_lets_nobody_in(signed_in, ada):
    client = signed_in(ada)
    client.raise_request_exception = False
    answer = client.get("/api/v1/forgetful/")
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_both_have_the_same_standing_headers(api, signed_in, alice):
    page, batch = signed_in(alice).get("/"), api(alice).get("/api/v1/me/")
    standing = {
        "Cache-Control",
        "Content-Security-Policy",
        "Cross-Origin-Opener-Policy",
        "Referrer-Policy",
        "X-Content-Type-Options",
        "X-Frame-Options",
    }
    assert {name: page[name] for name in standing} == {name: batch[name] for name in standing}


@pytest.mark.parametrize("address", ["/", "/api/v1/me/"])
def test_a_site_that_is_not_ours_is_refused(address, db):
    client = Client(raise_request_exception=False)
    assert client.get(address, headers={"Host": "evil.example"}).status_code == 400

import pytest
from django.urls import reverse

URL = reverse("styleguide")


@pytest.fixture
def developing(settings):
    settings.DEBUG = True


def test_it_shows_every_component(signed_in, alice, developing, settings):
    page = signed_in(alice).get(URL)
    assert page.status_code == 200
    shown = {template.name for template in page.templates}
    folder = settings.BASE_DIR / "templates" / "components"
    components = {f"components/{path.name}" for path in folder.glob("*.html")}
    assert len(components) > 10
    # These need a real form; the account page shows them in all their states.
    assert components - shown <= {"components/field.html", "components/form_errors.html"}


def test_hostile_text_is_harmless_in_every_component(signed_in, alice, developing):
    page = signed_in(alice).get(URL)
    assert "<b>not bold" not in page.text
    assert page.text.count("&lt;b&gt;not bold") >= 3


def test_it_is_not_there_in_earnest(signed_in, alice):
    assert signed_in(alice).get(URL).status_code == 404


def test_signed_out_it_leads_to_sign_in(client, db, developing):
    assert client.get(URL).status_code == 302

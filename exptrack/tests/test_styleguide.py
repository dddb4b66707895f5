import pytest
from django.urls import reverse

from exptrack import styleguide

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


def test_it_shows_charts_trays_and_drawers_too(signed_in, alice, developing):
    page = signed_in(alice).get(URL)
    shown = {template.name for template in page.templates}
    parts = ("chart_board", "chart_settings", "metric_chart", "run_key", "pick_tray")
    assert {f"experiments/_{part}.html" for part in parts} <= shown
    for part in ("scatter-plot", "parallel-plot", 'class="drawer"', "drop-menu", "live-more"):
        assert part in page.text


def test_each_of_its_charts_is_answered(signed_in, alice, developing):
    visit, address = signed_in(alice), reverse("styleguide-series")
    for name in styleguide.CHARTED:
        answer = visit.get(address, {"metric": name})
        assert answer.status_code == (503 if name == "error" else 200)
        series = answer.json().get("series", [])
        assert bool(series) == (name not in ("error", "empty"))


def test_it_is_not_there_in_earnest(signed_in, alice):
    for name in ("styleguide", "styleguide-series"):
        assert signed_in(alice).get(reverse(name)).status_code == 404


def test_signed_out_it_leads_to_sign_in(client, db, developing):
    assert client.get(URL).status_code == 302

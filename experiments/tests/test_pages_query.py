"""The query over an experiment's runs: its field on the page, and what could come next in it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse

from experiments import appending, recording
from experiments.storing import Columns
from experiments.tests.crowds import crowd
from experiments.tests.hostile import PAYLOADS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost

pytestmark = pytest.mark.django_db

FROM_THE_FIELD = {"HX-Request": "true", "HX-Trigger": "filters"}


@pytest.fixture
def sweep(experiment, alice) -> None:
    """Three runs, by learning rate."""
    for name, lr in (("low adam", 0.001), ("middle adam", 0.01), ("high sgd", "0.1")):
        run, _ = recording.start_run(
            user=alice, experiment="digits", name=name, params={"lr": lr, "my net": "ViT"},
            tags={"stage": name.split()[0], "debug": ""},
        )  # fmt: skip
        columns = {"val/loss": Columns(values=[float(lr)], steps=[0])}
        appending.append(user=alice, run_id=run.pk, metrics=columns)


def names(page) -> list[str]:
    return [row["Name"] for row in table_of(page)]


# --- The field -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("adam", ["low adam", "middle adam"]),
        ("ADAM low", ["low adam"]),
        ("params.lr >= 0.01", ["high sgd", "middle adam"]),
        ("metrics.`val/loss` < 0.05 and not low", ["middle adam"]),
        ("params.lr = '0.1' or tags.stage = low", ["high sgd", "low adam"]),
    ],
)
def test_words_and_conditions_narrow_the_table(signed_in, alice, here, sweep, query, expected):
    page = page_of(signed_in(alice).get(here, {"q": query, "ordering": "name"}))
    assert names(page) == expected
    field = page.one("input", id="search")
    assert (field["name"], field["value"]) == ("q", query)
    assert page.one("div", id="query-fault").words == ""


def test_the_query_stays_in_every_address_of_the_page(signed_in, alice, here, sweep):
    query = {"q": "params.lr > 0.001 and adam"}
    page = page_of(signed_in(alice).get(here, query))
    address = urlsplit(link(page, "Started"))
    assert parse_qs(address.query)["q"] == [query["q"]]
    answer = signed_in(alice).get(link(page, "CSV"))
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["name", "middle adam"]


def test_a_search_of_former_days_still_holds_and_can_be_taken_away(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, {"search": "sgd"}))
    assert names(page) == ["high sgd"]
    assert page.one("a", id="quick-4").words.startswith("search sgd")


def test_a_fault_is_marked_under_the_field_and_the_runs_are_there(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, {"q": "params.lr >> 0.1", "status": "running"}), 422)
    fault = page.one("div", id="query-fault")
    assert fault.one("code").words == "params.lr >> 0.1"
    assert fault.one("mark").text == ">"
    assert "Found “>”, expected a value." in fault.words
    field = page.one("input", id="search")
    assert (field["value"], field["aria-invalid"]) == ("params.lr >> 0.1", "true")
    assert len(names(page)) == 3


def test_while_one_writes_a_fault_comes_alone_and_leaves_the_table(signed_in, alice, here, sweep):
    answer = signed_in(alice).get(here, {"q": "statsu = running"}, headers=FROM_THE_FIELD)
    assert answer.status_code == 422
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#query-fault", "innerHTML")
    assert "HX-Replace-Url" not in answer
    page = page_of(answer, 422)
    assert [element["id"] for element in page.inside] == ["query-fault"]
    assert "Did you mean status?" in page.words


def test_a_query_that_only_ends_too_early_is_told_calmly(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, {"q": "params.lr >"}, headers=FROM_THE_FIELD), 422)
    assert page.one("div", class_="query-unfinished").one("mark").text == " "


def test_the_table_brings_the_empty_place_of_the_fault_along(signed_in, alice, here, sweep):
    page = page_of(signed_in(alice).get(here, {"q": "adam"}, headers=FROM_THE_FIELD))
    place = page.one("div", id="query-fault")
    assert (place["hx-swap-oob"], place.text) == ("innerHTML", "")


def test_a_csv_of_a_faulty_query_is_refused(signed_in, alice, experiment, sweep):
    address = reverse("experiment-runs-csv", args=[experiment.pk])
    answer = signed_in(alice).get(address, {"q": "lr > 0.1"})
    assert answer.status_code == 400
    assert "Did you mean params.lr" in answer.content.decode()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_is_shown_as_text(signed_in, alice, here, sweep, payload):
    for query in (payload, f'"{payload}', f"status = {payload}", f"{payload} = 1"):
        answer = signed_in(alice).get(here, {"q": query[:400]})
        assert answer.status_code in (200, 422)
        assert is_inert(answer.content.decode())


def test_what_takes_too_long_says_so_and_nothing_is_lost(
    signed_in, alice, experiment, here, settings
):
    crowd(experiment, alice, 400)
    visit = signed_in(alice)
    settings.QUERY_SECONDS = 0.002
    slow = " or ".join(f'params.dataset ~ "{number}"' for number in range(50))
    page = page_of(visit.get(here, {"q": slow, "status": "finished"}), 503)
    assert "took longer than 0.002 seconds" in page.words
    assert page.one("input", id="search")["value"] == slow
    assert page.one("input", type="hidden", name="status")["value"] == "finished"
    page = page_of(visit.get(here, {"q": slow}, headers=FROM_THE_FIELD), 422)
    assert "took longer" in page.one("div", id="query-fault").words
    csv = visit.get(reverse("experiment-runs-csv", args=[experiment.pk]), {"q": slow})
    assert csv.status_code == 503


# --- What could come next --------------------------------------------------------------------


@pytest.fixture
def offered(signed_in, alice, experiment, sweep):
    """What is offered behind a text, and how much of it that replaces."""
    visit = signed_in(alice)

    def ask(text):
        answer = visit.get(reverse("experiment-complete", args=[experiment.pk]), {"text": text})
        assert answer.status_code == 200
        found = answer.json()
        return found["replaced"], [option["text"] for option in found["options"]]

    return ask


@pytest.mark.parametrize(
    ("text", "replaced", "options"),
    [
        ("lr", 2, ["params.lr "]),
        ("params.", 7, ["params.lr ", "params.`my net` "]),
        ("adam and metrics.LOSS", 12, ["metrics.val/loss "]),
        ("params.`my n", 12, ["params.`my net` "]),
        ("params.`my net` = ", 0, ["ViT "]),
        ("params.lr in (0.001, 0.0", 3, ["0.001 ", "0.01 "]),
        ('tags.stage != "mid', 4, ["middle "]),
        ("status = RUN", 3, ["running "]),
        ("owner ~ ", 0, ["alice "]),
        ("started > -", 1, ["-1h ", "-1d ", "-7d ", "-30d "]),
        ("metrics.val/loss has ", 0, ["nan ", "inf "]),
        ("params.lr is ", 0, ["null ", "not null "]),
        ("params.lr between 0 ", 0, ["and "]),
        ("status ", 0, ["= ", "!= ", "in (", "not in ("]),
        ("adam ", 0, ["and ", "or "]),
        ("stat", 4, ["status "]),
        ("stag", 4, ["tags.stage "]),
        ("x = ", 0, []),
        ("params.lr > > ", 0, []),
        ("a" * 3000, 2048, []),
        ("a\0b\ud83d", 4, []),
    ],
)
def test_what_could_come_next_is_offered(offered, text, replaced, options):
    found = offered(text.encode("utf-8", "replace").decode())
    assert sorted(found[1]) == sorted(options)
    assert not options or found[0] == replaced


def test_an_empty_field_offers_what_the_runs_have(offered):
    options = offered("")[1]
    assert {"params.lr ", "metrics.val/loss ", "tags.stage ", "status "} <= set(options)


def test_a_value_is_quoted_where_it_must_be(offered, alice):
    for number, text in enumerate(("two words", "and", 'say "hi" \\', "it's", "1,2")):
        recording.start_run(
            user=alice, experiment="digits", params={f"p{number}": text}, name=str(number)
        )
        assert offered(f"params.p{number} = ")[1] != []
        query = f"params.p{number} = {offered(f'params.p{number} = ')[1][0]}"
        assert found_by(query, alice) == [str(number)]


def found_by(query, user) -> list[str]:
    from django.utils import timezone

    from experiments import search
    from experiments.matching import matching
    from experiments.models import Run

    rows = matching(Run.objects.visible_to(user), search.parse(query), timezone.now())
    return [run.name for run in rows]


def test_nobody_learns_names_of_what_they_may_not_see(signed_in, charlie, experiment, sweep):
    address = reverse("experiment-complete", args=[experiment.pk])
    assert signed_in(charlie).get(address, {"text": "params."}).status_code == 200
    experiment.visibility = "private"
    experiment.save()
    assert signed_in(charlie).get(address, {"text": "params."}).status_code == 404


def test_names_and_values_of_other_experiments_are_not_offered(offered, alice):
    recording.start_run(user=alice, experiment="other", params={"secret": "x", "lr": 7})
    assert offered("secret") == (6, [])
    assert "7 " not in offered("params.lr = ")[1]


def test_few_statements_and_options_however_many_there_are(offered, alice, experiment):
    params = {f"p{number}": number for number in range(100)}
    for number in range(60):
        recording.start_run(user=alice, experiment="digits", params=params | {"seed": number})
    for text in ("", "p", "params.", "params.seed = "):
        assert 0 < len(offered(text)[1]) <= 20
        assert cost(offered, text) <= 10

"""/: all experiments one may see."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from experiments.models import Collaborator, Experiment, Run
from experiments.outcomes import latest_runs
from experiments.tests.crowds import crowd
from experiments.tests.hostile import TEXTS, is_inert
from experiments.tests.reading_pages import link, page_of, table_of
from exptrack.tests.statements import cost
from exptrack.tests.waiting import PATIENCE

HERE = reverse("experiment-list")
FRAGMENT = {"HX-Request": "true"}


def make(owner, name, **fields):
    return Experiment.objects.create(owner=owner, name=name, **fields)


def names(page):
    return [row["Name"].removesuffix(" ") for row in table_of(page)]


def test_it_shows_each_experiment_with_its_counts_and_latest_run(signed_in, alice):
    experiment = make(alice, "digits", tags={"team": "vision", "baseline": ""})
    runs = crowd(experiment, alice, 3, metrics=())
    Run.objects.filter(experiment=experiment).update(status="finished")
    Run.objects.filter(pk=runs[0].pk).update(status="failed")
    page = page_of(signed_in(alice).get(HERE))
    [row] = table_of(page)
    assert (row["Status"], row["Runs"], row["Owner"]) == ("Active", "2 1", "alice")
    assert page.one("ul", class_="count-bar-numbers")["aria-label"] == "3 runs"
    assert link(page, "digits") == reverse("experiment-detail", args=[experiment.pk])
    failed = page.one("a", href=f"{link(page, 'digits')}?status=failed")
    assert failed.words == "1"
    assert link(page, runs[-1].name) == reverse("run-detail", args=[runs[-1].pk])
    assert link(page, "teamvision") == "?tag=team%3Dvision"
    assert link(page, "baseline") == "?tag=baseline"


def test_the_one_that_was_active_last_comes_first(signed_in, alice):
    now = timezone.now()
    for age, name in ((1, "older"), (0, "newest"), (None, "never")):
        make(alice, name, last_run_at=None if age is None else now - timedelta(days=age))
    assert names(page_of(signed_in(alice).get(HERE))) == ["newest", "older", "never"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=NET", ["resnet", "unet"]),
        ("search=baseline+of", ["mlp"]),
        ("owner=charlie", ["unet"]),
        ("status=archived", ["mlp"]),
        ("tag=team", ["resnet", "unet"]),
        ("tag=team%3Dvision", ["resnet"]),
        ("search=net&tag=team%3Daudio", ["unet"]),
        ("ordering=-name", ["unet", "resnet", "mlp"]),
        ("ordering=created_at", ["resnet", "mlp", "unet"]),
        ("ordering=-owner", ["unet", "mlp", "resnet"]),
        ("ordering=-status", ["mlp", "unet", "resnet"]),
        ("ordering=-runs", ["mlp", "unet", "resnet"]),
        ("ordering=runs", ["resnet", "unet", "mlp"]),
    ],
)
def test_it_is_narrowed_and_ordered_by_its_address(signed_in, alice, charlie, query, expected):
    now = timezone.now()
    make(alice, "resnet", tags={"team": "vision"}, created_at=now - timedelta(days=3))
    make(alice, "mlp", description="The baseline of all.", status="archived",
         created_at=now - timedelta(days=2))  # fmt: skip
    make(charlie, "unet", tags={"team": "audio"})
    for name, count in (("mlp", 3), ("unet", 1), ("resnet", 2)):
        crowd(Experiment.objects.get(name=name), alice, count, metrics=(), now=now)
    Run.objects.filter(experiment__name="resnet").update(trashed_at=now)
    ordering = "" if "ordering" in query else "&ordering=name"
    page = page_of(signed_in(alice).get(f"{HERE}?{query}{ordering}"))
    assert names(page) == expected


def test_a_head_sorts_and_turns_and_says_which_way(signed_in, alice):
    make(alice, "one")
    page = page_of(signed_in(alice).get(f"{HERE}?search=o&ordering=name"))
    [head] = [cell for cell in page.all("th") if cell.attributes.get("aria-sort")]
    assert (head.words, head["aria-sort"]) == ("Name", "ascending")
    assert link(page, "Name") == "?search=o&ordering=-name"
    assert link(page, "Last run") == "?search=o&ordering=-last_run_at"


@pytest.mark.parametrize("ordering", ["name", "-status", "owner", "-runs"])
def test_its_pages_hold_every_experiment_once(signed_in, alice, ordering):
    expected = {make(alice, f"e{n:03}").name for n in range(120)}
    for name in ("e003", "e070"):
        crowd(Experiment.objects.get(name=name), alice, 2, metrics=())
    visit, address, seen, pages = signed_in(alice), f"{HERE}?limit=50&ordering={ordering}", [], 0
    while address:
        page = page_of(visit.get(address))
        seen += names(page)
        pages += 1
        assert (
            page.one("nav", class_="pager")
            .all("span", data_summary="")[0]
            .words.startswith("50 of 120" if pages < 3 else "20 of 120")
        )
        following = [a["href"] for a in page.all("a", rel="next")]
        address = HERE + following[0] if following else None
    assert (pages, len(seen), set(seen)) == (3, 120, expected)


def test_htmx_gets_the_list_alone_and_its_address_tidied(signed_in, alice):
    make(alice, "resnet")
    visit = signed_in(alice)
    answer = visit.get(
        f"{HERE}?search=res&owner=&status=&tag=", headers={**FRAGMENT, "HX-Trigger": "filters"}
    )
    assert answer["HX-Replace-Url"] == "/?search=res"
    assert "HX-Request" in answer["Vary"]
    page = page_of(answer)
    assert not page.all("html")
    assert page.inside[0]["id"] == "experiments"
    assert page.one("div", id="filter-fields")["hx-swap-oob"] == "true"
    whole = page_of(visit.get(HERE, headers={**FRAGMENT, "HX-History-Restore-Request": "true"}))
    assert whole.all("html")


def test_who_comes_first_finds_how_to_begin_and_what_to_paste_runs(
    signed_in, alice, token, gunicorn_server, tmp_path
):
    page = page_of(signed_in(alice).get(HERE))
    assert link(page, "Make a token") == reverse("account")
    assert not page.all("table")
    script = tmp_path / "first.py"
    install, code = page.all("pre")
    assert install.text == "pip install http://testserver/exptrack-client.zip\n"
    script.write_text(code.text)
    told = os.environ | {
        "PYTHONPATH": str(settings.BASE_DIR / "client" / "src"),
        "EXPTRACK_URL": gunicorn_server.url,
        "EXPTRACK_TOKEN": token(alice),
    }
    subprocess.run(
        [sys.executable, script], env=told, check=True, timeout=PATIENCE, capture_output=True
    )
    run = Run.objects.get()
    assert (run.experiment.name, run.status, run.metrics.get().count) == ("first", "finished", 100)


def test_a_viewer_is_not_told_to_log(signed_in, bob):
    page = page_of(signed_in(bob).get(HERE))
    assert not page.all("pre")
    assert "As a viewer you read what others log" in page.words


def test_nothing_found_is_not_the_same_as_nothing_there(signed_in, alice):
    make(alice, "resnet")
    page = page_of(signed_in(alice).get(f"{HERE}?search=transformer"))
    assert "No experiment matches" in page.words
    assert link(page, "Clear the filters") == "?"
    assert "No experiments yet" not in page.words


def test_whoever_is_signed_out_is_sent_to_sign_in(client, db):
    assert client.get(HERE).status_code == 302
    assert client.get(HERE, headers=FRAGMENT)["HX-Redirect"].startswith(reverse("sign-in"))


def test_strangers_see_no_private_experiment_nor_its_owner(signed_in, alice, bob, charlie, ada):
    private = make(alice, "secret", visibility="private")
    make(charlie, "open")
    Collaborator.objects.create(experiment=private, user=bob)
    for user, expected in ((charlie, ["open"]), (bob, ["open", "secret"]),
                           (alice, ["open", "secret"]), (ada, ["open", "secret"])):  # fmt: skip
        page = page_of(signed_in(user).get(f"{HERE}?ordering=name"))
        assert names(page) == expected
    stranger = page_of(signed_in(charlie).get(HERE))
    assert "alice" not in stranger.words
    assert "No experiment matches" in page_of(signed_in(charlie).get(f"{HERE}?search=sec")).words


def test_what_is_in_the_trash_is_left_out(signed_in, alice):
    make(alice, "kept")
    make(alice, "thrown away", trashed_at=timezone.now())
    assert names(page_of(signed_in(alice).get(HERE))) == ["kept"]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("status=zombie", "“zombie” cannot be used as status"),
        ("ordering=owner__password", "“owner__password” cannot be used as ordering"),
        ("ordering=%00", "cannot be used as ordering"),
        ("limit=7", "A page has 50, 100, 200 rows."),
        ("cursor=abc", "This page of the list cannot be found"),
        ("search=a%00b", "cannot be used as search"),
        ("search=" + "a" * 300, "cannot be used as search"),
    ],
)
def test_what_an_address_asks_in_vain_is_told_and_the_list_is_there(signed_in, alice, query, fault):
    make(alice, "resnet")
    page = page_of(signed_in(alice).get(f"{HERE}?{query}"), 422)
    assert fault in page.one("div", role="alert").words
    assert names(page) == ["resnet"]


def test_a_cursor_of_another_list_leads_to_the_first_page(signed_in, alice):
    experiment = make(alice, "resnet", last_run_at=timezone.now())
    crowd(experiment, alice, 60, metrics=())
    visit = signed_in(alice)
    runs = page_of(visit.get(reverse("experiment-detail", args=[experiment.pk]) + "?limit=50"))
    cursor = runs.one("a", rel="next")["href"].partition("cursor=")[2]
    page = page_of(visit.get(f"{HERE}?limit=50&cursor={cursor}"), 422)
    assert names(page) == ["resnet"]


@pytest.mark.parametrize("payload", TEXTS)
def test_hostile_text_stays_text(signed_in, alice, payload):
    alice.username = payload[:150]
    alice.save()
    experiment = make(alice, payload, description=payload, tags={payload: payload})
    run = crowd(experiment, alice, 1, metrics=())[0]
    Run.objects.filter(pk=run.pk).update(name=payload)
    answer = signed_in(alice).get(f"{HERE}?search={payload[:9]}" if "%" not in payload else HERE)
    page = page_of(answer)
    assert payload.strip() in page.text
    assert is_inert(answer.content.decode())


def test_statements_do_not_grow_with_experiments(signed_in, alice):
    visit = signed_in(alice)

    def statements():
        return cost(visit.get, HERE)

    for n in range(3):
        crowd(make(alice, f"few {n}"), alice, 2, metrics=())
    few = statements()
    for n in range(40):
        crowd(make(alice, f"many {n}"), alice, 2, metrics=())
    assert statements() == few <= 13


@pytest.mark.only_on("postgresql")
def test_an_empty_experiment_beside_a_full_one_costs_no_walk_over_all_runs(alice):
    full, empty = make(alice, "full"), make(alice, "empty")
    crowd(full, alice, 2_000, metrics=())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with CaptureQueriesContext(connection) as captured:
            assert list(latest_runs([full, empty])) == [full.pk]
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "using run_experiment_started " in plan

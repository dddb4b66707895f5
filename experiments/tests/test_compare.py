"""The page that shows runs side by side."""

from __future__ import annotations

import math
import uuid
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import numpy as np
import pytest
from django.urls import reverse

from experiments import appending, recording
from experiments.models import Collaborator, Experiment, Run
from experiments.storing import Columns
from experiments.tests import reading_pages
from experiments.tests.crowds import crowd
from experiments.tests.hostile import PAYLOADS
from experiments.tests.reading_pages import Element, page_of
from exptrack.tests.statements import cost


@pytest.fixture
def start(alice, experiment):
    """Starts a run: `start("one", {"lr": 1}, loss=[1, 2])`."""

    def begin(
        name: str, params: dict | None = None, *, within: Experiment = experiment, **given
    ) -> Run:
        facts = {key: given.pop(key) for key in ("tags", "environment") if key in given}
        run, _ = recording.start_run(
            user=alice, experiment=str(within.pk), name=name, params=params or {}, **facts
        )
        columns = {name: Columns(values=np.asarray(values, float), steps=np.arange(len(values)))
                   for name, values in given.items()}  # fmt: skip
        if columns:
            appending.append(user=alice, run_id=run.pk, metrics=columns)
        return run

    return begin


def address(runs, name: str = "compare", **others: object) -> str:
    """The comparison of these runs (or ids)."""
    pairs = [("run", getattr(run, "pk", run)) for run in runs]
    return f"{reverse(name)}?{urlencode([*pairs, *others.items()])}"


def link(page: Element, words: str) -> str:
    """Where the link with these words leads from here."""
    return urljoin(reverse("compare"), reading_pages.link(page, words))


def rows_of(page: Element) -> dict[str, list[str]]:
    """The texts of the comparison's table by the name of the row."""
    table = page.one("table")
    rows = [row.inside for body in table.all("tbody") for row in body.all("tr")]
    return {cells[0].words: [cell.words for cell in cells[1:]] for cells in rows}


def marked(page: Element) -> set[tuple[str, int]]:
    """Row and column of each cell that is marked as different."""
    rows = [row.inside for row in page.one("table").all("tr")]
    return {(cells[0].words, place) for cells in rows for place, cell in enumerate(cells)
            if "cell-differs" in cell.attributes.get("class", "")}  # fmt: skip


# --- It works --------------------------------------------------------------------------------


def test_metrics_params_tags_and_environment_stand_side_by_side(signed_in, alice, start):
    one = start("one", {"lr": 0.1, "epochs": 5}, tags={"stage": "warm"}, loss=[3, 1],
                environment={"git": {"commit": "abc"}, "packages": {"numpy": "2.1"}})  # fmt: skip
    two = start("two", {"lr": 0.2, "epochs": 5}, loss=[3, 0.5, math.nan], acc=[0.9],
                environment={"git": {"commit": "abd"}, "packages": {"numpy": "2.1"}})  # fmt: skip
    page = page_of(signed_in(alice).get(address([one, two])))
    heads = [cell.words for cell in page.one("thead").all("th")]
    assert heads == ["Name", "one", "two"]
    rows = rows_of(page)
    assert rows["loss"] == ["1", "NaN"]
    assert rows["acc"] == ["–", "0.9"]
    assert rows["lr"] == ["0.1", "0.2"]
    assert rows["stage"] == ["warm", "–"]
    assert rows["packages numpy"] == ["2.1", "2.1"]
    assert marked(page) == {("lr", 2), ("stage", 2), ("git commit", 2)}
    assert "5 of 7 rows differ." in page.words


def test_only_differences_are_shown_when_asked(signed_in, alice, start):
    one, two = start("one", {"lr": 1, "epochs": 5}, loss=[1]), start("two", {"lr": 2, "epochs": 5})
    whole = page_of(signed_in(alice).get(address([one, two])))
    page = page_of(signed_in(alice).get(link(whole, "Differences only")))
    assert set(rows_of(page)) - set(rows_of(whole)) == set()
    assert "epochs" in rows_of(whole)
    assert "epochs" not in rows_of(page)
    assert {"lr", "loss"} <= set(rows_of(page))
    back = page_of(signed_in(alice).get(link(page, "Differences only")))
    assert set(rows_of(back)) == set(rows_of(whole))


def test_runs_that_are_alike_are_said_to_be(signed_in, alice, start):
    runs = [start(name, {"lr": 1}, loss=[1]) for name in ("one", "two")]
    page = page_of(signed_in(alice).get(address(runs, differ="only")))
    assert "No differences" in page.words


def test_equal_is_what_was_logged_and_not_how_it_looks(signed_in, alice, start):
    long = "x" * 300
    one = start("one", {"a": 1, "b": True, "c": "1", "d": long})
    two = start("two", {"a": 1.0, "b": 1, "c": 1, "d": long + "y"})
    page = page_of(signed_in(alice).get(address([one, two], differ="only")))
    assert {"b", "c", "d"} <= set(rows_of(page))
    assert "a" not in rows_of(page)


def test_the_best_of_a_metric_is_marked_and_another_value_can_be_chosen(signed_in, alice, start):
    runs = [start(str(n), loss=values) for n, values in enumerate(([1, 5, 2], [3, 0, 3]))]
    page = page_of(signed_in(alice).get(address(runs)))
    [best] = page.all("td", class_="cell-best")
    assert best.words == "2"
    least = page_of(signed_in(alice).get(link(page, "Min")))
    assert rows_of(least)["loss"] == ["1", "0"]
    assert [cell.words for cell in least.all("td", class_="cell-best")] == ["0"]
    assert rows_of(page_of(signed_in(alice).get(link(page, "Mean"))))["loss"] == ["2.667", "2"]


def test_any_run_can_be_the_one_the_others_are_held_against(signed_in, alice, start):
    runs = [start(f"r{n}", {"lr": lr}, loss=[loss])
            for n, (lr, loss) in enumerate([(1, 1.0), (2, 1.5), (1, 0.25)])]  # fmt: skip
    page = page_of(signed_in(alice).get(address(runs, baseline=runs[1].pk)))
    assert marked(page) == {("lr", 1), ("lr", 3)}
    assert rows_of(page)["loss"] == ["1-0.5", "1.5", "0.25-1.25"]


def test_environments_too_long_to_be_compared_are_left_out_and_it_says_so(
    signed_in, alice, start, monkeypatch
):
    runs = [start(name, environment={"host": name, "log": name * 300}) for name in ("one", "two")]
    monkeypatch.setattr("experiments.paging.MOST_OCTETS", 1_500)
    page = page_of(signed_in(alice).get(address(runs)), 422)
    assert rows_of(page)["host"] == ["one", "–"]
    assert "Some environments are left out" in page.words


def test_a_long_text_of_the_environment_is_opened_below(signed_in, alice, start):
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n-one\n+two"
    runs = [start(name, environment={"git": {"patch": patch}}) for name in ("one", "two")]
    other = start("three", environment={"git": {"patch": patch + "\n+three"}})
    page = page_of(signed_in(alice).get(address([*runs, other])))
    assert rows_of(page)["git patch"] == ["5 lines", "5 lines", "6 lines"]
    opened = page.all("details", class_="compare-text")
    assert [text.one("summary").words for text in opened] == [
        "Git patch of one, two", "Git patch of three",
    ]  # fmt: skip
    assert opened[0].one("span", class_="diff-add").words == "+two"


def test_a_run_is_taken_away_and_the_rest_of_the_address_stays(signed_in, alice, start):
    runs = [start(name, {"lr": 1}) for name in ("one", "two", "three")]
    page = page_of(signed_in(alice).get(address(runs, differ="only", search="l")))
    form = page.one("form", id="compared-form")
    [away] = [each for each in form.all("button") if "two" in each.words]
    fields = [(each["name"], each["value"]) for each in form.all("input")]
    asked = urlencode([*fields, (away["name"], away["value"])])
    headers = {"HX-Request": "true", "HX-Trigger": "compared-form"}
    answer = signed_in(alice).get(f"{reverse('compare')}?{asked}", headers=headers)
    assert parse_qs(urlsplit(answer["HX-Push-Url"]).query) == {
        "run": [str(runs[0].pk), str(runs[2].pk)], "differ": ["only"], "search": ["l"],
    }  # fmt: skip
    assert (
        "Take two away" not in page_of(signed_in(alice).get(f"{reverse('compare')}?{asked}")).words
    )


def test_rows_are_found_by_part_of_their_name(signed_in, alice, start):
    runs = [start("one", {"Model/Width": 1, "lr": 2}, loss=[1], environment={"Host": "x"})]
    page = page_of(signed_in(alice).get(address(runs, search="o")))
    assert set(rows_of(page)) >= {"loss", "Model/Width", "Host"}
    assert "lr" not in rows_of(page)
    page = page_of(signed_in(alice).get(address(runs, search="zzz")))
    assert "Nothing of that name" in page.words


def test_charts_draw_each_metric_of_all_the_runs(signed_in, alice, start):
    runs = [start("one", **{"val/loss": [1, 2], "val/acc": [1]}), start("two", lr=[1])]
    page = page_of(signed_in(alice).get(address(runs, view="charts")))
    assert [chart["data-metric"] for chart in page.all("metric-chart")] == [
        "val/acc", "val/loss", "lr",
    ]  # fmt: skip
    board = page.one("chart-board")
    assert board["data-series-url"] == address(runs, "compare-series")
    foot = page.all("p", class_="chart-foot")[1].words
    assert foot.startswith("1 run 2 points")
    assert [box["data-run"] for box in page.all("input", type="checkbox", class_="visually-hidden")
            ] == [str(run.pk) for run in runs]  # fmt: skip


def test_runs_without_metrics_say_so_and_not_that_none_matches(signed_in, alice, start):
    visit, here = signed_in(alice), address([start("one")], view="charts")
    assert "No metrics yet" in page_of(visit.get(here)).words
    assert "No metric matches" in page_of(visit.get(f"{here}&search=loss")).words


def test_many_metrics_come_in_pages(signed_in, alice, start):
    runs = [start("one", **{f"m{n:02}": [1] for n in range(30)})]
    first = page_of(signed_in(alice).get(address(runs, view="charts")))
    assert len(first.all("metric-chart")) == 24
    second = page_of(signed_in(alice).get(link(first, "Next")))
    assert [chart["data-metric"] for chart in second.all("metric-chart")] == [
        f"m{n}" for n in range(24, 30)
    ]
    assert parse_qs(urlsplit(link(second, "Previous")).query)["page"] == ["1"]


def test_many_rows_come_in_pages_and_none_twice(signed_in, alice, start):
    runs = [start("one", {f"p{n:03}": n for n in range(450)})]
    names, page = [], page_of(signed_in(alice).get(address(runs)))
    for _ in range(2):
        names += [name for name in rows_of(page) if name.startswith("p")]
        page = page_of(signed_in(alice).get(link(page, "Next")))
    names += [name for name in rows_of(page) if name.startswith("p")]
    assert names == [f"p{n:03}" for n in range(450)]


def test_nothing_to_compare_leads_on(signed_in, alice):
    page = page_of(signed_in(alice).get(reverse("compare")))
    assert "Nothing to compare yet" in page.words


# --- More runs -------------------------------------------------------------------------------


def boxes(page):
    return [box["value"] for box in page.all("input", name="run", type="checkbox")]


def test_more_runs_are_found_and_added_without_a_script(signed_in, alice, start, secret):
    one, two = start("one"), start("two")
    other = start("another", within=secret)
    page = page_of(signed_in(alice).get(address([one], "compare-runs", differ="only")))
    assert boxes(page) == [str(two.pk)]
    form = page.one("form", action=reverse("compare"))
    kept = [(box["name"], box["value"]) for box in form.all("input", type="hidden")]
    assert kept == [("run", str(one.pk)), ("differ", "only")]
    page = page_of(signed_in(alice).get(address([one], "compare-runs", find="noth")))
    assert boxes(page) == [str(other.pk)]


def test_runs_of_the_experiment_that_is_compared_are_offered_before_one_searches(
    signed_in, alice, start, secret
):
    one, two = start("one"), start("two")
    other = start("other", within=secret)
    page = page_of(signed_in(alice).get(address([one], "compare-runs")))
    assert boxes(page) == [str(two.pk)]
    page = page_of(signed_in(alice).get(address([one, other], "compare-runs")))
    assert boxes(page) == [str(two.pk)]
    page = page_of(signed_in(alice).get(reverse("compare-runs")))
    assert boxes(page) == [str(run.pk) for run in (other, two, one)]
    page = page_of(signed_in(alice).get(address([other], "compare-runs")))
    assert "secret has no other runs." in page.words


def test_runs_one_may_not_see_are_not_found(signed_in, bob, start, secret):
    start("one")
    start("hidden", within=secret)
    page = page_of(signed_in(bob).get(reverse("compare-runs")))
    assert "one" in page.words
    assert "hidden" not in page.words


# --- Who may not -----------------------------------------------------------------------------


def test_what_one_may_not_see_is_left_out_with_a_word_and_nothing_told(
    signed_in, alice, bob, charlie, ada, start, secret
):
    one = start("one", {"lr": 1})
    hidden = start("hidden", {"secret-param": 2}, within=secret, **{"secret-metric": [1]})
    for view in ("table", "charts"):
        here = address([one, hidden], view=view)
        for user in (alice, ada):
            assert "hidden" in signed_in(user).get(here).text
        for user in (bob, charlie):
            page = signed_in(user).get(here)
            assert page.status_code == 422
            assert "1 of these runs is left out: not there, or not for you to see." in page.text
            assert "secret" not in page.text
            missing = signed_in(user).get(address([one, uuid.uuid4()], view=view))
            assert missing.status_code == 422
            assert "1 of these runs is left out: not there, or not for you to see." in missing.text
    Collaborator.objects.create(experiment=secret, user=bob, role="viewer")
    assert "hidden" in signed_in(bob).get(address([one, hidden])).text


# --- The edges -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["view=frog", "differ=x", "value=median", "baseline=x", "page=0", "page=x", "run=x"],
)
def test_what_an_address_asks_in_vain_is_told(signed_in, alice, start, query):
    run = start("one", {"lr": 1})
    page = page_of(signed_in(alice).get(f"{address([run])}&{query}"), 422)
    assert page.one("div", role="alert").words
    assert rows_of(page)["lr"] == ["1"]


@pytest.mark.parametrize("query", ["x=frog", "smoothing=2", "smoothing=x", "yscale=up"])
def test_settings_that_charts_do_not_have_are_told(signed_in, alice, start, query):
    run = start("one", loss=[1])
    page = page_of(signed_in(alice).get(f"{address([run], view='charts')}&{query}"), 422)
    assert page.one("div", role="alert").words
    assert len(page.all("metric-chart")) == 1


def test_more_than_a_hundred_runs_are_cut_with_a_word(signed_in, alice, experiment):
    runs = crowd(experiment, alice, 101, metrics=())
    page = page_of(signed_in(alice).get(address(runs)), 422)
    assert "Only the first 100 of 101 runs are compared." in page.words
    assert len(page.one("thead").all("th")) == 101


def test_hostile_text_is_harmless(signed_in, alice, start):
    run = start("one", {f"p{n}": text for n, text in enumerate(PAYLOADS)},
                tags={f"t{n}": text for n, text in enumerate(PAYLOADS)},
                environment={text: text for text in PAYLOADS}, loss=[1])  # fmt: skip
    Run.objects.update(name=PAYLOADS[0])
    for view in ("table", "charts"):
        page = page_of(signed_in(alice).get(address([run], view=view)))
        assert page.all("img") == page.all("iframe") == []


def test_a_fragment_is_only_the_comparison_and_what_travels_with_it(signed_in, alice, start):
    run = start("one", {"lr": 1})
    answer = signed_in(alice).get(address([run]), headers={"HX-Request": "true"})
    assert answer.text.lstrip().startswith('<div class="stack stack-s" id="compared"')
    assert answer.text.count("hx-swap-oob") == 3
    assert answer["Vary"].count("HX-Request") == 1


# --- The cost --------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["table", "charts"])
def test_statements_do_not_grow_with_runs(signed_in, alice, experiment, view):
    runs = crowd(experiment, alice, 100)
    visit = signed_in(alice)
    few = cost(visit.get, address(runs[:2], view=view))
    assert cost(visit.get, address(runs, view=view)) == few <= 12


def test_the_page_of_a_hundred_runs_stays_light(signed_in, alice, experiment):
    runs = crowd(experiment, alice, 100)
    for view, most in (("table", 450_000), ("charts", 350_000)):
        answer = signed_in(alice).get(address(runs, view=view))
        assert len(answer.content) < most, f"{view}: {len(answer.content):,}"

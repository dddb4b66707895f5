"""The arrows between the rooms, and what no room may do. Read from the code, not from a plan."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from django.conf import settings

ROOT = settings.BASE_DIR
ROOMS = ("exptrack", "accounts", "experiments")

# Doors are where people and scripts come in; nothing inside may know who is at the door.
DOORS = ("experiments.api", "experiments.views", "experiments.management", "experiments.admin")
# Worked out on paper alone: they know neither tables nor requests.
PURE = tuple(
    f"experiments.{name}"
    for name in (
        *("series", "summaries", "curves", "means", "compact"),
        *("search", "syntax", "literals", "values", "fields", "wire", "csv_text"),
    )
)
# What writes and reads, for whichever door asks.
INNER = tuple(
    f"experiments.{name}"
    for name in (
        *("models", "querysets", "recording", "storing", "statements", "compare_and_swap"),
        *("remembering", "starting", "labels", "upkeep", "curating"),
        *("purging", "storage", "reading", "tables", "run_values", "selecting", "named_rows"),
        "appending",
    )
)


@cache
def modules() -> dict[str, ast.Module]:
    """Our modules by dotted name, without tests and migrations."""
    found = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not {"tests", "migrations"} & set(parts):
                found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


def imported_by(tree: ast.Module) -> Iterator[str]:
    """Every dotted name imported anywhere in a module, except for type checkers only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows() -> Iterator[tuple[str, str]]:
    """(importer, imported name) for all our modules."""
    for name, tree in modules().items():
        yield from ((name, imported) for imported in imported_by(tree))


def is_in(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of `rooms`, or below one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def test_the_search_for_imports_finds_them():
    assert ("experiments.models", "experiments.querysets") in set(arrows())
    assert len(modules()) > 40


def forbidden(importers: tuple[str, ...], imported: tuple[str, ...]) -> list[tuple[str, str]]:
    """The arrows from `importers` to `imported`, of which there should be none."""
    return [arrow for arrow in arrows() if is_in(arrow[0], importers) and is_in(arrow[1], imported)]


def test_accounts_know_nothing_of_experiments():
    assert forbidden(("accounts",), ("experiments",)) == []


def test_nothing_inside_knows_its_doors():
    outside = (*DOORS, "experiments.urls", "exptrack")
    knowing = [(name, door) for name, door in arrows() if is_in(door, DOORS)]
    assert [arrow for arrow in knowing if not is_in(arrow[0], outside)] == []


def test_no_door_leads_through_another():
    for door in DOORS:
        others = tuple(set(DOORS) - {door})
        assert forbidden(others, (door,)) == []


def reached_from(name: str) -> set[str]:
    """Every name imported by a module of ours, or by what it imports, and so on."""
    reached, waiting = set(), [name]
    while waiting:
        if (tree := modules().get(waiting.pop())) is None:
            continue
        new = set(imported_by(tree)) - reached
        reached |= new
        waiting += [each for name in new for each in (name, name.rpartition(".")[0])]
    return reached


def test_what_is_pure_knows_neither_tables_nor_requests():
    kept_out = ("experiments.models", "accounts", "django.http", "rest_framework")
    for name in PURE:
        assert [each for each in reached_from(name) if is_in(each, kept_out)] == [], name


def test_series_need_no_django():
    for name in ("series", "summaries", "curves"):
        assert [
            each for each in reached_from(f"experiments.{name}") if is_in(each, ("django",))
        ] == []


def test_what_writes_and_reads_knows_neither_requests_nor_serializers():
    assert set(INNER) <= set(modules())
    assert forbidden(INNER, ("rest_framework", "django.http")) == []


def test_no_module_leads_back_to_itself():
    known = modules() | {
        f"exptrack_client.{path.stem}": ast.parse(path.read_text())
        for path in (ROOT / "client" / "src").rglob("*.py")
    }
    steps = {
        name: {each if each in known else each.rpartition(".")[0] for each in imported_by(tree)}
        for name, tree in known.items()
    }
    TopologicalSorter(steps).prepare()  # a CycleError names the modules of a circle


def test_the_sdk_stands_alone():
    for path in (ROOT / "client" / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            assert not [name for name in names if is_in(name, ROOMS)], path


def test_there_are_no_drawers():
    drawers = {"utils", "util", "helpers", "common", "core", "misc"}
    assert [name for name in modules() if drawers & set(name.split("."))] == []


# --- What nobody may do ----------------------------------------------------------------------

FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("yaml.load", "joblib.load", "torch.load", "np.load", "numpy.load"),
}
FORBIDDEN_NAMES = {"mark_safe", "SafeString", "RawSQL", "extra"}
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
# What came with a request, as a whole.
FROM_A_REQUEST = re.compile(r"request\.|\.GET|\.POST|\.data\b|query_params")
# What is allowed to, by file, with its reason in a comment.
ALLOWED = {
    # Markdown, after nh3 has cleaned it.
    "experiments/templatetags/prose.py": {"mark_safe()"},
}


def python_files() -> list[Path]:
    """All our code that runs outside tests, the SDK and the deployment included."""
    folders = [ROOT / name for name in (*ROOMS, "client/src", "deploy")]
    found = [path for folder in folders for path in folder.rglob("*.py")]
    apart = {"tests", "migrations"}
    return [path for path in found if not apart & set(path.relative_to(ROOT).parts)]


def sins_of(tree: ast.Module) -> Iterator[str]:
    """What a module does that would run, or show as markup, what somebody else wrote."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            roots = {name.split(".")[0] for name in names}
            yield from (f"import {name}" for name in roots & FORBIDDEN_MODULES)
        elif isinstance(node, ast.Call):
            yield from sins_of_call(node)


def sins_of_call(call: ast.Call) -> Iterator[str]:
    """The same, of one call."""
    called = ast.unparse(call.func)
    if called in FORBIDDEN_CALLS or called.rpartition(".")[2] in FORBIDDEN_NAMES:
        yield f"{called}()"
    for keyword in call.keywords:
        value = ast.unparse(keyword.value)
        if keyword.arg == "shell" and value != "False":
            yield "shell=True"
        # What a user typed must never become an ORM keyword or alias.
        if keyword.arg is None and FROM_A_REQUEST.search(value):
            yield f"**{value}"


def test_no_code_runs_or_trusts_what_somebody_else_wrote():
    sins = {}
    for path in python_files():
        for sin in sins_of(ast.parse(path.read_text())):
            sins.setdefault(str(path.relative_to(ROOT)), set()).add(sin)
    assert sins == ALLOWED


def readers_made_late(tree: ast.Module) -> list[str]:
    """What reads JSON of a type and is made only when it is asked to."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    calls = [node for each in functions for node in ast.walk(each) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if ast.unparse(call.func).endswith("Decoder")
        or (ast.unparse(call.func) == "msgspec.json.decode" and call.keywords)
    ]


def test_what_reads_a_type_is_made_before_threads_can_share_it():
    """msgspec 0.22 ends the process where a thread reads a Struct that another has just begun to
    read for the first time: a server that several scripts found just started lost a worker."""
    late = {name: found for name, tree in modules().items() if (found := readers_made_late(tree))}
    assert late == {}
    for code in ("msgspec.json.decode(body, type=BatchIn)", "json.Decoder(BatchIn).decode(body)"):
        assert readers_made_late(ast.parse(f"def read(body):\n    return {code}"))


# Filters and attributes that let text through as markup or code; inline styles and scripts, which
# our policy blocks anyway, so that they would silently not work.
TRUSTING = re.compile(
    r"""\|\s*safe(seq)?\b | \{%\s*autoescape\s+off | javascript:
    | \bhx-on[:-] | \son[a-z]+\s*=\s*["'] | \sstyle\s*=
    | <script(?![^>]*\bsrc=)(?![^>]*application/json)""",
    re.IGNORECASE | re.VERBOSE,
)
MAKING = re.compile(
    r"""\beval\( | \bnew\s+Function\b | \.(inner|outer)HTML\b | insertAdjacentHTML
    | document\.write | set(Timeout|Interval)\(\s*["']""",
    re.VERBOSE,
)


def lines_with(pattern: re.Pattern, files: Iterator[Path]) -> list[str]:
    """Where a pattern occurs, as `path:line: text`."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_template_trusts_what_somebody_typed():
    assert lines_with(TRUSTING, (ROOT / "templates").rglob("*.html")) == []


def test_no_script_makes_code_or_markup_from_text():
    assert lines_with(MAKING, (ROOT / "static").rglob("*.js")) == []


@pytest.mark.parametrize(
    "line",
    [
        "{{ notes|safe }}",
        "{% autoescape off %}",
        '<a onclick="go()">',
        '<p style="color: red">',
        "<script>go()</script>",
        '<a href="javascript:go()">',
        '<b hx-on:click="go()">',
    ],
)
def test_the_search_in_templates_finds(line):
    assert TRUSTING.search(line)


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "import pickle",
        "from pickle import loads",
        "mark_safe(text)",
        "utils.safestring.mark_safe(text)",
        "Run.objects.extra(where=[text])",
        "RawSQL(text, [])",
        "subprocess.run(text, shell=True)",
        "Run.objects.filter(**request.GET)",
        "numpy.load(file, allow_pickle=True)",
    ],
)
def test_the_search_in_code_finds(code):
    assert list(sins_of(ast.parse(code)))

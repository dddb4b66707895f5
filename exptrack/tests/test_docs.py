"""The documentation says what the code does, and the other way round."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT = settings.BASE_DIR


def server_code() -> list[Path]:
    """Every module that runs in the server: no tests, no SDK."""
    rooms = ("exptrack", "accounts", "experiments", "deploy")
    found = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    return [path for path in found if "tests" not in path.relative_to(ROOT).parts]


def variables_read_by(path: Path) -> Iterator[str]:
    """Names of environment variables in `read(kind, "X")`, `read_number("X")`,
    `os.environ.get("X")`, `os.environ["X"]` and the like."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("read", "read_number", "os.getenv") or called.startswith("os.environ."):
                yield from texts(node.args)[:1]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            yield from texts([node.slice])


def texts(nodes: list[ast.expr]) -> list[str]:
    """The upper-case names among literal arguments."""
    found = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [value for value in found if re.fullmatch("[A-Z][A-Z_]+", str(value))]


def test_every_variable_that_is_read_is_documented_and_every_documented_one_is_read():
    read = {name for path in server_code() for name in variables_read_by(path)}
    text = (ROOT / "docs" / "configuration.md").read_text()
    documented = re.findall(r"^\| `([A-Z_]+)` \|", text, flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == read - {"DJANGO_SETTINGS_MODULE"}
    assert len(read) > 15  # the search itself works


def test_every_room_of_experiments_stands_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text()
    inside = [path for path in (ROOT / "experiments").iterdir() if not path.name.startswith("_")]
    rooms = {path.stem for path in inside if path.suffix == ".py"}
    rooms |= {f"{path.name}/" for path in inside if path.is_dir()}
    told = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in names(row)}
    assert told == rooms - {"apps", "migrations/", "tests/"}


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_link_between_our_documents_leads_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("client/*.md")]:
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (document.parent / target).exists(), f"{document}: {target}"

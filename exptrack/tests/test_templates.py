"""What holds for every template."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

FOLDER = settings.BASE_DIR / "templates"
TEMPLATES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.html"))
FRAMES = ("base.html", "admin/base_site.html")
COMMENT = re.compile(r"{% comment %}.*?{% endcomment %}", re.DOTALL)


def source(name: str) -> str:
    """The template's text without its comments."""
    return COMMENT.sub("", (FOLDER / name).read_text())


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_compiles(name):
    get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_holds_nothing_the_policy_would_block(name):
    text = source(name)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|hx-on|hx-vals=.js:", text)
    for script in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in script or 'type="application/json"' in script


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_escapes_what_it_shows(name):
    assert not re.search(r"\|\s*safe\b|autoescape\s+off", source(name))


@pytest.mark.parametrize("name", TEMPLATES)
def test_how_much_one_may_type_stands_elsewhere(name):
    assert not re.search(r"maxlength=[\"']?\d", source(name))


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_htmx_fetches_can_be_had_without_it(name):
    for tag in re.findall(r"<(?:a|form)\b[^>]*\bhx-(?:get|post)[^>]*>", source(name)):
        assert re.search(r"\b(?:href|action)=", tag), tag


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.startswith("components/")])
def test_a_component_says_what_it_takes(name):
    assert (FOLDER / name).read_text().startswith("{% comment %}")


@pytest.mark.parametrize("name", [name for name in TEMPLATES if not name.startswith("components/")])
def test_a_page_has_a_title_of_its_own(name):
    text = source(name)
    if Path(name).name.startswith("_") or name in FRAMES or "{% extends" not in text:
        return
    assert "{% block title %}" in text

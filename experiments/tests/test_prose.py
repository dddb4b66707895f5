"""Markdown on a page: readable, and able to do nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.templatetags.prose import LONGEST, TAGS, markdown
from experiments.tests.hostile import MARKDOWN, PAYLOADS, is_inert

REL = 'rel="noopener noreferrer nofollow"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold** and *leaning*", "<p><strong>bold</strong> and <em>leaning</em></p>"),
        ("~~gone~~", "<p><s>gone</s></p>"),
        ("- one\n- two", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>"),
        ("`a < b`", "<p><code>a &lt; b</code></p>"),
        ("[x](https://a.example/)", f'<p><a href="https://a.example/" {REL}>x</a></p>'),
        ("[x](/runs/1/)", f'<p><a href="/runs/1/" {REL}>x</a></p>'),
        ("", ""),
    ],
)  # fmt: skip
def test_markdown_becomes_html(text, html):
    assert markdown(text).strip() == html


def test_a_table_becomes_a_table():
    html = markdown("| a |\n|---|\n| 1 |")
    assert re.findall(r"<(\w+)>", html) == ["table", "thead", "tr", "th", "tbody", "tr", "td"]


def test_headings_stand_below_those_of_the_page_without_a_gap():
    html = markdown("# a\n#### b\n## c\n##### d\n###### e")
    assert re.findall(r"<h(\d)>(\w)", html) == [
        ("3", "a"), ("4", "b"), ("4", "c"), ("5", "d"), ("6", "e")
    ]  # fmt: skip
    assert re.findall(r"<h(\d)>", markdown("### only")) == ["3"]


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,x)",
        "[x](vbscript:x)",
        "[x](//evil.example)",
        "[x](/\\evil.example)",
        "[x](\\\\evil.example)",
        "<a href=javascript:alert(1)>x</a>",
        '<https://ok.example/" onmouseover=alert(1)>',
    ],
)
def test_no_link_leads_where_a_reader_would_not_expect(text):
    for target in re.findall(r'<a href="([^"]*)"', markdown(text)):
        assert target.startswith(("https://ok.example", "%5C", "/%5C"))


def test_images_are_links_so_that_nobody_learns_who_reads():
    html = markdown("![plot](http://169.254.169.254/x.png)")
    assert "<img" not in html
    assert 'href="http://169.254.169.254/x.png"' in html


@pytest.mark.parametrize("payload", [*PAYLOADS, MARKDOWN])
def test_hostile_text_stays_text(payload):
    assert is_inert(markdown(payload))


@given(st.text(alphabet="<>[]()!*_`#|-~\"'=/\\ \nabjson:", max_size=80))
@settings(max_examples=300, deadline=None)
def test_whatever_is_typed_only_known_tags_come_out(text):
    html = markdown(text)
    assert set(re.findall(r"<([a-z0-9]+)", html)) <= TAGS
    for tag in re.findall(r"<[a-z][^>]*>", html):
        assert not re.search(r"\s(?:on\w+|style|class|id|name|hx-[\w-]+)=", tag), tag


def test_long_text_is_cut():
    assert markdown("word " * 50_000).rstrip().endswith("…</p>")
    assert len(markdown("a" * (LONGEST + 1))) < LONGEST + 20


def test_the_same_text_is_rendered_once(monkeypatch):
    first = markdown("*kept*")
    monkeypatch.setattr("experiments.templatetags.prose.rendered", lambda text: "anew")
    assert markdown("*kept*") == first
    assert markdown("*other*") == "anew"

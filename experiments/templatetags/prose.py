"""Markdown that people wrote, as HTML that can do nothing but be read."""

from __future__ import annotations

import hashlib

import nh3
from django import template
from django.core.cache import cache
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

register = template.Library()

LONGEST = 64 * 1024
KEPT_FOR_SECONDS = 3600
TAGS = set(
    "a blockquote br code del em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul"
    "".split()
)
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}
# The page's own headings end with the second level.
FIRST_HEADING, LAST_HEADING = 3, 6
# Raw HTML stays text; an image becomes a link to it: it would tell another site who reads here.
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
MARKDOWN.disable("image")


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as harmless HTML. What is longer than 64 Ki characters is cut there."""
    text = text[:LONGEST] + "…" if len(text) > LONGEST else text
    key = f"markdown:{hashlib.sha256(text.encode()).hexdigest()}"
    html = cache.get(key)
    if html is None:
        html = rendered(text)
        cache.set(key, html, KEPT_FOR_SECONDS)
    return mark_safe(html)  # noqa: S308  cleaned below, and by nothing but a list of what is allowed


def rendered(text: str) -> str:
    """The HTML of a Markdown text, stripped of all that is not on the lists above."""
    tokens = MARKDOWN.parse(text)
    put_under_page(tokens)
    return nh3.clean(
        MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}),
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=without_foreign_roots,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )


def put_under_page(tokens: list[Token]) -> None:
    """Move headings below the page's own, none more than one level below the one before."""
    opening = [token for token in tokens if token.type == "heading_open"]
    highest = min((int(token.tag[1]) for token in opening), default=1)
    level = FIRST_HEADING - 1
    for token in tokens:
        if token.type == "heading_open":
            wanted = int(token.tag[1]) - highest + FIRST_HEADING
            level = min(wanted, level + 1, LAST_HEADING)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"


def without_foreign_roots(tag: str, attribute: str, value: str) -> str | None:
    """`//elsewhere` looks like a path of ours and is none."""
    if attribute == "href" and value.lstrip().replace("\\", "/").startswith("//"):
        return None
    return value

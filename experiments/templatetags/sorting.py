"""The head of a column that sorts. Of our own markup and one call, not a component: a table has up
to a hundred of them, and as includes they took a fifth of its page's time."""

from __future__ import annotations

from functools import cache

from django import template
from django.http import QueryDict
from django.template.loader import get_template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

HEAD = '<th scope="col"{}{}{}>{}<a class="sort-link"{} href="{}"{}>{}{}</a></th>'
# Picks every row of the page; absent without a script.
PICK = format_html(
    '<input class="pick pick-page" type="checkbox" aria-label="{}" autocomplete="off" '
    "data-pick-page>",
    "Select all rows of this page",
)


@register.simple_tag
def sort_header(
    label: str,
    field: object,
    ordering: str,
    query: QueryDict,
    *,
    target: str = "",
    numeric: bool = False,
    first: str = "",
    title: str = "",
    id: str = "",
    number: int | str = "",
    pick: bool = False,
) -> SafeString:
    """The <th> of a column. `field` is its word in `ordering`, of which the one in force may begin
    with a -; `query` is the address, whose page is left since another order begins at its first.

    target: the id htmx replaces. first: "desc" where a first click shows the greatest first.
    title: the whole name on hover. id: of the link, so that focus stays on it when the list is
    replaced; with a number behind it where columns are counted. pick: with a box in front that
    picks every row.
    """
    word = str(field)
    sorts = {word: "ascending", f"-{word}": "descending"}.get(ordering, "")
    down = sorts == "ascending" or (not sorts and first == "desc")
    asked = query.copy()
    asked.pop("cursor", None)
    asked["ordering"] = f"-{word}" if down else word
    url = f"?{asked.urlencode(safe=',:/')}"
    fetched = ' hx-get="{}" hx-target="#{}" hx-push-url="true"'
    return format_html(
        HEAD,
        attribute("class", "cell-number" if numeric else ""),
        attribute("aria-sort", sorts),
        attribute("title", title),
        PICK if pick else "",
        attribute("id", f"{id}{number}"),
        url,
        format_html(fetched, url, target) if target else "",
        label,
        arrow(sorts or "ascending"),
    )


def attribute(name: str, value: str) -> SafeString | str:
    """An attribute, nothing without a value."""
    return format_html(' {}="{}"', name, value) if value else ""


@cache
def arrow(direction: str) -> SafeString:
    """The icon of an order."""
    return get_template("components/icon.html").render({"name": direction})

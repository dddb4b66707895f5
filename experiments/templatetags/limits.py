"""How much one may type into the fields that templates write themselves: what the server takes."""

from __future__ import annotations

from django import template

from experiments import filters, syntax, values

register = template.Library()

LIMITS = {
    "filter": filters.LONGEST_TEXT,
    "name": values.NAME_LENGTH,
    "query": syntax.MAX_BYTES,
}


@register.simple_tag
def longest(kind: str) -> int:
    """The most characters of a name, a filter or a query."""
    return LIMITS[kind]

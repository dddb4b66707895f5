"""What the address of a page asks of a list, read with patience.

An address is typed, shortened and kept for years. What in it cannot be used is told in a
sentence and left out, and the list is shown without it; the API answers the same with a 400.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import django_filters
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from experiments.paging import CURSOR_PARAMETER, BadCursor, Listing, Page, paginate
from experiments.search import parse
from experiments.syntax import QueryFault
from experiments.values import InvalidValue

PAGE_SIZES = (50, 100, 200)
DEFAULT_PAGE_SIZE = 100
SHOWN_OF_A_FAULT = 60


@dataclass(slots=True)
class Asked:
    """The parameters of an address that can be used, and a sentence for each that cannot."""

    path: str
    query: QueryDict
    faults: list[str] = field(default_factory=list)
    query_text: str = ""  # in the box, a query or not
    query_fault: QueryFault | None = None

    @classmethod
    def by(cls, request: HttpRequest) -> Asked:
        """What a request asks; parameters without a value, which every form sends, are gone."""
        query = request.GET.copy()
        for name in list(query):
            query.setlist(name, [value for value in query.getlist(name) if value])
            if not query.getlist(name):
                del query[name]
        return cls(request.path, query)

    @property
    def url(self) -> str:
        """The address that asks just this, fit to keep."""
        query = self.query.urlencode(safe=",:")
        return f"{self.path}?{query}" if query else self.path

    def url_with(self, **changes: str | None) -> str:
        """The address with other values of some parameters, None for none; at its first page."""
        query = self.query.copy()
        for name, value in {**changes, CURSOR_PARAMETER: None}.items():
            query.pop(name, None)
            if value is not None:
                query[name] = value
        return f"{self.path}?{query.urlencode(safe=',:')}"

    def leave_out(self, name: str, fault: str) -> None:
        """Go on without a parameter, and say why."""
        shown = self.query[name][:SHOWN_OF_A_FAULT]
        self.faults.append(f"“{shown}” cannot be used as {name}, so it was left out. {fault}")
        del self.query[name]

    def read(self, name: str, rule: Callable[[str], object], default: object) -> object:
        """`rule` of a parameter's text; the default when it is absent, or at fault."""
        if name not in self.query:
            return default
        try:
            return rule(self.query[name])
        except InvalidValue as error:
            self.leave_out(name, str(error))
            return default

    def join(self, name: str) -> None:
        """Take a parameter that came several times, once for each box of a form, for one list."""
        if len(values := self.query.getlist(name)) > 1:
            self.query[name] = ",".join(values)

    def check_query(self) -> None:
        """Leave out a `q` that is no query, and keep where it is wrong."""
        self.query_text = self.query.get("q", "")
        try:
            parse(self.query_text)
        except QueryFault as fault:
            self.query_fault = fault
            del self.query["q"]

    @property
    def all_faults(self) -> list[str]:
        """A sentence for each parameter that cannot be used, `q` among them."""
        return [*self.faults, *([str(self.query_fault)] if self.query_fault else [])]

    @property
    def query_parts(self) -> tuple[str, str, str] | None:
        """The query at fault: before the place, at it, and behind."""
        return self.query_fault and self.query_fault.around(self.query_text)

    def limit(self, default: int = DEFAULT_PAGE_SIZE) -> int:
        """How many rows a page is to have."""
        return self.read("limit", page_size, default)

    def filtered(
        self, filterset_class: type[django_filters.FilterSet], rows: QuerySet
    ) -> tuple[QuerySet, dict]:
        """The rows that the filters leave, and the values that are in force."""
        filterset = filterset_class(self.query, rows)
        for name, faults in filterset.errors.items():
            known = [
                value for value, _ in getattr(filterset.form.fields[name], "choices", ()) if value
            ]
            words = f"Known are {', '.join(known)}." if known else " ".join(map(str, faults))
            self.leave_out(name, words)
        if filterset.errors:
            filterset = filterset_class(self.query, rows)
        values = {name: self.query[name] for name in filterset.filters if name in self.query}
        return filterset.qs, values

    def page(self, listing: Listing, *, descending: bool, limit: int) -> Page:
        """The page of a listing that the cursor points at; the first one for a bad cursor."""
        # Two lists may have the same parameters: the path keeps their cursors apart.
        bound = self.query.copy()
        bound["path"] = self.path
        try:
            return paginate(listing, descending=descending, limit=limit, query=bound)
        except BadCursor:
            self.faults.append("This page of the list cannot be found; here is the first one.")
            del self.query[CURSOR_PARAMETER], bound[CURSOR_PARAMETER]
            return paginate(listing, descending=descending, limit=limit, query=bound)


def page_size(text: str) -> int:
    """One of PAGE_SIZES, or InvalidValue."""
    if text not in map(str, PAGE_SIZES):
        sizes = ", ".join(map(str, PAGE_SIZES))
        raise InvalidValue(f"A page has {sizes} rows.")
    return int(text)

"""What the tables in which rows are picked have in common.

What is done is a POST with the rows' ids, named by what a row is, and leads back to the table as it
was (`back`, its query). Of a selection that may be changed in part the rest is left alone, and
counted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.loader import render_to_string

from experiments.refusals import Refused
from experiments.values import moment_in, uuid_in

MOST_PICKED = 500


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows that are picked: what a row is, who may change one, where one that is not
    found has gone from."""

    noun: str
    editors: str
    whole: str

    def counted(self, rows: int) -> str:
        """So many rows, in words."""
        return f"1 {self.noun}" if rows == 1 else f"{rows:,} {self.noun}s"

    def picked(self, request: HttpRequest) -> list[uuid.UUID]:
        """The ids of the picked rows, each once; what is no id is left out."""
        found = (uuid_in(text) for text in request.POST.getlist(self.noun)[:MOST_PICKED])
        return list(dict.fromkeys(pk for pk in found if pk is not None))

    def change(
        self,
        request: HttpRequest,
        find: Callable[[Sequence[uuid.UUID]], tuple[list, list]],
        act: Callable[[list], str],
    ) -> None:
        """Do it to the picked rows that the user may change, and say so. Of some ids `find` tells
        the rows that the user may change, and those they may not."""
        ids = self.picked(request)
        rows, others = find(ids)
        gone = len(ids) - len(rows) - len(others)
        try:
            if rows:
                messages.success(request, act(rows))
        except Refused as refusal:
            messages.error(request, " ".join([refusal.message, *faults_of(refusal)]))
        if others:
            words = f"left alone: only {self.editors} may change it."
            messages.warning(request, f"{self.counted(len(others))} {words}")
        if gone:
            messages.warning(request, f"{self.counted(gone)} no longer {self.whole}.")
        if not ids:
            messages.warning(request, f"No {self.noun} was selected.")

    def trashed(
        self, request: HttpRequest, moved: int, *, moment: datetime, restore_url: str
    ) -> str:
        """What a message says of rows that went to the trash at a moment, with the way back."""
        context = {
            "words": f"{self.counted(moved)} moved to the trash.",
            "restore_url": restore_url,
            "moment": moment.isoformat(),
            "back": request.POST.get("back", ""),
        }
        return render_to_string("experiments/_trashed.html", context, request)


def restored_moment(request: HttpRequest) -> datetime | None:
    """When the rows to be brought back went to the trash, as `trashed` has it; None if that is no
    moment."""
    return moment_in(request.POST.get("moment", ""))


def back_to(request: HttpRequest, here: str) -> HttpResponse:
    """Where the request came from: the table, and of its address only the query is believed."""
    query = QueryDict(request.POST.get("back", "")).urlencode(safe=",:")
    return redirect(f"{here}?{query}" if query else here)


def faults_of(refusal: Refused) -> Iterable[str]:
    """What is wrong with each field."""
    return (text for texts in refusal.details.values() for text in texts)

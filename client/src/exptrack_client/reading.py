"""Reading back what was recorded: runs by query, and their points, as plain Python."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from exptrack_client import login
from exptrack_client.transport import Answer, Backoff, Exchange, Later, NotLetIn

if TYPE_CHECKING:
    import pandas as pd

PAGE = 1_000
POINTS_A_REQUEST = 100_000
ATTEMPTS = 4
TIMES = ("started_at", "ended_at", "last_seen_at", "trashed_at")
# What we ask of our own accord: a server that knows none of it is older.
OURS = {"experiment", "q", "ordering", "limit", "fields", "cursor", "metric", "after"}


class ReadError(Exception):
    """The server could not be asked, or did not answer what was asked; the message says why.
    `status` is the HTTP status, 0 when no answer came."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Points(NamedTuple):
    """The points of one metric of one run, in the order they were logged: lists of equal length,
    steps as int, times as seconds since the epoch, values as float."""

    name: str
    steps: list
    times: list
    values: list

    def to_pandas(self) -> pd.DataFrame:
        """Columns `step`, `time` (UTC) and `value`; ImportError without pandas."""
        pandas = import_pandas()
        times = pandas.to_datetime([round(time * 1000) for time in self.times], unit="ms", utc=True)
        return pandas.DataFrame({"step": self.steps, "time": times, "value": self.values})


class StoredRun(dict):
    """One run as the API tells it: a dict with `id`, `name`, `status`, `params`, `metrics` (the
    last values), `tags` and more, which are attributes too."""

    def __init__(self, fields: dict, reader: Reader) -> None:
        super().__init__(fields)
        for kind in ("params", "metrics", "tags"):
            self.setdefault(kind, {})
        self["metrics"] = {name: number(value) for name, value in self["metrics"].items()}
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a run has no {name}") from None

    def __repr__(self) -> str:
        return f"<run {self['name']} {self['id']} {self['status']}>"

    def history(self, metric: str) -> Points:
        """Every point of one metric; ReadError when the run has none of this name."""
        return self._reader.history(self["id"], metric)

    def summaries(self) -> dict[str, dict]:
        """Count, first and last step, last, its time in seconds since the epoch, min, max and mean
        of every metric, by its name."""
        return self._reader.summaries(self["id"])


class Runs(list):
    """Runs in the order asked for; a list of `StoredRun`."""

    def to_pandas(self) -> pd.DataFrame:
        """A row a run, by id, with `params.…`, `metrics.…` and `tags.…` as columns, times in UTC;
        ImportError without pandas."""
        pandas = import_pandas()
        frame = pandas.DataFrame([row(run) for run in self])
        for name in frame.columns.intersection(TIMES):
            frame[name] = pandas.to_datetime(frame[name], utc=True)
        return frame.set_index("id") if len(frame) else frame


class Reader:
    """Reads from one server."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        try:
            self._exchange = Exchange(login.transport(url, token))
        except ValueError as fault:
            raise ReadError(f"The server cannot be used: {fault}.") from fault

    def runs(self, query: dict[str, str], limit: int | None) -> Runs:
        """The runs that a query of the API finds, at most `limit`."""
        found = Runs()
        asked = {**query, "limit": str(min(limit or PAGE, PAGE))}
        with self._exchange:
            while asked and (limit is None or len(found) < limit):
                page = self._get("runs/", asked)
                found += [StoredRun(fields, self) for fields in page["results"]]
                asked = dict(parse_qsl(urlsplit(page["next"] or "").query))
        return Runs(found[:limit])

    def run(self, run_id: str) -> StoredRun:
        """One run by its id."""
        with self._exchange:
            return StoredRun(self._get(f"runs/{run_id}/"), self)

    def summaries(self, run_id: str) -> dict[str, dict]:
        with self._exchange:
            answer = self._get(f"runs/{run_id}/metrics/")
        summaries = {}
        for series in answer["results"]:
            summary = {key: number(value) for key, value in series.items()}
            summary["last_time"] /= 1000
            summaries[summary.pop("name")] = summary
        return summaries

    def history(self, run_id: str, metric: str) -> Points:
        points = Points(metric, [], [], [])
        after: int | None = 0
        with self._exchange:
            while after is not None:
                query = {"metric": metric, "after": str(after), "limit": str(POINTS_A_REQUEST)}
                piece = self._get(f"runs/{run_id}/history/", query)["metrics"][metric]
                points.steps.extend(piece["steps"])
                points.times.extend(time / 1000 for time in piece["times"])
                points.values.extend(map(float, piece["values"]))
                after = piece["next"]
        return points

    def _get(self, path: str, query: dict[str, str] | None = None) -> dict:
        """The body of an answer that is ok; ReadError otherwise. Patient with a busy server."""
        address = f"{path}?{urlencode(query)}" if query else path
        backoff = Backoff()
        while True:
            try:
                return checked(self._exchange.call("GET", address))
            except NotLetIn as refusal:
                raise ReadError(str(refusal), refusal.status) from refusal
            except Later as trouble:
                if backoff.failures + 1 >= ATTEMPTS:
                    raise ReadError(str(trouble)) from trouble
                sleep(backoff.next_wait(trouble.wait))


def runs(
    experiment: str | None = None,
    q: str | None = None,
    *,
    order: str | None = None,
    limit: int | None = None,
    fields: Sequence[str] | str | None = None,
    url: str | None = None,
    token: str | None = None,
    **filters: str,
) -> Runs:
    """The runs of an experiment (name or id), or of all that one may see, newest first.

    `q` is a query of the filter language; `order` an attribute, `params.<name>` or
    `metrics.<name>`, with a `-` in front for the greatest first; `filters` are those of the API:
    `status`, `owner`, `tag`, `search` …. `fields` names the params and metrics to bring; without
    it they come up to 100 each. ReadError when it cannot be had.
    """
    query = {"experiment": experiment, "q": q, "ordering": order, **filters}
    if fields is not None:
        named = [fields] if isinstance(fields, str) else fields
        query["fields"] = ",".join(["name", "status", "started", *named])
    asked = {name: str(value) for name, value in query.items() if value is not None}
    return Reader(url, token).runs(asked, limit)


def get_run(id: uuid.UUID | str, *, url: str | None = None, token: str | None = None) -> StoredRun:
    """One run by its id, or by the address of its page; ReadError when it cannot be had."""
    last = urlsplit(str(id)).path.rstrip("/").rpartition("/")[2]
    try:
        run_id = str(uuid.UUID(last))
    except ValueError:
        text = f"{str(id)!r} is no run's id, which is a UUID, nor the address of a run's page."
        raise ReadError(text) from None
    return Reader(url, token).run(run_id)


def checked(answer: Answer) -> dict:
    """The body, unless it was a refusal."""
    if answer.ok:
        return answer.body
    if "unknown parameters" in answer.sentence and OURS.issuperset(answer.details):
        raise ReadError(
            f"The server is older than this client: it does not know {', '.join(answer.details)}.",
            answer.status,
        )
    raise ReadError(answer.sentence, answer.status)


def number(value: object) -> object:
    """A number as the API writes it; NaN and infinities come as texts."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def row(run: StoredRun) -> dict:
    """A run as one row of a table."""
    cells = {}
    for name, value in run.items():
        if name in ("params", "metrics", "tags"):
            cells.update({f"{name}.{key}": inner for key, inner in value.items()})
        elif isinstance(value, dict):
            cells[name] = value.get("name")
        elif name in TIMES and value is not None:  # Python reads a `Z` only since 3.11
            cells[name] = datetime.fromisoformat(value.replace("Z", "+00:00"))
        else:
            cells[name] = value
    return cells


def import_pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install pandas") from error
    return pandas

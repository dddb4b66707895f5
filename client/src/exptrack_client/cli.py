"""`exptrack`: log in, look at runs, send what was logged offline."""

from __future__ import annotations

import argparse
import getpass
import json
import math
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from time import monotonic

from exptrack_client import login
from exptrack_client.folder import REFUSED, folders
from exptrack_client.leftovers import chosen, sync_file
from exptrack_client.names import number_text
from exptrack_client.reading import ReadError, StoredRun, runs
from exptrack_client.spool import NoSpool, Spool
from exptrack_client.transport import VERSION, Exchange, Later, NotLetIn, Transport, base_url

METRICS_SHOWN = 4
SAY_EVERY = 5.0
REDRAW_EVERY = 0.1


class Failed(Exception):
    """Something a person can mend; the message says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 not all of it, 2 asked for wrongly."""
    asked = parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
    try:
        return asked.work(asked)
    except (Failed, Later, NotLetIn, ReadError, ValueError) as fault:
        if getattr(asked, "json", False):
            print(json.dumps({"error": str(fault)}))
        print(f"exptrack: {fault}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `exptrack runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("exptrack: broken off; what is left stays for another time.", file=sys.stderr)
        return 130


def joined(arguments: Sequence[str]) -> list[str]:
    """`--order -metrics.loss` as one word: argparse would take the second for an option."""
    words: list[str] = []
    for word in arguments:
        if words[-1:] == ["--order"] and word[:1] == "-" != word[1:2]:
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    whole = argparse.ArgumentParser(prog="exptrack", description=__doc__)
    whole.add_argument("--version", action="version", version=f"exptrack-client {VERSION}")
    commands = whole.add_subparsers(required=True, metavar="command")

    def command(name: str, work: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(work=work)
        return added

    asked = command("login", log_in, "keep the address of a server and a token for it")
    asked.add_argument("url", nargs="?", help="the server's address")

    asked = command("runs", list_runs, "list runs, newest first")
    asked.add_argument("experiment", nargs="?", help="its name or id; all, if none")
    asked.add_argument("-q", metavar="QUERY", help='as in the search box: "metrics.loss < 0.1"')
    asked.add_argument("--order", help="such as -metrics.accuracy: the greatest first")
    asked.add_argument("--fields", help="params and metrics to show: params.lr,metrics.loss")
    asked.add_argument("--limit", type=int, default=20, help="at most so many; 20, if not given")
    asked.add_argument("--url", help="of another server than usual")
    asked.add_argument("--json", action="store_true", help="for programs")

    asked = command("sync", sync, "send what was logged offline or could not be sent")
    asked.add_argument("paths", nargs="*", help="spools, or folders of them; yours, if none")
    asked.add_argument("--url", help="send to this server, whichever it was logged for")
    asked.add_argument("--keep", action="store_true", help="do not delete what was sent")
    asked.add_argument("--quiet", action="store_true", help="no progress")
    asked.add_argument("--json", action="store_true", help="for programs")

    asked = command("offline-status", offline_status, "what waits here to be sent")
    asked.add_argument("paths", nargs="*", help="spools, or folders of them; yours, if none")
    asked.add_argument("--json", action="store_true", help="for programs")
    return whole


# --- Logging in ------------------------------------------------------------------------------


def log_in(asked: argparse.Namespace) -> int:
    """Ask for a token, try it, and keep it."""
    address = base_url(login.known_url(asked.url))
    print(f"Make a token at {address}/account/ and paste it here.", file=sys.stderr)
    token = (getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not token:
        raise Failed("no token was given; nothing is changed")
    me = called(Exchange(Transport(address, token)), "GET", "me/")
    path = login.save(address, token)
    who = cell_text(me.get("user", "?"))
    print(f"Logged in to {address} as {who}. Kept in {path}.")
    for name, kept in (("EXPTRACK_URL", address), ("EXPTRACK_TOKEN", token)):
        if (os.environ.get(name) or kept).strip().rstrip("/") != kept:
            print(f"{name} is set to another: it goes before what is kept.", file=sys.stderr)
    return 0


def called(exchange: Exchange, method: str, path: str) -> dict:
    """The body of an answer that is ok; Failed otherwise."""
    with exchange:
        answer = exchange.call(method, path)
    if not answer.ok:
        raise Failed(f"{exchange.base}: {answer.sentence}")
    return answer.body


# --- Runs ------------------------------------------------------------------------------------


def list_runs(asked: argparse.Namespace) -> int:
    """The runs asked for, as a table or as JSON."""
    if asked.limit < 1:
        raise Failed("--limit is at least 1")
    fields = list(dict.fromkeys(asked.fields.split(","))) if asked.fields else []
    where = [] if asked.experiment else ["experiment"]
    shown = list(dict.fromkeys([*where, *fields, "duration"])) if fields else None
    found = runs(
        asked.experiment,
        asked.q,
        order=asked.order,
        limit=asked.limit,
        fields=shown,
        url=asked.url,
    )
    if asked.json:
        print(json.dumps({"runs": [plain(run) for run in found]}))
    elif not found:
        print("No runs found.")
    else:
        metrics = [f"metrics.{name}" for name in first_metrics(found)]
        columns = list(dict.fromkeys([*where, *(fields or metrics)]))
        headings = ["id", "name", "status", "started", "took", *columns]
        print(table(headings, [cells(run, columns) for run in found]))
        if len(found) == asked.limit:
            print(f"The first {asked.limit:,}; --limit shows more.")
    return 0


def first_metrics(found: Sequence[StoredRun]) -> list[str]:
    """The metrics to show when none was asked for: a few that most runs have."""
    counts: dict[str, int] = {}
    for run in found:
        for name in run["metrics"]:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))[:METRICS_SHOWN]


def cells(run: StoredRun, columns: Sequence[str]) -> list[object]:
    """A run as a row of the table."""
    always = [run["id"], run["name"], run["status"], age_text(run["started_at"])]
    return [*always, duration_text(run["duration"]), *(cell(run, column) for column in columns)]


def cell(run: StoredRun, column: str) -> object:
    """What a run has of one field: a value, how long ago a time was, an experiment's name."""
    if f"{column}_at" in run:
        return age_text(run[f"{column}_at"])
    kind, _, name = column.partition(".")
    values = run.get(kind)
    return values.get(name.strip("`") or "name") if isinstance(values, dict) else values


def plain(value: object) -> object:
    """What JSON can say of a value: numbers that are not finite as the API's texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return number_text(value)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return value


# --- Offline ---------------------------------------------------------------------------------


def sync(asked: argparse.Namespace) -> int:
    """Send every spool, one after another; say what became of each."""
    exchange = Exchange(login.transport(asked.url))
    progress = Progress(asked.quiet or asked.json)
    outcomes = []
    for path in chosen(asked.paths, folders()):
        outcome = sync_file(
            path,
            exchange,
            any_url=bool(asked.url or asked.paths),
            keep=asked.keep,
            show=progress.show,
        )
        progress.clear()
        outcomes.append(outcome)
        if not asked.json:
            print(outcome.sentence)
    exchange.close()
    if asked.json:
        print(json.dumps({"spools": [outcome.as_json() for outcome in outcomes]}))
    elif not outcomes:
        print("Nothing waits to be sent.")
    return 0 if all(outcome.is_done or outcome.state == "live" for outcome in outcomes) else 1


def offline_status(asked: argparse.Namespace) -> int:
    """List the spools; nothing is sent or changed."""
    found = [status_of(path) for path in chosen(asked.paths, folders())]
    if asked.json:
        print(json.dumps({"spools": found}))
        return 0
    if not found:
        print("Nothing waits to be sent.")
    else:
        shown = {"bytes": size_text, "begun": age_text}
        names = ("run_id", "experiment", "points", "bytes", "begun", "state", "url")
        rows = [[shown.get(name, plain)(spool[name]) for name in names] for spool in found]
        print(table(["run", "experiment", "points", "size", "begun", "state", "server"], rows))
    for folder in folders():
        refused = [path for path in (folder / REFUSED).glob("*") if path.is_file()]
        if refused and not asked.paths:
            print(
                f"What was refused is kept in {folder / REFUSED}, {len(refused):,} in number. "
                "Each says why; delete what is of no use."
            )
    return 0


def status_of(path: object) -> dict:
    """What a spool holds, as far as it can be read."""
    found = {"path": str(path), "run_id": "", "experiment": "", "points": None, "bytes": 0}
    found |= {"begun": None, "state": "unreadable", "url": ""}
    try:
        found["bytes"] = path.stat().st_size
        spool = Spool.open(path, only_look=True)
    except (NoSpool, OSError) as error:
        return {**found, "state": f"unreadable: {error}"}
    spool.close()
    ended = "complete" if spool.has_end else "broken off"
    return {
        **found,
        "run_id": spool.run_id,
        "experiment": str(spool.opening.get("experiment", "")),
        "points": spool.points,
        "begun": spool.opening.get("started_at"),
        "state": "being written" if spool.is_live else ended,
        "url": spool.url,
    }


# --- What a person reads in a terminal -------------------------------------------------------


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns under their headings; numbers to the right."""
    texts = [[cell_text(cell) for cell in row] for row in rows]
    widths = [
        max(len(heading), *(len(row[place]) for row in texts)) if texts else len(heading)
        for place, heading in enumerate(headings)
    ]
    is_number = [
        bool(rows) and all(isinstance(row[place], (int, float, type(None))) for row in rows)
        for place in range(len(headings))
    ]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number)
        )
        return "  ".join(aligned).rstrip()

    return "\n".join(line(cells) for cells in [list(headings), *texts])


def cell_text(value: object) -> str:
    """A value in a table; what a stranger typed must not move the cursor."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "".join(char if char.isprintable() else " " for char in str(value))


def size_text(count: int) -> str:
    """Bytes as a person says them."""
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def age_text(moment: str | None) -> str:
    """How long ago an RFC 3339 time was."""
    try:
        then = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
        seconds = max((datetime.now(timezone.utc) - then).total_seconds(), 0)
    except (TypeError, ValueError):
        return "-"
    return f"{duration_text(seconds)} ago"


def duration_text(seconds: float | None) -> str:
    """Seconds as one or two units."""
    if seconds is None:
        return "-"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}h"
    if hours:
        return f"{hours}h {minute}m"
    return f"{minutes}m {second}s" if minutes else f"{second}s"


class Progress:
    """One line that says how far it is: redrawn on a terminal, now and then a new one in a log."""

    def __init__(self, quiet: bool) -> None:
        self._is_drawn = sys.stderr is not None and sys.stderr.isatty()
        self._quiet = quiet or sys.stderr is None
        self._width = 0
        self._next_at = monotonic() + (0 if self._is_drawn else SAY_EVERY)

    def show(self, text: str) -> None:
        """The state now; not every one is shown."""
        if self._quiet or monotonic() < self._next_at:
            return
        self._next_at = monotonic() + (REDRAW_EVERY if self._is_drawn else SAY_EVERY)
        if self._is_drawn:
            print(f"\r{text.ljust(self._width)}", end="", file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away, for others to be written."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
            self._width = 0

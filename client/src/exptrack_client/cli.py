"""`exptrack`: log in, look at runs, send what was logged offline."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Sequence

from exptrack_client import login, tables
from exptrack_client.exchange import Exchange, Later, NotLetIn
from exptrack_client.folder import REFUSED, folders
from exptrack_client.spool import NoSpool, Spool
from exptrack_client.sync import chosen, sync_file
from exptrack_client.transport import Transport, base_url
from exptrack_client.version import VERSION


class Failed(Exception):
    """Something a person can mend; the message says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 not all of it, 2 asked for wrongly."""
    asked = parser().parse_args(arguments)
    try:
        return asked.work(asked)
    except (Failed, Later, NotLetIn, ValueError) as fault:
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
    who = me.get("user", {})
    name = who.get("username") if isinstance(who, dict) else who
    print(f"Logged in to {address}{f' as {name}' if name else ''}. Kept in {path}.")
    return 0


def called(exchange: Exchange, method: str, path: str) -> dict:
    """The body of an answer that is ok; Failed otherwise."""
    try:
        answer = exchange.call(method, path)
    finally:
        exchange.close()
    if not answer.ok:
        raise Failed(f"{exchange.base}: {answer.sentence}")
    return answer.body


# --- Offline ---------------------------------------------------------------------------------


def sync(asked: argparse.Namespace) -> int:
    """Send every spool, one after another; say what became of each."""
    exchange = Exchange(login.transport(asked.url))
    progress = tables.Progress(asked.quiet or asked.json)
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
        rows = [
            [
                *(spool["run_id"], spool["experiment"], spool["points"]),
                *(tables.size_text(spool["bytes"]), tables.age_text(spool["begun"])),
                *(spool["state"], spool["url"]),
            ]
            for spool in found
        ]
        headings = ["run", "experiment", "points", "size", "begun", "state", "server"]
        print(tables.table(headings, rows))
    for folder in folders():
        refused = [path for path in (folder / REFUSED).glob("*") if path.is_file()]
        if refused and not asked.paths:
            print(f"{len(refused):,} refused requests are kept in {folder / REFUSED}.")
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


if __name__ == "__main__":
    sys.exit(main())

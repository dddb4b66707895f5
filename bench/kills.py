"""Kill, by SIGKILL and at random moments, gunicorn's workers or the whole PostgreSQL server,
while clients log with a ledger; then count what is lost, doubled, stored in part or never sent.

With `--forgetful` PostgreSQL answers before it has written (synchronous_commit=off): the
positive control, which must lose batches, or the method would see nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clients import Group
from ledger import DUPLICATE, Load, Seen, Verdict, audit, drifted, log, read_ledgers, stored_values
from served import Served, arguments, machine, served

if TYPE_CHECKING:
    from exptrack.tests.postgres import PostgresServer
    from exptrack.tests.servers import GunicornServer

# Stored; the database is away; the worker is away.
EXPECTED = (
    *(200, 503, DUPLICATE),
    *("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError", "ConnectionRefusedError"),
    "IncompleteRead",
)
DOWN = 0.3  # seconds until PostgreSQL is started again
FORGETFUL = {
    "synchronous_commit": "off",
    # Longer than the test: what is not flushed for another reason is lost.
    "wal_writer_delay": "10s",
}


# Kills something and returns the moment at which it was dead, by the machine's clock.
Strike = Callable[[random.Random], float]


@dataclass(frozen=True)
class Result:
    """What came of it: the verdict, summaries that do not fit, the kills, and what the clients
    saw."""

    verdict: Verdict
    drifted: list[str]
    killed_at: list[float]
    seen: list[Seen]

    @property
    def answers(self) -> Counter:
        return sum((one.answers for one in self.seen), Counter())

    @property
    def unexpected(self) -> Counter:
        """Answers that no client should get while something is down."""
        return Counter(
            {status: n for status, n in self.answers.items() if status not in EXPECTED and n}
        )

    @property
    def is_clean(self) -> bool:
        return self.verdict.is_clean and not self.drifted and not self.unexpected

    @property
    def recoveries(self) -> list[float]:
        """Seconds from each kill to the next batch accepted of any client."""
        accepted = sorted(moment for one in self.seen for moment in one.accepted_at)
        return [
            next((moment - dead for moment in accepted if moment > dead), float("inf"))
            for dead in self.killed_at
        ]

    @property
    def longest_gap(self) -> float:
        """Seconds between two accepted batches of one client, at most."""
        return max(
            after - before
            for one in self.seen
            for before, after in zip(one.accepted_at, one.accepted_at[1:], strict=False)
        )


def run_load(load: Load, clients: int, kills: int, strike: Strike) -> Result:
    """Clients log while `strike` is called at random moments."""
    drawn = random.Random(load.seed)
    logging = Group(clients, log, load)
    try:
        killed_at = []
        for _ in range(kills):
            wait_for_accepted(load, clients)
            time.sleep(drawn.uniform(0.05, 0.95))
            killed_at.append(strike(drawn))
        wait_for_accepted(load, clients)
    finally:
        load.stop.touch()
        seen = logging.results()
    from django.db import connections

    connections.close_all()  # the one from before the kills is dead
    verdict = audit(read_ledgers(load, clients), stored_values(load.run))
    return Result(verdict, drifted(load.run), killed_at, seen)


def wait_for_accepted(load: Load, clients: int) -> None:
    """Return once every client has had another batch accepted."""
    deadline = time.monotonic() + 60
    ledgers = [load.ledger(client) for client in range(clients)]
    before = [accepted_in(ledger) for ledger in ledgers]
    while any(accepted_in(path) <= count for path, count in zip(ledgers, before, strict=True)):
        if time.monotonic() > deadline:
            raise TimeoutError("The clients do not get a batch accepted.")
        time.sleep(0.05)


def accepted_in(ledger: Path) -> int:
    """How many batches a ledger calls accepted."""
    return ledger.read_text().count("accepted") if ledger.exists() else 0


def kill_workers(gunicorn: GunicornServer) -> Strike:
    """Kills one of gunicorn's workers, one time in four all of them."""

    def strike(drawn: random.Random) -> float:
        workers = gunicorn.workers()
        for pid in (
            workers if drawn.random() < 0.25 else drawn.sample(workers, min(1, len(workers)))
        ):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # gone by itself since
        return time.monotonic()

    return strike


def kill_postgres(server: PostgresServer) -> Strike:
    """Kills the postmaster and all its children, and starts it again."""

    def strike(drawn: random.Random) -> float:
        server.kill()
        dead = time.monotonic()
        time.sleep(DOWN)
        server.start()
        return dead

    return strike


def make_forgetful(server: PostgresServer) -> None:
    """Let it answer a commit before it is written."""
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name, value in FORGETFUL.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    server.restart()


def report(result: Result) -> str:
    """The figures."""
    verdict, recoveries = result.verdict, result.recoveries
    return (
        f"{len(result.killed_at)} kills\n"
        f"batches: {verdict.sent:,} sent, {verdict.accepted:,} accepted; "
        f"lost {verdict.lost}, doubled {verdict.doubled}, partial {verdict.partial}, "
        f"never sent {verdict.ghosts}\n"
        f"summaries that do not fit their points: {result.drifted or 'none'}\n"
        f"answers: {dict(result.answers)}\n"
        f"next batch accepted after a kill: median {statistics.median(recoveries):.2f} s, "
        f"at most {max(recoveries):.2f} s; longest gap of a client {result.longest_gap:.2f} s"
    )


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--target", choices=("workers", "postgres"), default="workers")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--forgetful", action="store_true", help="synchronous_commit=off")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="new by default")
    options = parser.parse_args()
    if options.database == "sqlite" and (options.target == "postgres" or options.forgetful):
        parser.error("SQLite has no server of its own: --target workers, without --forgetful.")
    return options


def measure(server: Served, folder: Path, options: argparse.Namespace) -> Result:
    """One run of what was asked for."""
    load = Load(server.url, server.secret, server.new_run("ledger"), folder, options.seed)
    if options.forgetful:
        make_forgetful(server.postgres)
    if options.target == "postgres":
        strike = kill_postgres(server.postgres)
    else:
        strike = kill_workers(server.gunicorn)
    return run_load(load, options.clients, options.kills, strike)


def main() -> None:
    options = parsed()
    what = f"{options.target}{', forgetful' if options.forgetful else ''}"
    print(f"{options.database}, killing {what}; {machine()}; seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="exptrack-ledgers-"))
    try:
        with served(options.database, workers=options.workers, threads=options.threads) as server:
            result = measure(server, folder, options)
    finally:
        shutil.rmtree(folder)
    print(report(result))
    raise SystemExit(not result.is_clean)


if __name__ == "__main__":
    main()

"""Clients that write down what they send before they send it, and an audit of what is stored.

Each batch holds points of a series that all clients share and of one that is the client's own.
Its number is in a fsynced file before the request leaves and is marked there on a 2xx; so
whatever is killed, the files know what must be stored, and what may be.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clients import Script, log_path, meet

SHARED = "shared"
SIZES = (1, 2, 3, 10, 30, 100)
DUPLICATE = "stored before the answer was lost"
PAUSE = 0.05  # seconds before a request is sent again
PATIENCE = 60  # seconds a client insists on a batch


# --- Logging ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """Who logs where; each client until the file `stop` is in the folder of the ledgers."""

    url: str
    secret: str
    run: uuid.UUID
    folder: Path
    seed: int

    @property
    def stop(self) -> Path:
        return self.folder / "stop"

    def ledger(self, client: int) -> Path:
        return self.folder / f"client-{client}"


@dataclass(frozen=True)
class Seen:
    """What a client saw: answers by status or error, how often the server had forgotten a batch
    it had accepted, and the moments of the accepted ones, by the machine's clock."""

    answers: Counter
    forgotten: int
    accepted_at: list[float]


class Ledger:
    """The file of one client."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def sent(self, batch: int, size: int) -> None:
        """Write down a batch that is about to be sent."""
        self._write(f"sent {batch} {size}\n")

    def accepted(self, batch: int) -> None:
        """Mark a batch that the server has accepted."""
        self._write(f"accepted {batch}\n")

    def _write(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())


def identity(client: int, batch: int, index: int) -> float:
    """The value of a point: who, in which batch, as which of it."""
    return float((client * 2**32 + batch) * 2**8 + index)


def read_identity(value: float) -> tuple[int, int, int]:
    """Client, batch and index of a point."""
    rest, index = divmod(int(value), 2**8)
    return *divmod(rest, 2**32), index


def log(client: int, load: Load) -> Seen:
    """Log batch after batch, each until it is accepted, until told to stop."""
    drawn, script = random.Random(f"{load.seed} {client}"), Script(load.url, load.secret)
    ledger, answers, accepted_at = Ledger(load.ledger(client)), Counter(), []
    batch = forgotten = seq = 0
    meet()
    while not load.stop.exists():
        batch, seq, size = batch + 1, seq + 1, drawn.choice(SIZES)
        metrics = points_of(client, batch, size)
        ledger.sent(batch, size)
        writer = f"{client}-{forgotten}"
        status = insist(script, load, answers, {"writer": writer, "seq": seq, "metrics": metrics})
        if status == 409:  # it expects an earlier one, which it had accepted
            forgotten, seq = forgotten + 1, 1
            again = {"writer": f"{client}-{forgotten}", "seq": seq, "metrics": metrics}
            status = insist(script, load, answers, again)
        if status != 200:
            break
        ledger.accepted(batch)
        accepted_at.append(time.monotonic())
    return Seen(answers, forgotten, accepted_at)


def points_of(client: int, batch: int, size: int) -> dict:
    """The metrics of a batch."""
    columns = {
        "steps": list(range(size)),
        "values": [identity(client, batch, index) for index in range(size)],
    }
    return {SHARED: columns, f"own/{client}": columns}


def insist(script: Script, load: Load, answers: Counter, batch: dict) -> int | None:
    """Send a batch until it is accepted, or refused for good; its status, None when neither
    came in time."""
    body, deadline = json.dumps(batch).encode(), time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            status, answer = script.post(log_path(load.run), body)
        except (OSError, http.client.HTTPException) as error:
            answers[type(error).__name__] += 1
        else:
            answers[status] += 1
            answers[DUPLICATE] += b'"duplicate":true' in answer
            if status < 500 and status != 429:
                return status
        time.sleep(PAUSE)
    return None


# --- Audit -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entries:
    """What a ledger says: the size of each batch sent, and those accepted. A batch is
    (client, number)."""

    sizes: Mapping[tuple[int, int], int]
    accepted: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Verdict:
    """Batches sent and accepted, and what is wrong: accepted and not stored, a point stored
    twice, stored in part, stored and never sent."""

    sent: int
    accepted: int
    lost: int
    doubled: int
    partial: int
    ghosts: int

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.partial or self.ghosts)


def read_ledgers(load: Load, clients: int) -> Entries:
    """The ledgers of all clients as one."""
    sizes, accepted = {}, set()
    for client in range(clients):
        for line in load.ledger(client).read_text().splitlines():
            word, batch, *size = line.split()
            if word == "sent":
                sizes[client, int(batch)] = int(size[0])
            else:
                accepted.add((client, int(batch)))
    return Entries(sizes, frozenset(accepted))


def audit(entries: Entries, stored: Mapping[str, Iterable[float]]) -> Verdict:
    """Hold the stored values, by series, against the ledgers."""
    copies = {name: counted(values) for name, values in stored.items()}
    lost = doubled = partial = 0
    for batch, size in entries.sizes.items():
        both = [copies.get(name, {}).get(batch, {}) for name in (SHARED, f"own/{batch[0]}")]
        complete = [set(indices) == set(range(size)) for indices in both]
        doubled += any(count > 1 for indices in both for count in indices.values())
        if any(both) and not all(complete):
            partial += 1
        elif batch in entries.accepted and not any(both):
            lost += 1
    ghosts = {batch for found in copies.values() for batch in found} - entries.sizes.keys()
    return Verdict(len(entries.sizes), len(entries.accepted), lost, doubled, partial, len(ghosts))


def counted(values: Iterable[float]) -> dict[tuple[int, int], Counter]:
    """By batch, how often each of its points is there."""
    found = defaultdict(Counter)
    for value in values:
        client, batch, index = read_identity(value)
        found[client, batch][index] += 1
    return found


def stored_values(run: uuid.UUID) -> dict[str, list[float]]:
    """The values of each of a run's series, as stored."""
    from experiments import reading
    from experiments.models import Metric

    return {
        metric.name: [v for points in reading.blocks(metric) for v in points.values.tolist()]
        for metric in Metric.objects.filter(run=run).select_related("tail")
    }


def drifted(run: uuid.UUID) -> list[str]:
    """What a run's summaries say against its points."""
    from experiments.models import Metric
    from experiments.upkeep import verify_metric

    metrics = Metric.objects.filter(run=run).select_related("tail")
    return [f"{metric.name}: {fault}" for metric in metrics for fault in verify_metric(metric)]

"""From the spool to the server: each record at most once, whatever answers come.

Records that wait go together: the server keeps the number of each, so they may as well go alone.
A writer's numbers are used up in order. A record that cannot be taken as it is gives its number
to an empty batch, and what is in it goes under names derived from it, each with the number 1.
Everything sent follows from the record alone, so that a second sender of the same spool, or of a
copy, sends the same and adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from exptrack_client.folder import keep_refused
from exptrack_client.notices import Notices, say
from exptrack_client.records import END, Record
from exptrack_client.transport import Answer, Exchange, Later, packed, unpacked, unpacked_size

MOST_DETOURS = 3
# Of text, in one request. A full record goes alone: packing it anew costs more than its request.
JOINED_BYTES = 1 << 19
JOINED_RECORDS = 1_000
# A number no writer reaches: the refusal names the one that the server expects.
FAR_SEQ = 2**62


class Box(Protocol):
    """What records come from: a live run's Outbox or a spool left behind."""

    refused: int

    def confirm(self, record: Record, points: int) -> None: ...

    def following(self, record: Record) -> Record | None: ...

    def go_to(self, seq: int) -> int: ...


class Delivery:
    """Sends one run's records."""

    def __init__(self, exchange: Exchange, run_id: str, box: Box, folder: Path | None) -> None:
        """Refused requests are kept in `folder`, if there is one."""
        self.last_refusal = ""  # why something was refused, if anything was
        self.kept: list[Path] = []  # where
        self.largest = 0  # points of a batch that something between here and there took, halved
        self._exchange = exchange
        self._run_path = f"runs/{run_id}/"
        self._run_id = run_id
        self._box = box
        self._folder = folder
        self._detours = 0
        self._alone = 0  # so many records go one by one: together they were refused
        self._most_bytes = JOINED_BYTES
        self._notices = Notices()

    def deliver(self, record: Record) -> None:
        """Bring a record to the server, and those behind it that can go along, and confirm them
        to the box; Later or NotLetIn when that cannot be done now. After a gap it may have been
        another record's turn: go on by what the box gives next."""
        if record.kind == END:
            self._end(record)
        elif self._alone:
            self._alone -= 1
            self._deliver_alone(record)
        elif len(records := list(self._in_a_row(record))) > 1:
            self._deliver_together(records)
        else:
            self._deliver_alone(record)

    def _in_a_row(self, record: Record | None) -> Iterator[Record]:
        """A record, and those behind it that fit into the same request and are points too."""
        size = 0
        for _ in range(JOINED_RECORDS):
            if record is None or not record.points:
                return
            size += unpacked_size(record.body)
            if size > self._most_bytes:
                return
            yield record
            record = self._box.following(record)

    def _deliver_together(self, records: list[Record]) -> None:
        """One request for several records. What is refused so goes one by one, which tells why."""
        texts = ",".join([unpacked(record.body) for record in records])
        answer = self._log(packed(f'{{"batches":[{texts}]}}'))
        if answer.ok:
            for record in records:
                self._box.confirm(record, record.points)
            return
        self._alone = len(records)
        if answer.status == 413:
            self._most_bytes = len(texts) // 2

    def _deliver_alone(self, record: Record) -> None:
        answer = self._log(record.body)
        if answer.ok:
            self._detours = 0
            self._box.confirm(record, record.points)
        elif answer.error.get("code") == "sequence_gap":
            self._close_gap(record, answer)
        elif answer.status == 422 and self._use_up(record):
            self._box.confirm(record, record.points)  # an empty batch has it: it was sent apart
        elif answer.status in (413, 422) or len(changes(record)) > 1:
            self._send_apart(record, answer)
        else:
            self._refuse(record.writer, record.seq, record.points, record.body, answer)
            self._use_up(record)
            self._box.confirm(record, 0)

    def expected(self, writer: str) -> int:
        """The number that the server expects of a writer next; 1 when it has none of it."""
        answer = self._log(packed(empty_batch(writer, FAR_SEQ)))
        expected = answer.details.get("expected")
        if not isinstance(expected, int):
            raise Later(f"the server does not tell what it has: {answer.sentence}")
        return expected

    # --- What may come between ----------------------------------------------------------------

    def _close_gap(self, record: Record, answer: Answer) -> None:
        """The server lacks earlier records: it went back to a backup. Go back to what there
        still is; numbers that nobody has any more are used up."""
        expected = answer.details.get("expected")
        self._detours += 1
        if self._detours > MOST_DETOURS or not isinstance(expected, int):
            self._detours = 0
            raise Later(answer.sentence)
        first = self._box.go_to(expected)
        for seq in range(expected, first):
            self._log(packed(empty_batch(record.writer, seq)))
        if first > expected:
            say(f"the server no longer has {first - expected} batches that it had confirmed")

    def _send_apart(self, record: Record, answer: Answer) -> None:
        """A batch was too large for something on the way, its number is taken by another body, or
        one of its params was refused: send it in pieces."""
        stored = record.points
        if answer.status != 413 or self.expected(record.writer) <= record.seq:
            if answer.status == 413:
                self.largest = max(record.points // 2, 1)
            content = json.loads(unpacked(record.body))
            stored -= sum(self._send_pieces(record, content, 1, whole=answer.status == 422))
            self._use_up(record)
        self._box.confirm(record, stored)

    def _send_pieces(
        self, record: Record, content: dict, place: int, whole: bool = False
    ) -> Iterator[int]:
        """Send the content whole or in pieces, as the writers numbered by `place` as in a heap;
        yields the points of each piece that was refused."""
        if not whole:
            for number, piece in enumerate(pieces(content)):
                yield from self._send_pieces(record, piece, number_of(place, number, piece), True)
            return
        name = f"{record.writer}.{record.seq}.{place}"
        body = packed(json.dumps({**content, "writer": name, "seq": 1}, separators=(",", ":")))
        answer = self._log(body)
        if answer.status == 413 and len(list(pieces(content))) > 1:
            yield from self._send_pieces(record, content, place)
        elif not answer.ok and answer.status != 422:
            self._refuse(name, 1, count_points(content), body, answer)
            yield count_points(content)

    def _refuse(self, writer: str, seq: int, points: int, body: bytes, answer: Answer) -> None:
        """Keep what the server will not take, and say why."""
        self._box.refused += points
        self.last_refusal = answer.sentence
        content = json.loads(unpacked(body))
        names = [*content.get("params", {}), *content.get("tags", {})]
        if names:
            kind = "param" if "params" in content else "tag"
            self._notices.once(kind, f"{kind} {names[0]!r} was not taken: {answer.sentence}")
        else:
            self._notices.once("refused", f"points were refused: {answer.sentence}")
        if self._folder is not None:
            path = keep_refused(
                self._folder, f"{writer}-{seq}", self._run_id, answer.sentence, body
            )
            self.kept += [path] if path else []

    def _use_up(self, record: Record) -> bool:
        """Let an empty batch have the record's number; False when another body has it."""
        return self._log(packed(empty_batch(record.writer, record.seq))).ok

    def _end(self, record: Record) -> None:
        answer = self._exchange.send("POST", f"{self._run_path}finish/", record.body)
        if not answer.ok:
            say(f"the run's end was not taken: {answer.sentence}")
        # So that a copy of the spool does not end the run again, after it was resumed.
        self._use_up(record)
        self._box.confirm(record, 0)

    def _log(self, body: bytes) -> Answer:
        return self._exchange.send("POST", f"{self._run_path}log/", body)


def empty_batch(writer: str, seq: int) -> str:
    """A body that uses up a number and adds nothing."""
    return f'{{"writer":"{writer}","seq":{seq}}}'


def changes(record: Record) -> dict:
    """The params or tags of a record, if it has any."""
    if record.points:
        return {}
    content = json.loads(unpacked(record.body))
    return {**content.get("params", {}), **content.get("tags", {})}


def pieces(content: dict) -> Iterator[dict]:
    """The content of a request in smaller ones: each param or tag alone, the points halved: by
    metric as long as there are several, then along the series."""
    for kind in ("params", "tags"):
        for name, value in content.get(kind, {}).items():
            yield {kind: {name: value}}
    metrics = content.get("metrics", {})
    if len(metrics) > 1:
        names = list(metrics)
        for some in (names[: len(names) // 2], names[len(names) // 2 :]):
            yield {"metrics": {name: metrics[name] for name in some}}
        return
    for name, columns in metrics.items():
        middle = (len(columns["values"]) + 1) // 2
        for part in (slice(None, middle), slice(middle, None)):
            if columns["values"][part]:
                yield {"metrics": {name: {key: column[part] for key, column in columns.items()}}}


def number_of(place: int, number: int, piece: dict) -> int:
    """The place of a piece below that of the whole."""
    return place * 2 + number if "metrics" in piece else number + 2


def count_points(content: dict) -> int:
    return sum(len(columns["values"]) for columns in content.get("metrics", {}).values())

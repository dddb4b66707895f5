"""A file that holds what one writer has to send, in order, until the server confirmed it.

A record has its number before anyone can see it and never changes, so the file, or a copy of it,
may be sent by several processes and again. The writer holds a lock while it lives; who finds it
free may cut an unfinished record off and remove the file, anyone else only reads.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from exptrack_client.names import uuid7
from exptrack_client.records import (
    END,
    FIRST,
    HEAD,
    LOG,
    MAGIC,
    OPENING,
    Record,
    end_of_broken,
    framed,
    mark,
    read_mark,
    read_record,
)
from exptrack_client.transport import packed

try:
    import fcntl
except ImportError:  # Windows: a live file cannot be told, so only its writer removes it
    fcntl = None

ENDING = ".spool"
# A file of which everything is confirmed begins anew beyond this.
TRIM_BYTES = 8 * 1024 * 1024
MOST_BYTES = 4 * 1024**3


class NoSpool(Exception):
    """This file is no spool, or nothing of it can be read."""


class SpoolFull(OSError):
    """The file may not grow further."""

    def __init__(self) -> None:
        super().__init__(errno.EDQUOT, f"the spool holds {MOST_BYTES >> 20:,} MiB already")


class Spool:
    """One writer's records. Threads may append and read at once."""

    def __init__(self, path: Path, file: object, *, is_ours: bool, is_live: bool = False) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.is_ours = is_ours  # we hold the lock: nobody else appends
        self.is_live = is_live  # another process holds it, or no one can tell
        self.run_id = self.writer = self.url = ""
        self.opening: dict = {}  # what creates the run, if this writer is to
        self.has_end = False
        self.points = 0  # not confirmed yet
        self.cut = 0  # bytes of an unfinished record at the end, or of broken ones, left out
        self._file = file
        self._end = FIRST  # where the next record goes
        self._at = FIRST  # the first record that is not confirmed
        self._next_seq = 1
        self._lock = threading.RLock()

    # --- Made, found, gone --------------------------------------------------------------------

    @classmethod
    def create(cls, folder: Path, *, run_id: str, url: str, opening: dict | None) -> Spool:
        """A new file for a new writer; OSError when there cannot be one."""
        writer = str(uuid7())  # sorts by time: files are sent in the order they were begun
        path = folder / f"{writer}{ENDING}"
        spool = cls(path, private_file(path), is_ours=True)
        spool.run_id, spool.writer, spool.url = run_id, writer, url
        spool.opening = opening or {}
        try:
            spool._write_beginning(spool._file)
        except BaseException:
            spool.close()
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return spool

    @classmethod
    def open(cls, path: Path, *, only_look: bool = False) -> Spool:
        """A file that is there, an unfinished record at its end cut off unless we `only_look`;
        NoSpool or OSError."""
        file, has_lock = opened(path)
        if only_look and has_lock:
            fcntl.flock(file, fcntl.LOCK_UN)
        spool = cls(path, file, is_ours=has_lock and not only_look, is_live=not has_lock)
        try:
            spool._read()
        except BaseException:
            spool.close()
            raise
        return spool

    def close(self) -> None:
        """Let go of the file; it stays."""
        with self._lock:
            self._file.close()

    def abandon(self) -> None:
        """In a forked child, whose parent has the file and perhaps the lock: close our copy."""
        with contextlib.suppress(OSError):
            self._file.close()

    def remove(self) -> None:
        """Delete the file: it holds nothing that the server does not. Only its owner can."""
        if self.is_ours:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.close()

    # --- The writer's side --------------------------------------------------------------------

    def append(self, kind: bytes, rest: str, points: int = 0) -> None:
        """Add a record; OSError, and nothing added, when there is no room. `rest` is a request to
        log/ without its beginning, which names writer and number; of an END it is all."""
        with self._lock:
            seq = self._next_seq
            body = log_body(self.writer, seq, rest) if kind == LOG else rest.encode()
            data = framed(kind, seq, points, body)
            if self._end + len(data) > MOST_BYTES:
                raise SpoolFull
            try:
                write_all(self._file, self._end, data)
            except OSError:
                with contextlib.suppress(OSError):  # what there was room for is of no use
                    self._file.truncate(self._end)
                raise
            self._end += len(data)
            self._next_seq += 1
            self.points += points
            self.has_end = self.has_end or kind == END

    def sync(self) -> None:
        """Have the system write it to the disk, against a loss of power."""
        with contextlib.suppress(OSError, ValueError):
            os.fsync(self._file.fileno())

    # --- The sender's side --------------------------------------------------------------------

    def first(self) -> Record | None:
        """The first record that is not confirmed."""
        with self._lock:
            return next(self._records(self._at), None)

    def following(self, record: Record) -> Record | None:
        """The record behind one that came from here."""
        with self._lock:
            return next(self._records(record.end), None)

    def confirm(self, record: Record) -> None:
        """The first record is at the server for good."""
        with self._lock:
            self._at = record.end
            self.points -= record.points
            if not self.is_ours:
                return
            with contextlib.suppress(OSError):  # an old mark costs repeats, nothing else
                write_all(self._file, len(MAGIC), mark(self._at))
                if self._at == self._end > TRIM_BYTES and not self.has_end:
                    self._begin_anew()

    def go_to(self, seq: int) -> int:
        """Let the first record be the one of this number, or the next one there is; returns its
        number, or what the next would have."""
        with self._lock:
            start = FIRST
            for record in self._records(FIRST):
                if record.seq >= seq:
                    self._at = start
                    self.points = sum(record.points for record in self._records(start))
                    return record.seq
                start = record.end
            self._at, self.points = self._end, 0
            return self._next_seq

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._end

    # --- The file -----------------------------------------------------------------------------

    def _read(self) -> None:
        """Find out what there is."""
        beginning = self._file.read(FIRST)
        if not beginning.startswith(MAGIC):
            raise NoSpool("it does not begin like a spool")
        size = os.fstat(self._file.fileno()).st_size
        self._end = size
        at, marked = FIRST, read_mark(beginning[len(MAGIC) :])
        for record in self._walk(size):
            self._take_in(record)
            at = record.end
            if record.end > marked and record.kind in (LOG, END):
                self.points += record.points
        self._end = at
        self._at = min(marked, at)
        if not self.writer:
            raise NoSpool("its first record cannot be read")
        if size > at and not self.is_live:  # else it may just be being written
            self.cut += size - at
            if self.is_ours:
                self._file.truncate(at)

    def _take_in(self, record: Record) -> None:
        if record.kind in (HEAD, OPENING):
            try:
                found = json.loads(record.body)
            except ValueError as error:
                raise NoSpool("its beginning is no JSON") from error
            if record.kind == OPENING:
                self.opening = found
            else:
                self.run_id, self.writer, self.url = (
                    str(found.get(name, "")) for name in ("run", "writer", "url")
                )
                self._next_seq = int(found.get("next", 1))
        else:
            self._next_seq = record.seq + 1
            self.has_end = self.has_end or record.kind == END

    def _walk(self, size: int) -> Iterator[Record]:
        """Every good record up to `size`; broken ones between good ones are left out."""
        at = FIRST
        while at < size:
            record = read_record(self._file, at, size, self.writer)
            if record is not None:
                at = record.end
                yield record
                continue
            behind = end_of_broken(self._file, at, size)
            if behind is None:
                return
            self.cut += behind - at
            at = behind

    def _records(self, at: int) -> Iterator[Record]:
        """The records to send from `at` on."""
        while at < self._end:
            record = read_record(self._file, at, self._end, self.writer)
            at = record.end if record else end_of_broken(self._file, at, self._end) or self._end
            if record is not None and record.kind in (LOG, END):
                yield record

    def _write_beginning(self, file: object) -> None:
        head = {"run": self.run_id, "writer": self.writer, "url": self.url, "next": self._next_seq}
        data = MAGIC + mark(FIRST) + framed(HEAD, 0, 0, json.dumps(head).encode())
        if self.opening:
            data += framed(OPENING, 0, 0, json.dumps(self.opening).encode())
        write_all(file, 0, data)
        self._end = self._at = len(data)

    def _begin_anew(self) -> None:
        """Put a file without the confirmed records in this one's place, at once or not at all."""
        beside = self.path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        file = private_file(beside)
        end, at = self._end, self._at
        try:
            self._write_beginning(file)
            os.replace(beside, self.path)
        except OSError:
            self._end, self._at = end, at
            file.close()
            beside.unlink()
            return
        self._file.close()
        self._file = file


def log_body(writer: str, seq: int, rest: str) -> bytes:
    """A request to log/ as it is sent. Equal arguments give equal bytes."""
    return packed(f'{{"writer":"{writer}","seq":{seq},{rest}}}')


def private_file(path: Path) -> object:
    """A new file that only this user may read, locked and unbuffered."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
    is_locked(file)
    return file


def opened(path: Path) -> tuple[object, bool]:
    """The file, and whether we hold its lock now."""
    while True:
        try:
            file = open(path, "r+b", buffering=0)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            return open(path, "rb", buffering=0), False
        try:
            has_lock = is_locked(file)
            # Its writer may have put another file in its place meanwhile.
            if not has_lock or os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file, has_lock
        except OSError:
            file.close()
            raise
        file.close()


def is_locked(file: object) -> bool:
    """Lock a file for as long as it is open; False when another process has it locked."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another, or a file system without locks: be careful
        return False
    return True


def write_all(file: object, at: int, data: bytes) -> None:
    """Write at a place; OSError when not all of it could be."""
    file.seek(at)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]

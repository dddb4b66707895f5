"""The file that holds what is to be sent: nothing whole in it is ever lost or changed."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import stat

import pytest
from exptrack_client import records, spool
from exptrack_client.folder import private_folder, spool_files, usable_folder
from exptrack_client.records import END, FIRST, LOG, read_mark
from exptrack_client.spool import NoSpool, Spool, SpoolFull
from exptrack_client.transport import unpacked

pytestmark = pytest.mark.only_on("sqlite")  # nothing here meets a database


@pytest.fixture
def folder(spool):
    return private_folder(spool)


def made(folder, count=0, opening=None):
    """A spool with so many records of two points each."""
    made = Spool.create(folder, run_id="r1", url="http://x", opening=opening)
    for number in range(count):
        made.append(LOG, f'"metrics":{{"loss":{number}}}', 2)
    return made


def contents(opened):
    """Number and metric of every record from the first unconfirmed on; they are confirmed."""
    found = []
    while (record := opened.first()) is not None:
        body = json.loads(unpacked(record.body))
        assert (body["writer"], body["seq"]) == (opened.writer, record.seq)
        found.append((record.seq, body["metrics"]["loss"]))
        opened.confirm(record)
    return found


def test_records_come_back_in_order_numbered_from_one(folder):
    written = made(folder, 3, {"experiment": "digits"})
    path = written.path
    written.close()
    opened = Spool.open(path)

    assert (opened.run_id, opened.url, opened.opening) == (
        "r1",
        "http://x",
        {"experiment": "digits"},
    )
    assert opened.points == 6
    assert contents(opened) == [(1, 0), (2, 1), (3, 2)]
    assert opened.points == 0
    opened.remove()
    assert spool_files(folder) == []


def test_what_was_confirmed_is_not_sent_again(folder):
    written = made(folder, 3)
    written.confirm(written.first())
    written.close()
    opened = Spool.open(written.path)

    assert opened.points == 4
    assert contents(opened) == [(2, 1), (3, 2)]
    opened.close()


def test_nobody_else_may_read_it(folder):
    before = os.umask(0)
    try:
        written = made(folder, 1)
    finally:
        os.umask(before)
    written.close()
    assert stat.S_IMODE(written.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_was_open_to_others_is_closed(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    assert stat.S_IMODE(private_folder(tmp_path / "open").stat().st_mode) == 0o700


def test_its_writer_keeps_others_from_owning_it_and_not_from_reading(folder):
    written = made(folder, 2)
    reader = Spool.open(written.path)

    assert reader.is_live
    assert not reader.is_ours
    assert contents(reader) == [(1, 0), (2, 1)]
    reader.remove()
    assert spool_files(folder) == [written.path]
    assert written.points == 4
    written.close()


@pytest.mark.parametrize("missing", [1, 5, 20, 30])
def test_a_half_written_last_record_is_cut_and_costs_nothing_before_it(folder, missing):
    written = made(folder, 3)
    written.close()
    os.truncate(written.path, written.path.stat().st_size - missing)
    looked = Spool.open(written.path, only_look=True)
    looked.close()
    opened = Spool.open(written.path)

    assert looked.cut == opened.cut > 0
    assert contents(opened) == [(1, 0), (2, 1)]
    opened.close()
    again = Spool.open(written.path)
    assert again.cut == 0
    again.close()


def test_cut_at_any_byte_it_gives_a_beginning_of_what_was_written(folder, tmp_path):
    written = made(folder, 3)
    written.close()
    whole = written.path.read_bytes()
    expected = [(1, 0), (2, 1), (3, 2)]
    seen = set()
    for length in range(len(whole)):
        path = tmp_path / "cut.spool"
        path.write_bytes(whole[:length])
        try:
            opened = Spool.open(path)
        except NoSpool:
            continue
        found = contents(opened)
        opened.close()
        assert found == expected[: len(found)]
        seen.add(len(found))
    assert seen == {0, 1, 2}


def test_a_flipped_bit_never_gives_another_record_and_costs_at_most_one(folder, tmp_path):
    written = made(folder, 5)
    written.close()
    whole = written.path.read_bytes()
    good = {(number + 1, number) for number in range(5)}
    chance = random.Random(1)
    for _ in range(300):
        place = chance.randrange(FIRST, len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        path = tmp_path / "damaged.spool"
        path.write_bytes(damaged)
        try:
            opened = Spool.open(path)
        except NoSpool:
            continue  # it hit the first record, without which no one knows whose it is
        found = contents(opened)
        opened.close()
        assert set(found) <= good
        # A wrong length may hide what follows; all else costs the record it hit.
        if opened.cut and found and found[-1][0] == 5:
            assert len(found) == 4


def test_a_mark_that_was_not_written_whole_means_from_the_beginning(folder):
    assert read_mark(records.mark(1000)) == 1000
    assert read_mark(records.mark(1000)[:-1]) == FIRST
    assert read_mark(bytes(16)) == FIRST
    damaged = bytearray(records.mark(1000))
    damaged[1] ^= 4
    assert read_mark(bytes(damaged)) == FIRST


@pytest.mark.parametrize("content", [b"", b"exptrack", b"#!/bin/sh\n" * 50])
def test_what_is_no_spool_is_told(folder, content):
    path = folder / "other.spool"
    path.write_bytes(content)
    with pytest.raises(NoSpool):
        Spool.open(path)


def test_it_begins_anew_when_all_is_confirmed_and_counts_on(folder, monkeypatch):
    monkeypatch.setattr(spool, "TRIM_BYTES", 1000)
    written = made(folder, 30, {"experiment": "digits"})
    large = written.path.stat().st_size
    assert len(contents(written)) == 30
    assert written.path.stat().st_size < large / 4
    written.append(LOG, '"metrics":{"loss":30}', 2)
    written.close()

    opened = Spool.open(written.path)
    assert opened.opening == {"experiment": "digits"}
    assert contents(opened) == [(31, 30)]
    opened.close()
    assert os.listdir(folder) == [written.path.name]


def test_it_does_not_begin_anew_while_anything_waits(folder, monkeypatch):
    monkeypatch.setattr(spool, "TRIM_BYTES", 0)
    written = made(folder, 3)
    written.confirm(written.first())
    written.close()
    opened = Spool.open(written.path)
    assert contents(opened) == [(2, 1), (3, 2)]
    opened.close()


def test_going_back_and_forth_by_number(folder):
    written = made(folder, 5)
    for _ in range(4):
        written.confirm(written.first())

    assert written.go_to(2) == 2
    assert written.points == 8
    assert written.go_to(5) == 5
    assert written.points == 2
    assert written.go_to(6) == 6
    assert written.first() is None
    assert written.points == 0
    written.close()


def test_it_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(spool, "MOST_BYTES", 500)
    written = made(folder)
    number = 0
    try:
        while number < 100:
            written.append(LOG, f'"metrics":{{"loss":{number}}}', 2)
            number += 1
    except SpoolFull:
        pass
    assert 0 < number < 10
    assert written.path.stat().st_size <= 500
    assert contents(written) == [(place + 1, place) for place in range(number)]
    written.close()


def test_a_record_that_the_disk_has_no_room_for_leaves_nothing_behind(folder):
    written = made(folder, 1)
    size = written.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            written.append(LOG, f'"metrics":{{"{"x" * 500}":1}}', 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert written.path.stat().st_size == size
    written.append(LOG, '"metrics":{"loss":1}', 2)
    assert contents(written) == [(1, 0), (2, 1)]
    written.close()


def test_a_copy_holds_the_same_bytes_under_the_same_numbers(folder, tmp_path):
    written = made(folder, 3)
    shutil.copy(written.path, tmp_path / "copy.spool")
    copy = Spool.open(tmp_path / "copy.spool")

    assert copy.is_ours  # nobody holds a lock on a copy
    assert [copy.go_to(seq) and copy.first().body for seq in (1, 2, 3)] == [
        written.go_to(seq) and written.first().body for seq in (1, 2, 3)
    ]
    copy.close()
    written.close()


def test_an_end_is_the_last_record(folder):
    written = made(folder, 1)
    written.append(END, json.dumps({"status": "finished"}))
    written.confirm(written.first())

    assert written.first().kind == END
    assert written.has_end
    written.close()


def test_without_a_home_it_goes_to_a_folder_of_this_users(monkeypatch, tmp_path):
    monkeypatch.delenv("EXPTRACK_SPOOL")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert usable_folder() == tmp_path / f"exptrack-{os.getuid()}"

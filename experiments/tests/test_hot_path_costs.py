"""What a batch and a start cost, where that does not depend on the machine."""

import tracemalloc
from itertools import count, pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from django.db import connection, transaction
from django.test import Client

from experiments import appending, recording
from experiments.api.batches import columns_of, decode_batch
from experiments.compare_and_swap import append_from_memory
from experiments.models import Chunk
from experiments.storing import Columns, Mark
from exptrack.tests.statements import cost


def start(script, **body):
    answer = script.post("/api/v1/runs/", body)
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


def test_starting_a_run_takes_as_many_statements_with_few_names_as_with_many(
    api, alice, transactional_db
):
    script = api(alice)
    for _ in range(2):
        start(script, experiment="sweep")
    bare = cost(start, script, experiment="sweep")
    names = {f"p{number}": number for number in range(100)}
    labels = {f"t{number}": "x" for number in range(100)}
    full = {"params": names, "tags": labels, "environment": {"host": "h"}}
    rich = cost(start, script, experiment="sweep", **full)
    # one that writes and asks on PostgreSQL; else token, experiment, and a transaction
    assert (bare, rich) == ((1, 1) if connection.vendor == "postgresql" else (6, 9))


def test_a_session_sent_along_with_a_token_costs_no_look_at_it(
    signed_in, token, alice, transactional_db
):
    browser, stranger = signed_in(alice), Client()
    header = {"Authorization": f"Bearer {token(alice)}"}
    asked = "/api/v1/me/"
    assert browser.get(asked, headers=header).status_code == 200
    with_session = cost(browser.get, asked, headers=header)
    assert with_session == cost(stranger.get, asked, headers=header)
    assert "Cookie" not in browser.get(asked, headers=header).get("Vary", "")


# --- Rows ----------------------------------------------------------------------------------------

HOT_TABLES = {name: f"experiments_{name}" for name in ("run", "metric", "tail", "chunk", "writer")}


def touched(action) -> dict[str, int]:
    """Rows inserted, changed and deleted by an action, by table, as the server counts them for
    one transaction."""

    def counted() -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables "
                "WHERE relname LIKE 'experiments_%%'"
            )
            return dict(cursor.fetchall())

    with transaction.atomic():
        before = counted()
        action()
        after = counted()
    return {name: after[table] - before[table] for name, table in HOT_TABLES.items()}


def batch(names: int, points: int) -> dict[str, Columns]:
    return {f"m{number}": Columns(np.linspace(0, 1, points)) for number in range(names)}


@pytest.fixture
def log(transactional_db, alice):
    """Stores a batch as the hot path does, and gives a run's id when it is called with none."""
    run, _ = recording.start_run(user=alice, experiment="costs")
    seqs = count(1)

    def store(metrics: dict[str, Columns]):
        mark = Mark("w", next(seqs), b"d")
        given = {"user": alice, "run_id": run.pk, "metrics": metrics, "mark": mark}
        assert append_from_memory(**given) or appending.append(**given)

    return store


@pytest.mark.only_on("postgresql")
def test_a_small_batch_touches_a_row_a_series_twice_and_two_more(log):
    log(batch(10, 1))
    log(batch(10, 1))
    rows = touched(lambda: log(batch(10, 1)))
    assert rows == {"run": 1, "metric": 10, "tail": 10, "chunk": 0, "writer": 1}


@pytest.mark.only_on("postgresql")
def test_tails_have_room_to_be_rewritten_on_their_page(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'experiments_tail'")
        assert cursor.fetchone() == (["fillfactor=50"],)


@pytest.mark.only_on("sqlite")
def test_a_small_batch_changes_a_row_a_series_twice_and_two_more_on_sqlite(log):
    log(batch(10, 1))
    connection.ensure_connection()
    before = connection.connection.total_changes
    log(batch(10, 1))
    assert connection.connection.total_changes - before == 22


@pytest.mark.parametrize(("points", "chunks"), [(1_000, 1), (10_000, 1)])
def test_a_large_batch_is_one_chunk(log, points, chunks):
    log(batch(1, 1))
    before = Chunk.objects.count()
    log(batch(1, points))
    assert Chunk.objects.count() - before == chunks


# --- Bytes and allocations -----------------------------------------------------------------------


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(("shape", "pages"), [((10, 1), 10), ((1, 1_000), 16), ((1, 10_000), 16)])
def test_a_batch_writes_few_pages(log, shape, pages):
    log(batch(*shape))
    wal = Path(f"{connection.settings_dict['NAME']}-wal")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log(batch(*shape))
    assert 0 < wal.stat().st_size <= pages * (4096 + 24) + 32


def journal() -> tuple[int, int]:
    """Records and bytes that this connection has had PostgreSQL write to its log so far, without
    the whole pages that the first change after a checkpoint puts there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT wal_records, wal_bytes - wal_fpi * 8192 "
            "FROM pg_stat_get_backend_wal(pg_backend_pid())"
        )
        records, size = cursor.fetchone()
    return records, int(size)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    ("shape", "records", "size"),
    # 44 records and 4,500 bytes, 11 and 1,030: an index more of the metrics is 10 records more.
    [((10, 1), 50, 6_000), ((1, 1_000), 12, 1_500), ((1, 10_000), 12, 1_500)],
)
def test_a_batch_writes_little_to_the_log(log, shape, records, size):
    if connection.pg_version < 180_000:
        pytest.skip("Only PostgreSQL 18 tells what one connection wrote.")
    for _ in range(5):
        log(batch(*shape))
    marks = [journal()]
    for _ in range(20):
        log(batch(*shape))
        marks.append(journal())
    written = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(marks)]
    # What a batch cannot do without: others also split a page, or tidy up what tests before left.
    assert 0 < min(written)[0] <= records
    assert 0 < min(bytes_written for _, bytes_written in written) <= size


@pytest.mark.parametrize(
    ("shape", "peak"), [((10, 1), 80_000), ((1, 1_000), 80_000), ((1, 10_000), 500_000)]
)
def test_a_batch_holds_little_memory(log, shape, peak):
    for _ in range(3):
        log(batch(*shape))
    metrics = batch(*shape)
    tracemalloc.start()
    log(metrics)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held <= peak


def test_reading_a_body_of_a_thousand_points_makes_no_object_a_point_that_stays():
    points = [{"name": "loss", "value": n / 7, "step": n, "time": n} for n in range(1_000)]
    body = msgspec.json.encode({"metrics": points})
    decode_batch(body)
    tracemalloc.start()
    columns = columns_of(decode_batch(body))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(columns["loss"].values) == 1_000
    assert held <= 120_000
    assert peak <= 400_000

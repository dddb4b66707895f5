"""Nobody stands in line behind those who ask for charts."""

import socket
from threading import Event
from types import SimpleNamespace

import pytest
from django.urls import reverse

from exptrack.lanes import CHART as CHART_ADDRESS
from exptrack.lanes import Lanes, asks_for_chart

CHART = b"GET /api/v1/series/?run=1 HTTP/1.1"
UUID = "01890000-0000-7000-8000-000000000000"
PATIENCE = 30  # seconds, before a test that would hang fails


@pytest.fixture
def arriving():
    """Makes connections on which a request has begun to arrive."""
    open_sockets = []

    def connection(begin: bytes) -> SimpleNamespace:
        client, server = socket.socketpair()
        open_sockets.extend((client, server))
        client.sendall(begin)
        return SimpleNamespace(sock=server)

    yield connection
    for each in open_sockets:
        each.close()


@pytest.fixture
def lanes():
    pool = Lanes(3, most_drawing=1)
    yield pool
    pool.shutdown()


def test_a_write_is_answered_while_charts_wait_in_line(lanes, arriving):
    go_on, reading = Event(), []

    def slowly(conn):
        reading.append(conn)
        assert go_on.wait(PATIENCE)
        return "read"

    readers = [lanes.submit(slowly, arriving(CHART)) for _ in range(9)]
    written = lanes.submit(lambda conn: "written", arriving(b"POST /api/v1/runs/ HTTP/1.1"))
    assert written.result(PATIENCE) == "written"
    assert len(reading) <= 1
    go_on.set()
    assert [each.result(PATIENCE) for each in readers] == ["read"] * 9


def test_charts_come_in_the_order_in_which_they_asked(lanes, arriving):
    came = []
    futures = [
        lanes.submit(lambda conn, number=number: came.append(number), arriving(CHART))
        for number in range(20)
    ]
    for each in futures:
        each.result(PATIENCE)
    assert came == list(range(20))


def test_an_error_is_handed_on_and_the_next_chart_is_let_in(lanes, arriving):
    def broken(conn):
        raise OSError("the client is gone")

    first = lanes.submit(broken, arriving(CHART))
    second = lanes.submit(lambda conn: "read", arriving(CHART))
    with pytest.raises(OSError, match="the client is gone"):
        first.result(PATIENCE)
    assert second.result(PATIENCE) == "read"


@pytest.mark.parametrize(
    ("begin", "is_one"),
    [
        (CHART, True),
        (b"GET /compare/series/?run=1&run=2 HTTP/1.1", True),
        (b"GET /runs/0/series/ HTTP/1.1", True),
        (b"GET /experiments/?search=/series/ HTTP/1.1", False),
        (b"GET /live/?run=1 HTTP/1.1", False),
        (b"GET /api/v1/runs.csv HTTP/1.1", False),
        (b"POST /api/v1/series/ HTTP/1.1", False),
        (b"GET /api/v1/ser", False),
        (b"", False),
    ],
)
def test_a_chart_is_told_from_the_first_bytes_which_stay_there(arriving, begin, is_one):
    conn = arriving(begin)
    assert asks_for_chart(conn) is is_one
    if begin:
        assert conn.sock.recv(100) == begin


def test_a_closed_connection_is_no_fault(arriving):
    conn = arriving(b"")
    conn.sock.close()
    assert not asks_for_chart(conn)


def test_every_address_of_points_for_charts_is_in_the_lane():
    names = {"api-series": [], "compare-series": [], "run-series": [UUID], "group-series": [UUID]}
    for name, args in names.items():
        assert CHART_ADDRESS.match(f"GET {reverse(name, args=args)}?x=step".encode()), name

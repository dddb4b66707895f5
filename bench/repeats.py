"""Every batch is sent twice or more, through a proxy that loses requests and replies.

The proxy waits for the server's answer, so that the batch is committed, and then resets the
client's connection instead of passing the answer on; or it passes on half of a request and
resets both sides. The client repeats until it has an answer, then repeats once more, tries a
gap, and tries its last number with another body. Each point must be stored once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import struct
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from clients import Script, log_path, together
from served import arguments, machine, served
from stored import faults, mark

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER without waiting


class LossyProxy:
    """Passes HTTP messages on to a server, and loses some: `replies` and `requests` are the
    shares lost. `lost` counts them."""

    def __init__(self, url: str, replies: float, requests: float, seed: int) -> None:
        self.lost = Counter()
        self._shares = {"reply": replies, "request": requests}
        self._random = random.Random(seed)
        address = urlsplit(url)
        self._server = (address.hostname, address.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        # Closing alone would not wake the thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            while request := read_message(client):
                if self._loses("request"):
                    server.sendall(request[: len(request) // 2])
                    reset_on_close(client, server)
                    return
                server.sendall(request)
                reply = read_message(server)
                if self._loses("reply"):
                    reset_on_close(client)
                    return
                client.sendall(reply)

    def _loses(self, what: str) -> bool:
        loses = self._random.random() < self._shares[what]
        self.lost[what] += loses
        return loses


def reset_on_close(*sockets: socket.socket) -> None:
    """Let the other side see a reset, not an end, when these are closed."""
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def read_message(sender: socket.socket) -> bytes:
    """One HTTP message with a Content-Length; empty when the sender is gone."""
    message, length = b"", None
    while length is None or len(message) < length:
        try:
            received = sender.recv(65_536)
        except OSError:
            return b""
        if not received:
            return b""
        message += received
        head, separator, _ = message.partition(b"\r\n\r\n")
        if separator and length is None:
            [size] = [
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ] or [0]
            length = len(head) + len(separator) + size
    return message


@contextmanager
def lossy(url: str, seed: int, replies: float = 0.3, requests: float = 0.1) -> Iterator[LossyProxy]:
    """A proxy before the server at `url`, until the block ends."""
    proxy = LossyProxy(url, replies, requests, seed)
    try:
        yield proxy
    finally:
        proxy.close()


@dataclass(frozen=True)
class Load:
    """Who sends how much where."""

    url: str
    secret: str
    run: uuid.UUID
    batches: int
    seed: int

    def sizes(self, client: int) -> list[int]:
        """Points in each of a client's batches."""
        drawn = random.Random(f"{self.seed} {client}")
        return [drawn.choice((1, 2, 7, 40, 150)) for _ in range(self.batches)]

    def expected(self, clients: int) -> dict[str, int]:
        """Points of each series in the end."""
        return {f"own/{client}": sum(self.sizes(client)) for client in range(clients)}


def insist(client: int, load: Load) -> Counter:
    """Send every batch until it is answered, and then what must be refused; how often what
    happened. AssertionError for an answer that should have been another."""
    script, happened, written = Script(load.url, load.secret), Counter(), 0
    for seq, size in enumerate(load.sizes(client), 1):
        indices = range(written, written + size)
        written += size
        columns = {
            "steps": list(indices),
            "values": [mark(client, index) for index in indices],
        }
        batch = {"writer": str(client), "seq": seq, "metrics": {f"own/{client}": columns}}
        for again in (False, True):
            status, answer = post(script, load, batch, happened)
            assert status == 200, (status, answer)
            happened["duplicate" if answer["duplicate"] else "stored"] += 1
            assert answer["duplicate"] or not again, "stored twice"
        expect_refusals(script, load, batch, happened)
    return happened


def expect_refusals(script: Script, load: Load, batch: dict, happened: Counter) -> None:
    """A gap and another body under the last number are refused, as many times as it takes to
    hear the answer."""
    status, answer = post(script, load, batch | {"seq": batch["seq"] + 2}, happened)
    assert (status, answer["error"]["code"]) == (409, "sequence_gap"), (status, answer)
    assert answer["error"]["details"] == {"expected": batch["seq"] + 1}, answer
    happened["gap refused"] += 1
    status, answer = post(script, load, batch | {"tags": {"another": "body"}}, happened)
    assert (status, answer["error"]["code"]) == (422, "repeat_differs"), (status, answer)
    happened["other body refused"] += 1


def post(script: Script, load: Load, batch: dict, happened: Counter) -> tuple[int, dict]:
    """The answer to a batch, sent again for as long as none comes."""
    body = json.dumps(batch).encode()
    while True:
        try:
            status, answer = script.post(log_path(load.run), body)
        except (OSError, http.client.HTTPException):
            happened["no answer"] += 1
            continue
        return status, json.loads(answer)


def refused_leftovers(run: uuid.UUID) -> list[str]:
    """What is stored of batches that were refused."""
    from experiments.models import Tag

    return [f"the tag {tag.name} of a refused batch" for tag in Tag.objects.filter(run=run)]


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--batches", type=int, default=500, help="of each client")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="new by default")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    print(f"{options.database}; {machine()}; seed {options.seed}")
    with (
        served(options.database, workers=options.workers, threads=options.threads) as server,
        lossy(server.url, options.seed) as proxy,
    ):
        run = server.new_run("repeated")
        load = Load(proxy.url, server.secret, run, options.batches, options.seed)
        happened = sum(together(options.clients, insist, load), Counter())
        expected = load.expected(options.clients)
        wrong = faults(run, expected) + refused_leftovers(run)
    print(
        f"{options.clients} clients × {load.batches} batches, {sum(expected.values()):,} points\n"
        f"lost by the proxy: {dict(proxy.lost)}\n"
        f"seen by the clients: {dict(happened)}\n"
        f"wrong: {wrong or 'nothing'}"
    )
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()

"""How long `exptrack sync` takes for a long offline run: records sent together, and one by one as
an older server has it, in turns.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time

from served import ROOT, Served, arguments, machine, served

sys.path.insert(0, str(ROOT / "client" / "src"))
import exptrack_client as exptrack  # noqa: E402
from exptrack_client.points import Shape, metrics_json  # noqa: E402
from exptrack_client.records import LOG  # noqa: E402

SHAPE = Shape([f"metric/{number}" for number in range(10)])
SYNC = """
import sys
from exptrack_client import cli, delivery
delivery.JOINED_RECORDS = int(sys.argv[1])
sys.exit(cli.main(["sync", "--quiet"]))
"""


def main() -> None:
    parser = arguments(__doc__, scaled=False)
    parser.add_argument("--records", type=int, default=3_600, help="of two calls with 10 metrics")
    parser.add_argument("--pairs", type=int, default=2)
    asked = parser.parse_args()
    print(machine())
    with served(asked.database) as server, tempfile.TemporaryDirectory() as folder:
        os.environ |= server.sdk(folder)
        for _ in range(asked.pairs):
            for together in (1_000, 1):
                synced(server, asked.records, together)


def synced(server: Served, records: int, together: int) -> None:
    """Sync one offline run of so many records, at most so many in a request."""
    run_id = offline_run(records)
    before, began = server.cpu_seconds(), time.monotonic()
    command = [sys.executable, "-c", SYNC, str(together)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - began
    used = sum(server.cpu_seconds().values()) - sum(before.values())
    summaries = exptrack.get_run(run_id).summaries().values()
    points = sum(series["count"] for series in summaries)
    print(
        f"{records:,} records, up to {together:,} a request: {took:.1f} s, the server's processors "
        f"{used:.1f} s; {points:,} points stored, of {records * 20:,}"
    )


def offline_run(records: int) -> str:
    """The id of a run that lies in the spool as if it had logged for so many seconds."""
    run = exptrack.init("backlog", mode="offline", capture=False)
    run._recording.outbox.is_ready.wait()
    for second in range(records):
        rows = [
            (SHAPE, SHAPE.pack(*(random.random() for _ in SHAPE.names)), step, 10**12 + step * 500)
            for step in (2 * second, 2 * second + 1)
        ]
        run._recording.outbox.spool.append(LOG, f'"metrics":{metrics_json(rows)}', 20)
    run.finish()
    return run.id


if __name__ == "__main__":
    main()

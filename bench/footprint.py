"""What ExpTrack takes before anyone uses it: the size of its packages, the memory of the whole
server at rest, and how long a start takes; beside MLflow's, with `--mlflow`.

Packages go into environments of their own, as `make run` and `pip install mlflow` make them; pip,
setuptools and byte code are not counted. Memory is the proportional set size of the server's
process and all below it, a while after it has answered its first page. A start is timed from the
command until the first answer, on a data folder that an earlier start has prepared; SQLite, for
both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from peers import Environment, environment, free_port, serving
from served import ROOT, machine

REST_SECONDS = 3
MB = 1e6


def exptrack_at(env: Environment, folder: Path) -> tuple[list[str], int, str, dict[str, str]]:
    """How to serve ExpTrack: command, port, a page to ask for, and environment."""
    port = free_port()
    settings = {
        "EXPTRACK_DATA": str(folder / "exptrack"),
        "EXPTRACK_DEMO": "false",
        "EXPTRACK_ADMIN_PASSWORD": "measured in a moment",
        "DATABASE_URL": "",
        "PORT": str(port),
    }
    return [env.python, str(ROOT / "manage.py"), "serve"], port, "/account/sign-in/", settings


def mlflow_at(env: Environment, folder: Path) -> tuple[list[str], int, str, dict[str, str]]:
    """The same for MLflow, with as many workers."""
    port = free_port()
    store = f"sqlite:///{folder}/mlflow.sqlite3"
    command = [
        *(env.python, "-m", "mlflow", "server", "--backend-store-uri", store),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "2"),
    ]
    return command, port, "/", {"MLFLOW_SERVER_ALLOWED_HOSTS": "*"}


def measured(env: Environment, place: object, starts: int) -> tuple[float, float]:
    """Median seconds of a start, and bytes at rest."""
    took, memory = [], []
    with tempfile.TemporaryDirectory(prefix="exptrack-footprint-") as folder:
        for number in range(starts + 1):
            command, port, path, settings = place(env, Path(folder))
            with serving(command, port, path, **settings) as server:
                urllib.request.urlopen(server.url + path).read()
                time.sleep(REST_SECONDS)
                if number:  # the first start prepares the folder
                    took.append(server.started_in)
                    memory.append(server.memory())
    return statistics.median(took), statistics.median(memory)


def row(name: str, env: Environment, place: object, starts: int) -> str:
    took, memory = measured(env, place, starts)
    return f"| {name} | {env.size() / MB:,.0f} MB | {memory / MB:,.0f} MB | {took:.1f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--mlflow", action="store_true", help="measure MLflow too")
    parser.add_argument("--keep", type=Path, help="a folder in which MLflow's environment stays")
    options = parser.parse_args()
    print(f"{machine()}\n\n| | packages | memory at rest | start |\n|---|---|---|---|")
    ours = ("--require-hashes", "-r", str(ROOT / "requirements.txt"))
    with environment(*ours) as env:
        print(row("ExpTrack", env, exptrack_at, options.starts), flush=True)
    if options.mlflow:
        with environment("mlflow", keep=options.keep) as env:
            name = f"MLflow {env.version('mlflow')}"
            print(row(name, env, mlflow_at, options.starts), flush=True)


if __name__ == "__main__":
    main()

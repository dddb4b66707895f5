"""Drive every operation of the API by its own OpenAPI document, then read everything back.

Schemathesis sends what the document allows and what it forbids: no answer may be a 5xx, have a
status, header, media type or body the document does not tell, take what it forbids, or work
without a token. What was stored meanwhile must leave every reading endpoint working. Exits with
1 when anything is found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from clients import Script, log_path
from served import Served, arguments, machine, served

# Rules between fields, such as a writer and its seq, cannot be told by a schema, so a body that
# follows it may still be a 400.
EXCLUDED = "positive_data_acceptance"
# An address longer than 8 KiB is a 414 before anything looks at what it says.
CONFIG = """
[generation]
allow-x00 = true

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "414", "415"]
"""
# Guessed ids lead nowhere: these operations are driven again at what is there.
AT_KNOWN = """
[[operations]]
include-operation-id = "{operation}"
parameters = {{ {parameters} }}
"""
KNOWN = {
    "readSeries": {"query.run": ["{run}"], "query.metric": ["loss", "val/accuracy"]},
    "compareRuns": {"query.run": ["{run}", "{other}"]},
    "readHistory": {"path.id": "{run}", "query.metric": ["loss"]},
    "summarizeExperiment": {"path.id": "{experiment}"},
    "changeRun": {"path.id": "{run}"},
    "finishRun": {"path.id": "{run}"},
    "log": {"path.id": "{run}"},
}
BATCH = {
    "metrics": {"loss": {"values": [0.5, "NaN", 0.25]}, "val/accuracy": 0.9},
    "params": {"lr": 0.1, "optimizer": "adam"},
    "tags": {"stage": "warm-up"},
}
CRASH = re.compile("api_error|Error: ")
SHOWN = 20
CONFIG = """
[generation]
allow-x00 = true
"""


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--max-examples", type=int, default=100, help="for each operation")
    parser.add_argument("--max-time", type=int, help="seconds for the whole run")
    parser.add_argument("--seed", type=int, default=20_261_123)
    parser.add_argument("--exclude-checks", default=EXCLUDED)
    parser.add_argument("more", nargs="*", help="further options of schemathesis, after --")
    options = parser.parse_args()
    print(machine(), flush=True)
    from django.core.management import call_command

    with served(options.database, workers=options.workers, threads=options.threads) as server:
        call_command("collectstatic", interactive=False, verbosity=0)
        seed_runs(server)
        status = drive(server, server.secret, options, "--exclude-operation-id", "revokeToken")
        which = [part for name in KNOWN for part in ("--include-operation-id", name)]
        status |= drive(server, server.secret, options, *which, config=known(server))
        broken = unreadable(server)
        # Last and with a token of its own, since it may revoke the one it comes with.
        status |= drive(server, another_token(server), options, "--include-tag", "tokens")
        crashes = [line for line in server.gunicorn.log().splitlines() if CRASH.search(line)]
    print(f"{options.database}: {len(broken)} unreadable addresses, {len(crashes)} crashes")
    for line in [*broken[:SHOWN], *crashes[:SHOWN]]:
        print(f"  {line}")
    sys.exit(1 if status or broken or crashes else 0)


def seed_runs(server: Served) -> None:
    """Something to find: runs with points, params and tags, one of them ended."""
    script = Script(server.url, server.secret)
    for number in range(3):
        run = server.new_run(f"run {number}")
        assert script.post(log_path(run), json.dumps(BATCH).encode())[0] == 200
    ended = log_path(run).replace("/log/", "/finish/")
    assert script.post(ended, b'{"status": "finished"}')[0] == 200


def known(server: Served) -> str:
    """Configuration that fills in ids of what was recorded before."""
    run, other = server.new_run("known"), server.new_run("other")
    script = Script(server.url, server.secret)
    for pk in (run, other):
        assert script.post(log_path(pk), json.dumps(BATCH).encode())[0] == 200
    experiment = json.loads(script.get(f"/api/v1/runs/{run}/")[1])["experiment"]["id"]
    ids = {"run": run, "other": other, "experiment": experiment}
    return CONFIG + "".join(
        AT_KNOWN.format(
            operation=operation,
            parameters=", ".join(
                f'"{name}" = {json.dumps(value)}' for name, value in parameters.items()
            ),
        )
        for operation, parameters in json.loads(
            re.sub(r"\{(\w+)\}", lambda found: str(ids[found[1]]), json.dumps(KNOWN))
        ).items()
    )


def another_token(server: Served) -> str:
    from accounts.models import Token

    return Token.objects.issue(server.user, name="fuzz")[1]


def drive(
    server: Served, secret: str, options: argparse.Namespace, *which: str, config: str = CONFIG
) -> int:
    """Run Schemathesis against some of the operations; its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "schemathesis.toml"
        settings.write_text(config)
        command = [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", settings),
            *("run", f"{server.url}/api/schema/"),
            *("--header", f"Authorization: Bearer {secret}"),
            *("--phases", options.phases, "--seed", str(options.seed)),
            *("--max-examples", str(options.max_examples)),
            *("--checks", "all", "--exclude-checks", options.exclude_checks),
            *("--suppress-health-check", "all", "--continue-on-failure", "--no-shrink"),
            *("--request-timeout", "30", "--workers", "2"),
            *(["--max-time", str(options.max_time)] if options.max_time else []),
            *which,
            *options.more,
        ]
        # It would take our settings for its own.
        environment = {name: text for name, text in os.environ.items() if name != "DATABASE_URL"}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def unreadable(server: Served) -> list[str]:
    """Addresses that a reader needs and that do not answer with 200, after all that was sent."""
    from experiments.models import Experiment, Run

    addresses = ["experiments/", "runs/", "runs.csv", "tokens/", "me/"]
    for experiment in Experiment.objects.values_list("pk", flat=True):
        rooms = ("", "collaborators/", "summary/?metric=loss", "runs.csv")
        addresses += [f"experiments/{experiment}/{room}" for room in rooms]
    for run in Run.objects.prefetch_related("metrics"):
        addresses += [f"runs/{run.pk}/", f"runs/{run.pk}/metrics/", f"compare/?run={run.pk}"]
        for metric in list(run.metrics.all())[:5]:
            query = urlencode({"metric": metric.name})
            addresses += [f"runs/{run.pk}/history/?{query}", f"series/?run={run.pk}&{query}"]
    script = Script(server.url, server.secret)
    return [
        f"{status} {address}"
        for address in addresses
        if (status := script.get(f"/api/v1/{address}")[0]) != 200
    ]


if __name__ == "__main__":
    main()

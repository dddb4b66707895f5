"""What to paste to use a new token."""

from __future__ import annotations

from typing import NamedTuple

from django.urls import reverse

from accounts.models import Token

INSTALL = """\
pip install {address}{package}
"""
SHELL = """\
export EXPTRACK_URL={address}
export EXPTRACK_TOKEN={secret}
"""
LOG_A_RUN = """\
import exptrack_client as exptrack

with exptrack.init(experiment="{experiment}", params={{"lr": 0.1}}) as run:
    for step in range(100):
        run.log({{"loss": 1 / (step + 1)}}, step=step)
"""
READ = """\
curl --header "Authorization: Bearer $EXPTRACK_TOKEN" "$EXPTRACK_URL/api/v1/runs/"
"""


class Snippet(NamedTuple):
    label: str
    text: str


def snippets_for(token: Token, secret: str, address: str) -> list[Snippet]:
    """Code that runs as pasted: the environment, then what `token` is good for. `address` is the
    site's, without a final slash."""
    environment = Snippet("Shell: let scripts in", SHELL.format(address=address, secret=secret))
    if token.scope == Token.Scope.READ:
        return [environment, Snippet("Shell: list runs", READ)]
    install, code = log_a_run(address, str(token.experiment_id or "first"))
    return [install, environment, code]


def log_a_run(address: str, experiment: str = "first") -> list[Snippet]:
    """How to have the client from this site, in its version, and a script that logs with it."""
    package = reverse("client-package")
    return [
        Snippet("Shell: install the client", INSTALL.format(address=address, package=package)),
        Snippet("Python: log a run", LOG_A_RUN.format(experiment=experiment)),
    ]

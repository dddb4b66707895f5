"""What to paste to use a new token."""

from __future__ import annotations

from typing import NamedTuple

from accounts.models import Token

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
    environment = Snippet("Shell", SHELL.format(address=address, secret=secret))
    if token.scope == Token.Scope.READ:
        return [environment, Snippet("Shell: list runs", READ)]
    code = LOG_A_RUN.format(experiment=token.experiment_id or "first")
    return [environment, Snippet("Python: log a run", code)]

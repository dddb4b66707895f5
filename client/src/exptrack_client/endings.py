"""How a run ends when its script is left by an exception."""

from __future__ import annotations

import traceback

ERROR_LINES = 40
ERROR_LENGTH = 8_000


class StopRequested(Exception):
    """Someone pressed Stop. Raised by `log` of a run begun with `raise_on_stop`."""


def outcome(error: BaseException | None) -> tuple[str, str]:
    """Status and error text of a run whose block or script was left with this exception."""
    if error is None or isinstance(error, GeneratorExit):
        return "finished", ""
    if isinstance(error, SystemExit):
        return ("finished", "") if error.code in (None, 0) else ("failed", f"exit: {error.code}")
    if isinstance(error, (KeyboardInterrupt, StopRequested)):
        return "killed", ""
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return "failed", "\n".join(lines.splitlines()[-ERROR_LINES:])[-ERROR_LENGTH:]

"""Logs are events: a constant name and fields, the request's id in each line.

One JSON object a line in production, readable lines in development.
"""

from __future__ import annotations

import logging.config

import structlog


def configure(options: dict) -> None:
    """Set up structlog and the standard library behind one formatter (Django calls this with
    the LOGGING setting: `level`, and `json` or not)."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if options["json"]
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "events": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        renderer,
                    ],
                    "foreign_pre_chain": shared,
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "events"}},
            "loggers": {
                # Django's own set-up gives it a level and handlers of its own.
                "django": {"level": options["level"], "handlers": [], "propagate": True},
                # In five lines a sign-in, names masked, what ours say in one.
                "axes": {"level": "ERROR"},
            },
            "root": {"handlers": ["stderr"], "level": options["level"]},
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )

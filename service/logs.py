"""The service's log: lines for people at a terminal, JSON for everybody else."""

import sys
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from service.settings import Settings

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configuration(settings: Settings) -> dict[str, Any]:
    """
    For logging.config: everything on stderr, in the form that the settings ask for.

    Root's level is for libraries; the setting is for the service's own log and for uvicorn's.
    """
    form = settings.logs
    if form == "auto":
        form = "line" if sys.stderr.isatty() else "json"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": LINE}, "json": JSON},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {"service": {"level": settings.log_level.upper()}},
    }


# One object a line; what a call gives as `extra` are its other fields (telemetry.LOG_FIELDS).
JSON: dict[str, Any] = {
    "()": "pythonjsonlogger.orjson.OrjsonFormatter",
    "fmt": "%(levelname)s %(name)s %(message)s",
    "timestamp": "time",
    "rename_fields": {"levelname": "level", "name": "logger"},
    "reserved_attrs": [*RESERVED_ATTRS, "color_message"],  # uvicorn's second copy of a message
}

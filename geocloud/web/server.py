# SPDX-License-Identifier: Apache-2.0
"""Runs the application in worker processes under granian."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

import orjson
import structlog
from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from geocloud.settings import Settings
from geocloud.web.app import create_app

__all__ = ["application", "serve"]

# How a worker process is told what `serve` was given.
_SETTINGS, _READER_URL = "GEOCLOUD_WORKER_SETTINGS", "GEOCLOUD_WORKER_READER_URL"
_WRITER_URL, _JOBS_URL = "GEOCLOUD_WORKER_WRITER_URL", "GEOCLOUD_WORKER_JOBS_URL"


# Requests that run when the server is told to stop have this long to end.
_STOP_WITHIN_S = 5


class _Urls(Protocol):
    @property
    def reader(self) -> str: ...

    @property
    def writer(self) -> str: ...

    @property
    def jobs(self) -> str: ...


def serve(settings: Settings, urls: _Urls) -> None:
    """Listens on the settings' address until told to stop (SIGINT, SIGTERM); reads the database as the reader role.

    Where editing is on, changes are written as the writer role; otherwise workers are not told its URL.
    """
    web = settings.web
    os.environ[_SETTINGS] = settings.model_dump_json()
    os.environ[_READER_URL] = urls.reader
    os.environ[_JOBS_URL] = urls.jobs
    os.environ.pop(_WRITER_URL, None)
    if settings.edit.editing:
        os.environ[_WRITER_URL] = urls.writer
    Granian(
        "geocloud.web.server:application",
        address=web.host,
        port=web.port,
        workers=web.workers,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        backpressure=web.connections_max,
        log_level=LogLevels.warning,
        log_access=False,
        factory=True,
        websockets=False,
        respawn_failed_workers=True,
        # Open maps hold streams of events that would never end by themselves.
        workers_kill_timeout=_STOP_WITHIN_S,
    ).serve()


def _as_json(entry: Any, default: Any = str, **_: Any) -> str:
    return orjson.dumps(entry, default=default).decode()


def configure_log() -> None:
    """One JSON object a line on standard error; stacks without the values of their variables."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def application() -> Any:
    """One worker's application; called in the worker process."""
    configure_log()
    settings = Settings.model_validate_json(os.environ[_SETTINGS])
    return create_app(settings, os.environ[_READER_URL], os.environ.get(_WRITER_URL), os.environ.get(_JOBS_URL))

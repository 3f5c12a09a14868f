# SPDX-License-Identifier: Apache-2.0
"""Which server for the application: granian or uvicorn, the same application in two workers."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.asks import Ask
from benchmarks.city import COMPONENT
from benchmarks.peers.geocloud import Geocloud
from benchmarks.report import Finding
from benchmarks.special.base import Contender, Context, rates, special

__all__ = ["web_servers"]

ASKS = {
    "landing page": Ask("landing"),
    "first page of 10": Ask("items", COMPONENT, limit=10),
    "first page of 1,000": Ask("items", COMPONENT, limit=1000),
}


@special("servers", "web servers: granian against uvicorn")
def web_servers(context: Context) -> list[Finding]:
    """Requests a second at 16 connections; no answers kept, so that the database has its share as in production."""
    ours = context.endpoints.get("geocloud")
    if ours is None:
        return []
    other = _Uvicorn(context.ground, context.folder)
    found = []
    try:
        other.start()
        for title, ask in ASKS.items():
            rate = rates(
                context,
                {
                    "uvicorn": Contender(other, other.target(ask), other.headers),
                    "granian": Contender(ours, ours.target(ask), ours.headers),
                },
            )
            for name, value in rate.items():
                times = value.per_second / rate["uvicorn"].per_second
                detail = (
                    f"{name} {version(name)}, {times:.2f} times uvicorn, {value.cpu_ms:.3f} ms of processor an answer"
                )
                found.append(Finding("web server", f"{title}: {name}", value.per_second, "req/s", detail=detail))
    finally:
        other.stop()
    return found


class _Uvicorn(Geocloud):
    name = "geocloud-uvicorn"

    def start(self) -> None:
        env = {
            **self.ground.env(),
            **self.settings,
            "GEOCLOUD_BENCH_READER": self.ground.urls.reader,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        command = [
            sys.executable, "-m", "uvicorn", "benchmarks.special.servers:application", "--factory",
            "--workers", "2", "--port", str(self.server.port), "--log-level", "error", "--no-access-log",
            "--loop", "uvloop", "--http", "httptools",
        ]  # fmt: skip
        self.server.run(command, env=env)
        self.server.wait("/?f=json")


def application() -> object:
    """The application as a factory for uvicorn; settings from the environment, as in a worker of `geocloud serve`."""
    from geocloud.settings import Settings
    from geocloud.web import create_app

    return create_app(Settings.read(), os.environ["GEOCLOUD_BENCH_READER"])

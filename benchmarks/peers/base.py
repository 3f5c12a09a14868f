# SPDX-License-Identifier: Apache-2.0
"""What every endpoint of the benchmark can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from benchmarks.asks import Ask
from benchmarks.city import Box, City
from benchmarks.process import Answer, Server, free_port, get
from benchmarks.tiling import TileAsk

__all__ = ["Endpoint", "NotOffered", "box_text"]


class NotOffered(Exception):
    """The endpoint has no such thing; the text says why."""


class Endpoint(ABC):
    """A server under test.

    `tolerance`: how far its coordinates may lie from the database's, in degrees, by the decimals it writes.
    `ordered`: whether pages come in order of id. `exact_box`: whether boxes are exact at their edges.
    """

    name: ClassVar[str]
    tolerance: ClassVar[float] = 1e-9
    ordered: ClassVar[bool] = True
    exact_box: ClassVar[bool] = True
    headers: ClassVar[dict[str, str]] = {"Accept": "application/geo+json, application/json"}

    def __init__(self, city: City, folder: Path) -> None:
        self.city = city
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server = Server(self.name, free_port(), self.folder)

    @abstractmethod
    def version(self) -> str:
        """Version and settings in one line; `Unavailable` when it is not installed."""

    @abstractmethod
    def start(self) -> None:
        """Starts the server and waits for its first good answer."""

    @abstractmethod
    def target(self, ask: Ask) -> str:
        """Request target of an ask; NotOffered when there is none."""

    def tile(self, ask: TileAsk) -> str:
        """Request target of a vector tile; NotOffered when there are none."""
        raise NotOffered("no vector tiles")

    def stop(self) -> None:
        """Ends the server."""
        self.server.stop()

    def get(self, ask: Ask) -> Answer:
        """Asks once."""
        return get(self.server.port, self.target(ask), self.headers)


def box_text(box: Box) -> str:
    """A box as the `bbox` parameter."""
    return ",".join(repr(v) for v in box)


def encoded(text: str) -> str:
    """A value in a query string."""
    return quote(text, safe="")

# SPDX-License-Identifier: Apache-2.0
"""geocloud itself, as `geocloud serve` runs it, two workers."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import orjson

from benchmarks.asks import Ask
from benchmarks.ground import Ground
from benchmarks.peers.base import Endpoint, box_text, encoded
from benchmarks.process import get
from benchmarks.tiling import TileAsk

__all__ = ["Cached", "Geocloud"]

WORKERS = 2
# Features a page while walking to a depth; any size gives the same `next` links in the end.
_STRIDE = 20_000


class Geocloud(Endpoint):
    """Default settings, except that answers are not kept, so that every page is read from the database, and that tiles
    may be of any size, as those of the peers are."""

    name: ClassVar[str] = "geocloud"
    settings: ClassVar[dict[str, str]] = {
        "GEOCLOUD_CACHE_MB": "0",
        "GEOCLOUD_TILE_FEATURES_MAX": "2000000",
        "GEOCLOUD_TILE_BYTES_MAX": "500000000",
    }

    def __init__(self, ground: Ground, folder: Path) -> None:
        super().__init__(ground.city, folder)
        self.ground = ground
        self._tokens: dict[tuple[str, int, int], str] = {}

    def version(self) -> str:
        kept = "answers kept in memory" if self.settings.get("GEOCLOUD_CACHE_MB") != "0" else "no answers kept"
        return f"geocloud {version('geocloud')}, granian {version('granian')}, {WORKERS} workers, {kept}"

    def start(self) -> None:
        self.run_server({"GEOCLOUD_WORKERS": str(WORKERS), **self.settings}, "/?f=json")
        if self.settings.get("GEOCLOUD_CACHE_MB") == "0":
            self._check_reads()

    def _check_reads(self) -> None:
        """RuntimeError when a page asked for again is the very answer of before, by its time stamp."""
        target = self.target(Ask("items", "facility.component", limit=1))
        stamps = set()
        for _ in range(6):
            stamps.add(orjson.loads(get(self.server.port, target).body)["timeStamp"])
            time.sleep(0.005)
        if len(stamps) < 3:
            raise RuntimeError("GEOCLOUD_CACHE_MB=0, but answers come out of memory: the table would be of no worth")

    def run_server(self, settings: Mapping[str, str], first: str) -> None:
        """`geocloud serve` with more settings, until `first` is answered."""
        env = {**self.ground.env(), "GEOCLOUD_PORT": str(self.server.port), **settings}
        self.server.run([sys.executable, "-m", "geocloud.cli", "serve"], env=env)
        self.server.wait(first)

    def target(self, ask: Ask) -> str:
        if ask.what == "landing":
            return "/?f=json"
        if ask.what == "collections":
            return "/collections?f=json"
        collection = f"/collections/{ask.layer}/items"
        if ask.fid is not None:
            return f"{collection}/{ask.fid}?f=json"
        if ask.offset is not None:
            return self._at_depth(collection, ask)
        query = [f"f=json&limit={ask.limit}"]
        if ask.bbox is not None:
            query.append(f"bbox={box_text(ask.bbox)}")
        if ask.cql is not None:
            query.append(f"filter={encoded(ask.cql)}")
        elif ask.equals is not None:
            query.append(f"{ask.equals[0]}={encoded(ask.equals[1])}")
        return f"{collection}?{'&'.join(query)}"

    def tile(self, ask: TileAsk) -> str:
        query = "" if ask.fields == () else f"?properties={'*' if ask.fields is None else ','.join(ask.fields)}"
        return f"/collections/{ask.layer}/tiles/WebMercatorQuad/{ask.z}/{ask.y}/{ask.x}{query}"

    def _at_depth(self, collection: str, ask: Ask) -> str:
        """The `next` link a client gets to on its way; walked once, in long strides."""
        assert ask.offset is not None
        key = collection, ask.limit, ask.offset
        if key not in self._tokens:
            before = max((k for k in self._tokens if k[:2] == key[:2] and k[2] < ask.offset), default=None)
            at, url = (before[2], self._tokens[before]) if before else (0, f"{collection}?f=json&limit={ask.limit}")
            while at < ask.offset:
                step = min(_STRIDE, ask.offset - at)
                answer = get(self.server.port, _with_limit(url, step))
                if answer.status != 200:
                    raise RuntimeError(f"{url}: {answer.status} {answer.body[:300]!r}")
                links = orjson.loads(answer.body)["links"]
                following = next(link["href"] for link in links if link["rel"] == "next")
                parts = urlsplit(following)
                url, at = f"{parts.path}?{parts.query}", at + step
            self._tokens[key] = _with_limit(url, ask.limit)
        return self._tokens[key]


class Cached(Geocloud):
    """As it comes: answers are kept by layer version."""

    name: ClassVar[str] = "geocloud-cached"
    settings: ClassVar[dict[str, str]] = {}


def _with_limit(url: str, limit: int) -> str:
    return re.sub(r"([?&])limit=\d+", rf"\g<1>limit={limit}", url)

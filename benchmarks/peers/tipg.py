# SPDX-License-Identifier: Apache-2.0
"""tipg under uvicorn, two workers."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import psycopg2.extensions

from benchmarks.asks import Ask
from benchmarks.peers.base import Endpoint, box_text, encoded
from benchmarks.process import Unavailable
from benchmarks.tiling import TileAsk

__all__ = ["Tipg"]


class Tipg(Endpoint):
    """Defaults, but for the largest page and tile, 50,000 and 2,000,000 instead of 10,000: answers are whole."""

    name: ClassVar[str] = "tipg"

    def version(self) -> str:
        try:
            return f"tipg {version('tipg')}, uvicorn {version('uvicorn')}, 2 workers, pages up to 50,000"
        except PackageNotFoundError as exc:
            raise Unavailable(f"not installed: {exc.name} (extra `bench`)") from None

    def start(self) -> None:
        env = {
            "DATABASE_URL": _url(self.city.dsn),
            "TIPG_DB_SCHEMAS": '["peers"]',
            "TIPG_MAX_FEATURES_PER_QUERY": "50000",
            "TIPG_MAX_FEATURES_PER_TILE": "2000000",
            "TIPG_TABLE_FALLBACK_KEY_NAMES": '["fid"]',
        }
        self.server.run(
            [
                sys.executable, "-m", "uvicorn", "tipg.main:app", "--workers", "2",
                "--port", str(self.server.port), "--log-level", "error", "--no-access-log",
            ],
            env=env,
        )  # fmt: skip
        self.server.wait("/collections/peers.component/items?limit=1")

    def tile(self, ask: TileAsk) -> str:
        query = "" if ask.fields is None else f"?properties={','.join(ask.fields)}"
        tiles = f"/collections/peers.{self.city.layers[ask.layer].name}/tiles/WebMercatorQuad"
        return f"{tiles}/{ask.z}/{ask.x}/{ask.y}{query}"

    def target(self, ask: Ask) -> str:
        if ask.what == "landing":
            return "/?f=json"
        if ask.what == "collections":
            return "/collections?f=json"
        collection = f"/collections/peers.{self.city.layers[ask.layer].name}/items"
        if ask.fid is not None:
            return f"{collection}/{ask.fid}?f=geojson"
        query = [f"f=geojson&limit={ask.limit}"]
        if ask.bbox is not None:
            query.append(f"bbox={box_text(ask.bbox)}")
        if ask.cql is not None:
            query.append(f"filter-lang=cql2-text&filter={encoded(ask.cql)}")
        elif ask.equals is not None:
            query.append(f"{ask.equals[0]}={encoded(ask.equals[1])}")
        if ask.offset is not None:
            query.append(f"offset={ask.offset}")
        return f"{collection}?{'&'.join(query)}"


def _url(dsn: str) -> str:
    """The URL in the one form tipg takes: a socket's folder percent-encoded in the place of the host."""
    parts = psycopg2.extensions.parse_dsn(dsn)
    login = ":".join(encoded(parts[k]) for k in ("user", "password") if k in parts)
    return f"postgresql://{login}@{encoded(parts['host'])}:{parts.get('port', 5432)}/{encoded(parts['dbname'])}"

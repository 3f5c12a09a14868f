# SPDX-License-Identifier: Apache-2.0
"""*raw*: the statements the bare process runs (see `benchmarks.raw`)."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import asyncpg

from benchmarks.asks import Ask
from benchmarks.city import City, Layer
from benchmarks.peers.base import Endpoint, NotOffered, box_text, encoded
from benchmarks.tiling import NAMED, TileAsk, tile_statements

__all__ = ["Raw", "feature_sql", "statements"]

PROCESSES, CONNECTIONS = 2, 4


class Raw(Endpoint):
    """Two processes with four connections each, like the server under test."""

    name: ClassVar[str] = "raw"
    exact_box: ClassVar[bool] = False
    headers: ClassVar[dict[str, str]] = {}

    def version(self) -> str:
        return f"asyncpg {asyncpg.__version__}, uvloop {version('uvloop')}, {PROCESSES} processes"

    def start(self) -> None:
        config = {
            "port": self.server.port,
            "dsn": self.city.dsn,
            "processes": PROCESSES,
            "connections": CONNECTIONS,
            "statements": {
                k: s
                for layer in self.city.layers.values()
                for k, s in (statements(self.city, layer) | tile_statements(layer)).items()
            },
        }
        env = {"PYTHONPATH": str(Path(__file__).parents[2])}
        self.server.run([sys.executable, "-m", "benchmarks.raw"], env=env, stdin=json.dumps(config).encode())
        self.server.wait("/first/facility.component?1")

    def target(self, ask: Ask) -> str:
        if ask.what in ("landing", "collections"):
            raise NotOffered("no such document")
        if ask.fid is not None:
            return f"/item/{ask.layer}?{ask.fid}"
        if ask.bbox is not None:
            kind, extra = "box", ""
            if ask.equals is not None:
                kind, extra = "boxattr", f",{encoded(ask.equals[1])}"
            if ask.like is not None:
                kind, extra = "boxcql", f"{extra},{encoded(ask.like[1])}"
            return f"/{kind}/{ask.layer}?{box_text(ask.bbox)}{extra},{ask.limit}"
        if ask.after is not None:
            return f"/after/{ask.layer}?{ask.after},{ask.limit}"
        return f"/first/{ask.layer}?{ask.limit}"

    def tile(self, ask: TileAsk) -> str:
        name = "tile"
        if ask.fields is not None:
            name += str(next(z for z, f in NAMED[ask.layer].items() if f == ask.fields))
        return f"/{name}/{ask.layer}?{ask.z},{ask.x},{ask.y}"


def feature_sql(layer: Layer) -> str:
    """A row of `t` as GeoJSON text, in the quickest way known: text joined, attributes by row_to_json."""
    row = ", ".join(f't."{f.name}"' for f in layer.fields)
    return (
        """'{"type":"Feature","id":' || t.fid || ',"geometry":' || ST_AsGeoJSON(t.geom, 9, 0) """
        f"""|| ',"properties":' || (SELECT row_to_json(p)::text FROM (SELECT {row}) p) || '}}'"""
    )


def statements(city: City, layer: Layer) -> dict[str, Any]:
    """Name, SQL and argument types of everything asked of a layer.

    Boxes go by GiST (`&&` alone, the fence keeps the planner off the primary key), then the order, then the page.
    """
    feature, table = feature_sql(layer), layer.table
    body = (
        f"""SELECT '{{"type":"FeatureCollection","features":[' || coalesce(string_agg({feature}, ','), '') || ']}}'"""
    )
    box = "geom && ST_MakeEnvelope($1::float8, $2::float8, $3::float8, $4::float8, 4490)"
    floats = ["float"] * 4

    def boxed(condition: str, limit: str) -> str:
        return (
            f"{body} FROM (SELECT * FROM (SELECT * FROM {table} WHERE {box}{condition} OFFSET 0) h "
            f"ORDER BY fid LIMIT {limit}::bigint) t"
        )

    found = {
        "item": (f"SELECT {feature} FROM {table} t WHERE fid = $1::bigint", ["int"]),
        "first": (f"{body} FROM (SELECT * FROM {table} ORDER BY fid LIMIT $1::bigint) t", ["int"]),
        "after": (
            f"{body} FROM (SELECT * FROM {table} WHERE fid > $1::bigint ORDER BY fid LIMIT $2::bigint) t",
            ["int", "int"],
        ),
        "box": (boxed("", "$5"), [*floats, "int"]),
    }
    if layer.id == "facility.component":
        category, text = city.category[0], city.text[0]
        equal = f' AND "{category}" = $5::text'
        found["boxattr"] = (boxed(equal, "$6"), [*floats, "str", "int"])
        found["boxcql"] = (boxed(f'{equal} AND "{text}" LIKE $6::text', "$7"), [*floats, "str", "str", "int"])
    return {f"{name}/{layer.id}": {"sql": sql, "types": types} for name, (sql, types) in found.items()}

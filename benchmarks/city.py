# SPDX-License-Identifier: Apache-2.0
"""The data everybody is asked about: four layers of the demo city, and what is asked of them.

All draws are seeded, so that every endpoint and every run on the same city is asked the same questions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection

__all__ = ["CAMERA", "COMPONENT", "PARCEL", "ROAD", "Box", "City", "Field", "Layer"]

COMPONENT, CAMERA = "facility.component", "facility.camera"
PARCEL, ROAD = "base.parcel", "base.road"

SEED = 20_240_601
BOX_KM = 2.0
# Metres of a degree of latitude; boxes are drawn with it, their exact size does not matter.
_DEGREE_M = 111_320.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Field:
    """A served attribute: name and type of the layer definition."""

    name: str
    type: str
    codes: str | None = None


@dataclass(frozen=True)
class Layer:
    """A layer as published, with its rows counted."""

    id: str
    geometry: str
    fields: tuple[Field, ...]
    rows: int
    extent: Box

    @property
    def name(self) -> str:
        """The table's name, also of the peers' copy."""
        return self.id.split(".")[1]

    @property
    def table(self) -> str:
        """Quoted name of the layer's table."""
        theme, name = self.id.split(".")
        return f'"{theme}"."{name}"'

    @property
    def copy(self) -> str:
        """Quoted name of the peers' copy (see `copy_for_peers`)."""
        return f'peers."{self.name}"'

    @property
    def columns(self) -> str:
        """Quoted names of the served attributes."""
        return ", ".join(f'"{f.name}"' for f in self.fields)


@dataclass(frozen=True)
class City:
    """A database with the demo city in it."""

    dsn: str
    layers: dict[str, Layer]
    category: tuple[str, str]
    text: tuple[str, str]

    @classmethod
    def read(cls, dsn: str) -> City:
        """Layers, their counts, and the values the filters ask for: the most frequent category, the commonest digit."""
        with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cur:
            layers = {}
            for layer_id in (COMPONENT, CAMERA, PARCEL, ROAD):
                layers[layer_id] = _layer(cur, layer_id)
            category = _category(cur, layers[COMPONENT])
            text = _text(cur, layers[COMPONENT])
        return cls(dsn, layers, category, text)

    def connect(self) -> connection:
        """A psycopg2 connection in autocommit."""
        conn = psycopg2.connect(self.dsn)
        conn.autocommit = True
        return conn

    def random_fids(self, layer_id: str, count: int) -> list[int]:
        """Ids of existing features, drawn evenly."""
        layer = self.layers[layer_id]
        with closing(self.connect()) as conn, conn.cursor() as cur:
            cur.execute(f"SELECT min(fid), max(fid) FROM {layer.table}")
            low, high = cur.fetchone()
            draw = random.Random(f"{SEED}-{layer_id}")
            wanted = [draw.randint(low, high) for _ in range(count * 2)]
            cur.execute(f"SELECT fid FROM {layer.table} WHERE fid = ANY(%s)", (wanted,))
            there = {row[0] for row in cur.fetchall()}
        return [fid for fid in wanted if fid in there][:count]

    def fid_at(self, layer_id: str, place: int) -> int:
        """The id of the feature at a place, from 1, in order of id."""
        with closing(self.connect()) as conn, conn.cursor() as cur:
            cur.execute(f"SELECT fid FROM {self.layers[layer_id].table} ORDER BY fid OFFSET %s LIMIT 1", (place - 1,))
            found = cur.fetchone()
        return int(found[0])

    def boxes(self, layer_id: str, count: int) -> list[Box]:
        """Boxes of 2 km round features drawn evenly, so that dense places are asked for most; lon/lat degrees."""
        layer = self.layers[layer_id]
        fids = self.random_fids(layer_id, count)
        with closing(self.connect()) as conn, conn.cursor() as cur:
            cur.execute(
                f"SELECT fid, ST_X(ST_PointOnSurface(geom)), ST_Y(ST_PointOnSurface(geom)) "
                f"FROM {layer.table} WHERE fid = ANY(%s)",
                (fids,),
            )
            centre = {fid: (x, y) for fid, x, y in cur.fetchall()}
        return [_box(*centre[fid]) for fid in fids]

    def analyze(self) -> None:
        """VACUUM ANALYZE, so that nobody is asked while the database tidies up."""
        with closing(self.connect()) as conn, conn.cursor() as cur:
            for layer in self.layers.values():
                cur.execute(f"VACUUM (ANALYZE) {layer.table}")
                cur.execute(f"VACUUM (ANALYZE) {layer.copy}")

    def copy_for_peers(self) -> None:
        """Copies the four layers for the peers: same rows, ids and order, served columns only, SRID 4326.

        pygeoapi writes EPSG:4490 with swapped axes and reads boxes as 4326; views over `ST_SetSRID` would lose the
        spatial index. The copy spares the peers the time columns, the unique key and any transformation, so it
        favours them. Primary key, GiST and the attribute indexes are as on the layers. Kept when it is current.
        """
        with closing(psycopg2.connect(self.dsn)) as conn, conn, conn.cursor() as cur:
            cur.execute("CREATE SCHEMA IF NOT EXISTS peers")
            cur.execute("CREATE TABLE IF NOT EXISTS peers.made (layer text PRIMARY KEY, version bigint)")
            for layer in self.layers.values():
                cur.execute("SELECT version FROM geocloud.layer_state WHERE layer = %s", (layer.id,))
                version = cur.fetchone()[0]
                cur.execute("SELECT version FROM peers.made WHERE layer = %s", (layer.id,))
                made = cur.fetchone()
                if made is None or made[0] != version:
                    _copy(cur, layer)
                    cur.execute(
                        "INSERT INTO peers.made VALUES (%s, %s) ON CONFLICT (layer) DO UPDATE "
                        "SET version = excluded.version",
                        (layer.id, version),
                    )


def _layer(cur: Any, layer_id: str) -> Layer:
    cur.execute("SELECT spec FROM geocloud.layer WHERE id = %s AND status = 'active'", (layer_id,))
    found = cur.fetchone()
    if found is None:
        raise LookupError(f"the database has no layer {layer_id}; is it a demo city?")
    spec = found[0]
    fields = tuple(Field(f["name"], f["type"], f["codes"]) for f in spec["fields"] if not f["hidden"])
    theme, name = layer_id.split(".")
    cur.execute(
        f"SELECT count(*), min(ST_XMin(geom)), min(ST_YMin(geom)), max(ST_XMax(geom)), max(ST_YMax(geom)) "
        f'FROM "{theme}"."{name}"'
    )
    rows, *extent = cur.fetchone()
    if not rows:
        raise LookupError(f"{layer_id} is empty")
    return Layer(layer_id, spec["geometry"], fields, rows, tuple(extent))


def _category(cur: Any, layer: Layer) -> tuple[str, str]:
    """The coded field whose commonest value is nearest to a fifth of all rows, and that value."""
    best: tuple[float, str, str] | None = None
    for f in layer.fields:
        if f.type != "text" or not (f.codes or f.name == "category"):
            continue
        cur.execute(
            f'SELECT "{f.name}", count(*)::float8 / %s FROM {layer.table} WHERE "{f.name}" IS NOT NULL '
            "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1",
            (layer.rows,),
        )
        found = cur.fetchone()
        if found and (best is None or abs(found[1] - 0.2) < best[0]):
            best = (abs(found[1] - 0.2), f.name, found[0])
    if best is None:
        raise LookupError(f"{layer.id} has no coded field to filter by")
    return best[1], best[2]


def _text(cur: Any, layer: Layer) -> tuple[str, str]:
    """A free text field and a LIKE pattern for the CQL2 filter."""
    for f in layer.fields:
        if f.type == "text" and not f.codes and f.name in ("name", "code", "identifier"):
            return f.name, "%9%"
    raise LookupError(f"{layer.id} has no text field to filter by")


def _box(x: float, y: float) -> Box:
    half = BOX_KM * 1000 / 2 / _DEGREE_M
    wide = half / math.cos(math.radians(y))
    return (round(x - wide, 6), round(y - half, 6), round(x + wide, 6), round(y + half, 6))


def _copy(cur: Any, layer: Layer) -> None:
    kinds = {"point": "Point", "linestring": "LineString", "polygon": "Polygon"}
    kind = kinds.get(layer.geometry, layer.geometry.replace("multi", "Multi").replace("string", "String"))
    kind = kind.replace("Multip", "MultiP").replace("Multil", "MultiL")
    cur.execute(f"DROP TABLE IF EXISTS {layer.copy}")
    cur.execute(
        f"CREATE TABLE {layer.copy} AS SELECT fid, {layer.columns}, "
        f"ST_SetSRID(geom, 4326)::geometry({kind}, 4326) AS geom FROM {layer.table} ORDER BY ctid"
    )
    cur.execute(f"ALTER TABLE {layer.copy} ADD PRIMARY KEY (fid)")
    cur.execute(f"CREATE INDEX ON {layer.copy} USING gist (geom)")
    for column in _indexed(cur, layer):
        cur.execute(f'CREATE INDEX ON {layer.copy} ("{column}")')


def _indexed(cur: Any, layer: Layer) -> Sequence[str]:
    cur.execute(
        "SELECT f->>'name' FROM geocloud.layer, jsonb_array_elements(spec->'fields') f "
        "WHERE id = %s AND (f->>'index')::bool AND NOT (f->>'hidden')::bool",
        (layer.id,),
    )
    return [row[0] for row in cur.fetchall()]

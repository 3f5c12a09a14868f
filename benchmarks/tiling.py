# SPDX-License-Identifier: Apache-2.0
"""Tiles to ask for, what raw's SQL is for them, and whether two tiles hold the same."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import mapbox_vector_tile

from benchmarks.city import SEED, City, Layer

__all__ = ["NAMED", "TileAsk", "centred", "difference", "drawn", "one_tile", "tile_statements"]

# What the layers' definitions name for these zooms, as the benchmark publishes them.
NAMED: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "facility.component": {12: ("category",), 14: ("category", "class_code"),
                           16: ("category", "class_code", "code", "state")},
    "base.parcel": {12: ("land_use",), 14: ("land_use", "code"), 16: ("land_use", "code")},
}  # fmt: skip
_WORLD_M = 40075016.685578488
# Tile units by which a place may differ: rounding here, cutting off there.
_UNITS = 2


@dataclass(frozen=True)
class TileAsk:
    """One tile of WebMercatorQuad; `fields` None: every attribute, empty: what the server thinks right."""

    layer: str
    z: int
    x: int
    y: int
    fields: tuple[str, ...] | None = None


def drawn(city: City, layer_id: str, zoom: int, count: int, fields: tuple[str, ...] | None) -> list[TileAsk]:
    """Tiles drawn by density: those of features drawn evenly."""
    layer = city.layers[layer_id]
    draw = random.Random(f"{SEED}-tiles-{layer_id}-{zoom}")
    fids = city.random_fids(layer_id, count)
    with closing(city.connect()) as conn, conn.cursor() as cur:
        cur.execute(
            f"SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_Transform(ST_PointOnSurface(geom), 3857) p FROM {layer.table} "
            "WHERE fid = ANY(%s) ORDER BY fid) q",
            (fids,),
        )
        places = list(cur.fetchall())
    draw.shuffle(places)
    side = _WORLD_M / 2**zoom
    half = _WORLD_M / 2
    return [
        TileAsk(layer_id, zoom, math.floor((x + half) / side), math.floor((half - y) / side), fields) for x, y in places
    ]


def one_tile(city: City, layer_id: str, zoom: int, fields: tuple[str, ...] | None) -> TileAsk:
    """The tile of a zoom that holds most of the layer."""
    layer = city.layers[layer_id]
    side = _WORLD_M / 2**zoom
    with closing(city.connect()) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT x, y FROM (SELECT floor((ST_X(p) + %(half)s) / %(side)s)::int AS x, "
            "floor((%(half)s - ST_Y(p)) / %(side)s)::int AS y FROM (SELECT ST_Transform(ST_PointOnSurface(geom), 3857) "
            f"AS p FROM {layer.table}) q) t GROUP BY 1, 2 ORDER BY count(*) DESC LIMIT 1",
            {"half": _WORLD_M / 2, "side": side},
        )
        x, y = cur.fetchone()
    return TileAsk(layer_id, zoom, x, y, fields)


def centred(city: City, ask: TileAsk) -> int:
    """How many features have their centre in a tile, counted by SQL on the stored geometry."""
    layer = city.layers[ask.layer]
    side, half = _WORLD_M / 2**ask.z, _WORLD_M / 2
    box = (ask.x * side - half, half - (ask.y + 1) * side, (ask.x + 1) * side - half, half - ask.y * side)
    with closing(city.connect()) as conn, conn.cursor() as cur:
        cur.execute(
            "SELECT count(*) FROM (SELECT ST_Centroid(ST_Transform(geom, 3857)) AS p "
            f"FROM {layer.table}) c WHERE ST_X(p) >= %s AND ST_Y(p) > %s AND ST_X(p) < %s AND ST_Y(p) <= %s",
            box,
        )
        return int(cur.fetchone()[0])


def tile_statements(layer: Layer) -> dict[str, Any]:
    """Raw's tiles: the table as it is, with every attribute or with those named for a zoom."""
    found: dict[str, Any] = {f"tile/{layer.id}": _tile_sql(layer, [f.name for f in layer.fields])}
    for zoom, names in NAMED.get(layer.id, {}).items():
        found[f"tile{zoom}/{layer.id}"] = _tile_sql(layer, names)
    return found


def _tile_sql(layer: Layer, names: Sequence[str]) -> dict[str, Any]:
    tile = "ST_TileEnvelope($1::int, $2::int, $3::int)"
    around = "ST_Transform(ST_TileEnvelope($1::int, $2::int, $3::int, margin => 0.015625), 4490)"
    columns = "".join(f', t."{n}"' for n in names)
    return {
        "sql": f"SELECT ST_AsMVT(m, '{layer.name}', 4096, 'geom', 'fid') FROM (SELECT t.fid{columns}, "
        f"ST_AsMVTGeom(ST_Transform(t.geom, 3857), {tile}, 4096, 64, true) AS geom FROM {layer.table} t "
        f"WHERE t.geom && {around}) m",
        "types": ["int", "int", "int"],
    }


def difference(one: bytes, other: bytes) -> str:
    """What differs between two tiles inside their edges, feature by feature; empty when nothing does.

    Features are told apart by what lies where: servers name layers and ids each in their own way, buffers differ.
    """
    a, b = _inside(one), _inside(other)
    if len(a) != len(b):
        return f"{len(a)} features against {len(b)}"
    if len(a) > 10_000:
        # So many lie on each other that pairing them off says nothing; where they lie on average does.
        off = [abs(sum(p[i] for p in a) - sum(p[i] for p in b)) / len(a) for i in range(4)]
        return f"on average {max(off):.2f} tile units apart" if max(off) > _UNITS / 2 else ""
    unmatched = 0
    cells: dict[tuple[int, int], list[tuple[float, ...]]] = {}
    for box in b:
        cells.setdefault((int(box[0] // 8), int(box[1] // 8)), []).append(box)
    for box in a:
        x, y = int(box[0] // 8), int(box[1] // 8)
        near = [c for dx in (-1, 0, 1) for dy in (-1, 0, 1) for c in cells.get((x + dx, y + dy), [])]
        found = next((c for c in near if all(abs(p - q) <= _UNITS for p, q in zip(box, c, strict=True))), None)
        if found is None:
            unmatched += 1
        else:
            cells[int(found[0] // 8), int(found[1] // 8)].remove(found)
    # Boxes are paired off one by one, so where many lie together a few find theirs taken.
    return f"{unmatched} of {len(a)} features lie elsewhere" if unmatched > len(a) / 1_000 else ""


def _inside(data: bytes) -> list[tuple[float, ...]]:
    """Boxes, cut to the tile, of the features that reach well into it."""
    if not data:
        return []
    (layer,) = mapbox_vector_tile.decode(data, default_options={"y_coord_down": True}).values()
    found = []
    for feature in layer["features"]:
        points = list(_points(feature["geometry"]["coordinates"]))
        box = (
            max(0, min(p[0] for p in points)), max(0, min(p[1] for p in points)),
            min(4096, max(p[0] for p in points)), min(4096, max(p[1] for p in points)),
        )  # fmt: skip
        single = feature["geometry"]["type"] == "Point"
        wide, high = box[2] - box[0], box[3] - box[1]
        edge = any(not 2 * _UNITS < v < 4096 - 2 * _UNITS for v in box)
        # At the edge servers differ by a unit about what is in; specks that one drops and another keeps show nothing.
        if (single and not edge) or (not single and min(wide, high) > 2 * _UNITS):
            found.append(box)
    return found


def _points(coordinates: Any) -> Any:
    if isinstance(coordinates[0], int | float):
        yield coordinates
    else:
        for part in coordinates:
            yield from _points(part)

# SPDX-License-Identifier: Apache-2.0
"""SQL of one layer of one tile: its features as they are, or what stands for them where they are too many.

Everything a tile shows is true. *Features* come each once with their id; *clusters* and *coverage cells* carry how many
features they stand for, each feature counted in the one cell that holds its centre, so that counts add up over tiles;
*merged lines* carry how many lines they are made of, counted where a line's middle lies.

Coordinates are tile units: 4,096 a side, y down (MVT 2.1). A polygon that lies whole inside the tile's buffer is only
shifted and rounded: clipping and validating it again, as ST_AsMVTGeom does, takes three quarters of the time of a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.query import Statement
from geocloud.features.request import Rows
from geocloud.tiles.grids import Tile, cells_of

__all__ = ["BUFFER", "CELL_DEPTH", "EXTENT", "Kind", "cells_statement", "features_statement", "kind_of",
           "lines_statement"]  # fmt: skip

EXTENT, BUFFER = 4096, 64
Kind = Literal["cluster", "cover", "merge"]
# A cell's side is 1/2^depth of the tile's: eight clusters across, 32 coverage cells across.
CELL_DEPTH: dict[str, int] = {"cluster": 3, "cover": 5}
_WORLD_M = 40075016.685578488


def kind_of(layer: Layer) -> Kind:
    """The rule by which a layer's tiles are thinned: that of its overview, or what suits its geometry."""
    overview = layer.spec.tiles.overview
    if overview in ("cluster", "cover", "merge"):
        return overview  # type: ignore[return-value]
    shape = layer.spec.geometry
    return "merge" if "line" in shape else "cover" if "polygon" in shape else "cluster"


class _Place:
    """Where the tile lies, as arguments bound when first used."""

    def __init__(self, binder: Binder, tile: Tile) -> None:
        self._binder, self._known = binder, dict[str, str]()
        side = tile.east - tile.west
        margin = side * BUFFER / EXTENT
        west, south, east, north = tile.lonlat(BUFFER / EXTENT)
        scale = EXTENT / side
        self._values = {
            "w": tile.west, "s": tile.south, "e": tile.east, "n": tile.north,
            "bw": tile.west - margin, "bs": tile.south - margin, "be": tile.east + margin, "bn": tile.north + margin,
            "lw": west, "ls": south, "le": east, "ln": north,
            "dx": -tile.west, "dy": -tile.north, "xs": scale, "ys": -scale,
            # ST_AsMVT cuts fractions off; half a unit more makes that rounding.
            "rx": -tile.west + 0.5 / scale, "ry": -tile.north - 0.5 / scale,
        }  # fmt: skip

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            self._known[name] = self._binder.bind(float(self._values[name]), "float8")
        return self._known[name]

    def box(self, prefix: str, srid: int) -> str:
        w, s, e, n = (self[prefix + side] for side in "wsen")
        return f"ST_MakeEnvelope({w}, {s}, {e}, {n}, {srid})"


@dataclass(frozen=True)
class _Query:
    """A statement in the making."""

    layer: Layer
    tile: Tile
    rows: Rows
    binder: Binder
    place: _Place

    @property
    def mercator(self) -> bool:
        return self.tile.grid.srid == 3857

    @property
    def source(self) -> str:
        return self.rows.relation or self.layer.table

    @property
    def whole(self) -> str:
        """The geometry in Web Mercator."""
        return "geocloud.tile_geometry(t.geom)" if self.rows.relation else "t.tile_geom"

    @property
    def shape(self) -> str:
        """The geometry in the grid's CRS, generalised for the zoom where that is stored."""
        if not self.mercator:
            return "t.geom"
        if self.rows.relation or self.layer.spec.geometry in ("point", "multipoint") or self.tile.zoom > 11:
            return self.whole
        finer = "t.tile_geom_11, t.tile_geom"
        return f"coalesce({'t.tile_geom_7, ' if self.tile.zoom <= 7 else ''}{finer})"

    def where(self, *more: str) -> str:
        box = f"t.geom && {self.place.box('l', 4490)}"
        return " AND ".join([box, *(c for c in (self.rows.where, *more) if c)])

    def drawn(self, shape: str) -> str:
        """A geometry in the grid's CRS as tile units."""
        place, srid = self.place, self.tile.grid.srid
        if self.layer.spec.geometry == "point":
            return f"ST_TransScale({shape}, {place['rx']}, {place['ry']}, {place['xs']}, {place['ys']})"
        clipped = f"ST_AsMVTGeom({shape}, {place.box('', srid)}, {EXTENT}, {BUFFER}, true)"
        if not self.mercator:
            return clipped
        moved = f"ST_TransScale({shape}, {place['dx']}, {place['dy']}, {place['xs']}, {place['ys']})"
        return f"CASE WHEN {shape} @ {place.box('b', srid)} THEN ST_SnapToGrid({moved}, 0, 0, 1, 1) ELSE {clipped} END"

    def code(self) -> str:
        field = self.layer.spec.style.color_by
        return f"coalesce(t.{quote_identifier(field)}::text, '')" if field else "''"


def _begin(layer: Layer, tile: Tile, rows: Rows) -> _Query:
    binder = Binder()
    binder.args.extend(rows.args)
    return _Query(layer, tile, rows, binder, _Place(binder, tile))


def _encoded(query: _Query, inner: str) -> Statement:
    """One row: the layer's bytes and how many features were put in."""
    name = "'" + query.layer.id + "'"
    sql = f"SELECT ST_AsMVT(m, {name}, {EXTENT}, 'geom', 'fid'), count(*) FROM ({inner}) m"
    return Statement(sql, query.binder.args)


def features_statement(layer: Layer, tile: Tile, rows: Rows, fields: Sequence[FieldSpec], most: int) -> Statement:
    """The features themselves, one more than `most` at the utmost."""
    query = _begin(layer, tile, rows)
    columns = ["t.fid", *(_attribute(f) for f in fields), f"{query.drawn(query.shape)} AS geom"]
    return _encoded(query, f"SELECT {', '.join(columns)} FROM {query.source} t WHERE {query.where()} LIMIT {most + 1}")


def cells_statement(
    layer: Layer, tile: Tile, rows: Rows, fields: Sequence[FieldSpec], kind: Kind, depth: int, *,
    stored: bool, thinned: bool,
) -> Statement:  # fmt: skip
    """Clusters or coverage cells of 1/2^depth of the tile's side; polygons as large as a cell are drawn themselves.

    `stored`: out of the layer's overview table, which holds cells of this zoom; else counted from the rows.
    """
    query = _begin(layer, tile, rows)
    lead = layer.spec.style.color_by
    named = [f for f in fields if f.name != lead]
    shown = lead if lead and any(f.name == lead for f in fields) else None
    cells = _stored_cells(query, kind, depth) if stored else _counted_cells(query, kind, depth)
    columns = ["NULL::bigint AS fid", f"'{kind}'::text AS overview", "c.n AS count"]
    grouped = ["x", "y", "sum(n)::bigint AS n"]
    if shown:
        columns.append(f"nullif(c.lead, '') AS {quote_identifier(shown)}")
        by = "n" if kind == "cluster" else "area"
        grouped.append(f"(array_agg(code ORDER BY {by} DESC, code))[1] AS lead")
    if kind == "cluster":
        grouped += ["sum(sx)::float8 AS sx", "sum(sy)::float8 AS sy"]
        if shown:
            columns.append("c.mix AS mix")
            grouped.append("json_object_agg(code, n ORDER BY n DESC, code)::text AS mix")
    else:
        grouped.append("sum(area)::float8 / 1e6 AS area")
        columns += ["round(c.area)::bigint AS area_m2", f"{_share(query, depth)} AS share"]
    if thinned:
        columns.append("true AS thinned")
    columns.append(f"{_cell_shape(query, kind, depth)} AS geom")
    inner = f"SELECT {', '.join(grouped)} FROM ({cells}) k GROUP BY x, y ORDER BY x, y"
    where = _cell_in_tile(query, kind, depth)
    parts = [f"SELECT {', '.join(columns)}{_nulls(named)} FROM ({inner}) c{where}"]
    if kind == "cover" and _has_polygons(layer):
        large = f"{_from(query)} <= {tile.zoom - CELL_DEPTH['cover'] + depth}"
        empty = ["t.fid", "NULL::text", "NULL::bigint"]
        empty += [f"t.{quote_identifier(shown)}::text"] if shown else []
        empty += ["NULL::bigint", "NULL::float8"] + (["NULL::boolean"] if thinned else [])
        empty += [query.drawn(query.shape), *(_value(f) for f in named)]
        parts.append(f"SELECT {', '.join(empty)} FROM {query.source} t WHERE {query.where(large)}")
    return _encoded(query, " UNION ALL ".join(parts))


def lines_statement(
    layer: Layer, tile: Tile, rows: Rows, fields: Sequence[FieldSpec], *, thinned_depth: int | None = None
) -> Statement:
    """Lines merged by what the tile says of them; past a limit by class alone, without those shorter than
    1/2^depth of the tile's side, which are still counted."""
    query = _begin(layer, tile, rows)
    lead = layer.spec.style.color_by
    kept = [f for f in fields if thinned_depth is None or f.name == lead]
    names = [_value(f) for f in kept]
    place = query.place
    x, y = (f"(ST_{a}Min(s.shape) + ST_{a}Max(s.shape)) / 2" for a in "XY")
    here = f"{x} >= {place['w']} AND {x} < {place['e']} AND {y} > {place['s']} AND {y} <= {place['n']}"
    long = ""
    if thinned_depth is not None:
        least = query.binder.bind((tile.east - tile.west) / 2**thinned_depth, "float8")
        long = f" FILTER (WHERE ST_Length(s.shape) >= {least})"
    inner = [f"{n} AS {quote_identifier(f.name)}" for n, f in zip(names, kept, strict=True)]
    groups = [f"s.{quote_identifier(f.name)}" for f in kept]
    merged = f"ST_LineMerge(ST_CollectionExtract(ST_Collect(s.shape){long}, 2))"
    clipped = f"ST_AsMVTGeom({merged}, {place.box('', tile.grid.srid)}, {EXTENT}, {BUFFER}, true)"
    columns = [*groups, "'merge'::text AS overview", f"count(*) FILTER (WHERE {here}) AS count"]
    columns += ["true AS thinned"] if thinned_depth is not None else []
    columns += ["NULL::bigint AS fid", f"{clipped} AS geom"]
    inner.append(f"{query.shape} AS shape")
    drawn = f"SELECT {', '.join(inner)} FROM {query.source} t WHERE {query.where(_appears(query))}"
    group = f" GROUP BY {', '.join(groups)}" if groups else ""
    return _encoded(query, f"SELECT {', '.join(columns)} FROM ({drawn}) s{group}")


def _appears(query: _Query) -> str:
    """Classes that are first drawn at a higher zoom stay out."""
    style, rule = query.layer.spec.style, query.layer.spec.tiles.from_zoom
    later = [code for code, zoom in rule.items() if zoom > query.tile.zoom]
    if not later or not style.color_by:
        return ""
    codes = query.binder.bind(later, "text[]")
    return f"(t.{quote_identifier(style.color_by)} IS NULL OR t.{quote_identifier(style.color_by)} <> ALL ({codes}))"


def _stored_cells(query: _Query, kind: Kind, depth: int) -> str:
    """Cells out of the overview table; coarser ones than it holds for this zoom are put together from them."""
    level = query.tile.zoom + depth
    lowest = query.layer.spec.tiles.min_zoom + CELL_DEPTH[kind]
    coarser = max(0, lowest - level)
    level += coarser
    x0, x1, y0, y1 = _cell_range(query.tile, level)
    bind = query.binder.bind
    place = f"level = {bind(level, 'smallint')} AND x BETWEEN {bind(x0, 'int')} AND {bind(x1, 'int')}"
    x, y = (f"{axis} >> {coarser} AS {axis}" if coarser else axis for axis in "xy")
    return (
        f'SELECT {x}, {y}, code, n, sx, sy, area FROM tiles."{query.layer.id}" '
        f"WHERE {place} AND y BETWEEN {bind(y0, 'int')} AND {bind(y1, 'int')} AND n > 0"
    )


def _counted_cells(query: _Query, kind: Kind, depth: int) -> str:
    """Cells counted from the rows in the tile's box."""
    shift = 32 - query.tile.zoom - depth
    x0, x1, y0, y1 = _cell_range(query.tile, query.tile.zoom + depth)
    whole = query.whole
    anchor = whole if query.layer.spec.geometry == "point" else f"ST_Centroid({whole})"
    area, small = "0", ""
    if kind == "cover" and _has_polygons(query.layer):
        area = f"round(ST_Area({whole}) * geocloud.tile_area_scale(ST_Y(a.at)) * 1e6)"
        small = f"{_from(query)} > {query.tile.zoom - CELL_DEPTH['cover'] + depth}"
    bind = query.binder.bind
    return (
        f"SELECT (mx >> {shift})::int AS x, (my >> {shift})::int AS y, code, count(*) AS n, sum(mx) AS sx, "
        f"sum(my) AS sy, sum(area) AS area FROM (SELECT geocloud.tile_x(a.at) AS mx, geocloud.tile_y(a.at) AS my, "
        f"{query.code()} AS code, {area} AS area FROM {query.source} t, LATERAL (SELECT {anchor} AS at OFFSET 0) a "
        f"WHERE {query.where(small)}) r WHERE mx >> {shift} BETWEEN {bind(x0, 'bigint')} AND {bind(x1, 'bigint')} "
        f"AND my >> {shift} BETWEEN {bind(y0, 'bigint')} AND {bind(y1, 'bigint')} GROUP BY 1, 2, 3"
    )


def _cell_range(tile: Tile, level: int) -> tuple[int, int, int, int]:
    """First and last column and row of Web Mercator's quadtree cells of a level that a tile holds or touches."""
    depth = level - tile.zoom
    left, right = tile.col << depth, ((tile.col + 1) << depth) - 1
    if tile.grid.srid == 3857:
        return left, right, tile.row << depth, ((tile.row + 1) << depth) - 1
    # Columns of all grids are equal parts of longitude; rows of Mercator are not those of latitude.
    return left, right, *cells_of(tile.lonlat(), level)[2:]


def _cell_shape(query: _Query, kind: Kind, depth: int) -> str:
    """Where a cell is drawn: at the mean of its features, or as its square."""
    tile = query.tile
    if kind == "cluster":
        if query.mercator:
            part = 2.0 ** (32 - tile.zoom)
            bind = query.binder.bind
            x = f"(c.sx / c.n / {part!r} - {bind(tile.col, 'int')}) * {EXTENT}"
            y = f"(c.sy / c.n / {part!r} - {bind(tile.row, 'int')}) * {EXTENT}"
        else:
            x = f"({_lon('c.sx / c.n / 4294967296')} - {query.place['w']}) * {query.place['xs']}"
            y = f"({_lat('c.sy / c.n / 4294967296')} - {query.place['n']}) * {query.place['ys']}"
        return f"ST_MakePoint({x}, {y})"
    if query.mercator:
        side, bind = EXTENT >> depth, query.binder.bind
        x, y = (f"(c.{a} - {bind(n << depth, 'int')})" for a, n in (("x", tile.col), ("y", tile.row)))
        return f"ST_Reverse(ST_MakeEnvelope({x} * {side}, {y} * {side}, ({x} + 1) * {side}, ({y} + 1) * {side}))"
    cells = float(2 ** (tile.zoom + depth))
    place = query.place
    x0, x1 = (f"round(({_lon(f'(c.x + {d}) / {cells!r}')} - {place['w']}) * {place['xs']})" for d in (0, 1))
    y0, y1 = (f"round(({_lat(f'(c.y + {d}) / {cells!r}')} - {place['n']}) * {place['ys']})" for d in (0, 1))
    return f"ST_Reverse(ST_MakeEnvelope({x0}, {y0}, {x1}, {y1}))"


def _cell_in_tile(query: _Query, kind: Kind, depth: int) -> str:
    """In grids whose rows are not Mercator's, a cell belongs to the tile that holds its middle."""
    if query.mercator:
        return ""
    cells = float(2 ** (query.tile.zoom + depth))
    lat = _lat("c.sy / c.n / 4294967296") if kind == "cluster" else _lat(f"(c.y + 0.5) / {cells!r}")
    return f" WHERE {lat} > {query.place['s']} AND {lat} <= {query.place['n']}"


def _share(query: _Query, depth: int) -> str:
    """How much of a cell its features cover, 0 to 1 in steps of half a percent, by areas on the ellipsoid."""
    side = _WORLD_M / 2 ** (query.tile.zoom + depth)
    scale = f"geocloud.tile_area_scale({_WORLD_M / 2!r} - (c.y + 0.5) * {side!r})"
    return f"round(least(1, c.area / ({side * side!r} * {scale})) * 200) / 200"


def _from(query: _Query) -> str:
    return "geocloud.tile_from(t.geom)" if query.rows.relation else "t.tile_from"


def _has_polygons(layer: Layer) -> bool:
    return layer.spec.geometry in ("polygon", "multipolygon", "geometry")


def _lon(part: str) -> str:
    return f"({part} * 360 - 180)"


def _lat(part: str) -> str:
    return f"degrees(2 * atan(exp(pi() * (1 - 2 * ({part})))) - pi() / 2)"


def _nulls(fields: Sequence[FieldSpec]) -> str:
    return "".join(f", {_null(f)} AS {quote_identifier(f.name)}" for f in fields)


def _null(f: FieldSpec) -> str:
    kinds = {"integer": "bigint", "number": "float8", "boolean": "boolean"}
    return f"NULL::{kinds.get(f.type, 'text')}"


def _value(f: FieldSpec) -> str:
    column = f"t.{quote_identifier(f.name)}"
    if f.type == "datetime":
        return f"(to_json({column})#>>'{{}}')"
    return f"{column}::text" if f.type == "date" else column


def _attribute(f: FieldSpec) -> str:
    value = _value(f)
    return value if value.startswith("t.") and "::" not in value else f"{value} AS {quote_identifier(f.name)}"

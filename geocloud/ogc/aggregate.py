# SPDX-License-Identifier: Apache-2.0
"""Sums by areas as JSON, GeoJSON and CSV: a row for each area and one for what lies outside; totals but in CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.features.spreadsheet import csv_table
from geocloud.ogc.context import Context, Document, collection_path, link
from geocloud.overlay.aggregate import Asked, Result

__all__ = ["document", "features", "table", "told"]

_JSON, _GEOJSON, _CSV = "application/json", "application/geo+json", "text/csv"
# 1e-8 degree is a millimetre.
_DEGREE_DIGITS = 8
_KM2_DIGITS = 6


def document(ctx: Context, asked: Asked, found: Result, query: str) -> bytes:
    """The table of areas, without their shapes."""
    rows = list(_rows(asked, found))
    return orjson.dumps({**_about(ctx, asked, found), "zones": rows, "links": _links(ctx, asked, query, "json")})


def features(ctx: Context, asked: Asked, found: Result, query: str) -> bytes:
    """The areas as features; what lies outside is one without geometry."""
    texts = shapely.to_geojson(shapely.set_precision(found.zones.shapes, 10.0**-_DEGREE_DIGITS, mode="pointwise"))
    told = []
    for row, text in zip(_rows(asked, found), [*np.atleast_1d(texts).tolist(), None], strict=True):
        geometry = orjson.Fragment(text) if text else None
        one: Document = {"type": "Feature", "geometry": geometry, "properties": row}
        if row["zone"] is not None:
            one["id"] = row["zone"]
        told.append(one)
    about = _about(ctx, asked, found)
    links = _links(ctx, asked, query, "geojson")
    return orjson.dumps({"type": "FeatureCollection", **about, "features": told, "links": links})


def table(asked: Asked, found: Result) -> bytes:
    """Rows as CSV, for Excel and WPS too."""
    rows = list(_rows(asked, found))  # the one for what lies outside is always among them
    return csv_table(list(rows[0]), rows)


def _rows(asked: Asked, found: Result) -> Iterator[Document]:
    zones, figures = found.zones, found.figures
    names = list(figures.zones)
    columns = [told(figures.zones[n]) for n in names]
    sized = zones.by.layer is not None or any(m.kind == "density" for m in asked.measures)
    areas = np.round(zones.area_km2, _KM2_DIGITS).tolist() if sized else []
    ids: list[Any] = zones.ids.tolist() if zones.by.layer is not None else list(zones.codes)
    for i, zone in enumerate(ids):
        row: Document = {"zone": zone, "code": zones.codes[i], "name": zones.names[i]}
        if sized:
            row["area_km2"] = areas[i]
        for name, column in zip(names, columns, strict=True):
            row[name] = column[i]
        yield row
    outside: Document = {"zone": None, "code": None, "name": None}
    if sized:
        outside["area_km2"] = None
    yield outside | {n: told(np.array([figures.outside[n]]))[0] for n in names}


def told(values: Any) -> list[float | int | None]:
    """Numbers as JSON has them: null for none, whole ones without a fraction."""
    return [None if math.isnan(v) else int(v) if v.is_integer() else v for v in values.tolist()]


def _about(ctx: Context, asked: Asked, found: Result) -> Document:
    layer, by, zones = asked.layer, asked.by, found.zones
    grid: Document = {"id": by.text, "title": ctx.text(by.title)}
    if by.layer is not None:
        grid |= {"collection": by.layer.id, "version": zones.version}
        if by.layer.synthetic:
            grid["synthetic"] = True
        if zones.pointlike:
            grid["withoutArea"] = zones.pointlike
        if zones.overlapping:
            grid["overlapping"] = {"pairs": zones.overlaps, "area_km2": round(zones.overlap_km2, _KM2_DIGITS)}
    elif by.grid is not None:
        grid |= {"grid": by.grid.id, "level": by.level}
    names = list(found.difference)
    figures = found.figures

    def sums(values: dict[str, float]) -> Document:
        return {n: told(np.array([values[n]]))[0] for n in names}

    totals: Document = {
        "features": sums(figures.total),
        "zones": sums({n: float(np.sum(figures.zones[n])) for n in names}),
        "outside": sums(figures.outside),
        "difference": sums(found.difference),
        "closed": not any(found.difference.values()),
    }
    if zones.overlapping:
        totals["note"] = ctx.say(
            "分区相互重叠:要素计入其所在的每个分区,故各区之和可大于总数。",
            "overlapping zones: a feature counts in each zone it lies in, so that zones may add up to more than all.",
        )
    document: Document = {
        "collection": layer.id,
        "title": ctx.text(layer.title),
        "by": grid,
        "measures": [m.text for m in asked.measures],
        "numberReturned": len(zones),
        "totals": totals,
        "withoutGeometry": found.shapeless,
        "version": found.version,
    }
    if layer.synthetic:
        document["synthetic"] = True
    return document


def _links(ctx: Context, asked: Asked, query: str, own: str) -> list[Document]:
    path = collection_path(asked.layer.id, "aggregate")
    here = ctx.url(path)
    kept = "&".join(part for part in query.split("&") if part and not part.startswith("f="))
    kinds = {"json": (_JSON, "JSON"), "geojson": (_GEOJSON, "GeoJSON"), "csv": (_CSV, "CSV")}
    links = [link(f"{here}?{query}", "self", kinds[own][0], ctx.say("本页", "This page"))]
    links += [link(f"{here}?{kept}&f={f}", "alternate", t, title) for f, (t, title) in kinds.items() if f != own]
    shown = "&".join(p for p in kept.split("&") if not p.startswith(("bbox=", "bbox-crs=", "lang=")))
    links.append(
        link(
            f"{here}/tiles/WebMercatorQuad/{{tileMatrix}}/{{tileRow}}/{{tileCol}}?{shown}", "item",
            "application/vnd.mapbox-vector-tile", ctx.say("矢量瓦片", "Vector tiles"), templated=True,
        )
    )  # fmt: skip
    links.append(link(ctx.url(collection_path(asked.layer.id)), "collection", _JSON, ctx.text(asked.layer.title)))
    if asked.by.layer is not None:
        zoning = asked.by.layer
        links.append(link(ctx.url(collection_path(zoning.id)), "related", _JSON, ctx.text(zoning.title)))
    return links

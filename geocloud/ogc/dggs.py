# SPDX-License-Identifier: Apache-2.0
"""Documents of OGC API - DGGS (OGC 21-038r1): grids, zones, and figures by zone as DGGS-JSON and GeoJSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.grids.dggs import DGGS, Dggs, Zones
from geocloud.ogc.aggregate import told
from geocloud.ogc.context import CRS84, REL, Context, Document, collection_path, link
from geocloud.ogc.dggs_schema import schema
from geocloud.overlay.measures import Measure

__all__ = ["CONFORMANCE", "box_data", "data", "features", "grid", "grids", "zone", "zones"]

_BASE = "https://www.opengis.net/spec/ogcapi-dggs-1/1.0/conf"
CONFORMANCE = tuple(
    f"{_BASE}/{name}"
    for name in (
        "core", "root-dggs", "collection-dggs", "zone-query", "zone-geojson", "data-retrieval", "data-custom-depths",
        "data-cql2-filter", "data-json", "data-geojson",
    )
)  # fmt: skip
_JSON, _GEOJSON = "application/json", "application/geo+json"
Figures = dict[str, NDArray[np.float64]]
_SCHEMA = "https://schemas.opengis.net/ogcapi/dggs/1.0/core/schemas/dggs-json/dggs-json.json"


def _base(ctx: Context, layer: Layer | None) -> str:
    return ctx.url(collection_path(layer.id, "dggs") if layer is not None else "/dggs")


def grids(ctx: Context, layer: Layer | None) -> bytes:
    """`/dggs`: the grids there are."""
    base = _base(ctx, layer)
    found = [
        {
            "id": d.id,
            "title": ctx.text(d.title),
            "links": [link(f"{base}/{d.id}", f"{REL}dggrs", _JSON, ctx.text(d.title))],
        }
        for d in DGGS.values()
    ]
    return orjson.dumps(
        {"dggrs": found, "links": [link(base, "self", _JSON, ctx.say("本页", "This page")), *_of(ctx, layer)]}
    )


def grid(ctx: Context, dggs: Dggs, layer: Layer | None) -> bytes:
    """`/dggs/{id}`: levels of a grid and where its zones are."""
    say, base = ctx.say, f"{_base(ctx, layer)}/{dggs.id}"
    document: Document = {
        "id": dggs.id,
        "title": ctx.text(dggs.title),
        "description": ctx.text(dggs.description),
        "crs": CRS84,
        "defaultDepth": 1,
        "minRefinementLevel": dggs.first,
        "maxRefinementLevel": dggs.last,
        "maxRelativeDepth": dggs.last - dggs.first,
        "links": [
            link(base, "self", _JSON, say("本页", "This page")),
            link(ctx.url(f"/dggs/{dggs.id}"), f"{REL}dggrs-definition", _JSON, ctx.text(dggs.title)),
            link(f"{base}/zones", f"{REL}dggrs-zone-query", _JSON, say("查询网格", "Zones")),
            *_of(ctx, layer),
        ],
        "linkTemplates": [
            {
                "rel": f"{REL}dggrs-zone-info",
                "uriTemplate": f"{base}/zones/{{zoneId}}",
                "title": say("一个网格", "A zone"),
            }
        ],
    }
    if layer is not None:
        document["linkTemplates"].append(
            {
                "rel": f"{REL}dggrs-zone-data",
                "uriTemplate": f"{base}/zones/{{zoneId}}/data",
                "title": say("网格数据", "Data of a zone"),
            }
        )
    return orjson.dumps(document)


def zone(ctx: Context, dggs: Dggs, one: int, layer: Layer | None) -> bytes:
    """`/dggs/{id}/zones/{zone}`: what is known of a zone; the area is that on the CGCS2000 ellipsoid."""
    say, base = ctx.say, f"{_base(ctx, layer)}/{dggs.id}/zones"
    level, (lon, lat), own = dggs.level(one), dggs.centre(one), np.array([one])
    (outline,) = dggs.outlines(own)
    (text,) = dggs.texts(own)
    parents = dggs.texts(dggs.parents(own, level - 1)) if level > dggs.first else []
    children = dggs.texts(dggs.within(one, level + 1)) if level < dggs.last else []
    neighbours = dggs.texts(np.array(dggs.neighbours(one), own.dtype if dggs.id == "beidou" else np.uint64))
    links = [link(f"{base}/{text}", "self", _JSON, say("本页", "This page"))]
    for rel, title, some in (
        ("parent", say("上级网格", "Parent"), parents),
        ("child", say("下级网格", "Child"), children),
        ("neighbor", say("相邻网格", "Neighbour"), neighbours),
    ):
        links += [link(f"{base}/{z}", f"{REL}dggrs-zone-{rel}", _JSON, f"{title} {z}") for z in some]
    if layer is not None:
        links.append(link(f"{base}/{text}/data", f"{REL}dggrs-zone-data", _JSON, say("网格数据", "Data")))
    return orjson.dumps(
        {
            "id": text,
            "dggrs": ctx.url(f"/dggs/{dggs.id}"),
            "level": level,
            "shapeType": dggs.shape,
            "crs": CRS84,
            "centroid": [lon, lat],
            "bbox": list(shapely.bounds(outline).tolist()),
            "geometry": _geometry(outline),
            "areaMetersSquare": float(dggs.areas(own)[0]),
            "parents": parents,
            "children": children,
            "neighbors": neighbours,
            "links": [*links, *_of(ctx, layer)],
        }
    )


def zones(
    ctx: Context,
    dggs: Dggs,
    found: Zones,
    limit: int,
    level: int,
    compact: bool,
    layer: Layer | None,
    query: str,
) -> bytes:
    """`/zones`: the texts of zones."""
    here = f"{_base(ctx, layer)}/{dggs.id}/zones"
    return orjson.dumps(
        {
            "zones": dggs.texts(found[:limit]) if len(found) else [],
            "zoneLevel": level,
            "compactZones": compact,
            "numberMatched": len(found),
            "numberReturned": min(limit, len(found)),
            "links": [
                link(f"{here}?{query}" if query else here, "self", _JSON, ctx.say("本页", "This page")),
                link(f"{_base(ctx, layer)}/{dggs.id}", f"{REL}dggrs", _JSON, ctx.text(dggs.title)),
                *_of(ctx, layer),
            ],
        }
    )


def features(
    ctx: Context, dggs: Dggs, found: Zones, figures: Figures | None = None, matched: int | None = None
) -> bytes:
    """Zones as GeoJSON polygons, longitude first, with figures where there are any."""
    texts = dggs.texts(found) if len(found) else []
    outlines: Any = dggs.outlines(found) if len(found) else []
    columns = {name: told(values) for name, values in (figures or {}).items()}
    made = []
    for k, (text, outline) in enumerate(zip(texts, outlines, strict=True)):
        properties: Document = {"level": dggs.level(int(found[k]))}
        properties |= {name: values[k] for name, values in columns.items()}
        made.append({"type": "Feature", "id": text, "geometry": _geometry(outline), "properties": properties})
    return orjson.dumps(
        {
            "type": "FeatureCollection",
            "dggrs": ctx.url(f"/dggs/{dggs.id}"),
            "numberMatched": len(made) if matched is None else matched,
            "numberReturned": len(made),
            "features": made,
        }
    )


def data(
    ctx: Context,
    dggs: Dggs,
    one: int,
    values: Sequence[tuple[int, Figures]],
    layer: Layer,
    measures: Sequence[Measure],
) -> bytes:
    """`/data` of a zone as DGGS-JSON: figures of its sub-zones by name and depth, in the order of their integers."""
    (text,) = dggs.texts(np.array([one]))
    names = list(values[0][1])
    document: Document = {
        "$schema": _SCHEMA,
        "dggrs": ctx.url(f"/dggs/{dggs.id}"),
        "zoneId": text,
        "depths": [d for d, _ in values],
        "schema": schema(ctx, layer, measures),
        "values": {
            name: [
                {
                    "depth": d,
                    "shape": {"count": len(figures[name]), "subZones": len(figures[name])},
                    "data": told(figures[name]),
                }
                for d, figures in values
            ]
            for name in names
        },
        "collection": layer.id,
        "links": _of(ctx, layer),
    }
    return orjson.dumps(document | ({"synthetic": True} if layer.synthetic else {}))


def box_data(
    ctx: Context,
    dggs: Dggs,
    level: int,
    found: Zones,
    figures: Figures,
    layer: Layer,
    measures: Sequence[Measure],
    without_position: int,
) -> bytes:
    """`/data` of a box: zones in which something lies, and their figures; `count` of all where that was asked for."""
    document: Document = {
        "dggrs": ctx.url(f"/dggs/{dggs.id}"),
        "collection": layer.id,
        "zoneLevel": level,
        "schema": schema(ctx, layer, measures),
        "numberReturned": len(found),
        "withoutPosition": without_position,
        "zones": dggs.texts(found) if len(found) else [],
        "values": {name: told(values) for name, values in figures.items()},
        "links": _of(ctx, layer),
    }
    if "count" in figures:
        document["count"] = told(np.array([figures["count"].sum()]))[0]
    return orjson.dumps(document | ({"synthetic": True} if layer.synthetic else {}))


def _geometry(shape: Any) -> Document:
    found: Document = orjson.loads(shapely.to_geojson(shape))
    return found


def _of(ctx: Context, layer: Layer | None) -> list[Document]:
    if layer is None:
        return [link(ctx.url("/dggs"), f"{REL}dggrs-list", _JSON, ctx.say("网格系统", "Grids"))]
    return [
        link(ctx.url(collection_path(layer.id)), f"{REL}geodata", _JSON, ctx.text(layer.title)),
        link(ctx.url(collection_path(layer.id, "dggs")), f"{REL}dggrs-list", _JSON, ctx.say("网格系统", "Grids")),
    ]

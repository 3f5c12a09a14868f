# SPDX-License-Identifier: Apache-2.0
"""Landing page, conformance declaration and collections, as plain JSON documents.

Made straight from the catalogue, without a database and without a provider: see `geocloud.ogc.config` for what
that saves against asking pygeoapi for each of them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Source
from geocloud.ogc.conformance import declared
from geocloud.ogc.context import CRS84, CRS_URIS, REL, STORAGE_CRS, Context, Document, collection_path, link
from geocloud.overlay.by import NAMED, is_zoning

__all__ = ["collection", "collections", "conformance", "landing", "licence_url", "rfc3339"]

_JSON, _HTML, _GEOJSON, _CSV = "application/json", "text/html", "application/geo+json", "text/csv; charset=utf-8"
_SCHEMA, _QGIS = "application/schema+json", "application/x-qgis-project-container"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
_GREGORIAN = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
# Licences whose text has one well-known address; everything else stays words.
_LICENCES = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "ODbL-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
    "ODC-By-1.0": "https://opendatacommons.org/licenses/by/1-0/",
    "PDDL-1.0": "https://opendatacommons.org/licenses/pddl/1-0/",
}


def landing(ctx: Context) -> Document:
    """The landing page (OGC API Common 1, 8.2; Features 1, 7.2)."""
    say, url = ctx.say, ctx.url
    return {
        "title": ctx.service,
        "description": say(
            f"{ctx.city}的基础地理、规划、网格与设施数据，按 OGC API 标准提供。",
            f"Base geography, planning, grids and facilities of {ctx.city}, served by the OGC API standards.",
        ),
        "language": ctx.language,
        "links": [
            link(url("/?f=json"), "self", _JSON, say("本文档（JSON）", "This document as JSON")),
            link(url("/?f=html"), "alternate", _HTML, say("本文档（网页）", "This document as HTML")),
            link(
                url("/api?f=json"),
                "service-desc",
                OPENAPI,
                say("接口定义（OpenAPI 3.0）", "API definition (OpenAPI 3.0)"),
            ),
            link(url("/api?f=html"), "service-doc", _HTML, say("接口说明", "API documentation")),
            link(url("/conformance"), "conformance", _JSON, say("符合的标准", "Conformance declaration")),
            link(url("/processes?f=json"), f"{REL}processes", _JSON, say("处理", "Processes")),
            link(url("/styles?f=json"), f"{REL}styles", _JSON, say("地图样式", "Map styles")),
            link(url("/conformance"), f"{REL}conformance", _JSON, say("符合的标准", "Conformance declaration")),
            link(url("/collections"), "data", _JSON, say("数据集", "Collections")),
            link(url("/collections"), f"{REL}data", _JSON, say("数据集", "Collections")),
            link(url("/dggs"), f"{REL}dggrs-list", _JSON, say("网格系统（北斗、H3）", "Grids: BeiDou and H3")),
            link(url("/tileMatrixSets"), f"{REL}tiling-schemes", _JSON, say("瓦片矩阵集", "Tile matrix sets")),
            link(url("/tiles"), f"{REL}tilesets-vector", _JSON, say("全市矢量瓦片", "Vector tiles of the city")),
            link(url("/map"), "related", _HTML, say("网页地图", "The web map")),
            link(url("/qgis/city.qgz"), "related", _QGIS, say("QGIS 工程（全市）", "QGIS project of the city")),
        ],
    }


def conformance(ctx: Context) -> Document:
    """The conformance declaration (OGC API Common 1, 8.4): classes the mounted parts fulfil."""
    say = ctx.say
    return {
        "conformsTo": list(declared(editing=ctx.editing, jobs_listed=ctx.settings.jobs.jobs_listed)),
        "links": [
            link(ctx.url("/conformance?f=json"), "self", _JSON, say("本文档（JSON）", "This document as JSON")),
            link(ctx.url("/conformance?f=html"), "alternate", _HTML, say("本文档（网页）", "This document as HTML")),
        ],
    }


def collections(ctx: Context) -> Document:
    """All collections (Features 1, 7.13), in the catalogue's order: theme, place within it, id."""
    say, url = ctx.say, ctx.url
    return {
        "links": [
            link(url("/collections?f=json"), "self", _JSON, say("本文档（JSON）", "This document as JSON")),
            link(url("/collections?f=html"), "alternate", _HTML, say("本文档（网页）", "This document as HTML")),
            link(url("/"), "root", _JSON, say("首页", "Landing page")),
        ],
        "crs": list(CRS_URIS),
        "numberMatched": len(ctx.catalogue.layers),
        "numberReturned": len(ctx.catalogue.layers),
        "collections": [_collection(ctx, layer) for layer in ctx.catalogue.layers.values()],
    }


def collection(ctx: Context, collection_id: str) -> Document:
    """One collection (Features 1, 7.14; part 2, 6.2), with its sources; raises UnknownCollection."""
    return _collection(ctx, ctx.catalogue.layer(collection_id))


def rfc3339(moment: datetime) -> str:
    """An instant in UTC as RFC 3339 writes it, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def licence_url(licence: str) -> str | None:
    """Address of the licence's text: known by its SPDX identifier, or an address itself; else None."""
    return _LICENCES.get(licence) or (licence if re.match(r"https?://\S+$", licence) else None)


def _collection(ctx: Context, layer: Layer) -> Document:
    spec, state = layer.spec, layer.state
    document: Document = {
        "id": layer.id,
        "title": ctx.text(layer.title),
        "description": ctx.text(spec.description),
        "keywords": [ctx.text(spec.title), spec.theme, *spec.keywords],
        "language": ctx.language,
        "itemType": "feature",
        "theme": spec.theme,
        "kind": spec.kind,
        "geometryType": spec.geometry,
        "synthetic": layer.synthetic,
        "extent": _extent(layer),
        "links": _links(ctx, layer),
        "sources": [_source(ctx, s) for s in layer.sources],
    }
    if not state.timed:
        document["itemCount"] = state.row_count
    if state.stamp:
        document["updated"] = rfc3339(state.stamp)
    if layer.sources:
        document["license"] = "; ".join(dict.fromkeys(s.licence for s in layer.sources))
        document["attribution"] = "; ".join(dict.fromkeys(ctx.text(s.title) for s in layer.sources))
    if spec.vertical_datum:
        document["verticalDatum"] = spec.vertical_datum
    if spec.geometry != "none":
        document["crs"] = list(CRS_URIS)
        document["storageCrs"] = STORAGE_CRS
        document["crsNote"] = ctx.say(
            "数据以 CGCS2000（EPSG:4490）存储；输出 CRS84、EPSG:4326 与 EPSG:3857 时，"
            "CGCS2000 与 WGS 84 之间按零变换处理，两者差异在米级精度内可忽略。",
            "Stored in CGCS2000 (EPSG:4490). For CRS84, EPSG:4326 and EPSG:3857 the change from CGCS2000 to WGS 84 "
            "is taken as the null transformation, which holds at metre level.",
        )
    return document


def _extent(layer: Layer) -> Document:
    # A row without dates holds from -infinity to infinity, so the interval is open at both ends.
    extent: Document = {"temporal": {"interval": [[None, None]], "trs": _GREGORIAN}}
    if layer.state.extent:
        extent["spatial"] = {"bbox": [list(layer.state.extent)], "crs": CRS84}
    return extent


def _links(ctx: Context, layer: Layer) -> list[Document]:
    say, here = ctx.say, ctx.url(collection_path(layer.id))
    links = [
        link(f"{here}?f=json", "self", _JSON, say("本文档（JSON）", "This document as JSON")),
        link(f"{here}?f=html", "alternate", _HTML, say("本文档（网页）", "This document as HTML")),
        link(ctx.url("/"), "root", _JSON, say("首页", "Landing page")),
        link(f"{here}/items?f=json", "items", _GEOJSON, say("要素（GeoJSON）", "Features as GeoJSON")),
        link(f"{here}/items?f=html", "items", _HTML, say("要素（网页）", "Features as HTML")),
        link(f"{here}/items?f=csv", "items", _CSV, say("要素（CSV 表格）", "Features as CSV")),
        link(f"{here}/queryables", f"{REL}queryables", _SCHEMA, say("可查询字段", "Queryables")),
        link(f"{here}/sortables", f"{REL}sortables", _SCHEMA, say("可排序字段", "Sortables")),
        link(f"{here}/schema", f"{REL}schema", _SCHEMA, say("数据结构", "Schema")),
        link(f"{here}/schema", "describedby", _SCHEMA, say("数据结构", "Schema")),
    ]
    if layer.spec.geometry != "none":
        links.append(link(f"{here}/tiles", f"{REL}tilesets-vector", _JSON, say("矢量瓦片", "Vector tiles")))
        where = say("所在区划与网格", "Districts and grid cells of features")
        links.append(link(f"{here}/stamps", "related", _JSON, where))
        layers = ctx.catalogue.layers
        by = next((n for n, i in NAMED.items() if i in layers and is_zoning(layers[i])), "h3:7")
        links.append(link(f"{here}/aggregate?by={by}", "related", _JSON, say("按分区汇总", "Added up by areas")))
        grids = say("按北斗、H3 网格汇总", "Added up by BeiDou and H3 zones")
        links.append(link(f"{here}/dggs", f"{REL}dggrs-list", _JSON, grids))
    if layer.spec.geometry == "point":
        links.append(link(f"{here}/h3", "related", _GEOJSON, say("按 H3 网格统计", "Counted by H3 cells")))
    links.append(
        link(f"{here}/changes?f=html", "related", _HTML, say("两个日期之间的变化", "What changed between two dates"))
    )
    for licence in dict.fromkeys(s.licence for s in layer.sources):
        if address := licence_url(licence):
            links.append(link(address, "license", _HTML, say(f"许可：{licence}", f"Licence: {licence}")))
    links += [
        link(s.url, "via", _HTML, say(f"来源：{s.title.zh}", f"Source: {s.title.en}")) for s in layer.sources if s.url
    ]
    return links


def _source(ctx: Context, source: Source) -> Document:
    document: Document = {"title": ctx.text(source.title), "license": source.licence, "synthetic": source.synthetic}
    return document | ({"url": source.url} if source.url else {})

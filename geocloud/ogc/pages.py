# SPDX-License-Identifier: Apache-2.0
"""What each page shows beside its document: layers by theme, drawings, links to the next page."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import numpy as np
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.geodesy.area import areas, lengths
from geocloud.geodesy.crs import CRS84, parse_crs
from geocloud.ogc import drawing, listing
from geocloud.ogc.changes import KIND_STYLES, KIND_TITLES
from geocloud.ogc.context import Context, Document, collection_path
from geocloud.ogc.documents import licence_url
from geocloud.ogc.schemas import schema
from geocloud.reports import formats

__all__ = ["PAGES", "page_of"]

# A landing page lists every collection up to this many, then so many of each theme.
_LIST_ALL, _LIST_SOME = 80, 4
# A problem's own members, which its page words by itself.
_PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "todo"})
_STANDARDS = {
    "ogcapi-common-1": "OGC API - Common - Part 1: Core",
    "ogcapi-common-2": "OGC API - Common - Part 2: Geospatial Data",
    "ogcapi-features-1": "OGC API - Features - Part 1: Core",
    "ogcapi-features-2": "OGC API - Features - Part 2: Coordinate Reference Systems by Reference",
    "ogcapi-features-3": "OGC API - Features - Part 3: Filtering",
    "ogcapi-features-4": "OGC API - Features - Part 4: Create, Replace, Update and Delete",
    "ogcapi-features-5": "OGC API - Features - Part 5: Schemas",
    "ogcapi-dggs-1": "OGC API - Discrete Global Grid Systems - Part 1: Core",
    "ogcapi-tiles-1": "OGC API - Tiles - Part 1: Core",
    "tms": "OGC Two Dimensional Tile Matrix Set and Tile Set Metadata",
    "ogcapi-processes-1": "OGC API - Processes - Part 1: Core",
    "ogcapi-styles-1": "OGC API - Styles - Part 1: Core",
    "cql2": "Common Query Language (CQL2)",
}


class _View(Protocol):
    def get(self, name: str) -> str: ...


Content = dict[str, Any]


def page_of(name: str, ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    """The template variables of a page; KeyError for an unknown name."""
    return PAGES[name](ctx, document, view, extra)


def _landing(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    layers = ctx.catalogue.layers.values()
    stamps = [x.state.stamp for x in layers if x.state.stamp]
    return {
        "themes": listing.themes(ctx),
        "total": len(layers),
        "features": sum(x.state.row_count for x in layers),
        "updated": max(stamps).isoformat() if stamps else None,
        "listed": len(layers) <= _LIST_ALL,
        "shown": _LIST_ALL if len(layers) <= _LIST_ALL else _LIST_SOME,
    }


def _collections(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    return {"themes": listing.themes(ctx), "total": len(ctx.catalogue.layers)}


def _of_layer(ctx: Context, layer: Layer) -> Content:
    return {"layer": layer, "theme_title": listing.theme_title(ctx, layer.spec.theme)}


def _collection(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    layer = ctx.catalogue.layer(document["id"])
    extent = layer.state.extent
    return {
        **_of_layer(ctx, layer),
        "schema": schema(ctx, layer.id),
        "locator": drawing.locator(ctx.settings.city.city_bbox, extent) if extent else None,
        "geometries": listing.GEOMETRIES,
        "kinds": listing.KINDS,
        "crs_names": listing.crs_names(ctx),
        "licence_url": licence_url,
        "keywords": [k for k in layer.spec.keywords if ctx.language == "zh" or k.isascii()],
        "download": max(1, min(layer.state.row_count, ctx.settings.web.page_max)),
    }


def _properties(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    layer = ctx.catalogue.layer(extra["collection"])
    wording = _filter_hint(layer)
    address = f"{ctx.url(collection_path(layer.id, 'items'))}?filter={quote(wording)}" if wording else ""
    return {**_of_layer(ctx, layer), "example": address}


def _items(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    layer = ctx.catalogue.layer(extra["collection"])
    features = document["features"]
    links = {x["rel"]: x["href"] for x in document.get("links", ()) if x["rel"] in ("prev", "next")}
    return {
        **_of_layer(ctx, layer),
        **_drawn(ctx, layer, features, view, (720, 400)),
        **_columns(layer, features),
        "pages": {rel: _as_page(href) for rel, href in links.items()},
        "filter_hint": _filter_hint(layer),
    }


def _changes(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    layer = ctx.catalogue.layer(extra["collection"])
    features = document["features"]
    links = {x["rel"]: x["href"] for x in document["links"] if x["rel"] == "next"}
    gone = [{"type": "Feature", "id": f"was {f['id']}", "geometry": f["before"]} for f in features if _differs(f)]
    return {
        **_of_layer(ctx, layer),
        **_drawn(ctx, layer, [*gone, *features], view, (720, 400)),
        # What a drawing shows each feature as: how its geometry changed, else that its fields did.
        "kind_of": {f["id"]: f["properties"]["change_kinds"][0] for f in features},
        "kind_titles": {name: ctx.say(*words) for name, words in KIND_TITLES.items()},
        "fields": {f.name: f for f in layer.spec.visible_fields},
        "pages": {rel: _as_page(href) for rel, href in links.items()},
        "styles": KIND_STYLES,
        "moments": {k: formats.moment(document[k], ctx.language) for k in ("from", "to", "asof") if k in document},
    }


def _differs(feature: Document) -> bool:
    """Whether a change has a geometry of before that is to be seen beside that of now."""
    return bool(feature.get("before")) and not {"moved", "reshaped"}.isdisjoint(feature["properties"]["change_kinds"])


def _item(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    layer = ctx.catalogue.layer(extra["collection"])
    geometry = document.get("geometry") or {}
    position = geometry["coordinates"][:2] if geometry.get("type") == "Point" else []
    place = (*position, *position) if position and _drawable(view) else None
    return {
        **_of_layer(ctx, layer),
        **_drawn(ctx, layer, [document], view, (360, 320)),
        # A point alone says nothing; against the city it does.
        "locator": drawing.locator(ctx.settings.city.city_bbox, place) if place else None,
        **_columns(layer, [document]),
        "label": _label(layer, document),
        "version": {k: _told(ctx, v) for k, v in document["version"].items() if k not in ("id", "change", "by")}
        if "version" in document
        else None,
        "turns": {
            x["rel"]: x["href"].rpartition("/")[2] for x in document.get("links", ()) if x["rel"].endswith("-version")
        },
        "measures": _measures(ctx, document, view),
    }


def _versions(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    """Versions as a table: since when, until when, what changed against the one before, who wrote it."""
    layer = ctx.catalogue.layer(extra["collection"])
    fields = {f.name: f for f in layer.spec.visible_fields}
    rows, before = [], None
    # What came before a page that is not the first is not known here.
    later = view.get("offset").strip("0") != ""
    for feature in document["features"]:
        said = feature["version"]
        changed: list[str] = []
        if before is not None:
            values, old = feature["properties"], before["properties"]
            changed = [ctx.text(fields[n].title) for n in values if n in fields and values[n] != old.get(n)]
            if feature.get("geometry") != before.get("geometry"):
                changed.append(ctx.say("位置或图形", "place or shape"))
        rows.append(
            {
                "id": said["id"],
                "from": _told(ctx, said["validFrom"]),
                "to": _told(ctx, said["validTo"]),
                "known": _told(ctx, said["knownFrom"]),
                "given_up": said["knownTo"] and _told(ctx, said["knownTo"]),
                "by": said["by"] or "",
                "what": "—" if before is None and later else ctx.say("、", ", ").join(changed),
                "first": before is None and not later,
            }
        )
        before = feature
    newest = before or {"id": extra["fid"]}
    return {**_of_layer(ctx, layer), "rows": rows, "fid": newest["id"], "label": _label(layer, newest)}


def _told(ctx: Context, text: str | None) -> str:
    """An instant in Beijing time; an open end in words."""
    return formats.moment(text, ctx.language) if text else ctx.say("不限", "open")


def _label(layer: Layer, feature: Document) -> str:
    """What a feature is called: its label, else its key, else its number."""
    properties = feature.get("properties") or {}
    named = [layer.spec.style.label, *layer.spec.key]
    return next((str(properties[n]) for n in named if n and properties.get(n) is not None), str(feature["id"]))


def _drawn(ctx: Context, layer: Layer, features: list[Document], view: _View, size: tuple[float, float]) -> Content:
    """A plot, or words that say why there is none."""
    if layer.spec.geometry == "none" or not features:
        return {"plot": None, "not_drawn": ""}
    if not _drawable(view):
        words = ctx.say("所选坐标系的几何不在此绘制。", "Geometries in the chosen CRS are not drawn here.")
        return {"plot": None, "not_drawn": words}
    plot = drawing.plot(features, size[0], size[1], ctx.settings.web.drawn_max)
    words = "" if plot else ctx.say("没有几何图形。", "There is no geometry.")
    return {"plot": plot, "not_drawn": words}


def _drawable(view: _View) -> bool:
    """True when the page's coordinates are longitude and latitude, which is what drawings and measures take."""
    asked = view.get("crs")
    return not asked or parse_crs(asked, "crs").id == CRS84


def _columns(layer: Layer, features: list[Document]) -> dict[str, list[FieldSpec]]:
    """Served fields that occur on the page in the layer's order: those with a value, and those blank throughout."""
    values: dict[str, bool] = {}
    for feature in features:
        for name, found in (feature.get("properties") or {}).items():
            values[name] = values.get(name, False) or found not in (None, "")
    present = [f for f in layer.spec.visible_fields if f.name in values]
    return {
        "columns": [f for f in present if values[f.name]],
        "blank": [f for f in present if not values[f.name]],
    }


def _measures(ctx: Context, feature: Document, view: _View) -> list[tuple[str, str]]:
    """Area or length of the geometry on the ellipsoid."""
    geometry = feature.get("geometry")
    if not geometry or not _drawable(view):
        return []
    shapes = np.array([shapely.geometry.shape(geometry)], dtype=object)
    if area := float(areas(shapes)[0]):
        return [(ctx.say("图形面积（椭球）", "Area on the ellipsoid"), formats.area(area, ctx.language))]
    if metres := float(lengths(shapes)[0]):
        return [(ctx.say("图形长度（椭球）", "Length on the ellipsoid"), formats.length(metres))]
    return []


def _as_page(href: str) -> str:
    """A paging link for a browser: without scheme and host, as HTML."""
    parts = urlsplit(href)
    pairs = [p for p in parts.query.split("&") if p and not p.startswith("f=")]
    return f"{parts.path}?{'&'.join([*pairs, 'f=html'])}"


def _filter_hint(layer: Layer) -> str:
    """A filter that this layer would take, for an example; empty when nothing can be asked."""
    for f in layer.spec.queryables:
        code_list = layer.codes.get(f.codes) if f.codes else None
        if code_list and code_list.codes:
            code = code_list.codes[0].code
            return f"{f.name} = '{code}'" if f.type == "text" else f"{f.name} = {code}"
    for f in layer.spec.queryables:
        if f.type in ("integer", "number"):
            return f"{f.name} > 100"
    for f in layer.spec.queryables:
        if f.type == "text":
            return f"{f.name} LIKE 'A%'"
    return ""


def _conformance(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    pairs = sorted((_standard(uri), uri.rsplit("/", 1)[-1], uri) for uri in document["conformsTo"])
    return {
        "standards": [
            (name, [(c, uri) for _, c, uri in group]) for name, group in groupby(pairs, key=lambda entry: entry[0])
        ]
    }


def _standard(uri: str) -> str:
    parts = uri.split("/")
    name = parts[parts.index("spec") + 1] if "spec" in parts else uri
    return _STANDARDS.get(name, name)


def _openapi(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    examples = []
    layer = next((x for x in ctx.catalogue.layers.values() if x.state.extent), None)
    if layer and layer.state.extent:
        items = ctx.url(collection_path(layer.id, "items"))
        west, south, east, north = layer.state.extent
        middle = f"{(west + east) / 2:.2f}", f"{(south + north) / 2:.2f}"
        name = ctx.text(layer.spec.title)
        examples = [
            (ctx.say(f"{name}的前 10 条", f"First 10 of {name}"), f"{items}?limit=10"),
            (
                ctx.say("一个范围之内", "Within a box"),
                f"{items}?bbox={middle[0]},{middle[1]},{east:.2f},{north:.2f}",
            ),
            (ctx.say("存为表格", "As a table"), f"{items}?f=csv&limit=1000"),
        ]
        if hint := _filter_hint(layer):
            examples.insert(2, (ctx.say("按条件过滤", "With a filter"), f"{items}?filter={quote(hint)}"))
    return {"operations": listing.operations(document), "examples": examples}


def _error(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    names = {
        "parameter": ("参数", "parameter"),
        "allowed": ("允许的取值", "allowed"),
        "id": ("编号", "id"),
        "instance": ("请求地址", "request"),
        "maximum": ("上限", "maximum"),
    }
    facts = []
    for name, found in document.items():
        if name not in _PROBLEM_MEMBERS and found not in (None, "", [], ()):
            text = ", ".join(map(str, found)) if isinstance(found, list | tuple) else str(found)
            facts.append((ctx.say(*names.get(name, (name, name))), text))
    return {"facts": facts}


def _processes(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    return {}


def _process(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    """Inputs and outputs as rows, and a request to begin with: the inputs that must be given."""
    return {
        "inputs": [(name, x, listing.schema_words(ctx, x["schema"])) for name, x in document["inputs"].items()],
        "outputs": [
            (name, x, x["schema"].get("contentMediaType", "application/json"))
            for name, x in document["outputs"].items()
        ],
        "example": json.dumps(
            {"inputs": {n: listing.example(x["schema"]) for n, x in document["inputs"].items() if x["minOccurs"]}},
            ensure_ascii=False, indent=2,
        ),
    }  # fmt: skip


def _job(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    words = listing.JOB_STATES[document["status"]]
    moments = {
        k: formats.moment(document[k], ctx.language) for k in ("created", "started", "finished") if k in document
    }
    return {
        "state": ctx.say(*words),
        "moments": moments,
        "outputs": extra["outputs"],
        "process_title": extra["title"],
        "going": document["status"] in ("accepted", "running"),
    }


def _jobs(ctx: Context, document: Document, view: _View, extra: Content) -> Content:
    return {
        "rows": [
            (x, ctx.say(*listing.JOB_STATES[x["status"]]), formats.moment(x["created"], ctx.language))
            for x in document["jobs"]
        ]
    }


PAGES: dict[str, Callable[[Context, Document, _View, Content], Content]] = {
    "landing": _landing,
    "conformance": _conformance,
    "collections": _collections,
    "collection": _collection,
    "queryables": _properties,
    "sortables": _properties,
    "schema": _properties,
    "items": _items,
    "item": _item,
    "versions": _versions,
    "changes": _changes,
    "openapi": _openapi,
    "processes": _processes,
    "process": _process,
    "jobs": _jobs,
    "job": _job,
    "error": _error,
}

# SPDX-License-Identifier: Apache-2.0
"""`/sensing`: datastreams, their readings and time buckets, newest values on the map, and sums by areas."""

from __future__ import annotations

import re
from typing import Any

import orjson

from geocloud.catalogue.registry import Layer
from geocloud.features.drawn import AREAS, read_drawn
from geocloud.features.literals import invalid
from geocloud.features.moment import read_moment
from geocloud.features.params import TimeRange, read_datetime
from geocloud.features.request import read_whole, unknown_parameter
from geocloud.ogc.context import Context, Document, collection_path, link
from geocloud.reports import formats
from geocloud.sensing import read
from geocloud.sensing.mapping import known_properties
from geocloud.sensing.read import Area
from geocloud.sensing.statements import BUCKETS, Which
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.edit import Handler
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["AGGREGATE", "COLLECTION", "DATASTREAMS", "LATEST", "OBSERVATIONS", "ROUTES"]

_JSON, _GEOJSON, _CSV = "application/json", "application/geo+json", "text/csv; charset=utf-8"
# So that Excel and WPS read Chinese text right.
_BOM = "\ufeff"
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}")
_POLYGONS = ("polygon", "multipolygon")
DATASTREAMS = ("collection", "property", "device", "limit", "after")
LATEST = ("bbox", "collection", "property", "device", "limit", "after")
COLLECTION = ("bbox", "property", "limit", "after", "flat")
OBSERVATIONS = ("datetime", "bucket", "asof", "flagged", "corrections")
AGGREGATE = ("collection", "geometry", "property", "unit", "of", "datetime", "flagged")


async def _layers(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    """Which layers have datastreams and what they measure, in both languages, as `/map/layers` tells of them."""
    _given(ask, ())
    ask.format(("json",))
    known = known_properties()
    layers: dict[str, list[Document]] = {}
    for m in await read.measures(service.reader, service.catalogue):
        said = known.get(m.property)
        title = {"zh": said.title.zh, "en": said.title.en} if said else {"zh": m.property, "en": m.property}
        layers.setdefault(m.layer, []).append(
            {"property": m.property, "title": title, "unit": m.unit,
             "unitText": "" if m.unit == "1" else formats.unit(m.unit),
             "datastreams": m.datastreams, "interval_s": m.interval_s, "newest": m.newest, "synthetic": m.synthetic}
        )  # fmt: skip
    ctx = service.context(ask)
    document = {
        "layers": [{"collection": k, "measures": v} for k, v in layers.items()],
        "links": _links(ctx, ask, _JSON, None),
    }
    return _answer(ask, ctx, orjson.dumps(document), _JSON)


async def _datastreams(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    given = _given(ask, DATASTREAMS)
    ask.format(("json",))
    limit, which = _limit(service, given), _which(given)
    layers = await read.layers_with_datastreams(service.reader, service.catalogue, given.get("collection"))
    rows, more = await read.datastreams(service.reader, layers, which, limit)
    ctx = service.context(ask)
    links = _links(ctx, ask, _JSON, more)
    body = b'{"numberReturned":%d,"datastreams":[%s],"links":%s}' % (len(rows), b",".join(rows), orjson.dumps(links))
    return _answer(ask, ctx, body, _JSON)


async def _datastream(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _given(ask, ())
    ask.format(("json",))
    _, text = await read.datastream(service.reader, service.catalogue, params["datastream"])
    return _answer(ask, service.context(ask), text, _JSON)


async def _observations(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Readings, or time buckets from the first to the last with nulls where nothing was read."""
    given = _given(ask, OBSERVATIONS)
    as_csv = ask.format(("json", "csv")) == "csv"
    width = given.get("bucket")
    if width is not None and width not in BUCKETS:
        raise _choice("bucket", width, list(BUCKETS))
    span = read_datetime(given["datetime"]) if "datetime" in given else None
    asof = read_moment(None, given["asof"]).believed if "asof" in given else None
    all_values = _choose(given, "corrections", ("false", "true")) == "true"
    if all_values and width is not None:
        raise invalid(
            "corrections", "`corrections` and `bucket` exclude each other.", "参数 corrections 与 bucket 不能同时使用。"
        )
    flagged = _flagged(given)
    if not flagged and width is None:
        raise invalid(
            "flagged", "`flagged=exclude` is for buckets.", "参数 flagged=exclude 仅用于时段统计。",
            "Readings come with their flags.", "逐条读数均带有标记。",
        )  # fmt: skip
    found = await read.series(
        service.reader, service.catalogue, params["datastream"], span, width, service.settings.sensing,
        asof=asof, flagged=flagged, all_values=all_values, csv=as_csv,
    )  # fmt: skip
    ctx = service.context(ask)
    if as_csv:
        header = "time,value,flags,resultTime,received" if width is None else "start,mean,min,max,count,flagged"
        body = (_BOM + header + "\r\n").encode() + b"".join(row + b"\r\n" for row in found.rows)
        name = f'inline; filename="datastream-{params["datastream"]}.csv"'
        return _answer(ask, ctx, body, _CSV, (b"content-disposition", name.encode()))
    kind = b"observations" if width is None else b"buckets"
    head = orjson.dumps(
        {
            "datetime": _said(found.span),
            **({"bucket": width} if width else {}),
            "numberReturned": len(found.rows),
            "links": _links(ctx, ask, _JSON, None, csv=True),
        }
    )
    body = b'%s,"datastream":%s,"%s":[%s]}' % (head[:-1], found.datastream, kind, b",".join(found.rows))
    return _answer(ask, ctx, body, _JSON)


async def _latest(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    given = _given(ask, LATEST)
    ask.format(("json",))
    limit, which = _limit(service, given), _which(given)
    layers = await read.layers_with_datastreams(service.reader, service.catalogue, given.get("collection"))
    rows, more = await read.latest(service.reader, layers, given.get("bbox"), which, limit)
    return _features(service, ask, rows, more, layers)


async def _collection_latest(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    given = _given(ask, COLLECTION)
    ask.format(("json",))
    limit, which = _limit(service, given), _which(given, 2**63 - 1)
    flat = _choose(given, "flat", ("false", "true")) == "true"
    rows, more = await read.in_collection(service.reader, layer, given.get("bbox"), which, limit, flat=flat)
    return _features(service, ask, rows, more, [layer])


async def _aggregate(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    given = _given(ask, AGGREGATE)
    ask.format(("json",))
    if "property" not in given:
        raise invalid(
            "property", "`property` is missing.", "缺少参数 property。",
            "Name what was measured, such as property=PM2.5.", "请指定观测项目,例如 property=PM2.5。",
        )  # fmt: skip
    areas = _areas(service, given)
    devices = await read.layers_with_datastreams(service.reader, service.catalogue, given.get("of"))
    span = read_datetime(given["datetime"]) if "datetime" in given else None
    flagged = _flagged(given)
    unit, found = await read.aggregate(
        service.reader, devices, areas, _which(given), span, service.settings.sensing, flagged=flagged
    )
    ctx = service.context(ask)
    document: Document = {
        "property": given["property"],
        "unit": unit,
        "datetime": _said(span) if span else "latest",
        "of": [d.id for d in devices],
        **({"collection": areas.id} if isinstance(areas, Layer) else {}),
        "areas": [_area(ctx, areas, a) for a in found],
        "note": ctx.say(
            "mean 为各数据流均值的平均;min、max 为单值。边界上的设备两侧均计。",
            "mean is the mean of the datastreams' means; min and max are of single values. A device on a shared border "
            "counts on both sides.",
        ),
        "links": _links(ctx, ask, _JSON, None),
    }
    return _answer(ask, ctx, orjson.dumps(document), _JSON)


def _areas(service: Service, given: dict[str, str]) -> Layer | Any:
    if ("collection" in given) == ("geometry" in given):
        raise invalid(
            "collection", "Exactly one of `collection` and `geometry` must be given.",
            "参数 collection 与 geometry 须且只能给出一个。",
            "Name a layer of areas such as base.county, or send a polygon as GeoJSON.",
            "请指定区划图层(如 base.county),或以 GeoJSON 给出多边形。",
        )  # fmt: skip
    if "geometry" in given:
        return read_drawn(given["geometry"], AREAS, service.settings.web.geometry_chars_max)
    layer = service.catalogue.layer(given["collection"])
    if layer.spec.geometry not in _POLYGONS:
        raise invalid(
            "collection", f"`{layer.id}` is no layer of areas.", f"{layer.id} 不是面图层。",
            "Name a layer of polygons such as base.county.", "请指定面图层,例如 base.county。",
        )  # fmt: skip
    return layer


def _area(ctx: Context, areas: Layer | Any, a: Area) -> Document:
    document: Document = {} if a.fid is None else {"featureId": a.fid, "key": a.key}
    if a.fid is not None and isinstance(areas, Layer):
        document["href"] = ctx.url(collection_path(areas.id, "items", str(a.fid)))
    return document | {
        "datastreams": a.datastreams, "count": a.count, "mean": a.mean, "min": a.least, "max": a.greatest,
        "newest": a.newest,
    }  # fmt: skip


def _features(service: Service, ask: Ask, rows: list[bytes], more: int | None, layers: list[Layer]) -> Answer:
    ctx = service.context(ask)
    head = orjson.dumps(
        {
            "type": "FeatureCollection",
            "numberReturned": len(rows),
            **({"synthetic": True} if any(x.synthetic for x in layers) else {}),
            "links": _links(ctx, ask, _GEOJSON, more),
        }
    )
    return _answer(ask, ctx, b'%s,"features":[%s]}' % (head[:-1], b",".join(rows)), _GEOJSON)


def _answer(ask: Ask, ctx: Context, body: bytes, media_type: str, *headers: tuple[bytes, bytes]) -> Answer:
    etag = etag_of(body)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return Answer(body, media_type, headers=[said_in(ctx), *headers], etag=etag)


def _given(ask: Ask, allowed: tuple[str, ...]) -> dict[str, str]:
    """Parameters by name, each once, none unknown, none with NUL bytes."""
    given: dict[str, str] = {}
    for name, value in ask.pairs if ask.query else ():
        if name not in (*allowed, "f", "lang"):
            raise unknown_parameter(name.replace("\0", ""), [*allowed, "f", "lang"])
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        if "\0" in value:
            raise invalid(name, f"`{name}` holds a NUL byte.", f"参数 {name} 含有空字节。")
        given[name] = value
    return given


def _which(given: dict[str, str], largest: int = 2**31 - 1) -> Which:
    prop = given.get("property")
    if prop is not None and not _PROPERTY.fullmatch(prop):
        shown = prop[:60].encode("utf-8", "replace").decode()
        raise invalid(
            "property", f"`property` is `{shown}`, which cannot name what was measured.",
            f"参数 property 的值“{shown}”不可用作观测项目。",
            "Write letters, digits, dots, hyphens and underscores, such as PM2.5.",
            "请使用字母、数字、点、连字符与下划线,例如 PM2.5。",
        )  # fmt: skip
    return Which(prop, given.get("device"), given.get("unit"), read_whole(given, "after", 0, 0, largest))


def _limit(service: Service, given: dict[str, str]) -> int:
    settings = service.settings.sensing
    return min(read_whole(given, "limit", settings.sensing_page_default, 1, None), settings.sensing_page_max)


def _flagged(given: dict[str, str]) -> bool:
    return _choose(given, "flagged", ("include", "exclude")) == "include"


def _choose(given: dict[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = given.get(name, allowed[0])
    if value not in allowed:
        raise _choice(name, value, list(allowed))
    return value


def _choice(name: str, value: str, allowed: list[str]) -> Exception:
    return invalid(
        name, f"`{name}` is `{value[:40]}`.", f"参数 {name} 的值“{value[:40]}”不可用。",
        f"Allowed are: {', '.join(allowed)}.", f"可用:{'、'.join(allowed)}。", allowed=allowed,
    )  # fmt: skip


def _said(span: TimeRange | None) -> str | None:
    """The span as an interval of RFC 3339; its end is written as it is, also where it is the first instant after."""
    if span is None:
        return None
    return "/".join(t.isoformat() if t is not None else ".." for t in (span.start, span.end))


def _links(ctx: Context, ask: Ask, media_type: str, more: int | None, *, csv: bool = False) -> list[Document]:
    query = ask.query.decode("ascii")
    here = ctx.url(ask.path)
    found = [link(f"{here}?{query}" if query else here, "self", media_type, ctx.say("本页", "This page"))]

    def changed(name: str, value: str) -> str:
        kept = [part for part in query.split("&") if part and not part.startswith(f"{name}=")]
        return f"{here}?{'&'.join([*kept, f'{name}={value}'])}"

    if more is not None:
        found.append(link(changed("after", str(more)), "next", media_type, ctx.say("下一页", "Next page")))
    if csv:
        found.append(link(changed("f", "csv"), "alternate", "text/csv", "CSV"))
    return found


ROUTES: list[tuple[str, Handler]] = [
    ("/sensing/layers", _layers),
    ("/sensing/datastreams", _datastreams),
    ("/sensing/datastreams/{datastream}", _datastream),
    ("/sensing/datastreams/{datastream}/observations", _observations),
    ("/sensing/latest", _latest),
    ("/sensing/aggregate", _aggregate),
    ("/collections/{collection}/latest", _collection_latest),
]

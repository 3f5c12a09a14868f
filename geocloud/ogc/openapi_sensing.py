# SPDX-License-Identifier: Apache-2.0
"""API definition of readings of devices; the paths are the house's own, so no class of a standard is declared."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]

_JSON, _GEOJSON = "application/json", "application/geo+json"
_BUCKETS = ["10m", "1h", "3h", "6h", "1d"]
_NUMBER: Document = {"type": "number", "nullable": True}
_FLAGS: Document = {
    "type": "array",
    "items": {"type": "string", "enum": ["below", "above", "zero", "capped", "converted"]},
}
_LINKS: Document = {"type": "array", "items": {"type": "object"}}


def paths(ctx: Context) -> Document:
    """`/sensing/…` and `/collections/{collectionId}/latest`; sending readings where editing is switched on."""
    say, sensing = ctx.say, ctx.settings.sensing
    whole: Document = {"type": "integer", "minimum": 0}
    limit = _query("limit", say("条数", "How many"), {"type": "integer", "minimum": 1})
    after = _query(
        "after", say("从此编号之后继续,见 next 链接", "Go on after this id; see the next link"),
        whole | {"maximum": 2**31 - 1},
    )  # fmt: skip
    collection = _query("collection", say("设备所在图层", "Layer of the devices"), {"type": "string"})
    prop = _query(
        "property", say("观测项目", "Observed property"),
        {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.-]{0,47}$"},
    )  # fmt: skip
    device = _query("device", say("设备键值", "Key of the device"), {"type": "string"})
    flagged = _query(
        "flagged", say("exclude:统计时剔除可疑值", "exclude: doubtful values do not count"),
        {"type": "string", "enum": ["include", "exclude"], "default": "include"},
    )  # fmt: skip
    flat = _query(
        "flat", say("true:最新值为 latest_… 各字段,便于制表", "true: newest values as fields latest_…, for tables"),
        {"type": "boolean", "default": False},
    )  # fmt: skip
    number: Document = {
        "name": "datastream", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1},
        "description": say("数据流编号", "Id of the datastream"),
    }  # fmt: skip
    datastream: Document = {
        "type": "object",
        "required": ["id", "collection", "device", "property", "unit"],
        "properties": {
            "id": {"type": "integer"},
            "collection": {"type": "string"},
            "device": {"type": "string"},
            "property": {"type": "string"},
            "unit": {"type": "string", "description": "UCUM"},
            "minimum": _NUMBER,
            "maximum": _NUMBER,
            "cap": _NUMBER,
            "interval_s": {"type": "integer", "nullable": True},
            "latest": {"type": "object", "nullable": True},
        },
    }
    features = _object({"type": {"type": "string"}, "numberReturned": whole, "features": _many({"type": "object"})})
    text = _object({"zh": {"type": "string"}, "en": {"type": "string"}})
    measure = _object(
        {"property": {"type": "string"}, "title": text, "unit": {"type": "string", "description": "UCUM"},
         "unitText": {"type": "string"}, "datastreams": whole, "interval_s": {"type": "integer", "nullable": True},
         "newest": {"type": "string", "nullable": True}, "synthetic": {"type": "boolean"}}
    )  # fmt: skip
    layer = _object({"collection": {"type": "string"}, "measures": _many(measure)})
    told: Document = {
        "/sensing/layers": _get(
            ctx, "getMeasuredLayers", say("有数据流的图层及观测项目", "Layers with datastreams, what they measure"),
            [], {_JSON: _object({"layers": _many(layer), "links": _LINKS})},
        ),
        "/sensing/datastreams": _get(
            ctx, "getDatastreams", say("数据流及最新值", "Datastreams with their newest values"),
            [collection, prop, device, limit, after],
            {_JSON: _object({"numberReturned": whole, "datastreams": _many(datastream), "links": _LINKS})},
        ),
        "/sensing/datastreams/{datastream}": _get(
            ctx, "getDatastream", say("一个数据流", "One datastream"), [number], {_JSON: datastream}
        ),
        "/sensing/datastreams/{datastream}/observations": _get(
            ctx, "getObservations", say("读数序列或分时段统计", "Readings, or what they come to by time"),
            [number, {"$ref": "#/components/parameters/datetime"}, {"$ref": "#/components/parameters/asof"},
             _query("bucket", say("时段宽度,自北京时间零时起;无读数的时段为 null",
                                  "Width of time buckets from midnight in Beijing; null where nothing was read"),
                    {"type": "string", "enum": _BUCKETS}),
             flagged,
             _query("corrections", say("true:含被更正的值", "true: corrected values too"),
                    {"type": "string", "enum": ["false", "true"], "default": "false"}),
             _query("f", say("返回格式", "Format of the answer"), {"type": "string", "enum": ["json", "csv"]})],
            {_JSON: _series(datastream), "text/csv": {"type": "string"}}, f=False,
            more=say(
                f"最多 {sensing.sensing_series_max} 条读数或 {sensing.sensing_buckets_max} 个时段;"
                f"不给 datetime 时取最新 {sensing.sensing_span_days} 天。",
                f"At most {sensing.sensing_series_max} readings or {sensing.sensing_buckets_max} buckets; the newest "
                f"{sensing.sensing_span_days} days without `datetime`.",
            ),
        ),
        "/sensing/latest": _get(
            ctx, "getLatest", say("最新值(GeoJSON)", "Newest values where their devices are"),
            [{"$ref": "#/components/parameters/bbox"}, collection, prop, device, limit, after], {_GEOJSON: features},
        ),
        "/sensing/aggregate": _get(
            ctx, "getAggregate", say("按区域统计", "What readings come to in areas"),
            [_query("collection", say("面图层,与 geometry 二选一", "Layer of areas; or geometry"), {"type": "string"}),
             _query("geometry", say("GeoJSON 多边形", "A polygon as GeoJSON"), {"type": "string"}),
             prop | {"required": True}, _query("unit", say("单位", "Unit"), {"type": "string"}),
             _query("of", say("设备图层", "Layer of the devices"), {"type": "string"}),
             {"$ref": "#/components/parameters/datetime"}, flagged],
            {_JSON: _object({"property": {"type": "string"}, "unit": {"type": "string", "nullable": True},
                             "areas": _many(_area()), "links": _LINKS})},
        ),
        "/collections/{collectionId}/latest": _get(
            ctx, "getCollectionLatest", say("图层要素及其最新值", "A layer's features with their newest values"),
            [{"$ref": "#/components/parameters/collectionId"}, {"$ref": "#/components/parameters/bbox"}, prop, limit,
             after, flat], {_GEOJSON: features},
        ),
    }  # fmt: skip
    if ctx.settings.edit.editing:
        told["/sensing/observations"] = {"post": _post(ctx, [collection, device, prop])}
    return told


def _post(ctx: Context, parameters: list[Document]) -> Document:
    say, sensing = ctx.say, ctx.settings.sensing
    reading = _object(
        {
            "datastream": {"type": "integer"}, "collection": {"type": "string"}, "device": {"type": "string"},
            "property": {"type": "string"}, "time": {"type": "string", "format": "date-time"},
            "resultTime": {"type": "string", "format": "date-time"}, "value": {"type": "number"},
            "unit": {"type": "string"},
        }
    )  # fmt: skip
    counts = ("received", "stored", "repeated", "corrections", "flagged", "converted", "quarantined", "forbidden")
    answer = _object({n: {"type": "integer", "minimum": 0} for n in counts} | {"problems": _many({"type": "object"})})
    return {
        "operationId": "sendObservations",
        "tags": ["features"],
        "summary": say("写入读数", "Send readings"),
        "description": say(
            f"一批最多 {sensing.sensing_readings_max} 条,整批一个事务;重发同一批不产生重复。",
            f"At most {sensing.sensing_readings_max} readings, one transaction; the same batch again changes nothing.",
        ),
        **({"security": [{"bearerKey": []}, {"apiKey": []}]} if ctx.editing else {}),
        "parameters": [
            *parameters,
            _query("unit", say("单位", "Unit"), {"type": "string"}),
            _query("form", say("报文格式,例如 parking", "Form of messages, such as parking"), {"type": "string"}),
            _LANG,
        ],
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {"schema": _many(reading)},
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": {"description": say("各类结果计数", "Counts by outcome"), "content": {_JSON: {"schema": answer}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }


def _series(datastream: Document) -> Document:
    reading = _object({"time": {"type": "string"}, "value": {"type": "number"}, "flags": _FLAGS})
    bucket = _object(
        {"start": {"type": "string"}, "mean": _NUMBER, "min": _NUMBER, "max": _NUMBER, "count": {"type": "integer"},
         "flagged": {"type": "integer"}}
    )  # fmt: skip
    return _object(
        {"datetime": {"type": "string", "nullable": True}, "numberReturned": {"type": "integer"}, "links": _LINKS,
         "datastream": datastream, "observations": _many(reading), "buckets": _many(bucket)}
    )  # fmt: skip


def _area() -> Document:
    return _object(
        {"featureId": {"type": "integer"}, "key": {"type": "string", "nullable": True},
         "datastreams": {"type": "integer"}, "count": {"type": "integer"}, "mean": _NUMBER, "min": _NUMBER,
         "max": _NUMBER, "newest": {"type": "string", "nullable": True}}
    )  # fmt: skip


def _get(
    ctx: Context, operation: str, summary: str, parameters: list[Document], content: Document, *, f: bool = True,
    more: str = "",
) -> Document:  # fmt: skip
    shared = [*([_F] if f else []), _LANG]
    return {
        "get": {
            "operationId": operation,
            "tags": ["features"],
            "summary": summary,
            **({"description": more} if more else {}),
            "parameters": [*parameters, *shared],
            "responses": {
                "200": {
                    "description": ctx.say("成功", "Success"),
                    "content": {media: {"schema": schema} for media, schema in content.items()},
                },
                "304": {"description": ctx.say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                "400": {"$ref": "#/components/responses/BadRequest"},
                "404": {"$ref": "#/components/responses/NotFound"},
                "406": {"$ref": "#/components/responses/NotAcceptable"},
                "default": {"$ref": "#/components/responses/Problem"},
            },
        }
    }


_LANG: Document = {"$ref": "#/components/parameters/lang"}
_F: Document = {"name": "f", "in": "query", "required": False, "schema": {"type": "string", "enum": ["json"]}}


def _query(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _object(properties: Document) -> Document:
    return {"type": "object", "properties": properties}


def _many(items: Document) -> Document:
    return {"type": "array", "items": items}

# SPDX-License-Identifier: Apache-2.0
"""What pages list: layers by theme, a property's rules in words, the parts of the API definition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.geodesy.crs import SERVED, crs
from geocloud.ogc.context import Context, Document

__all__ = [
    "GEOMETRIES",
    "JOB_STATES",
    "KINDS",
    "Theme",
    "allowed",
    "crs_names",
    "example",
    "operations",
    "rules",
    "schema_words",
    "theme_title",
    "themes",
    "type_name",
]

# Names of the themes the house ships; any other theme is shown by its own id.
_THEMES = {
    "base": ("基础地理", "Base geography"),
    "planning": ("国土空间规划", "Spatial planning"),
    "grid": ("网格", "Grids"),
    "facility": ("公共设施", "Facilities"),
    "culture": ("文化", "Culture"),
    "parking": ("停车", "Parking"),
    "water": ("水利", "Water"),
    "emergency": ("应急", "Emergency"),
}
KINDS = {
    "base": ("基础时空数据", "base spatio-temporal data"),
    "thematic": ("公共专题数据", "public thematic data"),
    "sensing": ("物联网实时感知数据", "live sensor data"),
    "web": ("互联网在线抓取数据", "data gathered from the web"),
    "local": ("本地特色数据", "local data"),
}
GEOMETRIES = {
    "point": ("点", "points"),
    "multipoint": ("多点", "multipoints"),
    "linestring": ("线", "lines"),
    "multilinestring": ("多线", "multilines"),
    "polygon": ("面", "polygons"),
    "multipolygon": ("多面", "multipolygons"),
    "geometry": ("任意几何", "any geometry"),
    "none": ("无几何（表格）", "none (a table)"),
}


# OGC 18-062r2, statusCode.
JOB_STATES = {
    "accepted": ("排队中", "Waiting"),
    "running": ("运行中", "Running"),
    "successful": ("已完成", "Done"),
    "failed": ("失败", "Failed"),
    "dismissed": ("已取消", "Called off"),
}
_TYPES = {
    "string": ("文本", "text"),
    "number": ("数值", "number"),
    "integer": ("整数", "integer"),
    "boolean": ("是 / 否", "true or false"),
    "object": ("对象", "object"),
    "array": ("数组", "array"),
    "null": ("空", "null"),
}


@dataclass(frozen=True)
class Theme:
    """A theme with its layers in order."""

    id: str
    title: str
    layers: tuple[Layer, ...]


def themes(ctx: Context) -> list[Theme]:
    """Themes with layers: those the house knows in their order, then the others by id."""
    found: dict[str, list[Layer]] = {}
    for layer in ctx.catalogue.layers.values():
        found.setdefault(layer.spec.theme, []).append(layer)
    order = [*(t for t in _THEMES if t in found), *sorted(found.keys() - _THEMES.keys())]
    return [Theme(t, theme_title(ctx, t), tuple(found[t])) for t in order]


def theme_title(ctx: Context, theme: str) -> str:
    """A theme's name in the request's language."""
    return ctx.say(*_THEMES.get(theme, (theme, theme)))


def crs_names(ctx: Context) -> list[tuple[str, str]]:
    """URI and name of every CRS offered, the default one first."""
    systems = [crs(code) for code in SERVED]
    return [(s.uri, f"{s.id} {ctx.say(s.name_zh, s.name)}") for s in systems]


def rules(ctx: Context, entry: Document) -> list[str]:
    """What a property's schema demands, in words."""
    say = ctx.say
    words = []
    low, high = entry.get("minimum"), entry.get("maximum")
    if low is not None and high is not None:
        words.append(f"{low:g} – {high:g}")
    elif low is not None:
        words.append(f"≥ {low:g}")
    elif high is not None:
        words.append(f"≤ {high:g}")
    if (most := entry.get("maxLength")) is not None and "x-codelist" not in entry:
        words.append(say(f"不超过 {most} 字", f"at most {most} characters"))
    return words


def type_name(ctx: Context, entry: Document) -> str:
    """A property's type in words."""
    kind = entry.get("format") or entry.get("type", "")
    names = {
        "string": ("文本", "text"),
        "integer": ("整数", "whole number"),
        "number": ("数值", "number"),
        "boolean": ("是/否", "yes or no"),
        "date": ("日期", "date"),
        "date-time": ("时刻", "date and time"),
    }
    if kind.startswith("geometry-"):
        kind = kind.removeprefix("geometry-")
        return ctx.say(*GEOMETRIES.get(kind, GEOMETRIES["geometry"]))
    return ctx.say(*names[kind]) if kind in names else kind


def allowed(ctx: Context, parameter: Document) -> list[str]:
    """What a parameter of the API takes, in words."""
    say, schema = ctx.say, parameter["schema"]
    words = []
    if enum := schema.get("enum"):
        if parameter["in"] == "path":
            return [say(f"{len(enum)} 个数据集之一", f"one of {len(enum)} collections")]
        words.append(", ".join(map(str, enum)))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        words.append(f"{low:,} – {high:,}" if high is not None else f"≥ {low:,}")
    if most := schema.get("maxLength"):
        words.append(say(f"不超过 {most:,} 字", f"at most {most:,} characters"))
    if schema.get("type") == "array" and (most := schema.get("maxItems")):
        words.append(say(f"不超过 {most} 项，以逗号分隔", f"at most {most}, separated by commas"))
    if "default" in schema:
        words.append(say(f"缺省 {schema['default']}", f"default {schema['default']}"))
    return words


def operations(document: Document) -> list[tuple[str, list[Document]]]:
    """Tags of an OpenAPI definition, each with its operations, references resolved one level deep."""
    found: dict[str, list[Document]] = {tag["description"]: [] for tag in document["tags"]}
    names = {tag["name"]: tag["description"] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            entry = operation | {
                "method": method.upper(),
                "path": path,
                "parameters": _resolved(document, operation.get("parameters", ())),
                "responses": dict(
                    zip(operation["responses"], _resolved(document, operation["responses"].values()), strict=True)
                ),
            }
            found[names[operation["tags"][0]]].append(entry)
    return list(found.items())


def _resolved(document: Document, entries: Iterable[Document]) -> list[Any]:
    return [_resolve(document, e["$ref"]) if "$ref" in e else e for e in entries]


def _resolve(document: Document, reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def schema_words(ctx: Context, schema: Document) -> str:
    """What a value may be, in a few words, from its JSON Schema."""
    if "enum" in schema:
        return ctx.say("、", ", ").join(map(str, schema["enum"]))
    kinds = schema.get("type", "object")
    words = [ctx.say(*_TYPES[k]) for k in ([kinds] if isinstance(kinds, str) else kinds)]
    text = ctx.say("或", " or ").join(words)
    if "default" in schema:
        text += ctx.say(f"，默认 {schema['default']}", f", {schema['default']} if not given")
    return text


def example(schema: Document) -> Any:
    """A value to begin with: the schema's own example or default, else an empty one of its type."""
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "default" in schema:
        return schema["default"]
    kind = schema.get("type", "object")
    return {"string": "", "number": 0, "integer": 0, "boolean": False, "array": []}.get(
        kind if isinstance(kind, str) else kind[0], {}
    )

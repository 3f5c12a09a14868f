# SPDX-License-Identifier: Apache-2.0
"""API definition of styles, legends, label points, sprites and glyphs."""

from __future__ import annotations

from typing import Any

from geocloud import styles
from geocloud.ogc.context import Context, Document

__all__ = ["paths"]

_STYLE = "application/vnd.mapbox.style+json"
_PICTURE: Document = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
_OBJECT: Document = {"application/json": {"schema": {"type": "object"}}}
_BOOLEAN: Document = {"type": "string", "enum": ["true", "false"]}


def paths(ctx: Context) -> Document:
    """`/styles` and what styles refer to."""
    say = ctx.say
    # Ids are those of collections, which the definition lists once, and those of their themes.
    style = _path("style", say("样式标识：city、主题或数据集", "`city`, a theme or a collection"), [])
    dark = _query("dark", say("深色配色", "The dark theme"), _BOOLEAN)
    base = _query("base", say("是否含底图", "Whether the base map lies under it"), _BOOLEAN)
    lang = {"$ref": "#/components/parameters/lang"}
    json_only = _query("f", say("格式", "Format"), {"type": "string", "enum": ["json"]})
    either = _query("f", say("格式", "Format"), {"type": "string", "enum": ["json", "png"]})
    scale = _query("scale", say("图片的放大倍数", "Scale of the picture"), {"type": "string", "enum": ["1", "2"]})
    images = [f"{t}{s}.{k}" for t in ("light", "dark") for s in ("", "@2x") for k in ("json", "png")]
    stack = _path("fontstack", say("字体", "Font stack"), list(styles.STACKS))
    starts = [f"{n}-{n + 255}" for n in range(0, 65536, 256)]
    span = _path("range", say("字符区间，256 个一段", "256 characters"), starts)
    points = {"application/geo+json": {"schema": {"type": "object"}}}
    glyphs = {"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}}

    def get(
        operation: str, zh: str, en: str, parameters: list[Document], content: Document, *, said: bool = True
    ) -> Document:
        names = ("ETag", "Content-Language") if said else ("ETag",)
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        failures: dict[str, Any] = {
            code: {"$ref": f"#/components/responses/{name}"}
            for code, name in (
                ("400", "BadRequest"),
                ("404", "NotFound"),
                ("414", "UriTooLong"),
                ("default", "Problem"),
            )
        }
        if any(p.get("name") == "f" for p in parameters):
            failures["406"] = {"$ref": "#/components/responses/Problem"}
        return {
            "get": {
                "operationId": operation,
                "tags": ["service"],
                "summary": say(zh, en),
                "parameters": parameters,
                "responses": {
                    "200": {"description": say(zh, en), "headers": headers, "content": content},
                    "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                    **failures,
                },
            }
        }

    one = "/styles/{style}"
    style_content: Document = {_STYLE: {"schema": {"type": "object"}}}
    return {
        "/styles": get("getStyles", "全部地图样式", "All map styles", [json_only, lang], _OBJECT),
        one: get("getStyle", "MapLibre 样式", "A MapLibre style", [style, json_only, lang, dark, base], style_content),
        f"{one}/legend": get(
            "getLegend", "图例", "A legend", [style, either, lang, dark, base, scale], {**_OBJECT, **_PICTURE}
        ),
        f"{one}/labels": get(
            "getLabels", "政区与地名注记点", "Points with names of divisions and places", [style, json_only], points,
            said=False,
        ),
        "/sprites/{name}": get(
            "getSprite", "符号集", "Images of map symbols", [_path("name", say("文件", "File"), images)],
            {**_OBJECT, **_PICTURE}, said=False,
        ),
        "/fonts/{fontstack}/{range}.pbf": get(
            "getGlyphs", "字形", "Glyphs of a font", [stack, span], glyphs, said=False
        ),
    }  # fmt: skip


def _path(name: str, description: str, allowed: list[str]) -> Document:
    schema: Document = {"type": "string", "enum": allowed} if allowed else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _query(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}

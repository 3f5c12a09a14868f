# SPDX-License-Identifier: Apache-2.0
"""API definition of the generated QGIS projects."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/qgis/{project}.qgz`."""
    say = ctx.say
    themes = sorted({layer.spec.theme for layer in ctx.catalogue.layers.values()})
    content = {"application/x-qgis-project-container": {"schema": {"type": "string", "format": "binary"}}}
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Content-Language")}
    return {
        "/qgis/{project}.qgz": {
            "get": {
                "operationId": "getQgisProject",
                "tags": ["service"],
                "summary": say("QGIS 工程文件", "A QGIS project"),
                "description": say(
                    "全市（city）或一个主题的全部图层，已分组、设好样式，用 QGIS 3.22 或更新版本打开。",
                    "Every layer of the city or of one theme, grouped and styled; QGIS 3.22 or newer opens it.",
                ),
                "parameters": [
                    {
                        "name": "project",
                        "in": "path",
                        "required": True,
                        "description": say("city 或主题标识", "`city` or the id of a theme"),
                        "schema": {"type": "string", "enum": ["city", *themes]},
                    },
                    {"$ref": "#/components/parameters/lang"},
                ],
                "responses": {
                    "200": {"description": say("工程文件", "The project"), "headers": headers, "content": content},
                    "304": {"description": say("与 If-None-Match 所示版本相同", "Unchanged since If-None-Match")},
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "404": {"$ref": "#/components/responses/NotFound"},
                    "414": {"$ref": "#/components/responses/UriTooLong"},
                    "default": {"$ref": "#/components/responses/Problem"},
                },
            }
        }
    }

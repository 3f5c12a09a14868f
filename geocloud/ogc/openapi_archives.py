# SPDX-License-Identifier: Apache-2.0
"""API definition of tile archives."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]


def paths(ctx: Context) -> Document:
    """`/collections/{collectionId}/tiles/WebMercatorQuad.pmtiles`."""
    say = ctx.say
    binary: Document = {"application/vnd.pmtiles": {"schema": {"type": "string", "format": "binary"}}}
    problem: Document = {"$ref": "#/components/responses/Problem"}
    size: Document = {"Content-Range": {"schema": {"type": "string"}, "required": True}}
    wanted: Document = {
        "name": "Range",
        "in": "header",
        "required": False,
        "description": say("字节范围,如 bytes=0-16383", "A range of bytes, such as bytes=0-16383"),
        "schema": {"type": "string"},
        "example": "bytes=0-16383",
    }
    return {
        "/collections/{collectionId}/tiles/WebMercatorQuad.pmtiles": {
            "get": {
                "operationId": "getCollectionArchive",
                "tags": ["tiles"],
                "summary": say("整个图层的矢量瓦片档案(PMTiles)", "All vector tiles of a layer in one file (PMTiles)"),
                "description": say(
                    "由 `geocloud tiles seed` 生成的最新档案,可能早于图层现状。支持按范围读取。",
                    "The newest archive that `geocloud tiles seed` has made; the layer may have changed since. "
                    "Ranges of it can be read.",
                ),
                "parameters": [
                    {"$ref": "#/components/parameters/collectionId"},
                    {"$ref": "#/components/parameters/lang"},
                    wanted,
                ],
                "responses": {
                    "200": {"description": say("整个文件", "The whole file"), "content": binary},
                    "206": {"description": say("所求范围", "The range asked for"), "headers": size, "content": binary},
                    "304": {"description": say("未改变", "Not changed")},
                    "404": problem,
                    "416": problem,
                    "default": problem,
                },
            }
        }
    }

# SPDX-License-Identifier: Apache-2.0
"""API definition of the versions of a feature."""

from __future__ import annotations

from geocloud.ogc.context import Context, Document

__all__ = ["paths"]

_LIST = "/collections/{collectionId}/items/{featureId}/versions"


def paths(ctx: Context) -> Document:
    """`/collections/{collectionId}/items/{featureId}/versions` and one version."""
    say, most = ctx.say, ctx.settings.web.versions_max
    listed = [
        *(_ref(n) for n in ("collectionId", "featureId", "crs", "properties", "asof")),
        {
            "name": "beliefs",
            "in": "query",
            "description": say("all：连同已被更正的记录", "all: given-up beliefs too; current: what is believed now"),
            "schema": {"type": "string", "enum": ["current", "all"], "default": "current"},
        },
        {
            "name": "limit",
            "in": "query",
            "description": say("至多返回多少个版本", "Most versions in the answer"),
            "schema": {"type": "integer", "minimum": 1, "default": most},
        },
        _ref("offset"),
        *(_ref(n) for n in ("f", "lang")),
    ]
    one = [
        *(_ref(n) for n in ("collectionId", "featureId")),
        version_parameter(ctx),
        *(_ref(n) for n in ("crs", "properties", "f", "lang")),
    ]
    return {
        _LIST: _get(
            ctx, "getVersions", say("要素的各版本", "The versions of a feature"),
            say(
                "由早到晚列出要素各时段的样子；`version` 给出有效时间与记录时间，链接按 RFC 5829 指向前后版本。",
                "What the feature was at each time of its life, earliest first; `version` tells valid and transaction "
                "time, links lead to the versions before and after (RFC 5829).",
            ),
            listed, "FeatureCollection",
        ),
        f"{_LIST}/{{version}}": _get(
            ctx, "getVersion", say("一个版本", "One version"),
            say(
                "响应头 `Memento-Datetime` 为该版本的起始时间（RFC 7089）；已被更正的记录可永久缓存。",
                "The header `Memento-Datetime` says since when it was so (RFC 7089); what was given up may be kept "
                "for ever.",
            ),
            one, "Feature",
        ),
    }  # fmt: skip


def version_parameter(ctx: Context) -> Document:
    """The path parameter that names a version."""
    return {
        "name": "version",
        "in": "path",
        "required": True,
        "description": ctx.say("版本标识，见 `version.id`", "Id of the version, as `version.id` tells it"),
        "schema": {"type": "string", "maxLength": 40},
    }


def _get(ctx: Context, name: str, summary: str, description: str, parameters: list[Document], schema: str) -> Document:
    return {
        "get": {
            "operationId": name,
            "tags": ["features"],
            "summary": summary,
            "description": description,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": ctx.say("正常", "OK"),
                    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
                    "content": {
                        "application/geo+json": {"schema": {"$ref": f"#/components/schemas/{schema}"}},
                        "text/html": {"schema": {"type": "string"}},
                    },
                },
                "304": {"description": ctx.say("未变", "Not modified")},
                **{s: {"$ref": "#/components/responses/Problem"} for s in ("400", "404", "406", "503")},
                "default": {"$ref": "#/components/responses/Problem"},
            },
        }
    }


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/parameters/{name}"}

# SPDX-License-Identifier: Apache-2.0
"""API definition of transactions and of going back to an earlier state."""

from __future__ import annotations

from collections.abc import Callable

from geocloud.ogc.context import CRS84, Context, Document

__all__ = ["restore", "transactions"]

_JSON = "application/json"
Operation = Callable[..., Document]


def transactions(ctx: Context, operation: Operation) -> Document:
    """`/transactions`."""
    say = ctx.say
    text: Document = {"type": "string"}
    part: Document = {
        "type": "object",
        "required": ["action", "collection"],
        "properties": {
            "action": {"type": "string", "enum": ["insert", "replace", "update", "delete"]},
            "collection": text,
            "description": text,
            "id": {"oneOf": [{"type": "integer", "minimum": 0}, text]},
            "ifMatch": text,
            "items": {"type": "array", "items": {"type": "object"}, "minItems": 1},
            "item": {"type": "object"},
            "patch": {"type": "object"},
        },
    }
    schema: Document = {
        "type": "object",
        "required": ["transaction"],
        "properties": {
            "semantic": {"type": "string", "enum": ["atomic"]},
            "transaction": {"type": "array", "items": part, "minItems": 1},
        },
    }
    done: Document = {
        "type": "object",
        "required": ["semantic", "summary", "features"],
        "properties": {
            "summary": {"type": "object", "additionalProperties": {"type": "integer"}},
            "features": {"type": "array", "items": {"type": "object"}},
        },
    }
    found = operation(
        ctx,
        "postTransaction",
        say("原子事务", "Many changes at once"),
        say(
            "一个或多个图层的多项更改，全部写入或全不写入；`ifMatch` 为读取该要素时的 ETag。违规逐条列出位置。",
            "Changes of one or several collections, all or none; `ifMatch` is the ETag the feature was read with. "
            "Every violation of every part is told with its place.",
        ),
        body={"required": True, "content": {"application/ogc-tx+json": {"schema": schema}, _JSON: {"schema": schema}}},
        done={"200": _answer(ctx, say("已全部写入", "All of it has been written"), done)},
    )
    crs = {
        "name": "Content-Crs",
        "in": "header",
        "required": False,
        "description": say("几何的坐标参考系，默认 CRS84", "CRS of the geometries; CRS84 if not given"),
        "schema": {"type": "string", "default": f"<{CRS84}>"},
    }
    found["parameters"] = [_valid_from(ctx), crs, {"$ref": "#/components/parameters/lang"}]
    found["responses"].pop("428", None)
    found["responses"]["412"] = {
        "description": say("所指版本之后已有更改", "A feature has changed since the version named"),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return {"post": found}


def restore(ctx: Context, operation: Operation) -> Document:
    """`/collections/{collectionId}/restore`."""
    say = ctx.say
    schema: Document = {
        "type": "object",
        "required": ["asof"],
        "properties": {
            "asof": {"type": "string", "description": say("要恢复到的时刻", "The moment to go back to")},
            "features": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "filter": {"type": "string", "description": "CQL2"},
            "all": {"type": "boolean"},
            "dryRun": {"type": "boolean", "default": False},
        },
        "additionalProperties": False,
    }
    counts = ("ended", "changed", "returned")
    done: Document = {
        "type": "object",
        "required": [*counts, "asof"],
        "properties": {"asof": {"type": "string"}, **{n: {"type": "integer"} for n in counts}},
    }
    found = operation(
        ctx,
        "restoreItems",
        say("恢复", "Go back to an earlier state"),
        say(
            "将指定要素（features、filter 或 all 三者取一）恢复为当时记录的状态，作为新版本写入；历史不丢失。",
            "The features named by one of `features`, `filter`, `all` become what they were believed to be at a "
            "moment, as new versions; nothing of what happened since is lost.",
        ),
        body={"required": True, "content": {_JSON: {"schema": schema}}},
        done={"200": _answer(ctx, say("恢复了多少", "How much went back"), done)},
    )
    found["parameters"] = [
        {"$ref": "#/components/parameters/collectionId"}, _valid_from(ctx), {"$ref": "#/components/parameters/lang"},
    ]  # fmt: skip
    for status in ("412", "428"):
        found["responses"].pop(status, None)
    return {"post": found}


def _answer(ctx: Context, words: str, schema: Document) -> Document:
    return {"description": words, "content": {_JSON: {"schema": schema}}}


def _valid_from(ctx: Context) -> Document:
    return {
        "name": "valid-from",
        "in": "query",
        "required": False,
        "description": ctx.say(
            "更改自何时生效，默认为现在", "From when the change holds in the city; now if not given"
        ),
        "schema": {"type": "string"},
    }

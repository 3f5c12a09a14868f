# SPDX-License-Identifier: Apache-2.0
"""The body of a change: JSON with limits, and the features in it, every violation with its place (RFC 6901)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidBody, TooLarge
from geocloud.features.geojson import read_geometry
from geocloud.features.violation import Violation

__all__ = ["Draft", "parse_json", "read_feature", "read_features", "read_patch"]

# What a feature may carry; the last four come back from clients that send what they were given.
_MEMBERS = ("type", "id", "geometry", "properties", "bbox", "links", "synthetic", "findings")
_LIST_MEMBERS = frozenset({"type", "features", "bbox", "links", "timeStamp", "numberReturned", "numberMatched", "name"})
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_KEPT_BY_THE_DATABASE = frozenset({"fid", "valid_from", "valid_to", "sys_from", "sys_to", "source_id"})


@dataclass
class Draft:
    """One feature as a client wrote it: place in the body, values by field, geometry in the axis order of its CRS."""

    pointer: str
    properties: dict[str, Any] = field(default_factory=dict)
    geometry: Any = None
    has_geometry: bool = False
    readable: bool = True
    """False for what is no JSON object: there is nothing in it that rules could be held to."""


def parse_json(body: bytes, depth_max: int) -> Any:
    """The body as JSON; InvalidBody tells where it is not, or that it is nested more than `depth_max` levels."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        if "depth" in exc.msg:
            raise _too_deep(depth_max) from None
        raise InvalidBody(
            f"The body is not JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}.",
            f"请求内容不是 JSON:第 {exc.lineno} 行第 {exc.colno} 列有误({exc.msg})。",
            todo_en="Send one JSON document in UTF-8 (RFC 8259); it has no NaN, no Infinity and no comments.",
            todo_zh="请发送一个 UTF-8 编码的 JSON 文档,不能含 NaN、Infinity 或注释。",
            position=exc.pos,
            line=exc.lineno,
            column=exc.colno,
        ) from None
    # Fewer brackets than levels allowed cannot be nested too deeply: most bodies.
    if body.count(b"[") + body.count(b"{") > depth_max and _depth(body) > depth_max:
        raise _too_deep(depth_max)
    return document


def read_features(document: Any, layer: Layer, most: int, found: list[Violation]) -> tuple[list[Draft], bool]:
    """The features to be created, and whether they came as a collection; TooLarge for more than `most`."""
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        return [read_feature(document, layer, "", found)], False
    features = document.get("features")
    if not isinstance(features, list) or not features:
        found.append(
            Violation("/features", "no-features", "A FeatureCollection needs at least one feature.", "要素集合为空。")
        )
        return [], True
    if len(features) > most:
        raise TooLarge(
            f"The body has {len(features)} features, more than {most}.",
            f"请求含 {len(features)} 个要素,超过上限 {most}。",
            todo_en="Send them in several requests, or load a file.",
            todo_zh="请分多次发送,或以文件入库。",
            maximum=most,
        )
    _unknown_members(document, _LIST_MEMBERS, "", found)
    return [read_feature(f, layer, f"/features/{i}", found) for i, f in enumerate(features)], True


def read_feature(document: Any, layer: Layer, pointer: str, found: list[Violation]) -> Draft:
    """A whole feature: `properties` and `geometry` must be there, and either may be null."""
    draft = Draft(pointer, has_geometry=layer.spec.geometry != "none")
    if not isinstance(document, dict):
        found.append(_not_an_object(pointer))
        draft.readable = False
        return draft
    if document.get("type") != "Feature":
        found.append(
            Violation(
                f"{pointer}/type",
                "not-a-feature",
                "The member `type` must be `Feature`.",
                "成员 type 应为 Feature。",
            )
        )
    for name in ("properties", "geometry"):
        if name not in document:
            found.append(
                Violation(
                    f"{pointer}/{name}",
                    "missing-member",
                    f"The member `{name}` is missing; write null for none (RFC 7946, 3.2).",
                    f"缺少成员 {name};没有时请写 null。",
                )
            )
    _members(document, layer, draft, found)
    return draft


def read_patch(document: Any, layer: Layer, current: Mapping[str, Any], found: list[Violation]) -> Draft:
    """A merge patch (RFC 7396) of the feature `current`, whose geometry must be in the CRS of the patch.

    Only what the patch names is in the draft; null takes a value away.
    """
    draft = Draft("")
    if not isinstance(document, dict):
        found.append(_not_an_object(""))
        draft.readable = False
        return draft
    if document.get("type", "Feature") != "Feature":
        found.append(Violation("/type", "not-a-feature", "`type` must stay `Feature`.", "成员 type 不可更改。"))
    if "properties" in document and not isinstance(document["properties"], dict):
        found.append(_not_an_object("/properties"))
        document = {k: v for k, v in document.items() if k != "properties"}
    patch = document.get("geometry")
    before = current.get("geometry")
    if isinstance(patch, dict):
        merged = {**(before if isinstance(before, dict) else {}), **patch}
        merged = {k: v for k, v in merged.items() if v is not None}
        document = {**document, "geometry": merged}
    draft.has_geometry = "geometry" in document and layer.spec.geometry != "none"
    _members(document, layer, draft, found)
    return draft


def _members(document: dict[str, Any], layer: Layer, draft: Draft, found: list[Violation]) -> None:
    pointer = draft.pointer
    _unknown_members(document, frozenset(_MEMBERS), pointer, found)
    properties = document.get("properties")
    if properties is not None and not isinstance(properties, dict):
        found.append(_not_an_object(f"{pointer}/properties"))
        properties = None
    known = {f.name for f in layer.spec.visible_fields}
    for name, value in (properties or {}).items():
        if name in known:
            draft.properties[name] = value
        else:
            found.append(_unknown_property(layer, name, f"{pointer}/properties/{_escaped(name)}"))
    geometry = document.get("geometry")
    if geometry is not None and layer.spec.geometry == "none":
        found.append(
            Violation(
                f"{pointer}/geometry",
                "no-geometry-here",
                f"`{layer.id}` has no geometry.",
                f"图层 {layer.id} 没有几何。",
            )
        )
    elif geometry is not None:
        draft.geometry = read_geometry(geometry, f"{pointer}/geometry", found)


def _unknown_property(layer: Layer, name: str, pointer: str) -> Violation:
    """A field that does not exist and a hidden one get the same answer."""
    shown = name[:60]
    if name in _KEPT_BY_THE_DATABASE:
        return Violation(
            pointer,
            "kept-by-the-database",
            f"`{shown}` is kept by the database; the parameter `valid-from` says from when a change holds.",
            f"{shown} 由数据库维护;更改何时生效请用参数 valid-from 指明。",
        )
    return Violation(
        pointer,
        "unknown-property",
        f"`{layer.id}` has no property `{shown}`; /collections/{layer.id}/schema lists them.",
        f"{layer.id} 没有字段“{shown}”;见 /collections/{layer.id}/schema。",
    )


def _unknown_members(document: dict[str, Any], known: frozenset[str], pointer: str, found: list[Violation]) -> None:
    for name in document:
        if name not in known:
            found.append(
                Violation(
                    f"{pointer}/{_escaped(name)}",
                    "unknown-member",
                    f"The member `{name[:60]}` means nothing here; values of fields belong into `properties`, "
                    "the CRS into the header Content-Crs.",
                    f"成员“{name[:60]}”在此无意义;字段值请写入 properties,坐标系请用请求头 Content-Crs 指明。",
                )
            )


def _not_an_object(pointer: str) -> Violation:
    return Violation(pointer, "not-an-object", "A JSON object is needed here.", "此处应为 JSON 对象。")


def _escaped(name: str) -> str:
    return name[:200].replace("~", "~0").replace("/", "~1")


def _depth(body: bytes) -> int:
    """Levels of nesting of what is known to be JSON."""
    brackets = np.frombuffer(_STRING.sub(b"", body).translate(None, _NO_BRACKETS), np.uint8)
    return int(np.cumsum(np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)).max(initial=0))


def _too_deep(depth_max: int) -> InvalidBody:
    return InvalidBody(
        f"The body's JSON is nested more than {depth_max} levels deep.",
        f"请求的 JSON 嵌套超过 {depth_max} 层。",
        todo_en="A feature needs at most nine levels (RFC 7946).",
        todo_zh="一个要素最多需要九层。",
        maximum=depth_max,
    )

# SPDX-License-Identifier: Apache-2.0
"""A style as a city wants it: `<folder>/<id>.json` in place of the generated style, or changes of its layers.

A whole style has `"version": 8`. Anything else is a list of changes:

    {"patches": [{"layers": "base.road/*", "theme": "dark", "paint": {"line-opacity": 0.5}}],
     "add": [{"before": "base.road/name", "layer": {"id": "my-layer", "type": "line", "source": "base", …}}]}

Addresses begin with `/` and are completed with the address of the service; none may lead to another host.
"""

from __future__ import annotations

import copy
import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geocloud.errors import StyleError

__all__ = ["overridden"]

_KINDS = frozenset(
    {
        "background", "circle", "color-relief", "fill", "fill-extrusion", "heatmap", "hillshade", "line", "raster",
        "symbol",
    }
)  # fmt: skip
_MEMBERS = frozenset(
    {"id", "type", "metadata", "source", "source-layer", "minzoom", "maxzoom", "filter", "layout", "paint"}
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Patch(_Strict):
    layers: str = Field(min_length=1)
    theme: Literal["light", "dark"] | None = None
    paint: dict[str, Any] = Field(default_factory=dict)
    layout: dict[str, Any] = Field(default_factory=dict)
    minzoom: float | None = Field(None, ge=0, le=24)
    maxzoom: float | None = Field(None, ge=0, le=24)
    filter: list[Any] | None = None
    remove: bool = False


class _Addition(_Strict):
    layer: dict[str, Any]
    before: str | None = None


class _Changes(_Strict):
    description: str = ""
    patches: tuple[_Patch, ...] = ()
    add: tuple[_Addition, ...] = ()
    sources: dict[str, dict[str, Any]] = Field(default_factory=dict)


def overridden(
    style: dict[str, Any], path: Path, base_url: str, most_kb: int, *, partial: bool = False
) -> dict[str, Any]:
    """The style with what the file says, or the style itself when there is no file.

    `partial`: the style was generated without some of its layers, so that a change may find nothing to change.
    A StyleError names file and place when the file cannot be used.
    """
    said = _read(path, most_kb)
    if said is None:
        return style
    if not isinstance(said, dict):
        raise _wrong(path, "top", "an object is needed", "应为 JSON 对象")
    if "version" in said:
        found = {**said, "metadata": {**style["metadata"], **_object(path, "metadata", said.get("metadata", {}))}}
    else:
        found = _changed(style, _parsed(path, said), path, partial)
    complete: dict[str, Any] = _addressed(found, base_url, path, "")
    _check(complete, path)
    return complete


def _read(path: Path, most_kb: int) -> Any:
    try:
        size = path.stat().st_size
        if size > most_kb * 1024:
            raise _wrong(
                path, "file", f"{size / 1024:.0f} kB are more than GEOCLOUD_STYLE_OVERRIDE_KB",
                f"大小 {size / 1024:.0f} kB,超过 GEOCLOUD_STYLE_OVERRIDE_KB",
            )  # fmt: skip
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as exc:
        raise _wrong(
            path, f"line {exc.lineno}, column {exc.colno}", f"not JSON ({exc.msg})", f"JSON 语法错误({exc.msg})"
        ) from None
    except (UnicodeDecodeError, RecursionError):
        raise _wrong(path, "file", "not UTF-8 text, or nested too deeply", "不是 UTF-8 文本,或嵌套过深") from None
    except OSError as exc:
        raise _wrong(path, "file", f"cannot be read ({exc.strerror})", f"无法读取({exc.strerror})") from None


def _parsed(path: Path, said: dict[str, Any]) -> _Changes:
    try:
        return _Changes.model_validate(said)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise _wrong(path, ".".join(map(str, first["loc"])), first["msg"], f"取值不可用({first['msg']})") from None


def _changed(style: dict[str, Any], changes: _Changes, path: Path, partial: bool) -> dict[str, Any]:
    theme = style["metadata"]["geocloud:theme"]
    layers: list[dict[str, Any]] = copy.deepcopy(style["layers"])
    for i, patch in enumerate(changes.patches):
        hit = [x for x in layers if fnmatchcase(x["id"], patch.layers)]
        if not hit and not partial:
            raise _wrong(
                path, f"patches.{i}.layers", f"no layer is called `{patch.layers}`", f"没有名为 {patch.layers} 的图层"
            )
        if patch.theme not in (None, theme):
            continue
        if patch.remove:
            layers = [x for x in layers if x not in hit]
        for layer in hit:
            for part in ("paint", "layout"):
                if given := getattr(patch, part):
                    merged = {**layer.get(part, {}), **given}
                    # A null takes the property back to its default.
                    layer[part] = {k: v for k, v in merged.items() if v is not None}
            layer.update({k: v for k in ("minzoom", "maxzoom", "filter") if (v := getattr(patch, k)) is not None})
    for i, addition in enumerate(changes.add):
        at = next((n for n, x in enumerate(layers) if x["id"] == addition.before), None)
        if addition.before is not None and at is None and not partial:
            raise _wrong(
                path, f"add.{i}.before", f"no layer is called `{addition.before}`", f"没有名为 {addition.before} 的图层"
            )
        layers.insert(len(layers) if at is None else at, addition.layer)
    return {**style, "sources": {**style["sources"], **changes.sources}, "layers": layers}


def _addressed(value: Any, base_url: str, path: Path, place: str) -> Any:
    """Every address completed; one that leads to another host is refused."""
    if isinstance(value, dict):
        return {k: _addressed(v, base_url, path, f"{place}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, list):
        return [_addressed(v, base_url, path, f"{place}.{i}") for i, v in enumerate(value)]
    if not isinstance(value, str) or place.startswith(("layers.", "name")):
        return value
    if value.startswith("/") and not value.startswith("//"):
        return base_url.rstrip("/") + value
    foreign = "://" in value or value.startswith("//")
    if foreign and not place.endswith("attribution") and not value.startswith(base_url.rstrip("/") + "/"):
        raise _wrong(path, place, "leads to another host", "指向其他主机")
    return value


def _check(style: dict[str, Any], path: Path) -> None:
    """What a map library needs before it draws anything: names, kinds and sources that fit together."""
    if style.get("version") != 8:
        raise _wrong(path, "version", "only version 8 is known", "仅支持版本 8")
    sources = _object(path, "sources", style.get("sources"))
    layers = style.get("layers")
    if not isinstance(layers, list):
        raise _wrong(path, "layers", "a list is needed", "应为数组")
    seen: set[str] = set()
    for i, layer in enumerate(layers):
        place = f"layers.{i}"
        if not isinstance(layer, dict) or not isinstance(layer.get("id"), str) or layer["id"] in seen:
            raise _wrong(path, f"{place}.id", "each layer needs an id of its own", "每个图层须有唯一的 id")
        seen.add(layer["id"])
        if layer.get("type") not in _KINDS:
            raise _wrong(path, f"{place}.type", "not a kind of layer", "图层类型不存在")
        if unknown := sorted(layer.keys() - _MEMBERS):
            raise _wrong(path, f"{place}.{unknown[0]}", "not a member of a layer", "图层没有该成员")
        if layer["type"] != "background" and layer.get("source") not in sources:
            raise _wrong(path, f"{place}.source", "names no source of the style", "未指向样式中的数据源")
        for part in ("paint", "layout", "metadata"):
            _object(path, f"{place}.{part}", layer.get(part, {}))


def _object(path: Path, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, place, "an object is needed", "应为对象")
    return value


def _wrong(path: Path, place: str, en: str, zh: str) -> StyleError:
    return StyleError(
        f"{path.name}: {place}: {en}.",
        f"{path.name}:{place}:{zh}。",
        todo_en="Correct the file in the folder of style overrides, or remove it to get the generated style.",
        todo_zh="请更正样式覆盖目录中的该文件;删除它即恢复自动生成的样式。",
        file=path.name,
        place=place,
    )

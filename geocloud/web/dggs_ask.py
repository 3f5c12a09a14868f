# SPDX-License-Identifier: Apache-2.0
"""Query parameters of requests for zones (OGC 21-038r1): `zone-level`, `compact-zones`, `parent-zone`, `zone-depth`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter
from geocloud.features.literals import invalid
from geocloud.features.request import unknown_parameter
from geocloud.grids.dggs import Dggs
from geocloud.web.ask import Ask

__all__ = ["CHOICE", "ZONE_LIST", "depths", "flag", "number", "once", "whole_level"]

ZONE_LIST = ("bbox", "zone-level", "parent-zone", "compact-zones", "limit")
CHOICE = ("datetime", "asof", "filter", "filter-lang", "filter-crs")
"""What chooses among the features of a layer, besides its fields."""
_DEPTH = re.compile(r"(\d{1,2})-(\d{1,2})|(\d{1,2}(?:,\d{1,2}){0,15})", re.ASCII)


def once(ask: Ask, names: Sequence[str], layer: Layer | None = None) -> None:
    """InvalidParameter for a parameter nobody knows, or one given twice."""
    fields = layer.spec.queryable_names if layer is not None and "filter" in names else frozenset()
    seen: set[str] = set()
    for name, _ in ask.pairs:
        if name not in names and name not in fields:
            raise unknown_parameter(name, [*names, *sorted(fields)])
        if name in seen:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        seen.add(name)


def number(ask: Ask, name: str, default: int, least: int, most: int) -> int:
    """A whole number of a parameter; greater ones are answered as the most."""
    text = ask.parameter(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= least):
        raise _not_whole(name, text, least, most)
    return min(int(text), most)


def whole_level(ask: Ask, dggs: Dggs) -> int | None:
    """`zone-level`, None where it is not given; InvalidParameter for a level the grid has not."""
    text = ask.parameter("zone-level")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise _not_whole("zone-level", text, dggs.first, dggs.last)
    dggs.check_level(int(text))
    return int(text)


def flag(ask: Ask, name: str, *, default: bool) -> bool:
    """`true` or `false`."""
    text = ask.parameter(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise invalid(
            name, f"`{name}` is `{text[:20]}`.", f"参数 {name} 的值“{text[:20]}”不可用。",
            "Allowed are: true, false.", "可用:true、false。", allowed=["true", "false"],
        )  # fmt: skip
    return text == "true"


def depths(ask: Ask, dggs: Dggs, level: int) -> list[int]:
    """`zone-depth`: levels below a zone, as one number, several or a range; 1 without it, 0 at the last level."""
    text = ask.parameter("zone-depth")
    deepest = dggs.last - level
    if text is None:
        return [min(1, deepest)]
    found = _DEPTH.fullmatch(text)
    numbers: list[int] = []
    if found is not None:
        numbers = list(range(int(found[1]), int(found[2]) + 1)) if found[1] else [int(n) for n in found[3].split(",")]
    if not numbers or max(numbers) > deepest:
        raise invalid(
            "zone-depth",
            f"`zone-depth` is `{text[:40]}`.",
            f"参数 zone-depth 的值“{text[:40]}”不可用。",
            f"Write a depth of 0 to {deepest}, a range as 0-2, or several as 0,2.",
            f"请写 0 至 {deepest} 的深度,或范围 0-2,或 0,2。",
            minimum=0,
            maximum=deepest,
        )
    return sorted(set(numbers))


def _not_whole(name: str, text: str, least: int, most: int) -> InvalidParameter:
    return invalid(
        name,
        f"`{name}` is `{text[:40]}`, not a whole number of {least} to {most}.",
        f"参数 {name} 的值“{text[:40]}”应为 {least} 到 {most} 的整数。",
        minimum=least,
        maximum=most,
    )

# SPDX-License-Identifier: Apache-2.0
"""What is told of each area: `count`, `density`, `length`, `area`, and sums, means, least and greatest of a field."""

from __future__ import annotations

from dataclasses import dataclass

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.errors import InvalidParameter
from geocloud.features.literals import invalid
from geocloud.features.params import unknown_property

__all__ = ["OF_FIELD", "PLAIN", "Measure", "fields_of", "number_field", "read_measures"]

PLAIN = ("count", "density", "length", "area")
OF_FIELD = ("sum", "mean", "min", "max")
_NUMBERS = ("integer", "number")
_MOST = 20


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure; `field` for those of `OF_FIELD`."""

    kind: str
    field: str = ""

    @property
    def name(self) -> str:
        """The name of its column in an answer."""
        if self.field:
            return f"{self.kind}_{self.field}"
        return {"density": "density", "length": "length_m", "area": "area_m2"}.get(self.kind, self.kind)

    @property
    def text(self) -> str:
        """As it is asked for."""
        return f"{self.kind}:{self.field}" if self.field else self.kind


def read_measures(text: str | None, layer: Layer) -> tuple[Measure, ...]:
    """The measures that a parameter names, `count` without one; InvalidParameter for what the layer does not have.

    A field that is hidden gets the same answer as one that does not exist.
    """
    found: list[Measure] = []
    for part in (text if text is not None else "count").split(","):
        one = _measure(part.strip(), layer)
        if one in found:
            raise invalid("measure", f"`measure` names `{one.text}` twice.", f"参数 measure 中 {one.text} 重复出现。")
        found.append(one)
    if len(found) > _MOST:
        raise invalid(
            "measure", f"`measure` names {len(found)} measures, more than {_MOST}.",
            f"参数 measure 给出 {len(found)} 项,超过上限 {_MOST}。", maximum=_MOST,
        )  # fmt: skip
    return tuple(found)


def fields_of(measures: tuple[Measure, ...]) -> tuple[str, ...]:
    """The fields that measures read, each once."""
    return tuple(dict.fromkeys(m.field for m in measures if m.field))


def number_field(field: str, layer: Layer, parameter: str) -> FieldSpec:
    """A field that holds numbers; InvalidParameter for another one. A hidden field is as one that does not exist."""
    known = {f.name: f for f in layer.spec.queryables}
    if field not in known:
        raise unknown_property(field, layer, parameter)
    if known[field].type not in _NUMBERS:
        numbers = [f.name for f in known.values() if f.type in _NUMBERS]
        raise invalid(
            parameter, f"`{field}` of `{layer.id}` holds {known[field].type}, not numbers.",
            f"{layer.id} 的字段 {field} 类型为 {known[field].type},不是数值。",
            f"Fields with numbers: {', '.join(numbers) or 'none'}.", f"数值字段:{'、'.join(numbers) or '无'}。",
            allowed=numbers,
        )  # fmt: skip
    return known[field]


def _measure(part: str, layer: Layer) -> Measure:
    kind, colon, field = part.partition(":")
    if kind in PLAIN and not colon:
        fits = {"length": ("line", "geometry"), "area": ("polygon", "geometry")}.get(kind)
        if fits and not any(f in layer.spec.geometry for f in fits):
            raise invalid(
                "measure", f"`{layer.id}` has no {kind}: it is a layer of geometry `{layer.spec.geometry}`.",
                f"{layer.id} 没有{'长度' if kind == 'length' else '面积'}:图形类型为 {layer.spec.geometry}。",
                "`length` is for lines, `area` for polygons.", "length 用于线图层,area 用于面图层。",
            )  # fmt: skip
        return Measure(kind)
    if kind not in OF_FIELD or not colon:
        raise _unknown(part)
    number_field(field, layer, "measure")
    return Measure(kind, field)


def _unknown(part: str) -> InvalidParameter:
    allowed = [*PLAIN, *(f"{k}:<field>" for k in OF_FIELD)]
    shown = part[:60].encode("utf-8", "replace").decode()
    return invalid(
        "measure", f"`measure` names `{shown}`, which is none.", f"参数 measure 中的“{shown}”不可用。",
        f"Allowed are: {', '.join(allowed)}.", f"可用:{'、'.join(allowed)}。", allowed=allowed,
    )  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""Classes of a layer: the one list that paint, legend and sprites are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import StyleClass, Text
from geocloud.catalogue.style import CLASSES_MAX
from geocloud.styles.palette import OKABE_ITO, OTHER

__all__ = ["MapClass", "by_class", "classes_of", "code_value", "other_color"]

_REST = Text(zh="其他", en="Other")


@dataclass(frozen=True)
class MapClass:
    """A class as it is drawn: its codes as tiles write them, its colour, its name, and what the definition says."""

    codes: tuple[str | int, ...]
    color: str
    title: Text
    said: StyleClass


def classes_of(layer: Layer) -> tuple[MapClass, ...]:
    """At most eight classes in the order of the legend; none where the layer has one look."""
    style = layer.spec.style
    if not style.color_by:
        return ()
    listed = layer.spec.field(style.color_by).codes
    code_list = layer.codes.get(listed) if listed else None
    titles = code_list.titles() if code_list else {}
    said = style.classes or _classes_of_list(list(titles))
    free = iter(c for c in OKABE_ITO if c not in {s.color for s in said})
    found = []
    for entry in said:
        color = entry.color or next(free)
        title = entry.title or titles.get(entry.codes[0]) or Text(zh=entry.codes[0], en=entry.codes[0])
        found.append(MapClass(tuple(code_value(layer, c) for c in entry.codes), color, title, entry))
    return tuple(found)


def other_color(layer: Layer) -> str:
    """The colour of what no class names."""
    return OTHER if layer.spec.style.color_by else layer.spec.style.color


def by_class(layer: Layer, classes: tuple[MapClass, ...], values: list[Any], other: Any) -> Any:
    """A style expression that gives each class its value; the value alone where all are alike."""
    if not classes or all(v == other for v in values):
        return other
    expression: list[Any] = ["match", ["get", layer.spec.style.color_by]]
    for entry, value in zip(classes, values, strict=True):
        expression += [list(entry.codes) if len(entry.codes) > 1 else entry.codes[0], value]
    return [*expression, other]


def code_value(layer: Layer, code: str) -> str | int:
    """A code as tiles carry it: a number where the field is one."""
    kind = layer.spec.field(layer.spec.style.color_by or "").type
    return int(code) if kind == "integer" else code


def _classes_of_list(codes: list[str]) -> tuple[StyleClass, ...]:
    if len(codes) <= CLASSES_MAX:
        return tuple(StyleClass(codes=(c,)) for c in codes)
    head, rest = codes[: CLASSES_MAX - 1], codes[CLASSES_MAX - 1 :]
    return (*(StyleClass(codes=(c,)) for c in head), StyleClass(codes=tuple(rest), color=OTHER, title=_REST))

# SPDX-License-Identifier: Apache-2.0
"""Which layers are searched, by which fields, and how much each counts: derived from the layer's definition."""

from __future__ import annotations

from dataclasses import dataclass

from geocloud.catalogue.spec import LayerSpec

__all__ = ["NamePlan", "plan_of"]

# Fields that hold another name of the same place, with what a match in them is worth beside the name itself.
_OTHER_NAMES = {"short_name": 0.98, "name_en": 0.95, "ref": 0.95, "alias_name": 0.92, "former_name": 0.85}
# Importance of what a layer holds, 0 to 1: a county before a township before a village before a road before a shop.
_IMPORTANCE = {
    "base.city": 1.0,
    "base.county": 0.95,
    "base.township": 0.85,
    "base.village": 0.7,
    "base.place_name": 0.68,
    "base.water_line": 0.62,
    "base.water_area": 0.62,
    "base.railway": 0.58,
    "base.road": 0.55,
    "base.poi": 0.4,
    "base.building": 0.35,
    "facility.component": 0.15,
    "facility.camera": 0.2,
}
# Of any other layer, by theme and then for all.
_OF_THEME = {"base": 0.5, "facility": 0.45}
_OF_OTHERS = 0.4
_LINES = frozenset({"linestring", "multilinestring"})


@dataclass(frozen=True, slots=True)
class NamePlan:
    """How a layer is searched: name fields with their weights, the main one first, and the fields of codes."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    codes: tuple[str, ...]
    importance: float
    lines: bool
    """Rows are stretches of lines: those of one name that lie together are one place."""
    points: bool
    """Rows are single points, whose boxes are themselves."""


def plan_of(spec: LayerSpec) -> NamePlan | None:
    """The plan of a layer; None for one that is not searched: not public, without names, or without places."""
    if spec.access.read != "public" or spec.geometry == "none":
        return None
    text = {f.name for f in spec.visible_fields if f.type == "text"}
    main = spec.style.label if spec.style.label in text else "name" if "name" in text else None
    if main is None:
        return None
    others = [name for name in _OTHER_NAMES if name in text and name != main]
    importance = _IMPORTANCE.get(spec.id, _OF_THEME.get(spec.theme, _OF_OTHERS))
    return NamePlan(
        (main, *others),
        (1.0, *(_OTHER_NAMES[name] for name in others)),
        tuple(name for name in spec.key if name in text),
        importance,
        spec.geometry in _LINES,
        spec.geometry == "point",
    )

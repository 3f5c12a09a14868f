# SPDX-License-Identifier: Apache-2.0
"""Small builders for the XML that QGIS writes: elements, option maps, coordinate systems, extents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from xml.etree import ElementTree as ET

from pyproj import CRS

__all__ = ["Element", "Option", "clean", "crs", "extent", "node", "option_map", "spatial_system", "text"]

Element = ET.Element
Option = str | int | float | bool | None | Mapping[str, "Option"] | Sequence["Option"]
# Control characters that XML 1.0 cannot carry in any spelling.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def node(parent: Element | None, name: str, attributes: Mapping[str, object] | None = None) -> Element:
    """An element below `parent`; attributes are written as QGIS does: booleans as 0 and 1, numbers without noise."""
    written = {key: _written(value) for key, value in (attributes or {}).items()}
    return ET.Element(name, written) if parent is None else ET.SubElement(parent, name, written)


def text(parent: Element, name: str, content: object = "", attributes: Mapping[str, object] | None = None) -> Element:
    """An element with text."""
    made = node(parent, name, attributes)
    made.text = _written(content)
    return made


def option_map(parent: Element, options: Mapping[str, Option]) -> Element:
    """`<Option type="Map">` with typed entries, as QGIS stores variant maps."""
    made = node(parent, "Option", {"type": "Map"})
    for name, value in options.items():
        _option(made, value, name)
    return made


def crs(parent: Element, name: str, authority: str) -> Element:
    """A coordinate reference system by authority and code, such as EPSG:4490."""
    made = node(parent, name)
    spatial_system(made, authority)
    return made


def spatial_system(parent: Element, authority: str) -> None:
    """`<spatialrefsys>`; QGIS looks the system up by its code and wants the definition beside it."""
    system = node(parent, "spatialrefsys", {"nativeFormat": "Wkt"})
    text(system, "wkt", _wkt(authority))
    text(system, "authid", authority)


def extent(parent: Element, name: str, box: tuple[float, float, float, float]) -> Element:
    """A rectangle: west, south, east, north."""
    made = node(parent, name)
    for corner, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
        text(made, corner, value)
    return made


def clean(value: str) -> str:
    """The text without characters that XML cannot carry."""
    return _UNWRITABLE.sub("", value)


@cache
def _wkt(authority: str) -> str:
    return CRS.from_user_input(authority).to_wkt()


def _option(parent: Element, value: Option, name: str | None = None) -> None:
    named = {"name": name} if name is not None else {}
    if isinstance(value, Mapping):
        made = node(parent, "Option", {"type": "Map", **named})
        for key, item in value.items():
            _option(made, item, key)
    elif value is None:
        node(parent, "Option", {"type": "invalid", **named})
    elif isinstance(value, str | bool | int | float):
        kind = "QString"
        if not isinstance(value, str):
            kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "double"
        written = ("true" if value else "false") if isinstance(value, bool) else value
        node(parent, "Option", {"type": kind, **named, "value": written})
    else:
        made = node(parent, "Option", {"type": "List", **named})
        for item in value:
            _option(made, item)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return repr(round(value, 10)).removesuffix(".0")
    return clean(str(value))

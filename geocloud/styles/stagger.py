# SPDX-License-Identifier: Apache-2.0
"""Clusters of several layers gather at the same towns: each layer's are moved a little, so that all can be read.

A map that switches layers asks `metadata` for the table, and gives the places anew to the layers that are on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["COUNT_SIZE", "TABLE", "staggered"]

# Pixels right and down, by how many layers share the ground: one in the middle, two abreast, three around it.
_OFFSETS: tuple[tuple[tuple[int, int], ...], ...] = (((0, 0),), ((-12, 0), (12, 0)), ((-13, 8), (13, 8), (0, -14)))
# How much of the way is gone up to which zooms.
_SHARES, _SHARED_UNTIL = (1.0, 0.5, 0.0), (11, 12)
# Size of a count in pixels; offsets of text are given in ems.
COUNT_SIZE = 11

# What a map needs to do the same.
TABLE = {
    "offsets": [[list(at) for at in places] for places in _OFFSETS],
    "size": COUNT_SIZE, "shares": list(_SHARES), "zooms": list(_SHARED_UNTIL),
}  # fmt: skip


def staggered(layers: Iterable[dict[str, Any]]) -> None:
    """Gives the clusters of each source that is switched on its place, in drawing order."""
    on = [x for x in layers if x["metadata"].get("geocloud:role") == "cluster"]
    on = [x for x in on if x.get("layout", {}).get("visibility") != "none"]
    # Cells of a grid stay where they are.
    fixed = {x["source"] for x in on if x["type"] == "fill"}
    on = [x for x in on if x["source"] not in fixed]
    sources = list(dict.fromkeys(x["source"] for x in on))
    places = _OFFSETS[min(len(sources), len(_OFFSETS)) - 1]
    for layer in on:
        place = places[sources.index(layer["source"]) % len(places)]
        if layer["type"] == "circle":
            layer["paint"]["circle-translate"] = _by_zoom(place, 1)
        else:
            layer["layout"]["text-offset"] = _by_zoom(place, COUNT_SIZE)


def _by_zoom(place: tuple[int, int], unit: float) -> list[Any]:
    """The whole way at small scales, where a town is a point, and none where streets are told apart.

    Steps at whole zooms, as the layout of text changes nowhere else.
    """
    stops = [[round(px * share / unit, 3) for px in place] for share in _SHARES]
    return ["step", ["zoom"], ["literal", stops[0]], *(
        v for zoom, stop in zip(_SHARED_UNTIL, stops[1:], strict=True) for v in (zoom, ["literal", stop])
    )]  # fmt: skip

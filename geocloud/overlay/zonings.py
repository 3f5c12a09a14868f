# SPDX-License-Identifier: Apache-2.0
"""By what features are stamped (分区): layers of zones, and the cells of two grids.

`stamps."theme.layer"` has a column of each zoning's name, with the fid of the zone. `geocloud.stamp_status` says which
are those of now; a zoning whose layer a city does not publish has no row there, and its column is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from geocloud.catalogue.spec import Text

__all__ = ["BEIDOU_LEVEL", "CELLS", "CELLS_RULE", "COLUMNS", "H3_RESOLUTIONS", "ZONINGS", "Zoning", "stamp_table"]


@dataclass(frozen=True, slots=True)
class Zoning:
    """A layer of zones; `name` is its column among the stamps, `key` the field that holds a zone's code."""

    name: str
    layer: str
    title: Text
    key: str = "code"


ZONINGS: Final[Mapping[str, Zoning]] = MappingProxyType(
    {
        z.name: z
        for z in (
            Zoning("county", "base.county", Text(zh="县级行政区", en="County")),
            Zoning("township", "base.township", Text(zh="乡级行政区", en="Township")),
            Zoning("village", "base.village", Text(zh="村级区划", en="Village")),
            Zoning("unit_grid", "grid.unit_grid", Text(zh="单元网格", en="Unit grid")),
        )
    }
)
"""In the order of the columns, and of `geocloud.zoning.place`."""

H3_RESOLUTIONS: Final = (8, 10)
"""Resolutions of H3 whose cells are stamped: about 0.7 km2 and 0.015 km2."""
BEIDOU_LEVEL: Final = 6
"""The level of the BeiDou grid code (GB/T 39409-2020) that is stamped: cells of 2 seconds, about 50 m by 62 m."""
CELLS: Final = "cells"
"""The name under which `geocloud.stamp_state` keeps how far H3 and BeiDou cells are."""
CELLS_RULE: Final = 1
"""Number of the rule by which cells are given; goes up when resolutions, the level or the rule change."""
COLUMNS: Final = (*ZONINGS, *(f"h3_{r}" for r in H3_RESOLUTIONS), "beidou")
"""Columns of a table of stamps after `fid`, all bigint."""


def stamp_table(layer_id: str) -> str:
    """Quoted name of a layer's table of stamps."""
    return f'stamps."{layer_id}"'

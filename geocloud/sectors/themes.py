# SPDX-License-Identifier: Apache-2.0
"""Which layers people of a theme begin with: those that functions of its sectors name, its own and other themes'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from geocloud.sectors.registry import Sector, layer_ids, sectors

__all__ = ["named_by_sectors", "theme_of"]

_BASE = "base"
# Planning has no sector. The three control lines (三条控制线) bind all plans, and can be read over one another.
_WITHOUT_SECTOR = {
    "planning": ("planning.basic_farmland", "planning.ecological_redline", "planning.urban_boundary"),
}


def named_by_sectors(theme: str, found: Iterable[Sector] | None = None) -> frozenset[str]:
    """Ids of the layers that functions of the theme's sectors name, whatever their theme; none where no sector has it,
    but for planning.

    The base map is left out: it is there for everybody.
    """
    chosen = sectors().values() if found is None else found
    named = {i for sector in chosen if theme_of(sector) == theme for i in _named(sector)}
    return frozenset(i for i in named if not i.startswith(f"{_BASE}.")) or frozenset(_WITHOUT_SECTOR.get(theme, ()))


def theme_of(sector: Sector) -> str | None:
    """The theme of a sector: that of most of its own layers or, where it has none, of most that its functions name."""
    counted = Counter(i.split(".")[0] for i in layer_ids(sector) or _named(sector))
    counted.pop(_BASE, None)
    return min(counted, key=lambda t: (-counted[t], t)) if counted else None


def _named(sector: Sector) -> list[str]:
    return [i for function in (sector.panel.functions if sector.panel else ()) for i in function.layers]

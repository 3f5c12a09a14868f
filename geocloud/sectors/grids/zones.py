# SPDX-License-Identifier: Apache-2.0
"""Departments' grids out of the database for fusion (多网格融合): as of a day, with what each says of its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import day_end, parse_date, parse_instant
from geocloud.features.moment import Moment
from geocloud.features.params import TimeRange
from geocloud.jobs.run import Run
from geocloud.overlay.crosswalk import Zones

__all__ = [
    "CONFLICTS",
    "GridZones",
    "Parents",
    "department_layers",
    "key_of",
    "lasting",
    "moment_on",
    "read_parents",
    "read_zones",
]

THEME = "grid"
CONFLICTS = "grid.boundary_conflict"
AREAS = ("polygon", "multipolygon")
# What grids say of the place they are in, where their layer has such fields.
_SAID = ("owner", "level", "community_code", "county_code")
# Layers that say which ground a division has, the smallest first.
_PARENTS = (("village", "base.village"), ("township", "base.township"), ("county", "base.county"))


@dataclass(frozen=True)
class GridZones:
    """A layer's grids at a moment: its areas, what the grids say by field (None where they do not), feature ids."""

    layer: Layer
    zones: Zones
    said: dict[str, list[str | None]] = field(default_factory=dict)
    fids: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.zones)

    def department(self, at: int) -> str:
        """Who keeps the grid: its owner, else the title of the layer."""
        return (self.said["owner"][at] if "owner" in self.said else None) or self.layer.spec.title.zh


@dataclass(frozen=True)
class Parents:
    """Divisions of one level with an area: `level` as in the list grid_tier, layer, codes, names and shapes."""

    level: str
    layer: str
    codes: list[str]
    names: list[str]
    shapes: NDArray[Any]


def moment_on(date: str | None) -> Moment:
    """The moment of a day, at its end in Beijing, or of an instant; now for None. InvalidParameter for any other."""
    if date is None:
        return Moment()
    day = parse_date(date)
    after = None if day is None else day_end(day)
    at = parse_instant(date) if after is None else after - timedelta(microseconds=1)
    if at is None:
        raise InvalidParameter(
            f"`date` is `{date[:60]}`, neither a day nor an instant.", f"参数 date 的值“{date[:60]}”不是日期或时刻。",
            todo_en="Write 2026-05-01 or 2026-05-01T08:00:00Z.", todo_zh="请写作 2026-05-01 或 2026-05-01T08:00:00Z。",
            parameter="date",
        )  # fmt: skip
    return Moment(TimeRange(at, at))


def department_layers(catalogue: Catalogue) -> list[Layer]:
    """Published public layers of grids: areas of the theme `grid` with a key of text, in the order of their menu."""
    found = [
        layer
        for layer in catalogue.layers.values()
        if layer.spec.theme == THEME
        and layer.id != CONFLICTS
        and layer.spec.geometry in AREAS
        and layer.spec.access.read == "public"
        and key_of(layer) is not None
    ]
    return sorted(found, key=lambda x: (x.spec.order, x.id))


def key_of(layer: Layer) -> str | None:
    """The field that names an area: the layer's key, where that is one visible field of text."""
    key = layer.spec.key
    visible = {f.name: f for f in layer.spec.visible_fields}
    return key[0] if len(key) == 1 and key[0] in visible and visible[key[0]].type == "text" else None


def read_zones(run: Run, layer_id: str, moment: Moment, parameter: str = "layer") -> GridZones:
    """The areas of a layer at a moment, by key. InvalidParameter for a layer that has no areas with a key."""
    layer = run.catalogue.layer(layer_id)
    key = key_of(layer)
    if key is None or layer.spec.geometry not in (*AREAS, "geometry"):
        raise InvalidParameter(
            f"`{layer_id}` is no layer of areas with a key.", f"{layer_id} 不是带标识的面图层。",
            todo_en="Name a layer of grids, communities or plots.", todo_zh="请选择网格、社区或地块等面图层。",
            parameter=parameter,
        )  # fmt: skip
    visible = {f.name for f in layer.spec.visible_fields}
    names = [n for n in _SAID if n in visible]
    label = "name" if "name" in visible else key
    binder = Binder()
    when = moment if layer.state.dated or layer.state.timed else Moment()
    relation = when.relation(binder, layer, by_place=False) or layer.table
    columns = ", ".join(f"{quote_identifier(n)}::text" for n in (key, label, *names))
    rows = run.rows(
        "SELECT fid, NULLIF(valid_from, '-infinity'), NULLIF(valid_to, 'infinity'), ST_AsBinary(geom), "
        f"{columns} FROM {relation} r WHERE ST_Dimension(geom) = 2 AND NOT ST_IsEmpty(geom) ORDER BY 5, fid", binder,
    )  # fmt: skip
    zones = Zones(
        [r[4] or str(r[0]) for r in rows], _sound([bytes(r[3]) for r in rows]), [r[5] for r in rows],
        [r[1] for r in rows], [r[2] for r in rows],
    )  # fmt: skip
    said = {n: [r[6 + i] for r in rows] for i, n in enumerate(names)}
    return GridZones(layer, zones, said, [int(r[0]) for r in rows])


def read_parents(run: Run, moment: Moment) -> dict[str, Parents]:
    """Divisions by level, those with an area; a level of which none is published is not there."""
    found: dict[str, Parents] = {}
    for level, layer_id in _PARENTS:
        if layer_id not in run.catalogue.layers:
            continue
        zones = read_zones(run, layer_id, moment).zones
        if len(zones):
            names = [n or k for n, k in zip(zones.names, zones.keys, strict=True)]
            found[level] = Parents(level, layer_id, list(zones.keys), names, zones.shapes)
    return found


def lasting(a: tuple[datetime | None, datetime | None], b: tuple[datetime | None, datetime | None]) -> tuple[Any, Any]:
    """The time both hold: the later begin and the earlier end, None where open."""
    begins, ends = [x for x in (a[0], b[0]) if x is not None], [x for x in (a[1], b[1]) if x is not None]
    return max(begins, default=None), min(ends, default=None)


def _sound(wkb: list[bytes]) -> NDArray[Any]:
    shapes = np.asarray(shapely.from_wkb(wkb), dtype=object).reshape(len(wkb))
    # Whoever wrote by SQL may have left an area that crosses itself; loads and edits repair or refuse it.
    wrong = ~shapely.is_valid(shapes)
    if wrong.any():
        shapes[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    return shapes

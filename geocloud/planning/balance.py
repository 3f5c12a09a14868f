# SPDX-License-Identifier: Apache-2.0
"""What part of a plan lies in difference spots (图斑内外面积): inside and outside add up to the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run
from geocloud.planning.conflicts import Found

__all__ = ["Balance", "balance"]

_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Balance:
    """Of one plan: features, and its area, that inside spots and that outside them, in m2, each measured by itself."""

    layer: str
    features: int
    area_m2: float
    inside_m2: float
    outside_m2: float

    @property
    def closure(self) -> float:
        """What inside and outside differ from the whole by, as a part of it."""
        return abs(self.inside_m2 + self.outside_m2 - self.area_m2) / self.area_m2 if self.area_m2 else 0.0


def balance(run: Run, layer: Layer, found: Sequence[Found], moment: Moment) -> Balance:
    """A plan against all spots on its features; ground under several spots counts once."""
    on: dict[str, list[Any]] = {}
    for f in found:
        for side, key in ((f.rule.a, f.key_a), (f.rule.b, f.key_b)):
            if side.layer == layer.id:
                on.setdefault(key, []).append(f.geometry)
    binder = Binder()
    relation = moment.relation(binder, layer, by_place=False) or layer.table
    key = quote_identifier(layer.spec.key[0])
    sql = f"SELECT {key}::text, ST_AsBinary(geom) FROM {relation} r WHERE geom IS NOT NULL"
    features, area, inside, outside = 0, 0.0, 0.0, 0.0
    for rows in run.batches(sql, binder, _BATCH):
        shapes = np.asarray(shapely.from_wkb([bytes(r[1]) for r in rows]), dtype=object)
        whole = straight_areas(shapes)
        features += len(rows)
        area += float(whole.sum())
        hit = np.array([r[0] in on for r in rows], dtype=bool)
        outside += float(whole[~hit].sum())
        at = np.flatnonzero(hit)
        if len(at):
            spots = np.array([shapely.union_all(on[rows[i][0]]) for i in at], dtype=object)
            inside += float(straight_areas(shapely.intersection(shapes[at], spots)).sum())
            outside += float(straight_areas(shapely.difference(shapes[at], spots)).sum())
    return Balance(layer.id, features, area, inside, outside)

# SPDX-License-Identifier: Apache-2.0
"""What is read when land is looked for: the parcels, and of other layers what lies around them, box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.errors import TooLarge
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2 import compile_filter
from geocloud.jobs.run import Run
from geocloud.planning.candidates_ask import Ask
from geocloud.planning.compliance_read import REGISTER, moment_of
from geocloud.planning.compliance_rules import Rule

__all__ = ["FEATURES_MAX", "PARCELS_MAX", "Around", "Parcels", "Reader"]

PARCELS_MAX = 50_000
FEATURES_MAX = 500_000
_METRES_PER_DEGREE = 110_000.0
# About two kilometres; boxes of neighbours are read as one.
_CELL = 0.02


@dataclass(frozen=True)
class Parcels:
    """Parcels of the candidate layer in the order of their ids: id, class and shape of each."""

    ids: list[str]
    uses: list[str | None]
    shapes: NDArray[Any]


@dataclass(frozen=True)
class Around:
    """Features around the parcels (EPSG:4490); `empty` when the layer has no row at all at the date; `exact` its
    stated accuracy in metres."""

    layer: Layer
    shapes: NDArray[Any]
    empty: bool
    exact: float = 0.0


class Reader:
    """Reads layers at one moment."""

    def __init__(self, run: Run, valid: datetime, believed: datetime | None) -> None:
        self.run, self.valid, self.believed = run, valid, believed
        self.used: dict[str, Layer] = {}

    def parcels(self, ask: Ask) -> Parcels:
        """The parcels that allow the use and fit the filter; TooLarge above PARCELS_MAX."""
        layer, binder = ask.source, Binder()
        relation = self._relation(layer, binder, by_place=False)
        tests = ["geom IS NOT NULL"]
        if ask.use is not None and ask.use_field is not None:
            tests.append(f"starts_with({quote_identifier(ask.use_field)}, {binder.bind(ask.use, 'text')})")
        if ask.filter is not None:
            tests.append(f"({compile_filter(binder, ask.filter, 'cql2-text', layer, None, self.run.settings.web)})")
        key = " || '/' || ".join(f"r.{quote_identifier(k)}::text" for k in layer.spec.key)
        use = f"r.{quote_identifier(ask.use_field)}::text" if ask.use_field else "NULL::text"
        rows = self.run.rows(
            f"SELECT {key}, {use}, ST_AsBinary(r.geom) FROM {relation} r WHERE {' AND '.join(tests)} "
            f"LIMIT {PARCELS_MAX + 1}",
            binder,
        )
        if len(rows) > PARCELS_MAX:
            raise TooLarge(
                f"More than {PARCELS_MAX:,} parcels of {layer.id} allow that use.",
                f"{layer.id} 中可用的地块超过 {PARCELS_MAX:,} 个。",
                todo_en="Narrow the search with `filter`, such as a county or a box.",
                todo_zh="请用 filter 缩小范围,例如限定区县或范围框。",
                parameter="filter", limit=PARCELS_MAX,
            )  # fmt: skip
        rows.sort(key=lambda r: str(r[0]))
        shapes = np.asarray(shapely.from_wkb([bytes(r[2]) for r in rows]), dtype=object)
        return Parcels([str(r[0]) for r in rows], [r[1] for r in rows], shapes)

    def around(
        self, layer: Layer, boxes: NDArray[np.float64], reach_m: float = 0.0, filters: Sequence[str] = ()
    ) -> Around:
        """Features that fit all filters (CQL2) within reach of boxes (n × west, south, east, north)."""
        binder = Binder()
        tests = [f"({compile_filter(binder, f, 'cql2-text', layer, None, self.run.settings.web)})" for f in filters]
        return self._around(layer, boxes, reach_m, tests, binder)

    def of_rule(self, rule: Rule, boxes: NDArray[np.float64]) -> Around:
        """Features a rule of the check is about, as the check itself reads them."""
        layer, binder = self.run.catalogue.layers[rule.layer], Binder()
        tests = []
        if rule.filter is not None:
            tests.append(f"({compile_filter(binder, rule.filter, 'cql2-text', layer, None, self.run.settings.web)})")
        if rule.classes and rule.class_field is not None:
            codes = ", ".join(binder.bind(c, "text") for c in rule.classes)
            tests.append(f"{quote_identifier(rule.class_field)} IN ({codes})")
        return self._around(layer, boxes, rule.distance_m or 0.0, tests, binder)

    def covered(self, rule: Rule, boxes: NDArray[np.float64]) -> NDArray[Any] | None:
        """Extents of the registered plans of a rule's layer; None where its rows alone tell of every place."""
        register = self.run.catalogue.layers.get(REGISTER)
        if rule.coverage == "rows" or register is None:
            return None
        kind = rule.layer.partition(".")[2].replace("'", "''")
        return self.around(register, boxes, filters=[f"ghlb = '{kind}'"]).shapes

    def _around(
        self, layer: Layer, boxes: NDArray[np.float64], reach_m: float, tests: list[str], binder: Binder
    ) -> Around:
        runs = _runs(boxes, reach_m)
        sides = ", ".join(binder.bind([float(v) for v in runs[:, k]], "float8[]") for k in range(4))
        relation = self._relation(layer, binder)
        where = "".join(f" AND {t}" for t in tests)
        rows = self.run.rows(
            "WITH b AS MATERIALIZED (SELECT ST_MakeEnvelope(w, s, e, n, 4490) AS g "
            f"FROM unnest({sides}) AS t(w, s, e, n)) SELECT DISTINCT ON (fid) fid, ST_AsBinary(geom) "
            f"FROM {relation} r JOIN b ON r.geom && b.g WHERE TRUE{where} ORDER BY fid "
            f"LIMIT {FEATURES_MAX + 1}",
            binder,
        )
        if len(rows) > FEATURES_MAX:
            raise TooLarge(
                f"More than {FEATURES_MAX:,} features of {layer.id} lie around the parcels.",
                f"地块周边的 {layer.id} 要素超过 {FEATURES_MAX:,} 个。",
                todo_en="Narrow the condition or the search with `filter`, or take a smaller `distance_m`.",
                todo_zh="请用 filter 缩小条件或候选范围,或减小 distance_m。",
                parameter="conditions", limit=FEATURES_MAX,
            )  # fmt: skip
        empty = not rows and not self._any(layer)
        shapes = np.asarray(shapely.from_wkb([bytes(r[1]) for r in rows]), dtype=object)
        return Around(layer, shapes, empty, self._exact(layer))

    def _any(self, layer: Layer) -> bool:
        binder = Binder()
        return bool(self.run.rows(f"SELECT 1 FROM {self._relation(layer, binder)} r LIMIT 1", binder))

    def _exact(self, layer: Layer) -> float:
        """The stated accuracy in metres of the registered plans of a layer's kind; 0 where none is."""
        register = self.run.catalogue.layers.get(REGISTER)
        theme, _, kind = layer.id.partition(".")
        if register is None or theme != REGISTER.partition(".")[0]:
            return 0.0
        binder = Binder()
        named = binder.bind(kind, "text")
        rows = self.run.rows(
            f"SELECT coalesce(max(jd), 0)::float8 FROM {self._relation(register, binder)} r WHERE ghlb = {named}",
            binder,
        )
        return float(rows[0][0])

    def _relation(self, layer: Layer, binder: Binder, *, by_place: bool = True) -> str:
        self.used[layer.id] = layer
        moment = moment_of(layer, self.valid, self.believed)
        return moment.relation(binder, layer, by_place=by_place) or layer.table


def _runs(boxes: NDArray[np.float64], reach_m: float) -> NDArray[np.float64]:
    """Boxes that do not overlap and together hold all given ones with the reach around them, snapped to cells."""
    if not len(boxes):
        return np.empty((0, 4))
    dy = reach_m / _METRES_PER_DEGREE
    dx = dy / np.cos(np.radians(np.abs(boxes[:, [1, 3]]).max(axis=1) + dy))
    wide = np.column_stack([boxes[:, 0] - dx, boxes[:, 1] - dy, boxes[:, 2] + dx, boxes[:, 3] + dy])
    cell = max(_CELL, dy)
    at = np.floor(wide / cell).astype(np.int64)
    rows: dict[int, set[int]] = {}
    for w, s, e, n in {tuple(r) for r in at.tolist()}:
        for j in range(s, n + 1):
            rows.setdefault(j, set()).update(range(w, e + 1))
    out = []
    for j, columns in sorted(rows.items()):
        line = np.array(sorted(columns))
        breaks = np.flatnonzero(np.diff(line) > 1)
        for a, b in zip(np.r_[0, breaks + 1], np.r_[breaks, len(line) - 1], strict=True):
            out.append((line[a] * cell, j * cell, (line[b] + 1) * cell, (j + 1) * cell))
    return np.array(out, dtype=np.float64)

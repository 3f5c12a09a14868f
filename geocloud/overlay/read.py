# SPDX-License-Identifier: Apache-2.0
"""A layer's stamps read for people: keys of features, codes and names of zones, cells as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.db.reader import Reader
from geocloud.features.binder import quote_identifier
from geocloud.grids import beidou_index
from geocloud.overlay.cells import h3_text
from geocloud.overlay.zones import NONE
from geocloud.overlay.zonings import CELLS, H3_RESOLUTIONS, ZONINGS, Zoning, stamp_table

__all__ = ["Page", "page_of", "published"]

_STATUS = "SELECT zoning, current FROM geocloud.stamp_status WHERE layer = $1"


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by column name, the id after which the next page begins (None for the last), whether what was read is that
    of now, by zoning."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    after: int | None
    current: dict[str, bool]


def published(catalogue: Catalogue) -> list[Zoning]:
    """The zonings whose layers the city publishes."""
    return [z for z in ZONINGS.values() if z.layer in catalogue.layers]


async def page_of(reader: Reader, catalogue: Catalogue, layer: Layer, limit: int, after: int) -> Page:
    """At most `limit` rows in the order of feature ids, from the one behind `after` on; read in one state."""
    zonings = published(catalogue)
    keys = [k for k in layer.spec.key if k in {f.name for f in layer.spec.visible_fields}]
    picked, joins = ["s.fid", *(f"t.{quote_identifier(k)}::text" for k in keys)], []
    columns = ["fid", *keys]
    for n, zoning in enumerate(zonings):
        zones = catalogue.layers[zoning.layer]
        names = {f.name for f in zones.spec.visible_fields}
        joins.append(f" LEFT JOIN {zones.table} z{n} ON z{n}.fid = s.{zoning.name}")
        for column, field in ((zoning.name, zoning.key), (f"{zoning.name}_name", "name")):
            if field in names:
                picked.append(f"z{n}.{quote_identifier(field)}::text")
                columns.append(_free(column, columns))
    cells = [*(f"h3_{r}" for r in H3_RESOLUTIONS), "beidou"]
    picked += [f"s.{c}" for c in cells]
    columns += [_free(c, columns) for c in cells]
    sql = (
        f"SELECT {', '.join(picked)} FROM (SELECT * FROM {stamp_table(layer.id)} WHERE fid > $1 ORDER BY fid "
        f"LIMIT {limit + 1:d}) s LEFT JOIN {layer.table} t ON t.fid = s.fid{''.join(joins)} ORDER BY s.fid"
    )
    async with reader.lease() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        told = {z.name for z in zonings} | {CELLS}
        current = {n: bool(r[1]) for r in await conn.fetch(_STATUS, layer.id) if (n := _text(r[0])) in told}
        found = await conn.fetch(sql, after)
    more = len(found) > limit
    values = [[_text(v) for v in r] for r in found[:limit]]
    h3_cells = [h3_text(_ints(r[-3 + k] for r in values)) for k in range(2)]
    beidou = [c.decode() or None for c in beidou_index.to_text(_ints(r[-1] for r in values)).tolist()]
    for row, *written in zip(values, *h3_cells, beidou, strict=True):
        row[-3:] = written
    rows = [dict(zip(columns, r, strict=True)) for r in values]
    return Page(tuple(columns), rows, found[limit - 1][0] if more else None, current)


def _free(name: str, taken: Sequence[str]) -> str:
    """The name of a column, told from a key field of the same name."""
    return name if name not in taken else f"stamp_{name}"


def _ints(values: Any) -> Any:
    return np.array([NONE if v is None else v for v in values], np.int64)


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value

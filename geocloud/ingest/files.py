# SPDX-License-Identifier: Apache-2.0
"""From a path to a loaded layer: open the file, find its coordinate system, load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.db.pool import connect
from geocloud.ingest.crs_doctor import diagnose
from geocloud.ingest.derive import DerivedSource
from geocloud.ingest.load import LoadOptions, LoadResult, Progress, load
from geocloud.ingest.readers import open_source
from geocloud.ingest.source import Source
from geocloud.settings import Settings

__all__ = ["FileOptions", "load_file"]

# Geometries of the layer that a new delivery is compared with to tell shifted coordinates, and their vertices.
_REFERENCE_ROWS = 2_000
_REFERENCE_VERTICES = 100_000
_REFERENCE_SQL = """
SELECT ST_AsBinary(geom) FROM (
  SELECT geom, sum(ST_NPoints(geom)) OVER (ORDER BY fid) AS vertices FROM (
    SELECT fid, geom FROM {table} WHERE geom IS NOT NULL ORDER BY fid LIMIT %s) AS rows_) AS counted
 WHERE vertices <= %s
"""


@dataclass(frozen=True)
class FileOptions:
    """How a file is read: coordinate system and encoding that win over what the file says, the layer in it,
    rows picked by value, columns added, empty cells filled, and whether its geometry is used."""

    crs: str | None = None
    encoding: str | None = None
    layer: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    fill: Mapping[str, str] = field(default_factory=dict)
    geometry: bool = True


def load_file(
    url: str,
    path: Path,
    layer: Layer,
    *,
    settings: Settings,
    reading: FileOptions | None = None,
    options: LoadOptions | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Loads a file a bureau delivered into a published layer and says what that changed.

    Raises UnreadableFile and CrsUndecided of reading, and what `load` raises.
    """
    reading = reading or FileOptions()
    with open_source(path, layer=reading.layer, encoding=reading.encoding, settings=settings.ingest) as opened:
        source: Source = opened
        if reading.where or reading.add or reading.fill or not reading.geometry:
            source = DerivedSource(
                opened, where=reading.where, add=reading.add, fill=reading.fill, geometry=reading.geometry
            )
        placement, findings, facts = None, list(source.findings), _facts(source)
        if source.geometry_type is not None and layer.spec.geometry != "none":
            found = diagnose(
                source,
                settings.city.city_bbox,
                named=reading.crs,
                reference=None if reading.crs else _reference(url, layer),
                rows=settings.ingest.crs_sample_rows,
            )
            placement = found.placement
            findings += found.findings
            facts["crs"] = found.as_dict()
        return load(
            url, source, layer, placement, settings=settings, options=options, findings=findings, facts=facts,
            progress=progress,
        )  # fmt: skip


def _facts(source: Source) -> dict[str, Any]:
    encoding = source.encoding
    return {"driver": source.driver, "file_layer": source.layer, "encoding": encoding.name if encoding else None}


def _reference(url: str, layer: Layer) -> NDArray[Any] | None:
    """Some of the layer's present geometries; None when it has none."""
    with connect(url, application_name=f"geocloud load {layer.id}") as conn, conn.cursor() as cur:
        cur.execute(_REFERENCE_SQL.format(table=layer.table), (_REFERENCE_ROWS, _REFERENCE_VERTICES))
        rows = cur.fetchall()
    return shapely.from_wkb(np.array([bytes(r[0]) for r in rows], dtype=object)) if rows else None

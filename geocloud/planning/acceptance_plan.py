# SPDX-License-Identifier: Apache-2.0
"""A plan to be accepted: a delivered file as its maker drew it, or a published layer at a date; nothing is repaired."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment
from geocloud.geodesy.straight import straight_areas
from geocloud.geodesy.transform import Placement
from geocloud.ingest.crs_doctor import diagnose
from geocloud.ingest.mapping import map_columns
from geocloud.ingest.pipeline import placed
from geocloud.ingest.readers import open_source
from geocloud.jobs.run import Run
from geocloud.rules.checker import ColumnMap
from geocloud.rules.convert import ARROW_TYPES
from geocloud.rules.findings import Finding
from geocloud.settings import Settings

__all__ = ["Plan", "plan_of_bytes", "plan_of_file", "plan_of_layer"]

_AREAL = (3, 6)


@dataclass
class Plan:
    """Features in the order of the file or of their ids: `shapes` in EPSG:4490, longitude first, None where there is
    none, and `table`, whose columns are those of `columns`.

    `reading` is what was said of the file as a whole, `unread` of single rows; both are of the ingest's rules.
    """

    spec: LayerSpec
    codes: Mapping[str, CodeList]
    table: pa.Table
    columns: ColumnMap
    shapes: NDArray[Any]
    day: date
    day_named: bool = False
    title: str = ""
    delivered: bool = False
    crs: str | None = None
    datum: str | None = None
    synthetic: bool = False
    reading: list[Finding] = field(default_factory=list)
    unread: list[Finding] = field(default_factory=list)
    typed: tuple[pa.Table, list[Finding]] | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def sound(self) -> NDArray[Any]:
        """The areal part of every shape, made valid; an empty polygon where there is none."""
        out = self.shapes.copy()
        out[shapely.is_missing(out)] = shapely.Polygon()
        broken = ~shapely.is_valid(out)
        out[broken] = shapely.make_valid(out[broken], method="structure", keep_collapsed=False)
        for i in np.flatnonzero(~np.isin(shapely.get_type_id(out), _AREAL)):
            out[i] = areal(out[i])
        return out

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """m2 on the ellipsoid of `sound`."""
        return straight_areas(self.sound)

    @cached_property
    def drawn(self) -> int:
        """How many features have an area at all."""
        return int((~shapely.is_empty(self.sound)).sum())

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Of `sound`."""
        return shapely.STRtree(self.sound)

    @cached_property
    def whole(self) -> Any:
        """All of `sound` together."""
        return shapely.union_all(self.sound)

    @cached_property
    def keys(self) -> list[str | None]:
        """The key of each feature as text; None where a part of it is missing."""
        columns = [self.values(k) for k in self.spec.key]
        if any(c is None for c in columns):
            return [None] * len(self)
        rows = zip(*(c.to_pylist() for c in columns if c is not None), strict=True)
        return [None if any(v is None or str(v).strip() == "" for v in r) else "/".join(map(str, r)) for r in rows]

    def values(self, name: str) -> pa.ChunkedArray | None:
        """A field's column as delivered; None when there is none."""
        column = self.columns.columns.get(name)
        return self.table.column(column) if column is not None else None

    @property
    def digest(self) -> str:
        """SHA-256 of shapes and fields."""
        out = hashlib.sha256(self.spec.id.encode())
        for raw in shapely.to_wkb(self.shapes, byte_order=1):
            out.update(raw or b"-")
        for name, column in sorted(self.columns.columns.items()):
            out.update(f"\x00{name}".encode())
            out.update("\x1f".join(map(str, self.table.column(column).to_pylist())).encode())
        return out.hexdigest()


def areal(shape: Any) -> Any:
    """The polygons of a geometry."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = [p for p in shapely.get_parts(shape) if p.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def plan_of_file(
    path: Path,
    layer: Layer,
    settings: Settings,
    day: date,
    *,
    day_named: bool = False,
    crs: str | None = None,
    encoding: str | None = None,
    source_layer: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Plan:
    """A delivered file read for a layer, written nowhere. Raises UnreadableFile and CrsUndecided of reading,
    IngestError for a named column that is not there."""
    spec = layer.spec
    with open_source(path, layer=source_layer, encoding=encoding, settings=settings.ingest) as source:
        found = diagnose(source, settings.city.city_bbox, named=crs, rows=settings.ingest.crs_sample_rows)
        mapped = map_columns(spec, [f.name for f in source.fields], columns)
        reading = [*source.findings, *found.findings, *mapped.findings]
        unread: list[Finding] = []
        shapes: list[NDArray[Any]] = []
        tables: list[pa.Table] = []
        for batch in source.batches(settings.ingest.batch_rows):
            unread += [f for f in batch.findings if f.row is not None]
            reading += [f for f in batch.findings if f.row is None]
            shapes.append(_placed(batch.geometry, batch.rows, found.placement))
            tables.append(batch.table)
        empty = pa.table({f.name: pa.array([], pa.string()) for f in source.fields})
        table = pa.concat_tables(tables, promote_options="permissive") if tables else empty
        used = found.placement.crs if found.placement else None
        return Plan(
            spec, layer.codes, table, mapped,
            np.concatenate(shapes) if shapes else np.empty(0, dtype=object), day, day_named,
            title=source.name, delivered=True, crs=used.id if used else None, datum=used.datum if used else None,
            reading=reading, unread=unread,
        )  # fmt: skip


def plan_of_bytes(value: Mapping[str, Any], layer: Layer, settings: Settings, day: date, **how: Any) -> Plan:
    """A plan from `{name, value: base64}`, see `plan_of_file`; TooLarge over `site_max_mb`, InvalidParameter for what
    is no base64."""
    encoded, limit = value.get("value"), settings.site.site_max_mb
    if isinstance(encoded, str) and len(encoded) > (limit << 20) * 4 // 3 + 8:
        raise TooLarge(
            f"The file is over {limit} MB: site_max_mb.", f"文件超过上限 {limit} MB:site_max_mb。",
            todo_en="Use `geocloud plans accept`, or raise GEOCLOUD_SITE_MAX_MB.",
            todo_zh="请使用 `geocloud plans accept`,或调高 GEOCLOUD_SITE_MAX_MB。",
            parameter="file", setting="site_max_mb", limit=limit,
        )  # fmt: skip
    try:
        data = base64.b64decode(encoded or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise InvalidParameter(
            "`file.value` is not base64.", "file.value 不是 base64 编码。",
            todo_en="Send the file's bytes in base64.", todo_zh="请以 base64 编码提交文件内容。", parameter="file",
        ) from None  # fmt: skip
    name = str(value.get("name") or "plan")
    with tempfile.TemporaryDirectory(prefix="geocloud-plan-") as folder:
        # The name a client gives is used for its ending alone.
        safe = re.sub(r"[^\w.\-]", "_", Path(name.replace("\\", "/")).name)[-80:].lstrip(".") or "plan"
        path = Path(folder) / safe
        path.write_bytes(data)
        return plan_of_file(path, layer, settings, day, **how)


def plan_of_layer(run: Run, layer_id: str, moment: Moment, day: date, *, day_named: bool = False) -> Plan:
    """A published polygon layer as it was at a moment; UnknownCollection, and InvalidParameter for another layer."""
    layer = run.catalogue.layer(layer_id)
    refuse_no_plan(layer)
    binder = Binder()
    relation = moment.relation(binder, layer, by_place=False) or layer.table
    fields = layer.spec.visible_fields
    values = "".join(f"r.{quote_identifier(f.name)}, " for f in fields)
    rows = run.rows(f"SELECT {values}ST_AsBinary(r.geom) FROM {relation} r ORDER BY fid", binder)
    table = pa.table({f.name: _column([r[k] for r in rows], f.type) for k, f in enumerate(fields)})
    shapes = np.full(len(rows), None, dtype=object)
    shapes[:] = shapely.from_wkb([None if r[-1] is None else bytes(r[-1]) for r in rows])
    return Plan(
        layer.spec, layer.codes, table, ColumnMap({f.name: f.name for f in fields}), shapes, day, day_named,
        title=layer_id, synthetic=layer.synthetic,
    )  # fmt: skip


def refuse_no_plan(layer: Layer) -> None:
    """InvalidParameter for a layer that has no polygons."""
    if layer.spec.geometry not in ("polygon", "multipolygon"):
        raise InvalidParameter(
            f"`{layer.id}` has no polygons.", f"图层 {layer.id} 不是面状图层。",
            todo_en="Name a polygon layer, such as planning.land_plan.",
            todo_zh="请指定面状图层,例如 planning.land_plan。", parameter="layer",
        )  # fmt: skip


def _column(values: list[Any], kind: Any) -> pa.Array:
    if kind == "number":
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, ARROW_TYPES[kind])


def _placed(geometry: NDArray[Any] | None, rows: int, placement: Placement | None) -> NDArray[Any]:
    """In EPSG:4490 without heights. What has no place there, or is no polygon, counts as no geometry."""
    if geometry is None:
        return np.full(rows, None, dtype=object)
    out = placed(shapely.force_2d(geometry), placement).copy()
    with np.errstate(invalid="ignore"):
        boxes = shapely.bounds(out)
        bad = ~np.isfinite(boxes).all(axis=1) | (np.abs(boxes) > np.array([180.0, 90.0, 180.0, 90.0])).any(axis=1)
    out[bad] = None
    return out

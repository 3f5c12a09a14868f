# SPDX-License-Identifier: Apache-2.0
"""A site (用地范围) as it is given, drawn or in a file, made sound: what is wrong is repaired and said, or refused with
its place."""

from __future__ import annotations

import base64
import binascii
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.model import Text
from geocloud.errors import InvalidParameter, TooLarge
from geocloud.geodesy.area import SQUARE_METRES_PER_MU, ellipsoid, lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.ingest.crs_doctor import diagnose
from geocloud.ingest.readers import open_source
from geocloud.ingest.source import Source
from geocloud.planning.site_points import ShapesSource, read_points
from geocloud.settings import Settings

__all__ = ["Note", "Site", "read_site"]

_TEXTS = (".txt", ".csv", ".tsv", ".dat", ".pnt")
_GEOJSON = ("Polygon", "MultiPolygon", "LineString", "MultiLineString", "GeometryCollection", "Point", "MultiPoint")
_AT = re.compile(r"\[(\S+) (\S+)\]")
# Corners nearer than this, in degrees, are one: about a tenth of a millimetre.
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Note:
    """What was found or done to a site, and where (lon, lat)."""

    code: str
    text: Text
    place: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The note as JSON."""
        return {"code": self.code, "text": self.text.model_dump(), "place": self.place}


@dataclass(frozen=True, slots=True)
class Site:
    """A multipolygon in EPSG:4490, longitude first, with its vertices in one canonical order; ellipsoidal m2 and m."""

    geometry: Any
    area_m2: float
    perimeter_m: float
    crs: str
    crs_name: Text
    exchanged: bool
    notes: tuple[Note, ...]

    @property
    def area_mu(self) -> float:
        """The area in mu."""
        return self.area_m2 / SQUARE_METRES_PER_MU

    @property
    def vertices(self) -> int:
        """Corners, the closing one of a ring not counted."""
        return int(shapely.get_num_coordinates(self.geometry)) - len(
            shapely.get_rings(shapely.get_parts(self.geometry))
        )


def read_site(value: Mapping[str, Any] | Path, settings: Settings, crs: str | None = None) -> Site:
    """A site from a GeoJSON geometry, feature or collection, from `{name, value: base64}`, or from a file's path.

    Raises TooLarge for what is over a limit, CrsUndecided where the coordinate system must be named, UnreadableFile of
    reading, and InvalidParameter (`parameter="site"`, with `fault` and `place`) for a site that cannot be one.
    """
    limit = settings.site.site_max_mb
    if isinstance(value, Path):
        if value.is_file() and value.stat().st_size > limit << 20:
            raise _over("site_max_mb", limit, "MB", value.stat().st_size / (1 << 20))
        if value.suffix.casefold() in _TEXTS and value.is_file():
            return _site(read_points(value.name, value.read_bytes()), settings, crs)
        with open_source(value, settings=settings.ingest) as source:
            return _site(source, settings, crs)
    if "value" in value and "type" not in value:
        return _from_bytes(str(value.get("name") or "site"), value["value"], settings, crs)
    text = json.dumps(value)
    if len(text) > limit << 20:
        raise _over("site_max_mb", limit, "MB")
    try:
        shapes = _geojson(json.loads(text))
    except (AttributeError, TypeError, RecursionError):
        raise _fault("not-geojson", "it is no GeoJSON geometry", "不是有效的 GeoJSON 几何") from None
    return _site(ShapesSource("GeoJSON", shapes, "OGC:CRS84", by_format=True), settings, crs)


def _from_bytes(name: str, encoded: Any, settings: Settings, crs: str | None) -> Site:
    limit = settings.site.site_max_mb
    if not isinstance(encoded, str):
        raise _fault("not-base64", "the file is not base64", "文件内容不是 base64 编码")
    if len(encoded) > (limit << 20) * 4 // 3 + 8:
        raise _over("site_max_mb", limit, "MB")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _fault("not-base64", "the file is not base64", "文件内容不是 base64 编码") from None
    with tempfile.TemporaryDirectory(prefix="geocloud-site-") as folder:
        # The name a client gives is used for its ending alone.
        safe = re.sub(r"[^\w.\-]", "_", Path(name.replace("\\", "/")).name)[-80:] or "site"
        path = Path(folder) / safe.lstrip(".")
        path.write_bytes(data)
        return read_site(path, settings, crs)


def _geojson(value: Mapping[str, Any]) -> list[object]:
    kind = value.get("type")
    if kind == "FeatureCollection":
        return [s for f in value.get("features") or () for s in _geojson(f)]
    if kind == "Feature":
        return _geojson(value.get("geometry") or {})
    if kind not in _GEOJSON:
        raise _fault("no-polygon", "there is no polygon in it", "其中没有面")
    closed = _closed(value) if kind in ("Polygon", "MultiPolygon") else value
    try:
        return [shapely.from_geojson(json.dumps(closed))]
    except (shapely.errors.GEOSException, ValueError, TypeError) as exc:
        raise _fault("not-geojson", f"it is no GeoJSON geometry ({exc})", "不是有效的 GeoJSON 几何") from None


def _closed(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rings end where they begin: those of drawings often do not."""
    rings = value.get("coordinates")

    def close(ring: Any) -> Any:
        short = isinstance(ring, list) and len(ring) < 4
        if not isinstance(ring, list) or not ring or (short and len(ring) < 2):
            raise _fault("too-few-points", "a ring has fewer than three corners", "有环不足三个角点")
        out = ring if ring[0] == ring[-1] and len(ring) > 1 else [*ring, ring[0]]
        # GEOS takes no ring of two corners; a repeated one lets it be read and refused with its place.
        return out if len(out) >= 4 else [*out, *[out[-1]] * (4 - len(out))]

    if not isinstance(rings, list):
        raise _fault("not-geojson", "it has no coordinates", "没有坐标")
    made = [close(r) for r in rings] if value["type"] == "Polygon" else [[close(r) for r in p] for p in rings]
    return {"type": value["type"], "coordinates": made}


def _site(source: Source, settings: Settings, named: str | None) -> Site:
    notes: list[Note] = []
    found = diagnose(source, settings.city.city_bbox, named=named, rows=settings.ingest.crs_sample_rows)
    shapes: list[Any] = []
    count, limit = 0, settings.site.site_vertices_max
    for batch in source.batches():
        if batch.geometry is None:
            break
        held = [g for g in batch.geometry if g is not None and not g.is_empty]
        count += int(shapely.get_num_coordinates(np.array(held, dtype=object)).sum()) if held else 0
        if count > limit:
            raise _over("site_vertices_max", limit, "", count)
        shapes += held
    if not shapes or found.placement is None:
        raise _fault("no-polygon", "there is no polygon in it", "其中没有面")
    notes += [
        Note(f.code, Text(zh=f.message("zh"), en=f.message("en")), f.place)
        for f in found.findings
        if f.code not in ("GC-301", "GC-312", "GC-309", "GC-316")
    ]
    placed = found.placement.apply(shapely.force_2d(np.array(shapes, dtype=object)))
    # Before anything that takes all outlines against all others.
    outlines = int(np.maximum(shapely.get_num_geometries(placed), 1).sum())
    if outlines > settings.site.site_parts_max:
        raise _over("site_parts_max", settings.site.site_parts_max, "", outlines)
    polygons = _polygons(placed, settings.site.site_close_gap_m, notes)
    sound = [_sound(p, settings, notes) for p in polygons]
    whole = _one(sound, notes)
    _within_city(whole, settings, notes)
    parts = len(shapely.get_parts(whole))
    if parts > settings.site.site_parts_max:
        raise _over("site_parts_max", settings.site.site_parts_max, "", parts)
    area = float(straight_areas(np.array([whole], dtype=object))[0])
    if area > settings.site.site_area_max_ha * 1e4:
        raise _over("site_area_max_ha", settings.site.site_area_max_ha, "ha", area / 1e4)
    system = found.placement.crs
    return Site(
        whole, area, float(lengths(np.array([whole], dtype=object))[0]), system.id,
        Text(zh=system.name_zh, en=system.name), found.placement.exchanged, tuple(notes),
    )  # fmt: skip


def _polygons(placed: NDArray[Any], gap_m: float, notes: list[Note]) -> list[Any]:
    """Polygons of all shapes: lines are closed where their ends meet or nearly, rings within rings become holes."""
    parts = shapely.get_parts(placed)
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    kinds = shapely.get_type_id(parts)
    for p in parts:
        xy = shapely.get_coordinates(p)
        if not np.isfinite(xy).all():
            raise _fault(
                "no-place", "a corner has no place on the earth in this system", "有角点在该坐标系中无对应位置"
            )
    polygons = list(parts[kinds == 3])
    lines = list(parts[(kinds == 1) | (kinds == 2)])
    if lines:
        rings = [shapely.get_coordinates(r) for r in _rings(lines, gap_m, notes)]
        polygons += _nested(rings)
    if not polygons:
        raise _fault("no-polygon", "there is no polygon in it", "其中没有面", _place(shapely.get_coordinates(placed)))
    return polygons


def _rings(lines: list[Any], gap_m: float, notes: list[Note]) -> list[Any]:
    is_closed = [bool(shapely.is_closed(s)) for s in lines]
    closed = [s for s, whole in zip(lines, is_closed, strict=True) if whole]
    still_open = [s for s, whole in zip(lines, is_closed, strict=True) if not whole]
    if not still_open:
        return closed
    merged = (
        shapely.line_merge(shapely.union_all(shapely.multilinestrings(still_open))) if len(still_open) > 1 else None
    )
    for line in still_open if merged is None else shapely.get_parts(merged):
        xy = shapely.get_coordinates(line)
        gap = float(ellipsoid().inv(*xy[0], *xy[-1])[2])
        if gap > gap_m:
            raise _fault(
                "open-outline",
                f"an outline is open: its ends are {gap:.2f} m apart (closed up to {gap_m:g} m)",
                f"有轮廓线未闭合:首尾相距 {gap:.2f} 米(不超过 {gap_m:g} 米时自动闭合)",
                _place(xy), gap_m=round(gap, 3), other=[float(v) for v in xy[-1]],
            )  # fmt: skip
        if gap > 0:
            said = Text(zh=f"轮廓线首尾相距 {gap:.2f} 米,已闭合", en=f"an outline open by {gap:.2f} m was closed")
            notes.append(Note("closed", said, _place(xy)))
        closed.append(shapely.linestrings(np.vstack([xy, xy[:1]])))
    return closed


def _nested(rings: Sequence[NDArray[Any]]) -> list[Any]:
    """Polygons of rings: one within another is its hole, one within a hole a part of its own."""
    shells: list[Any] = []
    for xy in rings:
        shells.append(shapely.polygons(np.vstack([xy, *[xy[-1:]] * max(0, 4 - len(xy))])))
    order = sorted(range(len(shells)), key=lambda i: -shells[i].area)
    out: list[tuple[Any, list[Any]]] = []
    for i in order:
        one = shells[i]
        if not one.is_valid or one.area == 0:
            out.append((one, []))
            continue
        owner = next((o for o in reversed(out) if o[0].is_valid and o[0].contains(one)), None)
        if owner is None or any(shapely.polygons(h).contains(one) for h in owner[1]):
            out.append((one, []))
        else:
            owner[1].append(shapely.get_exterior_ring(one))
    return [shapely.polygons(shapely.get_exterior_ring(s), h) if h else s for s, h in out]


def _sound(polygon: Any, settings: Settings, notes: list[Note]) -> Any:
    """The polygon without repeated corners, valid and of some area; InvalidParameter with the place if it cannot be."""
    before = shapely.get_num_coordinates(polygon)
    rings = [_corners(r) for r in shapely.get_rings(polygon)]
    xy = shapely.get_coordinates(polygon)
    for ring in rings:
        if len(ring) < 4:
            raise _fault(
                "too-few-points", "a ring has fewer than three different corners", "有环的不同角点不足三个", _place(xy)
            )
    clean = shapely.polygons(shapely.linearrings(rings[0]), [shapely.linearrings(r) for r in rings[1:]] or None)
    removed = int(before - shapely.get_num_coordinates(clean))
    if removed:
        said = Text(zh=f"去除重复角点 {removed} 个", en=f"{removed} repeated corners were removed")
        notes.append(Note("repeated-points", said, _place(xy)))
    if _flat(rings[0]):
        raise _fault(
            "zero-area", "its corners lie on a line: it has no area", "各角点在一条直线上,面积为零", _place(xy)
        )
    if clean.is_valid:
        return clean
    reason = shapely.is_valid_reason(clean)
    at = _AT.search(reason)
    place = (float(at[1]), float(at[2])) if at else _place(xy)
    fixed = shapely.make_valid(clean, method="structure", keep_collapsed=False)
    # Walking the outline gives an area too; where the two differ much nobody knows what was meant.
    drawn = abs(shapely.polygons(rings[0]).area) if clean.is_empty else _shoelace(rings)
    changed = abs(fixed.area - drawn) / fixed.area if fixed.area else 1.0
    if changed > settings.site.site_repair_share:
        raise _fault("self-crossing", "its outline crosses itself", "边界自相交", place, reason=reason)
    said = Text(
        zh=f"边界有自相接处,已修复(面积变化 {changed:.4%})", en=f"its outline was repaired (area by {changed:.4%})"
    )
    notes.append(Note("repaired", said, place))
    return fixed


def _corners(ring: Any) -> NDArray[Any]:
    xy = shapely.get_coordinates(ring)
    keep = np.r_[True, (np.abs(np.diff(xy, axis=0)) > _SAME).any(axis=1)]
    kept = xy[keep]
    if len(kept) > 1 and (np.abs(kept[0] - kept[-1]) <= _SAME).all():
        kept = kept[:-1]
    return np.vstack([kept, kept[:1]])


def _flat(ring: NDArray[Any]) -> bool:
    """Whether a ring's corners lie within a millimetre of a line."""
    centred = (ring[:-1] - ring[:-1].mean(axis=0)) * [np.cos(np.radians(ring[0, 1])), 1.0] * 111_000
    return bool(np.linalg.svd(centred, compute_uv=False)[-1] < 1e-3 * np.sqrt(len(ring)))


def _shoelace(rings: Sequence[NDArray[Any]]) -> float:
    def one(r: NDArray[Any]) -> float:
        x, y = (r - r[0]).T
        return abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2)

    return one(rings[0]) - sum(one(r) for r in rings[1:])


def _one(polygons: list[Any], notes: list[Note]) -> Any:
    """One multipolygon with vertices in canonical order."""
    whole = polygons[0] if len(polygons) == 1 else shapely.union_all(np.array(polygons, dtype=object))
    parts = [p for p in shapely.get_parts(whole) if p.geom_type == "Polygon"]
    if len(polygons) > 1:
        doubled = float(straight_areas(np.array(polygons, dtype=object)).sum())
        doubled -= float(straight_areas(np.array([whole], dtype=object))[0])
        notes.append(
            Note(
                "several",
                Text(zh=f"共 {len(polygons)} 个面,合并检查", en=f"{len(polygons)} polygons, checked together"),
            )
        )
        if doubled > 0.01:
            said = Text(zh=f"各面重叠 {doubled:.2f} 平方米,只计一次", en=f"{doubled:.2f} m2 of overlap counted once")
            notes.append(Note("overlapping-parts", said))
    return shapely.normalize(shapely.multipolygons(parts))


def _within_city(whole: Any, settings: Settings, notes: list[Note]) -> None:
    city = shapely.box(*settings.city.city_bbox)
    if not whole.intersects(city):
        box = ", ".join(f"{v:.4f}" for v in whole.bounds)
        raise _fault(
            "outside-city",
            f"it lies outside the city (its extent is {box})",
            f"不在本市范围内(范围 {box})",
            _place(shapely.get_coordinates(whole)),
        )
    if not whole.within(city):
        notes.append(Note("partly-outside", Text(zh="部分在本市范围之外", en="a part of it lies outside the city")))


def _place(xy: NDArray[Any]) -> tuple[float, float] | None:
    return (float(xy[0, 0]), float(xy[0, 1])) if len(xy) and np.isfinite(xy[0]).all() else None


def _fault(fault: str, en: str, zh: str, place: tuple[float, float] | None = None, **more: Any) -> InvalidParameter:
    at_en = f" near {place[0]:.7f}, {place[1]:.7f}" if place else ""
    at_zh = f"(位置 {place[0]:.7f}, {place[1]:.7f})" if place else ""
    return InvalidParameter(
        f"The site cannot be used: {en}{at_en}.",
        f"用地范围不可用:{zh}{at_zh}。",
        todo_en="Correct the outline there, or name its coordinate system; docs/planning.md tells what a site may be.",
        todo_zh="请更正该处边界,或指明坐标系;对用地范围的要求见 docs/planning.md。",
        parameter="site", fault=fault, place=list(place) if place else None, **more,
    )  # fmt: skip


def _over(setting: str, limit: float, unit: str, found: float | None = None) -> TooLarge:
    has = f" ({found:,.0f})" if found is not None else ""
    return TooLarge(
        f"The site is over {limit:g} {unit}{has}: {setting}.".replace("  ", " "),
        f"用地范围超过上限 {limit:g} {unit}{has}:{setting}。",
        todo_en=f"Divide the site, or raise GEOCLOUD_{setting.upper()}.",
        todo_zh=f"请拆分用地范围,或调高 GEOCLOUD_{setting.upper()}。",
        parameter="site", setting=setting, limit=limit,
    )  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""Geometry bytes and texts into shapely: curves to lines, surfaces to polygons, each change counted.

GEOS knows no curves, TINs, triangles and polyhedral surfaces (ISO 19125-2 types 8-17). Curves are turned
into line segments by GDAL (4 degrees a step, its default), surfaces are the same bytes under another type.
"""

from __future__ import annotations

import csv
import struct
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray

from geocloud.ingest.report import Finding

__all__ = ["from_wkb", "from_wkt", "without_measures"]

_CURVES = frozenset({8, 9, 10, 11, 12, 13, 14})
# PolyhedralSurface and TIN are bodies of a MultiPolygon, Triangle is the body of a Polygon.
_SURFACES = {15: 6, 16: 6, 17: 3}
_MULTI = frozenset({4, 5, 6, 7})
_REASON = 200


def from_wkb(
    values: Sequence[bytes | None], start_row: int, linear: Callable[[list[int]], dict[int, bytes]] | None = None
) -> tuple[NDArray[Any], list[Finding]]:
    """Geometries of WKB values (None stays None), and findings GC-126, GC-127, GC-134 with row numbers.

    `linear` gives the bytes of curved rows again without curves, by their place in `values`; without it a
    curved row cannot be parsed (GC-127).
    """
    data = np.empty(len(values), dtype=object)
    data[:] = values
    try:
        return shapely.from_wkb(data), []
    except (shapely.errors.GEOSException, shapely.errors.ShapelyError, NotImplementedError):
        pass
    out = np.full(len(values), None, dtype=object)
    findings: list[Finding] = []
    curved = [i for i, raw in enumerate(values) if raw is not None and _holds(raw, _CURVES)]
    straight = linear(curved) if curved and linear is not None else {}
    for i, value in enumerate(values):
        if value is None:
            continue
        raw = straight.get(i, value)
        out[i], code, reason = _one(raw)
        if i in straight and code is None:
            code = "GC-126"
        if code is not None:
            findings.append(Finding.of(code, start_row + i + 1, reason=reason))
    return out, findings


def from_wkt(
    values: Sequence[str | None], start_row: int, scratch: Callable[[], Path]
) -> tuple[NDArray[Any], list[Finding]]:
    """Geometries of WKT or EWKT values; empty text stays None. What GEOS cannot parse is given to GDAL."""
    texts = [None if v is None or not v.strip() else v.split(";", 1)[-1].strip() for v in values]
    data = np.empty(len(texts), dtype=object)
    data[:] = texts
    try:
        out = shapely.from_wkt(data, on_invalid="ignore")
    except NotImplementedError:
        out = np.full(len(texts), None, dtype=object)
        for i, text in enumerate(texts):
            with suppress(NotImplementedError):
                out[i] = None if text is None else shapely.from_wkt(text, on_invalid="ignore")
    failed = [i for i, t in enumerate(texts) if t is not None and out[i] is None]
    findings: list[Finding] = []
    read = _gdal_wkt([str(texts[i]) for i in failed], scratch()) if failed else []
    for i, raw in zip(failed, read, strict=True):
        if raw is None:
            reason = f"{str(texts[i])[:60]}…" if len(str(texts[i])) > 60 else str(texts[i])
            findings.append(Finding.of("GC-127", start_row + i + 1, reason=reason))
            continue
        out[i], code, reason = _one(raw)
        curved = any(word in str(texts[i]).upper() for word in ("CURVE", "CIRCULAR", "MULTISURFACE"))
        if code is None and curved:
            code = "GC-126"
        if code is not None:
            findings.append(Finding.of(code, start_row + i + 1, reason=reason))
    return out, findings


def without_measures(geometries: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """The geometries without M values, heights kept, and how many had them."""
    measured = shapely.has_m(geometries)
    count = int(measured.sum())
    if count:
        geometries = geometries.copy()
        for mask, dimension in ((measured & shapely.has_z(geometries), 3), (measured & ~shapely.has_z(geometries), 2)):
            if mask.any():
                geometries[mask] = shapely.from_wkb(shapely.to_wkb(geometries[mask], output_dimension=dimension))
    return geometries, count


def _one(raw: bytes) -> tuple[Any, str | None, str]:
    """A geometry, and the code and reason when it was mended or cannot be parsed."""
    try:
        if _holds(raw, _SURFACES):
            raw = _as_polygons(raw)
        return shapely.from_wkb(raw), None, ""
    except (shapely.errors.GEOSException, NotImplementedError, struct.error, IndexError) as exc:
        reason = str(exc)[:_REASON]
    try:
        mended = shapely.from_wkb(raw, on_invalid="fix")
    except (shapely.errors.GEOSException, NotImplementedError):
        mended = None
    return (mended, "GC-134", reason) if mended is not None else (None, "GC-127", reason)


def _gdal_wkt(texts: list[str], folder: Path) -> list[bytes | None]:
    """WKB without curves of WKT texts, by way of a CSV that GDAL reads."""
    path = folder / "wkt.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "WKT"])
        writer.writerows((i, t.replace("\x00", " ")) for i, t in enumerate(texts))
    with warnings.catch_warnings():
        # What GDAL cannot parse comes back as None and is told with its row.
        warnings.simplefilter("ignore")
        _, _, geometry, (ids,) = pyogrio.raw.read(path, columns=["id"])
    path.unlink()
    by_id = {} if geometry is None else dict(zip([str(i) for i in ids], geometry, strict=True))
    return [by_id.get(str(i)) for i in range(len(texts))]


def _kind(raw: bytes, at: int) -> tuple[str, int, int, bool]:
    """Byte order, plain type, coordinates a point, whether an SRID follows, of the geometry at a place."""
    order = "<" if raw[at] else ">"
    (full,) = struct.unpack_from(order + "I", raw, at + 1)
    flags, code = full >> 28, full & 0x0FFFFFFF
    z = bool(flags & 8) or code // 1000 in (1, 3)
    m = bool(flags & 4) or code // 1000 in (2, 3)
    return order, code % 1000, 2 + z + m, bool(flags & 2)


def _holds(raw: bytes, kinds: Any) -> bool:
    """Whether the geometry or a member of its collections is of one of the types."""
    try:
        return any(kind in kinds for kind, _ in _members(raw, 0)[0])
    except (struct.error, IndexError):
        return False


def _as_polygons(raw: bytes) -> bytes:
    out = bytearray(raw)
    for kind, at in _members(raw, 0)[0]:
        if kind in _SURFACES:
            order = "<" if raw[at] else ">"
            (full,) = struct.unpack_from(order + "I", raw, at + 1)
            struct.pack_into(order + "I", out, at + 1, full - kind + _SURFACES[kind])
    return bytes(out)


def _members(raw: bytes, at: int) -> tuple[list[tuple[int, int]], int]:
    """Type and place of a geometry and all within it, and the place after it. Curves are not walked into."""
    order, kind, dimension, srid = _kind(raw, at)
    here, found = at + (9 if srid else 5), [(kind, at)]
    if kind == 1:
        return found, here + 8 * dimension
    (count,) = struct.unpack_from(order + "I", raw, here)
    here += 4
    if kind in (2, 8):
        return found, here + 8 * dimension * count
    if kind in (3, 17):
        for _ in range(count):
            (points,) = struct.unpack_from(order + "I", raw, here)
            here += 4 + 8 * dimension * points
        return found, here
    if kind in _MULTI | _CURVES | {15, 16}:
        for _ in range(count):
            inner, here = _members(raw, here)
            found += inner
    return found, here

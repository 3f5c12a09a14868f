# SPDX-License-Identifier: Apache-2.0
"""What the emergency processes share: their layers, places and zones, and how rows of a moment are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg2
import pyproj
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import BEIJING
from geocloud.features.moment import NOW, Moment
from geocloud.geodesy.area import ellipsoid
from geocloud.jobs.run import Run

__all__ = [
    "AREA_SCHEMA", "CITY", "CLOSURES_SCHEMA", "HAZARDS", "HOSPITALS", "HYDRANTS", "INCIDENTS", "LOG",
    "RADIUS_MAX_M", "SHELTERS", "STOCK", "STORES", "TEAMS", "VILLAGES", "Origin", "Situation", "beijing", "bind_shape",
    "code_title", "is_empty", "origin_of", "relation_of", "shown", "title_of", "zone",
]  # fmt: skip

INCIDENTS, LOG = "emergency.incident", "emergency.incident_log"
HAZARDS, TEAMS, HYDRANTS = "emergency.hazard", "emergency.team", "emergency.hydrant"
STORES, STOCK = "emergency.store", "emergency.stock"
SHELTERS, HOSPITALS = "facility.shelter", "facility.hospital"
VILLAGES, CITY = "base.village", "base.city"
RADIUS_MAX_M = 30_000
AREA_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {"type": {"enum": ["Polygon", "MultiPolygon"]}, "coordinates": {"type": "array", "minItems": 1}},
}
CLOSURES_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "maxItems": 200,
    "default": [],
    "items": {
        "type": "object",
        "required": ["type", "coordinates"],
        "properties": {
            "type": {"enum": ["Polygon", "MultiPolygon", "LineString", "MultiLineString"]},
            "coordinates": {"type": "array", "minItems": 1},
        },
    },
}
_CORNERS = 180
_VERTICES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something happened: a point or an area in EPSG:4490, and a middle for measuring."""

    shape: Any

    @property
    def is_area(self) -> bool:
        return bool(shapely.get_dimensions(self.shape) == 2)

    @property
    def middle(self) -> tuple[float, float]:
        at = self.shape if not self.is_area else shapely.point_on_surface(self.shape)
        return float(at.x), float(at.y)


@dataclass(frozen=True)
class Situation:
    """What is known of an incident: the document; zones, roads and points by layer (EPSG:4490) to draw its map from."""

    document: dict[str, Any]
    origin: Any
    zones: tuple[Any, ...]
    roads: tuple[Any, ...]
    points: dict[str, list[Any]]


def origin_of(point: Mapping[str, Any] | None, area: Mapping[str, Any] | None) -> Origin:
    """The point or the area of a request: one of them, and sound; InvalidParameter else."""
    if (point is None) == (area is None):
        raise InvalidParameter(
            "Give either `point` or `area`.", "请给出 point 或 area 之一。",
            todo_en="A GeoJSON Point, or a Polygon or MultiPolygon.", todo_zh="GeoJSON 点,或面、多面。",
            parameter="point",
        )  # fmt: skip
    if point is not None:
        return Origin(shapely.Point(*point["coordinates"][:2]))
    assert area is not None
    try:
        shape = shapely.force_2d(shapely.geometry.shape(area))
    except (TypeError, ValueError, IndexError, AttributeError, shapely.errors.ShapelyError):
        shape = None
    if shape is None or shape.is_empty or not shape.is_valid or shapely.get_num_coordinates(shape) > _VERTICES_MAX:
        why = (
            "no area"
            if shape is None or shape.is_empty
            else (shapely.is_valid_reason(shape) if not shape.is_valid else f"more than {_VERTICES_MAX} corners")
        )
        raise InvalidParameter(
            f"`area` cannot be used: {why}.", f"参数 area 不可用:{why}。",
            todo_en="Send a valid Polygon or MultiPolygon, longitude first.",
            todo_zh="请发送有效的面或多面,经度在前。", parameter="area",
        )  # fmt: skip
    west, south, east, north = shape.bounds
    if west < -180 or east > 180 or south < -85 or north > 85:
        raise InvalidParameter(
            "`area` lies outside longitude and latitude.", "参数 area 超出经纬度范围。",
            todo_en="Longitude first, in degrees.", todo_zh="经度在前,单位为度。", parameter="area",
        )  # fmt: skip
    return Origin(shape)


def zone(origin: Origin, radius_m: float) -> Any:
    """All places within `radius_m` (m) of the origin, EPSG:4490; the area itself for 0.

    Round a point it is of geodesics on the CGCS2000 ellipsoid, a polygon of 180 corners on the circle, whose area is
    0.02 percent less. Round an area it is a buffer in an azimuthal equidistant plane about its middle.
    """
    lon, lat = origin.middle
    if not origin.is_area:
        n = np.arange(_CORNERS)
        x, y, _ = ellipsoid().fwd(np.full(_CORNERS, lon), np.full(_CORNERS, lat), n * 360 / _CORNERS,
                                  np.full(_CORNERS, radius_m))  # fmt: skip
        return shapely.Polygon(np.column_stack((x, y)))
    if radius_m <= 0:
        return origin.shape
    plane = pyproj.Proj(proj="aeqd", lon_0=lon, lat_0=lat, a=6378137.0, rf=298.257222101)
    flat = shapely.transform(origin.shape, lambda xy: np.column_stack(plane(xy[:, 0], xy[:, 1])))
    grown = shapely.buffer(flat, radius_m, quad_segs=_CORNERS // 4)
    return shapely.transform(grown, lambda xy: np.column_stack(plane(xy[:, 0], xy[:, 1], inverse=True)))


def shown(layer: Layer, names: Sequence[str], of: str) -> str:
    """SQL of fields of the table `of`, NULL for those that the layer does not have or hides."""
    known = {f.name for f in layer.spec.visible_fields}
    return ", ".join(f"{of}.{quote_identifier(n)}" if n in known else "NULL::text" for n in names)


def bind_shape(binder: Binder, shape: Any) -> str:
    """SQL of a geometry in EPSG:4490."""
    return f"ST_GeomFromWKB({binder.bind(psycopg2.Binary(shapely.to_wkb(shape)), 'bytea')}, 4490)"


def relation_of(binder: Binder, layer: Layer, moment: Moment, *, by_place: bool = True) -> str:
    """SQL of the rows of a layer at a moment."""
    return moment.relation(binder, layer, by_place=by_place) or layer.table


def is_empty(run: Run, layer_id: str, moment: Moment = NOW) -> bool:
    """Whether a layer is not published or has no rows at a moment: then nothing can be said of it."""
    layer = run.catalogue.layers.get(layer_id)
    if layer is None:
        return True
    if moment.is_now:
        return not layer.state.row_count
    binder = Binder()
    ((found,),) = run.rows(
        f"SELECT EXISTS (SELECT FROM {relation_of(binder, layer, moment, by_place=False)} r)", binder
    )
    return not found


def title_of(layer: Layer) -> dict[str, str]:
    """The layer's title in both languages."""
    return {"zh": layer.spec.title.zh, "en": layer.spec.title.en}


def code_title(layer: Layer, name: str, code: str | None, language: str) -> str:
    """The title of a code of a field; the code itself where the list does not have it."""
    field = next((f for f in layer.spec.visible_fields if f.name == name), None)
    held = layer.codes.get(field.codes) if field is not None and field.codes else None
    if code is None or held is None:
        return code or ""
    return next((c.title.zh if language == "zh" else c.title.en for c in held.codes if c.code == code), code)


def beijing(when: datetime | None) -> str | None:
    """RFC 3339 with Beijing's offset."""
    return None if when is None else when.astimezone(BEIJING).isoformat()


def refuse_outside(run: Run, moment: Moment, shape: Any, parameter: str) -> None:
    """InvalidParameter for what does not touch the city; nothing is refused where no city's area is known."""
    layer = run.catalogue.layers.get(CITY)
    if layer is None or not layer.state.row_count:
        return
    binder = Binder()
    here = bind_shape(binder, shape)
    read = relation_of(binder, layer, moment)
    rows = run.rows(
        f"SELECT count(*) FILTER (WHERE ST_Dimension(geom) = 2), count(*) FILTER (WHERE geom && {here} AND "
        f"ST_Intersects(geom, {here})) FROM {read} c",
        binder,
    )
    areas, touched = rows[0]
    if areas and not touched:
        raise InvalidParameter(
            "The place lies outside the city.", "所给位置不在本市范围内。",
            todo_en="Longitude comes first; the area is that of the layer base.city.",
            todo_zh="经度在前;范围以图层 base.city 为准。", parameter=parameter,
        )  # fmt: skip


def now_of(run: Run) -> datetime:
    """The moment that this run's state of the database belongs to."""
    ((at,),) = run.rows("SELECT transaction_timestamp()", Binder())
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.now(UTC)


def numbers(values: Sequence[float]) -> list[float]:
    """Rounded to the centimetre."""
    return [round(v, 2) if math.isfinite(v) else v for v in values]

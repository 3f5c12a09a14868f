# SPDX-License-Identifier: Apache-2.0
"""What the water processes share: their layers and inputs, stations with their fields, instants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW, Moment
from geocloud.features.params import TimeRange, read_datetime
from geocloud.jobs.model import Input
from geocloud.jobs.run import Run
from geocloud.sectors.water.rules import BEIJING

__all__ = [
    "DATETIME", "PUMPS", "RAIN", "REACHES", "RIVER", "SLUICES", "Station", "at_of", "beijing",
    "invalid", "named", "plane", "polygons", "rows_of", "stations", "text_of",
]  # fmt: skip

RIVER, RAIN = "facility.river_gauge", "facility.rain_gauge"
REACHES, SLUICES, PUMPS = "water.river_reach", "water.sluice", "water.pump_station"
DATETIME = Input(
    "datetime", Text(zh="时刻", en="Instant"),
    {"type": "string", "maxLength": 60, "examples": ["2024-07-27T08:00:00+08:00"]},
    Text(zh="RFC 3339 时刻;不填为此刻", en="RFC 3339; now if unset"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Station:
    """A station (测站): its key, name, place (lon/lat, None where it is not known) and the fields asked for."""

    fid: int
    code: str
    name: str | None
    place: tuple[float, float] | None
    fields: Mapping[str, Any]


def invalid(parameter: str, en: str, zh: str, todo_en: str, todo_zh: str, **more: Any) -> InvalidParameter:
    """An input that cannot be used: what is wrong with it and what to do."""
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter=parameter, **more)


def at_of(text: str | None) -> datetime:
    """The instant of `datetime`, now if unset; InvalidParameter for a span or an open one."""
    if text is None:
        return datetime.now(UTC)
    read = read_datetime(text)
    if read.start is None or read.start != read.end:
        raise invalid(
            "datetime", f"`datetime` is `{text[:60]}`, which is no single instant.",
            f"参数 datetime 的值“{text[:60]}”不是一个时刻。",
            "Write one such as 2024-07-27T08:00:00+08:00.", "请写一个时刻,例如 2024-07-27T08:00:00+08:00。",
        )  # fmt: skip
    return read.start


def beijing(at: datetime | None) -> str | None:
    """An instant as RFC 3339 in Beijing time."""
    return None if at is None else at.astimezone(BEIJING).isoformat()


def text_of(run: Run, text: Text) -> str:
    """The words in the language of the run."""
    return text.zh if run.language == "zh" else text.en


def rows_of(
    run: Run,
    layer: Layer,
    fields: Sequence[str],
    at: datetime | None = None,
    where: str = "",
    binder: Binder | None = None,
) -> list[tuple[Any, ...]]:
    """Rows of fid, the named fields (None for those the layer does not have) and the geometry as WKB, in the order of
    the key; as of now, or valid at an instant. `valid_from` may be named too. `where` is SQL whose values are in
    `binder`."""
    binder = binder or Binder()
    moment = NOW if at is None else Moment(TimeRange(at, at))
    relation = moment.relation(binder, layer, by_place=False) or layer.table
    known = {f.name for f in layer.spec.visible_fields}
    begin = {"valid_from": "CASE WHEN isfinite(t.valid_from) THEN t.valid_from END"}
    names = [begin.get(n) or (f"t.{quote_identifier(n)}" if n in known else "NULL") for n in fields]
    geometry = "NULL" if layer.spec.geometry == "none" else "ST_AsBinary(t.geom)"
    condition = f" WHERE {where}" if where else ""
    sql = f"SELECT t.fid, {', '.join([*names, geometry])} FROM {relation} t{condition} "
    return run.rows(f"{sql}ORDER BY t.{quote_identifier(layer.spec.key[0])}, t.fid", binder)


def stations(run: Run, layer_id: str, fields: Sequence[str] = (), at: datetime | None = None) -> list[Station]:
    """The stations of a layer of points with `code` and `name`, valid at an instant, by their codes."""
    layer = run.catalogue.layer(layer_id)
    found = []
    for fid, code, name, *values, wkb in rows_of(run, layer, ["code", "name", *fields], at):
        shape = None if wkb is None else shapely.from_wkb(bytes(wkb))
        place = None if shape is None or shape.is_empty else (shape.x, shape.y)
        found.append(Station(fid, code, name, place, dict(zip(fields, values, strict=True))))
    return found


def named(found: Sequence[Station], codes: Sequence[str], parameter: str = "stations") -> list[Station]:
    """The stations of these codes, all without any; InvalidParameter names those that are not there."""
    if not codes:
        return list(found)
    by = {s.code: s for s in found}
    unknown = [c for c in codes if c not in by]
    if unknown:
        shown = "、".join(c[:20] for c in unknown[:10])
        raise invalid(
            parameter, f"There is no station {', '.join(c[:20] for c in unknown[:10])}.", f"没有测站 {shown}。",
            "Codes are those of the layer, of eight characters (SL 502).", "请使用图层中的测站编码(SL 502,8 位)。",
            unknown=unknown[:10],
        )  # fmt: skip
    return [by[c] for c in dict.fromkeys(codes)]


def plane(lonlat: NDArray[np.float64], origin: tuple[float, float]) -> NDArray[np.float64]:
    """(n, 2) lon/lat as metres about an origin on the CGCS2000 ellipsoid: true there, and for directions and nearest
    places within a city; lengths and areas that are told are measured on the ellipsoid."""
    a, e2 = 6_378_137.0, 2 / 298.257222101 - (1 / 298.257222101) ** 2
    lat = np.radians(origin[1])
    w = 1 - e2 * np.sin(lat) ** 2
    north, east = a * (1 - e2) / w**1.5, a / np.sqrt(w) * np.cos(lat)
    return np.column_stack((np.radians(lonlat[:, 0] - origin[0]) * east, np.radians(lonlat[:, 1] - origin[1]) * north))


def polygons(shapes: Any) -> NDArray[Any]:
    """All polygons in shapely geometries, also those within collections."""
    parts = shapely.get_parts(shapes)
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    return np.asarray(parts[shapely.get_type_id(parts) == 3])

# SPDX-License-Identifier: Apache-2.0
"""What is asked of a flood: where the water comes from, and its level in the datum of the elevation model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import shapely

from geocloud.jobs.run import Run
from geocloud.rasters.registry import Raster
from geocloud.sectors.water.common import REACHES, RIVER, at_of, beijing, invalid, named, rows_of, stations
from geocloud.sectors.water.datum import Above, Unknown, height_1985
from geocloud.sectors.water.levels import OWN
from geocloud.sectors.water.status import BACK_DAYS
from geocloud.sensing.values import newest_at

__all__ = ["level_of", "seed_of"]

_RIVER_LAYERS = (REACHES, "base.water_line")


def seed_of(run: Run, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any], Above | None, float | None]:
    """Where the water comes from as a shape in EPSG:4490, in words; and the datum and newest level of a station."""
    given = [n for n in ("point", "river", "station") if n in inputs]
    if len(given) != 1:
        raise invalid(
            "point", "Exactly one of point, river, station is needed.", "point、river、station 须且只能填一个。",
            "Send one of them.", "请只填其中一个。",
        )  # fmt: skip
    if given[0] == "point":
        lon, lat = inputs["point"]["coordinates"][:2]
        return shapely.Point(lon, lat), {"by": "point", "coordinates": [lon, lat]}, None, None
    if given[0] == "river":
        return _river(run, inputs), {"by": "river", "river": inputs["river"]}, None, None
    at = at_of(inputs.get("datetime"))
    (station,) = named(stations(run, RIVER, OWN, at), [inputs["station"]], "station")
    if station.place is None:
        raise invalid(
            "station", f"The station {station.code} has no position.", f"测站 {station.code} 没有位置。",
            "Send `point` in its place.", "请改用 point。",
        )  # fmt: skip
    above = Above(*(station.fields[n] for n in ("datum_name", "datum_height_m", "datum_correction_m")))
    told = {"by": "station", "station": station.code, "name": station.name, "coordinates": list(station.place)}
    if "level_m" in inputs:
        return shapely.Point(station.place), told, above, None
    found = newest_at(run, RIVER, "water_level", "m", at, timedelta(days=BACK_DAYS))
    mine = next((m for m in found if m.source.of(station.code, station.fid) and m.reads), None)
    if mine is None:
        raise invalid(
            "station", f"The station {station.code} has no level up to {beijing(at)}.",
            f"测站 {station.code} 在 {beijing(at)} 前没有水位读数。", "Send `level_m`.", "请填写 level_m。",
        )  # fmt: skip
    if mine.source.datum is not None and not Above(mine.source.datum).same_as(above):
        above = Above(mine.source.datum)
    return shapely.Point(station.place), {**told, "read_at": beijing(mine.reads[-1].at)}, above, mine.reads[-1].value


def _river(run: Run, inputs: dict[str, Any]) -> Any:
    for layer_id in _RIVER_LAYERS:
        if layer_id not in run.catalogue.layers:
            continue
        rows = rows_of(run, run.catalogue.layer(layer_id), ["name"])
        shapes = [shapely.from_wkb(bytes(wkb)) for _, name, wkb in rows if wkb is not None and name == inputs["river"]]
        if shapes:
            return shapely.union_all(np.array(shapes, dtype=object))
    raise invalid(
        "river", f"There is no river `{inputs['river'][:60]}`.", f"没有名为 {inputs['river'][:60]} 的河流。",
        f"Names are those of {' and '.join(_RIVER_LAYERS)}.", f"请使用 {'、'.join(_RIVER_LAYERS)} 中的名称。",
    )  # fmt: skip


def level_of(
    raster: Raster, read: float | None, above: Above | None, inputs: dict[str, Any]
) -> tuple[float, dict[str, Any]]:
    """The level in the raster's datum, and how it came to be."""
    level = inputs.get("level_m", read)
    if level is None:
        raise invalid("level_m", "`level_m` is missing.", "缺少 level_m。",
                      "Send a level, or a station that has one.", "请填写水位,或给出有读数的测站。")  # fmt: skip
    told = inputs.get("datum")
    if told == "raster":
        return level, {
            "given_m": level,
            "datum": "raster",
            "in_raster_m": level,
            "datum_known": raster.about.datum is not None,
        }
    was_read = "level_m" not in inputs and above is not None and above.name is not None
    if was_read and told not in (None, "station") and above is not None and not Above(told).same_as(above):
        raise invalid(
            "datum", f"The station's level is above `{above.name}`, not above `{told[:60]}`.",
            f"测站水位的基面是“{above.name}”,不是“{told[:60]}”。",
            "Leave `datum` out, or send `level_m` too.", "请去掉 datum,或同时填写 level_m。",
        )  # fmt: skip
    given = above if told is None or (told == "station" and above is not None) else Above(told)
    if given is None or (told == "station" and above is None):
        raise invalid(
            "datum", "`datum` is missing: what is the level above?", "缺少 datum:未注明水位所用基面。",
            "Name it, such as 1985 国家高程基准; `station` for the station's own, `raster` for the raster's.",
            "请写明基面,例如 1985 国家高程基准;station 为测站基面,raster 为与栅格相同。",
        )  # fmt: skip
    height = height_1985(level, given)
    zero = height_1985(0.0, Above(raster.about.datum))
    for which, found in (("level", height), ("raster", zero)):
        if isinstance(found, Unknown):
            raise invalid(
                "datum", f"The level cannot be compared with the heights of `{raster.name}` ({which}: {found.why.en}).",
                f"水位与栅格 {raster.name} 的高程不能比较({'水位' if which == 'level' else '栅格'}:{found.why.zh})。",
                "Give the height of the datum (DTMEL), or `datum: raster` where the level was read on the raster.",
                "请补充基面高程(DTMEL);若水位即按该栅格高程给出,请用 datum: raster。", which=which,
            )  # fmt: skip
    assert not isinstance(height, Unknown) and not isinstance(zero, Unknown)
    return height - zero, {
        "given_m": level, "datum": given.name, "height_1985_m": height, "in_raster_m": round(height - zero, 6),
        "datum_known": True,
    }  # fmt: skip

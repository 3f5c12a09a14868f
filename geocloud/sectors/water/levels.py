# SPDX-License-Identifier: Apache-2.0
"""Indicators of stations (测站指标): the row of water.warning_level valid at an instant, else the station's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from geocloud.jobs.run import Run
from geocloud.sectors.water.common import Station, rows_of
from geocloud.sectors.water.datum import Above, Unknown, moved

__all__ = ["LEVELS", "OWN", "Indicators", "in_datum", "indicators", "of_station"]

LEVELS = "water.warning_level"
_LEVELS = (
    "warning_level_m", "guarantee_level_m", "highest_level_m", "highest_surveyed_m", "level_5yr_m", "level_20yr_m",
    "level_50yr_m", "drought_level_m", "period_lowest_m", "lowest_level_m",
)  # fmt: skip
_FLOWS = ("warning_flow_m3s", "guarantee_flow_m3s", "highest_flow_m3s")
# Fields of the station that say the same where the table of levels has no row.
_FIELD_OF = {
    "highest_level_m": "highest_observed_m", "drought_level_m": "low_alarm_m",
    **{n: n for n in ("warning_level_m", "guarantee_level_m", "highest_surveyed_m", "lowest_level_m", *_FLOWS)},
}  # fmt: skip
OWN = ("datum_name", "datum_height_m", "datum_correction_m", "river", *_FIELD_OF.values())
"""Fields of facility.river_gauge that are read for a station."""


@dataclass(frozen=True, slots=True)
class Indicators:
    """Levels (m, above `above`) and discharges (m3/s) of a station, and where they come from."""

    values: Mapping[str, float | None]
    above: Above
    origin: str
    document: str | None = None
    since: datetime | None = None
    example: bool = False

    @property
    def empty(self) -> bool:
        return all(v is None for v in self.values.values())


def indicators(run: Run, at: datetime) -> dict[str, Indicators]:
    """The rows of the table of levels that are valid at an instant, by the code of the station."""
    if LEVELS not in run.catalogue.layers:
        return {}
    layer = run.catalogue.layer(LEVELS)
    names = ["station_code", "datum_name", "datum_height_m", "document", "example", "valid_from", *_LEVELS, *_FLOWS]
    found = {}
    for _, code, datum, height, document, example, since, *values, _geom in rows_of(run, layer, names, at):
        found[code] = Indicators(
            dict(zip((*_LEVELS, *_FLOWS), values, strict=True)), Above(datum, height), LEVELS, document, since,
            bool(example),
        )  # fmt: skip
    return found


def of_station(station: Station, table: Mapping[str, Indicators]) -> Indicators:
    """What holds for a station: its row of the table, else its own fields. A row without a datum is above the
    station's own, as levels are after SL 323."""
    own = Above(*(station.fields[n] for n in ("datum_name", "datum_height_m", "datum_correction_m")))
    row = table.get(station.code)
    if row is not None:
        if row.above.name is not None and not row.above.same_as(own):
            return row
        above = Above(
            own.name if row.above.name is None else row.above.name,
            own.height_m if row.above.height_m is None else row.above.height_m, own.correction_m,
        )  # fmt: skip
        return Indicators(row.values, above, row.origin, row.document, row.since, row.example)
    values = {n: station.fields.get(f) for n, f in _FIELD_OF.items()}
    return Indicators(values, own, "facility.river_gauge")


def in_datum(found: Indicators, wanted: Above) -> tuple[dict[str, float | None], Unknown | None]:
    """The indicators with levels above another datum, and why levels cannot be compared where they cannot."""
    values, unknown = dict(found.values), None
    for name in _LEVELS:
        level = values.get(name)
        if level is None:
            continue
        there = moved(level, found.above, wanted)
        if isinstance(there, Unknown):
            values[name], unknown = None, there
        else:
            values[name] = there
    return values, unknown

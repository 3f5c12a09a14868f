# SPDX-License-Identifier: Apache-2.0
"""What the gauges say (水情状态): each station's level against the indicators in force, as a signal with its rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.water.common import DATETIME, RIVER, Station, at_of, beijing, named, stations, text_of
from geocloud.sectors.water.datum import Above, Unknown, height_1985
from geocloud.sectors.water.levels import OWN, Indicators, in_datum, indicators, of_station
from geocloud.sectors.water.rules import SignalEdition, day_of, in_force, signal_rules
from geocloud.sectors.water.signals import RANKS, Found, flood_signal, low_signal
from geocloud.sensing.values import Measured, Read, newest_at

__all__ = ["COLUMNS", "PROCESS", "water_status"]

BACK_DAYS = 30
"""Readings older than this are not looked for."""
COLUMNS = (
    "code", "name", "river", "verdict", "signal", "low_signal", "level_m", "level_at", "age_s", "stale", "rise_m",
    "flow_m3s", "flow_at", "indicator", "limit", "over", "datum", "height_1985_m", "levels_from", "document", "why",
)  # fmt: skip
_RISE_H = 3
_STALE = Text(zh="读数已过时,仅供参考", en="The reading is stale: the signal is of an earlier moment")
_DOUBTFUL = Text(zh="读数可疑(超出合理范围等)", en="Something speaks against the reading")
_NOTHING = Text(zh="没有读数", en="There is no reading")
_UNIT = Text(zh="读数单位不能换算为米或立方米每秒", en="The unit of the readings cannot be converted")
_BARE = Text(zh="没有可用的警戒、保证等指标", en="The station has no indicator that could be compared")
_OWN_DATUM = Text(zh="数据流未注明基面,按测站基面", en="The datastream tells no datum: that of the station is taken")


def water_status(run: Run, at: datetime, codes: Sequence[str] = (), river: str | None = None) -> dict[str, Any]:
    """Signals of the river gauges at an instant: `stations` in the order of gravity, `totals`, and the rules used.

    Levels are compared in the station's datum alone, or through 1985 where both offsets are known; else the verdict is
    `cannot-compare`. Verdicts: `judged`; `stale`, `doubtful`, whose signal is that of the reading and is not counted
    among the signals; `no-reading`; `no-levels`; `cannot-compare`. `signal_counted` is `not-judged` for all of these.
    """
    layer = run.catalogue.layer(RIVER)
    edition = in_force(signal_rules(), day_of(at))
    known = named(stations(run, RIVER, OWN, at), codes)
    wanted = [s for s in known if river is None or s.fields["river"] == river]
    table = indicators(run, at)
    back = timedelta(days=BACK_DAYS)
    levels = newest_at(run, RIVER, "water_level", "m", at, back)
    flows = newest_at(run, RIVER, "discharge", "m3/s", at, back)
    before = newest_at(run, RIVER, "water_level", "m", at - timedelta(hours=_RISE_H), back)
    rows = [_row(run, s, of_station(s, table), edition, at, levels, flows, before) for s in wanted]
    rows.sort(key=lambda r: (-max(RANKS[r["signal"] or "none"], RANKS[r["low_signal"] or "none"]), r["code"]))
    synthetic = layer.synthetic or any(m.source.synthetic for m in (*levels, *flows))
    return {
        "at": beijing(at),
        "rules": None if edition is None else _rules(edition),
        "totals": _totals(rows),
        "synthetic": synthetic,
        "example": any(r["example"] for r in rows),
        "stations": rows,
    }


def _rules(edition: SignalEdition) -> dict[str, Any]:
    return {
        **edition.model_dump(mode="json", include={"name", "valid_from", "valid_to", "certain", "source"}),
        "near": edition.near.model_dump(),
    }


def _of(found: Sequence[Measured], station: Station) -> Measured | None:
    return next((m for m in found if m.source.of(station.code, station.fid)), None)


def _row(
    run: Run, station: Station, own: Indicators, edition: SignalEdition | None, at: datetime,
    levels: Sequence[Measured], flows: Sequence[Measured], before: Sequence[Measured],
) -> dict[str, Any]:  # fmt: skip
    level, flow, earlier = (_of(x, station) for x in (levels, flows, before))
    z = level.reads[-1] if level and level.reads else None
    q = flow.reads[-1] if flow and flow.reads else None
    station_datum = Above(*(station.fields[n] for n in ("datum_name", "datum_height_m", "datum_correction_m")))
    told = None if level is None else level.source.datum
    above = station_datum if told is None or Above(told).same_as(station_datum) else Above(told)
    limits, apart = in_datum(own, above)
    flood, low = Found(None), Found(None)
    if edition is not None:
        level_m, flow_m3s = (None if x is None else x.value for x in (z, q))
        flood, low = flood_signal(edition, level_m, flow_m3s, limits), low_signal(edition, level_m, limits)
    height = None if z is None else height_1985(z.value, above)
    whys = []
    if z is not None and told is None and station_datum.name is not None:
        whys.append(_OWN_DATUM)
    verdict = _verdict(level, flow, flood, low, apart, at, whys)
    shown = flood if flood.signal not in (None, "none") or low.signal in (None, "none") else low
    judged = shown.why is not None
    value = q if shown.indicator and "flow" in shown.indicator else z
    rise = _rise(z, earlier, at)
    return {
        "code": station.code, "name": station.name, "river": station.fields["river"],
        "position": station.place,
        "verdict": verdict, "signal_counted": flood.signal if verdict == "judged" and flood.signal else "not-judged",
        "signal": flood.signal, "low_signal": low.signal,
        "level_m": z and round(z.value, 3), "level_at": z and beijing(z.at),
        "age_s": z and round((at - z.at).total_seconds()), "stale": _stale(level, at),
        "rise_m": rise, "rise_hours": None if rise is None else _RISE_H,
        "flow_m3s": q and round(q.value, 3), "flow_at": q and beijing(q.at),
        "indicator": shown.indicator, "limit": shown.limit,
        "over": round(value.value - shown.limit, 3) if value is not None and shown.limit is not None else None,
        "rule": text_of(run, shown.why) if judged and shown.why is not None else None,
        "lacking": sorted({*flood.lacking, *low.lacking}),
        "datum": above.name, "height_1985_m": None if isinstance(height, Unknown) else height,
        "height_unknown": text_of(run, height.why) if isinstance(height, Unknown) else None,
        "levels_from": own.origin, "document": own.document, "levels_since": beijing(own.since), "example": own.example,
        "why": ";".join(text_of(run, w) for w in whys) or None,
    }  # fmt: skip


def _stale(found: Measured | None, at: datetime) -> bool | None:
    """Whether twice the expected interval has passed; None where no interval is known."""
    if found is None or not found.reads or found.source.interval_s is None:
        return None
    return (at - found.reads[-1].at).total_seconds() > 2 * found.source.interval_s


def _verdict(
    level: Measured | None, flow: Measured | None, flood: Found, low: Found, apart: Unknown | None, at: datetime,
    whys: list[Text],
) -> str:  # fmt: skip
    have = [m for m in (level, flow) if m is not None and m.reads]
    if not have:
        whys.append(_UNIT if any(m is not None and m.wrong_unit for m in (level, flow)) else _NOTHING)
        return "no-reading"
    if apart is not None:
        whys.append(apart.why)
        if flood.signal in (None, "none"):
            return "cannot-compare"
    if flood.signal is None and low.signal is None:
        whys.append(_BARE)
        return "no-levels"
    if any(m.reads[-1].doubtful for m in have):
        whys.append(_DOUBTFUL)
        return "doubtful"
    if any(_stale(m, at) for m in have):
        whys.append(_STALE)
        return "stale"
    return "judged"


def _rise(now: Read | None, earlier: Measured | None, at: datetime) -> float | None:
    """How much the level rose in the last hours; None where nothing was read about then."""
    if now is None or earlier is None or not earlier.reads:
        return None
    then = earlier.reads[-1]
    wait = timedelta(seconds=earlier.source.interval_s or 3600)
    if at - timedelta(hours=_RISE_H) - then.at >= wait or at - now.at >= wait or now.at <= then.at:
        return None
    return round(now.value - then.value, 3)


def _totals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stations by verdict, and those judged by their signals."""
    judged = [r for r in rows if r["verdict"] == "judged"]
    return {
        "stations": len(rows),
        "verdicts": dict(Counter(r["verdict"] for r in rows)),
        "flood": {s: sum(r["signal"] == s for r in judged) for s in RANKS},
        "low": {s: sum(r["low_signal"] == s for r in judged) for s in RANKS},
    }


def _features(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "synthetic": document["synthetic"],
        "features": [
            {
                "type": "Feature",
                "id": r["code"],
                "geometry": r["position"] and {"type": "Point", "coordinates": list(r["position"])},
                "properties": {k: v for k, v in r.items() if k != "position"},
            }
            for r in document["stations"]
        ],
    }


def _csv(document: dict[str, Any]) -> bytes:
    return csv_table(COLUMNS, document["stations"])


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    found = water_status(run, at_of(inputs.get("datetime")), inputs.get("stations", ()), inputs.get("river"))
    out: dict[str, Any] = {"status": found}
    if "features" in wanted:
        out["features"] = _features(found)
    if "csv" in wanted:
        out["csv"] = Blob(_csv(found), "text/csv; charset=utf-8", "water-status.csv")
    return out


PROCESS = Process(
    id="water-status",
    version="1.0.0",
    title=Text(zh="水情状态与预警信号", en="State of the gauges"),
    description=Text(
        zh="各河道站某时刻的水位、流量与当时有效的警戒、保证、历史最高、旱警等指标比较,给出洪水与枯水信号、依据与基面;"
        "基面不明的不比较,过时的读数注明。",
        en="Levels and discharges of the river gauges at an instant against the indicators then in force: signals "
        "of flood and low water with rule and datum; not compared where a datum is not known, stale readings are told.",
    ),
    inputs=(
        DATETIME,
        Input("stations", Text(zh="测站编码", en="Codes of stations"),
              {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 1_000, "default": []},
              Text(zh="不填为全部", en="All if unset")),
        Input("river", Text(zh="河名", en="River"), {"type": "string", "maxLength": 60}),
    ),
    outputs=(
        Output("status", Text(zh="水情表", en="Table")),
        Output("features", Text(zh="测站(GeoJSON)", en="Stations as GeoJSON")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
    ),
    run=_run,
    keywords=("水利", "水位", "预警"),
)  # fmt: skip

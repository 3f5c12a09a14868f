# SPDX-License-Identifier: Apache-2.0
"""The panel of water in the web map: signals of gauges, sums of rain, traces along rivers and flooded ground."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.panel import Ask, Column, Function, Panel

__all__ = ["PANEL"]

_GAUGES, _REACHES, _RAIN = "facility.river_gauge", "water.river_reach", "facility.rain_gauge"
# In the storm that the demo city has readings of.
_STORM = "2024-07-27T20:00:00+08:00"
_SIGNALS = {
    "blue": Text(zh="蓝色", en="Blue"), "yellow": Text(zh="黄色", en="Yellow"), "orange": Text(zh="橙色", en="Orange"),
    "red": Text(zh="红色", en="Red"),
}  # fmt: skip
_STATUS = Function(
    "water-status",
    asks=(Ask("datetime", pick="instant"), Ask("river"), Ask("stations", layer=_GAUGES, field="code")),
    layers=(_GAUGES, _REACHES),
    rows="features",
    columns=(
        Column("name", Text(zh="测站", en="Station")),
        Column("signal_counted", Text(zh="洪水信号", en="Flood signal"),
               words={**_SIGNALS, "none": Text(zh="无信号", en="None"),
                      "not-judged": Text(zh="未判定", en="Not judged")},
               tones={"blue": "note", "yellow": "warning", "orange": "warning", "red": "danger", "none": "good",
                      "not-judged": "unknown"}),
        Column("low_signal", Text(zh="枯水信号", en="Low water"), words=_SIGNALS,
               tones={"blue": "note", "yellow": "warning", "orange": "warning", "red": "danger"}),
        Column("level_m", Text(zh="水位", en="Level"), "number", "m"),
        Column("rule", Text(zh="依据", en="Rule")),
        Column("verdict", Text(zh="判定", en="Verdict"),
               words={"judged": Text(zh="已判定", en="Judged"), "stale": Text(zh="读数过时", en="Out of date"),
                      "doubtful": Text(zh="读数可疑", en="Doubtful"),
                      "no-reading": Text(zh="没有读数", en="No reading"),
                      "no-levels": Text(zh="没有指标", en="No indicators"),
                      "cannot-compare": Text(zh="基面不明", en="Datum not known")},
               tones={"judged": "good", "stale": "warning", "doubtful": "warning", "no-reading": "unknown",
                      "no-levels": "unknown", "cannot-compare": "unknown"}),
        Column("why", Text(zh="未判定原因", en="Why not judged")),
        Column("datum", Text(zh="基面", en="Datum")),
        Column("level_at", Text(zh="读数时间", en="Read"), "time"),
    ),
    figures=(
        Column("status/totals/stations", Text(zh="测站", en="Stations"), "count"),
        Column("status/totals/flood/red", Text(zh="红色", en="Red"), "count"),
        Column("status/totals/flood/orange", Text(zh="橙色", en="Orange"), "count"),
        Column("status/totals/flood/yellow", Text(zh="黄色", en="Yellow"), "count"),
        Column("status/at", Text(zh="时刻", en="As of"), "time"),
    ),
    verdict="verdict",
    tone="signal_counted",
    label="level_m",
    example={"datetime": _STORM},
)  # fmt: skip
_SUM = Function(
    "rain-sum",
    asks=(Ask("datetime", pick="instant"), Ask("hours"), Ask("districts"), Ask("stations", layer=_RAIN, field="code")),
    layers=(_RAIN,),
    rows="table/gauges",
    columns=(
        Column("name", Text(zh="雨量站", en="Gauge")),
        Column("mm", Text(zh="雨量", en="Rain"), "number", "mm"),
        Column("grade_title", Text(zh="等级", en="Grade")),
        Column("state", Text(zh="资料", en="Data"),
               words={"complete": Text(zh="完整", en="Complete"), "incomplete": Text(zh="有缺测", en="With gaps"),
                      "unknown": Text(zh="间隔不明", en="Interval not known"),
                      "no-reading": Text(zh="没有读数", en="No reading")},
               tones={"complete": "good", "incomplete": "warning", "unknown": "unknown", "no-reading": "unknown"}),
        Column("covered", Text(zh="有资料的时间", en="Time covered"), "share"),
        Column("code", Text(zh="编码", en="Code"), "code"),
    ),
    figures=(
        Column("table/totals/greatest_mm", Text(zh="最大雨量", en="Most"), "number", "mm"),
        Column("table/totals/mean_of_complete_mm", Text(zh="完整站平均", en="Mean of complete"), "number", "mm"),
        Column("table/totals/gauges", Text(zh="雨量站", en="Gauges"), "count"),
        Column("table/from", Text(zh="自", en="From"), "time"),
        Column("table/to", Text(zh="至", en="To"), "time"),
        Column("table/interpolation/why_none", Text(zh="未插值", en="Not interpolated")),
    ),
    draws=("isohyets",),
    verdict="state",
    label="mm",
)  # fmt: skip
_TRACE = Function(
    "water-trace",
    asks=(
        Ask("direction", words={"upstream": Text(zh="上游", en="Upstream"),
                                "downstream": Text(zh="下游", en="Downstream"),
                                "between": Text(zh="两点之间", en="Between two")}),
        Ask("point", pick="point"), Ask("station", layer=_GAUGES, field="code"),
        Ask("reach", layer=_REACHES, field="code"), Ask("point_2", pick="point"), Ask("max_km"),
    ),
    layers=(_REACHES, _GAUGES, "water.sluice", "water.pump_station"),
    rows="trace/points",
    columns=(
        Column("name", Text(zh="测站、闸、泵", en="Gauge or work")),
        Column("distance_m", Text(zh="沿河距离", en="Along the river"), "metres"),
        Column("river", Text(zh="河名", en="River")),
        Column("code", Text(zh="编码", en="Code"), "code"),
    ),
    figures=(
        Column("trace/totals/length_m", Text(zh="河长", en="Length"), "metres"),
        Column("trace/totals/farthest_m", Text(zh="最远", en="Farthest"), "metres"),
        Column("trace/totals/parts", Text(zh="河段", en="Reaches"), "count"),
        Column("trace/start/river", Text(zh="起点河流", en="Starts on")),
        Column("trace/start/off_m", Text(zh="起点离河", en="Start off the river"), "metres"),
        Column("trace/connected", Text(zh="连通", en="Connected"), "yes_no"),
        Column("trace/network/problems", Text(zh="河网问题", en="Problems of the network"), "count"),
    ),
    draws=("features",),
    example={"direction": "downstream", "point": {"type": "Point", "coordinates": [115.9669, 36.45]}},
)  # fmt: skip
_FLOOD = Function(
    "inundate",
    asks=(Ask("raster"), Ask("level_m"), Ask("datum"), Ask("point", pick="point"),
          Ask("station", layer=_GAUGES, field="code"), Ask("datetime", pick="instant"), Ask("radius_m")),
    layers=(_GAUGES, _REACHES),
    rows="extent",
    columns=(
        Column("from_m", Text(zh="水深自", en="Depth from"), "number", "m"),
        Column("to_m", Text(zh="水深至", en="to"), "number", "m"),
        Column("area_m2", Text(zh="面积", en="Area"), "area_m2"),
    ),
    figures=(
        Column("flood/verdict", Text(zh="结论", en="Verdict"), words={"flooded": Text(zh="有淹没", en="Flooded"),
               "dry": Text(zh="未淹没", en="Dry")}, tones={"flooded": "danger", "dry": "good"}),
        Column("flood/area_m2", Text(zh="淹没面积", en="Area"), "area_m2"),
        Column("flood/depth_max_m", Text(zh="最大水深", en="Greatest depth"), "number", "m"),
        Column("flood/depth_mean_m", Text(zh="平均水深", en="Mean depth"), "number", "m"),
        Column("exposed/population/persons", Text(zh="受影响人口", en="Persons"), "count"),
        Column("exposed/buildings/count", Text(zh="建筑物", en="Buildings"), "count"),
        Column("exposed/roads/length_m", Text(zh="道路", en="Roads"), "metres"),
        Column("flood/level/datum", Text(zh="水位基面", en="Datum")),
        Column("flood/limits/cut_by_radius", Text(zh="被半径截断", en="Cut by the radius"), "yes_no"),
    ),
    example={"raster": "demo_dem", "station": "99900005", "datetime": _STORM, "radius_m": 8_000},
)  # fmt: skip

PANEL = Panel(Text(zh="智慧水利", en="Water"), (_STATUS, _SUM, _TRACE, _FLOOD))

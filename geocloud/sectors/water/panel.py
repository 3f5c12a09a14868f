# SPDX-License-Identifier: Apache-2.0
"""The panel of water in the web map: signals, traces, rain and flooded ground."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.panel import Ask, Column, Function, Panel, Tone
from geocloud.sectors.water.common import PUMPS, REACHES, RIVER, SLUICES

__all__ = ["PANEL"]

_STORM = "2024-07-27T20:00:00+08:00"
_SIGNALS = {
    "red": Text(zh="红色", en="Red"), "orange": Text(zh="橙色", en="Orange"), "yellow": Text(zh="黄色", en="Yellow"),
    "blue": Text(zh="蓝色", en="Blue"), "none": Text(zh="无信号", en="None"),
}  # fmt: skip
_TONES: dict[str, Tone] = {"red": "danger", "orange": "danger", "yellow": "warning", "blue": "note", "none": "good"}
_STATUS = Function(
    "water-status",
    asks=(Ask("datetime"), Ask("river"), Ask("stations", layer=RIVER, field="code")),
    layers=(RIVER, REACHES),
    rows="features",
    columns=(
        Column("name", Text(zh="测站", en="Station")),
        Column("signal_counted", Text(zh="洪水信号", en="Flood signal"),
               words=_SIGNALS | {"not-judged": Text(zh="未判定", en="Not judged")},
               tones=_TONES | {"not-judged": "unknown"}),
        Column("verdict", Text(zh="判定", en="Verdict"), words={
            "judged": Text(zh="已判定", en="Judged"), "stale": Text(zh="读数过时", en="Stale"),
            "doubtful": Text(zh="读数可疑", en="Doubtful"), "no-reading": Text(zh="无读数", en="No reading"),
            "no-levels": Text(zh="无指标", en="No levels"), "cannot-compare": Text(zh="不能比较", en="Cannot compare"),
        }, tones={"judged": "good", "stale": "warning", "doubtful": "warning", "no-reading": "unknown",
                  "no-levels": "unknown", "cannot-compare": "unknown"}),
        Column("low_signal", Text(zh="枯水信号", en="Low water"), words=_SIGNALS, tones=_TONES),
        Column("level_m", Text(zh="水位", en="Level"), "number", "m"),
        Column("over", Text(zh="超出界限", en="Above the limit"), "number"),
        Column("rise_m", Text(zh="3 小时涨落", en="Rise in 3 h"), "number", "m"),
        Column("datum", Text(zh="基面", en="Datum")),
        Column("level_at", Text(zh="读数时刻", en="Read at"), "time"),
        Column("why", Text(zh="说明", en="Why")),
    ),
    figures=(
        Column("status/totals/stations", Text(zh="测站", en="Stations"), "count"),
        Column("status/totals/verdicts/judged", Text(zh="已判定", en="Judged"), "count"),
        Column("status/at", Text(zh="时刻", en="As of"), "time"),
        Column("status/rules/name/{lang}", Text(zh="规则", en="Rules")),
    ),
    verdict="signal_counted",
    example={"datetime": _STORM},
)  # fmt: skip
_TRACE = Function(
    "water-trace",
    asks=(Ask("point", pick="point"), Ask("direction"), Ask("station", layer=RIVER, field="code")),
    layers=(REACHES, RIVER, SLUICES, PUMPS),
    rows="trace/points",
    columns=(
        Column("name", Text(zh="测站、工程", en="Station or work")),
        Column("river", Text(zh="河名", en="River")),
        Column("distance_m", Text(zh="沿河距离", en="Along the river"), "metres"),
        Column("off_m", Text(zh="离河", en="Off the river"), "metres"),
    ),
    figures=(
        Column("trace/totals/length_m", Text(zh="河段合计", en="Length"), "metres"),
        Column("trace/totals/farthest_m", Text(zh="最远", en="Farthest"), "metres"),
        Column("trace/connected", Text(zh="连通", en="Connected"), "yes_no"),
        Column("trace/network/problems", Text(zh="河网问题", en="Problems of the network"), "count"),
    ),
    draws=("features",),
    example={"direction": "upstream", "station": "99900004"},
)  # fmt: skip
_RAIN = Function(
    "rain-sum",
    asks=(Ask("hours"), Ask("datetime"), Ask("districts"), Ask("levels_mm")),
    rows="table/gauges",
    columns=(
        Column("name", Text(zh="雨量站", en="Gauge")),
        Column("mm", Text(zh="雨量", en="Rain"), "number", "mm"),
        Column("grade_title", Text(zh="等级", en="Grade")),
        Column("state", Text(zh="完整性", en="Completeness"), words={
            "complete": Text(zh="完整", en="Complete"), "incomplete": Text(zh="缺测,为下限", en="Incomplete: a least"),
            "unknown": Text(zh="时段不明", en="Interval unknown"), "no-reading": Text(zh="无读数", en="No reading"),
        }, tones={"complete": "good", "incomplete": "warning", "unknown": "unknown", "no-reading": "unknown"}),
        Column("covered", Text(zh="到报率", en="Covered"), "share"),
    ),
    figures=(
        Column("table/totals/gauges", Text(zh="雨量站", en="Gauges"), "count"),
        Column("table/totals/greatest_mm", Text(zh="最大雨量", en="Most"), "number", "mm"),
        Column("table/totals/mean_of_complete_mm", Text(zh="完整站平均", en="Mean of complete"), "number", "mm"),
        Column("table/to", Text(zh="截至", en="Up to"), "time"),
    ),
    draws=("isohyets",),
    verdict="state",
    example={"hours": 24, "datetime": _STORM},
)  # fmt: skip
_FLOOD = Function(
    "inundate",
    asks=(Ask("raster"), Ask("point", pick="point"), Ask("level_m"), Ask("datum"), Ask("radius_m"),
          Ask("station", layer=RIVER, field="code")),
    layers=(RIVER, REACHES),
    rows="flood/depth_classes",
    columns=(
        Column("from_m", Text(zh="水深自", en="Depth from"), "number", "m"),
        Column("to_m", Text(zh="至", en="to"), "number", "m"),
        Column("area_m2", Text(zh="面积", en="Area"), "area_m2"),
    ),
    figures=(
        Column("flood/area_m2", Text(zh="淹没面积", en="Flooded"), "area_m2"),
        Column("flood/depth_max_m", Text(zh="最大水深", en="Deepest"), "number", "m"),
        Column("exposed/population/persons", Text(zh="人口", en="Persons"), "count"),
        Column("exposed/buildings/count", Text(zh="建筑", en="Buildings"), "count"),
        Column("exposed/facilities/facility.school/count", Text(zh="学校", en="Schools"), "count"),
        Column("exposed/facilities/facility.hospital/count", Text(zh="医疗机构", en="Hospitals"), "count"),
        Column("exposed/roads/length_m", Text(zh="道路", en="Roads"), "metres"),
        Column("flood/raster/coarse", Text(zh="栅格偏粗", en="Coarse heights"), "yes_no"),
        Column("flood/limits/cut_by_radius", Text(zh="被半径截断", en="Cut by the radius"), "yes_no"),
    ),
    draws=("extent",),
    example={"raster": "demo_dem", "station": "99900005", "datetime": _STORM, "radius_m": 8_000},
)  # fmt: skip

PANEL = Panel(Text(zh="智慧水利", en="Water"), (_STATUS, _TRACE, _RAIN, _FLOOD))

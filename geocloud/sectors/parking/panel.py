# SPDX-License-Identifier: Apache-2.0
"""The panel of parking in the web map: what is free nearby, supply and demand, boards, past and forecast of a lot."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.panel import Ask, Chart, Column, Function, Panel

__all__ = ["PANEL"]

_SPACES = Text(zh="个", en="spaces")
_LOTS, _BOARDS = "facility.parking_lot", "parking.guidance_board"
_NEAR = Function(
    "parking-near",
    asks=(Ask("point", pick="point"), Ask("walk_m"), Ask("min_free"), Ask("charging"), Ask("accessible"),
          Ask("height_m"), Ask("max_price"), Ask("datetime", pick="instant")),
    layers=(_LOTS,),
    rows="lots",
    columns=(
        Column("name", Text(zh="停车场", en="Car park")),
        Column("free", Text(zh="空余泊位", en="Free"), "count"),
        Column("live", Text(zh="读数", en="Reading"),
               words={"current": Text(zh="实时", en="Current"), "stale": Text(zh="已过时", en="Out of date"),
                      "doubtful": Text(zh="可疑", en="Doubtful"), "unknown": Text(zh="没有读数", en="No reading")},
               tones={"current": "good", "stale": "warning", "doubtful": "warning", "unknown": "unknown"}),
        Column("walk_m", Text(zh="步行", en="Walk"), "metres"),
        Column("price_yuan", Text(zh="首小时(元)", en="First hour, yuan"), "number"),
        Column("read_at", Text(zh="读数时间", en="Read"), "time"),
        Column("spaces", Text(zh="总泊位", en="Spaces"), "count"),
        Column("open", Text(zh="开放", en="Open"), "yes_no"),
        Column("height_limit_m", Text(zh="限高", en="Height limit"), "number", "m"),
    ),
    figures=(
        Column("lots/numberMatched", Text(zh="符合条件", en="That fit"), "count"),
        Column("lots/left_out/too_far", Text(zh="步行太远", en="Too far to walk"), "count"),
        Column("lots/at", Text(zh="时刻", en="As of"), "time"),
    ),
    verdict="live",
    label="free",
    example={"point": {"type": "Point", "coordinates": [115.985, 36.452]}, "walk_m": 3_000},
)  # fmt: skip
_GAP = Function(
    "parking-gap",
    asks=(Ask("by"),),
    layers=(_LOTS,),
    rows="areas",
    columns=(
        Column("name", Text(zh="分区", en="Area")),
        Column("verdict", Text(zh="供需", en="Verdict"),
               words={"short": Text(zh="不足", en="Short"), "enough": Text(zh="够用", en="Enough"),
                      "not-judged": Text(zh="未判定", en="Not judged")},
               tones={"short": "danger", "enough": "good", "not-judged": "unknown"}),
        Column("balance", Text(zh="余缺", en="Balance"), "number"),
        Column("spaces", Text(zh="泊位", en="Spaces"), "count"),
        Column("demand", Text(zh="需求", en="Demand"), "number"),
        Column("code", Text(zh="编码", en="Code"), "code"),
    ),
    figures=(
        Column("table/totals/spaces", Text(zh="泊位", en="Spaces"), "count"),
        Column("table/totals/demand", Text(zh="需求", en="Demand"), "count"),
        Column("table/table/dated", Text(zh="比率表日期", en="Rates of"), "time"),
        Column("table/table/source", Text(zh="比率来源", en="Rates from")),
    ),
    verdict="verdict",
)  # fmt: skip
_GUIDANCE = Function(
    "parking-guidance",
    asks=(
        Ask("level", codes="guidance_level"),
        Ask("board", layer=_BOARDS, field="code"),
        Ask("datetime", pick="instant"),
    ),
    layers=(_BOARDS,),
    rows="feed/boards",
    columns=(
        Column("name", Text(zh="诱导屏", en="Board")),
        Column("text", Text(zh="显示文本", en="What it shows")),
        Column("level", Text(zh="级别", en="Level"), codes="guidance_level"),
        Column("code", Text(zh="编码", en="Code"), "code"),
    ),
    figures=(
        Column("feed/numberReturned", Text(zh="诱导屏", en="Boards"), "count"),
        Column("feed/at", Text(zh="时刻", en="As of"), "time"),
        Column("feed/table/source", Text(zh="分级来源", en="Levels from")),
    ),
    verdict="level",
)
_FORECAST = Function(
    "parking-forecast",
    asks=(Ask("lot", layer=_LOTS, field="code"), Ask("hours")),
    layers=(_LOTS,),
    rows="forecast/rows",
    columns=(
        Column("start", Text(zh="时刻", en="Time"), "time"),
        Column("free", Text(zh="预计空余", en="Free, expected"), "number", _SPACES),
        Column("mae", Text(zh="回测平均误差", en="Mean error in trials"), "number", _SPACES),
    ),
    figures=(
        Column("forecast/name", Text(zh="停车场", en="Car park")),
        Column("forecast/spaces", Text(zh="总泊位", en="Spaces"), "count"),
        Column("forecast/newest_step", Text(zh="最近读数", en="Newest reading"), "time"),
        Column("forecast/mae", Text(zh="回测平均误差", en="Mean error in trials"), "number", _SPACES),
        Column("forecast/mae_yesterday", Text(zh="取前一日的误差", en="Error of yesterday's number"), "number",
               _SPACES),
        Column(
            "forecast/method", Text(zh="所用方法", en="Method"),
            words={"week": Text(zh="前几周同一时刻", en="Same time of week"),
                   "yesterday": Text(zh="前一日同一时刻", en="Yesterday's number"),
                   "none": Text(zh="未作预测", en="No forecast")},
            tones={"week": "good", "yesterday": "warning", "none": "unknown"},
        ),
        Column("forecast/why", Text(zh="原因", en="Why this way")),
    ),
    chart=Chart(
        Text(zh="预计空余泊位", en="Free spaces, expected"), "start", "free", "low", "high", _SPACES,
        Text(zh="色带为回测平均误差", en="the band is the mean error in trials"),
    ),
)  # fmt: skip
_BUCKETS = {
    "10m": Text(zh="10 分钟", en="10 minutes"),
    "1h": Text(zh="1 小时", en="1 hour"),
    "3h": Text(zh="3 小时", en="3 hours"),
    "6h": Text(zh="6 小时", en="6 hours"),
    "1d": Text(zh="1 天", en="1 day"),
}
_HISTORY = Function(
    "parking-history",
    asks=(Ask("lot", layer=_LOTS, field="code"), Ask("datetime", pick="period"), Ask("bucket", words=_BUCKETS)),
    layers=(_LOTS,),
    rows="history/rows",
    columns=(
        Column("start", Text(zh="时段", en="From"), "time"),
        Column("free", Text(zh="平均空余", en="Free, mean"), "number", _SPACES,
               none=Text(zh="无读数", en="No reading")),
        Column("occupancy", Text(zh="占用率", en="Taken"), "share"),
        Column("least", Text(zh="最少", en="Least"), "count"),
        Column("most", Text(zh="最多", en="Most"), "count"),
    ),
    figures=(
        Column("history/name", Text(zh="停车场", en="Car park")),
        Column("history/spaces", Text(zh="总泊位", en="Spaces"), "count"),
        Column("history/from", Text(zh="自", en="From"), "time"),
        Column("history/to", Text(zh="至", en="To"), "time"),
    ),
    chart=Chart(
        Text(zh="空余泊位", en="Free spaces"), "start", "free", "least", "most", _SPACES,
        Text(zh="色带为每段的最少到最多", en="the band is from least to most"),
    ),
)  # fmt: skip

PANEL = Panel(Text(zh="智慧停车", en="Parking"), (_NEAR, _GAP, _GUIDANCE, _FORECAST, _HISTORY))

# SPDX-License-Identifier: Apache-2.0
"""The panel of emergency in the web map: rings, dispatch, shelters and the situation report."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.emergency.common import HAZARDS, INCIDENTS, SHELTERS, STORES, TEAMS
from geocloud.sectors.panel import Ask, Column, Function, Panel

__all__ = ["PANEL"]

_POINT = {"type": "Point", "coordinates": [115.98, 36.45]}
_UNKNOWN = Text(zh="未判定", en="Not judged")
_CIRCLE = Function(
    "incident-circle",
    asks=(Ask("point", pick="point"), Ask("area", pick="area"), Ask("radii_m")),
    layers=(HAZARDS, SHELTERS),
    rows="circle/layers",
    columns=(
        Column("title/{lang}", Text(zh="类别", en="Layer")),
        Column("verdict", Text(zh="结论", en="Verdict"), words={"judged": Text(zh="已统计", en="Counted"),
               "not-judged": _UNKNOWN}, tones={"judged": "good", "not-judged": "unknown"}),
        Column("within/0", Text(zh="第一圈", en="First ring"), "count"),
        Column("within/1", Text(zh="前两圈", en="First two"), "count"),
        Column("within/2", Text(zh="前三圈", en="First three"), "count"),
        Column("why", Text(zh="未判定原因", en="Why not judged")),
    ),
    figures=(
        Column("circle/rings/0/persons_within", Text(zh="第一圈人口", en="Persons in the first ring"), "count"),
        Column("circle/rings/1/persons_within", Text(zh="前两圈人口", en="Persons in the first two"), "count"),
        Column("circle/rings/2/persons_within", Text(zh="前三圈人口", en="Persons in the first three"), "count"),
        Column("circle/at", Text(zh="数据时刻", en="As of"), "time"),
    ),
    draws=("zones",),
    verdict="verdict",
    example={"point": _POINT, "radii_m": [500, 1_000, 3_000]},
)  # fmt: skip
_DISPATCH = Function(
    "resource-dispatch",
    asks=(Ask("point", pick="point"), Ask("needs"), Ask("teams"), Ask("team_kinds", codes="team_kind"),
          Ask("closures", pick="area")),
    layers=(TEAMS, STORES),
    rows="routes",
    columns=(
        Column("name", Text(zh="队伍、物资库", en="Team or store")),
        Column("seconds", Text(zh="车程", en="Drive"), "seconds"),
        Column("road_m", Text(zh="路程", en="Along roads"), "metres"),
    ),
    figures=(
        Column("plan/verdict", Text(zh="结论", en="Verdict"),
               words={"met": Text(zh="满足", en="Met"), "short": Text(zh="不足", en="Short"), "not-judged": _UNKNOWN},
               tones={"met": "good", "short": "danger", "not-judged": "unknown"}),
        Column("plan/at", Text(zh="数据时刻", en="As of"), "time"),
    ),
    example={"point": _POINT, "needs": [{"item": "tent", "quantity": 50}], "teams": 3},
)  # fmt: skip
_ALLOCATE = Function(
    "shelter-allocate",
    asks=(Ask("area", pick="area"), Ask("max_distance_m"),
          Ask("by", words={"road": Text(zh="步行时间", en="Time on foot"),
                           "straight": Text(zh="直线距离", en="Straight line")}),
          Ask("closures", pick="area")),
    layers=(SHELTERS,),
    rows="lines",
    columns=(
        Column("from", Text(zh="自", en="From")),
        Column("shelter_name", Text(zh="避难场所", en="Shelter")),
        Column("persons", Text(zh="人数", en="Persons"), "count"),
        Column("walk_s", Text(zh="步行", en="On foot"), "seconds"),
        Column("straight_m", Text(zh="直线距离", en="Straight"), "metres"),
    ),
    figures=(
        Column("plan/verdict", Text(zh="结论", en="Verdict"),
               words={"placed": Text(zh="全部安置", en="All placed"),
                      "left-over": Text(zh="未全部安置", en="Some left over"), "not-judged": _UNKNOWN},
               tones={"placed": "good", "left-over": "danger", "not-judged": "unknown"}),
        Column("plan/persons", Text(zh="需疏散", en="To be moved"), "count", Text(zh="人", en="persons")),
        Column("plan/placed", Text(zh="已安置", en="Placed"), "count", Text(zh="人", en="persons")),
        Column("plan/left_over", Text(zh="未安置", en="Left over"), "count", Text(zh="人", en="persons")),
        Column("plan/at", Text(zh="数据时刻", en="As of"), "time"),
    ),
    example={
        "area": {"type": "Polygon", "coordinates": [
            [[115.975, 36.445], [115.985, 36.445], [115.985, 36.455], [115.975, 36.455], [115.975, 36.445]]]},
        "max_distance_m": 10_000,
    },
)  # fmt: skip
_SITREP = Function(
    "sitrep",
    asks=(Ask("incident", layer=INCIDENTS, field="code"), Ask("at", pick="instant"), Ask("language")),
    layers=(INCIDENTS,),
    rows="report/log",
    columns=(
        Column("at", Text(zh="时间", en="Time"), "time"),
        Column("state_title", Text(zh="状态", en="State")),
        Column("text", Text(zh="内容", en="Text")),
    ),
    figures=(
        Column("report/incident/titles/state", Text(zh="状态", en="State")),
        Column("report/casualties/injured", Text(zh="受伤", en="Injured"), "count"),
        Column("report/casualties/evacuated", Text(zh="已转移", en="Evacuated"), "count"),
        Column("report/at", Text(zh="截至", en="As of"), "time"),
    ),
    example={"incident": "E37150000001"},
)  # fmt: skip

PANEL = Panel(Text(zh="应急管理", en="Emergency"), (_CIRCLE, _DISPATCH, _ALLOCATE, _SITREP))

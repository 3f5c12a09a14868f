# SPDX-License-Identifier: Apache-2.0
"""The panel of unit grids in the web map: grids checked by their rules, and made for a community."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.grids.boundaries import RULES
from geocloud.sectors.grids.read import COMMUNITY, LAYER
from geocloud.sectors.panel import Ask, Column, Function, Panel

__all__ = ["PANEL"]

_CHECK = Function(
    "grid-check",
    asks=(Ask("community", layer=COMMUNITY, field="code"), Ask("rules")),
    layers=(LAYER,),
    rows="places",
    columns=(
        Column("rule", Text(zh="规则", en="Rule"), "code"),
        Column("code", Text(zh="网格", en="Grid"), "code"),
        Column(
            "severity", Text(zh="程度", en="Severity"),
            words={"error": Text(zh="错误", en="Error"), "warning": Text(zh="警告", en="Warning")},
            tones={"error": "danger", "warning": "warning"},
        ),
        Column("message_{lang}", Text(zh="问题", en="Finding")),
        Column("area_m2", Text(zh="面积", en="Area"), "area_m2"),
    ),
    figures=(
        Column(
            "report/verdict", Text(zh="结论", en="Verdict"),
            words={"accepted": Text(zh="通过", en="Accepted"), "warnings": Text(zh="有警告", en="With warnings"),
                   "rejected": Text(zh="不通过", en="Rejected")},
            tones={"accepted": "good", "warnings": "warning", "rejected": "danger"},
        ),
        Column("report/grids", Text(zh="在用网格", en="Grids in use"), "count"),
        Column("report/counts/error", Text(zh="错误", en="Errors"), "count"),
        Column("report/counts/warning", Text(zh="警告", en="Warnings"), "count"),
        Column("report/area_m2", Text(zh="总面积", en="Total area"), "area_m2"),
    ),
    verdict="severity",
)  # fmt: skip
_GENERATE = Function(
    "grid-generate",
    asks=(Ask("community", layer=COMMUNITY, field="code"), Ask("target_m2")),
    layers=(COMMUNITY,),
    rows="grids",
    columns=(
        Column("code", Text(zh="网格编码", en="Code"), "code"),
        Column("area_m2", Text(zh="面积", en="Area"), "area_m2"),
    ),
    figures=(
        Column("report/grids", Text(zh="网格数", en="Grids"), "count"),
        Column("report/community_m2", Text(zh="社区面积", en="Area of the community"), "area_m2"),
        Column("report/area_m2/median", Text(zh="面积中位数", en="Median area"), "area_m2"),
        Column("report/closure", Text(zh="面积闭合差", en="Closure of areas"), "number"),
        Column("report/buildings", Text(zh="建筑物", en="Buildings"), "count"),
    ),
)  # fmt: skip

_WHO = Function(
    "responsible-at",
    asks=(Ask("point", pick="point"), Ask("address"), Ask("date")),
    layers=(LAYER,),
    rows="report/departments",
    columns=(
        Column("title/{lang}", Text(zh="网格类别", en="Kind of grid")),
        Column(
            "verdict", Text(zh="结果", en="Found"),
            words={"one": Text(zh="唯一", en="One"), "several": Text(zh="重叠,多个", en="Several"),
                   "border": Text(zh="在边界上", en="On a border"), "none": Text(zh="没有", en="None")},
            tones={"one": "good", "several": "warning", "border": "warning", "none": "unknown"},
        ),
        Column("grids/0/responsible", Text(zh="责任人", en="Responsible")),
        Column("grids/0/owner", Text(zh="责任单位", en="Unit")),
        Column("grids/0/code", Text(zh="网格编码", en="Grid"), "code"),
    ),
    figures=(
        Column("report/community/name", Text(zh="社区", en="Community")),
        Column("report/disagreements/0/message", Text(zh="不一致", en="Disagreement")),
    ),
    verdict="verdict",
    example={"point": {"type": "Point", "coordinates": [115.98, 36.45]}},
)  # fmt: skip
_FUSION = Function(
    "grid-fusion",
    asks=(
        Ask("a", pick="layer", geometry="polygon"),
        Ask("b", pick="layer", geometry="polygon"),
        Ask("by", words={"area": Text(zh="按面积", en="Area"), "floor-area": Text(zh="按建筑面积", en="Floor area")}),
        Ask("date"),
    ),
    rows="places",
    columns=(
        Column("name_a", Text(zh="甲网格", en="First grid"), none=Text(zh="甲之外", en="Outside the first")),
        Column("name_b", Text(zh="乙网格", en="Second grid"), none=Text(zh="乙之外", en="Outside the second")),
        Column("overlap_area_m2", Text(zh="共有面积", en="Shared"), "area_m2"),
        Column("share_of_a", Text(zh="占甲", en="Of the first"), "share"),
        Column("share_of_b", Text(zh="占乙", en="Of the second"), "share"),
        Column("population", Text(zh="人口", en="Persons"), "count"),
        Column("addresses", Text(zh="地址", en="Addresses"), "count"),
    ),
    figures=(
        Column("report/a/grids", Text(zh="甲网格数", en="First grids"), "count"),
        Column("report/b/grids", Text(zh="乙网格数", en="Second grids"), "count"),
        Column("report/a/outside_m2", Text(zh="甲在乙外", en="First outside the second"), "area_m2"),
        Column("report/b/outside_m2", Text(zh="乙在甲外", en="Second outside the first"), "area_m2"),
        Column("report/a/closure", Text(zh="甲最大闭合差", en="Closure of the first, greatest"), "share"),
        Column("report/b/closure", Text(zh="乙最大闭合差", en="Closure of the second, greatest"), "share"),
    ),
    example={"a": LAYER, "b": "grid.police_grid"},
)  # fmt: skip
_CONFLICTS = Function(
    "grid-conflicts",
    asks=(Ask("date"), Ask("rules", words=RULES), Ask("tolerance_m")),
    layers=(LAYER,),
    rows="places",
    columns=(
        Column(
            "rule", Text(zh="问题", en="Conflict"), words=RULES,
            tones={"F1": "warning", "F2": "danger", "F3": "warning", "F4": "danger", "F5": "note"},
        ),
        Column("department_a", Text(zh="部门", en="Department")),
        Column("key_a", Text(zh="网格", en="Grid"), "code"),
        Column("department_b", Text(zh="另一部门", en="Other department")),
        Column("key_b", Text(zh="另一网格或上级", en="Other grid or parent"), "code"),
        Column("area_m2", Text(zh="面积", en="Area"), "area_m2"),
        Column("width_m", Text(zh="宽", en="Width"), "metres"),
    ),
    figures=(
        Column("summary/conflicts", Text(zh="冲突", en="Conflicts"), "count"),
        Column("summary/tolerance_m", Text(zh="容差", en="Tolerance"), "metres"),
    ),
    verdict="rule",
)  # fmt: skip

PANEL = Panel(Text(zh="网格", en="Grids"), (_WHO, _CHECK, _FUSION, _CONFLICTS, _GENERATE))

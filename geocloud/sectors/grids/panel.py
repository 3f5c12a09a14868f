# SPDX-License-Identifier: Apache-2.0
"""The panel of unit grids in the web map: grids checked by their rules, and made for a community."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
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

PANEL = Panel(Text(zh="单元网格", en="Unit grids"), (_CHECK, _GENERATE))

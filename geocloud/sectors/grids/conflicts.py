# SPDX-License-Identifier: Apache-2.0
"""The process `grid-conflicts` (网格边界冲突): boundaries of all departments' grids compared, and kept on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.grids.boundaries import LEAST_M2, RULES, TOLERANCE_M, Boundary, boundaries
from geocloud.sectors.grids.boundary_rows import FIELDS, keep, row_of
from geocloud.sectors.grids.zones import CONFLICTS, department_layers, moment_on, read_parents, read_zones

__all__ = ["PROCESS", "Disagreements", "grid_conflicts"]

_MEDIA = "application/geo+json"
_DIGITS = 8


@dataclass(frozen=True)
class Disagreements:
    """The answer as a document, and the conflicts behind it."""

    document: dict[str, Any]
    found: Sequence[Boundary]

    def rows(self) -> list[dict[str, Any]]:
        """Conflicts in the fields of the layer."""
        return [row_of(b, self.document["tolerance_m"]) for b in self.found]

    def geojson(self) -> bytes:
        """Conflicts as features, longitude first, EPSG:4490 taken as CRS84."""
        shapes = np.array([b.place for b in self.found], dtype=object)
        drawn = shapely.set_precision(shapes, 10.0**-_DIGITS, mode="pointwise") if len(shapes) else shapes
        more = {"synthetic": True} if self.document["synthetic"] else {}
        features = [
            {"type": "Feature", "geometry": orjson.loads(shapely.to_geojson(s)), "properties": {**row, **more}}
            for s, row in zip(drawn, self.rows(), strict=True)
        ]
        named = {"collection": self.document["collection"]} if self.document["collection"] else {}
        return orjson.dumps({"type": "FeatureCollection", **named, "features": features})

    def csv(self) -> bytes:
        """Conflicts as a table, with a mark so that office programs read it as UTF-8."""
        return csv_table(FIELDS, self.rows())


def grid_conflicts(
    run: Run,
    layers: Sequence[str] | None = None,
    date: str | None = None,
    rules: Sequence[str] | None = None,
    tolerance_m: float = TOLERANCE_M,
    *,
    record: bool = False,
) -> Disagreements:
    """Compares the layers named, else all of the theme `grid`, pairwise and within themselves, as of a day.

    `tolerance_m`: borders no further apart (m) were meant to be one. `record` writes the conflicts of now. Raises
    InvalidParameter for layers and rules there are none of, and for a date together with `record`.
    """
    known = {x.id: x for x in department_layers(run.catalogue)}
    unknown = [i for i in layers or () if i not in known]
    if unknown:
        raise _refused(
            "layers", f"`{unknown[0][:60]}` is no layer of departments' grids.",
            f"{unknown[0][:60]} 不是部门网格图层。", f"Some of: {', '.join(known)}.", f"可用:{'、'.join(known)}。",
        )  # fmt: skip
    if record and date is not None:
        raise _refused(
            "date", "Conflicts are recorded as they are now, not of a date.", "只能登记当前的冲突,不能指定日期。",
            "Leave out `date` or `record`.", "请去掉 date 或 record。",
        )  # fmt: skip
    wrong = [r for r in rules or () if r not in RULES]
    if wrong:
        raise _refused(
            "rules", f"There is no rule {wrong[0][:20]}.", f"没有规则 {wrong[0][:20]}。",
            f"Some of: {', '.join(RULES)}.", f"可用:{'、'.join(RULES)}。",
        )  # fmt: skip
    asked = [r for r in RULES if not rules or r in rules]
    moment = moment_on(date)
    run.progress(0.0, "读取网格", "reading the grids")
    wanted = [i for i in known if not layers or i in layers]
    grids = [g for g in (read_zones(run, i, moment) for i in wanted) if len(g)]
    parents = read_parents(run, moment)
    found = boundaries(
        grids, parents, asked, tolerance_m, LEAST_M2, lambda s, zh, en: run.progress(0.1 + 0.8 * s, zh, en)
    )
    document: dict[str, Any] = {
        "kind": "grid-conflicts",
        "date": date,
        "collection": CONFLICTS if CONFLICTS in run.catalogue.layers else None,
        "synthetic": any(g.layer.synthetic for g in grids),
        "tolerance_m": tolerance_m,
        "least_m2": LEAST_M2,
        "layers": [{"layer": g.layer.id, "title": g.layer.title.model_dump(), "grids": len(g)} for g in grids],
        "empty": [i for i in wanted if i not in {g.layer.id for g in grids}],
        "parents": {p.level: p.layer for p in parents.values()},
        "not_judged": sorted({"village", "township", "county"} - set(parents)),
        "conflicts": len(found),
        "rules": [_of_rule(r, found) for r in asked],
    }
    if record:
        compared = [g.layer.id for g in grids] + document["empty"]
        document["recorded"] = keep(run, found, compared, asked, tolerance_m)
    run.progress(1.0, "完成", "done")
    return Disagreements(document, found)


def _of_rule(rule: str, found: Sequence[Boundary]) -> dict[str, Any]:
    own = [b for b in found if b.rule == rule]
    area = round(sum(b.area_m2 for b in own), 3)
    return {"rule": rule, "title": RULES[rule].model_dump(), "conflicts": len(own), "area_m2": area}


def _refused(parameter: str, en: str, zh: str, todo_en: str, todo_zh: str) -> InvalidParameter:
    return InvalidParameter(en, zh, todo_en=todo_en, todo_zh=todo_zh, parameter=parameter)


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    tolerance = inputs.get("tolerance_m")
    found = grid_conflicts(
        run, inputs.get("layers"), inputs.get("date"), inputs.get("rules"),
        TOLERANCE_M if tolerance is None else float(tolerance), record=bool(inputs.get("record")),
    )  # fmt: skip
    out: dict[str, Any] = {"summary": found.document}
    if "places" in wanted:
        out["places"] = Blob(found.geojson(), _MEDIA, "grid-conflicts.geojson")
    if "table" in wanted:
        out["table"] = Blob(found.csv(), "text/csv; charset=utf-8", "grid-conflicts.csv")
    return out


def _writes(inputs: Mapping[str, Any]) -> str | None:
    return CONFLICTS if inputs.get("record") else None


PROCESS = Process(
    id="grid-conflicts",
    version="1.0.0",
    title=Text(zh="网格边界冲突", en="Boundary conflicts of grids"),
    description=Text(
        zh="各部门网格边界两两比对:近似重合的边界、跨越上级边界、缝隙、重叠、上级代码与位置不符;可登记为图层并跟踪到消除。",
        en="Boundaries of all departments' grids: borders that almost agree, grids across the border of their parent, "
        "gaps, overlaps, parent codes that say otherwise than the place; on request kept as a layer until they are "
        "gone.",
    ),
    inputs=(
        Input(
            "layers", Text(zh="网格图层", en="Layers of grids"),
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
            Text(zh="不给时为全部部门", en="All departments' when left out"),
        ),
        Input("date", Text(zh="日期", en="Date"), {"type": "string"},
              Text(zh="该日在用的网格", en="Grids in use on that day")),
        Input(
            "rules", Text(zh="只比对这些规则", en="Only these rules"), {"type": "array", "items": {"enum": list(RULES)}}
        ),
        Input(
            "tolerance_m", Text(zh="容差(米)", en="Tolerance in metres"),
            {"type": "number", "minimum": 0, "maximum": 50, "default": TOLERANCE_M},
            Text(zh="两条边界相距不超过此值时视为同一条(示例值)",
                 en="Borders no further apart were meant to be one (example)"),
        ),
        Input(
            "record", Text(zh="登记冲突", en="Keep the conflicts"), {"type": "boolean", "default": False},
            Text(zh="写入网格边界冲突图层,需要该图层的密钥", en="Writes the layer of conflicts; needs a key of it"),
        ),
    ),
    outputs=(
        Output(
            "summary", Text(zh="汇总", en="Summary"),
            schema={
                "type": "object",
                "required": ["layers", "rules", "conflicts", "tolerance_m", "synthetic", "not_judged"],
                "properties": {
                    "conflicts": {"type": "integer", "minimum": 0},
                    "recorded": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "rules": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["rule", "title", "conflicts", "area_m2"],
                            "properties": {"rule": {"enum": list(RULES)}, "conflicts": {"type": "integer"}},
                        },
                    },
                },
            },
        ),
        Output("places", Text(zh="冲突图斑", en="Places"), _MEDIA),
        Output("table", Text(zh="CSV 表", en="CSV"), "text/csv"),
    ),
    run=_run,
    keywords=("网格融合", "边界冲突", "多网格"),
    writes=_writes,
)  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""Rules put to their own examples (规则自测): what must be found is found, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import shapely

from geocloud.catalogue.model import Text
from geocloud.catalogue.spec import CodeList, LayerSpec
from geocloud.planning.acceptance_boundary import Districts
from geocloud.planning.acceptance_checks import judge
from geocloud.planning.acceptance_faults import per_degree
from geocloud.planning.acceptance_plan import Plan
from geocloud.planning.acceptance_rules import Example, Pack, Rule
from geocloud.rules.checker import ColumnMap

__all__ = ["Tried", "try_rule"]

# Where the metres of examples begin: a place in the plain, longitude and latitude.
_ORIGIN = (116.0, 36.45)


@dataclass(frozen=True, slots=True)
class Tried:
    """An example's outcome: `fault` says what was not as it should be, None when all was."""

    rule: str
    example: int
    finds: int
    fault: Text | None


def try_rule(pack: Pack, rule: Rule, specs: Mapping[str, LayerSpec], codes: Mapping[str, CodeList]) -> list[Tried]:
    """All examples of a rule, as features of its first layer or of the pack's."""
    spec = specs[rule.layers[0] if rule.layers else pack.layer]
    return [_try(rule, k, e, spec, codes) for k, e in enumerate(rule.examples, 1)]


def _try(rule: Rule, number: int, example: Example, spec: LayerSpec, codes: Mapping[str, CodeList]) -> Tried:
    districts = Districts(why=Text(zh="示例没有 district", en="the example has no `district`"))
    if example.district is not None:
        districts = Districts(np.array([_lonlat(example.district)], dtype=object), ("example",), chosen=True)
    found = judge(rule.check, _plan(example, spec, codes), lambda _layer, _filter: districts)
    area = sum(f.area_m2 or 0.0 for f in found.faults)
    fault = None
    if found.why is not None:
        fault = Text(zh=f"未判定:{found.why.zh}", en=f"not judged: {found.why.en}")
    elif len(found.faults) != example.finds:
        said_zh = ";".join(f.zh for f in found.faults[:3]) or "无"
        said_en = "; ".join(f.en for f in found.faults[:3]) or "none"
        fault = Text(
            zh=f"应有 {example.finds} 处,实为 {len(found.faults)} 处({said_zh})",
            en=f"{example.finds} findings wanted, {len(found.faults)} made ({said_en})",
        )
    elif example.area_m2 is not None and abs(area - example.area_m2) > 0.01 * example.area_m2:
        fault = Text(
            zh=f"面积应为 {example.area_m2:g} 平方米,实为 {area:,.2f}",
            en=f"{example.area_m2:g} m² wanted, {area:,.2f} found",
        )
    return Tried(rule.number, number, len(found.faults), fault)


def _plan(example: Example, spec: LayerSpec, codes: Mapping[str, CodeList]) -> Plan:
    shapes = np.array([None if f.wkt is None else _lonlat(f.wkt) for f in example.features], dtype=object)
    names = dict.fromkeys(n for f in example.features for n in f.values)
    # As text, as a delivered table has them; the rules of the fields turn them into their types.
    columns = {
        n: pa.array([None if f.values.get(n) is None else str(f.values[n]) for f in example.features], pa.string())
        for n in names
    }
    table = pa.table(columns) if columns else pa.table({"row": pa.array(range(len(shapes)))})
    known = {f.name for f in spec.fields}
    own = {f.codes: codes[f.codes] for f in spec.fields if f.codes and f.codes in codes}
    return Plan(
        spec, own, table, ColumnMap({n: n for n in names if n in known}), shapes, example.at or date.today(),
        example.at is not None, title="example", delivered=True, crs=example.crs, datum=example.crs,
    )  # fmt: skip


def _lonlat(wkt: str) -> shapely.Geometry:
    scale = np.array(per_degree(_ORIGIN[1]))
    return shapely.transform(shapely.from_wkt(wkt), lambda xy: np.array(_ORIGIN) + xy / scale)

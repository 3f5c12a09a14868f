# SPDX-License-Identifier: Apache-2.0
"""What lies on and around a site, of all layers of a rule pack, read in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.cql2 import compile_filter
from geocloud.features.moment import Moment
from geocloud.features.params import TimeRange
from geocloud.jobs.run import Run
from geocloud.planning.compliance_rules import Rule
from geocloud.planning.site import Site

__all__ = ["COUNTY", "REGISTER", "Held", "moment_of", "read_held"]

REGISTER = "planning.plan_area"
COUNTY = "base.county"
_NAMES = ("mc", "xmmc", "ghmc", "dlmc", "name")
_MORE = ("bsm", "xzqdm", "rjl", "jzmd", "jzxg", "ldl", "ghlb", "ghbh", "jd", "code")
_METRES_PER_DEGREE = 110_000.0


@dataclass
class Held:
    """Features of a layer on or around the site: `empty` when it has no row at the date, `matches` by rule number."""

    layer: Layer
    empty: bool = True
    facts: list[dict[str, Any]] = field(default_factory=list)
    shapes: NDArray[Any] = field(default_factory=lambda: np.empty(0, dtype=object))
    matches: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


def read_held(
    run: Run, site: Site, rules: Sequence[Rule], valid: datetime, believed: datetime | None, search_m: float
) -> dict[str, Held]:
    """By layer id; layers that are not published are left out. One statement, one state of the database."""
    wanted = [REGISTER, COUNTY, *dict.fromkeys(r.layer for r in rules)]
    held = {i: Held(run.catalogue.layers[i]) for i in dict.fromkeys(wanted) if i in run.catalogue.layers}
    if not held:
        return held
    binder = Binder()
    shape = f"ST_GeomFromWKB({binder.bind(shapely.to_wkb(site.geometry), 'bytea')}, 4490)"
    parts = []
    for k, (layer_id, one) in enumerate(held.items()):
        own = [r for r in rules if r.layer == layer_id]
        reach = max((r.distance_m or (search_m if r.search else 0.0) for r in own), default=0.0)
        parts += _part(run, binder, k, one.layer, own, site, reach, moment_of(one.layer, valid, believed))
    sql = f"WITH site AS MATERIALIZED (SELECT {shape} AS g) {' UNION ALL '.join(parts)}"
    rows = run.rows(sql, binder)
    keys = list(held)
    for k, layer_id in enumerate(keys):
        _fill(held[layer_id], [r for r in rows if r[0] == k], [r for r in rules if r.layer == layer_id])
    return held


def moment_of(layer: Layer, valid: datetime, believed: datetime | None) -> Moment:
    """The moment a layer is read at: now, plainly, where no other date shows anything else."""
    if believed is None and not layer.state.dated and not layer.state.timed:
        return Moment()
    return Moment(TimeRange(valid, valid), believed)


def _part(
    run: Run, binder: Binder, k: int, layer: Layer, rules: Sequence[Rule], site: Site, reach: float, moment: Moment
) -> list[str]:
    """SELECTs of one layer: whether it has rows, and those on the site or within reach of its box."""
    relation = moment.relation(binder, layer) or layer.table
    there = f"SELECT {k}, NULL::bigint, NULL::json, NULL::boolean[], NULL::bytea FROM {relation} r LIMIT 1"
    if layer.spec.geometry == "none":
        return [f"({there})"]
    names = {f.name for f in layer.spec.visible_fields}
    fields = [
        n for n in dict.fromkeys([*_MORE, *_NAMES, *(r.class_field for r in rules if r.class_field)]) if n in names
    ]
    made = ", ".join(f"'{n}', r.{quote_identifier(n)}" for n in fields)
    flags = [_flag(run, binder, layer, r) for r in rules]
    west, south, east, north = site.geometry.bounds
    dy = reach / _METRES_PER_DEGREE
    dx = dy / np.cos(np.radians(max(abs(south), abs(north)) + dy))
    corners = ", ".join(binder.bind(float(v), "float8") for v in (west - dx, south - dy, east + dx, north + dy))
    exact = "" if reach else " AND ST_Intersects(r.geom, (SELECT g FROM site))"
    return [
        f"({there})",
        f"(SELECT {k}, r.fid, json_build_object({made}), ARRAY[{', '.join(flags)}]::boolean[], ST_AsBinary(r.geom) "
        f"FROM {relation} r WHERE r.geom && ST_MakeEnvelope({corners}, 4490){exact})",
    ]


def _flag(run: Run, binder: Binder, layer: Layer, rule: Rule) -> str:
    """SQL that is true for features a rule is about."""
    tests = []
    if rule.filter is not None:
        tests.append(compile_filter(binder, rule.filter, "cql2-text", layer, None, run.settings.web))
    if rule.classes and rule.class_field is not None:
        codes = ", ".join(binder.bind(c, "text") for c in rule.classes)
        tests.append(f"{quote_identifier(rule.class_field)} IN ({codes})")
    return f"({' AND '.join(f'({t})' for t in tests)}) IS TRUE" if tests else "TRUE"


def _fill(held: Held, rows: Sequence[tuple[Any, ...]], rules: Sequence[Rule]) -> None:
    held.empty = not rows
    found = sorted((r for r in rows if r[1] is not None and r[4] is not None), key=lambda r: int(r[1]))
    held.facts = [_named({**r[2], "fid": r[1]}) for r in found]
    held.shapes = np.asarray(shapely.from_wkb([bytes(r[4]) for r in found]), dtype=object)
    for i, rule in enumerate(rules):
        held.matches[rule.number] = np.array([bool(r[3][i]) for r in found], dtype=bool)


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "label": next((facts[n] for n in _NAMES if facts.get(n)), None)}

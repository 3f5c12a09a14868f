# SPDX-License-Identifier: Apache-2.0
"""A comparison of plans from end to end: compared, balanced, recorded, and told as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import shapely

from geocloud.errors import InvalidParameter
from geocloud.features.moment import Moment, read_moment
from geocloud.features.params import TimeRange
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.run import Run
from geocloud.planning.balance import balance
from geocloud.planning.compliance import valid_at
from geocloud.planning.compliance_read import moment_of
from geocloud.planning.conflicts import Found, Tally, compare
from geocloud.planning.matrix import Matrix, Relation
from geocloud.planning.spots import SPOTS, Since, changed_since, last_comparison, record, rows_of

__all__ = ["Compared", "csv_of", "features_of", "run_comparison"]

_COLUMNS = ("gzh", "cylxdm", "gh_a", "bsm_a", "dl_a", "gh_b", "bsm_b", "dl_b", "tqmj", "cd", "pjkd", "splx", "zrbm")


@dataclass(frozen=True)
class Compared:
    """The answer as data, the differences behind it, and the matrix."""

    document: dict[str, Any]
    found: tuple[Found, ...]
    matrix: Matrix


def run_comparison(
    run: Run,
    matrix: Matrix,
    plans: Sequence[str] | None = None,
    valid: str | None = None,
    asof: str | None = None,
    *,
    keep: bool = False,
    whole: bool = False,
    slivers: bool = False,
    balanced: bool = True,
) -> Compared:
    """Compares the plans named, or all of the matrix, at a day; `keep` records the spots of now.

    Recorded again, only places that have changed are compared, unless `whole`. Raises InvalidParameter for plans the
    matrix does not compare, for a date together with `keep`, and LayerBusy as `record` does.
    """
    day, _ = valid_at(valid)
    rules = _rules(matrix, plans, day)
    if keep and (valid is not None or asof is not None):
        raise InvalidParameter(
            "Spots are recorded as plans are now, not at another date.", "差异图斑按规划现状登记,不能指定其他日期。",
            todo_en="Leave out `datetime` and `asof`, or `record`.", todo_zh="请去掉 datetime 和 asof,或不要登记。",
            parameter="record",
        )  # fmt: skip
    moment = _moment(valid, asof)
    layers = list(dict.fromkeys(i for r in rules for i in (r.a.layer, r.b.layer)))
    # Spots of a rule that this run cannot judge stay as they are.
    judged = [r for r in rules if r.a.layer in run.catalogue.layers and r.b.layer in run.catalogue.layers]
    last = last_comparison(run, matrix, judged) if keep else None
    since = Since(None) if last is None or whole else changed_since(run, last, layers)
    tallies: dict[str, Tally] = {}
    found: list[Found] = []
    for rule, tally, own in compare(run, matrix, rules, moment, since.boxes, slivers=slivers and not keep):
        tallies[rule.number] = tally
        found += own
    found.sort(key=lambda f: (f.rule.number, -f.area_m2, f.key_a, f.key_b))
    real = [f for f in found if f.kind == "none"]
    document: dict[str, Any] = {
        "kind": "plan-conflicts",
        "format": 1,
        "matrix": {
            "name": matrix.name, "version": matrix.version, "title": matrix.title.model_dump(), "sha256": matrix.digest,
        },
        "date": day.isoformat(),
        "asof": asof,
        "everywhere": since.boxes is None,
        "synthetic": any(run.catalogue.layers[i].synthetic for i in layers if i in run.catalogue.layers),
        "rules": [
            _told(run, matrix, r, tallies.get(r.number), [f for f in found if f.rule is r], slivers=slivers)
            for r in rules
        ],
        "spots": len(real),
        "area_m2": round(sum(f.area_m2 for f in real), 3),
        "plans": [],
    }  # fmt: skip
    if balanced and since.boxes is None:
        for i, layer in enumerate(x for x in layers if x in run.catalogue.layers):
            run.progress(0.92 + 0.06 * i / len(layers), "核算面积", "adding up areas")
            b = balance(run, run.catalogue.layers[layer], real, _of(run, layer, moment))
            document["plans"].append(
                {
                    "layer": layer, "title": run.catalogue.layers[layer].spec.title.model_dump(),
                    "features": b.features, "area_m2": b.area_m2, "inside_m2": b.inside_m2,
                    "outside_m2": b.outside_m2, "closure": b.closure,
                }
            )  # fmt: skip
    document["fingerprint"] = _fingerprint(document, found)
    if keep:
        document["recorded"] = record(run, matrix, judged, real, since, last, layers)
    return Compared(document, tuple(found), matrix)


def _rules(matrix: Matrix, plans: Sequence[str] | None, day: date) -> tuple[Relation, ...]:
    for plan in plans or ():
        if plan not in matrix.layers:
            raise InvalidParameter(
                f"The matrix {matrix.name} does not compare `{plan[:60]}`.",
                f"冲突矩阵 {matrix.name} 不涉及 {plan[:60]}。",
                todo_en=f"It compares: {', '.join(matrix.layers)}.", todo_zh=f"涉及:{'、'.join(matrix.layers)}。",
                parameter="plans", allowed=list(matrix.layers),
            )  # fmt: skip
    rules = matrix.chosen(plans, day)
    if not rules:
        raise InvalidParameter(
            f"No rule of the matrix {matrix.name} is about these plans at that day.",
            f"冲突矩阵 {matrix.name} 在该日期没有涉及这些规划的规则。",
            todo_en="Name two plans that one rule compares.", todo_zh="请指定同一规则涉及的两份规划。",
            parameter="plans",
        )  # fmt: skip
    return rules


def _moment(valid: str | None, asof: str | None) -> Moment:
    _, instant = valid_at(valid)
    believed = read_moment(None, asof).believed
    if valid is None and believed is None:
        return Moment()
    return Moment(TimeRange(instant, instant), believed)


def _of(run: Run, layer: str, moment: Moment) -> Moment:
    if moment.is_now or moment.valid is None or moment.valid.start is None:
        return moment
    return moment_of(run.catalogue.layers[layer], moment.valid.start, moment.believed)


def _told(
    run: Run, matrix: Matrix, rule: Relation, tally: Tally | None, found: Sequence[Found], *, slivers: bool
) -> dict[str, Any]:
    real = [f for f in found if f.kind == "none"]
    told: dict[str, Any] = {
        "number": rule.number,
        "title": rule.title.model_dump(),
        "a": rule.a.layer,
        "b": rule.b.layer,
        "kind": rule.kind,
        "bureau": rule.bureau,
        "legal": rule.legal.model_dump(mode="json"),
        "least_m2": matrix.least_m2 if rule.least_m2 is None else rule.least_m2,
        "judged": tally is not None,
        "why": None,
    }
    if tally is None:
        gone = [i for i in (rule.a.layer, rule.b.layer) if i not in run.catalogue.layers]
        told["why"] = {"zh": f"没有发布图层 {'、'.join(gone)}", "en": f"{', '.join(gone)} is not published"}
        return told
    empty = [i for i in (rule.a.layer, rule.b.layer) if not run.catalogue.layers[i].state.row_count]
    if empty:
        told |= {
            "judged": False,
            "why": {"zh": f"{'、'.join(empty)} 没有数据", "en": f"{', '.join(empty)} has no rows"},
        }
        return told
    return told | {
        "tolerance_m": tally.tolerance_m,
        "pairs": tally.pairs,
        "spots": len(real),
        "area_m2": round(sum(f.area_m2 for f in real), 3),
        "seams": tally.seams,
        "slivers": tally.slivers if slivers else None,
        "sliver_area_m2": round(tally.sliver_m2, 3) if slivers else None,
        "sliver_kinds": dict(sorted(tally.by_kind.items())) if slivers else None,
    }


def _fingerprint(document: Mapping[str, Any], found: Sequence[Found]) -> str:
    text = json.dumps({k: v for k, v in document.items() if k != "everywhere"}, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for f in found:
        digest.update(f"{f.rule.number} {f.key_a} {f.key_b}".encode() + shapely.to_wkb(f.geometry))
    return digest.hexdigest()


def features_of(compared: Compared) -> dict[str, Any]:
    """The differences as GeoJSON (CRS84), fields as in the layer of difference spots."""
    rows = rows_of(compared.found)
    features = [
        {
            "type": "Feature",
            "id": i + 1,
            "geometry": json.loads(shapely.to_geojson(f.geometry)),
            "properties": {**row, "synthetic": True} if compared.document["synthetic"] else row,
        }
        for i, (f, row) in enumerate(zip(compared.found, rows, strict=True))
    ]
    return {"type": "FeatureCollection", "collection": SPOTS, "features": features}


def csv_of(compared: Compared) -> bytes:
    """The differences as a table, with a mark so that office programs read it as UTF-8."""
    return csv_table(_COLUMNS, rows_of(compared.found))

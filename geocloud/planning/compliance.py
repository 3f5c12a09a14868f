# SPDX-License-Identifier: Apache-2.0
"""The check of a site against all plans (合规体检): a verdict for every rule, areas by plan, class and district,
distances to protected things, and what could not be judged.

Overlays are planar in EPSG:4490, areas on the ellipsoid with the same straight edges, so that parts add up to the site.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geocloud.errors import InvalidParameter
from geocloud.features.literals import BEIJING, parse_date, parse_instant
from geocloud.features.moment import read_moment
from geocloud.geodesy.area import ellipsoid, lengths
from geocloud.geodesy.straight import straight_areas
from geocloud.jobs.run import Run
from geocloud.planning.compliance_read import COUNTY, REGISTER, Held, read_held
from geocloud.planning.compliance_rules import Pack, Rule
from geocloud.planning.site import Site

__all__ = ["Checked", "areal", "check_site", "fingerprint", "valid_at", "without_noise"]

_RANK = {"refuse": 3, "consent": 2, "note": 1, "clear": 0}
# Square metres below which a part of a site that no plan covers is rounding.
_ROUNDING_M2 = 0.01


@dataclass(frozen=True)
class Checked:
    """The answer as a document, and the shapes its maps need: overlaps by rule number, features by layer."""

    document: dict[str, Any]
    site: Site
    overlaps: Mapping[str, Any]
    held: Mapping[str, Held]


def check_site(run: Run, site: Site, pack: Pack, valid: str | None = None, asof: str | None = None) -> Checked:
    """Checks a site by a pack. `valid` is a day (its end in Beijing) or an instant, today if unset; `asof` what was
    believed then. Raises InvalidParameter for either."""
    day, instant = valid_at(valid)
    believed = read_moment(None, asof).believed
    rules = [r for r in pack.rules if r.holds(day)]
    held = read_held(run, site, rules, instant, believed, run.settings.site.site_search_m)
    whole = np.array([site.geometry], dtype=object)
    shapely.prepare(whole)
    cut = {i: _pieces(h.shapes, site.geometry) for i, h in held.items()}
    measured = {i: straight_areas(c) for i, c in cut.items()}
    known = _Known(site, held.get(REGISTER), cut.get(REGISTER))
    answers, overlaps = [], {}
    for rule in rules:
        answer, shape = _answer(run, rule, site, held.get(rule.layer), cut, measured, known)
        answers.append(answer)
        if shape is not None and not shape.is_empty:
            overlaps[rule.number] = shape
    document = _document(run, site, pack, day, believed, held, answers)
    document["areas"] = [_by_class(i, rules, held, cut[i], measured[i], site) for i in _with_areas(rules, held)]
    document["fingerprint"] = fingerprint(document)
    return Checked(document, site, overlaps, held)


def fingerprint(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document as canonical JSON, without what other edits change (versions, time of making)."""
    kept = {k: v for k, v in document.items() if k not in ("fingerprint", "states", "made")}
    text = json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def valid_at(text: str | None) -> tuple[date, datetime]:
    """The day and the instant `datetime` stands for: a day at its end in Beijing, today if unset."""
    day = datetime.now(BEIJING).date() if text is None else parse_date(text)
    if day is not None:
        end = datetime(day.year, day.month, day.day, tzinfo=BEIJING) + timedelta(days=1, microseconds=-1)
        return day, end.astimezone(UTC)
    instant = parse_instant(text or "")
    if instant is None:
        raise InvalidParameter(
            "`datetime` is neither a day nor an instant.", "datetime 既不是日期也不是时刻。",
            todo_en="Write 2024-05-01 or 2024-05-01T08:00:00Z.", todo_zh="请写 2024-05-01 或 2024-05-01T08:00:00Z。",
            parameter="datetime",
        )  # fmt: skip
    return instant.astimezone(BEIJING).date(), instant


class _Known:
    """What the register of plans says of this place: which part of the site a plan covers, and how exact it is."""

    def __init__(self, site: Site, register: Held | None, cut: NDArray[Any] | None) -> None:
        self.site, self.register, self.cut = site, register, cut

    def covered(self, rule: Rule) -> tuple[Any, float]:
        """The part of the site the rule's layer tells of, and its accuracy in metres."""
        if rule.coverage == "rows":
            return self.site.geometry, 0.0
        if self.register is None or self.cut is None:
            return shapely.Polygon(), 0.0
        kind = rule.layer.partition(".")[2]
        own = [i for i, f in enumerate(self.register.facts) if f.get("ghlb") == kind]
        exact = max((float(self.register.facts[i].get("jd") or 0) for i in own), default=0.0)
        return shapely.union_all(self.cut[own]) if own else shapely.Polygon(), exact


def _pieces(shapes: NDArray[Any], site: Any) -> NDArray[Any]:
    """Parts of features within the site, polygons only."""
    out = np.empty(len(shapes), dtype=object)
    for i, shape in enumerate(shapes):
        out[i] = areal(shape if shapely.contains_properly(site, shape) else shapely.intersection(shape, site))
    return out


def areal(shape: Any) -> Any:
    """What of a shape is polygons."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    return shapely.union_all([p for p in shapely.get_parts(shape) if p.geom_type in ("Polygon", "MultiPolygon")])


def _answer(
    run: Run,
    rule: Rule,
    site: Site,
    held: Held | None,
    cut: Mapping[str, NDArray[Any]],
    measured: Mapping[str, NDArray[np.float64]],
    known: _Known,
) -> tuple[dict[str, Any], Any]:
    answer: dict[str, Any] = {
        "number": rule.number,
        "title": rule.title.model_dump(),
        "layer": rule.layer,
        "test": rule.test,
        "legal": rule.legal.model_dump(mode="json"),
        "bureau": rule.bureau,
        "next_step": rule.next_step.model_dump(),
        "verdict": "unknown",
        "why": None,
        "overlap_m2": 0.0,
        "share": 0.0,
        "noise_m2": 0.0,
        "not_judged_m2": 0.0,
        "nearest_m": None,
        "features": [],
        "features_total": 0,
    }
    if held is None or held.empty:
        gone = (
            ("没有发布图层", "is not published") if held is None else ("在该日期没有数据", "has no rows at this date")
        )
        return answer | {"why": {"zh": f"{rule.layer} {gone[0]}", "en": f"{rule.layer} {gone[1]}"}}, None
    covered, exact = known.covered(rule)
    blank = float(_area(shapely.difference(site.geometry, covered)))
    if blank > _ROUNDING_M2:
        answer["not_judged_m2"] = round(blank, 6)
        answer["why"] = {
            "zh": f"规划成果登记未覆盖用地范围中的 {blank:,.1f} 平方米",
            "en": f"no registered plan covers {blank:,.1f} m2 of the site",
        }
    if covered.is_empty:
        return answer, None
    own = held.matches[rule.number]
    found = shapely.union_all(cut[rule.layer][own]) if own.any() else shapely.Polygon()
    shape = areal(shapely.difference(covered, found)) if rule.test == "outside" else areal(found)
    solid, noise = without_noise(shape, exact)
    area = _area(solid)
    share = area / site.area_m2
    near = _nearest(held.shapes[own], site, rule.distance_m or run.settings.site.site_search_m)
    if rule.test == "nearer":
        hit = near is not None and near <= (rule.distance_m or 0)
    elif rule.test == "share_over":
        hit = share > (rule.share or 0)
    else:
        hit = area > 0 and area >= rule.least_m2 and share >= rule.least_share
    listed = [i for i in np.flatnonzero(own) if measured[rule.layer][i] > 0] if rule.test != "outside" else []
    listed.sort(key=lambda i: (-measured[rule.layer][i], str(held.facts[i].get("bsm"))))
    answer |= {
        "verdict": rule.verdict if hit else ("unknown" if blank > _ROUNDING_M2 else "clear"),
        "overlap_m2": round(area, 6),
        "share": round(share, 12),
        "noise_m2": round(noise, 6),
        "nearest_m": None if near is None else round(near, 3),
        "features_total": len(listed),
        "features": [
            _feature(rule, held, int(i), float(measured[rule.layer][i]))
            for i in listed[: run.settings.site.site_features_listed]
        ],
    }
    return answer, solid if hit else None


def _feature(rule: Rule, held: Held, i: int, area: float) -> dict[str, Any]:
    facts = held.facts[i]
    code = facts.get(rule.class_field) if rule.class_field else None
    more = {k: facts[k] for k in ("rjl", "jzmd", "jzxg", "ldl") if facts.get(k) is not None}
    return {"bsm": facts.get("bsm"), "name": facts.get("label"), "class": code, "overlap_m2": round(area, 6), **more}


def _area(shape: Any) -> float:
    return float(straight_areas(np.array([shape], dtype=object))[0])


def without_noise(shape: Any, exact: float) -> tuple[Any, float]:
    """The shape without parts whose mean width (twice area by outline) is within the plan's accuracy; their area."""
    parts = shapely.get_parts(shape)
    if exact <= 0 or len(parts) == 0:
        return shape, 0.0
    area, outline = straight_areas(parts), lengths(parts)
    thin = 2 * area <= exact * outline
    kept = parts[~thin]
    return shapely.multipolygons(kept) if len(kept) else shapely.Polygon(), float(area[thin].sum())


def _nearest(shapes: NDArray[Any], site: Site, within_m: float) -> float | None:
    """Geodesic metres to the nearest feature within a distance; 0 when one meets the site."""
    if len(shapes) == 0:
        return None
    gap = shapely.distance(shapes, site.geometry)
    if gap.min() == 0:
        return 0.0
    # A degree of longitude is shorter than one of latitude: flatten both before the nearest points are looked for.
    wide = float(np.cos(np.radians(site.geometry.centroid.y)))
    flat = shapely.transform(shapes, lambda xy: xy * [wide, 1.0])
    lines = shapely.shortest_line(flat, shapely.transform(site.geometry, lambda xy: xy * [wide, 1.0]))
    ends = shapely.get_coordinates(lines).reshape(-1, 4) / [wide, 1.0, wide, 1.0]
    nearest = float(ellipsoid().inv(*ends.T)[2].min())
    return nearest if nearest <= within_m else None


def _with_areas(rules: Sequence[Rule], held: Mapping[str, Held]) -> list[str]:
    return [i for i in dict.fromkeys(r.layer for r in rules) if i in held and not held[i].empty]


def _by_class(
    layer_id: str,
    rules: Sequence[Rule],
    held: Mapping[str, Held],
    cut: NDArray[Any],
    measured: NDArray[np.float64],
    site: Site,
) -> dict[str, Any]:
    """Areas of a layer by class and district; classes less `doubled` and with `uncovered` make the site."""
    one = held[layer_id]
    key = next((r.class_field for r in rules if r.layer == layer_id and r.class_field), None)
    on = np.flatnonzero(measured > 0)
    together = shapely.union_all(cut[on]) if len(on) else shapely.Polygon()
    uncovered = _area(shapely.difference(site.geometry, together))
    total = float(measured[on].sum())
    doubled = total - _area(together)
    counties = held.get(COUNTY)
    rows: dict[tuple[str, str], float] = {}
    for i in on:
        code = str(one.facts[i].get(key) or "") if key else ""
        for district, area in _districts(cut[i], float(measured[i]), counties):
            rows[code, district] = rows.get((code, district), 0.0) + area
    titles = _titles(one, key)
    return {
        "layer": layer_id,
        "title": one.layer.title.model_dump(),
        "class_field": key,
        "classes": [
            {
                "class": c,
                "title": titles.get(c),
                "district": d,
                "area_m2": round(a, 6),
                "share": round(a / site.area_m2, 12),
            }
            for (c, d), a in sorted(rows.items())
        ],
        "covered_m2": round(total - doubled, 6),
        "doubled_m2": round(doubled, 6),
        "uncovered_m2": round(uncovered, 6),
    }


def _titles(held: Held, key: str | None) -> dict[str, Any]:
    field = next((f for f in held.layer.spec.visible_fields if f.name == key), None)
    codes = held.layer.codes.get(field.codes) if field is not None and field.codes else None
    return {c.code: c.title.model_dump() for c in codes.codes} if codes is not None else {}


def _districts(piece: Any, area: float, counties: Held | None) -> list[tuple[str, float]]:
    """Parts of a piece by county; what lies in none is named by an empty code."""
    if counties is None or len(counties.shapes) == 0:
        return [("", area)]
    for shape, facts in zip(counties.shapes, counties.facts, strict=True):
        if shapely.covers(shape, piece):
            return [(str(facts.get("code") or ""), area)]
    out, rest = [], piece
    for shape, facts in zip(counties.shapes, counties.facts, strict=True):
        part = _area(areal(shapely.intersection(rest, shape)))
        if part > 0:
            out.append((str(facts.get("code") or ""), part))
            rest = areal(shapely.difference(rest, shape))
    left = _area(rest)
    return [*out, ("", left)] if left > 0 else out


def _document(
    run: Run,
    site: Site,
    pack: Pack,
    day: date,
    believed: datetime | None,
    held: Mapping[str, Held],
    answers: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    counts = {v: sum(a["verdict"] == v for a in answers) for v in ("refuse", "consent", "note", "clear", "unknown")}
    judged = [a["verdict"] for a in answers if a["verdict"] != "unknown"]
    stamps = [h.layer.state.stamp for h in held.values() if h.layer.state.stamp is not None]
    state = believed or max(stamps, default=None)
    return {
        "kind": "compliance-check",
        "format": 1,
        "date": day.isoformat(),
        "asof": state.astimezone(UTC).isoformat() if state is not None else None,
        "pack": {"name": pack.name, "version": pack.version, "title": pack.title.model_dump(), "sha256": pack.digest},
        "verdict": max(judged, key=_RANK.__getitem__) if judged else "unknown",
        "counts": counts,
        "site": {
            "geometry": _rounded(site.geometry),
            "crs": "EPSG:4490",
            "source_crs": site.crs,
            "area_m2": round(site.area_m2, 6),
            "area_mu": round(site.area_mu, 6),
            "perimeter_m": round(site.perimeter_m, 3),
            "vertices": site.vertices,
            "notes": [n.as_dict() for n in site.notes],
        },
        "rules": list(answers),
        "synthetic": any(h.layer.synthetic for h in held.values()),
        "states": [
            {
                "layer": i,
                "version": h.layer.state.version,
                "rows": h.layer.state.row_count,
                "stamp": h.layer.state.stamp.isoformat() if h.layer.state.stamp else None,
            }
            for i, h in held.items()
        ],
    }


def _rounded(shape: Any) -> dict[str, Any]:
    """The site as GeoJSON, coordinates to a tenth of a millimetre."""
    found: dict[str, Any] = json.loads(shapely.to_geojson(shapely.transform(shape, lambda xy: np.round(xy, 9))))
    return found

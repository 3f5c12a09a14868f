# SPDX-License-Identifier: Apache-2.0
"""How well districts are served by venues (场馆可达与人均): persons and metres, by village, township or county."""

from __future__ import annotations

from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW
from geocloud.features.spreadsheet import csv_table
from geocloud.jobs.model import Blob, Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.sectors.culture.near import VENUES, rounded, within_and_nearest

__all__ = ["DISTRICTS", "PROCESS", "culture_reach"]

DISTRICTS = ("base.village", "base.township", "base.county")
DISTANCE_MAX_M = 50_000
COLUMNS = (
    "code", "name", "population", "venues_inside", "venues_within", "nearest_m", "per_10000", "verdict", "why",
)  # fmt: skip
_WHY = {
    "no population": "没有人口数",
    "no position": "没有位置",
    "the layer has no field `population`": "图层没有 population 字段",
    "the layer of venues is empty": "场馆图层没有数据",
}


def culture_reach(
    run: Run, districts: str = "base.township", distance_m: float = 3_000, kinds: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Venues of each district and whether one is near: `rows` and `totals`.

    Of a district: `population` (persons); `venues_inside` (null where only its point is known); `venues_within`, those
    within `distance_m` (m, ellipsoid, as the crow flies) of the district's point, which for an area is one on its
    surface; `nearest_m`; `per_10000`, venues inside, or within where there is no area, for 10,000 persons; `verdict`:
    `reached`, `not-reached`, or `not-judged` with the reason, never a guess. `kinds` are codes of `venue_kind`, all if
    empty; venues that have no position are counted in `totals` and nowhere else.
    """
    layer, venues = run.catalogue.layer(districts), run.catalogue.layer(VENUES)
    _check_kinds(venues, kinds)
    fields = {f.name for f in layer.spec.visible_fields}
    peopled = "population" in fields
    binder, of_places = Binder(), Binder()
    found = run.rows(_sql(binder, layer, venues, kinds), binder)
    places = run.rows(_places(of_places, venues, kinds, "ST_X(geom), ST_Y(geom)"), of_places)
    placed = [r[4:] for r in found if r[4] is not None]
    near = iter(within_and_nearest(placed, places, distance_m, lambda share: run.progress(share, "量算", "measuring")))
    rows = []
    for code, name, population, inside, lon, _ in found:
        has_place = lon is not None
        within, nearest = next(near) if has_place else (0, None)
        why = "the layer of venues is empty" if not venues.state.row_count else _why(peopled, population, has_place)
        counted = inside if inside is not None else within
        verdict = "not-judged" if why else "reached" if within else "not-reached"
        rows.append(
            {
                "code": code, "name": name, "population": population, "venues_inside": inside,
                "venues_within": within if has_place else None, "nearest_m": rounded(nearest),
                "per_10000": None if why or not population else round(counted * 10_000 / population, 3),
                "verdict": verdict, "why": None if why is None else _WHY[why] if run.language == "zh" else why,
            }
        )  # fmt: skip
    return {
        "districts": layer.id,
        "venues": venues.id,
        "kinds": list(kinds),
        "distance_m": distance_m,
        "synthetic": layer.synthetic or venues.synthetic,
        "totals": _totals(rows) | _venues(run, venues, kinds),
        "rows": rows,
    }


def _check_kinds(venues: Layer, kinds: tuple[str, ...]) -> None:
    known = venues.codes["venue_kind"].titles() if "venue_kind" in venues.codes else {}
    for kind in kinds:
        if known and kind not in known:
            raise InvalidParameter(
                f"`kinds` cannot hold `{kind[:60]}`.", f"参数 kinds 不能含 {kind[:60]}。",
                todo_en=f"Some of: {', '.join(known)}.", todo_zh=f"可用:{'、'.join(known)}。",
                parameter="kinds", allowed=list(known),
            )  # fmt: skip


def _why(peopled: bool, population: int | None, has_place: bool) -> str | None:
    if not peopled:
        return "the layer has no field `population`"
    if not population:
        return "no population"
    return None if has_place else "no position"


def _of_kinds(binder: Binder, kinds: tuple[str, ...]) -> str:
    return f'"kind" = ANY({binder.bind(list(kinds), "text[]")})' if kinds else "TRUE"


def _sql(binder: Binder, layer: Layer, venues: Layer, kinds: tuple[str, ...]) -> str:
    fields = {f.name for f in layer.spec.visible_fields}
    relation = NOW.relation(binder, layer, by_place=False) or layer.table
    key = quote_identifier(layer.spec.key[0])
    name = '"name"' if "name" in fields else key
    population = '"population"' if "population" in fields else "NULL::bigint"
    return (
        f"WITH place AS MATERIALIZED ({_places(binder, venues, kinds, 'geom')}) "
        f"SELECT {key}::text, {name}::text, {population}, CASE WHEN ST_Dimension(geom) = 2 THEN "
        "(SELECT count(*) FROM place p WHERE p.geom && d.geom AND ST_Intersects(d.geom, p.geom)) END, "
        f"ST_X(ST_PointOnSurface(geom)), ST_Y(ST_PointOnSurface(geom)) FROM {relation} d ORDER BY 1, fid"
    )


def _places(binder: Binder, venues: Layer, kinds: tuple[str, ...], columns: str) -> str:
    read = NOW.relation(binder, venues, by_place=False) or venues.table
    return f"SELECT {columns} FROM {read} w WHERE geom IS NOT NULL AND {_of_kinds(binder, kinds)}"


def _venues(run: Run, venues: Layer, kinds: tuple[str, ...]) -> dict[str, int]:
    binder = Binder()
    read = NOW.relation(binder, venues, by_place=False) or venues.table
    sql = f"SELECT count(*), count(*) FILTER (WHERE geom IS NULL) FROM {read} w WHERE {_of_kinds(binder, kinds)}"
    ((total, lost),) = run.rows(sql, binder)
    return {"venues": total, "venues_without_position": lost}


def _totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Persons by verdict; the share is of the persons judged, null where nobody was."""
    reached = sum(r["population"] for r in rows if r["verdict"] == "reached")
    judged = reached + sum(r["population"] for r in rows if r["verdict"] == "not-reached")
    return {
        "districts": len(rows),
        "districts_not_judged": sum(r["verdict"] == "not-judged" for r in rows),
        "persons_judged": judged,
        "persons_reached": reached,
        "share_reached": reached / judged if judged else None,
    }


def _csv(document: dict[str, Any]) -> bytes:
    """The rows as CSV, with a mark so that office programs read it as UTF-8."""
    return csv_table(COLUMNS, document["rows"])


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    document = culture_reach(
        run, inputs.get("districts", "base.township"), inputs.get("distance_m", 3_000), tuple(inputs.get("kinds", ()))
    )
    out: dict[str, Any] = {"table": document}
    if "csv" in wanted:
        out["csv"] = Blob(_csv(document), "text/csv; charset=utf-8", "culture-reach.csv")
    return out


PROCESS = Process(
    id="culture-reach",
    version="1.0.0",
    title=Text(zh="场馆可达与人均", en="Reach of culture venues"),
    description=Text(
        zh="按村、乡镇或县统计文化场馆数、最近距离(米)、每万人场馆数;没有人口数的不作判定。",
        en="Venues by village, township or county: number, nearest in metres, for 10,000 persons; not judged without "
        "population.",
    ),
    inputs=(
        Input("districts", Text(zh="行政区图层", en="Layer of districts"),
              {"type": "string", "enum": list(DISTRICTS), "default": "base.township"}),
        Input("distance_m", Text(zh="距离(米)", en="Distance in metres"),
              {"type": "number", "exclusiveMinimum": 0, "maximum": DISTANCE_MAX_M, "default": 3_000}),
        Input("kinds", Text(zh="场馆类别", en="Kinds of venues"),
              {"type": "array", "items": {"type": "string"}, "maxItems": 50, "default": []},
              Text(zh="venue_kind 代码,不填为全部", en="Codes of venue_kind; all if unset")),
    ),
    outputs=(
        Output("table", Text(zh="统计表", en="Table")),
        Output("csv", Text(zh="CSV 表", en="CSV"), "text/csv"),
    ),
    run=_run,
    keywords=("文化", "场馆", "人均"),
)  # fmt: skip

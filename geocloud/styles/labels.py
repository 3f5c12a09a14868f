# SPDX-License-Identifier: Apache-2.0
"""Names that tiles cannot carry whole: one point for each division, and places of the first ranks, at every zoom.

A division cut by tiles would be named once in each of them, and places are clusters at low zooms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.styles.classes import classes_of
from geocloud.styles.style import labelled

__all__ = ["LabelQuery", "label_queries"]

_RANKS = 3
_EQUATOR_M = 40_075_017
_VALID = "t.valid_from <= now() AND t.valid_to > now()"


@dataclass(frozen=True)
class LabelQuery:
    """SQL with its values; each row is one GeoJSON feature as text."""

    sql: str
    values: tuple[Any, ...]


def label_queries(layers: Sequence[Layer], most: int) -> list[LabelQuery]:
    """One query a layer whose names are wanted, the most important ranks first, at most `most` names each."""
    places = [x for x in layers if x.spec.style.draw == "place" and labelled(x)]
    divisions = [x for x in layers if x.spec.style.draw in ("land", "boundary") and labelled(x)]
    waters = [x for x in layers if x.spec.style.draw == "water" and labelled(x)]
    return [
        *(_places(x, divisions, most) for x in places),
        *(_divisions(x, places, most) for x in divisions),
        *(_waters(x, most) for x in waters),
    ]


def _places(layer: Layer, divisions: Sequence[Layer], most: int) -> LabelQuery:
    """Places of the first ranks: seats, with their sign; in English by the name of their division if they have none."""
    style = layer.spec.style
    ranks = [(code, i + 1) for i, c in enumerate(classes_of(layer)[:_RANKS]) for code in c.codes]
    kind = f't."{style.color_by}"'
    named = [_english(layer, "t"), *(_english_of(d, style.label or "") for d in divisions)]
    known = [n for n in named if n]
    english = f"coalesce({', '.join(known)})" if known else ""
    rank = f"($1::int[])[array_position($2::text[], {kind}::text)]"
    sql = (
        f"SELECT {_feature(layer, 't.geom', rank, 'true', english=english)} FROM {layer.table} t "
        f'WHERE {kind}::text = ANY($2::text[]) AND t."{style.label}" IS NOT NULL AND t.geom IS NOT NULL AND {_VALID} '
        f"ORDER BY {rank}, t.fid LIMIT $3"
    )
    return LabelQuery(sql, ([r for _, r in ranks], [str(c) for c, _ in ranks], most))


def _divisions(layer: Layer, places: Sequence[Layer], most: int) -> LabelQuery:
    """A point inside each division; not where its seat of that name is written already."""
    style = layer.spec.style
    name = f't."{style.label}"'
    seats = "".join(
        f' AND NOT EXISTS (SELECT FROM {p.table} p WHERE p."{p.spec.style.label}" = {name} AND p.geom && t.geom'
        " AND ST_Intersects(p.geom, t.geom) AND p.valid_from <= now() AND p.valid_to > now())"
        for p in places
    )
    point = "CASE WHEN ST_Dimension(t.geom) = 0 THEN ST_GeometryN(t.geom, 1) ELSE ST_PointOnSurface(t.geom) END"
    sql = (
        f"SELECT {_feature(layer, point, '$1::int', 'false')} FROM {layer.table} t "
        f"WHERE {name} IS NOT NULL AND t.geom IS NOT NULL AND NOT ST_IsEmpty(t.geom) AND {_VALID}{seats} "
        "ORDER BY t.fid LIMIT $2"
    )
    return LabelQuery(sql, (style.rank, most))


def _waters(layer: Layer, most: int) -> LabelQuery:
    """Lakes that are wide for their length, the largest first, each with the zoom from which its name fits into it.

    Rivers drawn as areas are named along their lines.
    """
    name = f't."{layer.spec.style.label}"'
    round_enough = "4 * pi() * a.area / nullif(power(ST_Perimeter(t.geom::geography), 2), 0) > 0.12"
    # Side of a square as large, in pixels of zoom 0; a name wants some 80 pixels.
    zoom = f"round(log(2, (80 / greatest(sqrt(a.area) * 512 / {_EQUATOR_M}, 1e-6))::numeric), 1)"
    feature = _feature(layer, "ST_PointOnSurface(t.geom)", "0", "false", f", 'zoom', {zoom}")
    sql = (
        f"SELECT {feature} "
        f"FROM {layer.table} t, LATERAL (SELECT ST_Area(t.geom::geography) AS area) a "
        f"WHERE {name} IS NOT NULL AND NOT ST_IsEmpty(t.geom) AND {_VALID} AND {round_enough} "
        "ORDER BY a.area DESC, t.fid LIMIT $1"
    )
    return LabelQuery(sql, (most,))


def _feature(layer: Layer, geometry: str, rank: str, seat: str, more: str = "", english: str | None = None) -> str:
    english = _english(layer, "t") if english is None else english
    named = f", 'name_en', {english}" if english else ""
    return (
        "json_build_object('type', 'Feature', 'geometry', "
        f"ST_AsGeoJSON(ST_SetSRID({geometry}, 4326), 6)::json, 'properties', json_strip_nulls(json_build_object("
        f"'name', t.\"{layer.spec.style.label}\"{named}, 'rank', {rank}, 'seat', {seat}, "
        f"'collection', '{layer.id}'{more})))::text"
    )


def _english(layer: Layer, alias: str) -> str:
    """The column of English names; nothing where the layer has none."""
    name = f"{layer.spec.style.label}_en"
    return f'{alias}."{name}"' if any(f.name == name for f in layer.spec.visible_fields) else ""


def _english_of(division: Layer, label: str) -> str:
    """The English name of the division of the same name around a place."""
    column = _english(division, "d")
    if not column:
        return ""
    same = f'd."{division.spec.style.label}" = t."{label}" AND d.geom && t.geom'
    return f"(SELECT {column} FROM {division.table} d WHERE {same} ORDER BY d.fid LIMIT 1)"

# SPDX-License-Identifier: Apache-2.0
"""What the features that match a question come to: how many, of which classes, how much land, how many metres.

Counted are the very rows that `/items` would list for the same question. Areas and lengths are those on the CGCS2000
ellipsoid (PostGIS geography with the layer's own SRID 4490), cut to a drawn area where one is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import shapely

from geocloud.catalogue.spec import FieldSpec
from geocloud.db.reader import Reader
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.params import area_clause
from geocloud.features.query import PageQuery, Statement

__all__ = ["Group", "Summary", "measure_of", "summarise", "summary_statement", "within"]

_AREA, _LINE = frozenset({"polygon", "multipolygon"}), frozenset({"linestring", "multilinestring"})


@dataclass(frozen=True, slots=True)
class Group:
    """Features of one class: its code (None where a feature has none), number, and m2 or m on the ellipsoid."""

    code: str | None
    count: int
    amount: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All matches together, the classes with the most features, and the sum of the classes beyond the limit."""

    count: int
    amount: float | None
    groups: tuple[Group, ...] = ()
    others: int = 0
    rest: Group | None = None


def measure_of(query: PageQuery) -> str | None:
    """What is added up for the layer: `area_m2`, `length_m`, or None for points and tables."""
    kind = query.layer.spec.geometry
    return "area_m2" if kind in _AREA else "length_m" if kind in _LINE else None


def within(query: PageQuery, area: Any) -> PageQuery:
    """The question narrowed to features meeting `area`, a shapely geometry in EPSG:4490, x = longitude."""
    if query.layer.spec.geometry == "none":
        return replace(query, where="FALSE", args=query.args[: query.relation_args])
    binder = Binder()
    binder.args.extend(query.args)
    clause = area_clause(binder, query.layer, area)
    where = f"{query.where} AND {clause}" if query.where else clause
    return replace(query, where=where, args=tuple(binder.args))


def summary_statement(query: PageQuery, by: FieldSpec | None, area: Any = None) -> Statement:
    """One row a class: code as text, number, amount on the ellipsoid; most features first."""
    binder = Binder()
    binder.args.extend(query.args)
    code = f"t.{quote_identifier(by.name)}::text" if by else "NULL::text"
    amount = _amount(binder, query, area)
    where = f" WHERE {query.where}" if query.where else ""
    sql = f"SELECT {code}, count(*), {amount} FROM {query.source} t{where} GROUP BY 1 ORDER BY 2 DESC, 1 NULLS LAST"
    return Statement(sql, binder.args)


async def summarise(reader: Reader, query: PageQuery, by: FieldSpec | None, area: Any, groups_max: int) -> Summary:
    """Counts and adds up the matches of `query`, which already holds the condition of `area` (see `within`)."""
    statement = summary_statement(query, by, area)
    async with reader.lease() as conn:
        rows = await conn.fetch(statement.sql, *statement.args)
    groups = [Group(_text(row[0]), int(row[1]), None if row[2] is None else float(row[2])) for row in rows]
    rest = groups[groups_max:]
    whole = _sum(groups)
    return Summary(
        whole.count,
        whole.amount,
        tuple(groups[:groups_max]) if by else (),
        len(rest) if by else 0,
        _sum(rest) if by and rest else None,
    )


def _sum(groups: list[Group]) -> Group:
    amounts = [g.amount for g in groups if g.amount is not None]
    return Group(None, sum(g.count for g in groups), sum(amounts) if amounts else None)


def _text(value: object) -> str | None:
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def _amount(binder: Binder, query: PageQuery, area: Any) -> str:
    measure = measure_of(query)
    if measure is None:
        return "NULL::float8"
    geometry = "t.geom"
    if area is not None:
        drawn = f"ST_GeomFromWKB({binder.bind(shapely.to_wkb(area, include_srid=False), 'bytea')}, 4490)"
        part = 3 if measure == "area_m2" else 2
        cut = f"ST_CollectionExtract(ST_Intersection(t.geom, {drawn}), {part})"
        geometry = f"CASE WHEN ST_CoveredBy(t.geom, {drawn}) THEN t.geom ELSE {cut} END"
    return f"sum({'ST_Area' if measure == 'area_m2' else 'ST_Length'}(({geometry})::geography))"

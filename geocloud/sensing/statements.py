# SPDX-License-Identifier: Apache-2.0
"""SQL of what is read of readings: composed of names from layer definitions and of bound values.

Every statement gives text that is part of the answer as it is, so that nothing is decoded on its way. Instants are
written in Beijing time (UTC+8), positions as longitude and latitude in CGCS2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import shapely

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import bind_instant
from geocloud.features.moment import NOW
from geocloud.features.params import TimeRange
from geocloud.features.text import json_columns, json_value
from geocloud.sensing.model import Flags

__all__ = [
    "BUCKETS", "Which", "aggregate_statement", "bucket_statement", "collection_statement", "latest_statement",
    "layers_statement", "list_statement", "series_statement",
]  # fmt: skip

# Widths of time buckets; each divides a day, and one begins at midnight in Beijing.
BUCKETS: dict[str, timedelta] = {
    "10m": timedelta(minutes=10), "1h": timedelta(hours=1), "3h": timedelta(hours=3), "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
}  # fmt: skip
# When a bucket begins, a whole second, in Beijing time: what sensing.beijing gives, without asking for microseconds.
_START = "to_char(g.start AT TIME ZONE 'UTC' + interval '8 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+08:00\"')"
_ORIGIN = "'1999-12-31T16:00:00Z'::timestamptz"
# The names of flags as JSON, by their number.
_FLAGS = "(ARRAY[" + ", ".join(
    "'[" + ",".join(f'"{n}"' for n in Flags(i).names) + "]'" for i in range(32)
) + "])"  # fmt: skip
# The same as words with spaces between.
_FLAG_WORDS = "(ARRAY[" + ", ".join(f"'{' '.join(Flags(i).names)}'" for i in range(32)) + "])"
_DOUBTFUL = int(Flags.doubtful())
# Of the values of one time the one that counts.
_CURRENT = "issued DESC, received DESC, value DESC"
_DATASTREAM = """
SELECT d.id, d.layer AS collection, d.device, d.property, d.unit, d.datum, d.minimum, d.maximum, d.cap, d.zero_ok,
       d.interval_s, d.thresholds, d.source, d.synthetic
"""
_STALE = "CASE WHEN d.interval_s IS NOT NULL THEN now() - l.at > 2 * d.interval_s * interval '1 second' END"


@dataclass(frozen=True, slots=True)
class Which:
    """Which datastreams are asked for, and from where on; None for all."""

    property: str | None = None
    device: str | None = None
    unit: str | None = None
    after: int = 0

    def clauses(self, binder: Binder) -> list[str]:
        """Conditions over `d`, all of which hold."""
        found = [f"d.id > {binder.bind(self.after, 'int')}"] if self.after else []
        for column, value in (("property", self.property), ("device", self.device), ("unit", self.unit)):
            if value is not None:
                found.append(f"d.{column} = {binder.bind(value, 'text')}")
        return found


def list_statement(binder: Binder, layers: Sequence[str], which: Which, limit: int, one: int | None = None) -> str:
    """Rows of id and JSON text: datastreams with their newest value, in the order of ids."""
    clauses = [f"d.layer = ANY({binder.bind(list(layers), 'text[]')})", *which.clauses(binder)]
    if one is not None:
        clauses.append(f"d.id = {binder.bind(one, 'int')}")
    return (
        f"SELECT r.id, row_to_json(r)::text FROM ({_DATASTREAM}, CASE WHEN l.at IS NOT NULL THEN json_build_object("
        f"'time', sensing.beijing(l.at), 'value', l.value, 'flags', {_FLAGS}[l.flags + 1]::json, 'stale', {_STALE}) "
        f"END AS latest FROM sensing.datastream d LEFT JOIN sensing.latest l ON l.datastream = d.id "
        f"WHERE {' AND '.join(clauses)} ORDER BY d.id LIMIT {limit}) r"
    )


def layers_statement(binder: Binder, layers: Sequence[str]) -> str:
    """Rows of layer, property, unit, number of datastreams, shortest interval in seconds, newest time (RFC 3339) and
    whether any is synthetic; the property with most datastreams comes first."""
    return (
        "SELECT d.layer, d.property, d.unit, count(*), min(d.interval_s), sensing.beijing(max(l.at)), "
        "bool_or(d.synthetic) FROM sensing.datastream d LEFT JOIN sensing.latest l ON l.datastream = d.id "
        f"WHERE d.layer = ANY({binder.bind(list(layers), 'text[]')}) GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3"
    )


def latest_statement(binder: Binder, places: Sequence[tuple[Layer, str]], which: Which, limit: int) -> str:
    """Rows of id and GeoJSON feature text: newest values at the places of their devices, in the order of ids.

    `places`: layers, each with a condition over its features (empty for all).
    """
    if not places:
        return "SELECT NULL::int, NULL::text WHERE false"
    columns = "d.id, d.layer, d.device, d.property, d.unit, d.interval_s, l.at, l.value, l.flags, f.fid, {geom} AS geom"
    parts = [_joined(binder, layer, where, columns, which) for layer, where in places]
    feature = (
        '\'{"type":"Feature","id":\' || d.id || \',"geometry":\' || coalesce(ST_AsGeoJSON(d.geom, 7, 0), \'null\') || '
        '\',"properties":{"collection":\' || to_json(d.layer) || \',"featureId":\' || d.fid || \',"device":\' || '
        "to_json(d.device) || ',\"property\":' || to_json(d.property) || ',\"unit\":' || to_json(d.unit) || "
        '\',"value":\' || d.value || \',"time":"\' || sensing.beijing(d.at) || \'","flags":\' || '
        f"{_FLAGS}[d.flags + 1] || ',\"stale\":' || coalesce({_STALE.replace('l.at', 'd.at')}::text, 'null') || '}}}}'"
    )
    return f"SELECT d.id, {feature} FROM (SELECT * FROM ({' UNION ALL '.join(parts)}) u ORDER BY id LIMIT {limit}) d"


def collection_statement(
    binder: Binder, layer: Layer, where: str, which: Which, limit: int, *, flat: bool = False
) -> str:
    """Rows of fid and GeoJSON feature text: a layer's features with the newest values of all their datastreams.

    They are an object `latest` by property or, with `flat`, properties `latest_…` that any reader of GeoJSON has as
    columns: the value, and its `…_unit`, `…_time`, `…_flags` (names with spaces between) and `…_stale`.
    `which.after` is a fid here.
    """
    after, which = which.after, Which(which.property, which.device, which.unit)
    if after:
        where = f"f.fid > {binder.bind(after, 'bigint')}" + (f" AND {where}" if where else "")
    joined = _joined(binder, layer, where, f"f.fid, d.property, {_flat() if flat else _nested()} AS said", which)
    names = json_columns(((f.name, f.type) for f in layer.spec.visible_fields), "f")
    geometry = "NULL" if layer.spec.geometry == "none" else "ST_AsGeoJSON(f.geom, 7, 0)"
    own = f"left((SELECT row_to_json(p)::text FROM (SELECT {names}) p), -1) || ','"
    latest = "g.said || '}}'" if flat else "'\"latest\":{' || g.said || '}}}'"
    return (
        f"WITH v AS ({joined}), g AS (SELECT fid, string_agg(said, ',' ORDER BY property) AS said "
        f"FROM v GROUP BY fid ORDER BY fid LIMIT {limit}) "
        'SELECT f.fid, \'{"type":"Feature","id":\' || f.fid || \',"geometry":\' || '
        f"coalesce({geometry}, 'null') || ',\"properties\":' || {own} || {latest} "
        f"FROM g JOIN {_relation(binder, layer)} f USING (fid) ORDER BY f.fid"
    )


def _nested() -> str:
    """A newest value as a member of the object `latest`."""
    return (
        "to_json(d.property) || ':{\"datastream\":' || d.id || ',\"value\":' || l.value || ',\"unit\":' || "
        'to_json(d.unit) || \',"time":"\' || sensing.beijing(l.at) || \'","flags":\' || '
        f"{_FLAGS}[l.flags + 1] || ',\"stale\":' || coalesce(({_STALE})::text, 'null') || '}}'"
    )


def _flat() -> str:
    """A newest value as properties of the feature."""
    parts = {
        "": json_value("l.value", "number"),
        "_unit": "to_json(d.unit)",
        "_time": "to_json(sensing.beijing(l.at))",
        "_flags": f"to_json({_FLAG_WORDS}[l.flags + 1])",
        "_stale": f"to_json({_STALE})",
    }
    members = (
        f"to_json('latest_' || d.property || '{name}') || ':' || coalesce(({value})::text, 'null')"
        for name, value in parts.items()
    )
    return " || ',' || ".join(members)


def series_statement(
    binder: Binder, stream: int, span: TimeRange, limit: int, *, asof: datetime | None, all_values: bool, csv: bool
) -> str:
    """Rows of text, one a reading in the order of time: a JSON object, or a line of CSV without its end.

    `all_values`: also those that were corrected, in the order in which they came to count.
    """
    rows = _readings(binder, stream, span, asof, distinct=not all_values)
    order = "at, issued, received, value" if all_values else "at"
    issued = "CASE WHEN isfinite(issued) THEN sensing.beijing(issued) END"
    if csv:
        text = (
            f"sensing.beijing(at) || ',' || value || ',' || {_FLAG_WORDS}[flags + 1] || ',' || "
            f"coalesce({issued}, '') || ',' || sensing.beijing(received)"
        )
    else:
        text = (
            f'\'{{"time":"\' || sensing.beijing(at) || \'","value":\' || value || \',"flags":\' || {_FLAGS}[flags + 1] '
            f"|| coalesce(',\"resultTime\":\"' || {issued} || '\"', '') || ',\"received\":\"' || "
            "sensing.beijing(received) || '\"}'"
        )
    return f"SELECT {text} FROM (SELECT * FROM ({rows}) o ORDER BY {order} LIMIT {limit}) r ORDER BY {order}"


def bucket_statement(
    binder: Binder, stream: int, span: TimeRange, width: str, *, asof: datetime | None, flagged: bool, csv: bool
) -> str:
    """Rows of text, one a bucket from the first to the last of a closed span; without readings its values are null.

    `flagged`: whether doubtful values count.
    """
    rows = _readings(binder, stream, span, asof, distinct=True)
    step = f"{binder.bind(BUCKETS[width], 'interval')}"
    assert span.start is not None and span.end is not None, "buckets are asked of a closed span"
    start, end = bind_instant(binder, span.start), bind_instant(binder, span.end)
    last = f"{end} - interval '1 microsecond'" if span.end_excluded else end
    condition = "" if flagged else f" WHERE flags & {_DOUBTFUL} = 0"
    if csv:
        text = (
            f"{_START} || ',' || coalesce(b.mean::text, '') || ',' || coalesce(b.low::text, '') || ',' "
            "|| coalesce(b.high::text, '') || ',' || coalesce(b.n, 0) || ',' || coalesce(b.flagged, 0)"
        )
    else:
        text = (
            f"'{{\"start\":\"' || {_START} || '\",\"mean\":' || coalesce(b.mean::text, 'null') || "
            "',\"min\":' || coalesce(b.low::text, 'null') || ',\"max\":' || coalesce(b.high::text, 'null') || "
            "',\"count\":' || coalesce(b.n, 0) || ',\"flagged\":' || coalesce(b.flagged, 0) || '}'"
        )
    return (
        f"WITH b AS MATERIALIZED (SELECT date_bin({step}, at, {_ORIGIN}) AS start, avg(value) AS mean, "
        f"min(value) AS low, max(value) AS high, count(*) AS n, count(*) FILTER (WHERE flags & {_DOUBTFUL} <> 0) AS "
        f"flagged FROM ({rows}) o{condition} GROUP BY 1) "
        f"SELECT {text} FROM generate_series(date_bin({step}, {start}, {_ORIGIN}), {last}, {step}) g (start) "
        "LEFT JOIN b USING (start) ORDER BY g.start"
    )


def aggregate_statement(
    binder: Binder, devices: Sequence[Layer], areas: Layer | Any, which: Which, span: TimeRange | None, *, flagged: bool
) -> str:
    """One row an area: fid, key, number of datastreams and values, mean of their means, least, greatest, newest time.

    `areas` is a polygon layer, or one shapely polygon in EPSG:4490. Without a span the newest value of each datastream
    counts, with one all of its values in it. A device on a shared border counts on both sides.
    """
    doubt = "" if flagged else f"flags & {_DOUBTFUL} = 0"
    if span is None:
        values = "SELECT datastream, value AS mean, value AS low, value AS high, 1::bigint AS n, at FROM sensing.latest"
        values += f" WHERE {doubt}" if doubt else ""
    else:
        layers = binder.bind([x.id for x in devices], "text[]")
        clauses = [f"d.layer = ANY({layers})", *which.clauses(binder), *_between(binder, span)]
        values = (
            "SELECT datastream, avg(value) AS mean, min(value) AS low, max(value) AS high, count(*) AS n, max(at) AS "
            "at FROM (SELECT DISTINCT ON (o.datastream, o.at) o.datastream, o.at, o.value, o.flags "
            "FROM sensing.datastream d "
            f"JOIN sensing.observation o ON o.datastream = d.id WHERE {' AND '.join(clauses)} "
            f"ORDER BY o.datastream, o.at, {_CURRENT}) c{f' WHERE {doubt}' if doubt else ''} GROUP BY datastream"
        )
    parts = [
        _joined(binder, x, "", "d.id, {geom} AS geom", which, newest=False)
        for x in devices
        if x.spec.geometry != "none"
    ]
    placed = " UNION ALL ".join(parts) or "SELECT NULL::int AS id, NULL::geometry AS geom WHERE false"
    if isinstance(areas, Layer):
        area = f"SELECT f.fid, {_key(areas)} AS key, f.geom FROM {_relation(binder, areas)} f"
    else:
        wkb = binder.bind(shapely.to_wkb(areas, include_srid=False), "bytea")
        area = f"SELECT NULL::bigint AS fid, NULL::text AS key, ST_GeomFromWKB({wkb}, 4490) AS geom"
    return (
        f"WITH v AS MATERIALIZED ({values}), p AS MATERIALIZED (SELECT p.geom, v.* FROM ({placed}) p "
        "JOIN v ON v.datastream = p.id) "
        "SELECT a.fid, a.key, count(p.n)::bigint, coalesce(sum(p.n), 0)::bigint, avg(p.mean), min(p.low), max(p.high), "
        f"max(p.at) FROM ({area}) a LEFT JOIN p ON ST_Intersects(a.geom, p.geom) GROUP BY a.fid, a.key ORDER BY a.fid"
    )


def _readings(binder: Binder, stream: int, span: TimeRange, asof: datetime | None, *, distinct: bool) -> str:
    clauses = [f"datastream = {binder.bind(stream, 'int')}", *_between(binder, span)]
    if asof is not None:
        clauses.append(f"received <= {bind_instant(binder, asof)}")
    one = "DISTINCT ON (at) " if distinct else ""
    order = f" ORDER BY at, {_CURRENT}" if distinct else ""
    return (
        f"SELECT {one}at, value, flags, issued, received FROM sensing.observation WHERE {' AND '.join(clauses)}{order}"
    )


def _between(binder: Binder, span: TimeRange) -> list[str]:
    found = []
    if span.start is not None:
        found.append(f"at >= {bind_instant(binder, span.start)}")
    if span.end is not None:
        found.append(f"at {'<' if span.end_excluded else '<='} {bind_instant(binder, span.end)}")
    return found


def _joined(binder: Binder, layer: Layer, where: str, columns: str, which: Which, *, newest: bool = True) -> str:
    """A layer's features `f` valid now with their datastreams `d`, by key and by fid, and newest values `l`."""
    relation, name = _relation(binder, layer), binder.bind(layer.id, "text")
    columns = columns.replace("{geom}", "NULL::geometry" if layer.spec.geometry == "none" else "f.geom")
    clauses = [*([where] if where else []), *which.clauses(binder)]
    condition = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    latest = " JOIN sensing.latest l ON l.datastream = d.id" if newest else ""
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {relation} f JOIN sensing.datastream d ON d.layer = {name} AND {on}{latest}{condition}"
        for on in (f"d.fid IS NULL AND d.device = {_key(layer)}", "d.fid = f.fid")
    )


def _relation(binder: Binder, layer: Layer) -> str:
    return NOW.relation(binder, layer) or layer.table


def _key(layer: Layer) -> str:
    """The key of a feature `f` as text; of several fields, joined by a slash."""
    fields = [layer.spec.field(n) for n in layer.spec.key]
    if len(fields) == 1:
        name = f"f.{quote_identifier(fields[0].name)}"
        return name if fields[0].type == "text" else f"{name}::text"
    return f"concat_ws('/', {', '.join(f'f.{quote_identifier(x.name)}' for x in fields)})"

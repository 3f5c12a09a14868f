# SPDX-License-Identifier: Apache-2.0
"""SQL of the differences of a layer between two states: what was added, removed, moved, reshaped, changed in words.

A state is a valid time (有效时间) as believed at a moment (事务时间). Two layers are never compared whole: a feature
can only differ where a row of it holds in one state and not in the other, and such rows begin, end, were learnt or
given up between the two, for which there are indexes. What holds before and not after stands on the one side, what
holds after and not before on the other, and the sides are joined by fid; as a feature has at most one row in a state,
what is on one side alone was added or removed. How geometries differ is told by `geocloud.shape_change`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import bind_instant
from geocloud.features.query import Statement
from geocloud.features.text import Output, csv_cell, drawn, json_value

__all__ = [
    "KINDS",
    "ChangesQuery",
    "Kind",
    "Span",
    "State",
    "changes_statement",
    "csv_names",
    "fact_names",
    "is_change",
    "joined",
    "measures_of",
    "summary_statement",
]

Kind = Literal["added", "removed", "moved", "reshaped", "attributes"]
KINDS: Final[tuple[Kind, ...]] = ("added", "removed", "moved", "reshaped", "attributes")
_KIND_SQL: Final[dict[str, str]] = {
    "added": "NOT was",
    "removed": "NOT has",
    "moved": "shape = 'moved'",
    "reshaped": "shape = 'reshaped'",
    "attributes": "fields <> ''",
}


@dataclass(frozen=True, slots=True)
class State:
    """What holds at `valid` as believed at `believed`; None for now."""

    valid: datetime
    believed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Two states, neither time of the second before that of the first; both or none with a moment of belief."""

    before: State
    after: State


@dataclass(frozen=True, slots=True)
class ChangesQuery:
    """A question for differences of one layer.

    `where` is SQL over the layer's visible columns whose placeholders are bound to `args`; a feature is told of when
    either of its two states meets it. `kinds` empty for all. `after` is the fid before the page. `tolerance_m`: see
    `geocloud.shape_change`. `with_before`: the geometry of before beside that of after.
    """

    layer: Layer
    span: Span
    output: Output
    limit: int
    tolerance_m: float
    where: str = ""
    args: tuple[object, ...] = ()
    kinds: tuple[Kind, ...] = ()
    after: int | None = None
    with_before: bool = False


def measures_of(layer: Layer) -> tuple[str, ...]:
    """What of a geometry is measured: area_m2 of polygons, length_m of lines and of polygons' outlines."""
    kind = layer.spec.geometry
    if kind in ("point", "multipoint", "none"):
        return ()
    return ("length_m",) if "line" in kind else ("area_m2", "length_m")


class _Bound:
    """The times of a span as placeholders; `learning` when the two states are believed at different moments."""

    def __init__(self, binder: Binder, span: Span) -> None:
        before, after = span.before, span.after
        self.v1 = bind_instant(binder, before.valid)
        self.v2 = self.v1 if after.valid == before.valid else bind_instant(binder, after.valid)
        self.s1 = self.s2 = ""
        self.learning = before.believed != after.believed
        if before.believed is not None and after.believed is not None:
            self.s1 = bind_instant(binder, before.believed)
            self.s2 = bind_instant(binder, after.believed) if self.learning else self.s1

    def before(self, layer: Layer) -> list[tuple[str, str]]:
        """Where rows lie that hold before and not after: table and condition."""
        then = f"valid_from <= {self.v1} AND valid_to > {self.v1}"
        gone = f"valid_to <= {self.v2} AND valid_to < 'infinity'"
        known = f" AND sys_from <= {self.s1}" if self.s1 else ""
        found = [
            (layer.table, f"{then} AND {gone}{known}"),
            (layer.history, f"sys_to = 'infinity' AND {then} AND {gone}{known}"),
        ]
        if self.s1:
            given_up = f"sys_to <= {self.s2}"
            gone = f"({gone} OR {given_up})" if self.learning else gone
            found.append((layer.history, f"sys_to < 'infinity'{known} AND sys_to > {self.s1} AND {then} AND {gone}"))
        return found

    def after(self, layer: Layer) -> list[tuple[str, str]]:
        """Where rows lie that hold after and not before."""
        then = f"valid_from <= {self.v2} AND valid_to > {self.v2}"
        new = f"valid_from > {self.v1} AND valid_from > '-infinity'"
        new = f"(({new}) OR sys_from > {self.s1})" if self.learning else new
        known = f" AND sys_from <= {self.s2}" if self.s2 else ""
        found = [
            (layer.table, f"{then} AND {new}{known}"),
            (layer.history, f"sys_to = 'infinity' AND {then} AND {new}{known}"),
        ]
        if self.s2:
            found.append((layer.history, f"sys_to < 'infinity'{known} AND sys_to > {self.s2} AND {then} AND {new}"))
        return found

    def kept(self, layer: Layer) -> list[tuple[str, str]]:
        """Where rows lie that hold in both states."""
        both = f"valid_from <= {self.v1} AND valid_to > {self.v2}" + (f" AND sys_from <= {self.s1}" if self.s1 else "")
        found = [(layer.table, both), (layer.history, f"sys_to = 'infinity' AND {both}")]
        if self.s1:
            found.append((layer.history, f"sys_to < 'infinity' AND sys_to > {self.s2} AND {both}"))
        return found

    def not_kept(self) -> str:
        """A condition on the layer's table: rows that do not hold in both states."""
        new = f"(valid_from > {self.v1} AND valid_from > '-infinity')"
        gone = f"(valid_to <= {self.v2} AND valid_to < 'infinity')"
        return " OR ".join([new, gone, *([f"sys_from > {self.s1}"] if self.s1 else [])])


@dataclass(frozen=True)
class _Names:
    """The columns of both sides: `w…` of what was, `i…` of what is, numbered by field."""

    layer: Layer

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return self.layer.spec.visible_fields

    @property
    def drawn(self) -> bool:
        return self.layer.spec.geometry != "none"

    def side(self, letter: str) -> str:
        parts = [f"t.{quote_identifier(f.name)} AS {letter}{n}" for n, f in enumerate(self.fields)]
        return ", ".join(["t.fid", *parts, *([f"t.geom AS {letter}geom"] if self.drawn else [])])

    def both(self) -> str:
        names = [f"{letter}{n}" for letter in "wi" for n in range(len(self.fields))]
        return ", ".join([*names, *(["wgeom", "igeom"] if self.drawn else [])])

    def bare(self) -> str:
        """What a condition can name."""
        names = [quote_identifier(f.name) for f in self.fields]
        times = ["t.valid_from", "t.valid_to", "t.sys_from"]
        return ", ".join(["t.fid", *(f"t.{n}" for n in names), *times, *(["t.geom"] if self.drawn else [])])


def joined(query: ChangesQuery, binder: Binder) -> tuple[str, str]:
    """The tables of a WITH, and a SELECT over them of one row a candidate.

    Its columns are fid, was and has (whether it is there before and after), fields (names of changed ones, joined by
    commas), shape (how the geometry differs), and both sides: `w0 …, wgeom` and `i0 …, igeom`. Placeholders of the
    query's condition must be bound already.
    """
    return _compared(query, binder, _Bound(binder, query.span))


def _compared(query: ChangesQuery, binder: Binder, times: _Bound) -> tuple[str, str]:
    layer, names = query.layer, _Names(query.layer)
    before, after = times.before(layer), times.after(layer)
    more, parts = "", []
    if query.after is not None:
        more = f" AND t.fid > {binder.bind(query.after, 'bigint')}"
    if query.where:
        # The condition may hold of one side alone, so it finds features first.
        every = " UNION ALL ".join(f"SELECT {names.bare()} FROM {t} t WHERE {c}{more}" for t, c in (*before, *after))
        parts.append(f"hit AS MATERIALIZED (SELECT DISTINCT fid FROM ({every}) t WHERE {query.where})")
        more = " AND t.fid IN (SELECT fid FROM hit)"
    for name, letter, places in (("before", "w", before), ("after", "i", after)):
        rows = " UNION ALL ".join(f"SELECT {names.side(letter)} FROM {t} t WHERE {c}{more}" for t, c in places)
        parts.append(f"{name} AS ({rows})")
    differ = ", ".join(f"CASE WHEN w{n} IS DISTINCT FROM i{n} THEN '{f.name}' END" for n, f in enumerate(names.fields))
    shape = "NULL::text"
    if names.drawn:
        tolerance = binder.bind(query.tolerance_m, "float8")
        shape = f"CASE WHEN b.fid = a.fid THEN geocloud.shape_change(wgeom, igeom, {tolerance}) END"
    fields = f"CASE WHEN b.fid = a.fid THEN concat_ws(',', {differ}) ELSE '' END" if differ else "''"
    pairs = (
        f"SELECT coalesce(b.fid, a.fid) AS fid, b.fid IS NOT NULL AS was, a.fid IS NOT NULL AS has, c.fields, c.shape, "
        f"{names.both()} FROM before b FULL JOIN after a ON a.fid = b.fid "
        f"CROSS JOIN LATERAL (SELECT {fields} AS fields, {shape} AS shape OFFSET 0) c"
    )
    return ", ".join(parts), pairs


def is_change(kinds: Sequence[Kind] = ()) -> str:
    """A condition on a compared row: it differs, in one of these ways."""
    return "(" + " OR ".join(_KIND_SQL[k] for k in kinds or KINDS) + ")"


def changes_statement(query: ChangesQuery) -> Statement:
    """Rows (fid, text of the feature, how many there are on this page and after it), one more than `limit`, by fid."""
    binder = Binder()
    binder.args.extend(query.args)
    with_clause, pairs = _compared(query, binder, _Bound(binder, query.span))
    page = (
        f"SELECT *, count(*) OVER () AS total FROM ({pairs}) p WHERE {is_change(query.kinds)} "
        f"ORDER BY fid LIMIT {query.limit + 1:d}"
    )
    write = _csv if query.output.format == "csv" else _geojson
    sql = f"WITH {with_clause} SELECT fid, {write(query)}, total FROM ({page}) r ORDER BY fid"
    return Statement(sql, binder.args)


def summary_statement(query: ChangesQuery) -> Statement:
    """One row: features before and after, one number a kind, changed ones; area and length before and after of
    features added, removed, and there in both states with another geometry; then one number a field in its order.
    """
    binder = Binder()
    binder.args.extend(query.args)
    times = _Bound(binder, query.span)
    with_clause, pairs = _compared(query, binder, times)
    columns = [f"{_kept(query, binder, times)} AS kept", "count(*) FILTER (WHERE was) AS was"]
    columns.append("count(*) FILTER (WHERE has) AS has")
    columns += [f"count(*) FILTER (WHERE {_KIND_SQL[k]}) AS {k}" for k in KINDS]
    columns.append(f"count(*) FILTER (WHERE {is_change()}) AS changed")
    for measure in ("area_m2", "length_m"):
        wanted = measure in measures_of(query.layer)
        was, has = (_measure(measure, f"{letter}geom") if wanted else "NULL::float8" for letter in "wi")
        columns += [
            f"sum({has}) FILTER (WHERE NOT was) AS {measure}_added",
            f"sum({was}) FILTER (WHERE NOT has) AS {measure}_removed",
            f"sum({was}) FILTER (WHERE shape IS NOT NULL) AS {measure}_was",
            f"sum({has}) FILTER (WHERE shape IS NOT NULL) AS {measure}_is",
        ]
    columns += [
        f"count(*) FILTER (WHERE was AND has AND w{n} IS DISTINCT FROM i{n}) AS f{n}"
        for n in range(len(query.layer.spec.visible_fields))
    ]
    return Statement(f"WITH {with_clause} SELECT {', '.join(columns)} FROM ({pairs}) p", binder.args)


def _kept(query: ChangesQuery, binder: Binder, times: _Bound) -> str:
    """SQL of how many features hold in both states by the same row and meet the condition.

    Without a condition all but a few rows of the table do, and how many there are is known.
    """
    layer = query.layer
    if query.where:
        names = _Names(layer)
        rows = " UNION ALL ".join(f"SELECT {names.bare()} FROM {t} t WHERE {c}" for t, c in times.kept(layer))
        return f"(SELECT count(*) FROM ({rows}) t WHERE {query.where})"
    past = [f"(SELECT count(*) FROM {t} WHERE {c})" for t, c in times.kept(layer)[1:]]
    whole = f"(SELECT row_count FROM geocloud.layer_state WHERE layer = {binder.bind(layer.id, 'text')})"
    return f"{whole} - (SELECT count(*) FROM {layer.table} WHERE {times.not_kept()}) + {' + '.join(past)}"


def _measure(measure: str, geometry: str) -> str:
    """Square metres or metres on the ellipsoid; edges are geodesics."""
    if measure == "area_m2":
        return f"ST_Area({geometry}::geography)"
    return f"(ST_Length({geometry}::geography) + ST_Perimeter({geometry}::geography))"


def _distance() -> str:
    """Metres along the geodesic between the middles of both geometries' boxes."""
    middles = (
        f"ST_SetSRID(ST_MakePoint((ST_XMin({g}) + ST_XMax({g})) / 2, (ST_YMin({g}) + ST_YMax({g})) / 2), 4490)"
        "::geography"
        for g in ("wgeom", "igeom")
    )
    return f"CASE WHEN shape = 'moved' THEN ST_Distance({', '.join(middles)}) END"


def _facts(query: ChangesQuery) -> list[tuple[str, str]]:
    """Name and SQL of what is measured of a change."""
    facts = []
    for measure in measures_of(query.layer):
        stem, unit = measure.rsplit("_", 1)
        facts += [(f"{stem}_was_{unit}", _measure(measure, "wgeom")), (f"{stem}_is_{unit}", _measure(measure, "igeom"))]
    if query.layer.spec.geometry != "none":
        facts.append(("moved_m", _distance()))
    return facts


def fact_names(query: ChangesQuery) -> list[str]:
    """Names of what is measured, in the order they are written."""
    return [name for name, _ in _facts(query)]


def _kinds() -> str:
    return "concat_ws(',', " + ", ".join(f"CASE WHEN {_KIND_SQL[k]} THEN '{k}' END" for k in KINDS) + ")"


def _drawn(query: ChangesQuery, geometry: str) -> tuple[str, int]:
    return drawn(geometry, query.output.srid, query.output.flip)


def _shown(query: ChangesQuery) -> list[tuple[int, FieldSpec]]:
    """Visible fields that the answer shows, with their numbers."""
    wanted = {f.name for f in query.output.fields}
    return [(n, f) for n, f in enumerate(query.layer.spec.visible_fields) if f.name in wanted]


def _geojson(query: ChangesQuery) -> str:
    """A feature as it is (as it was where it has gone); what of it changed as properties `change_…`."""
    geometry = before = "'null'"
    if query.layer.spec.geometry != "none":
        shown, digits = _drawn(query, "CASE WHEN has THEN igeom ELSE wgeom END")
        geometry = f"coalesce(ST_AsGeoJSON({shown}, {digits}, 0), 'null')"
        shown, digits = _drawn(query, "wgeom")
        before = f"coalesce(ST_AsGeoJSON({shown}, {digits}, 0), 'null')"
    changed = ", ".join(
        f"CASE WHEN was AND has AND w{n} IS DISTINCT FROM i{n} THEN '\"{f.name}\":' || json_build_object("
        f"'was', {json_value(f'w{n}', f.type)}, 'is', {json_value(f'i{n}', f.type)}) END"
        for n, f in enumerate(query.layer.spec.visible_fields)
    )
    fields = f"'{{' || concat_ws(',', {changed}) || '}}'" if changed else "'{}'"
    facts = "".join(f""" || ',"change_{name}":' || coalesce(({sql})::text, 'null')""" for name, sql in _facts(query))
    row = ", ".join(
        f"CASE WHEN has THEN {json_value(f'i{n}', f.type)} ELSE {json_value(f'w{n}', f.type)} END "
        f"AS {quote_identifier(f.name)}"
        for n, f in _shown(query)
    )
    own = f" || ',' || substr((SELECT row_to_json(o)::text FROM (SELECT {row}) o), 2)" if row else " || '}'"
    extra = f""" || ',"before":' || {before}""" if query.with_before else ""
    return (
        f"""'{{"type":"Feature","id":' || fid || ',"geometry":' || {geometry}{extra} """
        f"""|| ',"properties":{{"change_kinds":["' || replace({_kinds()}, ',', '","') || '"],"change_fields":' """
        f"""|| {fields}{facts}{own} || '}}'"""
    )


def _csv(query: ChangesQuery) -> str:
    cells = ["fid::text", f"replace({_kinds()}, ',', ' ')", "replace(fields, ',', ' ')"]
    cells += [f"coalesce(({sql})::text, '')" for _, sql in _facts(query)]
    for n, f in _shown(query):
        cells += [csv_cell(f"{letter}{n}", f.type) for letter in "wi"]
    kind = query.layer.spec.geometry
    if kind != "none":
        shown, digits = _drawn(query, "CASE WHEN has THEN igeom ELSE wgeom END")
        if kind == "point":
            cells += [f"coalesce(round(ST_{axis}({shown})::numeric, {digits})::text, '')" for axis in "XY"]
        else:
            cells.append(f"""'"' || coalesce(ST_AsText({shown}, {digits}), '') || '"'""")
    return " || ',' || ".join(cells)


def csv_names(query: ChangesQuery) -> list[str]:
    """The head of a table."""
    names = ["fid", "change_kinds", "change_fields", *(f"change_{name}" for name in fact_names(query))]
    names += [f"{f.name}_{end}" for _, f in _shown(query) for end in ("was", "is")]
    kind = query.layer.spec.geometry
    return names + (["x", "y"] if kind == "point" else [] if kind == "none" else ["wkt"])

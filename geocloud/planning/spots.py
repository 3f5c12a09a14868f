# SPDX-License-Identifier: Apache-2.0
"""Difference spots (差异图斑) kept as a layer: found once, followed under one identity until they are settled.

A comparison is recorded in one transaction: the spots, what became of those of before, and the state of the plans it
saw. What people write (owner, deadline, opinions, state) is never overwritten by a comparison, but for `settled` when
nothing is left of a spot and `reopened` when it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg2.extensions
import psycopg2.extras
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.registry import Layer
from geocloud.errors import LayerBusy, UnknownLayer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.literals import BEIJING
from geocloud.jobs.run import Run
from geocloud.planning.conflicts import Box, Found
from geocloud.planning.matrix import Matrix, Relation
from geocloud.planning.spot_links import link

__all__ = ["SPOTS", "Last", "Since", "changed_since", "counties", "last_comparison", "record", "rows_of"]

SPOTS = "planning.difference_spot"
COUNTY = "base.county"
# Flags of a spot and the layers that decide them.
_FLAGS = {"jbnt": "planning.basic_farmland", "sthx": "planning.ecological_redline", "kfbj": "planning.urban_boundary"}
# Part of a spot from which it lies in a control line.
_FLAG_SHARE = 0.01
_LOCK = 0x6765_6F43
# Separate places of change from which everything is compared again instead.
_PLACES_MAX = 200
_ROWS_AT_ONCE = 2_000
_NAMES = ("planning.land_plan", "planning.master_plan")


@dataclass(frozen=True)
class Last:
    """The last recorded comparison of a matrix: id, versions and next boundaries of the plans it saw."""

    id: int
    states: Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class Since:
    """Where plans have changed since a comparison; None for anywhere."""

    boxes: tuple[Box, ...] | None


def last_comparison(run: Run, matrix: Matrix, rules: Sequence[Relation]) -> Last | None:
    """The newest comparison of the same matrix with at least these rules; None where there is none to go on from."""
    binder = Binder()
    found = run.rows(
        f"SELECT id, states FROM geocloud.comparison WHERE matrix = {binder.bind(matrix.name, 'text')} "
        f"AND digest = {binder.bind(matrix.digest, 'text')} "
        f"AND rules @> {binder.bind([r.number for r in rules], 'text[]')} ORDER BY id DESC LIMIT 1",
        binder,
    )
    if not found:
        return None
    return Last(int(found[0][0]), {k: (int(v[0]), str(v[1])) for k, v in found[0][1].items()})


def changed_since(run: Run, last: Last, layers: Iterable[str]) -> Since:
    """Where the layers have changed since, by the change log; anywhere, when that cannot be told apart."""
    boxes: list[Box] = []
    now = datetime.now(UTC).isoformat()
    for layer in layers:
        if layer not in run.catalogue.layers:
            continue
        version, boundary = last.states.get(layer, (-1, ""))
        # What was planned for a date takes effect without a write.
        if version < 0 or boundary <= now:
            return Since(None)
        binder = Binder()
        rows = run.rows(
            "SELECT ((b)[1])[0], ((b)[1])[1], ((b)[0])[0], ((b)[0])[1] FROM geocloud.change_log, "
            "LATERAL unnest(ARRAY[bbox_before, bbox_after]) b "
            f"WHERE layer = {binder.bind(layer, 'text')} AND version > {binder.bind(version, 'bigint')} "
            "AND b IS NOT NULL",
            binder,
        )
        boxes += [(float(w), float(s), float(e), float(n)) for w, s, e, n in rows]
    if not boxes:
        return Since(())
    w, s, e, n = np.array(boxes).T
    places = shapely.get_parts(shapely.union_all(shapely.box(w, s, e, n)))
    if len(places) > _PLACES_MAX:
        return Since(None)
    return Since(tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in shapely.bounds(places)))


@dataclass
class _Old:
    fid: int
    bsm: str
    state: str | None
    shape: Any
    pair: tuple[str | None, str | None]
    classes: tuple[str | None, str | None]
    area: float | None


def record(
    run: Run,
    matrix: Matrix,
    rules: Sequence[Relation],
    found: Sequence[Found],
    since: Since,
    last: Last | None,
    layers: Sequence[str],
) -> dict[str, int]:
    """Writes a comparison of now: counts of spots by what became of them.

    `since` says where plans were compared; spots elsewhere stay as they are. LayerBusy when another comparison has been
    recorded since this one's state was read.
    """
    spots = run.catalogue.layers.get(SPOTS)
    if spots is None:
        raise UnknownLayer(
            f"The layer {SPOTS} is not published.", f"图层 {SPOTS} 尚未发布。",
            todo_en="Run `geocloud layers sync`.", todo_zh="请运行 `geocloud layers sync`。",
        )  # fmt: skip
    counts = dict.fromkeys(("new", "kept", "changed", "split", "merged", "settled", "reopened"), 0)
    told = _Told(run, found)
    with run.writer() as conn, conn.cursor() as cur:
        cur.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cur.execute("SELECT max(id) FROM geocloud.comparison WHERE matrix = %s", (matrix.name,))
        newest = (cur.fetchone() or (None,))[0]
        if newest is not None and (last is None or newest > last.id) and not _reads(run, newest):
            raise _overtaken()
        cur.execute(
            "INSERT INTO geocloud.comparison (matrix, digest, rules, states, whole, counts) "
            "VALUES (%s, %s, %s, %s, %s, '{}') RETURNING id",
            (matrix.name, matrix.digest, [r.number for r in rules],
             psycopg2.extras.Json(_states(run, layers)), since.boxes is None),
        )  # fmt: skip
        batch = str((cur.fetchone() or (0,))[0])
        source = _source(
            cur, synthetic=any(run.catalogue.layers[i].synthetic for i in layers if i in run.catalogue.layers)
        )
        for rule in rules:
            own = [i for i, f in enumerate(found) if f.rule.number == rule.number]
            _follow(cur, spots, matrix, rule, [(found[i], told.of(i)) for i in own], since, (batch, source), counts)
    run.progress(1.0, "已登记差异图斑", "difference spots recorded")
    return counts


def _source(cur: psycopg2.extensions.cursor, *, synthetic: bool) -> int:
    """Number of the source that spots name; what was found in made-up plans is made up."""
    said = (SPOTS, "规划冲突比对", "Plans against plans", "internal", synthetic)
    cur.execute(
        "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, synthetic) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING", said,
    )  # fmt: skip
    cur.execute(
        "SELECT id FROM geocloud.source WHERE (layer, title_en, licence, synthetic) = (%s, %s, %s, %s)",
        (said[0], *said[2:]),
    )
    return int((cur.fetchone() or (0,))[0])


def _reads(run: Run, comparison: int) -> bool:
    """Whether a comparison was there in the state that this run reads."""
    binder = Binder()
    return bool(run.rows(f"SELECT 1 FROM geocloud.comparison WHERE id = {binder.bind(comparison, 'bigint')}", binder))


def _overtaken() -> LayerBusy:
    return LayerBusy(
        "Another comparison was recorded while this one ran.", "本次比对期间已登记了另一次比对。",
        todo_en="Run it again; it then starts from the newer one.", todo_zh="请重新运行,将以新的比对为基础。",
    )  # fmt: skip


def _states(run: Run, layers: Sequence[str]) -> dict[str, tuple[int, str]]:
    binder = Binder()
    rows = run.rows(
        "SELECT layer, version, CASE WHEN next_boundary = 'infinity' THEN '9999' ELSE "
        "to_char(next_boundary AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') END "
        f"FROM geocloud.layer_state WHERE layer = ANY({binder.bind(list(layers), 'text[]')})",
        binder,
    )
    return {r[0]: (int(r[1]), r[2]) for r in rows}


def _follow(
    cur: psycopg2.extensions.cursor,
    spots: Layer,
    matrix: Matrix,
    rule: Relation,
    new: Sequence[tuple[Found, Mapping[str, Any]]],
    since: Since,
    by: tuple[str, int],
    counts: dict[str, int],
) -> None:
    batch, source = by
    old = _old(cur, spots, rule, [f for f, _ in new], since)
    shapes = np.array([f.geometry for f, _ in new], dtype=object)
    links = link(np.array([o.shape for o in old], dtype=object), shapes)
    begun: list[dict[str, Any]] = []
    for i, (f, told) in enumerate(new):
        parents = ",".join(old[k].bsm for k in links.parents.get(i, ()))[:2000] or None
        if i in links.kept:
            _go_on(cur, spots, old[links.kept[i]], f, told, parents, batch, counts)
        else:
            begun.append(_row(matrix, f, {**told, "source_id": source, "bdph": batch, "fsm": parents}))
            counts["split" if parents else "new"] += 1
    _begin(cur, spots, begun)
    for k, i in links.merged.items():
        into = old[links.kept[i]].bsm
        counts["merged"] += _end(cur, spots, old[k], batch, f"并入图斑 {into}")
    for k in links.gone:
        counts["settled"] += _end(cur, spots, old[k], batch, None)


def _old(
    cur: psycopg2.extensions.cursor, spots: Layer, rule: Relation, new: Sequence[Found], since: Since
) -> list[_Old]:
    """Spots of the rule that this comparison has looked at, locked until it is written."""
    where, values = "gzh = %s", [rule.number]  # type: tuple[str, list[Any]]
    if since.boxes is not None:
        places = [shapely.to_wkb(shapely.box(*b)) for b in since.boxes]
        pairs = {(f.key_a, f.key_b) for f in new}
        where += (
            " AND (EXISTS (SELECT FROM unnest(%s::bytea[]) b WHERE geom && ST_GeomFromWKB(b, 4490)) "
            "OR (bsm_a, bsm_b) IN (SELECT * FROM unnest(%s::text[], %s::text[])))"
        )
        values += [[psycopg2.Binary(p) for p in places], [a for a, _ in pairs], [b for _, b in pairs]]
    cur.execute(
        f"SELECT fid, bsm, zt, ST_AsBinary(geom), bsm_a, bsm_b, dl_a, dl_b, tqmj FROM {spots.table} "
        f"WHERE {where} AND geom IS NOT NULL ORDER BY fid FOR UPDATE",
        values,
    )
    return [
        _Old(r[0], r[1], r[2], shapely.from_wkb(bytes(r[3])), (r[4], r[5]), (r[6], r[7]), r[8]) for r in cur.fetchall()
    ]


def _go_on(
    cur: psycopg2.extensions.cursor,
    spots: Layer,
    old: _Old,
    f: Found,
    told: Mapping[str, Any],
    parents: str | None,
    batch: str,
    counts: dict[str, int],
) -> None:
    whole = shapely.multipolygons([f.geometry])
    back = old.state == "settled"
    same = (
        old.pair == (f.key_a, f.key_b)
        and old.classes == (f.class_a, f.class_b)
        and shapely.equals_exact(shapely.normalize(old.shape), shapely.normalize(whole), 0.0)
    )
    if same and not back:
        counts["kept"] += 1
        return
    counts["reopened" if back else "changed"] += 1
    values = {**_measures(f), **told, "bdph": batch}
    if back:
        values["zt"] = "reopened"
    if parents:
        values["fsm"] = parents
    names = ", ".join(f"{quote_identifier(n)} = %s" for n in values)
    cur.execute(
        f"UPDATE {spots.table} SET {names}, geom = ST_GeomFromWKB(%s, 4490) WHERE fid = %s",
        [*values.values(), psycopg2.Binary(shapely.to_wkb(whole)), old.fid],
    )


def _row(matrix: Matrix, f: Found, told: Mapping[str, Any]) -> dict[str, Any]:
    """A new spot, but for its numbers."""
    today = datetime.now(BEIJING)
    return {
        **dict.fromkeys((*_FLAGS, "xzqdm", "xzqmc")),
        **rows_of([f])[0],
        **told,
        "zt": "found",
        "jzrq": (today + timedelta(days=f.rule.days or matrix.days)).date(),
        "fxsj": today,
        "geom": psycopg2.Binary(shapely.to_wkb(shapely.multipolygons([f.geometry]))),
    }


def _begin(cur: psycopg2.extensions.cursor, spots: Layer, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    cur.execute("SELECT nextval('geocloud.spot_serial') FROM generate_series(1, %s)", (len(rows),))
    for row, (serial,) in zip(rows, sorted(cur.fetchall()), strict=True):
        # County, the layer's own number, serial: eighteen digits as the plan databases have them.
        row |= {"bsm": f"{row['xzqdm'] or '000000'}9019{serial:08}", "dkbh": f"{row['gzh']}-{serial:06}"}  # noqa: PLW2901
    names = [n for n in rows[0] if n != "geom"]
    # It is there since it was found: when it came about nobody knows.
    psycopg2.extras.execute_values(
        cur,
        f"INSERT INTO {spots.table} ({', '.join(map(quote_identifier, names))}, geom, valid_from) VALUES %s",
        [[row[n] for n in (*names, "geom")] for row in rows],
        template=f"({', '.join(['%s'] * len(names))}, ST_GeomFromWKB(%s, 4490), geocloud.stamp())",
        page_size=_ROWS_AT_ONCE,
    )


def _end(cur: psycopg2.extensions.cursor, spots: Layer, old: _Old, batch: str, note: str | None) -> int:
    """Settles a spot of which nothing is left, unless it is so already."""
    if old.state == "settled":
        return 0
    cur.execute(
        f"UPDATE {spots.table} SET zt = 'settled', bdph = %s, bz = coalesce(bz, %s) WHERE fid = %s",
        (batch, note, old.fid),
    )
    return 1


def rows_of(found: Sequence[Found]) -> list[dict[str, Any]]:
    """What a comparison itself says of its spots, in the fields of the layer."""
    out = []
    for f in found:
        by_layer = {f.rule.a.layer: f.class_a, f.rule.b.layer: f.class_b}
        land, urban = (by_layer.get(n) for n in _NAMES)
        out.append(
            {
                "gzh": f.rule.number,
                "cylxdm": f.rule.kind,
                "gh_a": f.rule.a.layer,
                "gh_b": f.rule.b.layer,
                "tgydxz": land,
                "cgydxz": urban,
                "zrbm": f.rule.bureau,
                **_measures(f),
            }
        )
    return out


def _measures(f: Found) -> dict[str, Any]:
    return {
        "bsm_a": f.key_a,
        "bsm_b": f.key_b,
        "dl_a": f.class_a,
        "dl_b": f.class_b,
        "tqmj": round(f.area_m2, 3),
        "cd": round(f.outline_m, 3),
        "pjkd": round(f.width_m, 3),
        "splx": f.kind,
        "rc": f.tolerance_m,
    }


class _Told:
    """What other layers say of places: county, and whether they lie in a control line."""

    def __init__(self, run: Run, found: Sequence[Found]) -> None:
        self._shapes = np.array([f.geometry for f in found], dtype=object)
        self._counties = counties(run)
        self._flags = {name: _within(run, layer, self._shapes) for name, layer in _FLAGS.items()}

    def of(self, i: int) -> dict[str, Any]:
        told: dict[str, Any] = {name: bool(hits[i]) for name, hits in self._flags.items() if hits is not None}
        codes, names, areas = self._counties
        if len(areas):
            at = shapely.point_on_surface(self._shapes[i])
            inside = np.flatnonzero(shapely.intersects(areas, at))
            if len(inside):
                told |= {"xzqdm": codes[inside[0]], "xzqmc": names[inside[0]]}
        return told


def counties(run: Run) -> tuple[list[str], list[str], NDArray[Any]]:
    """Codes, names and areas of the counties."""
    layer = run.catalogue.layers.get(COUNTY)
    if layer is None:
        return [], [], np.empty(0, dtype=object)
    rows = run.rows(f"SELECT code, name, ST_AsBinary(geom) FROM {layer.table} WHERE geom IS NOT NULL", Binder())
    areas = np.asarray(shapely.from_wkb([bytes(r[2]) for r in rows]), dtype=object).reshape(len(rows))
    shapely.prepare(areas)
    return [r[0] for r in rows], [r[1] for r in rows], areas


def _within(run: Run, layer_id: str, shapes: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Whether each shape lies in the layer with more than a trace of its area; None where it is not published."""
    layer = run.catalogue.layers.get(layer_id)
    if layer is None:
        return None
    hits = np.zeros(len(shapes), dtype=bool)
    if not len(shapes):
        return hits
    binder = Binder()
    places = binder.bind([psycopg2.Binary(w) for w in shapely.to_wkb(shapes)], "bytea[]")
    rows = run.rows(
        f"SELECT n FROM unnest({places}) WITH ORDINALITY u(b, n), LATERAL (SELECT ST_GeomFromWKB(b, 4490) AS g) s, "
        f"LATERAL (SELECT sum(ST_Area(ST_Intersection(r.geom, g))) AS shared FROM {layer.table} r "
        f"WHERE ST_Intersects(r.geom, g)) m WHERE shared > {_FLAG_SHARE} * ST_Area(g)",
        binder,
    )
    hits[[int(r[0]) - 1 for r in rows]] = True
    return hits

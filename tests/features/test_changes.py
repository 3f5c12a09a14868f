# SPDX-License-Identifier: Apache-2.0
"""Differences against an independent calculation: two whole reads of random histories, compared by shapely."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import numpy as np
import psycopg2
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.affinity import translate
from shapely.geometry import mapping, shape

from geocloud.catalogue.publish import sync
from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import LayerSpec
from geocloud.db.cluster import Urls
from geocloud.features.changes import KINDS, ChangesQuery, Span, State, changes_statement, summary_statement
from geocloud.features.changes_read import ChangesSummary, read_changes, summarise_changes
from geocloud.features.text import Output
from geocloud.geodesy.area import areas, ellipsoid, lengths

FIELDS = ("code", "name", "n")
YEARS = [datetime(y, 1, 1, tzinfo=UTC) for y in range(2010, 2031)]
TOLERANCE = 0.05


def _spec(name: str, geometry: str) -> LayerSpec:
    title = {"zh": "试", "en": "t"}
    fields: list[dict[str, Any]] = [
        {"name": "code", "title": title},
        {"name": "name", "title": title},
        {"name": "n", "type": "integer", "title": title},
        {"name": "secret", "title": title, "hidden": True},
    ]
    return LayerSpec.model_validate(
        {"id": f"lab.{name}", "title": title, "description": title, "geometry": geometry, "key": ["code"],
         "fields": fields}
    )  # fmt: skip


LAYERS = {n: Layer(_spec(n, g)) for n, g in (("plot", "multipolygon"), ("way", "linestring"), ("spot", "point"))}


def _shape(layer: str, draw: random.Random) -> Any:
    x, y = draw.uniform(115.5, 116.4), draw.uniform(36.0, 36.9)
    if layer == "spot":
        return shapely.Point(x, y)
    ring = [
        (x + draw.uniform(0.001, 0.004) * np.cos(t), y + draw.uniform(0.001, 0.004) * np.sin(t))
        for t in np.linspace(0, 2 * np.pi, draw.randint(4, 9))[:-1]
    ]
    return shapely.LineString(ring) if layer == "way" else shapely.MultiPolygon([shapely.Polygon(ring)])


def _other(g: Any, draw: random.Random) -> Any:
    """The geometry after a change of a random sort, some of which change nothing."""
    if g.geom_type == "Point":
        return draw.choice([g, translate(g, draw.uniform(-0.01, 0.01), draw.uniform(-0.01, 0.01))])
    sort = draw.choice(["moved", "reshaped", "turned", "doubled"])
    if sort == "moved":
        # Rigid on the ground: the degree of longitude is scaled to the new latitude.
        dx, dy = draw.uniform(-0.01, 0.01), draw.uniform(-0.002, 0.002)
        at = g.envelope.centroid
        scale = np.cos(np.radians(at.y)) / np.cos(np.radians(at.y + dy))
        return shapely.transform(g, lambda xy: np.c_[at.x + dx + (xy[:, 0] - at.x) * scale, xy[:, 1] + dy])
    points = list(g.coords) if g.geom_type == "LineString" else list(g.geoms[0].exterior.coords)[:-1]
    if sort == "reshaped":
        at = draw.randrange(len(points))
        points[at] = (points[at][0] + draw.uniform(0.0005, 0.001), points[at][1] + draw.uniform(-0.0005, 0.0005))
    elif sort == "doubled":
        points.insert(1, points[0])
    elif g.geom_type == "LineString":
        points.reverse()
    else:
        points = points[2:] + points[:2]
        points.reverse()
    made = (
        shapely.LineString(points) if g.geom_type == "LineString" else shapely.MultiPolygon([shapely.Polygon(points)])
    )
    return made if made.is_valid else g


@dataclass(repr=False)
class Lab:
    conn: asyncpg.Connection[Any]
    loop: asyncio.AbstractEventLoop
    stamps: dict[str, list[datetime]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def state(self, layer: str, state: State) -> dict[int, dict[str, Any]]:
        """Rows by fid that hold in a state, out of all rows there ever were."""
        at = state.believed or datetime.now(UTC)
        held = [
            r for r in self.rows[layer]
            if r["sys_from"] <= at < r["sys_to"] and r["valid_from"] <= state.valid < r["valid_to"]
        ]  # fmt: skip
        assert len({r["fid"] for r in held}) == len(held)
        return {r["fid"]: r for r in held}


@pytest.fixture(scope="module")
def lab(urls: Urls) -> Iterator[Lab]:
    """Three layers after some 150 random writes each: dated edits, corrections of parts, deletions, a way back."""
    owner = psycopg2.connect(urls.owner)
    sync(owner, {x.id: x.spec for x in LAYERS.values()}, {})
    owner.close()
    conn = psycopg2.connect(urls.writer)
    loop = asyncio.new_event_loop()
    found = Lab(loop.run_until_complete(asyncpg.connect(urls.reader)), loop)
    for layer in LAYERS:
        _write(conn, layer, random.Random(f"20261127 {layer}"))
        with conn, conn.cursor() as cur:
            columns = "fid, code, name, n, valid_from, valid_to, sys_from"
            cur.execute(
                f"SELECT {columns}, 'infinity', ST_AsBinary(geom) FROM lab.{layer} "
                f'UNION ALL SELECT {columns}, sys_to, ST_AsBinary(geom) FROM history."lab.{layer}"'.replace(
                    "valid_from, valid_to, sys_from", "valid_from::text, valid_to::text, sys_from::text"
                ).replace(", sys_to,", ", sys_to::text,")
            )
            names = [*columns.split(", "), "sys_to", "geom"]
            rows = [dict(zip(names, r, strict=True)) for r in cur.fetchall()]
        for r in rows:
            for name in ("valid_from", "valid_to", "sys_from", "sys_to"):
                r[name] = _instant(r[name])
            r["geom"] = shapely.from_wkb(bytes(r["geom"]))
        found.rows[layer] = rows
        found.stamps[layer] = sorted(
            {r["sys_from"] for r in rows} | {r["sys_to"] for r in rows if r["sys_to"].year < 9999}
        )
    conn.close()
    yield found
    loop.run_until_complete(found.conn.close())
    loop.close()


def _instant(text: str) -> datetime:
    ends = {"infinity": datetime.max, "-infinity": datetime.min}
    return ends[text].replace(tzinfo=UTC) if text in ends else datetime.fromisoformat(text).astimezone(UTC)


def _write(conn: Any, layer: str, draw: random.Random) -> None:
    known: dict[int, Any] = {}

    def run(*statements: tuple[str, tuple[Any, ...]]) -> list[Any]:
        with conn, conn.cursor() as cur:
            for sql, args in statements:
                cur.execute(sql, args)
            return cur.fetchall() if cur.description else []

    at = "SELECT set_config('geocloud.valid_at', %s, true)"
    geom = "ST_SetSRID(ST_GeomFromWKB(%s), 4490)"
    for turn in range(40):
        g = _shape(layer, draw)
        start = draw.choice(YEARS[:12])
        until = draw.choice([None, None, None, start + timedelta(days=draw.randint(200, 4000))])
        rows = run((
            f"INSERT INTO lab.{layer} (code, name, n, secret, valid_from, valid_to, geom) "
            f"VALUES (%s, %s, %s, 's', %s, coalesce(%s::timestamptz, 'infinity'), {geom}) RETURNING fid",
            (f"K{turn}", draw.choice(["甲", "乙", None]), draw.choice([1, 2, None]), start, until, g.wkb),
        ))  # fmt: skip
        known[rows[0][0]] = g
    for _ in range(110):
        fid = draw.choice(list(known))
        when = (at, (draw.choice(YEARS).isoformat() if draw.random() < 0.7 else "",))
        sort = draw.choice(["words", "words", "hidden", "place", "place", "both", "gone", "part", "undone"])
        change, args = "name = %s, n = %s", [draw.choice(["甲", "乙", "丙", None]), draw.randint(1, 9)]
        if sort == "hidden":
            change, args = "secret = %s", [str(draw.random())]
        if sort in ("place", "both"):
            known[fid] = _other(known[fid], draw)
            change, args = (f"geom = {geom}", []) if sort == "place" else (f"{change}, geom = {geom}", args)
            args.append(known[fid].wkb)
        try:
            if sort == "gone":
                run(when, (f"DELETE FROM lab.{layer} WHERE fid = %s", (fid,)))
            elif sort == "part":
                since, until = sorted(draw.sample(YEARS, 2))
                patch = draw.choice([None, json.dumps({"n": draw.randint(10, 19)})])
                run((f'SELECT history."lab.{layer}:portion"(%s, %s, %s, %s, NULL)', (fid, since, until, patch)))
            elif sort == "undone":
                run((
                    f'SELECT * FROM history."lab.{layer}:restore"(ARRAY[%s]::bigint[], '
                    "(SELECT stamp - interval '20 ms' FROM geocloud.layer_state WHERE layer = %s))",
                    (fid, f"lab.{layer}"),
                ))  # fmt: skip
            else:
                run(when, (f"UPDATE lab.{layer} SET {change} WHERE fid = %s", (*args, fid)))
        except (psycopg2.errors.CheckViolation, psycopg2.errors.NoDataFound, psycopg2.errors.ExclusionViolation):
            continue


def _shape_change(was: Any, has: Any) -> str | None:
    """Moved or reshaped by shapely and a projection of its own around each shape."""
    if shapely.equals(was, has):
        return None
    if was.geom_type == "Point":
        return "moved"

    def around(g: Any) -> Any:
        x, y = (g.bounds[0] + g.bounds[2]) / 2, (g.bounds[1] + g.bounds[3]) / 2
        plane = pyproj.Proj(proj="aeqd", lon_0=x, lat_0=y, a=6378137.0, rf=298.257222101)
        return shapely.transform(g, lambda xy: np.c_[plane(xy[:, 0], xy[:, 1])])

    left = shapely.hausdorff_distance(around(was), around(has))
    return "moved" if left <= TOLERANCE and left <= _shift(was, has) / 2 else "reshaped"


def _shift(was: Any, has: Any) -> float:
    a, b = (((g.bounds[0] + g.bounds[2]) / 2, (g.bounds[1] + g.bounds[3]) / 2) for g in (was, has))
    return float(ellipsoid().inv(*a, *b)[2])


def _expected(before: dict[int, Any], after: dict[int, Any]) -> dict[int, tuple[set[str], dict[str, Any]]]:
    found = {}
    for fid in before.keys() | after.keys():
        was, has = before.get(fid), after.get(fid)
        if was is None or has is None:
            found[fid] = ({"added" if was is None else "removed"}, {})
            continue
        fields = {n: {"was": was[n], "is": has[n]} for n in FIELDS if was[n] != has[n]}
        how = _shape_change(was["geom"], has["geom"])
        kinds = ({"attributes"} if fields else set()) | ({how} if how else set())
        if kinds:
            found[fid] = (kinds, fields)
    return found


def ask(lab: Lab, query: ChangesQuery) -> tuple[list[dict[str, Any]], ChangesSummary]:
    """All pages of the answer, and the summary."""

    async def run() -> tuple[list[dict[str, Any]], ChangesSummary]:
        features: list[dict[str, Any]] = []
        part = query
        while True:
            page = await read_changes(lab.conn, part)
            assert page.total >= len(page.texts)
            features += [json.loads(t) for t in page.texts]
            if not page.more:
                return features, await summarise_changes(lab.conn, query)
            part = replace(part, after=page.last)

    return lab.loop.run_until_complete(run())


def query_of(layer: str, span: Span, **more: Any) -> ChangesQuery:
    found = LAYERS[layer]
    output = Output("geojson", 4490, False, found.spec.visible_fields)
    return ChangesQuery(found, span, output, more.pop("limit", 7), TOLERANCE, **more)


def _spans(lab: Lab, layer: str, draw: st.DataObject) -> Span:
    valid = sorted(
        draw.draw(st.sampled_from(YEARS)) + timedelta(days=draw.draw(st.integers(-1, 1))) for _ in range(2)
    )  # fmt: skip
    sort = draw.draw(st.sampled_from(["valid", "asof", "learnt", "both"]))
    if sort == "valid":
        return Span(State(valid[0]), State(valid[1]))
    stamps = lab.stamps[layer]
    known = sorted(
        draw.draw(st.sampled_from(stamps)) - timedelta(microseconds=draw.draw(st.integers(0, 1))) for _ in "ab"
    )
    if sort == "asof":
        return Span(State(valid[0], known[0]), State(valid[1], known[0]))
    if sort == "learnt":
        return Span(State(valid[0], known[0]), State(valid[0], known[1]))
    return Span(State(known[0], known[0]), State(known[1], known[1]))


@pytest.mark.parametrize("layer", LAYERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_as_two_whole_reads_say(lab: Lab, layer: str, draw: st.DataObject) -> None:
    span = _spans(lab, layer, draw)
    before, after = lab.state(layer, span.before), lab.state(layer, span.after)
    expected = _expected(before, after)
    features, summary = ask(lab, query_of(layer, span))

    assert [f["id"] for f in features] == sorted(expected)
    for f in features:
        kinds, fields = expected[f["id"]]
        said = f["properties"]
        assert (set(said["change_kinds"]), said["change_fields"]) == (kinds, fields)
        was, has = before.get(f["id"]), after.get(f["id"])
        state = has or was
        assert state is not None
        assert shapely.equals_exact(shape(f["geometry"]), state["geom"], 1e-9)
        assert {n: said[n] for n in FIELDS} == {n: state[n] for n in FIELDS}
        for row, end in ((was, "was"), (has, "is")):
            measured = (
                {"area": areas, "length": lengths} if layer == "plot" else {"length": lengths} if layer == "way" else {}
            )
            for name, how in measured.items():
                unit = "m2" if name == "area" else "m"
                value = said[f"change_{name}_{end}_{unit}"]
                assert value == (None if row is None else pytest.approx(how(np.array([row["geom"]]))[0], rel=1e-9))
        if "moved" in kinds:
            assert said["change_moved_m"] == pytest.approx(_shift(was["geom"], has["geom"]), rel=1e-9, abs=1e-6)  # type: ignore[index]

    assert (summary.before, summary.after) == (len(before), len(after))
    assert summary.kinds == {k: sum(k in kinds for kinds, _ in expected.values()) for k in KINDS}
    assert summary.before + summary.kinds["added"] - summary.kinds["removed"] == summary.after
    assert summary.changed == len(expected)
    assert summary.fields == {n: sum(n in fields for _, fields in expected.values()) for n in FIELDS}
    for measure, amount in summary.amounts.items():
        how = areas if measure == "area_m2" else lengths

        def total(rows: dict[int, Any], fids: set[int], how: Any = how) -> float:
            return float(how(np.array([rows[i]["geom"] for i in fids] or [None], dtype=object)).sum()) if fids else 0.0

        assert amount.added == pytest.approx(total(after, after.keys() - before.keys()), rel=1e-9, abs=1e-6)
        assert amount.removed == pytest.approx(total(before, before.keys() - after.keys()), rel=1e-9, abs=1e-6)
        whole = total(after, set(after)) - total(before, set(before))
        assert amount.net == pytest.approx(whole, abs=1e-9 * total(after, set(after)) + 1e-3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_a_condition_holds_of_either_state(lab: Lab, draw: st.DataObject) -> None:
    span = _spans(lab, "plot", draw)
    box = shapely.box(115.5, 36.0, draw.draw(st.floats(115.6, 116.4)), 36.6)
    number = draw.draw(st.integers(1, 5))
    before, after = lab.state("plot", span.before), lab.state("plot", span.after)

    def meets(row: dict[str, Any] | None) -> bool:
        return row is not None and row["n"] is not None and row["n"] <= number and row["geom"].intersects(box)

    where = '"n" <= $1::bigint AND ST_Intersects("geom", ST_GeomFromWKB($2::bytea, 4490))'
    kinds = tuple(k for k in KINDS if draw.draw(st.booleans()))
    query = query_of("plot", span, where=where, args=(number, box.wkb), kinds=kinds)
    features, summary = ask(lab, query)
    chosen = {f: e for f, e in _expected(before, after).items() if meets(before.get(f)) or meets(after.get(f))}
    assert [f["id"] for f in features] == sorted(f for f, (k, _) in chosen.items() if not kinds or k & set(kinds))
    assert summary.changed == len(chosen)
    either = {f for f in before.keys() | after.keys() if meets(before.get(f)) or meets(after.get(f))}
    assert summary.before == len(either & before.keys()) and summary.after == len(either & after.keys())


def test_the_geometry_of_before_comes_when_asked_for(lab: Lab) -> None:
    span = Span(State(YEARS[14]), State(YEARS[20]))
    before = lab.state("plot", span.before)
    features, _ = ask(lab, query_of("plot", span, with_before=True, limit=1000))
    assert {"moved", "reshaped"} <= {k for f in features for k in f["properties"]["change_kinds"]}
    for f in features:
        was = before.get(f["id"])
        assert (f["before"] is None) == (was is None)
        if was is not None:
            assert shapely.equals_exact(shape(f["before"]), was["geom"], 1e-9)


def same(urls: Urls, was: Any, has: Any, tolerance: float = TOLERANCE) -> str | None:
    conn = psycopg2.connect(urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT geocloud.shape_change(ST_GeomFromGeoJSON(%s), ST_GeomFromGeoJSON(%s), %s)",
            (was and json.dumps(mapping(was)), has and json.dumps(mapping(has)), tolerance),
        )
        found: str | None = cur.fetchone()[0]  # type: ignore[index]
    conn.close()
    return found


SQUARE = shapely.Polygon([(116, 36), (116.01, 36), (116.01, 36.01), (116, 36.01)])
HOLE = shapely.Polygon(SQUARE.exterior.coords, [[(116.002, 36.002), (116.004, 36.002), (116.004, 36.004)]])
KNOT = shapely.Polygon([(116, 36), (116.01, 36.01), (116.01, 36), (116, 36.01)])
METRE = 1 / 111_000
CASES: dict[str, tuple[Any, Any, str | None]] = {
    "nothing": (None, None, None),
    "the same": (SQUARE, SQUARE, None),
    "started elsewhere, other direction": (
        SQUARE, shapely.Polygon([(116.01, 36.01), (116.01, 36), (116, 36), (116, 36.01)]), None
    ),
    "a vertex more on an edge": (
        SQUARE, shapely.Polygon([(116, 36), (116.005, 36), (116.01, 36), (116.01, 36.01), (116, 36.01)]), None
    ),
    "one part as many": (SQUARE, shapely.MultiPolygon([SQUARE]), None),
    "parts in another order": (
        shapely.MultiPoint([(1, 1), (2, 2)]), shapely.MultiPoint([(2, 2), (1, 1), (2, 2)]), None
    ),
    "a hole": (SQUARE, HOLE, "reshaped"),
    "a hole elsewhere": (HOLE, translate(HOLE, 0.02, 0), "moved"),
    "a corner by 1 cm": (
        SQUARE, shapely.Polygon([(116, 36), (116.01 + 0.01 * METRE, 36), (116.01, 36.01), (116, 36.01)]), "reshaped"
    ),
    "an inner vertex by 1 cm": (
        shapely.LineString([(116, 36), (116.005, 36.004), (116.01, 36.01)]),
        shapely.LineString([(116, 36), (116.005, 36.004 + 0.01 * METRE), (116.01, 36.01)]),
        "reshaped",
    ),
    "all of it by 1 cm": (SQUARE, translate(SQUARE, 0.01 * METRE, 0), "moved"),
    "all of it by 1 km": (SQUARE, translate(SQUARE, 0.01, 0), "moved"),
    "a point": (shapely.Point(116, 36), shapely.Point(116, 36 + 1e-9), "moved"),
    "given": (None, SQUARE, "reshaped"),
    "taken": (SQUARE, None, "reshaped"),
    "a knot, the same": (KNOT, shapely.Polygon([*list(KNOT.exterior.coords)[1:-1], KNOT.exterior.coords[0]]), None),
    "a collection": (
        shapely.GeometryCollection([SQUARE, shapely.Point(1, 1)]), shapely.GeometryCollection([SQUARE]), "reshaped"
    ),
    "a line for a face": (SQUARE, shapely.LineString(SQUARE.exterior.coords), "reshaped"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_how_one_shape_differs_from_another(urls: Urls, name: str) -> None:
    was, has, expected = CASES[name]
    assert same(urls, was, has) == expected
    assert same(urls, has, was) == expected


def test_areas_of_postgis_are_those_of_the_ellipsoid(urls: Urls) -> None:
    draw = random.Random(36)
    shapes = [_shape("plot", draw) for _ in range(300)] + [SQUARE, HOLE]
    conn = psycopg2.connect(urls.reader)
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT ST_Area(g::geography), ST_Perimeter(g::geography) FROM "
            "(SELECT ST_GeomFromWKB(w, 4490) AS g FROM unnest(%s::bytea[]) w) s",
            ([g.wkb for g in shapes],),
        )
        found = np.array(cur.fetchall())
    conn.close()
    array = np.array(shapes, dtype=object)
    assert np.allclose(found[:, 0], areas(array), rtol=1e-9, atol=0)
    assert np.allclose(found[:, 1], lengths(array), rtol=1e-9, atol=0)


PLANS: dict[str, tuple[Span, set[str]]] = {
    "two dates": (Span(State(YEARS[2]), State(YEARS[4])), {"plot begun", "plot closed", "lab.plot closed"}),
    "two dates as believed at a moment": (
        Span(State(YEARS[2], YEARS[18]), State(YEARS[4], YEARS[18])),
        {"plot begun", "plot closed", "lab.plot given up"},
    ),
    "two beliefs of a date": (
        Span(State(YEARS[9], YEARS[17]), State(YEARS[9], YEARS[18])),
        {"plot learnt", "lab.plot given up"},
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_candidates_come_from_indexes(lab: Lab, name: str) -> None:
    """With indexes at hand that serve each condition, no table is read through: a tiny one would be otherwise."""
    span, expected = PLANS[name]

    async def plan() -> str:
        async with lab.conn.transaction():
            await lab.conn.execute("SET LOCAL enable_seqscan = off")
            text = ""
            for statement in (changes_statement(query_of("plot", span)), summary_statement(query_of("plot", span))):
                rows = await lab.conn.fetch(f"EXPLAIN (COSTS OFF) {statement.sql}", *statement.args)
                text += "\n".join(r[0] for r in rows)
            return text

    text = lab.loop.run_until_complete(plan())
    assert not [line for line in text.splitlines() if "Seq Scan on" in line and "plot" in line], text
    assert {i for i in expected if f"{i}" not in text.replace('"', "")} == set(), text


def test_a_condition_may_name_the_times(lab: Lab) -> None:
    span = Span(State(YEARS[2]), State(YEARS[18]))
    before, after = lab.state("plot", span.before), lab.state("plot", span.after)
    late = YEARS[10]
    query = query_of("plot", span, where='"valid_from" >= $1::timestamptz', args=(late,), limit=1000)
    features, _ = ask(lab, query)
    chosen = {
        f for f in _expected(before, after)
        if any(s.get(f) is not None and s[f]["valid_from"] >= late for s in (before, after))
    }  # fmt: skip
    assert {f["id"] for f in features} == chosen and chosen

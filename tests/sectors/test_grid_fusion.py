# SPDX-License-Identifier: Apache-2.0
"""Fusion of departments' grids over the demo city in a real database: what was planted is found, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import jsonschema
import numpy as np
import psycopg2
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.demo.grids import LAYERS, truth
from geocloud.errors import Forbidden, InvalidParameter, UnknownCollection, UnknownItem
from geocloud.geodesy.area import areas
from geocloud.jobs.model import Blob
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.grids import conflicts, fusion, responsible_process
from geocloud.sectors.grids.conflicts import grid_conflicts
from geocloud.sectors.grids.fusion import grid_fusion
from geocloud.sectors.grids.responsible_process import responsible_at
from geocloud.settings import Settings

SETTINGS = Settings()
GROUND = ("base.village", "base.township", "base.county", "base.building")
A, B = "grid.governance_grid", "grid.police_grid"
CONFLICT = "grid.boundary_conflict"


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(SETTINGS.city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    demo.load(urls.owner, "small", layers=[*GROUND, *LAYERS])
    return urls


@pytest.fixture
def run(city: Urls) -> Iterator[Run]:
    with open_run(SETTINGS, city.reader) as opened:
        yield opened


def frame(urls: Urls, layer: str, fields: str = "code") -> gpd.GeoDataFrame:
    with psycopg2.connect(urls.owner) as conn, conn.cursor() as cur:
        cur.execute(f"SELECT {fields}, ST_AsBinary(geom) FROM {layer} ORDER BY code")
        rows = cur.fetchall()
    names = [n.strip() for n in fields.split(",")]
    columns = {n: [r[i] for r in rows] for i, n in enumerate(names)}
    return gpd.GeoDataFrame(columns, geometry=shapely.from_wkb([bytes(r[-1]) for r in rows]), crs=4490)


def exact(shapes: Any) -> Any:
    return areas(shapely.segmentize(shapes, 1e-4))


def changed(urls: Urls, sql: str, *values: object) -> None:
    with psycopg2.connect(urls.owner) as conn, conn.cursor() as cur:
        cur.execute(sql, values)
        assert cur.rowcount > 0


def test_rows_are_those_of_geopandas(run: Run, city: Urls) -> None:
    found = grid_fusion(run, A, B)
    a, b = frame(city, A), frame(city, B)
    oracle = gpd.overlay(a.rename(columns={"code": "a"}), b.rename(columns={"code": "b"}), how="intersection")
    sizes = dict(zip(zip(oracle.a, oracle.b, strict=True), exact(oracle.geometry.to_numpy()), strict=True))
    rows = {(r["grid_a"], r["grid_b"]): r for r in found.document["rows"]}
    real = {p: m2 for p, m2 in sizes.items() if m2 > 0.05}
    assert real.keys() <= {p for p in rows if None not in p}
    for pair, m2 in real.items():
        assert rows[pair]["overlap_area_m2"] == pytest.approx(m2, rel=1e-6, abs=0.02)
    sums: dict[str, float] = {}
    for row in found.document["rows"]:
        sums[row["grid_a"]] = sums.get(row["grid_a"], 0.0) + row["share_of_a"] if row["grid_a"] else 0.0
    assert all(sums[k] == pytest.approx(1, abs=1e-9) for k in a.code)
    assert found.document["a"]["closure"] < 1e-9 and found.document["b"]["closure"] < 1e-9
    # Governance grids overlap once, so that ground of the police's lies in two of them.
    assert found.document["b"]["doubled_m2"] > 1 and found.document["a"]["doubled"] == []
    assert found.document["synthetic"]


def test_addresses_are_the_buildings_and_persons_the_villages(run: Run, city: Urls) -> None:
    found = grid_fusion(run, "grid.market_grid", "grid.fire_grid").document
    assert found["addresses"]["layer"] == "base.building" and found["addresses"]["counted"] == "every feature"
    houses, market = frame(city, "base.building"), frame(city, "grid.market_grid")
    with psycopg2.connect(city.owner) as conn, conn.cursor() as cur:
        cur.execute("SELECT ST_AsBinary(ST_PointOnSurface(geom)) FROM base.building ORDER BY code")
        points = shapely.from_wkb([bytes(r[0]) for r in cur.fetchall()])
    joined = gpd.sjoin(houses.set_geometry(gpd.GeoSeries(points, crs=4490)), market, predicate="within")
    counts = joined.groupby("code_right").size().to_dict()
    own: dict[str, int] = {}
    for row in found["rows"]:
        if row["grid_a"]:
            own[row["grid_a"]] = own.get(row["grid_a"], 0) + row["addresses"]
    assert own == {k: counts.get(k, 0) for k in market.code} and sum(own.values()) > 0
    villages = frame(city, "base.village", "code, population")
    met = gpd.overlay(villages[villages.geom_type != "Point"], market[["geometry"]], how="intersection")
    whole = dict(zip(villages.code, exact(villages.geometry.to_numpy()), strict=True))
    people = sum(p * m2 / whole[c] for c, p, m2 in
                 zip(met.code, met.population, exact(met.geometry.to_numpy()), strict=True))  # fmt: skip
    assert found["population"]["judged"] and found["population"]["by"] == "area"
    told = sum(r["population"] for r in found["rows"] if r["grid_a"])
    assert told == pytest.approx(people, rel=1e-4)
    floor = grid_fusion(run, "grid.market_grid", "grid.fire_grid", by="floor-area").document
    assert floor["population"]["houses"] == "base.building"
    assert {r["population"] for r in floor["rows"]} != {r["population"] for r in found["rows"]}


def test_what_was_not_asked_for_is_not_judged(run: Run) -> None:
    found = grid_fusion(run, A, B, addresses="none", population="none").document
    assert {r["addresses"] for r in found["rows"]} == {r["population"] for r in found["rows"]} == {None}
    assert found["addresses"]["verdict"] == "not-judged" and not found["population"]["judged"]
    for asked, error in (
        ({"a": A, "b": A}, InvalidParameter), ({"a": A, "b": "grid.nothing"}, UnknownCollection),
        ({"a": A, "b": "base.road"}, InvalidParameter), ({"a": A, "b": B, "date": "2026"}, InvalidParameter),
        ({"a": A, "b": B, "population_field": "name"}, InvalidParameter),
        ({"a": A, "b": B, "addresses": "base.nothing"}, UnknownCollection),
    ):  # fmt: skip
        with pytest.raises(error):
            grid_fusion(run, **asked)


@pytest.mark.parametrize("process", [fusion.PROCESS, conflicts.PROCESS], ids=lambda p: p.id)
def test_answers_are_what_outputs_say(run: Run, process: Any) -> None:
    asked = {"a": A, "b": B} if process.id == "grid-fusion" else {}
    found = process.run(run, asked, frozenset(o.name for o in process.outputs))
    main = process.outputs[0]
    jsonschema.validate(found[main.name], main.schema)
    places, table = found["places"], found["table"]
    assert isinstance(places, Blob) and isinstance(table, Blob)
    features = json.loads(places.data)["features"]
    rows = list(csv.DictReader(io.StringIO(table.data.decode("utf-8-sig"))))
    assert len(rows) == len(features) > 5
    assert all(shapely.from_geojson(json.dumps(f["geometry"])).area > 0 for f in features)


def test_all_that_was_planted_is_found_and_nothing_else(run: Run) -> None:
    found = grid_conflicts(run)
    told = [(b.rule, b.layer_a, b.key_a, b.layer_b, b.key_b) for b in found.found]
    planted = [(p.rule, p.layer_a, p.key_a, p.layer_b, p.key_b) for p in truth("small")]
    assert {p[0] for p in planted} == {"F1", "F2", "F3", "F4", "F5"}
    assert sorted(told) == sorted(planted)
    assert len({b.code for b in found.found}) == len(told)
    assert found.document["synthetic"] and found.document["not_judged"] == []
    (code,) = [b for b in found.found if b.rule == "F5"]
    assert code.said != code.found == code.key_b
    assert all(1 < b.width_m * 1.01 < 2 for b in found.found if b.rule == "F1" and b.layer_b == "base.village")


def test_tolerance_and_choice_of_layers(run: Run) -> None:
    tight = grid_conflicts(run, tolerance_m=0.5)
    assert {r["rule"]: r["conflicts"] for r in tight.document["rules"]}["F1"] == 0
    one = grid_conflicts(run, ["grid.fire_grid"])
    assert [b.rule for b in one.found] == ["F3"]
    assert [r["rule"] for r in grid_conflicts(run, rules=["F4"]).document["rules"]] == ["F4"]
    for asked in ({"layers": ["base.village"]}, {"rules": ["F9"]}, {"date": "2026-01-01", "record": True}):
        with pytest.raises(InvalidParameter):
            grid_conflicts(run, **asked)  # type: ignore[arg-type]
    with pytest.raises(Forbidden):
        grid_conflicts(run, record=True)


def test_conflicts_keep_their_identity_until_they_are_gone(city: Urls) -> None:
    def recorded(**asked: Any) -> dict[str, int]:
        with open_run(SETTINGS, city.reader, writer_url=city.writer) as opened:
            return dict(grid_conflicts(opened, record=True, **asked).document["recorded"])

    def kept() -> dict[str, tuple[Any, ...]]:
        with psycopg2.connect(city.owner) as conn, conn.cursor() as cur:
            cur.execute(f"SELECT code, fid, state, opinion FROM {CONFLICT}")
            return {r[0]: r[1:] for r in cur.fetchall()}

    planted = len(truth("small"))
    assert recorded() == {"new": planted, "returned": 0, "changed": 0, "kept": 0, "ended": 0}
    first = kept()
    assert recorded() == {"new": 0, "returned": 0, "changed": 0, "kept": planted, "ended": 0} and kept() == first
    overlap = next(c for c in first if c.startswith("F4"))
    changed(city, f"UPDATE {CONFLICT} SET state = 'coordinating', opinion = '以街道为准' WHERE code = %s", overlap)
    # The gap is closed, and the overlap grows: one ends, the other stays the same row.
    with psycopg2.connect(city.owner) as conn, conn.cursor() as cur:
        cur.execute("SELECT code, ST_AsBinary(geom) FROM grid.fire_grid")
        before = {r[0]: bytes(r[1]) for r in cur.fetchall()}
        gap = next(c for c in first if c.startswith("F3"))
        key = gap.rpartition("/")[2]
        cur.execute("UPDATE grid.fire_grid SET geom = (SELECT ST_Multi(geom) FROM base.village WHERE code = %s) "
                    "WHERE code = %s", (key, f"XF-{key}"))  # fmt: skip
    mended = recorded()
    assert mended["ended"] == 1 and mended["new"] == 0 and gap not in kept()
    assert kept()[overlap] == (first[overlap][0], "coordinating", "以街道为准")
    # Another department's run leaves the rows of others alone.
    assert recorded(layers=["grid.market_grid"]) == {"new": 0, "returned": 0, "changed": 0, "kept": 1, "ended": 0}
    assert len(kept()) == planted - 1
    with psycopg2.connect(city.owner) as conn, conn.cursor() as cur:
        cur.execute("UPDATE grid.fire_grid SET geom = ST_GeomFromWKB(%s, 4490) WHERE code = %s",
                    (before[f"XF-{key}"], f"XF-{key}"))  # fmt: skip
    again = recorded()
    assert again["returned"] == 1 and again["new"] == 0
    assert kept()[gap] == (first[gap][0], "reopened", None)
    with psycopg2.connect(city.owner) as conn, conn.cursor() as cur:
        cur.execute(f"SELECT count(*) FROM history.\"{CONFLICT}\" WHERE code = %s AND sys_to = 'infinity'", (gap,))
        assert cur.fetchone() == (1,)


def test_a_day_is_looked_at_as_it_was(city: Urls) -> None:
    changed(
        city,
        "SET LOCAL geocloud.change = 'correction'; "
        "UPDATE grid.police_grid SET valid_from = '2025-01-01' WHERE code LIKE 'JW-%%'",
    )
    with open_run(SETTINGS, city.reader) as opened:
        early = grid_fusion(opened, A, B, date="2024-06-01").document
        assert early["b"]["grids"] == 0 and all(r["grid_b"] is None for r in early["rows"])
        late = grid_fusion(opened, A, B, date="2025-06-01").document
        assert late["b"]["grids"] > 0
        row = next(r for r in late["rows"] if r["grid_b"])
        assert row["valid_from"].startswith("2024-12-31T16") or row["valid_from"].startswith("2025-01-01")
        assert not np.isnan(late["b"]["closure"])


def test_who_is_responsible_is_what_shapely_says(city: Urls) -> None:
    grids = {layer: frame(city, layer) for layer in LAYERS}
    box = shapely.box(*grids["grid.unit_grid"].total_bounds)
    rng = np.random.default_rng(11)
    xy = np.column_stack([rng.uniform(*box.bounds[0::2], 60), rng.uniform(*box.bounds[1::2], 60)])
    with open_run(SETTINGS, city.reader) as opened:
        for lon, lat in xy.tolist():
            found = responsible_at(opened, lon, lat)
            told = {d["layer"]: sorted(g["code"] for g in d["grids"]) for d in found["departments"]}
            point = shapely.Point(lon, lat)
            assert told == {i: sorted(f.code[f.contains(point)]) for i, f in grids.items()}
            assert ("overlap" in {d["kind"] for d in found["disagreements"]}) == any(len(c) > 1 for c in told.values())
        # Where the planted faults are, each is told.
        kinds = {}
        for b in grid_conflicts(opened).found:
            at = shapely.point_on_surface(b.place)
            kinds[b.rule] = {d["kind"] for d in responsible_at(opened, at.x, at.y)["disagreements"]}
        assert "overlap" in kinds["F4"] and "gap" in kinds["F3"] and "community" in kinds["F5"]
        code = grids["grid.fire_grid"].code[0]
        assert responsible_at(opened, address=code)["place"]["by"] == "code"
        name = responsible_at(opened, address="古楼街道")
        assert name["place"]["collection"] == "base.township" and name["place"]["by"] == "name"
        started = responsible_at(opened, address="古楼街")
        assert started["place"]["by"] == "name" and len(started["others"]) <= 4
        with pytest.raises(UnknownItem):
            responsible_at(opened, address="没有这个地方")
        for asked in ({}, {"lon": 116.0}, {"lon": 116.0, "lat": 36.0, "address": "x"}):
            with pytest.raises(InvalidParameter):
                responsible_at(opened, **asked)  # type: ignore[arg-type]
        document = responsible_process.PROCESS.run(
            opened, {"point": {"type": "Point", "coordinates": xy[0].tolist()}}, frozenset({"report"})
        )["report"]
        jsonschema.validate(document, responsible_process.PROCESS.outputs[0].schema)

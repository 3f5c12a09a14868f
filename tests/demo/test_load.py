# SPDX-License-Identifier: Apache-2.0
"""The demo city in a database: loaded whole, told as synthetic, taken out without a trace, real rows untouched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
import shapely

from geocloud import demo
from geocloud.catalogue.publish import read_catalogue, sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.errors import CatalogueError, LoadConflict

FEW = ["base.county", "base.parcel", "facility.school", "facility.component"]


@pytest.fixture
def conn(fresh_urls: Urls) -> Iterator[psycopg2.extensions.connection]:
    conn = psycopg2.connect(fresh_urls.owner)
    sync(conn, *read_layers(Path(__file__).resolve().parents[2] / "layers"))
    yield conn
    conn.close()


def rows(conn: Any, sql: str) -> list[Any]:
    with conn, conn.cursor() as cur:
        cur.execute(sql)
        return list(cur.fetchall()) if cur.description else []


def outcomes(results: list[demo.Loaded]) -> dict[str, str]:
    return {r.layer: r.outcome for r in results}


def test_what_is_loaded_is_what_is_generated(conn: Any, fresh_urls: Urls) -> None:
    told: list[tuple[str, int, int]] = []
    results = demo.load(fresh_urls.owner, "small", lambda *t: told.append(t), layers=FEW)
    assert outcomes(results) == dict.fromkeys(FEW, "loaded")
    for layer in FEW:
        made = pa.concat_tables(b.table() for b in demo.generate("small", layer))
        names = [n for n in made.column_names if n != "geom"]
        got = rows(conn, f"SELECT {', '.join(names)}, ST_AsBinary(geom) FROM {layer} ORDER BY fid")
        want = list(zip(*(made[n].to_pylist() for n in names), strict=True))
        assert [r[:-1] for r in got] == want
        stored = shapely.from_wkb([bytes(r[-1]) for r in got])
        assert (stored == shapely.from_wkb(made["geom"].to_pylist())).all()
        assert rows(conn, f"SELECT DISTINCT ST_SRID(geom) FROM {layer}") == [(4490,)]
        assert told[-1][0] == FEW[-1]
        assert [t for t in told if t[0] == layer][-1] == (layer, len(want), len(want))


def test_layers_say_that_they_are_synthetic_and_are_whole(conn: Any, fresh_urls: Urls) -> None:
    demo.load(fresh_urls.owner, "small", layers=FEW)
    for layer in FEW:
        found = read_catalogue(conn).layer(layer)
        assert found.synthetic
        assert found.title.zh.endswith("(示例数据)")
        assert found.state.row_count == rows(conn, f"SELECT count(*) FROM {layer}")[0][0] > 0
        extent = rows(
            conn,
            f"SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM (SELECT ST_Extent(geom) e FROM {layer}) x",
        )
        assert found.state.extent == pytest.approx(extent[0], abs=1e-9)
        assert found.state.version == 2
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'component'"
    keys = (
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'facility.component'::regclass AND contype IN ('u', 'f')"
    )
    assert rows(conn, indexes)[0][0] >= 6
    assert rows(conn, keys) == [(2,)]
    rows(conn, "INSERT INTO facility.component (code) VALUES ('3715020118999999')")
    assert (
        rows(conn, "SELECT count(*) FROM geocloud.change_log WHERE op = 'insert' AND layer = 'facility.component'")[0][
            0
        ]
        > 0
    )


def test_loading_again_changes_nothing(conn: Any, fresh_urls: Urls) -> None:
    demo.load(fresh_urls.owner, "small", layers=FEW)
    before = rows(conn, "SELECT layer, version, row_count FROM geocloud.layer_state ORDER BY 1")
    assert outcomes(demo.load(fresh_urls.owner, "small", layers=FEW)) == dict.fromkeys(FEW, "unchanged")
    assert rows(conn, "SELECT layer, version, row_count FROM geocloud.layer_state ORDER BY 1") == before


def test_a_layer_with_real_rows_is_left_alone(conn: Any, fresh_urls: Urls) -> None:
    rows(conn, "INSERT INTO base.county (code, name) VALUES ('371502', '东昌府区')")
    results = demo.load(fresh_urls.owner, "small", layers=FEW)
    assert outcomes(results) == dict.fromkeys(FEW, "loaded") | {"base.county": "kept-real"}
    assert rows(conn, "SELECT code, name, geom FROM base.county") == [("371502", "东昌府区", None)]
    assert not read_catalogue(conn).layer("base.county").synthetic


def test_clear_takes_out_synthetic_rows_only(conn: Any, fresh_urls: Urls) -> None:
    demo.load(fresh_urls.owner, "small", layers=FEW)
    synthetic = rows(conn, "SELECT count(*) FROM facility.school")[0][0]
    point = "ST_Point(116, 36, 4490)"
    rows(conn, f"INSERT INTO facility.school (code, name, geom) VALUES ('real', '真实学校', {point})")
    rows(conn, "UPDATE facility.school SET pupils = 100 WHERE code = 'real'")
    rows(conn, "UPDATE facility.school SET pupils = 5 WHERE fid = (SELECT min(fid) FROM facility.school)")
    removed = demo.clear(fresh_urls.owner)
    assert removed == {
        "base.county": 8,
        "base.parcel": 500,
        "facility.component": 1500,
        "facility.school": synthetic,
    }
    assert rows(conn, "SELECT code, pupils FROM facility.school") == [("real", 100)]
    assert rows(conn, 'SELECT DISTINCT code FROM history."facility.school"') == [("real",)]
    school = read_catalogue(conn).layer("facility.school")
    assert (school.synthetic, school.state.row_count, school.state.extent) == (False, 1, (116, 36, 116, 36))
    component = read_catalogue(conn).layer("facility.component")
    assert (component.synthetic, component.state.row_count, component.state.extent) == (False, 0, None)
    assert component.state.version == 3
    assert rows(conn, 'SELECT count(*) FROM history."facility.component"') == [(0,)]
    log = "SELECT op, row_count FROM geocloud.change_log WHERE layer = 'facility.component' AND fid IS NULL ORDER BY id"
    assert rows(conn, log) == [("delete", 1500)]
    assert demo.clear(fresh_urls.owner) == {}
    with pytest.raises(psycopg2.errors.FeatureNotSupported):
        rows(conn, "TRUNCATE facility.component")
    assert outcomes(demo.load(fresh_urls.owner, "small", layers=FEW))["facility.component"] == "loaded"


def test_cut_off_in_the_middle_leaves_the_layer_empty(conn: Any, fresh_urls: Urls) -> None:
    def fail(layer: str, done: int, total: int) -> None:
        if layer == "facility.component" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.load(fresh_urls.owner, "small", fail, layers=FEW)
    assert rows(conn, "SELECT count(*) FROM facility.component") == [(0,)]
    assert rows(conn, "SELECT count(*) FROM geocloud.source WHERE layer = 'facility.component'") == [(0,)]
    results = demo.load(fresh_urls.owner, "small", layers=FEW)
    assert outcomes(results) == dict.fromkeys(FEW, "unchanged") | {"facility.component": "loaded"}
    assert rows(conn, "SELECT count(*) FROM facility.component") == [(1500,)]


def test_a_busy_layer_is_named(conn: Any, fresh_urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.load(fresh_urls.owner, "small", layers=["facility.school"])
    monkeypatch.setattr("geocloud.demo.loading._LOCK_TIMEOUT", "200ms")
    with conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM facility.school")
    with pytest.raises(LoadConflict, match=r"facility\.school is being read or written"):
        demo.clear(fresh_urls.owner)
    conn.rollback()
    assert rows(conn, "SELECT count(*) > 0 FROM facility.school") == [(True,)]


def test_nothing_published_says_so(fresh_urls: Urls) -> None:
    with pytest.raises(CatalogueError, match="None of the demo's layers is published"):
        demo.load(fresh_urls.owner, "small")

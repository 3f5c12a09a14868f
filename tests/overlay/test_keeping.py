# SPDX-License-Identifier: Apache-2.0
"""Stamps kept through whatever is written: psql, loads, edits over HTTP, borders that move, work that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import shapely

from geocloud.catalogue.keys import add_key
from geocloud.catalogue.publish import read_catalogue
from geocloud.catalogue.spec import Source, Text
from geocloud.ingest.files import load_file
from geocloud.ingest.load import LoadOptions
from geocloud.overlay import keep
from geocloud.overlay.keep import stamp_written
from tests.ingest.loading import settings, write
from tests.overlay.conftest import THINGS, Blocks
from tests.web.conftest import run_server

ITEMS = f"/collections/{THINGS}/items"


def test_point_of_a_shared_border_is_in_one_zone(blocks: Blocks) -> None:
    middle, edge, inner, outside = (
        blocks.add(f"POINT({x} {y})") for x, y in [(116.01, 36.51), (116.01, 36.505), (116.015, 36.512), (116.5, 36.5)]
    )
    assert blocks.update().how == "whole"
    assert blocks.stamp(middle) is not None and blocks.stamp(middle)["township"] == blocks.township(0)
    assert blocks.stamp(edge)["township"] == blocks.township(0)
    assert blocks.stamp(inner)["township"] == blocks.township(3)
    assert blocks.stamp(outside)["township"] is None and blocks.stamp(outside)["county"] is None
    assert blocks.stamp(outside)["h3_10"] is not None


def test_lines_and_areas_lie_where_they_lie_wholly(blocks: Blocks) -> None:
    inside = blocks.add("LINESTRING(116.001 36.501, 116.009 36.509)")
    crossing = blocks.add("LINESTRING(116.001 36.501, 116.019 36.501)")
    touching = blocks.add("POLYGON((116.001 36.501, 116.01 36.501, 116.01 36.509, 116.001 36.501))")
    across = blocks.add("POLYGON((116.001 36.501, 116.011 36.501, 116.011 36.509, 116.001 36.501))")
    tiny = blocks.add("POLYGON((116.00305 36.50305, 116.00306 36.50305, 116.00306 36.50306, 116.00305 36.50305))")
    parts = blocks.add("GEOMETRYCOLLECTION(POINT(116.001 36.501), LINESTRING(116.002 36.501, 116.003 36.502))")
    apart = blocks.add("MULTIPOINT(116.001 36.501, 116.011 36.501)")
    assert blocks.update().how == "near"
    zero = blocks.township(0)
    assert [blocks.stamp(f)["township"] for f in (inside, crossing, touching, across, parts, apart)] == [
        zero, None, zero, None, zero, None,
    ]  # fmt: skip
    assert blocks.stamp(crossing)["county"] is not None
    assert blocks.stamp(inside)["h3_10"] is None and blocks.stamp(inside)["beidou"] is None
    point = blocks.add("POINT(116.003055 36.503055)")
    blocks.update()
    assert blocks.stamp(tiny) == blocks.stamp(point)


def test_nothing_is_somewhere(blocks: Blocks) -> None:
    """Rows without geometry, with an empty one, and with one that crosses itself are stamped like any other."""
    for wkt in (None, "POINT EMPTY", "GEOMETRYCOLLECTION EMPTY", "POLYGON EMPTY", "MULTIPOINT(EMPTY)"):
        fid = blocks.add(wkt)
        assert blocks.update().how == "near"
        assert blocks.stamp(fid) == dict.fromkeys(("county", "township", "village", "h3_8", "h3_10", "beidou"))
    bow = blocks.add("POLYGON((116.001 36.501, 116.002 36.502, 116.002 36.501, 116.001 36.502, 116.001 36.501))")
    assert blocks.update().how == "near"
    assert blocks.stamp(bow)["township"] == blocks.township(0)


def test_deleted_features_leave_no_row(blocks: Blocks) -> None:
    fid = blocks.add("POINT(116.001 36.501)")
    blocks.update()
    assert blocks.stamp(fid)
    blocks.run(f"DELETE FROM {THINGS} WHERE fid = %s", fid)
    assert not blocks.current()
    assert blocks.update().how == "near"
    assert blocks.stamp(fid) is None and blocks.current()


def test_moved_border_stamps_what_is_near(blocks: Blocks) -> None:
    """A strip of a thousandth of a degree changes hands: of 400 points those in it are stamped again."""
    points = [f"POINT({116 + (k % 20) / 1000 + 0.00005} {36.5 + (k // 20) / 1000 + 0.00005})" for k in range(400)]
    blocks.run(
        f"INSERT INTO {THINGS} (code, geom) SELECT 'near-' || n, ST_GeomFromText(wkt, 4490) "
        "FROM unnest(%s::text[]) WITH ORDINALITY AS u (wkt, n)",
        points,
    )
    line = blocks.add("LINESTRING(116.0092 36.5035, 116.0108 36.5035)")
    blocks.update()
    assert blocks.stamp(line)["township"] is None
    zero, one = blocks.township(0), blocks.township(1)
    conn = psycopg2.connect(blocks.urls.owner)
    with conn, conn.cursor() as cur:
        for fid, west, east in ((zero, 116.0, 116.011), (one, 116.011, 116.02)):
            cur.execute(
                "UPDATE base.township SET geom = ST_MakeEnvelope(%s, 36.5, %s, 36.51, 4490) WHERE fid = %s",
                (west, east, fid),
            )
    conn.close()
    assert not blocks.current()
    done = blocks.update()
    assert (done.how, done.zones_moved) == ("near", 2)
    assert 10 <= done.stamped < 40
    assert blocks.stamp(line)["township"] == zero
    found = blocks.run(
        f'SELECT count(*) FROM {THINGS} t JOIN stamps."{THINGS}" s USING (fid) WHERE s.township IS DISTINCT FROM '
        "(SELECT min(z.fid) FROM base.township z WHERE ST_Dimension(z.geom) = 2 AND ST_Covers(z.geom, t.geom))"
    )
    assert found == [(0,)] and blocks.current()


def test_zone_that_ends_and_one_that_comes(blocks: Blocks) -> None:
    fid = blocks.add("POINT(116.005 36.515)")
    blocks.update()
    two = blocks.township(2)
    assert blocks.stamp(fid)["township"] == two
    blocks.run("DELETE FROM base.township WHERE fid = %s", two)
    assert blocks.update().how == "near"
    assert blocks.stamp(fid)["township"] is None
    blocks.run(
        "INSERT INTO base.township (code, name, geom) "
        "VALUES ('371599002', 'T2', ST_MakeEnvelope(116, 36.51, 116.01, 36.52, 4490))"
    )
    assert blocks.update().how == "near"
    assert blocks.stamp(fid)["township"] == blocks.township(2) != two


def test_zone_that_holds_from_a_date_on(blocks: Blocks) -> None:
    """A new boundary that begins ahead is not used before; the state says until when it is good."""
    fid = blocks.add("POINT(116.005 36.505)")
    blocks.update()
    zero = blocks.township(0)
    assert blocks.stamp(fid)["township"] == zero
    conn = psycopg2.connect(blocks.urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute("SELECT set_config('geocloud.valid_at', (clock_timestamp() + interval '3 seconds')::text, true)")
        cur.execute(
            "UPDATE base.township SET geom = ST_MakeEnvelope(116, 36.5, 116.001, 36.51, 4490) WHERE fid = %s", (zero,)
        )
    conn.close()
    blocks.update()
    assert blocks.stamp(fid)["township"] == zero and blocks.current()
    blocks.run("SELECT pg_sleep(3.2)")
    assert not blocks.current()
    assert blocks.update().how == "near"
    assert blocks.stamp(fid)["township"] is None and blocks.current()
    blocks.run("UPDATE base.township SET geom = ST_MakeEnvelope(116, 36.5, 116.011, 36.51, 4490) WHERE fid = %s", zero)
    blocks.update()
    assert blocks.stamp(fid)["township"] == zero


def test_load_stamps_in_its_transaction(blocks: Blocks, tmp_path: Path) -> None:
    blocks.update()
    conn = psycopg2.connect(blocks.urls.owner)
    layer = read_catalogue(conn).layers[THINGS]
    conn.close()
    rows = [{"code": f"L{k}", "note": "a", "at": shapely.Point(116.0005 + k / 1000, 36.5005)} for k in range(15)]
    bureau = Source(title=Text(zh="局", en="bureau"), licence="CC0-1.0")
    how = LoadOptions(written=stamp_written, origin=bureau)
    first = write(tmp_path / "a.gpkg", rows)
    done = load_file(blocks.urls.owner, first, layer, settings=settings(tmp_path), options=how)
    assert done.new == 15 and blocks.current()
    rows[0]["at"] = shapely.Point(116.0155, 36.5005)
    again = replace(how, full=True, full_scope="source")
    second = write(tmp_path / "b.gpkg", rows[:10])
    done = load_file(blocks.urls.owner, second, layer, settings=settings(tmp_path), options=again)
    assert (done.changed, done.retired) == (1, 5) and blocks.current()
    found = dict(
        blocks.run(f"SELECT code, s.township FROM {THINGS} t JOIN stamps.\"{THINGS}\" s USING (fid) WHERE code ~ '^L'")
    )
    assert found == {f"L{k}": blocks.township(1 if k == 0 else 0) for k in range(10)}
    left = blocks.run(f'SELECT count(*) FROM stamps."{THINGS}" WHERE fid NOT IN (SELECT fid FROM {THINGS})')
    assert left == [(0,)]


def test_failed_load_leaves_nothing(blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks.update()
    before = blocks.run(f'SELECT count(*) FROM stamps."{THINGS}"')
    conn = psycopg2.connect(blocks.urls.owner)
    layer = read_catalogue(conn).layers[THINGS]
    conn.close()

    def broken(cur: Any, layer_id: str) -> None:
        stamp_written(cur, layer_id)
        raise RuntimeError("the machine was switched off")

    path = write(tmp_path / "c.gpkg", [{"code": "F1", "note": "", "at": (116.001, 36.501)}])
    with pytest.raises(RuntimeError):
        load_file(blocks.urls.owner, path, layer, settings=settings(tmp_path), options=LoadOptions(written=broken))
    assert blocks.run(f'SELECT count(*) FROM stamps."{THINGS}"') == before and blocks.current()


def test_whole_layer_that_fails_is_not_used(blocks: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed half way, what is there is not said to be current; the next run makes it right."""
    blocks.run("DELETE FROM geocloud.stamp_state WHERE layer = %s", THINGS)
    monkeypatch.setattr(keep, "_BATCH", 50)
    written = keep.write_stamps
    calls = []

    def dies(cur: Any, layer_id: str, stamps: Any) -> None:
        calls.append(len(stamps))
        if len(calls) > 2:
            raise RuntimeError("killed")
        written(cur, layer_id, stamps)

    with monkeypatch.context() as then, pytest.raises(RuntimeError):
        then.setattr(keep, "write_stamps", dies)
        blocks.update()
    assert not blocks.current()
    done = blocks.update()
    rows = blocks.run(f"SELECT count(*) FROM {THINGS}")[0][0]
    assert (done.how, done.stamped) == ("whole", rows) and blocks.current()


def test_writer_that_does_not_end_is_not_waited_for(blocks: Blocks) -> None:
    blocks.add("POINT(116.001 36.501)")
    other = psycopg2.connect(blocks.urls.owner)
    try:
        with other.cursor() as cur:
            cur.execute(f"DELETE FROM {THINGS} WHERE false")
            assert blocks.update().how == "busy"
    finally:
        other.rollback()
        other.close()
    assert blocks.update().how == "near"


def test_history_that_was_taken_out_is_noticed(blocks: Blocks) -> None:
    """Rows purged with their history leave no trace in time; the rows are counted, and all is stamped anew."""
    fid = blocks.add("POINT(116.001 36.501)")
    blocks.update()
    blocks.run(f"DELETE FROM {THINGS} WHERE fid = %s", fid)
    blocks.run(f'DELETE FROM history."{THINGS}" WHERE fid = %s', fid)
    assert blocks.update().how == "whole"
    assert blocks.stamp(fid) is None


@pytest.fixture(scope="module")
def web(blocks: Blocks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    conn = psycopg2.connect(blocks.urls.owner)
    key = add_key(conn, "all", ["*"], needs_version=False)
    conn.close()
    home = tmp_path_factory.mktemp("home")
    for base in run_server(blocks.urls.reader, home, blocks.urls.writer, blocks.urls.jobs, GEOCLOUD_EDITING="true"):
        headers = {"accept-language": "en", "authorization": f"Bearer {key}"}
        with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
            yield client


def _feature(x: float, y: float, code: str) -> dict[str, Any]:
    return {
        "type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": {"code": code},
    }  # fmt: skip


def test_edits_over_http(blocks: Blocks, web: httpx.Client) -> None:
    """Create, move, reword, delete: after each the stamps are those of the new version, without a job."""
    blocks.update()
    zero, one = blocks.township(0), blocks.township(1)
    made = web.post(ITEMS, json=_feature(116.0155, 36.5055, "H1"), headers={"content-type": "application/geo+json"})
    assert made.status_code == 201, made.text
    fid = int(made.headers["location"].rsplit("/", 1)[1])
    assert blocks.stamp(fid)["township"] == one and blocks.current()
    patch = {"content-type": "application/merge-patch+json"}
    moved = {"geometry": {"type": "Point", "coordinates": [116.0055, 36.5055]}}
    assert web.patch(f"{ITEMS}/{fid}", json=moved, headers=patch).status_code in (200, 204)
    assert blocks.stamp(fid)["township"] == zero and blocks.current()
    reworded = web.patch(f"{ITEMS}/{fid}", json={"properties": {"note": "n"}}, headers=patch)
    assert reworded.status_code in (200, 204)
    assert blocks.stamp(fid)["township"] == zero and blocks.current()
    assert web.delete(f"{ITEMS}/{fid}").status_code in (200, 204)
    assert blocks.stamp(fid) is None and blocks.current()


def test_transaction_and_return_over_http(blocks: Blocks, web: httpx.Client) -> None:
    blocks.update()
    zero, one = blocks.township(0), blocks.township(1)
    there = blocks.add("POINT(116.0155 36.5055)")
    blocks.update()
    before = blocks.run("SELECT clock_timestamp()::text")[0][0]
    items = [_feature(116.0055, 36.5055, "T1"), _feature(116.0155, 36.5056, "T2") | {"geometry": None}]
    parts = [
        {"action": "insert", "collection": THINGS, "items": items},
        {"action": "update", "collection": THINGS, "id": str(there), "ifMatch": "*",
         "patch": {"geometry": {"type": "Point", "coordinates": [116.0056, 36.5055]}}},
    ]  # fmt: skip
    done = web.post("/transactions", json={"semantic": "atomic", "transaction": parts})
    assert done.status_code == 200, done.text
    assert blocks.stamp(there)["township"] == zero and blocks.current()
    (made,) = blocks.run(f"SELECT fid FROM {THINGS} WHERE code = 'T1'")[0]
    (blank,) = blocks.run(f"SELECT fid FROM {THINGS} WHERE code = 'T2'")[0]
    assert blocks.stamp(made)["township"] == zero and set((blocks.stamp(blank) or {"": 1}).values()) == {None}
    back = web.post(
        f"/collections/{THINGS}/restore",
        json={"asof": before.replace(" ", "T")[:23] + "Z", "features": [there, made, blank]},
    )
    assert back.status_code == 200, back.text
    assert blocks.stamp(there)["township"] == one
    assert blocks.stamp(made) is None and blocks.stamp(blank) is None and blocks.current()


def test_zone_that_moves_under_an_edit(blocks: Blocks, web: httpx.Client) -> None:
    """An edited township: the layers around are behind, itself included, until they are brought up to date."""
    zero = blocks.township(0)
    blocks.update()
    blocks.run("UPDATE base.township SET geom = ST_MakeEnvelope(116, 36.5, 116.012, 36.51, 4490) WHERE fid = %s", zero)
    made = web.post(ITEMS, json=_feature(116.0115, 36.5055, "Z1"), headers={"content-type": "application/geo+json"})
    assert made.status_code == 201
    assert not blocks.current()
    assert blocks.update().how == "near" and blocks.current()
    fid = int(made.headers["location"].rsplit("/", 1)[1])
    assert blocks.stamp(fid)["township"] == zero


def test_change_with_a_date_ahead_is_left_for_later(blocks: Blocks, web: httpx.Client) -> None:
    blocks.update()
    headers = {"content-type": "application/geo+json"}
    made = web.post(f"{ITEMS}?valid-from=2099-01-01", json=_feature(116.0055, 36.5055, "D1"), headers=headers)
    assert made.status_code == 201, made.text
    assert not blocks.current()
    blocks.update()
    fid = int(made.headers["location"].rsplit("/", 1)[1])
    assert blocks.stamp(fid) is None and blocks.current()


def test_read_over_http(blocks: Blocks, web: httpx.Client) -> None:
    fid = blocks.add("POINT(116.0055 36.5055)")
    blocks.update()
    path = f"/collections/{THINGS}/stamps"
    page = web.get(path, params={"limit": 1, "after": fid - 1}).json()
    (row,) = page["stamps"]
    assert row["fid"] == fid and row["township"] == "371599000" and row["township_name"] == "T0"
    assert row["county_name"] == "C" and row["h3_8"].startswith("88") and row["h3_10"].startswith("8a")
    assert len(row["beidou"]) == 12 and page["current"] == dict.fromkeys(page["current"], True)
    first = web.get(path, params={"limit": 2}).json()
    following = next(one["href"] for one in first["links"] if one["rel"] == "next")
    assert web.get(following).json()["stamps"][0]["fid"] > first["stamps"][-1]["fid"]
    table = web.get(path, params={"f": "csv", "limit": 3})
    lines = table.text.lstrip("\ufeff").splitlines()
    assert lines[0].startswith("fid,code,county,county_name,township,") and len(lines) == 4
    assert 'rel="next"' in table.headers["link"]
    assert web.get(path, headers={"if-none-match": web.get(path).headers["etag"]}).status_code == 304
    for bad in ("limit=0", "after=x", "nothing=1", "limit=1&limit=2", "f=html"):
        assert web.get(f"{path}?{bad}").status_code in (400, 406)
    assert web.get("/collections/test.nothing/stamps").status_code == 404

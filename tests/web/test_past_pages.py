# SPDX-License-Identifier: Apache-2.0
"""Pages of the past, walked to the end: every feature of that time once, whatever became of it since."""

from __future__ import annotations

import httpx
import pytest

from tests.web.editing import ASSET, Table

ITEMS = f"/collections/{ASSET}/items"
ROWS = 400


@pytest.fixture(scope="module")
def moments(table: Table) -> dict[str, str]:
    """400 features: changed, ended and added at dates, then spoilt in bulk; asof moments of before and after."""
    table.run(
        "INSERT INTO test.asset (fid, code, name, year, valid_from, geom) SELECT i, 'P' || i, 'v1', i %% 7, "
        "CASE WHEN i %% 5 = 0 THEN '2020-01-01Z'::timestamptz ELSE '2010-01-01Z' END, "
        "ST_Point(115.5 + i * 0.001, 36.5, 4490) FROM generate_series(1, %s) i",
        ROWS,
    )
    found = {"first": _stamp(table)}
    for statement in (
        "UPDATE test.asset SET name = 'v2' WHERE fid <= 150",
        "DELETE FROM test.asset WHERE fid BETWEEN 100 AND 220",
    ):
        table.run(f"SELECT set_config('geocloud.valid_at', '2022-01-01Z', true); {statement}")
    found["second"] = _stamp(table)
    table.run("SELECT set_config('geocloud.change', 'correction', true); DELETE FROM test.asset WHERE fid > 390")
    table.run("UPDATE test.asset SET name = 'v3' WHERE fid > 300")
    table.run("INSERT INTO test.asset (fid, code, name, valid_from) SELECT i, 'P' || i, 'late', '2024-01-01Z' "
              "FROM generate_series(1001, 1100) i")  # fmt: skip
    return found | {"third": _stamp(table)}


def _stamp(table: Table) -> str:
    (row,) = table.run("SELECT stamp::text AS at FROM geocloud.layer_state WHERE layer = %s", ASSET)
    return str(row["at"]).replace(" ", "T") + ":00"


def truth(table: Table, valid: str, believed: str | None, where: str = "true") -> list[tuple[int, str]]:
    columns = "fid, name, year, geom, valid_from, valid_to, sys_from"
    rows = table.run(
        f"SELECT fid, name FROM (SELECT {columns}, 'infinity'::timestamptz AS sys_to FROM test.asset "
        f'UNION ALL SELECT {columns}, sys_to FROM history."test.asset") b '
        "WHERE valid_from <= %s AND valid_to > %s AND sys_from <= coalesce(%s, now()) "
        f"AND sys_to > coalesce(%s, now()) AND {where} ORDER BY fid",
        valid, valid, believed, believed,
    )  # fmt: skip
    return [(r["fid"], r["name"]) for r in rows]


def walk(edit: httpx.Client, **asked: str) -> list[tuple[int, str]]:
    found, address, params = [], ITEMS, {"limit": "30", **asked}
    while address:
        assert len(found) <= 2 * ROWS, "the walk does not end"
        page = edit.get(address, params=params or None).json()
        found += [(f["id"], f["properties"]["name"]) for f in page["features"]]
        address, params = next((x["href"] for x in page["links"] if x["rel"] == "next"), ""), {}
    return found


VALID = ("2009-06-01T00:00:00Z", "2015-06-01T00:00:00Z", "2021-06-01T00:00:00Z", "2023-06-01T00:00:00Z",
         "2025-06-01T00:00:00Z")  # fmt: skip


@pytest.mark.parametrize("valid", VALID)
@pytest.mark.parametrize("believed", [None, "first", "second", "third"])
def test_a_walk_finds_each_feature_once(
    edit: httpx.Client, table: Table, moments: dict[str, str], valid: str, believed: str | None
) -> None:
    asked = {"datetime": valid} | ({"asof": moments[believed]} if believed else {})
    expected = truth(table, valid, moments[believed] if believed else None)
    assert walk(edit, **asked) == expected
    backwards = sorted(expected, key=lambda r: (r[1], -r[0]))
    assert sorted(walk(edit, sortby="-name", **asked), key=lambda r: (r[1], -r[0])) == backwards
    one = edit.get(ITEMS, params={"limit": "1000", **asked}).json()
    assert [(f["id"], f["properties"]["name"]) for f in one["features"]] == expected


@pytest.mark.parametrize("believed", [None, "first", "third"])
def test_conditions_and_boxes_hold_at_that_time(
    edit: httpx.Client, table: Table, moments: dict[str, str], believed: str | None
) -> None:
    valid, moment = VALID[2], moments[believed] if believed else None
    asked = {"datetime": valid} | ({"asof": moment} if moment else {})
    assert walk(edit, filter="year = 3", **asked) == truth(table, valid, moment, "year = 3")
    inside = "ST_X(geom) BETWEEN 115.55 AND 115.75"
    assert walk(edit, bbox="115.55,36,115.75,37", **asked) == truth(table, valid, moment, inside)
    got = edit.get(ITEMS, params={"offset": "40", "limit": "10", **asked}).json()["features"]
    assert [(f["id"], f["properties"]["name"]) for f in got] == truth(table, valid, moment)[40:50]
    matched = edit.get(ITEMS, params={"limit": "1", **asked}).json()["numberMatched"]
    assert matched == len(truth(table, valid, moment))

# SPDX-License-Identifier: Apache-2.0
"""Rejected rows: which they are, where they go, with which reasons; and loads that must not go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from geocloud.db.cluster import Urls
from geocloud.errors import DataFolderError, IngestError, RowsRejected
from geocloud.rules.codes import rule
from tests.ingest.loading import ask, field, load, publish, spec, write

OK = {
    "code": "A",
    "name": "井盖",
    "state": "good",
    "height": 1.5,
    "slots": "3",
    "built": "2020-02-29",
    "at": (116.0, 36.4),
}
BAD: list[tuple[str, dict[str, Any]]] = [
    ("GC-501", {"code": None}),
    ("GC-501", {"code": "   "}),
    ("GC-502", {"slots": "三"}),
    ("GC-502", {"built": "2021-02-29"}),
    ("GC-503", {"name": "名" * 21}),
    ("GC-505", {"height": 100.5}),
    ("GC-506", {"state": "ugly"}),
    ("GC-512", {"since": "2020-01-02", "until": "2020-01-01"}),
    ("GC-402", {"at": (float("inf"), 36.0)}),
    ("GC-402", {"at": (116.0, 95.0)}),
    ("GC-410", {"at": shapely.LineString([(116, 36), (117, 36)])}),
    ("GC-409", {"at": shapely.MultiPoint([(116, 36), (117, 36)])}),
    ("GC-601", {"code": "A"}),
]


def row(k: int, more: dict[str, Any]) -> dict[str, Any]:
    return OK | {"code": f"R{k}", "since": None, "until": None} | more


@pytest.mark.parametrize("direct_rows", [0, 10**9], ids=["direct", "staged"])
def test_every_reason_is_in_the_file(urls: Urls, tmp_path: Path, direct_rows: int) -> None:
    name = f"q{min(direct_rows, 1)}"
    layer = publish(urls.owner, spec(name))[f"facility.{name}"]
    rows = [row(0, {"code": "A"}), *(row(k, more) for k, (_, more) in enumerate(BAD, 1)), row(99, {})]
    result = load(urls.owner, write(tmp_path / "a.gpkg", rows), layer, tmp_path, ingest={"direct_rows": direct_rows})
    assert (result.read, result.new, result.rejected) == (len(rows), 2, len(BAD))
    assert ask(urls.owner, f"SELECT code FROM {layer.table} ORDER BY code") == [("A",), ("R99",)]

    assert result.quarantine is not None
    assert result.quarantine.parent == tmp_path / "quarantine"
    kept = geopandas.read_file(result.quarantine)
    assert kept.crs.to_epsg() == 4490
    by_row = {r["gc_row"]: r for _, r in kept.iterrows()}
    assert sorted(by_row) == list(range(2, len(BAD) + 2))
    for number, (code, more) in enumerate(BAD, 2):
        got = by_row[number]
        assert got["gc_rules"] == code
        assert rule(code).title.zh and got["gc_messages_zh"] and got["gc_messages_en"]
        assert str(number) in got["gc_messages_en"] and str(number) in got["gc_messages_zh"]
        wanted = row(number - 1, more)
        for column in ("name", "state", "height", "slots", "built"):
            assert got[column] == wanted[column]
        shape = shapely.Point(wanted["at"]) if isinstance(wanted["at"], tuple) else wanted["at"]
        assert shapely.equals_identical(got.geometry, shape)
    assert not list((tmp_path / "quarantine").glob(".*"))
    totals = {(r["code"]): r["count"] for r in result.report.as_dict()["rules"] if r["severity"] == "error"}
    assert totals == {c: sum(b[0] == c for b in BAD) for c in dict.fromkeys(b[0] for b in BAD)}


def test_mended_quarantine_loads_again(urls: Urls, tmp_path: Path) -> None:
    layer = publish(urls.owner, spec("mended"))["facility.mended"]
    rows = [row(1, {}), row(2, {"height": -1.0}), row(3, {"state": "?"})]
    result = load(urls.owner, write(tmp_path / "a.gpkg", rows), layer, tmp_path, quarantine=tmp_path / "q.gpkg")
    assert result.quarantine == tmp_path / "q.gpkg"
    mended = geopandas.read_file(tmp_path / "q.gpkg")
    mended["height"], mended["state"] = 2.0, "bad"
    mended.to_file(tmp_path / "mended.gpkg")
    again = load(urls.owner, tmp_path / "mended.gpkg", layer, tmp_path)
    assert (again.new, again.rejected) == (2, 0)
    assert ask(urls.owner, f"SELECT code, height FROM {layer.table} ORDER BY code") == [
        ("R1", 1.5),
        ("R2", 2.0),
        ("R3", 2.0),
    ]


def test_original_coordinates_are_kept(urls: Urls, tmp_path: Path) -> None:
    """The quarantine file is in the source's system, whatever the layer stores."""
    layer = publish(urls.owner, spec("projected"))["facility.projected"]
    rows = [row(1, {"at": (490_000.0, 4_030_000.0)}), row(2, {"height": -1.0, "at": (491_000.5, 4_030_000.25)})]
    result = load(urls.owner, write(tmp_path / "a.gpkg", rows, "EPSG:4548"), layer, tmp_path)
    assert result.quarantine is not None
    kept = geopandas.read_file(result.quarantine)
    assert kept.crs.to_epsg() == 4548
    assert kept.geometry.iloc[0].coords[0] == (491_000.5, 4_030_000.25)
    ((x, y),) = ask(
        urls.owner, f"SELECT ST_X(g), ST_Y(g) FROM (SELECT ST_Transform(geom, 4548) g FROM {layer.table}) t"
    )
    assert (x, y) == pytest.approx((490_000.0, 4_030_000.0), abs=1e-3)


@pytest.mark.parametrize("direct_rows", [0, 10**9], ids=["direct", "staged"])
def test_strict_loads_nothing(urls: Urls, tmp_path: Path, direct_rows: int) -> None:
    name = f"strict{min(direct_rows, 1)}"
    layer = publish(urls.owner, spec(name))[f"facility.{name}"]
    path = write(tmp_path / "a.gpkg", [row(1, {}), row(2, {"height": -1.0})])
    with pytest.raises(RowsRejected) as caught:
        load(urls.owner, path, layer, tmp_path, strict=True, ingest={"direct_rows": direct_rows})
    assert caught.value.exit_code == 43
    kept = geopandas.read_file(caught.value.context["quarantine"])
    assert kept["gc_rules"].tolist() == ["GC-505"]
    assert ask(urls.owner, f"SELECT count(*) FROM {layer.table}") == [(0,)]
    assert ask(urls.owner, "SELECT version, row_count FROM geocloud.layer_state WHERE layer = %s", layer.id) == [(1, 0)]


def test_nothing_accepted_is_an_error(urls: Urls, tmp_path: Path) -> None:
    layer = publish(urls.owner, spec("none_ok"))["facility.none_ok"]
    with pytest.raises(RowsRejected):
        load(urls.owner, write(tmp_path / "a.gpkg", [row(1, {"height": -1.0})]), layer, tmp_path)


def test_required_column_missing_refuses_the_file(urls: Urls, tmp_path: Path) -> None:
    layer = publish(urls.owner, spec("no_key"))["facility.no_key"]
    path = write(tmp_path / "a.gpkg", [{"label": "x", "at": (116.0, 36.0)}])
    with pytest.raises(IngestError, match="GC-511"):
        load(urls.owner, path, layer, tmp_path)
    assert load(urls.owner, path, layer, tmp_path, columns={"code": "label"}).new == 1


def test_quarantine_folder_that_cannot_be_written(urls: Urls, tmp_path: Path) -> None:
    layer = publish(urls.owner, spec("unwritable"))["facility.unwritable"]
    (tmp_path / "file").write_text("")
    path = write(tmp_path / "a.gpkg", [row(1, {}), row(2, {"height": -1.0})])
    with pytest.raises(DataFolderError):
        load(urls.owner, path, layer, tmp_path, quarantine=tmp_path / "file" / "q.gpkg")
    assert ask(urls.owner, f"SELECT count(*) FROM {layer.table}") == [(0,)]


def test_names_that_clash_are_kept_apart(urls: Urls, tmp_path: Path) -> None:
    fields = [field("code", required=True), field("height", "number", minimum=0)]
    layer = publish(urls.owner, spec("clash", fields=fields, valid_time={}))["facility.clash"]
    rows = [{"code": str(k), "height": h, "gc_row": 6 + k, "at": (116.0, 36.0)} for k, h in ((1, -1.0), (2, 1.0))]
    result = load(urls.owner, write(tmp_path / "a.gpkg", rows), layer, tmp_path)
    assert result.quarantine is not None
    kept = geopandas.read_file(result.quarantine)
    assert (kept["gc_row_"][0], kept["gc_row"][0]) == (7, 1)

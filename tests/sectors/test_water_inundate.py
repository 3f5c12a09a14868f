# SPDX-License-Identifier: Apache-2.0
"""Flooded ground against a search cell by cell and shapes measured by themselves; what is asked wrongly is told."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from rasterio.transform import from_origin

from geocloud.db.cluster import Urls
from geocloud.demo.relief import NAME, clear_dem, write_dem
from geocloud.errors import InvalidBody, InvalidParameter, TooLarge, UnreadableFile
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import Run, open_run
from geocloud.sectors.water import inundate
from geocloud.sectors.water.flood import joined
from geocloud.sensing.model import Datastream
from geocloud.settings import RasterSettings, Settings
from tests.rasters.test_rasters import register, write
from tests.sectors.water import insert, publish, take

GEOD = pyproj.Geod(a=6378137.0, rf=298.257222101)
NOW = datetime(2024, 7, 27, 12, tzinfo=UTC)
WEST, NORTH, STEP = 116.0, 36.52, 0.001
GAUGE = "facility.river_gauge"


def heights() -> Any:
    """20 rows, 40 columns: a valley in row 10 from west to east at 30 m, ground at 33 m; a hollow at 31 m behind higher
    ground; a cell joined at a corner alone; a cell of nothing beside the valley."""
    found = np.full((20, 40), 33.0, dtype=np.float32)
    found[10, :] = 30.0
    found[9, 5:15] = 31.4
    found[2:5, 20:30] = 31.0
    found[8, 15] = 31.5
    found[11, 7] = np.nan
    return found


def brute(low: Any, seeds: list[tuple[int, int]], connectivity: int) -> set[tuple[int, int]]:
    steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0) and (connectivity == 8 or 0 in (a, b))]
    found = {s for s in seeds if low[s]}
    wait = deque(found)
    while wait:
        r, c = wait.popleft()
        for a, b in steps:
            n = (r + a, c + b)
            if 0 <= n[0] < low.shape[0] and 0 <= n[1] < low.shape[1] and low[n] and n not in found:
                found.add(n)
                wait.append(n)
    return found


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("seed", range(4))
def test_joined_cells_are_those_of_a_search(seed: int, connectivity: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.random((40, 53)) < (0.62 if connectivity == 4 else 0.45)
    seeds = rng.integers((0, 0), low.shape, (6, 2))
    found = joined(low, seeds, connectivity)
    assert {(int(r), int(c)) for r, c in np.argwhere(found)} == brute(
        low, [(int(r), int(c)) for r, c in seeds], connectivity
    )


def cell_area(row: int) -> float:
    """m2 of a cell on the ellipsoid, its parallels followed in small steps."""
    north = NORTH - row * STEP
    t = np.linspace(0, STEP, 50)
    lon = np.concatenate((WEST + t, WEST + t[::-1]))
    lat = np.concatenate((np.full(50, north - STEP), np.full(50, north)))
    return abs(float(GEOD.polygon_area_perimeter(lon, lat)[0]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rasters")
    write(path, "valley", heights(), from_origin(WEST, NORTH, STEP, STEP))
    about = (path / "valley.yaml").read_text("utf-8")
    write(path, "unknown", heights(), from_origin(WEST, NORTH, STEP, STEP))
    register(path, "unknown", about=about.replace("datum: 1985 国家高程基准", "datum: null"))
    write(path, "plan", np.full((30, 30), 31.0, np.float32), from_origin(500_000, 4_040_000, 100, 100), "EPSG:4548")
    write(path, "rain", heights(), from_origin(WEST, NORTH, STEP, STEP))
    register(path, "rain", about=about + "quantity: rain\n")
    write(path, "broken", heights(), from_origin(WEST, NORTH, STEP, STEP))
    data = (path / "broken.tif").read_bytes()
    (path / "broken.tif").write_bytes(data[: len(data) // 2])
    return path


@pytest.fixture(scope="module")
def run(urls: Urls, folder: Path) -> Iterator[Run]:
    publish(urls)
    insert(urls, GAUGE, [
        {"code": "GOOD0000", "name": "好站", "datum_name": "假定基面", "datum_height_m": 20.0,
             "geom": "POINT(116.0205 36.5095)"},
        {"code": "DARK0000", "name": "暗站", "datum_name": "假定基面", "geom": "POINT(116.0205 36.5095)"},
        {"code": "LOST0000", "name": "无位置"},
        {"code": "MUTE0000", "name": "无读数", "datum_name": "85", "geom": "POINT(116.0205 36.5095)"},
    ])  # fmt: skip
    streams = [
        Datastream(layer=GAUGE, device=c, property="water_level", unit="m", interval_s=3600)
        for c in ("GOOD0000", "DARK0000")
    ]
    take(urls, streams, [((GAUGE, s.device, "water_level"), NOW, 12.0) for s in streams])
    insert(
        urls,
        "water.river_reach",
        [{"code": "R1", "name": "甲河", "geom": "LINESTRING(116.0005 36.5095,116.0395 36.5095)"}],
    )
    insert(urls, "base.village", VILLAGES)
    insert(urls, "base.building", [
        {"code": f"B{i}", "use": "residential" if i % 2 else "public", "households": 2,
         "geom": f"MULTIPOLYGON((({x} {y},{x + d} {y},{x + d} {y + d},{x} {y + d},{x} {y})))"}
        for i, (x, y, d) in enumerate(BUILDINGS)
    ])  # fmt: skip
    insert(urls, "base.road", [
        {"code": "S1", "class": "arterial", "geom": "MULTILINESTRING((116.0101 36.505,116.0101 36.515))"},
        {"code": "S2", "class": "arterial", "bridge": True,
             "geom": "MULTILINESTRING((116.0151 36.505,116.0151 36.515))"},
    ])  # fmt: skip
    insert(urls, "facility.school", [
        {"code": "IN", "name": "河滩小学", "stage": "primary", "pupils": 300, "geom": "POINT(116.0105 36.5105)"},
        {"code": "OUT", "name": "岗上小学", "stage": "primary", "pupils": 300, "geom": "POINT(116.0105 36.5155)"},
    ])  # fmt: skip
    settings = Settings(rasters=RasterSettings(rasters_dir=folder))
    with open_run(settings, urls.reader, language="en") as found:
        yield found


VILLAGES = [
    {"code": "371502001001", "name": "半淹", "population": 1000,
     "geom": "POLYGON((116.005 36.509,116.015 36.509,116.015 36.513,116.005 36.513,116.005 36.509))"},
    {"code": "371502001002", "name": "不明",
     "geom": "POLYGON((116.030 36.508,116.035 36.508,116.035 36.511,116.030 36.511,116.030 36.508))"},
    {"code": "371502001003", "name": "点在水中", "population": 77, "geom": "POINT(116.0355 36.5095)"},
    {"code": "371502001004", "name": "岗上", "population": 5000, "geom": "POINT(116.0355 36.5155)"},
]  # fmt: skip
BUILDINGS = [
    (116.0061, 36.5101, 0.0004),
    (116.0141, 36.5104, 0.002),
    (116.0005, 36.5151, 0.0004),
    (116.02, 36.5091, 0.0003),
]


def flood(run: Run, *outputs: str, **inputs: Any) -> dict[str, Any]:
    given = read_inputs(inundate.PROCESS, {"raster": "valley", **inputs})
    return dict(inundate.PROCESS.run(run, given, frozenset(outputs or ("flood",))))


POINT = {"type": "Point", "coordinates": [116.0205, 36.5095]}
AT = {"point": POINT, "datum": "1985 国家高程基准", "radius_m": 20_000}


def test_only_what_is_joined_is_flooded(run: Run) -> None:
    out = flood(run, "flood", "extent", level_m=32.0, **AT)
    told = out["flood"]
    low = np.nan_to_num(heights(), nan=99.0) < 32.0
    want = brute(low, [(10, 20)], 4)
    assert told["cells"] == len(want) == 50 and (told["verdict"], told["synthetic"]) == ("flooded", False)
    areas = {cell: cell_area(cell[0]) for cell in want}
    assert told["area_m2"] == pytest.approx(sum(areas.values()), rel=1e-6)
    depths = {cell: 32.0 - float(heights()[cell]) for cell in want}
    assert told["depth_max_m"] == pytest.approx(max(depths.values()), abs=1e-3)
    mean = sum(depths[c] * areas[c] for c in want) / sum(areas.values())
    assert told["depth_mean_m"] == pytest.approx(mean, abs=1e-3)
    assert told["volume_m3"] == pytest.approx(mean * sum(areas.values()), rel=1e-4)
    by = {(c["from_m"], c["to_m"]): c["area_m2"] for c in told["depth_classes"]}
    assert set(by) == {(0.5, 1.0), (1.0, 2.0)}
    assert by[0.5, 1.0] == pytest.approx(sum(areas[c] for c in want if depths[c] < 1), rel=1e-6)
    assert told["limits"] == {
        "cells_without_height": 1, "flooded_beside_no_height": 1, "reaches_edge_of_raster": True,
        "cut_by_radius": False,
    }  # fmt: skip
    assert told["raster"]["cell_m"] == [pytest.approx(89.6, abs=0.2), pytest.approx(111, abs=0.2)]
    shapes = gpd.GeoDataFrame.from_features(out["extent"]["features"], crs="EPSG:4490")
    for r in range(20):
        for c in range(40):
            middle = shapely.Point(WEST + (c + 0.5) * STEP, NORTH - (r + 0.5) * STEP)
            assert shapes.intersects(middle).any() == ((r, c) in want)
    json.dumps(out["extent"])


def test_corners_join_where_that_is_asked_for(run: Run) -> None:
    cells = {k: flood(run, level_m=32.0, connectivity=k, **AT)["flood"]["cells"] for k in (4, 8)}
    assert cells == {4: 50, 8: 51}
    # Above the dike the hollow behind it is reached too: the whole raster but the cell of nothing.
    assert flood(run, level_m=33.5, **AT)["flood"]["cells"] == 20 * 40 - 1


def test_dry_seeds_and_radii(run: Run) -> None:
    dry = flood(run, "flood", "extent", "exposed", level_m=30.0, **AT)
    assert (dry["flood"]["verdict"], dry["flood"]["area_m2"], dry["extent"]["features"], dry["exposed"]) == (
        "dry",
        0.0,
        [],
        {},
    )
    assert dry["flood"]["seed"]["ground_m"] == 30.0
    near = flood(run, level_m=32.0, **{**AT, "radius_m": 500})["flood"]
    assert near["limits"]["cut_by_radius"] is True and 8 <= near["cells"] <= 14
    river = flood(run, level_m=32.0, river="甲河", datum="1985", radius_m=3_000)["flood"]
    assert (river["cells"], river["seed"]["cells"]) == (50, 40)


def test_the_level_of_a_station_in_its_own_datum(run: Run) -> None:
    told = flood(run, station="GOOD0000", datetime=NOW.isoformat())["flood"]
    assert told["level"] == {
        "given_m": 12.0, "datum": "假定基面", "height_1985_m": 32.0, "in_raster_m": 32.0, "datum_known": True,
    }  # fmt: skip
    assert told["cells"] == 50 and told["seed"]["read_at"] == "2024-07-27T20:00:00+08:00"
    given = flood(run, station="GOOD0000", level_m=13.5, datetime=NOW.isoformat())["flood"]
    assert given["level"]["height_1985_m"] == 33.5
    other = flood(run, station="DARK0000", level_m=32.0, datum="1985")["flood"]
    assert other["level"]["height_1985_m"] == 32.0


def test_who_and_what_is_inside(run: Run) -> None:
    out = flood(run, "flood", "extent", "exposed", level_m=32.0, **AT)
    area = gpd.GeoDataFrame.from_features(out["extent"]["features"]).union_all()
    found = out["exposed"]
    people = found["population"]
    village = shapely.from_wkt(VILLAGES[0]["geom"])
    share = shapely.intersection(village, area).area / village.area
    by = {r["code"][-1]: r for r in people["rows"]}
    assert set(by) == {"1", "2", "3"} and people["without_population"] == 1
    assert by["1"]["persons"] == pytest.approx(1000 * share, rel=1e-3) and by["2"]["persons"] is None
    assert people["persons"] == round(by["1"]["persons"] + 77)
    touched = [i for i, (x, y, d) in enumerate(BUILDINGS) if shapely.box(x, y, x + d, y + d).intersects(area)]
    assert found["buildings"]["count"] == len(touched) == 3
    assert sum(r["households"] for r in found["buildings"]["by_use"]) == 6
    road = shapely.LineString([(116.0101, 36.505), (116.0101, 36.515)]).intersection(area)
    (x1, y1), (x2, y2) = road.coords[0], road.coords[-1]
    assert found["roads"]["count"] == 1
    assert found["roads"]["length_m"] == pytest.approx(GEOD.inv(x1, y1, x2, y2)[2], abs=0.1)
    schools = found["facilities"]["facility.school"]
    assert [(r["code"], r["depth_m"]) for r in schools["rows"]] == [("IN", pytest.approx(0.6, abs=1e-3))]
    assert "facility.hospital" in found["layers_missing"]
    json.dumps(found)


def test_heights_of_an_unknown_datum_are_compared_with_nothing_but_themselves(run: Run) -> None:
    with pytest.raises(InvalidParameter) as caught:
        flood(run, raster="unknown", level_m=32.0, **AT)
    assert caught.value.context["which"] == "raster"
    told = flood(run, **{**AT, "raster": "unknown", "level_m": 32.0, "datum": "raster"})["flood"]
    assert told["level"]["datum_known"] is False and told["cells"] == 50


def test_projected_heights_are_measured_on_the_ellipsoid(run: Run) -> None:
    place = {"type": "Point", "coordinates": [117.01, 36.485]}
    told = flood(run, raster="plan", level_m=32.0, point=place, datum="1985", radius_m=10_000)["flood"]
    to = pyproj.Transformer.from_crs("EPSG:4548", "EPSG:4490", always_xy=True)
    edge = shapely.segmentize(shapely.box(500_000, 4_037_000, 503_000, 4_040_000), 10).exterior.coords.xy
    want = abs(GEOD.polygon_area_perimeter(*to.transform(*edge))[0])
    assert told["cells"] == 900 and told["area_m2"] == pytest.approx(want, rel=1e-6)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"raster": "nowhere", "level_m": 32.0}, "raster"),
    ({"raster": "../valley", "level_m": 32.0}, "raster"),
    ({"raster": "rain", "level_m": 32.0}, "raster"),
    ({"level_m": 32.0, "datum": "火星基面"}, "datum"),
    ({"level_m": 32.0, "datum": "废黄河口基面"}, "datum"),
    ({}, "level_m"),
    ({"level_m": 32.0, "point": {"type": "Point", "coordinates": [118.0, 36.5]}}, "raster"),
    ({"level_m": 32.0, "point": {"type": "Point", "coordinates": [115.995, 36.51]}}, "point"),
    ({"level_m": 32.0, "point": {"type": "Point", "coordinates": [116.0075, 36.5085]}}, "point"),
    ({"level_m": 32.0, "point": None, "river": "丁河"}, "river"),
    ({"level_m": 32.0, "river": "甲河"}, "point"),
    ({"level_m": 32.0, "point": None}, "point"),
    ({"level_m": 32.0, "datum": None}, "datum"),
    ({"point": None, "datum": None, "station": "NOBODY00"}, "station"),
    ({"point": None, "datum": None, "station": "LOST0000"}, "station"),
    ({"point": None, "datum": None, "station": "MUTE0000"}, "station"),
    ({"point": None, "datum": None, "station": "DARK0000", "datetime": NOW.isoformat()}, "datum"),
    ({"point": None, "datum": "1985", "station": "GOOD0000", "datetime": NOW.isoformat()}, "datum"),
]


@pytest.mark.parametrize(("inputs", "place"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_questions(run: Run, inputs: dict[str, Any], place: str) -> None:
    given = {k: v for k, v in {**AT, **inputs}.items() if v is not None}
    with pytest.raises(InvalidParameter) as caught:
        flood(run, **given)
    assert caught.value.context["parameter"] == place
    assert caught.value.zh and caught.value.todo_zh and caught.value.todo_en


def test_bad_files_and_limits(run: Run, folder: Path, shared_data: Path) -> None:
    with pytest.raises(UnreadableFile):
        flood(run, raster="broken", level_m=32.0, **AT)
    register(folder, "corrupt", shared_data / "rasters/rasterio_corrupt.tif")
    with pytest.raises(UnreadableFile):
        flood(run, raster="corrupt", level_m=32.0, **AT)
    for wrong in ({"depths_m": [1, 2]}, {"connectivity": 6}, {"radius_m": 1}, {"level_m": "high"}):
        with pytest.raises(InvalidBody):
            flood(run, **{**AT, "level_m": 32.0, **wrong})
    write(folder, "fine", np.zeros((200, 200), np.float32), from_origin(116, 36.6, 0.001, 0.001))
    few = RasterSettings(rasters_dir=folder, raster_cells_max=10_000)
    small = Run(run.settings.model_copy(update={"rasters": few}),
                run.reader, run.catalogue)  # fmt: skip
    with pytest.raises(TooLarge):
        flood(small, raster="fine", level_m=1.0, **AT)


def test_the_real_coarse_heights(run: Run, folder: Path, shared_data: Path) -> None:
    """Cells of some 20 km: a smoke test that says of itself that it is coarse and above no known datum."""
    source = shared_data / "liaocheng/dem_coarse_0p2deg.tif"
    register(folder, "coarse", source, (folder / "unknown.yaml").read_text("utf-8"))
    place = {"type": "Point", "coordinates": [115.98, 36.45]}
    told = flood(run, raster="coarse", level_m=40.0, point=place, datum="raster", radius_m=60_000)["flood"]
    assert told["raster"]["coarse"] is True and told["raster"]["cell_m"][0] == pytest.approx(17_900, rel=0.01)
    assert told["level"]["datum_known"] is False
    higher = flood(run, raster="coarse", level_m=60.0, point=place, datum="raster", radius_m=60_000)["flood"]
    assert higher["cells"] >= told["cells"] and higher["area_m2"] >= told["area_m2"]
    with pytest.raises(InvalidParameter):
        flood(run, raster="coarse", level_m=40.0, point=place, datum="1985", radius_m=60_000)


def test_demo_heights_say_that_they_are_made_up(run: Run, tmp_path: Path) -> None:
    path = write_dem(tmp_path)
    before = path.read_bytes()
    assert write_dem(tmp_path) == path and path.read_bytes() == before
    other = Run(
        run.settings.model_copy(update={"rasters": RasterSettings(rasters_dir=tmp_path)}), run.reader, run.catalogue
    )
    told = flood(
        other, raster=NAME, level_m=34.0, **{**AT, "point": {"type": "Point", "coordinates": [115.93, 36.39]}}
    )["flood"]
    assert told["synthetic"] is True and "合成" in told["raster"]["title"]["zh"] and told["raster"]["coarse"] is True
    assert clear_dem(tmp_path) and not list(tmp_path.iterdir()) and not clear_dem(tmp_path)

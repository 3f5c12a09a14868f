# SPDX-License-Identifier: Apache-2.0
"""Conditions of rasters on the small demo: values are those of rasterio.mask, hard ones exclude, and what a raster does
not know is never taken for good."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pyproj
import pytest
import rasterio
import rasterio.mask
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from geocloud import demo
from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.errors import InvalidBody, InvalidParameter
from geocloud.jobs.inputs import read_inputs
from geocloud.jobs.run import Run, open_run
from geocloud.planning import candidates
from geocloud.planning.candidates_ask import Condition
from geocloud.planning.candidates_process import PROCESS
from geocloud.planning.candidates_raster import Ground, breaks, ground_score
from geocloud.settings import RasterSettings, Settings
from tests.rasters.test_rasters import ABOUT, register, write

HOMES: dict[str, Any] = {"min_area_m2": 100_000, "use": "07", "limit": 50, "datetime": "2026-01-01"}
SOIL = """title: {zh: 土壤类型, en: Soil}
quantity: soil
unit: class
classes: {1: {zh: 壤土, en: Loam}, 2: {zh: 砂土, en: Sand}, 3: {zh: 黏土, en: Clay}}
source: made in a test
licence: CC0-1.0
date: 2025-03-01
"""
# Around the land that the small demo zones for homes; 0.0005 degrees are some 45 by 55 m.
WEST, NORTH, CELL, WIDE, HIGH = 115.70, 36.65, 0.0005, 1200, 700


def _save(folder: Path, name: str, values: Any, about: str = ABOUT, crs: str = "EPSG:4490", **more: Any) -> None:
    write(folder, name, np.asarray(values), from_origin(WEST, NORTH, CELL, CELL), crs, **more)
    register(folder, name, about=about)


def _lonlat() -> tuple[Any, Any]:
    return np.meshgrid(WEST + CELL * (np.arange(WIDE) + 0.5), NORTH - CELL * (np.arange(HIGH) + 0.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rasters")
    lon, lat = _lonlat()
    waves = 30 + 4 * np.sin(lon * 300) * np.cos(lat * 250)
    _save(path, "waves", waves.astype(np.float32))
    holed = waves.astype(np.float32)
    holed[np.random.default_rng(5).random(holed.shape) < 0.05] = -9999
    holed[:, lon[0] > 115.975] = -9999
    _save(path, "holed", holed, nodata=-9999)
    metres = (lon - 116) * 111_320 * math.cos(math.radians(36.45))
    _save(path, "ramp", 50 + metres * math.tan(math.radians(3.0)))
    _save(path, "soil", (1 + ((lon * 150).astype(int) + (lat * 150).astype(int)) % 3).astype(np.uint8), SOIL)
    _save(path, "slopes", waves.astype(np.float32), ABOUT.replace("datum: 1985 国家高程基准", "unit: degree") +
          "quantity: slope\n")  # fmt: skip
    x, y = np.meshgrid(np.arange(100_000, 160_000, 50) + 25.0, np.arange(4_060_000, 4_020_000, -50) - 25.0)
    lon2, lat2 = pyproj.Transformer.from_crs("EPSG:4549", "EPSG:4490", always_xy=True).transform(x, y)
    flat = (30 + 4 * np.sin(lon2 * 300) * np.cos(lat2 * 250)).astype(np.float32)
    write(path, "flat", flat, from_origin(100_000, 4_060_000, 50, 50), "EPSG:4549")
    write(path, "elsewhere", waves[:50, :50], from_origin(110, 30, CELL, CELL))
    fine = from_origin(WEST, NORTH, CELL / 25, CELL / 25)
    size = {"width": WIDE * 25, "height": HIGH * 25, "count": 1, "dtype": "uint8"}
    more = {"crs": "EPSG:4490", "transform": fine, "SPARSE_OK": True, "tiled": True}
    rasterio.open(path / "fine.tif", "w", driver="GTiff", **size, **more).close()
    register(path, "fine")
    for name in ("cut", "described_badly"):
        _save(path, name, waves)
    data = (path / "cut.tif").read_bytes()
    (path / "cut.tif").write_bytes(data[: len(data) // 3])
    register(path, "described_badly", about="title: x")
    write(path, "turned", waves[:50, :50], rasterio.Affine(CELL, 0.0001, WEST, 0.0001, -CELL, NORTH))
    return path


@pytest.fixture(scope="module")
def city(urls: Urls) -> Urls:
    layers, codes = read_layers(Settings().city.layers_folder)
    with connect(urls.owner, application_name="test") as conn:
        sync(conn, layers, codes)
    wanted = [i for i in layers if i.startswith("planning.")] + ["base.county", "base.road", "facility.school"]
    demo.load(urls.owner, "small", layers=wanted)
    return urls


@pytest.fixture(scope="module")
def run(city: Urls, folder: Path) -> Iterator[Run]:
    with open_run(Settings(rasters=RasterSettings(rasters_dir=folder)), city.reader) as opened:
        yield opened


def with_rasters(run: Run, **settings: Any) -> Run:
    return Run(
        run.settings.model_copy(update={"rasters": RasterSettings(**settings)}), run.reader, run.catalogue
    )  # fmt: skip


def search(run: Run, *conditions: dict[str, Any], **asked: Any) -> dict[str, Any]:
    inputs = HOMES | {"conditions": list(conditions)} | asked
    found: dict[str, Any] = PROCESS.run(run, inputs, frozenset({"candidates"}))["candidates"]
    return found


def raster(name: str, **limits: Any) -> dict[str, Any]:
    return {"kind": "raster", "raster": name, **limits}


def of(feature: dict[str, Any], n: int = 0) -> dict[str, Any]:
    return dict(feature["properties"]["conditions"][n])


def cells(folder: Path, name: str, feature: dict[str, Any]) -> Any:
    """Masked cells of a candidate by rasterio.mask: those with their middle in it."""
    with rasterio.open(folder / f"{name}.tif") as file:
        to = pyproj.Transformer.from_crs("EPSG:4490", file.crs, always_xy=True)
        own = shapely.transform(
            shapely.geometry.shape(feature["geometry"]), lambda p: np.column_stack(to.transform(p[:, 0], p[:, 1]))
        )
        values, transform = rasterio.mask.mask(file, [own], crop=True, filled=False)
        inside = rasterio.features.geometry_mask([own], values.shape[1:], transform, invert=True)
        known = values[0][inside & ~np.ma.getmaskarray(values[0])].data
    return known.astype(float), int(inside.sum())


@pytest.mark.parametrize("name", ["waves", "flat", "soil"])
def test_statistics_and_scores_are_those_of_rasterio(run: Run, folder: Path, name: str) -> None:
    limits = {"classes": [1, 3], "share_min": 0.9} if name == "soil" else {"min": 28, "max": 33, "mean": 29}
    found = search(run, raster(name, **limits))
    assert len(found["features"]) > 15
    assert found["search"]["rasters"][0]["crs"] == ("EPSG:4549" if name == "flat" else "EPSG:4490")
    kinds = set()
    for f in found["features"]:
        known, count = cells(folder, name, f)
        c = of(f)
        assert (c["judged"], c["raster"]["cells"], c["raster"]["by"]) == (True, count, "middle")
        if name == "soil":
            share = float(np.isin(known, (1, 3)).mean())
            score = min(1.0, share / 0.9)
            assert c["raster"]["mean"] is None and c["against"] == 0.9
        else:
            share = float(((known >= 28) & (known <= 33)).mean())
            score = min(share, min(1.0, max(0.0, 2 - known.mean() / 29)))
            told = [c["raster"][k] for k in ("min", "max", "mean")]
            assert told == pytest.approx([known.min(), known.max(), known.mean()], abs=1e-3)
        assert (c["measured"], c["score"]) == pytest.approx((share, score), abs=1e-4)
        assert f["properties"]["total"] == pytest.approx(100 * score, abs=0.01)
        kinds.add(round(score, 3))
    assert len(kinds) > 5


def test_slopes_and_what_is_said(run: Run) -> None:
    found = search(run, raster("ramp", derive="slope", mean=5), raster("ramp", derive="slope", max=2.5), limit=5)
    for f in found["features"]:
        gentle, steep = of(f), of(f, 1)
        assert gentle["measured"] == pytest.approx(3.0, abs=0.02) and gentle["unit"] == "degree"
        assert (gentle["score"], gentle["sentence"]["zh"]) == (1.0, "坡度 平均 3.0°(≤ 5°)")
        assert gentle["sentence"]["en"] == "Slope mean 3.0° (≤ 5°)"
        assert (steep["measured"], steep["score"]) == (0.0, 0.0)
        assert steep["sentence"]["zh"] == "坡度 3.0°,0% 符合(≤ 2.5°)"
    (used, _) = found["search"]["rasters"]
    assert (used["datum"], used["date"], used["source"]) == ("1985 国家高程基准", "2026-01-01", "made in a test")
    assert used["cell_m"] == pytest.approx([44.8, 55.5], rel=0.01) and used["coarse"] is False
    assert search(run, raster("ramp", derive="slope", max=2.5, hard=True))["features"] == []


HARD = [
    pytest.param("waves", {"max": 33.0}, id="max"),
    pytest.param("waves", {"min": 27.0, "max": 33.5}, id="range"),
    pytest.param("waves", {"mean": 30.0}, id="mean"),
    pytest.param("soil", {"classes": [1, 2], "share_min": 0.5}, id="classes"),
    pytest.param("slopes", {"max": 32.0, "share_min": 0.8}, id="share"),
]


@pytest.mark.parametrize(("name", "limits"), HARD)
def test_a_hard_one_excludes_those_that_break_it_and_no_others(
    run: Run, folder: Path, name: str, limits: dict[str, Any]
) -> None:
    every = search(run, raster(name, **limits), join=False)
    kept = search(run, raster(name, **limits, hard=True), join=False)
    assert every["search"]["counts"]["left"] == every["search"]["counts"]["refused"] == 0
    meets = set()
    ranked = every["features"]
    for f in ranked:
        known, _ = cells(folder, name, f)
        fit = np.ones(len(known), dtype=bool)
        fit &= np.isin(known, limits["classes"]) if "classes" in limits else True
        fit &= (known >= limits.get("min", -np.inf)) & (known <= limits.get("max", np.inf))
        if fit.mean() >= limits.get("share_min", 1.0) and known.mean() <= limits.get("mean", np.inf):
            meets.add(f["id"])
    assert 0 < len(meets) < len(ranked)
    assert {f["id"] for f in kept["features"]} == meets
    assert kept["search"]["counts"]["hard_failed"] >= len(ranked) - len(meets)
    assert all(of(f)["judged"] and of(f)["score"] is None for f in kept["features"])


def test_neighbours_of_steep_parcels_are_joined_without_them(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*conditions: dict[str, Any]) -> dict[str, Any]:
        return search(run, *conditions, min_area_m2=500_000)

    first = next(f["id"].split("+")[0] for f in large()["features"] if "+" in f["id"])
    alone = next(f for f in search(run, join=False)["features"] if f["id"] == first)
    heights = np.where(shapely.contains_xy(shapely.geometry.shape(alone["geometry"]), *_lonlat()), 9.0, 1.0)
    _save(folder, "one_steep", heights)
    asked = raster("one_steep", max=5, hard=True)
    found = large(asked)
    assert any(len(f["properties"]["parcels"]) > 1 for f in found["features"])
    for f in found["features"]:
        assert first not in f["properties"]["parcels"] and cells(folder, "one_steep", f)[0].max() == 1
    monkeypatch.setattr(candidates, "breaks", lambda c, g, any_part=False: not any_part and breaks(c, g))
    assert large(asked)["search"]["counts"]["ranked"] < found["search"]["counts"]["ranked"]


def test_land_without_data_is_not_judged(run: Run, folder: Path) -> None:
    school = {"kind": "near", "layer": "facility.school", "distance_m": 1500}
    found = search(run, raster("holed", max=31), school)
    judged = {True: 0, False: 0}
    for f in found["features"]:
        known, count = cells(folder, "holed", f)
        missing = 1 - len(known) / count
        c, near = of(f), of(f, 1)
        assert c["judged"] == (missing <= 0.1)
        judged[c["judged"]] += 1
        scores = [near["score"]]
        if c["judged"]:
            scores.append(float((known <= 31).mean()))
            assert c["score"] == pytest.approx(scores[1], abs=1e-6)
            assert missing == 0 or "无数据" in c["sentence"]["zh"]
        else:
            assert (c["measured"], c["score"], c["against"]) == (None, None, None)
            assert c["sentence"]["zh"].endswith("无数据(上限 10%),未判定")
        assert f["properties"]["total"] == pytest.approx(100 * np.mean(scores), abs=0.01)
    assert min(judged.values()) > 3
    told = [u for u in found["search"]["not_judged"] if u["condition"] == 0]
    assert [(u["of"], u["why"]["zh"]) for u in told] == [("holed", "holed 在部分候选用地处无数据或未覆盖,该处未判定")]
    # A hard one keeps what is not judged, but not what breaks it whatever lies in the gaps.
    kept = search(run, raster("holed", max=31, hard=True))
    assert kept["features"]
    for f in kept["features"]:
        known, count = cells(folder, "holed", f)
        assert not len(known) or known.max() <= 31 + 1e-4
        assert of(f)["judged"] == (len(known) >= 0.9 * count)


REASONS: dict[str, tuple[str, Callable[[Run], Run], str]] = {
    "no such raster": ("none", lambda r: r, "没有该名称的已登记栅格"),
    "no folder": ("waves", lambda r: with_rasters(r, rasters_dir=Path("/nowhere")), "没有该名称的已登记栅格"),
    "cut off": ("cut", lambda r: r, "不是可读取的 GeoTIFF"),
    "turned": ("turned", lambda r: r, "不是正北向上"),
    "described badly": ("described_badly", lambda r: r, "described_badly.yaml"),
    "too many cells": (
        "fine",
        lambda r: with_rasters(r, rasters_dir=r.settings.rasters.rasters_dir, raster_cells_max=10_000),
        "超过上限 10,000",
    ),
}


@pytest.mark.parametrize("case", REASONS)
@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
def test_a_raster_that_cannot_be_read_is_not_judged_and_says_why(run: Run, case: str, hard: bool) -> None:
    name, settings, why = REASONS[case]
    found = search(settings(run), raster(name, max=1, hard=hard), limit=5, join=False)
    (told,) = (u for u in found["search"]["not_judged"] if u["condition"] == 0)
    assert why in told["why"]["zh"] and told["why"]["zh"].endswith("未判定") and "not judged" in told["why"]["en"]
    assert found["search"]["rasters"] == []
    assert [f["id"] for f in found["features"]] == [f["id"] for f in search(run, limit=5, join=False)["features"]]
    assert all((of(f)["judged"], of(f)["score"], f["properties"]["total"]) == (False, None, None)
               for f in found["features"])  # fmt: skip


def test_land_outside_a_raster_is_not_judged(run: Run) -> None:
    found = search(run, raster("elsewhere", max=1, hard=True), limit=5)
    assert len(found["features"]) == 5
    for f in found["features"]:
        assert of(f)["sentence"]["zh"] == "高程 不在栅格范围内,未判定" and not of(f)["judged"]


def test_real_heights_wider_than_the_land(run: Run, folder: Path, shared_data: Path) -> None:
    source = shared_data / "liaocheng/dem_coarse_0p2deg.tif"
    register(folder, "coarse", source, ABOUT.replace("datum: 1985 国家高程基准", "datum: null"))
    found = search(run, raster("coarse", mean=35), raster("coarse", derive="slope", max=5, hard=True))
    (heights, _) = found["search"]["rasters"]
    assert heights["coarse"] is True and heights["datum"] is None and heights["crs"] == "EPSG:4326"
    with rasterio.open(source) as file:
        for f in found["features"]:
            shape, c = shapely.geometry.shape(f["geometry"]), of(f)
            w, s, e, n = shape.bounds
            places = [file.index(x, y) for x in (w, e) for y in (s, n)]
            touched = {file.read(1)[place] for place in places}
            assert c["raster"]["by"] == "touch" and c["raster"]["cells"] <= 4
            assert min(touched) - 1e-6 <= c["raster"]["min"] <= c["measured"] <= c["raster"]["max"] <= max(touched)
            assert of(f, 1)["judged"] and of(f, 1)["raster"]["max"] < 5


def test_the_same_raster_gives_the_same_document_and_another_one_another(run: Run, tmp_path: Path) -> None:
    lon, _ = _lonlat()
    asked = raster("dem", max=30)
    _save(tmp_path, "dem", lon.astype(np.float32))
    other = with_rasters(run, rasters_dir=tmp_path)
    first, again = search(other, asked, limit=3), search(other, asked, limit=3)
    assert first == again
    # Far from any land: nothing that is told of it changes but the raster's own hash.
    lon[0, 0] += 1
    _save(tmp_path, "dem", lon.astype(np.float32))
    changed = search(other, asked, limit=3)
    assert changed["features"] == first["features"]
    assert changed["search"]["fingerprint"] != first["search"]["fingerprint"]
    register(tmp_path, "dem", about=ABOUT.replace("made in a test", "made elsewhere"))
    renamed = search(other, asked, limit=3)["search"]
    assert renamed["fingerprint"] != changed["search"]["fingerprint"] and renamed["synthetic"] is True
    fewer = with_rasters(run, rasters_dir=tmp_path, raster_cells_max=50_000)
    assert search(fewer, asked, limit=3)["features"] == first["features"]


@pytest.mark.parametrize(
    ("condition", "parameter"),
    [
        pytest.param(raster("waves"), "conditions.0", id="no limit"),
        pytest.param(raster("waves", min=3, max=2), "conditions.0", id="range"),
        pytest.param(raster("waves", mean=0), "conditions.0.mean", id="mean of nothing"),
        pytest.param(raster("waves", max=float("nan")), "conditions.0.max", id="no number"),
        pytest.param(raster("waves", mean=5, share_min=0.5), "conditions.0", id="share of a mean"),
        pytest.param(raster("waves", max=5, share_min=1.5), "conditions.0.share_min", id="share"),
        pytest.param(raster("waves", derive="aspect", max=5), "conditions.0.derive", id="what is not derived"),
        pytest.param(raster("soil", classes=[]), "conditions.0.classes", id="no classes"),
        pytest.param(raster("soil", classes=[1], max=3), "conditions.0", id="classes and a limit"),
        pytest.param(raster("soil", classes=[1, 9]), "conditions.0.classes", id="a class that is not there"),
        pytest.param(raster("waves", classes=[1]), "conditions.0.classes", id="classes of measures"),
        pytest.param(raster("soil", max=2), "conditions.0.raster", id="a limit of classes"),
        pytest.param(raster("slopes", derive="slope", max=2), "conditions.0.derive", id="slope of slopes"),
        pytest.param(raster("soil", derive="slope", max=2), "conditions.0.raster", id="slope of classes"),
        pytest.param(raster("../waves", max=2), "conditions.0.raster", id="a path"),
        pytest.param({"kind": "outside", "layer": "planning.river_range", "share_min": 0.5}, "conditions.0", id="kind"),
    ],
)
def test_what_cannot_be_asked_of_a_raster(run: Run, condition: dict[str, Any], parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        search(run, condition)
    assert caught.value.context["parameter"] == parameter and caught.value.zh != caught.value.en


@pytest.mark.parametrize("language", ["zh", "en"])
def test_files_tell_of_the_rasters(run: Run, language: str, request: pytest.FixtureRequest) -> None:
    asked = [raster("ramp", derive="slope", mean=5), raster("soil", classes=[1, 2]), raster("holed", max=33),
             raster("waves", min=20, hard=True)]  # fmt: skip
    wanted = frozenset({"candidates", "csv", "page", "pdf"})
    out = PROCESS.run(run, HOMES | {"conditions": asked, "language": language, "limit": 6}, wanted)
    found, page = out["candidates"], out["page"].data.decode()
    text = "".join("".join(p.extract_text() for p in pypdf.PdfReader(io.BytesIO(out["pdf"].data)).pages).split())
    for f in found["features"][:3]:
        for c in f["properties"]["conditions"]:
            assert "".join(c["sentence"][language].split()) in text
    for r in found["search"]["rasters"]:
        assert r["title"][language] in page and r["source"] in page
    assert "Horn" in page and "madeinatest" in text
    table = list(csv.DictReader(io.StringIO(out["csv"].data.decode("utf-8-sig"))))
    assert [float(r["raster ramp measured"]) for r in table] == [of(f)["measured"] for f in found["features"]]


COUNTS = st.tuples(st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 1000)).map(
    lambda t: (t[0], min(t[1], t[0] - 1), min(t[2], t[0] - min(t[1], t[0] - 1)))
)


@given(COUNTS, st.floats(0.01, 1), st.floats(0, 90), st.floats(0.1, 90))
def test_scores_are_0_to_1_and_agree_with_what_excludes(
    counts: tuple[int, int, int], share: float, mean: float, limit: float
) -> None:
    count, missing, fit = counts
    g = Ground(count, missing, False, mean, mean, mean, fit, None)
    ranged, average = Condition(kind="raster", raster="a", max=1, share_min=share), Condition(
        kind="raster", raster="a", mean=limit
    )  # fmt: skip
    for c in (ranged, average):
        got = ground_score(c, g)
        assert got is not None and 0 <= got <= 1
        assert breaks(c, g) <= (got < 1) and (breaks(c, g) or got > 1 - 1e-5)
    if breaks(ranged, g, any_part=True):
        assert share == 1.0 and breaks(ranged, g)


def test_the_conditions_of_the_documentation_can_be_sent() -> None:
    text = (Path(__file__).parents[2] / "docs/planning.md").read_text("utf-8")
    shown = json.loads(text.partition("**Rasters**")[2].partition("```json\n")[2].partition("```")[0])
    assert len(shown) == 3
    given = read_inputs(PROCESS, {"min_area_m2": 1.0, "use": "07", "conditions": shown})
    assert [Condition.model_validate(c).raster for c in given["conditions"]] == ["dem", "dem", "soil"]
    for wrong in ({"share_min": 2}, {"classes": ["a"]}, {"derive": "aspect"}, {"mean": 0}, {"median": 3}):
        with pytest.raises(InvalidBody):
            read_inputs(PROCESS, {"min_area_m2": 1.0, "use": "07", "conditions": [shown[2] | wrong]})

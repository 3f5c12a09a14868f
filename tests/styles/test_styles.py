# SPDX-License-Identifier: Apache-2.0
"""Generated styles: valid by the specification, over what tiles really carry, of this host, and readable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geocloud import styles
from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import TILE_PROPERTIES
from geocloud.errors import UnknownCollection
from geocloud.styles.palette import DARK, LIGHT, OKABE_ITO, contrast, data_color
from tests.styles.conftest import BASE, make

_ROOT = Path(__file__).resolve().parents[2]
_LABEL_PROPERTIES = {"name", "name_en", "rank", "seat", "zoom", "collection"}
_CHECK = """
import {validateStyleMin} from '@maplibre/maplibre-gl-style-spec';
import fs from 'node:fs';
const styles = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const found = {};
for (const [name, style] of Object.entries(styles)) {
  const errors = validateStyleMin(style).map((e) => e.message);
  if (errors.length) found[name] = errors;
}
console.log(JSON.stringify(found));
"""


def test_valid_by_the_style_specification(every_style: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    package = _ROOT / "node_modules/@maplibre/maplibre-gl-style-spec"
    if not package.is_dir():
        pytest.skip("front-end libraries are not set up (node_modules)")
    (tmp_path / "node_modules").symlink_to(_ROOT / "node_modules")
    (tmp_path / "check.mjs").write_text(_CHECK)
    broken = {"version": 8, "sources": {}, "layers": [{"id": "x", "type": "line", "source": "none"}]}
    (tmp_path / "styles.json").write_text(json.dumps({**every_style, "broken": broken}), "utf-8")
    command = [node, "check.mjs", "styles.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    assert found.pop("broken"), "the check itself finds nothing"
    assert found == {}


def test_styles_are_of_city_themes_and_layers_with_geometry(catalogue: Catalogue) -> None:
    found = styles.subjects(catalogue)
    assert found[:3] == ["city", "base", "facility"]
    assert "facility.hospital" in found and "lab.table" not in found


def test_an_unknown_style_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownCollection, match="There is no style `base.nothing`"):
        styles.subject(catalogue, "base.nothing")


def test_source_layers_are_collections_their_source_asks_for(every_style: dict[str, dict[str, Any]]) -> None:
    for name, style in every_style.items():
        for layer in style["layers"]:
            if "source-layer" in layer:
                (tiles,) = style["sources"][layer["source"]]["tiles"]
                assert layer["source-layer"] in tiles.partition("collections=")[2].split(","), (name, layer["id"])


def test_properties_are_carried_by_tiles_at_the_zooms_they_are_used(
    catalogue: Catalogue, every_style: dict[str, dict[str, Any]]
) -> None:
    for name, style in every_style.items():
        for layer in style["layers"]:
            used = set(_properties([layer.get(k) for k in ("filter", "layout", "paint")]))
            if "source-layer" not in layer:
                assert used <= _LABEL_PROPERTIES, (name, layer["id"])
                continue
            carried = _carried(catalogue.layers[layer["source-layer"]])
            assert used <= carried | set(TILE_PROPERTIES) | {"overview"}, (name, layer["id"])


def test_the_base_map_is_one_request_a_tile(catalogue: Catalogue) -> None:
    style = make(catalogue, "city")
    drawn = {x["source"] for x in style["layers"] if x["metadata"]["geocloud:role"] == "base" and "source" in x}
    assert drawn == {"base"}
    asked = style["sources"]["base"]["tiles"][0].partition("collections=")[2].split(",")
    assert {"base.road", "base.water_area", "base.parcel"} <= set(asked)
    assert not any(x.startswith("facility.") for x in asked)


def test_a_theme_lies_over_the_base_map(catalogue: Catalogue) -> None:
    style = make(catalogue, "facility")
    assert style["sources"]["labels"]["data"] == f"{BASE}/styles/facility/labels"
    overlays = {x["source"] for x in style["layers"] if "source" in x} - {"base", "labels"}
    assert overlays and all(x.startswith("facility.") for x in overlays)


def test_addresses_are_of_this_host(every_style: dict[str, dict[str, Any]]) -> None:
    for name, style in every_style.items():
        for address in re.findall(r"\w+://[^\"\s]*", json.dumps(style)):
            assert address.startswith(BASE + "/"), name


def test_every_layer_says_what_it_belongs_to(catalogue: Catalogue, every_style: dict[str, dict[str, Any]]) -> None:
    for name, style in every_style.items():
        for layer in style["layers"]:
            said = layer["metadata"]
            assert said["geocloud:role"] in ("base", "overlay", "label", "cluster"), name
            known = {*catalogue.layers, "base.names"}
            assert layer["type"] == "background" or said["geocloud:collection"] in known, name


def test_layers_not_opened_with_the_city_are_hidden_but_there(catalogue: Catalogue) -> None:
    layers = make(catalogue, "city")["layers"]
    shown = {x["source"] for x in layers if x.get("layout", {}).get("visibility") != "none" and "source" in x}
    assert shown == {"base", "labels", "facility.hospital", "facility.heritage_site"}
    assert "facility.school" in {x.get("source") for x in layers}
    assert all(x.get("layout", {}).get("visibility") != "none" for x in make(catalogue, "facility")["layers"])


def test_images_are_in_the_sprite(catalogue: Catalogue, every_style: dict[str, dict[str, Any]]) -> None:
    index = styles.sheet(catalogue, dark=False, scale=1).index
    for name, style in every_style.items():
        for layer in style["layers"]:
            image = layer.get("layout", {}).get("icon-image", "")
            names = {image} if isinstance(image, str) else set(_outputs(image))
            assert names - {""} <= index.keys(), (name, layer["id"])


def test_chinese_names_are_never_broken_and_have_a_halo(every_style: dict[str, dict[str, Any]]) -> None:
    for name, style in every_style.items():
        for layer in style["layers"]:
            if "text-field" not in layer.get("layout", {}) or layer["id"].endswith(("/count", "/number")):
                continue
            assert layer["paint"]["text-halo-width"] == 1.2, (name, layer["id"])
            if " zh " in name and layer["layout"].get("symbol-placement") != "line":
                assert layer["layout"]["text-max-width"] >= 40, (name, layer["id"])


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=lambda p: p.name)
def test_labels_are_readable_on_every_ground(colors: Any) -> None:
    for ink in (colors.ink, colors.secondary, colors.water_label):
        for ground in (colors.land, colors.built_up, colors.wood, colors.farmland, colors.surface, colors.halo):
            assert contrast(ink, ground) >= 4.5, (ink, ground)
    assert contrast(colors.water_label, colors.water) >= 4.5


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_counts_are_readable_on_their_circles(catalogue: Catalogue, dark: bool) -> None:
    layers = {x["id"]: x for x in make(catalogue, "facility.hospital", dark=dark)["layers"]}
    circles = _outputs(layers["facility.hospital/cluster"]["paint"]["circle-color"])
    inks = _outputs(layers["facility.hospital/count"]["paint"]["text-color"])
    assert len(circles) == len(inks) == 8
    assert all(contrast(a, b) >= 4.5 for a, b in zip(circles, inks, strict=True))


def test_data_colours_stand_out_from_dark_ground() -> None:
    assert all(contrast(data_color(c, dark=True), DARK.land) >= 3 for c in OKABE_ITO)
    assert [data_color(c, dark=False) for c in OKABE_ITO] == list(OKABE_ITO)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_sources_and_synthetic_data_are_said(catalogue: Catalogue) -> None:
    said = make(catalogue, "facility.school")["sources"]["facility.school"]["attribution"]
    assert "示例数据" in said and "CC0-1.0" in said
    assert make(catalogue, "base.county", "en")["sources"]["base"]["attribution"] == "OpenStreetMap (ODbL-1.0)"


def test_english_names_come_first_in_english(catalogue: Catalogue) -> None:
    layers = {x["id"]: x for x in make(catalogue, "base", "en")["layers"]}
    assert layers["base.water_line/name"]["layout"]["text-field"] == ["coalesce", ["get", "name_en"], ["get", "name"]]
    chinese = {x["id"]: x for x in make(catalogue, "base", "zh")["layers"]}
    assert chinese["base.water_line/name"]["layout"]["text-field"] == ["get", "name"]


def test_positions_of_an_area_are_rings_and_no_points(catalogue: Catalogue) -> None:
    layers = {x["id"]: x for x in make(catalogue, "facility.heritage_site")["layers"]}
    ring = json.dumps(layers["facility.heritage_site/ring"]["filter"])
    assert '"position_quality"' in ring and '"position_accuracy_m"' in ring
    for part in ("dot", "marker"):
        assert layers[f"facility.heritage_site/{part}"]["filter"][-1][0] == "!"
    radius = layers["facility.heritage_site/ring"]["paint"]["circle-radius"]
    # 1,000 m at zoom 12 near 36.4 degrees north: 512 * 4096 pixels around the equator, shorter by cos(latitude).
    factor = radius[-1][2][2] / 2**22 * 2**12
    assert 1000 * factor == pytest.approx(1000 * 512 * 4096 / (40_075_017 * 0.8049), rel=1e-3)


def test_borders_that_neighbours_share_look_like_one(catalogue: Catalogue) -> None:
    layers = {x["id"]: x for x in make(catalogue, "base")["layers"]}
    for name in ("base.city", "base.county"):
        line = layers[f"{name}/line"]["paint"]
        # Solid and opaque: over each other, two lines are what one is.
        assert "line-dasharray" not in line and "line-opacity" not in line
        assert "line-opacity" not in layers[f"{name}/band"]["paint"]


def test_cells_of_coverage_do_not_chequer_the_land_at_small_scales(catalogue: Catalogue) -> None:
    layers = {x["id"]: x for x in make(catalogue, "base")["layers"]}
    assert layers["base.building/built-up"]["minzoom"] == 10
    kind, _, zoom, first, opacity, *_ = layers["base.parcel/ground"]["paint"]["fill-opacity"]
    assert (kind, zoom, first) == ("interpolate", ["zoom"], 10)
    assert opacity == ["case", ["has", "overview"], 0, 1]


def test_clusters_of_layers_stand_side_by_side(catalogue: Catalogue) -> None:
    alone = {x["id"]: x for x in make(catalogue, "facility.hospital")["layers"]}
    assert _place(alone["facility.hospital/cluster"]) == (0, 0)
    layers = {x["id"]: x for x in make(catalogue, "city")["layers"]}
    shown = ["facility.heritage_site", "facility.hospital"]
    places = [_place(layers[f"{name}/cluster"]) for name in shown]
    (left, _), (right, _) = sorted(places)
    assert right - left >= 20, "two circles of ten features do not hide each other"
    for name, (x, y) in zip(shown, places, strict=True):
        count = layers[f"{name}/count"]["layout"]
        moved = count["text-offset"][2][1]
        assert [v * count["text-size"] for v in moved] == pytest.approx([x, y], abs=0.02)


def test_counts_are_placed_before_names_and_names_lie_above_circles(catalogue: Catalogue) -> None:
    order = [x["id"] for x in make(catalogue, "city")["layers"]]
    for name in ("base.names/rank-1", "base.names/rank-2", "base.names/rank-3"):
        assert order.index("facility.hospital/cluster") < order.index(name) < order.index("facility.hospital/count")


def _place(layer: dict[str, Any]) -> tuple[float, float]:
    """Where the clusters of a layer go at small scales; nowhere where streets are told apart."""
    step = layer["paint"]["circle-translate"]
    assert step[:2] == ["step", ["zoom"]] and step[-1] == ["literal", [0, 0]]
    return tuple(step[2][1])


def _properties(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for v in value.values():
            yield from _properties(v)
    elif isinstance(value, list):
        if len(value) == 2 and value[0] in ("get", "has") and isinstance(value[1], str):
            yield value[1]
        for v in value:
            yield from _properties(v)


def _carried(layer: Layer) -> set[str]:
    spec = layer.spec
    return {n for band in spec.tiles.bands for n in band.fields} | {spec.style.color_by or ""}


def _outputs(expression: Any) -> list[Any]:
    """Values of a match or case expression, or the one value it is."""
    if not isinstance(expression, list):
        return [expression]
    # ["match", input, label, output, …, fallback] and ["case", test, output, …, fallback].
    first = 3 if expression[0] == "match" else 2
    return [*expression[first:-1:2], expression[-1]]

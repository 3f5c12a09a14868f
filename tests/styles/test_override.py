# SPDX-License-Identifier: Apache-2.0
"""Overrides by file: whole styles and changes; a file that cannot be used is named with the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geocloud.catalogue.registry import Catalogue
from geocloud.errors import StyleError
from geocloud.styles import overridden
from tests.styles.conftest import BASE, make


def _apply(style: dict[str, Any], folder: Path, said: Any, **more: Any) -> dict[str, Any]:
    path = folder / "city.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said), "utf-8")
    return overridden(style, path, BASE, 100, **more)


@pytest.fixture(scope="module")
def style(catalogue: Catalogue) -> dict[str, Any]:
    return make(catalogue, "city")


def _layer(style: dict[str, Any], layer_id: str) -> dict[str, Any]:
    return next(x for x in style["layers"] if x["id"] == layer_id)


def test_without_a_file_nothing_changes(style: dict[str, Any], tmp_path: Path) -> None:
    assert overridden(style, tmp_path / "city.json", BASE, 100) is style


def test_paint_layout_and_zooms_are_changed_by_name(style: dict[str, Any], tmp_path: Path) -> None:
    before = json.dumps(style)
    patch = {"layers": "base.road/*", "paint": {"line-opacity": 0.5}, "minzoom": 7}
    found = _apply(style, tmp_path, {"patches": [patch]})
    assert _layer(found, "base.road/line")["paint"]["line-opacity"] == 0.5
    assert (
        _layer(found, "base.road/line")["paint"]["line-color"] == _layer(style, "base.road/line")["paint"]["line-color"]
    )
    assert _layer(found, "base.road/casing")["minzoom"] == 7
    assert _layer(found, "base.railway/line") == _layer(style, "base.railway/line")
    assert json.dumps(style) == before


def test_a_null_takes_a_property_back(style: dict[str, Any], tmp_path: Path) -> None:
    found = _apply(style, tmp_path, {"patches": [{"layers": "base.county/line", "paint": {"line-dasharray": None}}]})
    assert "line-dasharray" not in _layer(found, "base.county/line")["paint"]


def test_a_change_may_be_for_one_theme(style: dict[str, Any], catalogue: Catalogue, tmp_path: Path) -> None:
    said = {"patches": [{"layers": "background", "theme": "dark", "paint": {"background-color": "#000000"}}]}
    assert _layer(_apply(style, tmp_path, said), "background") == _layer(style, "background")
    dark = _apply(make(catalogue, "city", dark=True), tmp_path, said)
    assert _layer(dark, "background")["paint"]["background-color"] == "#000000"


def test_layers_are_removed_and_added_in_place(style: dict[str, Any], tmp_path: Path) -> None:
    added = {"id": "mine", "type": "fill", "source": "zones", "source-layer": "a.b"}
    said = {
        "sources": {"zones": {"type": "vector", "tiles": ["/collections/a.b/tiles/WebMercatorQuad/{z}/{y}/{x}"]}},
        "patches": [{"layers": "base.railway/*", "remove": True}],
        "add": [{"before": "base.road/casing", "layer": added}],
    }
    found = _apply(style, tmp_path, said)
    ids = [x["id"] for x in found["layers"]]
    assert not any(i.startswith("base.railway/") for i in ids)
    assert ids[ids.index("mine") + 1] == "base.road/casing"
    assert found["sources"]["zones"]["tiles"] == [f"{BASE}/collections/a.b/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}"]


def test_a_whole_style_stands_for_the_generated_one(style: dict[str, Any], tmp_path: Path) -> None:
    said = {"version": 8, "glyphs": "/fonts/{fontstack}/{range}.pbf", "sources": {}, "layers": []}
    found = _apply(style, tmp_path, said)
    assert found["layers"] == [] and found["glyphs"] == f"{BASE}/fonts/{{fontstack}}/{{range}}.pbf"
    assert found["metadata"]["geocloud:style"] == "city"


def test_a_style_without_some_layers_takes_what_fits(catalogue: Catalogue, tmp_path: Path) -> None:
    overlays = make(catalogue, "city", base=False)
    said = {"patches": [{"layers": "background", "paint": {"background-color": "#000000"}}]}
    assert _apply(overlays, tmp_path, said, partial=True)["sources"].keys() == overlays["sources"].keys()


WRONG = [
    ("not JSON", '{"patches": [}', "line 1, column 14"),
    ("a list", "[]", "top"),
    ("unknown member", {"patch": []}, "patch"),
    ("unknown member of a change", {"patches": [{"layers": "*", "colour": "red"}]}, "patches.0.colour"),
    ("no such layer", {"patches": [{"layers": "base.nothing/*"}]}, "patches.0.layers"),
    ("no such place", {"add": [{"before": "nothing", "layer": {"id": "x", "type": "background"}}]}, "add.0.before"),
    ("zoom past the end", {"patches": [{"layers": "*", "minzoom": 99}]}, "patches.0.minzoom"),
    ("kind of layer", {"add": [{"layer": {"id": "x", "type": "lines"}}]}, "layers."),
    ("source", {"add": [{"layer": {"id": "x", "type": "line", "source": "nothing"}}]}, "layers."),
    ("id taken", {"add": [{"layer": {"id": "background", "type": "background"}}]}, "layers."),
    ("version", {"version": 7, "sources": {}, "layers": []}, "version"),
    ("no sources", {"version": 8, "layers": []}, "sources"),
    ("layers no list", {"version": 8, "sources": {}, "layers": {}}, "layers"),
    ("another host", {"sources": {"x": {"type": "vector", "tiles": ["https://example.com/{z}"]}}}, "sources.x.tiles.0"),
    ("another host without scheme", {"sources": {"x": {"type": "vector", "url": "//example.com"}}}, "sources.x.url"),
    ("sprite of another host", {"version": 8, "sprite": "http://a.b/c", "sources": {}, "layers": []}, "sprite"),
    ("too large", '{"description": "' + "x" * 200_000 + '"}', "file"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "place"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_file_is_named_with_the_place(style: dict[str, Any], tmp_path: Path, said: Any, place: str) -> None:
    with pytest.raises(StyleError) as caught:
        _apply(style, tmp_path, said)
    for text in (caught.value.en, caught.value.zh):
        assert text.startswith("city.json") and place in text
    assert caught.value.context["file"] == "city.json"


def test_what_is_not_utf8_is_named(style: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "city.json").write_bytes('{"description": "聊城"}'.encode("gbk"))
    with pytest.raises(StyleError, match="not UTF-8"):
        overridden(style, tmp_path / "city.json", BASE, 100)

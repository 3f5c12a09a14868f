# SPDX-License-Identifier: Apache-2.0
"""Legends say what styles draw: the same classes, colours and images; pictures hold them."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from geocloud import styles
from geocloud.catalogue.registry import Catalogue
from geocloud.settings import StyleSettings
from geocloud.styles.classes import classes_of
from geocloud.styles.palette import OTHER
from tests.styles.conftest import make

_COLOUR = {"circle": "circle-color", "fill": "fill-color", "line": "line-color"}


def _legend(catalogue: Catalogue, style_id: str, language: str = "zh", dark: bool = False) -> dict[str, object]:
    of = styles.subject(catalogue, style_id)
    return styles.legend(of, language, dark=dark, title="T")  # type: ignore[arg-type]


def _entries(catalogue: Catalogue, style_id: str, *, dark: bool = False) -> list[dict[str, object]]:
    (layer,) = _legend(catalogue, style_id, dark=dark)["layers"]  # type: ignore[misc]
    return list(layer["entries"])


OVERLAYS = ["facility.hospital", "facility.school", "facility.component", "facility.heritage_site", "base.poi"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("layer_id", [*OVERLAYS, "base.parcel"])
def test_classes_are_those_of_the_paint(catalogue: Catalogue, layer_id: str, dark: bool) -> None:
    part = "fill" if layer_id == "base.parcel" else "dot"
    layer = next(x for x in make(catalogue, layer_id, dark=dark)["layers"] if x["id"] == f"{layer_id}/{part}")
    match = layer["paint"][_COLOUR[layer["type"]]]
    assert match[0] == "match"
    drawn = {}
    for codes, colour in zip(match[2:-1:2], match[3:-1:2], strict=True):
        drawn.update(dict.fromkeys(codes if isinstance(codes, list) else [codes], colour))
    said = {c: e["color"] for e in _entries(catalogue, layer_id, dark=dark) for c in e.get("codes", [])}  # type: ignore
    assert said == drawn


@pytest.mark.parametrize("layer_id", ["base.road", "base.water_line", *OVERLAYS])
def test_every_code_of_the_list_is_in_one_class(catalogue: Catalogue, layer_id: str) -> None:
    layer = catalogue.layers[layer_id]
    codes = [str(c) for entry in classes_of(layer) for c in entry.codes]
    listed = layer.codes[layer.spec.field(layer.spec.style.color_by or "").codes or ""]
    assert sorted(codes) == sorted(c.code for c in listed.codes)


def test_no_layer_has_more_than_eight_classes(catalogue: Catalogue) -> None:
    assert {i: len(classes_of(x)) for i, x in catalogue.layers.items() if len(classes_of(x)) > 8} == {}


def test_a_long_list_without_classes_is_grouped(catalogue: Catalogue) -> None:
    layer = catalogue.layers["base.building"]
    style = layer.spec.style.model_copy(update={"color_by": "use", "classes": (), "draw": "overlay"})
    found = classes_of(replace(layer, spec=layer.spec.model_copy(update={"style": style})))
    assert len(found) == 8
    assert found[-1].color == OTHER and len(found[-1].codes) == 13 - 7
    assert len({c.color for c in found}) == 8


def test_names_are_in_the_language(catalogue: Catalogue) -> None:
    assert "综合医院" in json.dumps(_legend(catalogue, "facility.hospital"), ensure_ascii=False)
    english = json.dumps(_legend(catalogue, "facility", "en"), ensure_ascii=False)
    assert "General hospital" in english
    assert not any("\u4e00" <= c <= "\u9fff" for c in english)


def test_synthetic_layers_are_marked(catalogue: Catalogue) -> None:
    layers = {x["collection"]: x for x in _legend(catalogue, "city")["layers"]}  # type: ignore[index,union-attr]
    assert layers["facility.school"]["mark"] == "示例数据" and layers["facility.school"]["pattern"] == "hatch"
    assert "mark" not in layers["base.county"]


def test_images_are_in_the_sprite(catalogue: Catalogue) -> None:
    index = styles.sheet(catalogue, dark=False, scale=1).index
    layers = _legend(catalogue, "city")["layers"]
    icons = {e["icon"] for x in layers for e in x["entries"] if "icon" in e}  # type: ignore[attr-defined]
    assert len(icons) > 40 and icons <= index.keys()


def test_the_picture_has_the_colours_of_the_classes(catalogue: Catalogue) -> None:
    document = _legend(catalogue, "base.parcel")
    sheet = styles.sheet(catalogue, dark=False, scale=2)
    fonts = styles.find_fonts(StyleSettings())
    png = styles.legend_png(document, styles.palette(dark=False), sheet, fonts, 2)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert picture.width > 200 and picture.height > 8 * 26 * 2
    small = styles.legend_png(
        document, styles.palette(dark=False), styles.sheet(catalogue, dark=False, scale=1), fonts, 1
    )
    assert Image.open(io.BytesIO(small)).width == pytest.approx(picture.width / 2, abs=12)
    seen = {colour for _, colour in picture.getcolors(1_000_000) or []}
    for entry in _entries(catalogue, "base.parcel"):
        if "outline" in entry:
            red, green, blue = (int(str(entry["outline"])[i : i + 2], 16) for i in (1, 3, 5))
            assert (red, green, blue) in seen, entry


def test_long_legends_run_in_columns(catalogue: Catalogue) -> None:
    sheet = styles.sheet(catalogue, dark=False, scale=1)
    fonts = styles.find_fonts(StyleSettings())
    png = styles.legend_png(_legend(catalogue, "city"), styles.palette(dark=False), sheet, fonts, 1)
    picture = Image.open(io.BytesIO(png))
    assert picture.height < 1000 and picture.width > picture.height

# SPDX-License-Identifier: Apache-2.0
"""A catalogue in memory: the project's own layer definitions with states, and one layer made to be awkward."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from geocloud.catalogue.registry import Catalogue, Layer, LayerState
from geocloud.catalogue.spec import CodeList, LayerSpec, Source, Text, read_layers
from geocloud.ogc import Context
from geocloud.settings import Settings

BASE = "http://city.example:8600"
EXTENT = (115.27, 35.78, 116.54, 37.03)
STAMP = datetime(2026, 11, 22, 6, 3, tzinfo=UTC)
REAL = Source(
    title=Text(zh="开放街图", en="OpenStreetMap"), licence="ODbL-1.0", url="https://www.openstreetmap.org/copyright"
)
MADE = Source(title=Text(zh="示例城市", en="Demo city"), licence="CC0-1.0", synthetic=True)
AWKWARD_CODES = CodeList.model_validate(
    {
        "name": "grade",
        "title": {"zh": "等级", "en": "Grade"},
        "source": "a standard",
        "codes": [
            {"code": "1", "title": {"zh": "一级", "en": "first"}},
            {"code": "2", "title": {"zh": "二级", "en": "second"}},
        ],
    }
)
AWKWARD = LayerSpec.model_validate(
    {
        "id": "lab.awkward",
        "title": {"zh": "<b>怪\"层'", "en": "<b>odd \"layer'"},
        "description": {"zh": "<script>alert(1)</script>", "en": "<script>alert(1)</script>"},
        "geometry": "geometry",
        "key": ["code"],
        "fields": [
            {"name": "code", "title": {"zh": "编码", "en": "Code"}, "required": True},
            {"name": "grade", "type": "integer", "title": {"zh": "等级", "en": "Grade"}, "codes": "grade"},
            {"name": "height", "type": "number", "title": {"zh": "高", "en": "Height"}, "unit": "m", "minimum": 0},
            {"name": "built", "type": "date", "title": {"zh": "建成", "en": "Built"}},
            {"name": "seen", "type": "datetime", "title": {"zh": "观测", "en": "Seen"}},
            {"name": "open", "type": "boolean", "title": {"zh": "开放", "en": "Open"}},
            {"name": "shown_only", "title": {"zh": "仅显示", "en": "Shown only"}, "queryable": False},
            {"name": "secret_name", "title": {"zh": "机密", "en": "Secret"}, "hidden": True},
        ],
    }
)
TABLE = LayerSpec.model_validate(
    {
        "id": "lab.table",
        "title": {"zh": "表", "en": "Table"},
        "description": {"zh": "没有几何", "en": "Has no geometry"},
        "geometry": "none",
        "key": ["code"],
        "fields": [{"name": "code", "title": {"zh": "编码", "en": "Code"}}],
    }
)


def layers_folder() -> Path:
    return Path(__file__).resolve().parents[2] / "layers"


def make_catalogue() -> Catalogue:
    """Real definitions: counties real, parcels empty, the rest synthetic; and two layers of this test's own."""
    specs, codes = read_layers(layers_folder())
    layers: dict[str, Layer] = {}
    for spec in specs.values():
        used = {f.codes: codes[f.codes] for f in spec.fields if f.codes}
        sources = (REAL,) if spec.id == "base.county" else (MADE,)
        state = LayerState(3, 1_234, EXTENT, STAMP)
        if spec.id == "base.parcel":
            sources, state = (), LayerState()
        layers[spec.id] = Layer(spec, state, used, sources)
    layers[AWKWARD.id] = Layer(
        AWKWARD, LayerState(1, 3, (116.0, 36.4, 116.001, 36.401), STAMP), {"grade": AWKWARD_CODES}
    )
    layers[TABLE.id] = Layer(TABLE, LayerState(1, 2, None, STAMP))
    return Catalogue(7, "test", layers)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return make_catalogue()


@pytest.fixture(scope="session")
def context(catalogue: Catalogue) -> Callable[..., Context]:
    """Makes a Context of that catalogue in a language."""
    settings = Settings()

    def make(language: Any = "zh", base_url: str = BASE, of: Catalogue = catalogue) -> Context:
        return Context(of, settings, base_url, language)

    return make

# SPDX-License-Identifier: Apache-2.0
"""What an archive says of itself in its metadata: layers and their fields, sources, and the rule it was made by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geocloud
from geocloud.catalogue.registry import Layer
from geocloud.grids import h3cells
from geocloud.settings import Settings
from geocloud.tiles import build, hexagons, statements
from geocloud.tiles.hexagons import drawn_extent
from geocloud.tiles.statements import kind_of

__all__ = ["metadata_of", "rule_of", "tile_fields", "title_of"]

_TYPES = {"integer": "Number", "number": "Number", "boolean": "Boolean"}
# What tiles say of features that stand for others.
_OVERVIEW_FIELDS = {
    "cluster": {"overview": "String", "count": "Number", "mix": "String", "thinned": "Boolean"},
    "h3": {"cell": "String", "part": "Boolean"},
    "cover": {
        "overview": "String",
        "count": "Number",
        "area_m2": "Number",
        "share": "Number",
        "thinned": "Boolean",
    },
    "merge": {"overview": "String", "count": "Number", "thinned": "Boolean"},
}


def _code() -> str:
    """A digest of the modules that decide what a tile says: whoever changes them need not remember a number."""
    digest = hashlib.blake2b(f"{geocloud.__version__} {version('h3')}".encode(), digest_size=10)
    for module in (build, statements, hexagons, h3cells):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


# Read when the code itself is, so that a process running older code does not speak for newer.
_CODE = _code()


def rule_of(layer: Layer, settings: Settings) -> str:
    """A digest of all that decides what is in a layer's tiles, its rows apart.

    The code that builds it, the layer's geometry type, fields, tile rule and style, and the limits of a tile.
    """
    spec = layer.spec
    made_of: dict[str, Any] = {
        "builder": _CODE,
        "geometry": spec.geometry,
        "fields": [f.model_dump(mode="json", include={"name", "type", "hidden"}) for f in spec.fields],
        "tiles": spec.tiles.model_dump(mode="json"),
        "color_by": spec.style.color_by,
        "label": spec.style.label,
        "limits": settings.tiles.model_dump(mode="json", include={"tile_features_max", "tile_bytes_max"}),
    }
    if spec.tiles.overview == "h3":
        made_of["points_max"] = settings.web.h3_points_max
    return hashlib.blake2b(json.dumps(made_of, sort_keys=True).encode(), digest_size=10).hexdigest()


def tile_fields(layer: Layer) -> dict[str, str]:
    """Attributes that tiles of a layer may carry, with the types TileJSON knows (String, Number, Boolean)."""
    spec = layer.spec
    names = {n for band in spec.tiles.bands for n in band.fields} | {spec.style.color_by, spec.style.label}
    found = {f.name: _TYPES.get(f.type, "String") for f in spec.visible_fields if f.name in names}
    cells = _OVERVIEW_FIELDS["h3"] if spec.tiles.overview == "h3" else {}
    return found | _OVERVIEW_FIELDS[kind_of(layer)] | cells


def title_of(layers: Sequence[Layer], settings: Settings) -> tuple[str, str]:
    """Title in Chinese and English of an archive of these layers."""
    if len(layers) == 1:
        return layers[0].title.zh, layers[0].title.en
    return settings.city.city_name_zh, settings.city.city_name_en


def metadata_of(
    layers: Sequence[Layer], settings: Settings, zooms: Mapping[str, tuple[int, int]], box: Sequence[float] | None
) -> dict[str, Any]:
    """JSON metadata of an archive (PMTiles 3, section 5; TileJSON 3.0 for `vector_layers`)."""
    zh, en = title_of(layers, settings)
    sources = {f"{s.title.zh} ({s.licence})": None for x in layers for s in x.sources}
    extents = [e for x in layers if (e := drawn_extent(x))]
    found: dict[str, Any] = {
        "name": zh,
        "name_en": en,
        "type": "overlay",
        "format": "pbf",
        "attribution": "; ".join(sources),
        "vector_layers": [
            {
                "id": x.id,
                "description": x.title.zh,
                "minzoom": zooms[x.id][0],
                "maxzoom": zooms[x.id][1],
                "fields": tile_fields(x),
            }
            for x in layers
        ],
    }
    if extents:
        west, south, east, north = zip(*extents, strict=True)
        found["bounds"] = list(box or (min(west), min(south), max(east), max(north)))
    if len(layers) == 1:
        found["description"] = layers[0].spec.description.zh
    if any(x.synthetic for x in layers):
        found["synthetic"] = True
    return found

# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a configuration of pygeoapi 0.21, so that a stock `pygeoapi serve` serves the same layers.

Our own server makes its documents itself and does not call pygeoapi for them. Measured with pygeoapi 0.21.0, 2,300
collections of about 20 fields, one core: this configuration 320 ms, `get_oas` 1,850 ms for a document of 26 MB,
`API(…)` 330 ms, all of them again whenever the extent or count of any layer changes; then the landing page 4 ms as
JSON but 36 s as HTML, `/collections` 250 ms. Straight from the catalogue: landing page 0.1 ms, OpenAPI 6 ms and 55 kB,
`/collections` 130 ms, HTML of the landing page 40 ms. `API(…)` also sets up the process's logging. What pygeoapi is
for here: this configuration and its provider plugin now, its EDR and coverage functions when those layers come.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import yaml

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec, Text
from geocloud.ogc.context import CRS84, CRS_URIS, Context, Document
from geocloud.ogc.documents import licence_url

__all__ = ["READER_URL", "configuration", "resource", "to_yaml"]

# The environment variable that stands for the database in the written file, so that it holds no password.
READER_URL = "${GEOCLOUD_READER_URL}"
_PROVIDER = "geocloud.ogc.provider.GeocloudProvider"
_TYPES: dict[str, Document] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}


def configuration(ctx: Context, data: str = READER_URL) -> Document:
    """The whole configuration; `data` is the reader role's database URL, or a variable that stands for it.

    Internal layers are left out, as they are of our own server.
    """
    web, city, place = ctx.settings.web, ctx.settings.city, urlsplit(ctx.base_url)
    title = {"zh": f"{city.city_name_zh}时空信息云", "en": f"{city.city_name_en} Spatio-temporal Information Cloud"}
    return {
        "server": {
            "bind": {"host": place.hostname or web.host, "port": place.port or 80},
            "url": ctx.base_url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "gzip": False,
            "languages": ["zh-CN", "en-US"] if ctx.language == "zh" else ["en-US", "zh-CN"],
            "pretty_print": False,
            "admin": False,
            "limits": {"default_items": web.page_default, "max_items": web.page_max, "on_exceed": "error"},
            # pygeoapi demands a background map; without a tile server of one's own there is none to name.
            "map": {"url": "", "attribution": city.city_name_zh},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": title,
                "description": title,
                "keywords": {"zh": [city.city_name_zh], "en": [city.city_name_en]},
                "keywords_type": "theme",
                "terms_of_service": "",
                "url": ctx.base_url,
            },
            "license": {"name": "see each collection", "url": ctx.base_url},
            "provider": {"name": title, "url": ctx.base_url},
            "contact": {"name": city.city_name_en},
        },
        "resources": {layer.id: resource(ctx, layer, data) for layer in ctx.catalogue.public().layers.values()},
    }


def resource(ctx: Context, layer: Layer, data: str = READER_URL) -> Document:
    """One layer as a pygeoapi resource served by `geocloud.ogc.provider`."""
    spec = layer.spec
    return {
        "type": "collection",
        "title": _both(layer.title),
        "description": _both(spec.description),
        "keywords": {"zh": [spec.title.zh, *spec.keywords], "en": [spec.title.en]},
        "links": _links(layer),
        "extents": {
            # pygeoapi wants a box; a layer without rows gets the city's.
            "spatial": {"bbox": list(layer.state.extent or ctx.settings.city.city_bbox), "crs": CRS84},
            "temporal": {"begin": None, "end": None},
        },
        "providers": [
            {
                "type": "feature",
                "name": _PROVIDER,
                "data": data,
                "id_field": "fid",
                "table": spec.id,
                "has_geometry": spec.geometry != "none",
                "fields": {f.name: _field(ctx, f) for f in spec.queryables},
                "storage_crs": CRS84,
                "crs": list(CRS_URIS),
            }
        ],
    }


def to_yaml(config: Document) -> str:
    """The configuration as the text of a pygeoapi.yml."""
    head = "# Written by `geocloud ogc config`. Set GEOCLOUD_READER_URL to the reader role's database URL.\n"
    return head + str(yaml.safe_dump(config, allow_unicode=True, sort_keys=False, width=120))


def _field(ctx: Context, f: FieldSpec) -> Document:
    entry: dict[str, Any] = {"title": ctx.text(f.title), **_TYPES[f.type]}
    return entry | ({"x-ogc-unit": f.unit} if f.unit else {})


def _links(layer: Layer) -> list[Document]:
    links = []
    for source in layer.sources:
        if source.url:
            links.append({"type": "text/html", "rel": "via", "title": source.title.en, "href": source.url})
        if address := licence_url(source.licence):
            links.append({"type": "text/html", "rel": "license", "title": source.licence, "href": address})
    return links


def _both(text: Text) -> Document:
    return {"zh": text.zh, "en": text.en}

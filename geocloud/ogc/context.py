# SPDX-License-Identifier: Apache-2.0
"""What every document is made from: the catalogue, the settings, the address and the language of one request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from geocloud.catalogue.registry import Catalogue
from geocloud.catalogue.spec import Text
from geocloud.geodesy.crs import CRS84_URI, SERVED, STORAGE, crs
from geocloud.settings import Settings

__all__ = ["CRS84", "CRS_URIS", "REL", "STORAGE_CRS", "Context", "Document", "collection_path", "link"]

Document: TypeAlias = dict[str, Any]

CRS84 = CRS84_URI
STORAGE_CRS = crs(STORAGE).uri
# OGC API Features part 2, 6.2: every CRS that `crs=` and `bbox-crs=` take, the default one first.
CRS_URIS = tuple(crs(code).uri for code in SERVED)
# Base of OGC's registered link relations.
REL = "http://www.opengis.net/def/rel/ogc/1.0/"


@dataclass(frozen=True)
class Context:
    """One request's view: `base_url` is the address of the landing page without a slash at its end."""

    catalogue: Catalogue
    settings: Settings
    base_url: str
    language: Literal["zh", "en"] = "zh"

    def text(self, text: Text) -> str:
        """A bilingual text in the request's language."""
        return text.zh if self.language == "zh" else text.en

    def say(self, zh: str, en: str) -> str:
        """Of two wordings the one in the request's language."""
        return zh if self.language == "zh" else en

    def url(self, path: str = "/") -> str:
        """Absolute address of a path below the landing page, such as `/collections`."""
        return self.base_url.rstrip("/") + path

    def path(self, path: str = "/") -> str:
        """The same without scheme and host: right on whatever host name a browser came by."""
        return urlsplit(self.base_url).path.rstrip("/") + path

    @property
    def editing(self) -> bool:
        """Whether features of any layer can be changed over HTTP."""
        return self.settings.edit.editing and any(x.spec.access.edit for x in self.catalogue.layers.values())

    @property
    def city(self) -> str:
        """The city's name."""
        return self.say(self.settings.city.city_name_zh, self.settings.city.city_name_en)

    @property
    def service(self) -> str:
        """The name of this service."""
        return self.say(f"{self.city}时空信息云", f"{self.city} Spatio-temporal Information Cloud")


def link(href: str, rel: str, media_type: str, title: str, **more: Any) -> Document:
    """A link object (RFC 8288 as OGC API Common writes it in JSON)."""
    return {"href": href, "rel": rel, "type": media_type, "title": title, **more}


@lru_cache(maxsize=10_000)
def collection_path(collection_id: str, *parts: str) -> str:
    """Path of a collection or of something below it."""
    return "/".join(("/collections", *_quoted((collection_id, *parts))))


def _quoted(parts: Sequence[str]) -> list[str]:
    return [quote(part, safe=".-_~") for part in parts]

# SPDX-License-Identifier: Apache-2.0
"""HTML pages of the documents: own templates, own style sheet, nothing from outside, one language at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.ogc import listing
from geocloud.ogc.context import Context, Document
from geocloud.ogc.pages import PAGES, page_of
from geocloud.reports import formats

__all__ = ["PAGES", "render"]

_TEMPLATES = {"queryables": "properties", "sortables": "properties", "schema": "properties"}


def render(
    name: str,
    ctx: Context,
    document: Document,
    *,
    path: str = "/",
    query: Sequence[tuple[str, str]] | Mapping[str, str] = (),
    **extra: Any,
) -> str:
    """The page of a document.

    `name` is one of PAGES. `path` (below the landing page, such as `/collections`) and `query` are those of the
    request, so that the page can link to itself in the other language and format. `collection` (an id) is needed
    for collection pages, items and item. Geometries in another CRS than CRS84 (the query's `crs`) are not drawn.
    Raises KeyError for an unknown name, and UnknownCollection.
    """
    view = View(ctx, path, list(query.items()) if isinstance(query, Mapping) else list(query))
    content = page_of(name, ctx, document, view, extra)
    layer = content.get("layer")
    template = _environment().get_template(f"{_TEMPLATES.get(name, name)}.html")
    return template.render(
        content,
        page=name,
        ctx=ctx,
        view=view,
        _=ctx.say,
        doc=document,
        formats=formats,
        listing=listing,
        shown_value=_Values(ctx, layer) if layer else None,
    )


class View:
    """What a page knows of the request it answers."""

    def __init__(self, ctx: Context, path: str, query: Sequence[tuple[str, str]]) -> None:
        self._ctx, self._path, self.query = ctx, path, query

    def get(self, name: str) -> str:
        """A query parameter's value, empty when it was not given."""
        return next((v for k, v in self.query if k == name), "")

    @property
    def filtered(self) -> bool:
        """True when the request says more than format, language and size of the page."""
        return any(v for k, v in self.query if k not in ("f", "lang", "limit", "offset", "token", "crs"))

    def here(self, **changes: str | None) -> str:
        """This page with some query parameters set, or taken out where None."""
        pairs = [(k, v) for k, v in self.query if k not in changes]
        pairs += [(k, v) for k, v in changes.items() if v is not None]
        return self._ctx.path(self._path) + (f"?{urlencode(pairs)}" if pairs else "")

    def to(self, path: str, **query: str) -> str:
        """Another page, kept in the language that was asked for by `lang=`."""
        pairs = [*query.items(), *((k, v) for k, v in self.query if k == "lang")]
        return self._ctx.path(path) + (f"?{urlencode(pairs)}" if pairs else "")


class _Values:
    """Attributes' values in cells: a code with its meaning, a key in a fixed-width face, dates in words."""

    def __init__(self, ctx: Context, layer: Layer) -> None:
        self._ctx, self._key = ctx, layer.spec.key
        self._titles = {
            f.name: layer.codes[f.codes].titles() for f in layer.spec.fields if f.codes and f.codes in layer.codes
        }

    def __call__(self, f: FieldSpec, item: Any) -> str | Markup:
        text = formats.value(item, f.type, self._ctx.language)
        meaning = self._titles.get(f.name, {}).get(str(item))
        if meaning:
            return Markup('{} <code class="aside">{}</code>').format(self._ctx.text(meaning), text)
        if text and f.name in self._key and text.isascii():
            return Markup('<code class="key" data-copy-click title="{}">{}</code>').format(
                self._ctx.say("点击复制", "Click to copy"), text
            )
        return text


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("geocloud.ogc"), autoescape=True, trim_blocks=True, lstrip_blocks=True)

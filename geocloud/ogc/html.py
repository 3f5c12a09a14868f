# SPDX-License-Identifier: Apache-2.0
"""HTML pages of the documents: own templates, own style sheet, nothing from outside, one language at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from geocloud.ogc import formats
from geocloud.ogc.context import Context, Document

__all__ = ["PAGES", "render"]

PAGES = (
    "landing",
    "conformance",
    "collections",
    "collection",
    "queryables",
    "sortables",
    "schema",
    "items",
    "item",
    "openapi",
    "error",
)
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
    for queryables, sortables, schema, items and item. Raises KeyError for an unknown name.
    """
    if name not in PAGES:
        raise KeyError(name)
    pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
    view = _View(ctx, path, pairs)
    template = _environment().get_template(f"{_TEMPLATES.get(name, name)}.html")
    return template.render(page=name, ctx=ctx, view=view, _=ctx.say, doc=document, formats=formats, **extra)


class _View:
    """What a page knows of the request it answers."""

    def __init__(self, ctx: Context, path: str, query: Sequence[tuple[str, str]]) -> None:
        self.ctx, self.path, self.query = ctx, path, query

    def here(self, **changes: str | None) -> str:
        """This page with some query parameters set, or taken out where None."""
        pairs = [(k, v) for k, v in self.query if k not in changes]
        pairs += [(k, v) for k, v in changes.items() if v is not None]
        return self.ctx.path(self.path) + (f"?{urlencode(pairs)}" if pairs else "")

    def to(self, path: str, **query: str) -> str:
        """Another page, kept in the language that was asked for by `lang=`."""
        pairs = [*query.items(), *((k, v) for k, v in self.query if k == "lang")]
        return self.ctx.path(path) + (f"?{urlencode(pairs)}" if pairs else "")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("geocloud.ogc"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

# SPDX-License-Identifier: Apache-2.0
"""`/sectors`: what bureaus laid over the core, and the panels of the web map that are made from it."""

from __future__ import annotations

from collections.abc import Iterable

from geocloud.catalogue.spec import Text
from geocloud.ogc.context import Context, Document, link
from geocloud.sectors.panel import Ask, Chart, Column, Function
from geocloud.sectors.registry import Sector, layer_ids

__all__ = ["sector_list"]


def sector_list(ctx: Context, sectors: Iterable[Sector]) -> Document:
    """Sectors that can be read, each with its layers that are published here and its functions, in both languages.

    Paths of columns and figures are as their sector wrote them; only what is not the default is told.
    """
    return {
        "sectors": [_sector(ctx, s) for s in sectors if s.error is None],
        "links": [link(ctx.url("/sectors"), "self", "application/json", ctx.say("本文档", "This document"))],
    }


def _sector(ctx: Context, one: Sector) -> Document:
    panel = one.panel
    title = panel.title if panel else one.title
    processes = {p.id: p for p in one.processes}
    functions = panel.functions if panel else ()
    return {
        "name": one.name,
        "title": _both(title),
        "layers": [i for i in layer_ids(one) if i in ctx.catalogue.layers],
        "functions": [
            _function(f, processes[f.process].title, processes[f.process].description, ctx) for f in functions
        ],
    }


def _function(one: Function, title: Text, description: Text, ctx: Context) -> Document:
    document: Document = {
        "process": one.process,
        "title": _both(one.title or title),
        "description": _both(description),
        "asks": [_ask(a) for a in one.asks],
        "layers": [i for i in one.layers if i in ctx.catalogue.layers],
        "missing": [i for i in one.layers if i not in ctx.catalogue.layers],
        "rows": one.rows,
        "columns": [_column(c) for c in one.columns],
        "figures": [_column(c) for c in one.figures],
        "draws": list(one.draws),
    }
    if one.verdict:
        document["verdict"] = one.verdict
    if one.tone:
        document["tone"] = one.tone
    if one.label:
        document["label"] = one.label
    if one.place:
        document["place"] = {"layer": one.place[0], "field": one.place[1]}
    if one.chart:
        document["chart"] = _chart(one.chart)
    if one.example:
        document["example"] = dict(one.example)
    return document


def _ask(one: Ask) -> Document:
    words = {k: _both(v) for k, v in one.words.items()}
    given: Document = {"pick": one.pick, "codes": one.codes, "words": words, "layer": one.layer, "field": one.field,
                       "geometry": one.geometry}  # fmt: skip
    title = {"title": _both(one.title)} if one.title else {}
    return {"input": one.input, **{k: v for k, v in given.items() if v}, **title}


def _column(one: Column) -> Document:
    document: Document = {"name": one.name, "title": _both(one.title), "kind": one.kind}
    given: Document = {
        "unit": _unit(one.unit),
        "codes": one.codes,
        "words": {k: _both(v) for k, v in one.words.items()},
        "tones": dict(one.tones),
        "none": None if one.none is None else _both(one.none),
    }
    return document | {k: v for k, v in given.items() if v}


def _chart(one: Chart) -> Document:
    given: Document = {
        "least": one.least,
        "most": one.most,
        "unit": _unit(one.unit),
        "band": None if one.band is None else _both(one.band),
    }
    document: Document = {"title": _both(one.title), "start": one.start, "value": one.value}
    return document | {k: v for k, v in given.items() if v}


def _unit(unit: str | Text | None) -> str | dict[str, str] | None:
    return _both(unit) if isinstance(unit, Text) else unit


def _both(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}

# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/changes`: what differs between two dates, as features, a table, a page, or what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from geocloud.catalogue.registry import Layer
from geocloud.features.changes import csv_names
from geocloud.features.changes_read import ChangesPage, read_changes, summarise_changes
from geocloud.features.changes_request import (
    CHOICE_PARAMETERS,
    SPAN_PARAMETERS,
    ChangesQuestion,
    read_changes_question,
)
from geocloud.features.tokens import Position
from geocloud.ogc import Context, Document, render
from geocloud.ogc.changes import changes_span, rfc3339, summary_document
from geocloud.ogc.context import collection_path, link
from geocloud.web.answer import Answer, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import CSV, GEOJSON, HTML, crs_uri, said_in, validator
from geocloud.web.service import Service

__all__ = ["ROUTES", "SUMMARY_PARAMETERS"]

_JSON = "application/json"
_FORMATS = ("json", "html", "csv")
_MEDIA = {"json": GEOJSON, "html": "text/html", "csv": "text/csv"}
SUMMARY_PARAMETERS = (*SPAN_PARAMETERS, *CHOICE_PARAMETERS)
# So that Excel and WPS read Chinese text right.
_BOM = "\ufeff"


async def _changes(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """A page of differences as GeoJSON, CSV or HTML."""
    layer = service.catalogue.layer(params["collection"])
    file_format = ask.format(_FORMATS)
    etag = _etag(service, ask, layer, file_format)
    if etag is not None and ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    pairs = _dated(ask, layer) if file_format == "html" else ask.pairs
    question = read_changes_question(pairs, layer, file_format, service.settings.web, service.tokens)
    summary = None
    query = replace(question.query, with_before=True) if file_format == "html" else question.query
    async with service.reader.lease() as conn:
        page = await read_changes(conn, query)
        matched = page.total
        if (position := question.position) is not None:
            matched = position.matched or 0
            if position.version != question.version:
                matched = (await read_changes(conn, replace(query, after=None, limit=1))).total
        if file_format == "html":
            summary = await summarise_changes(conn, question.query)
    ctx = service.context(ask)
    links = _links(service, ctx, pairs, question, page, matched, file_format)
    headers = [(b"content-crs", f"<{crs_uri(question.query.output)}>".encode()), said_in(ctx)]
    if file_format == "csv":
        rows = [",".join(csv_names(question.query)).encode(), *page.texts]
        headers += [(b"ogc-numbermatched", b"%d" % matched), (b"ogc-numberreturned", b"%d" % len(page.texts))]
        headers.append((b"content-disposition", f'inline; filename="{layer.id}-changes.csv"'.encode()))
        headers.append((b"link", ", ".join(f'<{x["href"]}>; rel="{x["rel"]}"' for x in links).encode()))
        body = _BOM.encode() + b"\r\n".join(rows) + b"\r\n"
        return Answer(body, CSV, headers=headers, etag=etag, token=_token(etag, layer))
    tail: Document = {
        "numberMatched": matched,
        "numberReturned": len(page.texts),
        "timeStamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **changes_span(question),
    }
    if layer.synthetic:
        tail["synthetic"] = True
    tail["links"] = links
    text = b'{"type":"FeatureCollection","features":[' + b",".join(page.texts) + b"]," + orjson.dumps(tail)[1:]
    if summary is not None:
        document = orjson.loads(text) | {"summary": summary_document(ctx, question, summary)}
        shown = render("changes", ctx, document, path=ask.path, query=pairs, collection=layer.id)
        return Answer(shown.encode(), HTML, headers=headers, etag=etag, token=_token(etag, layer))
    return Answer(text, GEOJSON, headers=headers, etag=etag, token=_token(etag, layer))


async def _summary(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Counts by kind and field, areas and lengths gained and lost."""
    layer = service.catalogue.layer(params["collection"])
    etag = _etag(service, ask, layer, ask.format(("json",)))
    if etag is not None and ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    question = read_changes_question(ask.pairs, layer, "json", service.settings.web, service.tokens, SUMMARY_PARAMETERS)
    async with service.reader.lease() as conn:
        found = await summarise_changes(conn, question.query)
    ctx = service.context(ask)
    document = summary_document(ctx, question, found)
    kept = _fixed(ask.pairs, question)
    address = f"{ctx.url(collection_path(layer.id, 'changes'))}?{urlencode(kept)}"
    document["links"] = [
        link(address, "items", GEOJSON, ctx.say("逐条变化", "One by one")),
        link(f"{address}&f=csv", "items", "text/csv", ctx.say("变化表", "As a table")),
        link(ctx.url(collection_path(layer.id)), "collection", _JSON, ctx.text(layer.title)),
    ]
    return Answer(orjson.dumps(document), _JSON, headers=[said_in(ctx)], etag=etag, token=_token(etag, layer))


def _etag(service: Service, ask: Ask, layer: Layer, file_format: str) -> str | None:
    """The validator of an answer about two given moments; None where the second is the moment of asking."""
    if ask.parameter("to") in (None, ""):
        return None
    return validator(service, ask, layer, file_format, ask.language(service.settings.web))


def _token(etag: str | None, layer: Layer) -> object:
    return None if etag is None else layer


def _dated(ask: Ask, layer: Layer) -> list[tuple[str, str]]:
    """A page that names no date begins with the last day before the layer's last write."""
    if ask.parameter("from"):
        return ask.pairs
    since = layer.state.stamp or datetime.now(UTC)
    day = datetime.fromtimestamp(since.timestamp() - 16 * 3600, UTC).date()
    return [*((k, v) for k, v in ask.pairs if k != "from"), ("from", day.isoformat())]


def _fixed(pairs: Sequence[tuple[str, str]], question: ChangesQuestion) -> list[tuple[str, str]]:
    """The question with both moments written out, so that a later page is about the same ones."""
    kept = [(k, v) for k, v in pairs if k not in ("from", "to", "f", "token") and v]
    return [("from", rfc3339(question.start)), ("to", rfc3339(question.end)), *kept]


def _links(
    service: Service,
    ctx: Context,
    pairs: Sequence[tuple[str, str]],
    question: ChangesQuestion,
    page: ChangesPage,
    matched: int,
    file_format: str,
) -> list[Document]:
    layer = question.query.layer
    here = ctx.url(collection_path(layer.id, "changes"))
    kept = _fixed(pairs, question)

    def address(**more: Any) -> str:
        return f"{here}?{urlencode([*kept, *more.items()])}"

    token = {k: v for k, v in pairs if k == "token"}
    links = [link(address(f=file_format, **token), "self", _MEDIA[file_format], ctx.say("本页", "This page"))]
    titles = {"json": "GeoJSON", "html": ctx.say("网页", "HTML page"), "csv": "CSV"}
    links += [link(address(f=n, **token), "alternate", _MEDIA[n], titles[n]) for n in _FORMATS if n != file_format]
    chosen = [(k, v) for k, v in kept if k in (*SUMMARY_PARAMETERS, "lang") or k in layer.spec.queryable_names]
    links.append(
        link(f"{here}/summary?{urlencode(chosen)}", "related", _JSON, ctx.say("变化汇总", "What they come to"))
    )
    links.append(link(ctx.url(collection_path(layer.id)), "collection", _JSON, ctx.text(layer.title)))
    if page.more and page.last is not None:
        position = Position((page.last,), False, matched, question.version)
        token = {"token": service.tokens.write(position, question.order)}
        links.append(link(address(f=file_format, **token), "next", _MEDIA[file_format], ctx.say("下一页", "Next page")))
    if question.position is not None:
        links.append(link(address(f=file_format), "first", _MEDIA[file_format], ctx.say("第一页", "First page")))
    return links


ROUTES = [
    ("/collections/{collection}/changes", _changes),
    ("/collections/{collection}/changes/summary", _summary),
]

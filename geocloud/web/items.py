# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/items` and one item: the paths that carry nearly all of the traffic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson

import geocloud
from geocloud.catalogue.registry import Layer
from geocloud.features.moment import read_moment
from geocloud.features.pages import Page, Question, open_page
from geocloud.features.query import item_statement
from geocloud.features.refusals import unknown_item
from geocloud.features.request import read_item, read_question
from geocloud.features.text import Output
from geocloud.features.tokens import Position
from geocloud.features.version import Version
from geocloud.ogc import Context, Document, render
from geocloud.ogc.context import collection_path, link
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.service import Service
from geocloud.web.versions import IMMUTABLE, ended, frozen, gate, memento_headers, version_links

__all__ = ["crs_uri", "feature_body", "is_frozen", "item", "item_etag", "items", "read_fid", "said_in", "validator"]

FORMATS = ("json", "html", "csv")
ITEM_FORMATS = ("json", "html")
GEOJSON, CSV, HTML = "application/geo+json", "text/csv; charset=utf-8", "text/html; charset=utf-8"
# So that Excel and WPS read Chinese text right.
_BOM = "\ufeff"
_LARGEST_FID = 2**63 - 1


def validator(service: Service, ask: Ask, layer: Layer, file_format: str, language: str) -> str:
    """ETag from layer version, question, format, language and role: known before any SQL.

    What was believed before the layer's last write stays so: its tag is the same at every version.
    """
    catalogue, state = service.catalogue, layer.state
    version = (None, None) if is_frozen(ask, layer) else (state.version, state.epoch)
    made_of = (geocloud.__version__, catalogue.identity, catalogue.revision, layer.id, *version)
    return etag_of(*made_of, ask.path, ask.query, file_format, language, ask.host, "reader")


def is_frozen(ask: Ask, layer: Layer) -> bool:
    """Whether the request is about a moment of belief that can no longer change."""
    return b"asof=" in ask.query and frozen(layer, read_moment(None, ask.parameter("asof")))


async def items(service: Service, ask: Ask, layer: Layer, file_format: str, etag: str) -> Answer:
    """A page of features as GeoJSON, HTML or CSV."""
    web = service.settings.web
    question = read_question(ask.pairs, layer, file_format, web, service.tokens)
    page = await open_page(service.reader, question, service.counts, web)
    ctx = service.context(ask)
    headers = [(b"content-crs", f"<{crs_uri(question.query.output)}>".encode()), said_in(ctx)]
    if is_frozen(ask, layer):
        headers.append(IMMUTABLE)
    chunked = question.query.limit > web.stream_chunk_rows
    if file_format == "html":
        document = orjson.loads(b"".join([part async for part in _geojson(service, ask, ctx, question, page)]))
        body = render("items", ctx, document, path=ask.path, query=ask.pairs, collection=layer.id).encode()
        return Answer(body, HTML, headers=headers, etag=etag, token=layer)
    if file_format == "csv":
        headers += _count_headers(page, chunked)
        headers.append((b"content-disposition", f'inline; filename="{layer.id}.csv"'.encode()))
        parts, media_type = _csv(question, page), CSV
        if not chunked:
            headers.append((b"link", _link_header(_links(service, ask, ctx, question, page, "csv"))))
    else:
        parts, media_type = _geojson(service, ask, ctx, question, page), GEOJSON
    if chunked:
        # What opens the document and the first features; a failing query fails before the status is sent.
        try:
            begin = await anext(parts, b"") + await anext(parts, b"")
        except BaseException:
            await page.close(sound=False)
            raise
        chunks = _continued(begin, parts)
        return Answer(chunks, media_type, headers=headers, etag=etag, token=layer, done=page.close)
    return Answer(b"".join([part async for part in parts]), media_type, headers=headers, etag=etag, token=layer)


def item_etag(
    service: Service, ask: Ask, layer: Layer, fid: str, version: Version, query: bytes, file_format: str, language: str
) -> str:
    """ETag of one feature: its own version, then which representation of it."""
    catalogue = service.catalogue
    made_of = (geocloud.__version__, catalogue.identity, catalogue.revision, layer.id, fid)
    return version.tag(etag_of(*made_of, query, file_format, language, ask.host).strip('"'))


def read_fid(layer: Layer, text: str) -> int:
    """The feature id of a path; UnknownItem for what cannot be one."""
    fid = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not 0 <= fid <= _LARGEST_FID:
        raise unknown_item(layer, text)
    return fid


async def item(service: Service, ask: Ask, layer: Layer, fid_text: str, file_format: str, language: str) -> Answer:
    """One feature as GeoJSON or HTML, or 304 where the client has this version of it."""
    output, relation, args = read_item(ask.pairs, layer)
    fid = read_fid(layer, fid_text)
    dated = b"datetime=" in ask.query or b"asof=" in ask.query
    if not dated and (turned := await gate(service, ask, layer, fid_text, fid)) is not None:
        return turned
    statement = item_statement(layer, output, fid, relation, args)
    async with service.reader.lease() as conn:
        row = await conn.fetchrow(statement.sql, *statement.args)
    if row is None:
        raise (
            unknown_item(layer, fid_text) if dated else await ended(service, service.context(ask), layer, fid_text, fid)
        )
    version = Version.of(row[1], row[2])
    etag = item_etag(service, ask, layer, fid_text, version, ask.query, file_format, language)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    ctx = service.context(ask)
    body = feature_body(ctx, layer, fid_text, row[0])
    headers = [(b"content-crs", f"<{crs_uri(output)}>".encode()), said_in(ctx)]
    if dated:
        headers += memento_headers(ctx, layer, fid_text, version)
    if is_frozen(ask, layer):
        headers.append(IMMUTABLE)
    if file_format == "html":
        page = render("item", ctx, orjson.loads(body), path=ask.path, query=ask.pairs, collection=layer.id)
        return Answer(page.encode(), HTML, headers=headers, etag=etag, token=layer)
    return Answer(body, GEOJSON, headers=headers, etag=etag, token=layer)


def feature_body(ctx: Context, layer: Layer, fid: str, text: bytes, more: Document | None = None) -> bytes:
    """The GeoJSON text of a feature with its links, and `more` members."""
    here = ctx.url(collection_path(layer.id, "items", fid))
    links = [
        link(here, "self", GEOJSON, ctx.say("本要素", "This feature")),
        link(f"{here}?f=html", "alternate", "text/html", ctx.say("网页", "As a page")),
        link(ctx.url(collection_path(layer.id)), "collection", "application/json", ctx.text(layer.title)),
        *version_links(ctx, layer, fid),
    ]
    extra = {"links": links} | ({"synthetic": True} if layer.synthetic else {}) | (more or {})
    return b"".join((text[:-1], b",", orjson.dumps(extra)[1:]))


async def _geojson(service: Service, ask: Ask, ctx: Context, question: Question, page: Page) -> AsyncIterator[bytes]:
    """`features` first, what is only known at the end last."""
    separator = b'{"type":"FeatureCollection","features":['
    async for text in page.chunks:
        yield separator
        yield text
        separator = b","
    tail: Document = {"numberReturned": page.returned}
    if page.matched is not None:
        tail["numberMatched"] = page.matched
    tail["timeStamp"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if question.query.layer.synthetic:
        tail["synthetic"] = True
    tail["links"] = _links(service, ask, ctx, question, page, "json")
    yield (separator if separator != b"," else b"") + b"]," + orjson.dumps(tail)[1:]


async def _csv(question: Question, page: Page) -> AsyncIterator[bytes]:
    query = question.query
    names = ["fid", *(f.name for f in query.output.fields)]
    kind = query.layer.spec.geometry
    if kind == "point":
        names += ["x", "y"]
    elif kind != "none":
        names.append("wkt")
    yield (_BOM + ",".join(names) + "\r\n").encode()
    async for text in page.chunks:
        yield text + b"\r\n"


async def _continued(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for part in rest:
        yield part


def _links(
    service: Service, ask: Ask, ctx: Context, question: Question, page: Page, file_format: str
) -> list[Document]:
    layer, query = question.query.layer, question.query
    here = ctx.url(collection_path(layer.id, "items"))
    media = {"json": GEOJSON, "html": "text/html", "csv": "text/csv"}

    # The question without its place and format, written once; each link adds what it changes.
    kept = urlencode([(k, v) for k, v in ask.pairs if k not in ("f", "token", "offset")])
    format_asked = ask.parameter("f")
    place = urlencode([(k, v) for k, v in ask.pairs if k in ("token", "offset")])

    def address(at: str = place, as_format: str | None = format_asked) -> str:
        query = "&".join(part for part in (kept, f"f={as_format}" if as_format else "", at) if part)
        return f"{here}?{query}" if query else here

    links = [link(address(), "self", media[file_format], ctx.say("本页", "This page"))]
    titles = {"json": "GeoJSON", "html": ctx.say("网页", "HTML page"), "csv": "CSV"}
    links += [link(address(as_format=n), "alternate", media[n], titles[n]) for n in FORMATS if n != file_format]
    links.append(link(ctx.url(collection_path(layer.id)), "collection", "application/json", ctx.text(layer.title)))

    def turn(rel: str, after: tuple[object, ...] | None, backwards: bool, title: str) -> None:
        position = Position(after, backwards, page.matched, question.version)
        token = service.tokens.write(position, question.order)
        links.append(link(address(f"token={token}"), rel, media[file_format], title))

    more_after = page.more if not query.backwards else query.after is not None
    more_before = page.more if query.backwards else (query.after is not None or query.offset > 0)
    if more_after and page.last is not None:
        turn("next", page.last, False, ctx.say("下一页", "Next page"))
    if more_before and page.first is not None:
        turn("prev", page.first, True, ctx.say("上一页", "Previous page"))
    if more_after or more_before:
        links.append(link(address(""), "first", media[file_format], ctx.say("第一页", "First page")))
        turn("last", None, True, ctx.say("最后一页", "Last page"))
    return links


def _count_headers(page: Page, chunked: bool) -> list[tuple[bytes, bytes]]:
    headers = []
    if page.matched is not None:
        headers.append((b"ogc-numbermatched", b"%d" % page.matched))
    if not chunked:
        headers.append((b"ogc-numberreturned", b"%d" % page.returned))
    return headers


def _link_header(links: list[Document]) -> bytes:
    return ", ".join(f'<{x["href"]}>; rel="{x["rel"]}"; type="{x["type"]}"' for x in links).encode()


def said_in(ctx: Context) -> tuple[bytes, bytes]:
    """The Content-Language header of what a context says."""
    return b"content-language", ctx.language.encode()


def crs_uri(output: Output) -> str:
    """The URI of the CRS an answer is written in."""
    if output.srid == 4326 and not output.flip:
        return "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
    return f"http://www.opengis.net/def/crs/EPSG/0/{output.srid}"

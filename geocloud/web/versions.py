# SPDX-License-Identifier: Apache-2.0
"""`/items/{fid}/versions`: the life of a feature, and each version of it under an address of its own.

Relations are those of RFC 5829 (version navigation) and RFC 7089 (Memento): the item is the original resource and its
own time gate, the list of versions its time map, each version a memento.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import orjson

from geocloud.catalogue.registry import Layer
from geocloud.errors import ItemEnded
from geocloud.features.literals import invalid
from geocloud.features.moment import Moment, read_moment
from geocloud.features.refusals import unknown_item
from geocloud.features.request import read_item, read_whole, unknown_parameter
from geocloud.features.text import Output
from geocloud.features.timeline import Belief, at, read_timeline, timeline_statement
from geocloud.features.version import Version, read_version
from geocloud.ogc import Context, Document, render
from geocloud.ogc.context import collection_path, link
from geocloud.web.answer import Answer, Headers, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.service import Service

__all__ = [
    "IMMUTABLE", "ROUTES", "VERSIONS_PARAMETERS", "VERSION_PARAMETERS", "ended", "frozen", "gate", "memento_headers",
    "version_links",
]  # fmt: skip

GEOJSON, HTML = "application/geo+json", "text/html; charset=utf-8"
VERSIONS_PARAMETERS = ("crs", "properties", "asof", "beliefs", "limit", "offset")
VERSION_PARAMETERS = ("crs", "properties")
IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")
_FORMATS = ("json", "html")


def frozen(layer: Layer, moment: Moment) -> bool:
    """Whether what is asked for can no longer change: a belief of before the layer's last write.

    Writers of a layer take turns, and each is stamped later than the one before.
    """
    return moment.believed is not None and layer.state.stamp is not None and moment.believed <= layer.state.stamp


def version_links(ctx: Context, layer: Layer, fid: str) -> list[Document]:
    """What a feature says of its versions."""
    here = ctx.url(collection_path(layer.id, "items", fid))
    return [link(f"{here}/versions", "version-history", GEOJSON, ctx.say("各版本", "Its versions"))]


def memento_headers(ctx: Context, layer: Layer, fid: str, version: Version) -> Headers:
    """`Memento-Datetime` and the links that go with it (RFC 7089, 2.2): since when it was so, or since when known."""
    here = ctx.url(collection_path(layer.id, "items", fid))
    begins = version.valid_from
    moment = version.sys_from if begins.replace(tzinfo=None) == datetime.min else begins
    links = f'<{here}>; rel="original timegate latest-version", <{here}/versions>; rel="timemap version-history"'
    return [(b"memento-datetime", format_datetime(moment, usegmt=True).encode()), (b"link", links.encode())]


async def gate(service: Service, ask: Ask, layer: Layer, fid_text: str, fid: int) -> Answer | None:
    """For a request with `Accept-Datetime` the way to the version of that time (RFC 7089, 4.1); None for others."""
    asked = ask.header(b"accept-datetime").decode("latin-1")
    if not asked:
        return None
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        raise invalid(
            "Accept-Datetime",
            f"The header Accept-Datetime is `{asked[:60]}`, not a date as HTTP writes it.",
            f"请求头 Accept-Datetime 的值“{asked[:60]}”不是 HTTP 日期。",
            "Write Thu, 01 Aug 2019 00:00:00 GMT.",
            "请写成 Thu, 01 Aug 2019 00:00:00 GMT。",
        ) from None
    ctx = service.context(ask)
    timeline = await _timeline(service, layer, fid, Output())
    found = at(timeline, moment.astimezone(UTC))
    if found is None:
        raise unknown_item(layer, fid_text)
    here = ctx.url(collection_path(layer.id, "items", fid_text, "versions", found.version.text()))
    original = ctx.url(collection_path(layer.id, "items", fid_text))
    headers = [
        (b"location", here.encode()),
        (b"vary", b"accept-datetime"),
        (b"link", f'<{original}>; rel="original", <{original}/versions>; rel="timemap"'.encode()),
    ]
    return Answer(b"", "text/plain", 302, headers)


async def ended(service: Service, ctx: Context, layer: Layer, fid_text: str, fid: int) -> Exception:
    """Why there is no such feature now: it has ended, or it never was (or was never so, as a correction says)."""
    timeline = await _timeline(service, layer, fid, Output())
    past = [b for b in timeline if b.valid_to is not None and b.valid_to <= datetime.now(UTC)]
    if not past:
        return unknown_item(layer, fid_text)
    last = past[-1]
    assert last.valid_to is not None
    when = last.valid_to.isoformat().replace("+00:00", "Z")
    here = ctx.url(collection_path(layer.id, "items", fid_text, "versions"))
    return ItemEnded(
        f"Feature {fid_text} of `{layer.id}` ended at {when}.",
        f"{layer.id} 的要素 {fid_text} 已于 {when} 终止。",
        todo_en="Its versions are still there: follow `versions`, or ask for a date before with `datetime`.",
        todo_zh="其各版本仍可查询:请访问 versions 所示地址,或用 datetime 指定此前的日期。",
        ended=when,
        versions=here,
        lastVersion=f"{here}/{last.version.text()}",
    )


async def _versions(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    file_format = ask.format(_FORMATS)
    fid_text, fid = params["fid"], _fid(layer, params["fid"])
    output, _, _ = read_item([p for p in ask.pairs if p[0] in ("crs", "properties")], layer)
    given = _given(ask, VERSIONS_PARAMETERS)
    moment = read_moment(None, given.get("asof"))
    every = _every(given)
    most = service.settings.web.versions_max
    limit = min(read_whole(given, "limit", most, 1, None), most)
    offset = read_whole(given, "offset", 0, 0, service.settings.web.offset_max)
    statement = timeline_statement(
        layer, fid, output, believed=moment.believed, every=every, limit=limit + 1, offset=offset
    )
    async with service.reader.lease() as conn:
        found = await read_timeline(conn, statement)
    if not found and not offset:
        raise unknown_item(layer, fid_text)
    ctx = service.context(ask)
    shown = found[:limit]
    texts = [_body(ctx, layer, fid_text, b, _neighbours(ctx, layer, fid_text, b, shown, every)) for b in shown]
    tail: Document = {"numberReturned": len(shown), "links": _list_links(ctx, ask, layer, fid_text, len(found) > limit)}
    if layer.synthetic:
        tail["synthetic"] = True
    body = b"".join((b'{"type":"FeatureCollection","features":[', b",".join(texts), b"],", orjson.dumps(tail)[1:]))
    headers: Headers = [IMMUTABLE] if frozen(layer, moment) else []
    return _answer(ask, ctx, layer, "versions", body, file_format, headers)


async def _version(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    file_format = ask.format(_FORMATS)
    fid_text, fid = params["fid"], _fid(layer, params["fid"])
    output, _, _ = read_item([p for p in ask.pairs if p[0] in ("crs", "properties")], layer)
    _given(ask, VERSION_PARAMETERS)
    version = read_version(params["version"])
    if version is None:
        raise unknown_item(layer, f"{fid_text}/versions/{params['version']}")
    async with service.reader.lease() as conn:
        found = await read_timeline(conn, timeline_statement(layer, fid, output, version=version))
        if not found:
            raise unknown_item(layer, f"{fid_text}/versions/{params['version']}")
        belief = found[0]
        # Its neighbours are those it had while it was believed.
        known = None if belief.known_to is None else belief.known_from
        whole = timeline_statement(
            layer, fid, Output(fields=()), believed=known, limit=service.settings.web.versions_max
        )
        timeline = await read_timeline(conn, whole)
    ctx = service.context(ask)
    links = _neighbours(ctx, layer, fid_text, belief, timeline, False)
    body = _body(ctx, layer, fid_text, belief, links)
    headers = memento_headers(ctx, layer, fid_text, belief.version)
    navigation = ", ".join(f'<{x["href"]}>; rel="{x["rel"]}"' for x in links if x["rel"].endswith("cessor-version"))
    if navigation:
        headers.append((b"link", navigation.encode()))
    # A belief that was given up stays what it was; one that is held may end.
    if belief.known_to is not None:
        headers.append(IMMUTABLE)
    return _answer(ask, ctx, layer, "item", body, file_format, headers)


async def _timeline(service: Service, layer: Layer, fid: int, output: Output) -> list[Belief]:
    statement = timeline_statement(layer, fid, output, limit=service.settings.web.versions_max)
    async with service.reader.lease() as conn:
        return await read_timeline(conn, statement)


def _answer(ask: Ask, ctx: Context, layer: Layer, page: str, body: bytes, file_format: str, headers: Headers) -> Answer:
    etag = etag_of(body, file_format, ctx.language)
    headers = [*headers, (b"content-language", ctx.language.encode())]
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    if file_format == "html":
        document = orjson.loads(body)
        fid = ask.path.split("/items/")[1].split("/")[0]
        text = render(page, ctx, document, path=ask.path, query=ask.pairs, collection=layer.id, fid=fid)
        return Answer(text.encode(), HTML, headers=headers, etag=etag)
    return Answer(body, GEOJSON, headers=headers, etag=etag)


def _body(ctx: Context, layer: Layer, fid: str, belief: Belief, links: Sequence[Document]) -> bytes:
    """A version as a feature: `time` as JSON-FG writes it, what is known of the version, links."""
    here = ctx.url(collection_path(layer.id, "items", fid))
    more: Document = {
        "time": {"interval": [_open(belief.valid_from), _open(belief.valid_to)]},
        "version": {
            "id": belief.version.text(),
            "validFrom": _instant(belief.valid_from),
            "validTo": _instant(belief.valid_to),
            "knownFrom": _instant(belief.known_from),
            "knownTo": _instant(belief.known_to),
            "change": belief.change,
            "by": belief.by,
        },
        "links": [
            link(f"{here}/versions/{belief.version.text()}", "self", GEOJSON, ctx.say("本版本", "This version")),
            *links,
            link(here, "latest-version", GEOJSON, ctx.say("现行版本", "As it is now")),
            link(f"{here}/versions", "version-history", GEOJSON, ctx.say("各版本", "All versions")),
            link(ctx.url(collection_path(layer.id)), "collection", "application/json", ctx.text(layer.title)),
        ],
    }
    if layer.synthetic:
        more["synthetic"] = True
    return b"".join((belief.text[:-1], b",", orjson.dumps(more)[1:]))


def _neighbours(
    ctx: Context, layer: Layer, fid: str, belief: Belief, timeline: Sequence[Belief], every: bool
) -> list[Document]:
    """Links to the versions before and after in valid time, of what is believed together."""
    if every:
        return []
    place = next((i for i, b in enumerate(timeline) if b.version == belief.version), None)
    if place is None:
        return []
    here = ctx.url(collection_path(layer.id, "items", fid, "versions"))
    found = []
    if place > 0:
        before = timeline[place - 1].version.text()
        found.append(link(f"{here}/{before}", "predecessor-version", GEOJSON, ctx.say("上一版本", "The one before")))
    if place + 1 < len(timeline):
        after = timeline[place + 1].version.text()
        found.append(link(f"{here}/{after}", "successor-version", GEOJSON, ctx.say("下一版本", "The one after")))
    return found


def _list_links(ctx: Context, ask: Ask, layer: Layer, fid: str, more: bool) -> list[Document]:
    here = ctx.url(collection_path(layer.id, "items", fid))
    links = [
        link(f"{here}/versions", "self", GEOJSON, ctx.say("各版本", "The versions")),
        link(f"{here}/versions?f=html", "alternate", "text/html", ctx.say("网页", "As a page")),
        link(here, "latest-version", GEOJSON, ctx.say("现行版本", "As it is now")),
    ]
    if more:
        given = _given(ask, VERSIONS_PARAMETERS)
        most = ctx.settings.web.versions_max
        step = int(given.get("offset", "0")) + min(int(given.get("limit", most)), most)
        kept = "&".join(f"{k}={v}" for k, v in given.items() if k not in ("offset", "f"))
        query = f"{kept}&offset={step}" if kept else f"offset={step}"
        links.append(link(f"{here}/versions?{query}", "next", GEOJSON, ctx.say("下一页", "Next page")))
    return links


def _given(ask: Ask, allowed: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in ask.pairs if ask.query else ():
        if name not in (*allowed, "f", "lang"):
            raise unknown_parameter(name, [*allowed, "f", "lang"])
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        given[name] = value
    return given


def _every(given: dict[str, str]) -> bool:
    asked = given.get("beliefs", "current")
    if asked not in ("current", "all") or (asked == "all" and "asof" in given):
        raise invalid(
            "beliefs",
            f"`beliefs` is `{asked[:40]}`, or given together with `asof`.",
            f"参数 beliefs 的值“{asked[:40]}”不可用,或不能与 asof 同时使用。",
            "`all` lists given-up beliefs too; `current`, the default, what is believed now.",
            "all 同时列出已被更正的记录;默认 current 仅列现行记录。",
            allowed=["current", "all"],
        )
    return asked == "all"


def _fid(layer: Layer, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise unknown_item(layer, text)
    return int(text)


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _open(moment: datetime | None) -> str:
    return _instant(moment) or ".."


Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]
ROUTES: list[tuple[str, Handler]] = [
    ("/collections/{collection}/items/{fid}/versions", _versions),
    ("/collections/{collection}/items/{fid}/versions/{version}", _version),
]

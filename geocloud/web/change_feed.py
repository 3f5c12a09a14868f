# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/changes/feed` and `/changes/log`: the change log of a layer, as it is written and page by page.

A feed sends one event an entry with the entry's id. Who was cut off names the last id it has (`Last-Event-ID`, which
browsers send by themselves, or `after=`) and goes on behind it, without a gap or a repeat: see
`geocloud.features.change_log`. Nothing is held back in memory for a slow reader; all of it is read from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from geocloud.catalogue.registry import Layer
from geocloud.errors import TooLarge
from geocloud.features.change_log import last_entry, read_entries
from geocloud.features.literals import invalid
from geocloud.features.request import unknown_parameter
from geocloud.ogc import Document
from geocloud.ogc.changes import log_entry
from geocloud.ogc.context import collection_path, link
from geocloud.tiles.changes import Change
from geocloud.web.answer import Answer
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES", "count_stream"]

_JSON = "application/json"
_HEARTBEAT_S = 15.0
_PAGE = 500
_LARGEST_ID = 2**63 - 1


def count_stream(service: Service) -> None:
    """Takes the place of one more open stream; TooLarge when all are taken. Give it back when the stream ends."""
    most = service.settings.web.event_streams_max
    if service.event_streams >= most:
        raise TooLarge(
            f"{most} event streams are open already.",
            f"已有 {most} 个事件流连接,达到上限。",
            todo_en="Try again later, or ask the operator to raise GEOCLOUD_EVENT_STREAMS_MAX.",
            todo_zh="请稍后再试,或请管理员调高 GEOCLOUD_EVENT_STREAMS_MAX。",
            limit=most,
        )
    service.event_streams += 1


async def _feed(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    _only(ask, ("after", "lang"))
    after = _place(ask.parameter("after"), "after")
    if after is None and (sent := ask.header(b"last-event-id")):
        after = _place(sent.decode("latin-1"), "Last-Event-ID")
    count_stream(service)
    news = asyncio.Event()

    def listener(change: Change) -> None:
        if change.collection == layer.id:
            news.set()

    # Before the log is read for the first time, so that what is written meanwhile is heard of.
    stop = service.changes.listen(listener)

    async def done(*, sound: bool) -> None:
        stop()
        service.event_streams -= 1

    try:
        async with service.reader.lease() as conn:
            last = await last_entry(conn, layer.id)
    except BaseException:
        await done(sound=False)
        raise
    headers = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    body = _stream(service, layer, news, last if after is None else after, begins=after is None)
    return Answer(body, "text/event-stream; charset=utf-8", headers=headers, done=done)


async def _stream(
    service: Service, layer: Layer, news: asyncio.Event, after: int, *, begins: bool
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    if begins:
        # An id from the start, so that who is cut off before the first change misses none either.
        yield b"id: %d\nevent: start\ndata: " % after + orjson.dumps({"collection": layer.id, "after": after}) + b"\n\n"
    # The stream ends when its layer is retired or made internal.
    while not service.stopping.is_set() and layer.id in service.catalogue.layers:
        news.clear()
        async with service.reader.lease() as conn:
            entries = await read_entries(conn, layer.id, after, _PAGE)
        if entries:
            after = entries[-1].id
            yield b"".join(
                b"id: %d\nevent: change\ndata: " % e.id + orjson.dumps(log_entry(layer, e)) + b"\n\n" for e in entries
            )
        elif not await _heard(service, news):
            yield b": still here\n\n"


async def _heard(service: Service, news: asyncio.Event) -> bool:
    """Waits for a change of the layer; False when it is time for a sign of life, or the server is stopping."""
    waiting = [asyncio.ensure_future(news.wait()), asyncio.ensure_future(service.stopping.wait())]
    try:
        await asyncio.wait(waiting, timeout=_HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        return news.is_set()
    finally:
        for task in waiting:
            task.cancel()


async def _log(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Entries behind an id, oldest first; `next` is there even on the last page, for whoever comes back later."""
    layer = service.catalogue.layer(params["collection"])
    _only(ask, ("after", "limit", "f", "lang"))
    ask.format(("json",))
    most = service.settings.web.change_log_max
    after = _place(ask.parameter("after"), "after") or 0
    limit = _place(ask.parameter("limit"), "limit")
    if limit == 0:
        raise invalid("limit", "`limit` is 0.", "参数 limit 的值为 0。", minimum=1)
    wanted = min(limit or 100, most)
    async with service.reader.lease() as conn:
        entries = await read_entries(conn, layer.id, after, wanted + 1)
    more, entries = len(entries) > wanted, entries[:wanted]
    last = entries[-1].id if entries else after
    ctx = service.context(ask)
    here = ctx.url(collection_path(layer.id, "changes", "log"))
    document: Document = {
        "collection": layer.id,
        "title": ctx.text(layer.title),
        "after": after,
        "last": last,
        "more": more,
        "numberReturned": len(entries),
        "entries": [log_entry(layer, e) for e in entries],
        "links": [
            link(f"{here}?after={after}&limit={wanted}", "self", _JSON, ctx.say("本页", "This page")),
            link(f"{here}?after={last}&limit={wanted}", "next", _JSON, ctx.say("其后的变更", "What follows")),
            link(
                f"{ctx.url(collection_path(layer.id, 'changes', 'feed'))}?after={last}",
                "related",
                "text/event-stream",
                ctx.say("实时变更", "As it is written"),
            ),
        ],
    }
    return Answer(orjson.dumps(document), _JSON, headers=[said_in(ctx), (b"cache-control", b"no-cache")])


def _place(text: str | None, name: str) -> int | None:
    """A whole number of a parameter or header."""
    if text is None:
        return None
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not 0 <= value <= _LARGEST_ID:
        shown = text[:40].encode("utf-8", "replace").decode()
        raise invalid(
            name,
            f"`{name}` is `{shown}`, not a whole number of 0 or more.",
            f"{name} 的值“{shown}”应为不小于 0 的整数。",
            "Take it from the id of the last change that you have.",
            "请使用已收到的最后一条变更的 id。",
        )
    return value


def _only(ask: Ask, allowed: tuple[str, ...]) -> None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in allowed:
            raise unknown_parameter(name, list(allowed))


ROUTES = [
    ("/collections/{collection}/changes/feed", _feed),
    ("/collections/{collection}/changes/log", _log),
]

# SPDX-License-Identifier: Apache-2.0
"""`/events`: changes of layers as they happen, as server-sent events (WHATWG HTML, 9.2).

An event says which collection reached which version, how many features changed, and the box they lie in; what they are
now is asked for as always. A stream begins with the versions there are, so that a map that was away can see whether it
missed something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import orjson

from geocloud.errors import TooLarge
from geocloud.features.request import unknown_parameter
from geocloud.tiles.changes import Change
from geocloud.web.answer import Answer
from geocloud.web.ask import Ask
from geocloud.web.service import Service
from geocloud.web.tiles import layers_of

__all__ = ["ROUTES"]

# Other workers hear of a change at the same moment; an open map must not ask one that has not got round to it.
_HEAD_START_S = 0.1
_HEARTBEAT_S = 15.0
_QUEUE_MAX = 1_000


async def _events(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    for name, _ in ask.pairs if ask.query else ():
        if name not in ("collections", "lang"):
            raise unknown_parameter(name, ["collections", "lang"])
    chosen = ask.parameter("collections")
    if chosen is not None:
        layers_of(service, {}, chosen)
    most = service.settings.web.event_streams_max
    if service.event_streams >= most:
        raise TooLarge(
            f"{most} event streams are open already.",
            f"已有 {most} 个事件流连接,达到上限。",
            todo_en="Try again later, or ask the operator to raise GEOCLOUD_EVENT_STREAMS_MAX.",
            todo_zh="请稍后再试,或请管理员调高 GEOCLOUD_EVENT_STREAMS_MAX。",
            limit=most,
        )
    wanted = frozenset(chosen.split(",")) if chosen else None
    service.event_streams += 1
    inbox: asyncio.Queue[Change] = asyncio.Queue(_QUEUE_MAX)

    def listener(change: Change) -> None:
        if wanted is None or change.collection in wanted:
            if inbox.full():
                inbox.get_nowait()
            inbox.put_nowait(change)

    stop = service.changes.listen(listener)

    async def done(*, sound: bool) -> None:
        stop()
        service.event_streams -= 1

    headers = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    return Answer(_stream(service, inbox, wanted), "text/event-stream; charset=utf-8", headers=headers, done=done)


async def _stream(
    service: Service, inbox: asyncio.Queue[Change], wanted: frozenset[str] | None
) -> AsyncIterator[bytes]:
    layers = service.catalogue.layers.values()
    versions = {x.id: x.state.version for x in layers if wanted is None or x.id in wanted}
    yield b"retry: 2000\nevent: versions\ndata: " + orjson.dumps(versions) + b"\n\n"
    while not service.stopping.is_set():
        try:
            change = await asyncio.wait_for(_next(service, inbox), _HEARTBEAT_S)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        if change is None:
            return
        await asyncio.sleep(_HEAD_START_S)
        data = {"collection": change.collection, "version": change.version, "bbox": change.bbox, "count": change.count}
        yield b"event: change\ndata: " + orjson.dumps(data) + b"\n\n"


async def _next(service: Service, inbox: asyncio.Queue[Change]) -> Change | None:
    """The next change; None when the server is stopping."""
    getting, stopping = asyncio.ensure_future(inbox.get()), asyncio.ensure_future(service.stopping.wait())
    try:
        await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()
        stopping.cancel()


ROUTES: list[tuple[str, Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]]] = [("/events", _events)]

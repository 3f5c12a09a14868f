# SPDX-License-Identifier: Apache-2.0
"""`/events`: changes of layers as they happen, as server-sent events (WHATWG HTML, 9.2).

An event says which collection reached which version, how many features changed, and the box they lie in; what they are
now is asked for as always. A stream begins with the versions there are, so that a map that was away can see whether it
missed something.

A stream of a few layers can be resumed: the id of its events names the version of each layer followed
(`base.road:12,base.poi:7`; ids of the change log would not do, because they rise in the order of commits within one
layer only). Who comes back with it as `Last-Event-ID` is told at once, in one event a layer, of what has changed since.
The log of one layer, entry by entry, is at `/collections/{id}/changes/feed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import orjson

from geocloud.features.request import unknown_parameter
from geocloud.tiles.changes import Change
from geocloud.web.answer import Answer
from geocloud.web.ask import Ask
from geocloud.web.change_feed import count_stream
from geocloud.web.service import Service
from geocloud.web.tiles import layers_of

__all__ = ["ROUTES"]

# Other workers hear of a change at the same moment; an open map must not ask one that has not got round to it.
_HEAD_START_S = 0.1
_HEARTBEAT_S = 15.0
_QUEUE_MAX = 1_000
# Layers whose versions an id names; of more the stream cannot be resumed.
_NAMED_MAX = 32


async def _events(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    for name, _ in ask.pairs if ask.query else ():
        if name not in ("collections", "lang"):
            raise unknown_parameter(name, ["collections", "lang"])
    chosen = ask.parameter("collections")
    if chosen is not None:
        layers_of(service, {}, chosen)
    count_stream(service)
    wanted = frozenset(chosen.split(",")) if chosen else None
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
    seen = _seen(ask.header(b"last-event-id"))
    return Answer(_stream(service, inbox, wanted, seen), "text/event-stream; charset=utf-8", headers=headers, done=done)


async def _stream(
    service: Service, inbox: asyncio.Queue[Change], wanted: frozenset[str] | None, seen: dict[str, int]
) -> AsyncIterator[bytes]:
    layers = service.catalogue.layers.values()
    versions = {x.id: x.state.version for x in layers if wanted is None or x.id in wanted}
    yield b"retry: 2000\n" + _id(versions) + b"event: versions\ndata: " + orjson.dumps(versions) + b"\n\n"
    while not service.changes.settled(seen):
        # What this worker keeps of older versions is put out first.
        await asyncio.sleep(_HEAD_START_S)
    for name, since in seen.items():
        if since < versions.get(name, 0):
            missed = await service.changes.between(name, since, versions[name])
            yield _id(versions) + _event(missed)
    while not service.stopping.is_set():
        try:
            change = await asyncio.wait_for(_next(service, inbox), _HEARTBEAT_S)
        except TimeoutError:
            yield b": still here\n\n"
            continue
        if change is None:
            return
        await asyncio.sleep(_HEAD_START_S)
        if versions.keys() - service.catalogue.layers.keys():
            # Retired or internal by now: neither told of nor named any more.
            versions = {k: v for k, v in versions.items() if k in service.catalogue.layers}
        if change.collection not in service.catalogue.layers:
            continue
        versions[change.collection] = max(change.version, versions.get(change.collection, 0))
        yield _id(versions) + _event(change)


def _event(change: Change) -> bytes:
    data = {"collection": change.collection, "version": change.version, "bbox": change.bbox, "count": change.count}
    return b"event: change\ndata: " + orjson.dumps(data) + b"\n\n"


def _id(versions: dict[str, int]) -> bytes:
    """The line that names where a stream is; none where it follows too many layers to name."""
    if not 0 < len(versions) <= _NAMED_MAX:
        return b""
    return b"id: " + ",".join(f"{name}:{n}" for name, n in versions.items()).encode() + b"\n"


def _seen(text: bytes) -> dict[str, int]:
    """Versions by layer out of an id; what is not one is left out, as the stream then begins like any other."""
    found = {}
    for part in text.decode("latin-1").split(",")[:_NAMED_MAX]:
        name, _, number = part.partition(":")
        if number.isascii() and number.isdigit() and len(number) < 19:
            found[name] = int(number)
    return found


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

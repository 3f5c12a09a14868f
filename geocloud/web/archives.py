# SPDX-License-Identifier: Apache-2.0
"""`/collections/{id}/tiles/WebMercatorQuad.pmtiles`: a layer's archive as a file, whole or by ranges (RFC 9110, 14).

Clients that read PMTiles over HTTP ask for ranges; the ETag tells them when the file has been made anew between two of
them. The archive is sent from the map it is read through, part by part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate

import orjson

from geocloud import ogc
from geocloud.errors import RequestError
from geocloud.features.request import unknown_parameter
from geocloud.tiles.archive import Archive
from geocloud.tiles.archives import not_seeded
from geocloud.web.answer import Answer, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["PMTILES", "ROUTES"]

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]

PMTILES = "application/vnd.pmtiles"
_PART = 2**20
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.IGNORECASE)


async def _download(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    layer = service.catalogue.layer(params["collection"])
    for name, _ in ask.pairs if ask.query else ():
        if name != "lang":
            raise unknown_parameter(name, ["lang"])
    archive = service.archives.archive(layer.id) if service.archives else None
    if archive is None:
        raise not_seeded(layer.id)
    headers = [
        (b"accept-ranges", b"bytes"),
        (b"last-modified", formatdate(archive.mtime_ns // 10**9, usegmt=True).encode()),
        (b"content-disposition", f'attachment; filename="{archive.path.name}"'.encode()),
    ]
    if ask.if_none_match and is_match(ask.if_none_match, archive.etag.encode()):
        return Answer(b"", "", 304, etag=archive.etag)
    asked = _range(ask, archive) if ask.method == "GET" else None
    if asked is None:
        first, last, status = 0, archive.bytes - 1, 200
    else:
        first, last = asked
        status = 206
        if first > last:
            return _not_satisfiable(service, ask, archive, headers)
        headers.append((b"content-range", b"bytes %d-%d/%d" % (first, last, archive.bytes)))
    length = last - first + 1
    return Answer(_parts(archive, first, length), PMTILES, status, headers, etag=archive.etag, length=length)


def _range(ask: Ask, archive: Archive) -> tuple[int, int] | None:
    """First and last byte asked for; the first behind the last when there are none there; None for the whole file.

    Several ranges at once, and what is no range of bytes, get the whole file (RFC 9110, 14.2).
    """
    given = {name: value.decode("latin-1") for name, value in ask.scope["headers"] if name in (b"range", b"if-range")}
    match = _RANGE.fullmatch(given.get(b"range", "").strip())
    if match is None or given.get(b"if-range", archive.etag).strip() != archive.etag:
        return None
    size = archive.bytes
    if match[3] is not None:
        return (size - min(int(match[3]), size), size - 1) if int(match[3]) else (1, 0)
    first, last = int(match[1]), int(match[2]) if match[2] is not None else size - 1
    if last < first and match[2] is not None:
        return None
    return (first, min(last, size - 1)) if first < size else (1, 0)


async def _parts(archive: Archive, first: int, length: int) -> AsyncIterator[bytes]:
    for at in range(first, first + length, _PART):
        # Pages that are not in memory are waited for beside the event loop.
        yield await asyncio.to_thread(bytes, archive.part(at, min(_PART, first + length - at)))


def _not_satisfiable(service: Service, ask: Ask, archive: Archive, headers: list[tuple[bytes, bytes]]) -> Answer:
    ctx = service.context(ask)
    error = RequestError(
        f"The file has {archive.bytes} bytes; none of them is in the range asked for.",
        f"文件共 {archive.bytes} 字节,请求的范围不在其中。",
        size=archive.bytes,
    )
    headers = [*headers, (b"content-range", b"bytes */%d" % archive.bytes), said_in(ctx)]
    return Answer(orjson.dumps(ogc.problem(ctx, error, 416, ask.path)), "application/problem+json", 416, headers)


ROUTES: list[tuple[str, Handler]] = [("/collections/{collection}/tiles/WebMercatorQuad.pmtiles", _download)]

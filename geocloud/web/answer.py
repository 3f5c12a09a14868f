# SPDX-License-Identifier: Apache-2.0
"""Answers: whole or in chunks, compressed as the client likes, and kept by version while nothing has changed."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from base64 import b32encode
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import cramjam

from geocloud.web.ask import Ask, Send

__all__ = ["Answer", "Cache", "Kept", "etag_of", "is_match", "send_answer", "send_kept", "send_not_modified"]

Headers = list[tuple[bytes, bytes]]
# Below this many bytes compression costs more than it saves.
_COMPRESS_FROM = 1_000
_BROTLI_QUALITY, _GZIP_LEVEL = 4, 4
# Pages load what this host serves and nothing else, and run no script or style written into them.
_PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
)
_SHARED: Headers = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"content-crs, content-range, link, location, etag, memento-datetime, ogc-numbermatched, ogc-numberreturned",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept, accept-encoding, accept-language"),
]


@dataclass(slots=True)
class Answer:
    """What goes back: a whole body, or chunks of one whose length is not known yet."""

    body: bytes | AsyncIterator[bytes]
    media_type: str
    status: int = 200
    headers: Headers = field(default_factory=list)
    etag: str | None = None
    done: Callable[..., Awaitable[None]] | None = None
    """Called with `sound` when the answer has been sent, given up, or was asked for by HEAD alone."""
    document: bool = False
    """A description of the service, kept whatever its size; rows of a layer are only kept up to a limit."""
    token: object = None
    """What the answer was made from; it may be kept and sent again while this very object is current."""
    packed: bytes | None = None
    """The body as gzip where it is at hand like that, sent as it lies; `body` is empty then."""
    length: int | None = None
    """Bytes of a body in chunks, where that is known; it is sent as it lies then."""


@dataclass(slots=True)
class Kept:
    """An answer in the cache, with its compressed forms as they are first asked for."""

    token: object
    etag: bytes
    status: int
    forms: dict[str, tuple[bytes, Headers]]
    size: int


class Cache:
    """Whole answers by request, each good while its token is current; bounded by bytes, the oldest used goes first."""

    def __init__(self, max_bytes: int, max_entry: int) -> None:
        self._max_bytes, self._max_entry = max_bytes, max_entry
        self._entries: OrderedDict[Any, Kept] = OrderedDict()
        self.bytes = 0

    def get(self, key: Any) -> Kept | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Any, answer: Answer) -> Kept | None:
        """Keeps an answer; None when it is none to keep (an error, in chunks, too large)."""
        if answer.token is None or answer.etag is None or not isinstance(answer.body, bytes):
            return None
        body, encoding = (answer.packed, "gzip") if answer.packed is not None else (answer.body, "")
        if answer.status not in (200, 204) or len(body) > min(self._max_entry, self._max_bytes):
            return None
        self.drop(key)
        form = (body, _headers(answer, encoding, len(body)))
        kept = Kept(answer.token, answer.etag.encode(), answer.status, {encoding: form}, 0)
        self._entries[key] = kept
        self._grow(kept, len(body) + 600)
        return kept

    def form(self, kept: Kept, encoding: str) -> tuple[bytes, Headers]:
        """The body in a content coding, with its headers."""
        found = kept.forms.get(encoding)
        if found is None:
            packed = kept.forms.get("gzip") if "" not in kept.forms else None
            if packed is not None and encoding == "br":
                return packed
            plain, headers = (zlib.decompress(packed[0], 31), packed[1]) if packed is not None else kept.forms[""]
            if encoding and len(plain) < _COMPRESS_FROM:
                return plain, headers
            body = _compress(plain, encoding) if encoding else plain
            changed = [(k, v) for k, v in headers if k not in (b"content-length", b"etag", b"content-encoding")]
            changed += [(b"content-length", b"%d" % len(body)), (b"etag", _tagged(kept.etag, encoding))]
            if encoding:
                changed.append((b"content-encoding", encoding.encode()))
            found = kept.forms[encoding] = (body, changed)
            self._grow(kept, len(body))
        return found

    def drop(self, key: Any) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size

    def _grow(self, kept: Kept, size: int) -> None:
        kept.size += size
        self.bytes += size
        while self.bytes > self._max_bytes and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.size
            # An entry that was dropped while it grew no longer counts.
            oldest.size = 0


def etag_of(*parts: object) -> str:
    """A strong validator from what the answer is made of."""
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=10).digest()
    return f'"{b32encode(digest).decode().lower()}"'


def is_match(if_none_match: bytes, etag: bytes) -> bool:
    """Whether If-None-Match names this validator, in whichever content coding it was handed out."""
    bare = etag.strip(b'"')
    if bare not in if_none_match and if_none_match.strip() != b"*":
        return False
    if if_none_match.strip() == b"*":
        return True
    tags = {t.strip().removeprefix(b"W/").strip(b'"') for t in if_none_match.split(b",")}
    return not tags.isdisjoint({bare, bare + b"-br", bare + b"-gzip"})


async def send_not_modified(send: Send, etag: bytes) -> None:
    """304 with the validator."""
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", etag), *_SHARED]})
    await send({"type": "http.response.body", "body": b""})


async def send_kept(ask: Ask, send: Send, cache: Cache, kept: Kept) -> None:
    """An answer out of the cache, or 304."""
    if ask.if_none_match and is_match(ask.if_none_match, kept.etag):
        await send_not_modified(send, kept.etag)
        return
    body, headers = cache.form(kept, ask.encoding if ask.accept_encoding else "")
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if ask.method == "HEAD" else body})


async def send_answer(ask: Ask, send: Send, answer: Answer) -> None:
    """An answer as it was made; a chunked one is compressed on the way. What it holds is let go, however it ends."""
    sound = False
    try:
        await _send(ask, send, answer)
        sound = True
    finally:
        if answer.done is not None:
            await answer.done(sound=sound)


async def _send(ask: Ask, send: Send, answer: Answer) -> None:
    if isinstance(answer.body, bytes):
        if answer.packed is not None and b"gzip" in ask.accept_encoding:
            encoding, body = "gzip", answer.packed
        else:
            plain = answer.body if answer.packed is None else zlib.decompress(answer.packed, 31)
            encoding = ask.encoding if len(plain) >= _COMPRESS_FROM else ""
            body = _compress(plain, encoding) if encoding else plain
        headers = _headers(answer, encoding, len(body))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if ask.method == "HEAD" else body})
        return
    # A stream is compressed with gzip at most: brotli at a useful quality holds the chunks back.
    # Events must not wait in a compressor for more of them.
    as_it_lies = answer.length is not None or answer.media_type.startswith("text/event-stream")
    encoding = "gzip" if ask.encoding and not as_it_lies else ""
    headers = _headers(answer, encoding, answer.length)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if ask.method != "HEAD":
        packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31) if encoding else None
        async for chunk in answer.body:
            data = packer.compress(chunk) if packer else chunk
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
                # Lets the client be noticed that has gone.
                await asyncio.sleep(0)
        if packer:
            await send({"type": "http.response.body", "body": packer.flush(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _headers(answer: Answer, encoding: str, length: int | None = -1) -> Headers:
    headers = [(b"content-type", answer.media_type.encode()), *answer.headers, *_SHARED]
    if answer.media_type.startswith("text/html") and not any(k == _PAGE_POLICY[0] for k, _ in answer.headers):
        headers.append(_PAGE_POLICY)
    if length == -1 and isinstance(answer.body, bytes):
        length = len(answer.body)
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    if encoding:
        headers.append((b"content-encoding", encoding.encode()))
    if answer.etag:
        headers.append((b"etag", _tagged(answer.etag.encode(), encoding)))
        if not any(k == b"cache-control" for k, _ in answer.headers):
            headers.append((b"cache-control", b"no-cache"))
    return headers


def _tagged(etag: bytes, encoding: str) -> bytes:
    return etag[:-1] + b"-" + encoding.encode() + b'"' if encoding else etag


def _compress(body: bytes, encoding: str) -> bytes:
    if encoding == "br":
        return bytes(cramjam.brotli.compress(body, _BROTLI_QUALITY))
    return bytes(cramjam.gzip.compress(body, _GZIP_LEVEL))

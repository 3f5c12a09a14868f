# SPDX-License-Identifier: Apache-2.0
"""Files of the pages: compressed once, kept in memory, asked for again by their validator."""

from __future__ import annotations

import asyncio
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

import cramjam

from geocloud.web.answer import Answer, etag_of, is_match, send_answer, send_not_modified
from geocloud.web.ask import Ask, Receive, Scope, Send

__all__ = ["Assets"]

_TEXT = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
         ".json": "application/json", ".html": "text/html", ".txt": "text/plain"}  # fmt: skip
# Done once a file and worker, so better than what answers can afford.
_BROTLI_QUALITY, _GZIP_LEVEL = 9, 8


@dataclass(slots=True)
class _File:
    changed: int
    media_type: str
    forms: dict[str, bytes]
    etag: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Assets:
    """ASGI application for the files below a folder; names that begin with a dot are not served."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._files: dict[Path, _File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ask: Ask = scope.get("geocloud.ask") or Ask(scope, receive)
        name = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        found = await asyncio.to_thread(self._read, name) if ask.method in ("GET", "HEAD") else None
        if found is None:
            status = 404 if ask.method in ("GET", "HEAD") else 405
            await send_answer(ask, send, Answer(b"", "text/plain; charset=utf-8", status))
            return
        if ask.if_none_match and is_match(ask.if_none_match, found.etag.encode()):
            await send_not_modified(send, found.etag.encode())
            return
        encoding = ask.encoding if found.media_type.partition(";")[0] in _TEXT.values() else ""
        async with found.lock:
            if encoding not in found.forms:
                found.forms[encoding] = await asyncio.to_thread(_compress, found.forms[""], encoding)
        body = found.forms[encoding]
        tag = f'{found.etag[:-1]}-{encoding}"' if encoding else found.etag
        headers = [
            (b"content-type", found.media_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"etag", tag.encode()),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if encoding:
            headers.append((b"content-encoding", encoding.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if ask.method == "HEAD" else body})

    def _read(self, name: str) -> _File | None:
        if any(part.startswith(".") or "\\" in part or "\0" in part for part in name.split("/")):
            return None
        path = self._folder / name
        try:
            if not path.is_file():
                return None
            changed = path.stat().st_mtime_ns
            kept = self._files.get(path)
            if kept is not None and kept.changed == changed:
                return kept
            body = path.read_bytes()
        except (OSError, ValueError):
            return None
        media_type = _TEXT.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if media_type in _TEXT.values():
            media_type += "; charset=utf-8"
        made = _File(changed, media_type, {"": body}, etag_of(body))
        self._files[path] = made
        return made


def _compress(body: bytes, encoding: str) -> bytes:
    if encoding == "br":
        return bytes(cramjam.brotli.compress(body, _BROTLI_QUALITY))
    return bytes(cramjam.gzip.compress(body, _GZIP_LEVEL))

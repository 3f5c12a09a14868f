# SPDX-License-Identifier: Apache-2.0
"""A request as the application sees it, and what it may ask for: format, language, encoding."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qsl

from geocloud.errors import NotAcceptable, RequestError
from geocloud.features.literals import invalid
from geocloud.settings import WebSettings

__all__ = ["Ask", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_MEDIA_TYPES = {
    "geojson": ("application/geo+json", "application/vnd.geo+json"),
    "json": ("application/json", "application/geo+json", "application/schema+json",
             "application/vnd.oai.openapi+json;version=3.0", "application/vnd.oai.openapi+json",
             "application/problem+json", "application/vnd.mapbox.style+json"),
    "html": ("text/html", "application/xhtml+xml"),
    "csv": ("text/csv",),
    "tilejson": ("application/json",),
    "png": ("image/png",),
}  # fmt: skip


class Ask:
    """One HTTP request; what is costly to work out is worked out when first asked for."""

    __slots__ = ("__dict__", "accept", "accept_encoding", "accept_language", "host", "if_none_match", "method", "path",
                 "query", "receive", "scope")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self.receive = scope, receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.accept = self.accept_language = self.accept_encoding = self.if_none_match = self.host = b""
        for name, value in scope["headers"]:
            if name == b"host":
                self.host = value
            elif name == b"accept":
                self.accept = value
            elif name == b"accept-encoding":
                self.accept_encoding = value
            elif name == b"accept-language":
                self.accept_language = value
            elif name == b"if-none-match":
                self.if_none_match = value

    @property
    def key(self) -> tuple[str, bytes, bytes, bytes, bytes]:
        """Equal for requests that get the same answer, encoding apart."""
        return self.path, self.query, self.accept, self.accept_language, self.host

    def header(self, name: bytes) -> bytes:
        """The first value of a header by its name in lower case; empty when it was not sent."""
        return next((v for k, v in self.scope["headers"] if k == name), b"")

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Query parameters in order; a RequestError when they are not UTF-8."""
        try:
            return parse_qsl(self.query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
        except (UnicodeDecodeError, ValueError):
            raise RequestError(
                "The query string is not percent-encoded UTF-8 with at most 200 parameters.",
                "查询字符串不是百分号编码的 UTF-8,或参数超过 200 个。",
                todo_en="Encode each value as UTF-8 and then with %XX.",
                todo_zh="请将各参数值按 UTF-8 编码后再作百分号转义。",
            ) from None

    def parameter(self, name: str) -> str | None:
        """The first value of a parameter, None when it is not given."""
        return next((v for k, v in self.pairs if k == name), None)

    @cached_property
    def encoding(self) -> Literal["br", "gzip", ""]:
        """The best content coding the client takes."""
        text = self.accept_encoding
        if not text:
            return ""
        offered = {
            p.split(b";")[0].strip() for p in text.lower().split(b",") if not p.replace(b" ", b"").endswith(b"q=0")
        }
        return "br" if b"br" in offered else "gzip" if b"gzip" in offered else ""

    def base_url(self, settings: WebSettings) -> str:
        """Address of the landing page, without a slash at its end."""
        if settings.public_url:
            return settings.public_url.rstrip("/")
        host = self.host.decode("latin-1")
        if not _HOST.fullmatch(host):
            host = f"{settings.host}:{settings.port}"
        return f"{self.scope.get('scheme', 'http')}://{host}"

    def language(self, settings: WebSettings) -> Literal["zh", "en"]:
        """`lang=`, else the first of zh and en in Accept-Language, else the setting."""
        asked = self.parameter("lang") if b"lang=" in self.query else None
        if asked is not None:
            if asked not in ("zh", "en"):
                raise invalid(
                    "lang", f"`lang` is `{asked[:20]}`.", f"参数 lang 的值“{asked[:20]}”不可用。",
                    "Allowed are: zh, en.", "可用:zh、en。", allowed=["zh", "en"],
                )  # fmt: skip
            return "en" if asked == "en" else "zh"
        best: tuple[float, Literal["zh", "en"]] | None = None
        for part in self.accept_language.decode("latin-1").split(",") if self.accept_language else ():
            tag, _, weight = part.strip().partition(";q=")
            quality = _weight(weight)
            for language in ("zh", "en"):
                if tag.lower().split("-")[0] == language and quality > (best[0] if best else 0):
                    best = (quality, language)  # type: ignore[assignment]
        return best[1] if best else settings.language

    def format(self, offered: tuple[str, ...]) -> str:
        """`f=`, else the best by Accept of what is offered; NotAcceptable when there is none.

        A client that takes anything gets the first format offered.
        """
        asked = self.parameter("f") if b"f=" in self.query else None
        if asked is not None:
            if asked in offered:
                return asked
            raise _not_acceptable(f"`f` is `{asked[:40]}`", f"参数 f 的值为“{asked[:40]}”", offered)
        if not self.accept or self.accept == b"*/*":
            return offered[0]
        best, best_quality = "", 0.0
        for part in self.accept.decode("latin-1").split(","):
            media, _, weight = part.strip().partition(";q=")
            quality = _weight(weight)
            for name in offered:
                if quality > best_quality and _matches(media.strip().lower(), name):
                    best, best_quality = name, quality
                    break
        if not best:
            shown = self.accept[:100].decode("latin-1")
            raise _not_acceptable(f"Accept is `{shown}`", f"Accept 为“{shown}”", offered)
        return best


def _matches(media: str, name: str) -> bool:
    if media in ("*/*", "application/*") and name == "json":
        return True
    if media == "*/*":
        return True
    bare = media.partition(";")[0].strip()
    return media in _MEDIA_TYPES[name] or bare in _MEDIA_TYPES[name] or (bare == "text/*" and name in ("html", "csv"))


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _not_acceptable(en: str, zh: str, offered: tuple[str, ...]) -> NotAcceptable:
    kinds = ", ".join(f"{name} ({_MEDIA_TYPES[name][0]})" for name in offered)
    return NotAcceptable(
        f"{en}, which is not offered here.",
        f"{zh},此处不提供该格式。",
        todo_en=f"Offered are: {kinds}.",
        todo_zh=f"可用格式:{kinds}。",
        allowed=list(offered),
    )

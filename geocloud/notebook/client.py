# SPDX-License-Identifier: Apache-2.0
"""Asks a city's server over HTTP; what it refuses is raised in its own words."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from geocloud.errors import RequestError

__all__ = ["Client"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Client:
    """GET requests to one host, and to no other."""

    def __init__(self, url: str, language: Literal["zh", "en"], timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RequestError(
                f"`{url}` is no address of a city.",
                f"“{url}”不是城市服务的地址。",
                todo_en="Write it as http://127.0.0.1:8600.",
                todo_zh="请写成 http://127.0.0.1:8600 的形式。",
            )
        self.base = url.rstrip("/")
        self.language = language
        self._timeout_s = timeout_s
        self._origin = (parts.scheme, parts.netloc)
        # The machine's proxy is for other hosts.
        self._opener = build_opener(*([ProxyHandler({})] if parts.hostname in _LOOPBACK else []))

    def path(self, *parts: str) -> str:
        """A path below the landing page."""
        return "/" + "/".join(quote(p, safe=".-_~") for p in parts)

    def document(self, path: str, params: Mapping[str, object] | None = None) -> Any:
        """A JSON answer; parameters that are None are left out."""
        given = {k: v for k, v in (params or {}).items() if v is not None}
        return self.follow(f"{self.base}{path}?{urlencode({**given, 'f': 'json', 'lang': self.language})}")

    def follow(self, address: str) -> Any:
        """The JSON answer behind a link, which must lead to this very host."""
        return json.loads(self._get(address, "application/geo+json, application/json"))

    def text(self, path: str) -> str:
        """A text file of the host."""
        return self._get(f"{self.base}{path}", "*/*").decode()

    def _get(self, address: str, accept: str) -> bytes:
        parts = urlsplit(address)
        if (parts.scheme, parts.netloc) != self._origin:
            raise RequestError(
                f"The server names {parts.scheme}://{parts.netloc}, which is not the host that was asked.",
                f"服务返回的地址 {parts.scheme}://{parts.netloc} 不是所连接的主机。",
                todo_en="Open the city under that address, or have GEOCLOUD_PUBLIC_URL corrected.",
                todo_zh="请改用该地址连接,或更正服务端的 GEOCLOUD_PUBLIC_URL。",
            )
        request = Request(address, headers={"accept": accept, "accept-encoding": "gzip"})  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return _plain(answer.read(), answer.headers.get("content-encoding"))
        except HTTPError as exc:
            raise _refused(exc, address) from None
        except (URLError, OSError, http.client.HTTPException) as exc:
            raise RequestError(
                f"No city answers at {self.base} ({getattr(exc, 'reason', exc)}).",
                f"{self.base} 没有应答({getattr(exc, 'reason', exc)})。",
                todo_en="Start it with `geocloud up`, or correct the address.",
                todo_zh="请用 geocloud up 启动服务,或更正地址。",
            ) from None


def _plain(body: bytes, coding: str | None) -> bytes:
    return gzip.decompress(body) if coding == "gzip" else body


def _refused(error: HTTPError, address: str) -> RequestError:
    """A problem document (RFC 9457) as an error; it is written in the language that was asked for."""
    try:
        problem = json.loads(_plain(error.read(), error.headers.get("content-encoding")))
        detail, todo = str(problem["detail"]), str(problem.get("todo", ""))
    except (ValueError, KeyError, TypeError):
        detail, todo = f"{urlsplit(address).path}: HTTP {error.code}", ""
    return RequestError(detail, detail, todo_en=todo, todo_zh=todo, status=error.code)

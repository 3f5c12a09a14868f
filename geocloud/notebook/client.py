# SPDX-License-Identifier: Apache-2.0
"""Asks a city's server over HTTP; what it refuses is raised in its own words."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Mapping
from email.message import Message
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from geocloud.errors import RequestError

__all__ = ["Client", "wrong"]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Client:
    """Requests to one host, and to no other; the key, if there is one, goes along with what may change something."""

    def __init__(self, url: str, language: Literal["zh", "en"], timeout_s: float, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise wrong(
                f"`{url}` is no address of a city.",
                f"“{url}”不是城市服务的地址。",
                todo_en="Write it as http://127.0.0.1:8600.",
                todo_zh="请写成 http://127.0.0.1:8600 的形式。",
            )
        self.base = url.rstrip("/")
        self.language = language
        self._timeout_s = timeout_s
        self._key = key
        self._origin = (parts.scheme, parts.netloc)
        # The machine's proxy is for other hosts.
        self._opener = build_opener(*([ProxyHandler({})] if parts.hostname in _LOOPBACK else []))

    def path(self, *parts: str) -> str:
        """A path below the landing page."""
        return "/" + "/".join(quote(p, safe=".-_~") for p in parts)

    def document(self, path: str, params: Mapping[str, object] | None = None, form: str = "json") -> Any:
        """A JSON answer in the format named `form`; parameters that are None are left out."""
        given = {k: v for k, v in (params or {}).items() if v is not None}
        return self.follow(f"{self.base}{path}?{urlencode({**given, 'f': form, 'lang': self.language})}")

    def follow(self, address: str) -> Any:
        """The JSON answer behind a link, which must lead to this very host."""
        return json.loads(self._ask("GET", address, "application/geo+json, application/json")[0])

    def text(self, path: str) -> str:
        """A text file of the host."""
        return self._ask("GET", f"{self.base}{path}", "*/*")[0].decode()

    def file(self, path: str) -> tuple[bytes, Message]:
        """A body of any kind, and the headers that came with it."""
        return self._ask("GET", f"{self.base}{path}?lang={self.language}", "*/*")

    def post(self, path: str, document: object, prefer: str) -> Any:
        """Sends a JSON document; gives the JSON answer."""
        headers = {"content-type": "application/json", "prefer": prefer}
        body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        address = f"{self.base}{path}?lang={self.language}"
        return json.loads(self._ask("POST", address, "application/json", headers, body)[0])

    def problem(self, path: str, language: Literal["zh", "en"]) -> dict[str, Any] | None:
        """The problem document (RFC 9457) that a path is answered with in a language; None if there is no problem."""
        try:
            self._ask("GET", f"{self.base}{path}?f=json&lang={language}", "application/json")
        except RequestError as exc:
            if "status" not in exc.context:
                raise
            return {"detail": exc.en, "todo": exc.todo_en, "status": exc.context["status"], **exc.context["problem"]}
        return None

    def delete(self, path: str) -> Any:
        """Takes something away; gives the JSON answer."""
        return json.loads(self._ask("DELETE", f"{self.base}{path}?lang={self.language}", "application/json")[0])

    def _ask(
        self,
        method: str,
        address: str,
        accept: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[bytes, Message]:
        parts = urlsplit(address)
        if (parts.scheme, parts.netloc) != self._origin:
            raise wrong(
                f"The server names {parts.scheme}://{parts.netloc}, which is not the host that was asked.",
                f"服务返回的地址 {parts.scheme}://{parts.netloc} 不是所连接的主机。",
                todo_en="Open the city under that address, or have GEOCLOUD_PUBLIC_URL corrected.",
                todo_zh="请改用该地址连接,或更正服务端的 GEOCLOUD_PUBLIC_URL。",
            )
        given = {"accept": accept, "accept-encoding": "gzip", **(headers or {})}
        request = Request(address, data=body, headers=given, method=method)  # noqa: S310
        if self._key and method != "GET":
            # Not sent again where a redirection leads.
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return _plain(answer.read(), answer.headers.get("content-encoding")), answer.headers
        except HTTPError as exc:
            raise _refused(exc, address) from None
        except (URLError, OSError, http.client.HTTPException) as exc:
            raise wrong(
                f"No city answers at {self.base} ({getattr(exc, 'reason', exc)}).",
                f"{self.base} 没有应答({getattr(exc, 'reason', exc)})。",
                todo_en="Start it with `geocloud up`, or correct the address.",
                todo_zh="请用 geocloud up 启动服务,或更正地址。",
            ) from None


def _plain(body: bytes, coding: str | None) -> bytes:
    return gzip.decompress(body) if coding == "gzip" else body


def wrong(en: str, zh: str, *, todo_en: str = "", todo_zh: str = "", **context: Any) -> RequestError:
    """A RequestError that a traceback shows in both languages, with what to do."""
    error = RequestError(en, zh, todo_en=todo_en, todo_zh=todo_zh, **context)
    for note in (todo_en, error.message("zh") if zh != en else ""):
        if note:
            error.add_note(note)
    return error


def _refused(error: HTTPError, address: str) -> RequestError:
    """A problem document (RFC 9457) as an error; it is written in the language that was asked for."""
    try:
        problem = json.loads(_plain(error.read(), error.headers.get("content-encoding")))
        detail, todo = str(problem["detail"]), str(problem.get("todo", ""))
    except (ValueError, KeyError, TypeError):
        return wrong(*(f"{urlsplit(address).path}: HTTP {error.code}",) * 2, status=error.code, problem={})
    facts = {k: v for k, v in problem.items() if k not in ("detail", "todo", "title", "status")}
    found = wrong(detail, detail, todo_en=todo, todo_zh=todo, status=error.code, problem=facts)
    for one in facts.get("violations", ()):
        # Of a request each violation is told in both languages, of a feature in the one asked for.
        words = [str(one[n]) for n in ("zh", "en", "detail", "message") if n in one]
        found.add_note(f"{one.get('pointer', '')} {' / '.join(words)}".strip())
    return found

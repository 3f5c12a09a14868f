# SPDX-License-Identifier: Apache-2.0
"""Page tokens: where a page starts, signed, so that a `next` link cannot be forged or carried to another question."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

import orjson

from geocloud.errors import InvalidParameter

__all__ = ["Position", "Tokens"]

_SIGNATURE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Position:
    """The place in an order that a page begins behind.

    `after` holds the sort values and the fid of the feature before the page, None for the very start or end;
    `backwards` pages lead up to it. `matched` is numberMatched as counted at layer version `version`.
    """

    after: tuple[object, ...] | None
    backwards: bool = False
    matched: int | None = None
    version: int = 0


class Tokens:
    """Signs and reads tokens with the deployment's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(b"page token" + secret).digest()

    def write(self, position: Position, question: str) -> str:
        """A token for this place in the answer to this question (collection, filter and order, canonically)."""
        after = None if position.after is None else [_plain(v) for v in position.after]
        body = orjson.dumps([after, int(position.backwards), position.matched, position.version])
        return base64.urlsafe_b64encode(self._sign(body, question) + body).rstrip(b"=").decode()

    def read(self, token: str, question: str) -> Position:
        """The place a token names; InvalidParameter when it was not made here for this question."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (UnicodeEncodeError, binascii.Error):
            raise _foreign() from None
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body, question)):
            raise _foreign()
        after, backwards, matched, version = orjson.loads(body)
        return Position(None if after is None else tuple(after), bool(backwards), matched, version)

    def _sign(self, body: bytes, question: str) -> bytes:
        return hmac.digest(self._secret, question.encode() + b"\0" + body, "sha256")[:_SIGNATURE_BYTES]


def _plain(value: object) -> object:
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)


def _foreign() -> InvalidParameter:
    return InvalidParameter(
        "Parameter `token` was not issued for this question.",
        "参数 token 不是为本次查询签发的。",
        todo_en="Start without `token` and follow the `next` links.",
        todo_zh="请去掉 token 重新查询,再沿 next 链接翻页。",
        parameter="token",
    )

# SPDX-License-Identifier: Apache-2.0
"""Keys of editing clients (编辑密钥): made once, shown once, kept as SHA-256 only.

A key has 256 random bits, so its plain hash cannot be turned back; no slow password hash is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2

from geocloud.errors import CatalogueError

__all__ = ["KEYS_SQL", "EditKey", "add_key", "find_key", "list_keys", "read_keys", "revoke_key"]

_PREFIX = "gck_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_SCOPE = re.compile(r"\*|[a-z][a-z0-9_]{0,47}\.(\*|[a-z][a-z0-9_]{0,47})")
# The keys in force, as `read_keys` takes them.
KEYS_SQL = "SELECT name, sha256, layers, needs_version, made_at FROM geocloud.edit_key WHERE revoked_at IS NULL"


@dataclass(frozen=True, slots=True)
class EditKey:
    """A key in force: the SHA-256 of its text, the layers it may change, and whether it must name versions."""

    name: str
    sha256: bytes
    layers: tuple[str, ...]
    needs_version: bool
    made_at: datetime

    def allows(self, layer_id: str) -> bool:
        """Whether the key may change a layer."""
        return any(s in ("*", layer_id, layer_id.split(".", 1)[0] + ".*") for s in self.layers)


def read_keys(rows: Sequence[Sequence[Any]]) -> list[EditKey]:
    """The rows of KEYS_SQL."""
    return [EditKey(r[0], bytes(r[1]), tuple(r[2]), r[3], r[4]) for r in rows]


def find_key(keys: Sequence[EditKey], secret: bytes) -> EditKey | None:
    """The key a client sent; every key is compared, each in constant time."""
    digest = hashlib.sha256(secret).digest()
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def add_key(conn: Any, name: str, layers: Sequence[str], *, needs_version: bool = True) -> str:
    """Makes a key and returns its text, which is kept nowhere. CatalogueError for a name or layer that cannot be used.

    `layers` are layer ids, `theme.*`, or `*`.
    """
    if not _NAME.fullmatch(name):
        raise CatalogueError(
            f"`{name[:70]}` cannot name a key.",
            f"“{name[:70]}”不能用作密钥名称。",
            todo_en="Use up to 63 letters, digits, dots, hyphens and underscores.",
            todo_zh="请使用不超过 63 个字母、数字、点、连字符或下划线。",
        )
    with conn, conn.cursor() as cur:
        cur.execute("SELECT id FROM geocloud.layer WHERE status = 'active'")
        known = {row[0] for row in cur.fetchall()}
        themes = {layer.split(".")[0] for layer in known}
        for scope in layers:
            theme, _, rest = scope.partition(".")
            if not _SCOPE.fullmatch(scope) or not (scope == "*" or (rest == "*" and theme in themes) or scope in known):
                raise CatalogueError(
                    f"There is no layer `{scope[:100]}`.",
                    f"没有图层 {scope[:100]}。",
                    todo_en="Name layers by id, a theme as `theme.*`, or all as `*`; see `geocloud layers list`.",
                    todo_zh="请写图层标识、“主题.*”或“*”;`geocloud layers list` 列出全部图层。",
                )
        secret = _PREFIX + secrets.token_urlsafe(32)
        try:
            cur.execute(
                "INSERT INTO geocloud.edit_key (name, sha256, layers, needs_version) VALUES (%s, %s, %s, %s)",
                (name, hashlib.sha256(secret.encode()).digest(), list(layers), needs_version),
            )
        except psycopg2.errors.UniqueViolation:
            raise CatalogueError(
                f"There is a key `{name}` already, in force or revoked.",
                f"已有名为 {name} 的密钥(有效或已吊销)。",
                todo_en="Choose another name: names tell in the log who changed what.",
                todo_zh="请另取名称:日志以名称记录由谁更改。",
            ) from None
    return secret


def list_keys(conn: Any) -> list[dict[str, Any]]:
    """All keys, revoked ones too, without anything a client could use."""
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT name, layers, needs_version, made_at, revoked_at FROM geocloud.edit_key ORDER BY made_at, name"
        )
        return [
            {"name": n, "layers": s, "needs_version": v, "made_at": m, "revoked_at": r}
            for n, s, v, m, r in cur.fetchall()
        ]


def revoke_key(conn: Any, name: str) -> None:
    """Ends a key; CatalogueError when none of that name is in force."""
    with conn, conn.cursor() as cur:
        cur.execute("UPDATE geocloud.edit_key SET revoked_at = now() WHERE name = %s AND revoked_at IS NULL", (name,))
        if cur.rowcount == 0:
            raise CatalogueError(
                f"No key `{name[:70]}` is in force.",
                f"没有名为 {name[:70]} 的有效密钥。",
                todo_en="`geocloud keys list` shows them.",
                todo_zh="`geocloud keys list` 列出全部密钥。",
            )

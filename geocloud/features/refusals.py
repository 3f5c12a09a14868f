# SPDX-License-Identifier: Apache-2.0
"""What the database says against a change, as errors a client can act on."""

from __future__ import annotations

import re
from typing import Any

import asyncpg

from geocloud.catalogue.registry import Layer
from geocloud.errors import GeocloudError, KeyConflict, LayerBusy, UnknownItem
from geocloud.features.violation import Violation, refuse_all

__all__ = ["refusal", "unknown_item"]

_KEY_DETAIL = re.compile(r"Key \((?P<names>.+?)\)=\((?P<values>.*)\) already exists", re.DOTALL)
_BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
)
_SHOWN = 120


def refusal(exc: asyncpg.PostgresError, layer: Layer) -> GeocloudError | None:
    """The error of the family for what the database refused; None for what is no client's doing."""
    if isinstance(exc, asyncpg.UniqueViolationError):
        return _key_conflict(exc, layer)
    if isinstance(exc, _BUSY):
        return LayerBusy(
            f"`{layer.id}` is being written by others; nothing was changed.",
            f"{layer.id} 正被其他操作写入,未作任何更改。",
            todo_en="Send the same request again in a few seconds.",
            todo_zh="请几秒后重新发送同一请求。",
        )
    if isinstance(exc, asyncpg.IntegrityConstraintViolationError | asyncpg.DataError):
        said = " ".join(str(exc).split())[:_SHOWN]
        return refuse_all(
            [Violation("", "database", f"The database refused the row: {said}.", f"数据库拒绝写入:{said}。")]
        )
    return None


def unknown_item(layer: Layer, fid: str) -> UnknownItem:
    """There is no such feature now."""
    return UnknownItem(
        f"`{layer.id}` has no feature with id `{fid[:40]}`.",
        f"{layer.id} 中没有标识为“{fid[:40]}”的要素。",
        todo_en="List features with /items, or ask for another date with `datetime`.",
        todo_zh="请用 /items 查看要素,或用 datetime 指定其他日期。",
    )


def _key_conflict(exc: Any, layer: Layer) -> KeyConflict:
    key = list(layer.spec.key)
    detail = _KEY_DETAIL.search(exc.detail or "")
    if exc.constraint_name != f"{layer.spec.name} key":
        key = detail["names"].split(", ") if detail else ["fid"]
    value = detail["values"][:_SHOWN] if detail else ""
    return KeyConflict(
        f"Another feature of `{layer.id}` has the key {', '.join(key)} = {value}; nothing was changed.",
        f"{layer.id} 中已有要素使用键 {'、'.join(key)} = {value},未作任何更改。",
        todo_en="Give the feature a key of its own, or change the one that has it.",
        todo_zh="请改用未被占用的键,或更改已有的要素。",
        key=key,
        value=value,
    )

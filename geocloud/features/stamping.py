# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a layer of where its features lie, as a change has to know it; found out by whoever does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder

__all__ = ["After", "Stamper", "Stamping", "is_plain", "put"]


@dataclass(frozen=True, slots=True)
class Stamping:
    """Stamps (空间标记) of features about to be written, in their order: `columns` as `geocloud.put_stamps` takes them.

    `used`: the versions of what they were found by, as of `found`; None where nothing had to be looked at, because
    geometry stays.
    """

    used: list[int | None] | None = None
    found: datetime | None = None
    columns: list[list[int | None]] = field(default_factory=lambda: [[] for _ in range(7)])


After = Callable[[Any, Layer], Awaitable[None]]
"""Stamps what the transaction of an asyncpg connection has written to a layer, if that is not too much."""


class Stamper(Protocol):
    """Finds stamps."""

    async def of(self, layer: Layer, geometry: Sequence[bytes | None]) -> Stamping:
        """Stamps of geometries as WKB, longitude first, EPSG:4490."""
        ...

    async def after(self, conn: Any, layer: Layer) -> None:
        """See `After`."""
        ...


def is_plain(at: datetime | None, until: datetime | None = None) -> bool:
    """Whether what a change writes holds now and is not known to end: else stamps are found when it does."""
    return until is None and (at is None or at <= datetime.now(UTC))


def put(binder: Binder, layer: Layer, stamping: Stamping, fids: str, gone: str = "NULL::bigint[]") -> str:
    """The call that keeps stamps in the transaction of the change; `fids` and `gone` are SQL of bigint arrays."""
    used = binder.bind(stamping.used, "bigint[]")
    columns = ", ".join(binder.bind(c, "bigint[]") for c in stamping.columns)
    found = binder.bind(stamping.found, "timestamptz")
    return f"geocloud.put_stamps({binder.bind(layer.id, 'text')}, {used}, {found}, {fids}, {columns}, {gone})"

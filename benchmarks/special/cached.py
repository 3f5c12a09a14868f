# SPDX-License-Identifier: Apache-2.0
"""Answers that need no SQL: 304 to a known ETag, and a page asked again while its layer is unchanged."""

from __future__ import annotations

from benchmarks.asks import Ask
from benchmarks.city import COMPONENT
from benchmarks.process import get
from benchmarks.report import Finding
from benchmarks.special.base import Contender, Context, rates, special

__all__ = ["again", "not_modified"]


def _pages(context: Context) -> dict[str, Ask]:
    box = context.ground.city.boxes(COMPONENT, 1)[0]
    return {
        "first page of 10": Ask("items", COMPONENT, limit=10),
        "2 km box, limit 100": Ask("items", COMPONENT, limit=100, bbox=box),
        "first page of 1,000": Ask("items", COMPONENT, limit=1000),
    }


@special("not_modified", "304 with If-None-Match against the 200")
def not_modified(context: Context) -> list[Finding]:
    """304s of the server as it comes against 200s read from the database (no answers kept)."""
    ours, kept = context.endpoints.get("geocloud"), context.endpoints.get("geocloud-cached")
    if ours is None or kept is None:
        return []
    found = []
    for title, ask in _pages(context).items():
        target = kept.target(ask)
        first = get(kept.server.port, target, kept.headers)
        headers = {**kept.headers, "If-None-Match": first.headers.get("etag", "")}
        second = get(kept.server.port, target, headers)
        if second.status != 304 or second.body:
            detail = f"status {second.status} with {len(second.body)} bytes to If-None-Match of the same answer"
            found.append(Finding("304", title, None, "", "10 times the 200", False, detail))
            continue
        rate = rates(
            context,
            {
                "200": Contender(ours, ours.target(ask), ours.headers),
                "304": Contender(kept, target, headers),
            },
        )
        ratio = rate["304"].per_second / rate["200"].per_second
        detail = f"304 {rate['304'].per_second:.0f}/s, 200 {rate['200'].per_second:.0f}/s, 16 connections"
        found.append(Finding("304", title, ratio, "times", "10 times the 200", ratio >= 10, detail))
    return found


@special("again", "a page asked again unchanged, no ETag sent, against raw")
def again(context: Context) -> list[Finding]:
    """The server as it comes, one page over and over, against raw reading that page from the database."""
    kept, raw = context.endpoints.get("geocloud-cached"), context.endpoints.get("raw")
    if kept is None or raw is None:
        return []
    found = []
    for title, ask in _pages(context).items():
        rate = rates(
            context,
            {
                "raw": Contender(raw, raw.target(ask), {}),
                "kept": Contender(kept, kept.target(ask), kept.headers),
            },
        )
        ratio = rate["kept"].per_second / rate["raw"].per_second
        detail = f"kept {rate['kept'].per_second:.0f}/s, raw {rate['raw'].per_second:.0f}/s, 16 connections"
        found.append(Finding("asked again", title, ratio, "times raw", "5 times raw", ratio >= 5, detail))
    return found

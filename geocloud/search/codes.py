# SPDX-License-Identifier: Apache-2.0
"""Finding features by code, whole or its beginning, through the index of each layer's key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geocloud.catalogue.registry import Layer
from geocloud.search.plan import NamePlan

__all__ = ["CodeHit", "find_codes", "looks_like_code"]

_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_./|:\-]{1,63}")
# The last character there is: what begins with a text lies before the text with it behind.
_LAST = "\U0010ffff"
_EXACT, _BEGINNING, _COVERAGE = 0.99, 0.6, 0.3


@dataclass(frozen=True, slots=True)
class CodeHit:
    """A feature whose code begins with what was asked, and how well it fits (0 to 1)."""

    layer: str
    fid: int
    fit: float


def looks_like_code(text: str) -> bool:
    """Whether a text may be a code: two to 64 ASCII letters, digits and marks with a digit among them."""
    return _CODE.fullmatch(text) is not None and any("0" <= c <= "9" for c in text)


async def find_codes(conn: Any, layers: Sequence[tuple[Layer, NamePlan]], text: str, count: int) -> list[CodeHit]:
    """At most `count` features of each layer by code, in small letters, capitals or as typed."""
    if not layers:
        return []
    variants = list(dict.fromkeys((text, text.upper(), text.lower())))
    parts = []
    for number, (layer, plan) in enumerate(layers):
        for field in plan.codes:
            within = " OR ".join(
                f'("{field}" >= ${n + 1} AND "{field}" < ${n + 1} || ${len(variants) + 1} '
                f'AND starts_with("{field}", ${n + 1}))'
                for n in range(len(variants))
            )
            parts.append(
                f'(SELECT {number}, fid, "{field}" FROM {layer.table} WHERE ({within}) AND geom IS NOT NULL '
                f'ORDER BY "{field}" LIMIT {int(count)})'
            )
    hits = []
    for number, fid, code in await conn.fetch(" UNION ALL ".join(parts), *variants, _LAST):
        fit = _EXACT if len(code) == len(text) else _BEGINNING + _COVERAGE * len(text) / len(code)
        hits.append(CodeHit(layers[number][0].id, fid, fit))
    return hits

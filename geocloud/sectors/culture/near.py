# SPDX-License-Identifier: Apache-2.0
"""What the culture processes share: their inputs, layers by role, and places near a point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from geocloud.features.binder import Binder

__all__ = ["POINT_SCHEMA", "VENUES", "box_round", "rounded"]

VENUES = "facility.culture_venue"
POINT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {
        "type": {"const": "Point"},
        "coordinates": {
            "type": "array",
            "prefixItems": [
                {"type": "number", "minimum": -180, "maximum": 180},
                {"type": "number", "minimum": -85, "maximum": 85},
            ],
            "minItems": 2,
            "maxItems": 3,
        },
    },
    "examples": [{"type": "Point", "coordinates": [115.9863, 36.4526]}],
}
# Shortest degree of latitude, and of longitude at the equator divided by cos(latitude), less a margin; metres.
_LAT_M, _LON_M = 110_000.0, 110_800.0


def box_round(binder: Binder, column: str, lon: float, lat: float, radius_m: float) -> str:
    """SQL that is true for points in a box that holds the circle of `radius_m` round lon/lat; it uses the index."""
    up = radius_m / _LAT_M
    aside = radius_m / (_LON_M * math.cos(math.radians(min(89.0, abs(lat) + up))))
    edges = ", ".join(binder.bind(v, "float8") for v in (lon - aside, lat - up, lon + aside, lat + up))
    return f"{column} && ST_MakeEnvelope({edges}, 4490)"


def rounded(metres: float | None) -> float | None:
    """Metres to the centimetre, which is finer than positions are."""
    return None if metres is None else round(metres, 2)

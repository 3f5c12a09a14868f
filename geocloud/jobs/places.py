# SPDX-License-Identifier: Apache-2.0
"""How inputs of processes name a place (地点), as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["POINT_SCHEMA"]

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
"""A GeoJSON point: longitude and latitude in degrees, a height is passed over."""

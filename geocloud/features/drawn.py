# SPDX-License-Identifier: Apache-2.0
"""Geometries that people draw and send along as GeoJSON text (RFC 7946): longitude, latitude, in degrees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import shapely

from geocloud.features.literals import invalid

__all__ = ["AREAS", "LINES", "read_drawn"]

LINES = ("LineString", "MultiLineString")
AREAS = ("Polygon", "MultiPolygon")


def read_drawn(text: str | None, kinds: Sequence[str], chars_max: int, parameter: str = "geometry") -> Any:
    """The GeoJSON geometry in `text` as a valid shapely geometry in EPSG:4490, x = longitude.

    `kinds` are the GeoJSON types taken. CGCS2000 and WGS 84 are the same at metre level, so coordinates are only
    relabelled. Raises InvalidParameter naming `parameter`: missing, too long, no such geometry, beyond the globe,
    or crossing itself.
    """
    if not text:
        raise _wrong(parameter, "is missing", "未给出", kinds)
    if len(text) > chars_max:
        raise _wrong(
            parameter, f"has {len(text)} characters; at most {chars_max} are taken", f"超过 {chars_max} 个字符", kinds
        )
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _wrong(parameter, "is no JSON", "不是有效的 JSON", kinds) from None
    kind = document.get("type") if isinstance(document, dict) else None
    if kind not in kinds:
        raise _wrong(parameter, f"is no {' or '.join(kinds)}", f"不是 {'、'.join(kinds)}", kinds)
    try:
        found = shapely.force_2d(shapely.from_geojson(text))
    except (shapely.GEOSException, ValueError, TypeError):
        raise _wrong(parameter, f"has coordinates that make no {kind}", f"的坐标不能构成 {kind}", kinds) from None
    xy = shapely.get_coordinates(found)
    if not len(xy):
        raise _wrong(parameter, "is empty", "为空", kinds)
    if not (np.isfinite(xy).all() and (np.abs(xy) <= (180.0, 90.0)).all()):
        beyond = "has a place beyond the globe; write longitude, then latitude"
        raise _wrong(parameter, beyond, "的经纬度超出范围,请先写经度再写纬度", kinds)
    if not shapely.is_valid(found):
        reason = shapely.is_valid_reason(found)
        raise _wrong(parameter, f"crosses itself or is not simple: {reason}", f"自相交或不合规则:{reason}", kinds)
    return found


def _wrong(parameter: str, en: str, zh: str, kinds: Sequence[str]) -> Exception:
    return invalid(
        parameter,
        f"`{parameter}` {en}.",
        f"参数 {parameter} {zh}。",
        'Send a GeoJSON geometry such as {"type":"LineString","coordinates":[[115.9,36.4],[116.0,36.5]]}.',
        '请提供 GeoJSON 几何,例如 {"type":"LineString","coordinates":[[115.9,36.4],[116.0,36.5]]}。',
        allowed=list(kinds),
    )

# SPDX-License-Identifier: Apache-2.0
"""Maps of reports (报告附图) as SVG: equirectangular and true to scale at the middle latitude, north up."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import cos, floor, log10, radians
from typing import Any

import numpy as np
import shapely

from geocloud.errors import Language
from geocloud.geodesy.area import ellipsoid
from geocloud.reports.model import Box, Look, Map, MapLayer

__all__ = ["FONT", "bar_of", "map_svg"]

FONT = "Noto Sans CJK SC"
_WIDTH = 480.0  # points: the text's width of an A4 page
_POINTS_PER_MM = 72 / 25.4
_LINE = 15.0
_INK, _QUIET, _HAIR, _LAND = "#1f2a30", "#5b6a72", "#dfe4e6", "#f4f2ec"
_LEAST_SPAN = 0.002


def map_svg(found: Map, language: Language = "zh") -> str:
    """The map with scale bar, north, CRS, date, sources and the legend of what is visible in it."""
    zh = language == "zh"
    height = found.height_mm * _POINTS_PER_MM
    west, south, east, north = _filled(found.box or _box_of(found.layers), _WIDTH / height)
    across, up = _WIDTH / (east - west), height / (north - south)
    frame = shapely.box(west, south, east, north)
    parts: list[str] = []
    hatches: dict[str, str] = {}
    legend: list[MapLayer] = []
    words: list[str] = []
    for layer in found.layers:
        shapes = np.asarray(layer.geometries, dtype=object).ravel()
        seen = ~shapely.is_missing(shapes) & shapely.intersects(shapes, frame)
        if not seen.any():
            continue
        if layer.title:
            legend.append(layer)
        names = list(layer.labels) or [""] * len(shapes)
        for shape, name in zip(shapes[seen], np.asarray(names, dtype=object)[seen], strict=True):
            # A tenth of a point cannot be seen; a whole outline would make the file large.
            drawn = shapely.intersection(shapely.simplify(shape, 0.1 / max(across, up)), frame.buffer(8 / across))
            at = _path(drawn, west, north, across, up)
            if at:
                parts.append(f'<path d="{at}" {_paint(layer.look, hatches)}/>')
            if name:
                x, y = _middle(shapely.intersection(shape, frame), west, north, across, up)
                words.append(_halo(x, y, str(name)))
    metres, label = bar_of((east - west) * 0.25, (south + north) / 2)
    bar = metres / _metres(1.0, (south + north) / 2) * across
    notes = [found.caption, *_notes(found, zh)]
    rows = (len(legend) + 2) // 3
    whole = height + 8 + rows * _LINE + len([n for n in notes if n]) * 12 + 4
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {whole:.0f}" width="{_WIDTH:.0f}" '
        f'height="{whole:.0f}" font-family="{FONT}" role="img"><title>{escape(found.caption or "map")}</title>',
        # A page holds several maps, and names are those of the whole page.
        f'<defs><clipPath id="f{height:.0f}"><rect width="{_WIDTH:.0f}" height="{height:.1f}"/></clipPath>',
        *hatches.values(),
        f'</defs><rect width="{_WIDTH:.0f}" height="{height:.1f}" fill="{_LAND}"/><g clip-path="url(#f{height:.0f})">',
        *parts,
        *words,
        "</g>",
        _scale_bar(bar, label, height),
        f'<path d="M {_WIDTH - 16} 10 l 5 14 l -5 -4 l -5 4 z" fill="{_INK}"/>'
        f'<text x="{_WIDTH - 16}" y="34" font-size="9" text-anchor="middle" fill="{_INK}">{"北" if zh else "N"}</text>',
        f'<rect width="{_WIDTH:.0f}" height="{height:.1f}" fill="none" stroke="{_QUIET}" stroke-width="0.6"/>',
    ]
    for i, layer in enumerate(legend):
        x, y = (i % 3) * _WIDTH / 3, height + 8 + (i // 3) * _LINE
        out.append(f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="18" height="10" {_paint(layer.look, hatches)}/>')
        out.append(f'<text x="{x + 24:.1f}" y="{y + 9:.1f}" font-size="9" fill="{_INK}">{escape(layer.title)}</text>')
    y = height + 8 + rows * _LINE + 8
    for n in (n for n in notes if n):
        out.append(f'<text x="0" y="{y:.1f}" font-size="8" fill="{_QUIET}">{escape(n)}</text>')
        y += 12
    return "".join([*out, "</svg>"])


def bar_of(degrees: float, lat: float) -> tuple[float, str]:
    """The longest round length in metres (1, 2, 5 times a power of ten) within degrees of longitude, and its words."""
    room = _metres(degrees, lat)
    power = 10.0 ** floor(log10(room))
    metres = next(k * power for k in (5, 2, 1) if k * power <= room)
    return metres, f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def _metres(degrees: float, lat: float) -> float:
    """Geodesic length of degrees of longitude at a latitude."""
    return float(ellipsoid().inv(0.0, lat, degrees, lat)[2])


def _notes(found: Map, zh: bool) -> Iterable[str]:
    crs = "CGCS2000 经纬度，等距圆柱投影" if zh else "CGCS2000 longitude and latitude, equirectangular"
    date = (f"；数据日期 {found.date}" if zh else f"; data of {found.date}") if found.date else ""
    yield crs + date
    if found.sources:
        yield ("来源：" if zh else "Sources: ") + "、".join(found.sources)
    if found.synthetic:
        yield "示例数据：合成数据，非真实情况" if zh else "Synthetic data, not the real city"


def _box_of(layers: tuple[MapLayer, ...]) -> Box:
    shapes = [g for layer in layers[-1:] for g in layer.geometries]
    w, s, e, n = (float(v) for v in shapely.total_bounds(np.asarray(shapes, dtype=object)))
    room = max(0.35 * max(e - w, n - s), _LEAST_SPAN)
    return w - room, s - room, e + room, n + room


def _filled(box: Box, ratio: float) -> Box:
    """The box widened to the frame's shape, so that the scale is the same both ways."""
    w, s, e, n = box
    squeeze = cos(radians((s + n) / 2))
    wide, tall = max((e - w) * squeeze, _LEAST_SPAN * squeeze), max(n - s, _LEAST_SPAN)
    wide, tall = max(wide, tall * ratio), max(tall, wide / ratio)
    x, y = (w + e) / 2, (s + n) / 2
    return x - wide / squeeze / 2, y - tall / 2, x + wide / squeeze / 2, y + tall / 2


def _path(shape: Any, west: float, north: float, across: float, up: float) -> str:
    out: list[str] = []
    parts = shapely.get_parts(np.asarray([shape], dtype=object))
    while (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    for part in parts:
        kind = shapely.get_type_id(part)
        if kind == 0:
            x, y = (part.x - west) * across, (north - part.y) * up
            out.append(f"M {x - 3:.1f} {y:.1f} a 3 3 0 1 0 6 0 a 3 3 0 1 0 -6 0 z")
            continue
        for line in shapely.get_rings(part) if kind == 3 else [part]:
            xy = shapely.get_coordinates(line)
            if len(xy) < 2:
                continue
            at = " L ".join(f"{(x - west) * across:.1f} {(north - y) * up:.1f}" for x, y in xy)
            out.append(f"M {at}{' Z' if kind == 3 else ''}")
    return " ".join(out)


def _middle(shape: Any, west: float, north: float, across: float, up: float) -> tuple[float, float]:
    point = shapely.point_on_surface(shape)
    return (point.x - west) * across, (north - point.y) * up


def _halo(x: float, y: float, text: str) -> str:
    where = f'x="{x:.1f}" y="{y + 3:.1f}" font-size="9" text-anchor="middle"'
    words = escape(text)
    return (
        f'<text {where} fill="none" stroke="#fff" stroke-width="2.4">{words}</text>'
        f'<text {where} fill="{_INK}">{words}</text>'
    )


def _paint(look: Look, hatches: dict[str, str]) -> str:
    fill = look.fill or "none"
    if look.hatch:
        colour = look.line or look.fill or _INK
        name = "-".join(("h", look.hatch, colour.lstrip("#"), (look.fill or "").lstrip("#")))
        drawn = {
            "diagonal": "M 0 6 L 6 0",
            "cross": "M 0 6 L 6 0 M 0 0 L 6 6",
            "dots": "M 2.5 3 h 1",
        }[look.hatch]
        ground = f'<rect width="6" height="6" fill="{look.fill}" fill-opacity="0.3"/>' if look.fill else ""
        hatches[name] = (
            f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse">{ground}'
            f'<path d="{drawn}" stroke="{colour}" stroke-width="1"/></pattern>'
        )
        fill = f"url(#{name})"
    dash = f' stroke-dasharray="{" ".join(f"{d:g}" for d in look.dash)}"' if look.dash else ""
    line = f' stroke="{look.line}" stroke-width="{look.width:g}" stroke-linejoin="round"{dash}' if look.line else ""
    return f'fill="{fill}" fill-opacity="{look.fill_opacity:g}" fill-rule="evenodd"{line}'


def _scale_bar(bar: float, label: str, height: float) -> str:
    y = height - 12
    return (
        f'<rect x="6" y="{y - 14:.1f}" width="{bar + 16:.1f}" height="22" fill="#fff" fill-opacity="0.85"/>'
        f'<path d="M 14 {y - 3:.1f} v 6 h {bar:.2f} v -6" fill="none" stroke="{_INK}"/>'
        f'<text x="{14 + bar / 2:.1f}" y="{y - 3:.1f}" font-size="9" text-anchor="middle" fill="{_INK}">{label}</text>'
    )

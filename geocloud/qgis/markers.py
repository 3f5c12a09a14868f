# SPDX-License-Identifier: Apache-2.0
"""Markers of points as SVG inside the project: the pictogram on a disc with a ring, as the web map's sprite has it.

QGIS scales drawings without loss, on screen and on paper, and needs no file beside the project.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from geocloud.styles.icons import GRID, ICONS, Shape
from geocloud.styles.palette import LIGHT, mixed
from geocloud.styles.sprites import MARKER, PICTOGRAM

__all__ = ["marker_source", "marker_svg"]

# How far ring and disc lie inside the marker's edge, in its pixels.
_RING, _DISC = 1.0, 3.0


@lru_cache(maxsize=512)
def marker_source(icon: str, color: str) -> str:
    """The marker as QGIS stores a drawing in a project."""
    return "base64:" + base64.b64encode(marker_svg(icon, color).encode()).decode()


def marker_svg(icon: str, color: str) -> str:
    """A pictogram in the colour of its class, darkened until it can be read, on a disc with a ring of that colour."""
    middle, ink = MARKER / 2, mixed(color, LIGHT.ink, 0.55)
    rings = ((0.0, LIGHT.halo, 0.8), (_RING, color, 1.0), (_DISC, LIGHT.surface, 1.0))
    parts = [
        f'<circle cx="{middle:g}" cy="{middle:g}" r="{middle - inset:g}" fill="{fill}" fill-opacity="{opacity:g}"/>'
        for inset, fill, opacity in rings
    ]
    corner, scale = (MARKER - PICTOGRAM) / 2, PICTOGRAM / GRID
    parts.append(f'<g transform="translate({corner:g} {corner:g}) scale({scale:.5f})">')
    # What is cut out of a pictogram shows the disc.
    parts += [_drawn(shape, LIGHT.surface if shape.cut else ink) for shape in ICONS.get(icon, ICONS["poi"])]
    parts.append("</g>")
    size = f'width="{MARKER}" height="{MARKER}" viewBox="0 0 {MARKER} {MARKER}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'


def _drawn(shape: Shape, color: str) -> str:
    if shape.kind == "disc":
        x, y = shape.points[0]
        return f'<circle cx="{x:g}" cy="{y:g}" r="{shape.size:g}" fill="{color}"/>'
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
    if shape.kind == "area":
        return f'<polygon points="{points}" fill="{color}"/>'
    return (
        f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{shape.size:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )

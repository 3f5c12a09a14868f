# SPDX-License-Identifier: Apache-2.0
"""Cartography: MapLibre styles, legends, sprites and glyphs, made from the catalogue."""

from geocloud.styles.fonts import STACKS, Fonts, Stack, find_fonts
from geocloud.styles.glyphs import GlyphStore, first_of
from geocloud.styles.labels import LabelQuery, label_queries
from geocloud.styles.legend import legend
from geocloud.styles.legend_image import legend_png
from geocloud.styles.override import overridden
from geocloud.styles.palette import palette
from geocloud.styles.sprites import Sheet, sheet
from geocloud.styles.style import CITY, Subject, Wanted, generate, subject, subjects

__all__ = [
    "CITY",
    "CONFORMANCE",
    "STACKS",
    "Fonts",
    "GlyphStore",
    "LabelQuery",
    "Sheet",
    "Stack",
    "Subject",
    "Wanted",
    "find_fonts",
    "first_of",
    "generate",
    "label_queries",
    "legend",
    "legend_png",
    "overridden",
    "palette",
    "sheet",
    "subject",
    "subjects",
]

# OGC API Styles (draft).
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-styles-1/0.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-styles-1/0.0/conf/mapbox-styles",
)

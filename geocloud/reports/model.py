# SPDX-License-Identifier: Apache-2.0
"""A report as data: blocks of words, numbers, tables and maps, in one language, before it is a page or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from geocloud.errors import Language

__all__ = [
    "COLOURS",
    "SIGNS",
    "Bar",
    "Bars",
    "Block",
    "Callout",
    "Column",
    "Fact",
    "Facts",
    "Finding",
    "Heading",
    "Look",
    "Map",
    "MapLayer",
    "Paragraph",
    "Report",
    "Table",
    "Tone",
]

Tone = Literal["refuse", "consent", "note", "clear", "unknown"]
"""What a statement comes to: refused, needs consent, to be noted, clear, not judged."""
COLOURS: Final[Mapping[Tone, str]] = {
    "refuse": "#b3372f", "consent": "#8a5a00", "note": "#1c6e8c", "clear": "#2f6b3f", "unknown": "#5b6a72",
}  # fmt: skip
"""Of each tone; white writing on them has a contrast of 4.5 and more."""
SIGNS: Final[Mapping[Tone, str]] = {"refuse": "×", "consent": "!", "note": "i", "clear": "√", "unknown": "?"}
"""Beside the colour, which never says anything alone."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 begins a chapter."""

    text: str
    level: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `quiet` sets it small and grey."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Callout:
    """A sentence that must not be missed, with its tone's colour and sign."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One number that matters, large: label, value as written, unit."""

    label: str
    value: str
    unit: str = ""
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts side by side; three on a first page."""

    items: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; `share` is its part of the width, equal parts if None."""

    title: str
    align: Literal["left", "right", "center"] = "left"
    share: float | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as written; the header is repeated on each page and no row is broken. `total`: the last row is a sum."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    total: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A share from 0 to 1 as a length, its label, the value as written; None is told as not judged, with no bar."""

    label: str
    share: float | None
    value: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars below one another, all of one scale."""

    items: tuple[Bar, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How geometries are drawn: colours as #rrggbb, line width in points, hatching, dashes in points."""

    fill: str | None = None
    fill_opacity: float = 1.0
    line: str | None = None
    width: float = 0.8
    hatch: Literal["diagonal", "cross", "dots"] | None = None
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MapLayer:
    """Geometries (shapely, EPSG:4490, longitude first) drawn alike; `title` is its line of the legend, none if empty.

    `labels` are as many as `geometries`, drawn inside or beside them; empty ones are left out.
    """

    geometries: Sequence[Any]
    look: Look
    title: str = ""
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Map:
    """A map: layers from the lowest to the highest, the box shown (west, south, east, north in degrees; that of the
    highest layer with room around it if None), caption, date of the data, sources. Scale bar, north, CRS and legend of
    what is visible are always drawn."""

    layers: tuple[MapLayer, ...]
    box: Box | None = None
    caption: str = ""
    date: str = ""
    sources: tuple[str, ...] = ()
    synthetic: bool = False
    height_mm: float = 90.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's result: number, title, tone, the verdict in a word, labelled lines (legal reference, duty, next step),
    and blocks below them (map, table)."""

    number: str
    title: str
    tone: Tone
    verdict: str
    lines: tuple[tuple[str, str], ...] = ()
    blocks: tuple[Block, ...] = ()


Block = Heading | Paragraph | Callout | Facts | Table | Bars | Map | Finding


@dataclass(frozen=True, slots=True)
class Report:
    """A whole document. The first page holds title, verdict, `first_map` and `facts`; `blocks` begin on the next.

    `subject` and `date` run in the header, `fingerprint` in the footer. `about` are
    labelled lines such as the rule pack and the state of the data.
    """

    title: str
    subject: str
    date: str
    language: Language
    tone: Tone
    verdict: str
    summary: str
    facts: Facts
    first_map: Map | None
    blocks: tuple[Block, ...]
    fingerprint: str = ""
    about: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()
    synthetic: bool = False
    keywords: tuple[str, ...] = ()

    @property
    def marked(self) -> str:
        """The sentence that marks synthetic data; empty for real data."""
        if not self.synthetic:
            return ""
        if self.language == "zh":
            return "示例数据：本报告所用数据为合成数据，非真实情况，不得用于办事。"
        return "Synthetic data: not the real city, of no legal use."

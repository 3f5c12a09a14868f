# SPDX-License-Identifier: Apache-2.0
"""Boundary points (界址点) of a site as text: a table with or without headings, or the exchange form of land files with
the blocks [属性描述] and [地块坐标] (点号,圈号,纵坐标,横坐标)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from geocloud.errors import InvalidParameter
from geocloud.geodesy.crs import gauss_kruger
from geocloud.ingest.coordinates import parse_number
from geocloud.ingest.source import Batch, Source, Workspace

__all__ = ["ShapesSource", "read_points"]

_EAST = re.compile(r"经度|东经|横坐标|东坐标|lon(gitude)?|lng|east(ing)?|[yY]\(?(东|横)", re.IGNORECASE)
_NORTH = re.compile(r"纬度|北纬|纵坐标|北坐标|lat(itude)?|north(ing)?|[xX]\(?(北|纵)", re.IGNORECASE)
_PLAIN_X = re.compile(r"x(坐标)?(\(m\)|\(米\))?|坐标x", re.IGNORECASE)
_PLAIN_Y = re.compile(r"y(坐标)?(\(m\)|\(米\))?|坐标y", re.IGNORECASE)
_RING = re.compile(r"圈号|地块圈号|环号|ring", re.IGNORECASE)
_PLOT = re.compile(r"地块(编)?号|地块(名称)?|宗地(号|代码)|plot|parcel", re.IGNORECASE)
# An easting that carries its zone: two digits of zone before six of metres.
_WITH_ZONE = 1e7
Point = tuple[float, float]


@dataclass
class _Outline:
    """Points of one ring as written, x to the east as far as the text tells."""

    plot: str
    ring: str
    points: list[Point] = field(default_factory=list)


class ShapesSource(Source):
    """Geometries that are in memory already, for the readers and doctors of files."""

    def __init__(self, name: str, shapes: list[object], crs: str | None, *, by_format: bool = False) -> None:
        super().__init__(name, Path(name), Workspace())
        self.driver, self.layer, self.fields = "memory", None, ()
        self.crs, self.crs_by_format, self.geometry_type = crs, by_format, "Unknown"
        self.shapes = shapes
        self.count = len(shapes)

    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        """All shapes at once."""
        held = np.empty(len(self.shapes), dtype=object)
        held[:] = self.shapes
        yield Batch(0, len(held), pa.table({}), held)


def read_points(name: str, data: bytes) -> ShapesSource:
    """Outlines of a text; InvalidParameter names the line that cannot be read."""
    text = _decoded(data)
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1)]
    crs: str | None = None
    if any(line.startswith("[") and "坐标" in line for _, line in lines):
        outlines, crs = _exchange_form(name, lines)
    else:
        outlines = _table(name, lines)
    shapes: list[object] = []
    for plot in dict.fromkeys(o.plot for o in outlines):
        shapes += [_ring(o) for o in outlines if o.plot == plot]
    if not shapes:
        raise _unreadable(name, 1, "no boundary points", "没有界址点")
    return ShapesSource(name, shapes, crs)


def _decoded(data: bytes) -> str:
    for codec in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    raise InvalidParameter(
        "The text of boundary points is neither UTF-8 nor GB 18030.", "界址点文本既非 UTF-8 也非 GB 18030 编码。",
        parameter="site", fault="unreadable",
    )  # fmt: skip


def _exchange_form(name: str, lines: list[tuple[int, str]]) -> tuple[list[_Outline], str | None]:
    about: dict[str, str] = {}
    outlines: list[_Outline] = []
    block, plot = "", 0
    for number, line in lines:
        if line.startswith("["):
            block = line
        elif not line:
            continue
        elif "坐标" not in block:
            key, _, value = line.partition("=")
            about[key.strip()] = value.strip()
        elif line.endswith("@"):
            plot += 1
        else:
            cells = _cells(line)
            numbers = [parse_number(c) for c in cells[-2:]]
            if len(cells) < 4 or None in numbers:
                raise _unreadable(
                    name, number, f"`{line[:40]}` is not point, ring, X, Y", f"“{line[:40]}”不是点号,圈号,X,Y"
                )
            _add(outlines, str(plot), cells[1], _east_first(numbers[1], numbers[0]))
    return outlines, _system(about, outlines)


def _system(about: dict[str, str], outlines: list[_Outline]) -> str | None:
    """The system the heading names; None where it does not say enough."""
    datum, zone = about.get("坐标系", ""), about.get("带号", "")
    if "2000" not in datum or not zone.isdigit() or not outlines:
        return None
    width = 6 if about.get("几度分带", "3").strip().startswith("6") else 3
    prefix = any(x >= _WITH_ZONE for o in outlines for x, _ in o.points)
    try:
        return gauss_kruger(int(zone), prefix=prefix, width=6 if width == 6 else 3).id
    except InvalidParameter:
        return None


def _table(name: str, lines: list[tuple[int, str]]) -> list[_Outline]:
    outlines: list[_Outline] = []
    columns: dict[str, int] = {}
    group, fresh = 0, True
    for number, line in lines:
        if not line or line.startswith("#"):
            group += not fresh
            fresh = True
            continue
        cells = _cells(line)
        if all(parse_number(c) is None for c in cells):
            if outlines:
                raise _unreadable(name, number, f"`{line[:40]}` is no point", f"“{line[:40]}”不是界址点")
            columns = _columns(cells)
            continue
        fresh = False
        try:
            east, north = _pair(cells, columns)
        except (IndexError, ValueError):
            raise _unreadable(name, number, f"`{line[:40]}` is no point", f"“{line[:40]}”不是界址点") from None
        plot = cells[columns["plot"]] if "plot" in columns else str(group)
        ring = cells[columns["ring"]] if "ring" in columns else (cells[1] if not columns and len(cells) == 4 else "1")
        point = (east, north) if columns.get("sure") else _east_first(east, north)
        _add(outlines, plot, ring, point)
    return outlines


def _pair(cells: list[str], columns: dict[str, int]) -> Point:
    first, second = (columns["x"], columns["y"]) if "x" in columns else (len(cells) - 2, len(cells) - 1)
    if not columns and len(cells) not in (2, 3, 4):
        raise ValueError
    a, b = parse_number(cells[first]), parse_number(cells[second])
    if a is None or b is None:
        raise ValueError
    return a, b


def _columns(cells: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, cell in enumerate(cells):
        for key, words in (("ring", _RING), ("plot", _PLOT), ("x", _EAST), ("y", _NORTH)):
            if key not in found and words.search(cell):
                found[key] = i
                break
    if "x" in found and "y" in found:
        return found | {"sure": 1}
    for i, cell in enumerate(cells):
        if _PLAIN_X.fullmatch(cell):
            found["x"] = i
        elif _PLAIN_Y.fullmatch(cell):
            found["y"] = i
    return found


def _east_first(a: float | None, b: float | None) -> Point:
    """Easting first where the numbers tell: one of them carries a zone, or only one can be a latitude."""
    assert a is not None and b is not None
    if b >= _WITH_ZONE > a or (abs(a) <= 90 < abs(b) <= 180):
        return b, a
    if a < _WITH_ZONE and b < _WITH_ZONE and a > 1_000_000 > b > 90:
        return b, a
    return a, b


def _add(outlines: list[_Outline], plot: str, ring: str, point: Point) -> None:
    if not outlines or (outlines[-1].plot, outlines[-1].ring) != (plot, ring):
        outlines.append(_Outline(plot, ring))
    outlines[-1].points.append(point)


def _ring(outline: _Outline) -> object:
    """The ring as a line from its first point back to it; shorter ones are judged by whoever reads the site."""
    points = outline.points
    if points[0] != points[-1] or len(points) == 1:
        points = [*points, points[0]]
    return shapely.linestrings(points)


def _cells(line: str) -> list[str]:
    cells = re.split(r"[,，;；\t]", line) if re.search(r"[,，;；\t]", line) else line.split()
    return [c.strip() for c in cells if c.strip()]


def _unreadable(name: str, line: int, en: str, zh: str) -> InvalidParameter:
    return InvalidParameter(
        f"{name}, line {line}: {en}.",
        f"{name} 第 {line} 行:{zh}。",
        todo_en="docs/planning.md shows the forms of boundary points that are read.",
        todo_zh="可读取的界址点格式见 docs/planning.md。",
        parameter="site", fault="unreadable", line=line,
    )  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""A sheet ready to print: map, title, legend of what is in view, scale bar, date, sources and coordinate system."""

from __future__ import annotations

from geocloud.qgis.model import Request, belongs
from geocloud.qgis.symbols import FONTS, text_style
from geocloud.qgis.xml import Element, crs, node, text
from geocloud.styles.palette import LIGHT

__all__ = ["layout"]

_PAGE, _LABEL, _MAP, _LEGEND, _SCALE_BAR = 65638, 65641, 65639, 65642, 65646
_INK, _SECOND = "#1f2a30", "#5b6a72"
_WIDTH, _HEIGHT, _EDGE, _SIDE = 420.0, 297.0, 12.0, 82.0
# Rows of a legend that one column holds.
_ROWS = 40


def layout(parent: Element, request: Request, theme: str | None, legend_rows: int) -> None:
    """One layout of A3, landscape; a legend of many rows is smaller and in two columns."""
    made = node(
        parent, "Layout",
        {"name": request.say("A3 横向", "A3 landscape"), "units": "mm", "printResolution": 300,
         "worldFileMap": _uuid("map")},
    )  # fmt: skip
    pages = node(made, "PageCollection")
    _item(pages, "page", _PAGE, (0, 0, _WIDTH, _HEIGHT))
    top, foot = _EDGE + 16, 18.0
    map_box = (_EDGE, top, _WIDTH - 2 * _EDGE - _SIDE - 4, _HEIGHT - top - _EDGE - foot)
    side = map_box[0] + map_box[2] + 4
    below = map_box[1] + map_box[3] + 3
    _label(made, "title", "[% @project_title %]", (_EDGE, _EDGE, 300, 13), 26, _INK, bold=True)
    _map(made, request, map_box)
    _legend(made, request, (side, top, _SIDE, map_box[3]), 2 if legend_rows > _ROWS else 1)
    _scale_bar(made, request, (side, below, _SIDE, 12))
    said = request.say(
        "坐标系 [% @project_crs %] 2000 国家大地坐标系　·　制图日期 [% format_date(now(), 'yyyy年M月d日') %]\n来源 ",
        "CRS [% @project_crs %] CGCS2000 · [% format_date(now(), 'yyyy-MM-dd') %]\nSources: ",
    )
    said += _sources(request, theme)
    _label(made, "imprint", said, (_EDGE, below, map_box[2], 14), 11, _SECOND)


def _sources(request: Request, theme: str | None) -> str:
    layers = [x for x in request.catalogue.layers.values() if belongs(request, x, theme) and x.state.row_count]
    named = dict.fromkeys(f"{request.text(s.title)} ({s.licence})" for x in layers for s in x.sources)
    return request.say("；", "; ").join(named).replace("[%", "[ %")


def _item(parent: Element, name: str, kind: int, box: tuple[float, float, float, float], **more: object) -> Element:
    left, top, width, height = box
    made = node(
        parent, "LayoutItem",
        {"type": kind, "id": name, "uuid": _uuid(name), "templateUuid": _uuid(name), "referencePoint": 0,
         "position": f"{left},{top},mm", "positionOnPage": f"{left},{top},mm", "size": f"{width},{height},mm",
         "visibility": True, "opacity": 1, "zValue": 1, "frame": "false", "background": "false", "blendMode": 0,
         "outlineWidthM": "0.2,mm", "frameJoinStyle": "miter", "itemRotation": 0, "groupUuid": "",
         "positionLock": "false", "excludeFromExports": 0, **more},
    )  # fmt: skip
    node(made, "FrameColor", {"red": 145, "green": 155, "blue": 160, "alpha": 255})
    node(made, "BackgroundColor", {"red": 255, "green": 255, "blue": 255, "alpha": 255})
    return made


def _label(
    parent: Element, name: str, words: str, box: tuple[float, float, float, float], size: float, color: str, *,
    bold: bool = False,
) -> None:  # fmt: skip
    made = _item(parent, name, _LABEL, box, labelText=words, htmlState=0, halign=1, valign=32, marginX=0, marginY=0)
    _font(made, "LabelFont", size, bold)
    node(made, "FontColor", _channels(color))
    text_style(made, size, color, bold=bold)


def _map(parent: Element, request: Request, box: tuple[float, float, float, float]) -> None:
    made = _item(
        parent, "map", _MAP, box, frame="true", background="true", followPreset="false", keepLayerSet="false",
        drawCanvasItems="true", mapRotation=0,
    )  # fmt: skip
    made[-1].attrib.update({k: str(v) for k, v in _channels(LIGHT.land).items()})
    west, south, east, north = _filled(request.bbox, box[2] / box[3])
    node(made, "Extent", {"xmin": west, "ymin": south, "xmax": east, "ymax": north})
    crs(made, "projectCrs", "EPSG:4490")
    node(made, "LayerSet")


def _legend(parent: Element, request: Request, box: tuple[float, float, float, float], columns: int) -> None:
    made = _item(
        parent, "legend", _LEGEND, box, title=request.say("图例", "Legend"), map_uuid=_uuid("map"),
        legendFilterByAtlas=0, legendFilterByMap=1, resizeToContents=0, columnCount=columns, splitLayer=0,
        symbolWidth=7, symbolHeight=4,
        symbolAlignment=1, titleAlignment=1, columnSpace=2, lineSpacing=1, wmsLegendWidth=50, wmsLegendHeight=25,
        fontColor=_INK,
    )  # fmt: skip
    styles = node(made, "styles")
    # Words are longer than Chinese ones.
    share = 1 if columns == 1 else 0.82 if request.language == "zh" else 0.65
    for name, full, bold, space in (
        ("title", 16, True, 3), ("group", 14, True, 3), ("subgroup", 12, True, 2), ("symbol", 11, False, 1.2),
        ("symbolLabel", 11, False, 1.2),
    ):  # fmt: skip
        size = round(full * share, 1)
        style = node(styles, "style", {"name": name, "alignment": 1, "marginTop": space * share, "marginBottom": 0})
        _font(style, "styleFont", size, bold)
        text_style(style, size, _INK, bold=bold)


def _scale_bar(parent: Element, request: Request, box: tuple[float, float, float, float]) -> None:
    made = _item(
        parent, "scale_bar", _SCALE_BAR, box, mapUuid=_uuid("map"), style="Line Ticks Up",
        unitType="km", unitLabel=request.say("千米", "km"), numUnitsPerSegment=10, numMapUnitsPerScaleBarUnit=1,
        numSegments=2, numSegmentsLeft=0, segmentSizeMode=1, minBarWidth=25, maxBarWidth=70, height=2,
        labelBarSpace=1, boxContentSpace=1, alignment=0, outlineWidth=0.3, lineJoinStyle="miter", lineCapStyle="square",
        labelVerticalPlacement=0, labelHorizontalPlacement=0, segmentMillimeters=25,
    )  # fmt: skip
    text_style(made, 11, _INK)
    for name in ("strokeColor", "fillColor"):
        node(made, name, _channels(_INK))
    text(made, "numericFormat", "", {"id": "basic"})


def _font(parent: Element, name: str, size_px: float, bold: bool) -> None:
    """A font as QGIS up to 3.22 reads it; newer ones read the text style beside it."""
    weight = 75 if bold else 50
    node(parent, name, {"description": f"{FONTS[0]},{size_px * 0.75:g},-1,5,{weight},0,0,0,0,0", "style": ""})


def _channels(color: str) -> dict[str, object]:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return {"red": red, "green": green, "blue": blue, "alpha": 255}


def _filled(box: tuple[float, float, float, float], ratio: float) -> tuple[float, float, float, float]:
    """The box widened to a ratio of width to height, in degrees as the sheet draws them."""
    west, south, east, north = box
    width, height = east - west, north - south
    across, up = max(width, height * ratio), max(height, width / ratio)
    x, y = (west + east) / 2, (south + north) / 2
    return x - across / 2, y - up / 2, x + across / 2, y + up / 2


def _uuid(name: str) -> str:
    """Fixed ids: the layout is the same in every project."""
    number = f"{int.from_bytes(name.encode()[:12].ljust(12, b'.'), 'big'):024x}"
    return f"{{67636c6f-7564-4{number[:3]}-8{number[3:6]}-{number[6:18]}}}"

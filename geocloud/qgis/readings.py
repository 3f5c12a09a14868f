# SPDX-License-Identifier: Apache-2.0
"""Newest values of devices (实时读数) as a layer: discs under the markers, with values that are fetched every minute.

QGIS reads them by their address as GeoJSON, one feature a device with the values as columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import Text
from geocloud.qgis.draw import quoted, renderer, simple_labels
from geocloud.qgis.layers import described
from geocloud.qgis.look import Drawn, Label, Look, Paint, look_of
from geocloud.qgis.model import Reading, Request, layer_id, shape_in
from geocloud.qgis.xml import Element, crs, extent, node, text
from geocloud.sensing.model import Flags
from geocloud.styles.palette import LIGHT

__all__ = ["reading_layer", "reading_source", "reading_title"]

# GeoJSON's own system; between it and the one that layers are stored in lies no shift.
_CRS = "EPSG:4326"
_EVERY_MS = 60_000
_DISC_PX, _DOT_PX = 28, 10
# Fresh, doubtful and out of date as the map's badges have them.
_STATES = (
    ("fresh", Text(zh="正常", en="Up to date"), "#1c6e8c"),
    ("doubtful", Text(zh="存疑", en="Doubtful"), "#c7891b"),
    ("stale", Text(zh="已过时", en="Out of date"), "#9aa6ad"),
)
_DOUBTFUL = "|".join(Flags.doubtful().names)


def reading_title(request: Request, layer: Layer) -> str:
    """What the layer is called."""
    return request.say(f"{layer.title.zh} · 实时读数", f"{layer.title.en} · live readings")


def reading_source(request: Request, layer: Layer) -> str:
    """Where the newest values of a layer are."""
    return f"{request.base_url}/collections/{layer.id}/latest?flat=true&limit={request.readings_max}"


def reading_layer(parent: Element, request: Request, layer: Layer) -> None:
    """The newest values of a layer's devices: coloured by state, the first property that each has beside it."""
    readings = request.readings[layer.id]
    look = look_of(layer, shape_in(request, layer), request.language)
    from_zoom = max(layer.spec.tiles.min_zoom, *(d.paint.icon_zoom for d in look.classes))
    made = node(
        parent, "maplayer",
        {"type": "vector", "geometry": "Point", "autoRefreshEnabled": True, "autoRefreshTime": _EVERY_MS,
         "autoRefreshMode": "ReloadData", "readOnly": True, "labelsEnabled": True,
         "styleCategories": "AllStyleCategories", "hasScaleBasedVisibilityFlag": from_zoom > 0,
         "minScale": request.scale(from_zoom) if from_zoom else 1e8, "maxScale": 0},
    )  # fmt: skip
    if layer.state.extent:
        extent(made, "extent", layer.state.extent)
    text(made, "id", layer_id(layer.id, "readings"))
    text(made, "datasource", reading_source(request, layer))
    text(made, "provider", "ogr", {"encoding": "UTF-8"})
    described(made, request, layer, reading_title(request, layer))
    crs(made, "srs", _CRS)
    drawn = _look(request, readings, bool(from_zoom))
    renderer(made, request, drawn)
    simple_labels(made, request, drawn)
    aliases = node(made, "aliases")
    for column, title in _columns(request, layer):
        node(aliases, "alias", {"field": column, "name": title})
    text(made, "previewExpression", f'"{layer.spec.style.label or layer.spec.key[0]}"')
    text(made, "mapTip", _tip(request, layer))
    node(made, "customproperties")
    text(made, "layerOpacity", 1)


def _look(request: Request, readings: Sequence[Reading], close: bool) -> Look:
    states, values = [], []
    for r in readings:
        name = f"latest_{r.property}"
        doubtful = f"regexp_match(coalesce(\"{name}_flags\", ''), '{_DOUBTFUL}') > 0"
        stale = f'coalesce(to_int("{name}_stale"), 0) > 0'
        state = f"CASE WHEN {doubtful} THEN 'doubtful' WHEN {stale} THEN 'stale' ELSE 'fresh' END"
        states.append(f'WHEN "{name}" IS NOT NULL THEN {state}')
        before = "" if r is readings[0] else f"{quoted(f'{request.text(r.title)} ')} || "
        unit = f" || {quoted(f' {r.unit}')}" if r.unit else ""
        mark = f"if({doubtful}, '⚠ ', '')"
        values.append(f'WHEN "{name}" IS NOT NULL THEN {before}{mark} || to_string("{name}"){unit}')
    size = _DISC_PX if close else _DOT_PX
    classes = [Drawn((code,), title, Paint(color, size, outline="#ffffff")) for code, title, color in _STATES]
    without = Text(zh="无读数", en="No reading")
    classes.append(Drawn((), without, Paint("#ffffff", _DOT_PX, outline="#9aa6ad")))
    label = Label(
        f"CASE {' '.join(values)} END", size=12, color=LIGHT.ink, bold=True, priority=8, expression=True
    )  # fmt: skip
    return Look("point", f"CASE {' '.join(states)} END", tuple(classes), label)


def _columns(request: Request, layer: Layer) -> list[tuple[str, str]]:
    """The columns and what they are called."""
    named = [(f.name, request.text(f.title)) for f in layer.spec.visible_fields]
    ends = {
        "": ("", ""), "_unit": ("单位", "unit"), "_time": ("时间", "time"), "_flags": ("标记", "flags"),
        "_stale": ("已过时", "out of date"),
    }  # fmt: skip
    for r in request.readings[layer.id]:
        title = request.text(r.title)
        whole = request.say(f"{title}（{r.unit}）", f"{title} ({r.unit})") if r.unit else title
        named += [
            (f"latest_{r.property}{end}", f"{title} · {request.say(*words)}" if end else whole)
            for end, words in ends.items()
        ]
    return named


def _tip(request: Request, layer: Layer) -> str:
    name = layer.spec.style.label or layer.spec.key[0]
    lines = [f'<b>[% "{name}" %]</b>']
    for r in request.readings[layer.id]:
        value, time = f'"latest_{r.property}"', f'"latest_{r.property}_time"'
        lines.append(f"{request.text(r.title)}: [% coalesce(to_string({value}), '–') %] {r.unit} [% {time} %]")
    return "<br>".join(lines)

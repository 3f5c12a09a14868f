# SPDX-License-Identifier: Apache-2.0
"""`/qgis/city.qgz` and `/qgis/{theme}.qgz`: the catalogue as a project that QGIS opens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from geocloud import qgis
from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import Text
from geocloud.errors import UnknownCollection
from geocloud.features.request import unknown_parameter
from geocloud.ogc import Context, listing
from geocloud.qgis.look import Shape, shape_of
from geocloud.reports import formats
from geocloud.sectors.themes import named_by_sectors
from geocloud.sensing import read
from geocloud.sensing.mapping import known_properties
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES"]

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]

_CITY = "city"
# Layers that maps show from this zoom on are details: they would cover what they are part of.
_DETAILS = 12
_MEDIA_TYPE = "application/x-qgis-project-container"
_SHAPES: dict[int, Shape] = {0: "point", 1: "line", 2: "polygon"}


async def _project(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    for name, _ in ask.pairs if ask.query else ():
        if name != "lang":
            raise unknown_parameter(name, ["lang"])
    ctx = service.context(ask)
    catalogue = ctx.catalogue
    themes = {t.id: t.title for t in listing.themes(ctx)}
    theme = None if params["project"] == _CITY else params["project"]
    if theme is not None and theme not in themes:
        raise _unknown(params["project"], themes)
    named = named_by_sectors(theme) if theme else frozenset[str]()
    layers = catalogue.layers.values()
    shown = [x for x in layers if theme is None or x.spec.theme in (theme, qgis.BASE) or x.id in named]
    request = qgis.Request(
        catalogue,
        ctx.base_url.rstrip("/"),
        ctx.service if theme is None else ctx.say(f"{ctx.city} · {themes[theme]}", f"{ctx.city} · {themes[theme]}"),
        ctx.say(
            "由目录生成的工程：要素经 OGC API - Features 读取与编辑，大图层由矢量瓦片显示。",
            "Made from the catalogue: features by OGC API Features, large layers drawn from vector tiles.",
        ),
        themes,
        _bbox(ctx),
        ctx.language,
        service.settings.qgis.qgis_rows_max,
        service.settings.qgis.qgis_page_rows,
        await _shapes(service, shown),
        service.settings.edit.editing,
        named,
        named | _own(catalogue, theme) if named else named,
        await _readings(service, catalogue),
        service.settings.sensing.sensing_page_max,
    )
    body = await asyncio.to_thread(qgis.project, request, theme)
    name = f"{params['project']}{'' if ctx.language == 'zh' else '-en'}.qgz"
    headers = [said_in(ctx), (b"content-disposition", f'attachment; filename="{name}"'.encode())]
    # Kept nowhere: what is measured changes without the catalogue.
    etag = etag_of(body)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return Answer(body, _MEDIA_TYPE, headers=headers, etag=etag, document=True)


def _own(catalogue: Catalogue, theme: str | None) -> frozenset[str]:
    """The theme's layers that can lie over each other and all be read: points and lines, but not those of details."""
    own = [x for x in catalogue.layers.values() if x.spec.theme == theme and x.spec.tiles.min_zoom < _DETAILS]
    return frozenset(x.id for x in own if shape_of(x.spec) in ("point", "line"))


async def _shapes(service: Service, layers: list[Layer]) -> dict[str, Shape]:
    """What layers of any geometry hold first, which is what QGIS takes them for."""
    found: dict[str, Shape] = {}
    for layer in layers:
        if layer.spec.geometry == "geometry" and shape_of(layer.spec) is None:
            async with service.reader.lease() as conn:
                kind = await conn.fetchval(
                    f"SELECT ST_Dimension(geom) FROM {layer.table} WHERE geom IS NOT NULL ORDER BY fid LIMIT 1"
                )
            found[layer.id] = _SHAPES.get(kind, "polygon")
    return found


async def _readings(service: Service, catalogue: Catalogue) -> dict[str, list[qgis.Reading]]:
    """What devices measure, by layer; of a property that comes in several units, the first."""
    found: dict[str, dict[str, qgis.Reading]] = {}
    known = known_properties()
    for m in await read.measures(service.reader, catalogue):
        title = known[m.property].title if m.property in known else Text(zh=m.property, en=m.property)
        one = qgis.Reading(m.property, title, "" if m.unit == "1" else formats.unit(m.unit))
        found.setdefault(m.layer, {}).setdefault(m.property, one)
    return {layer: list(by_property.values()) for layer, by_property in found.items()}


def _bbox(ctx: Context) -> tuple[float, float, float, float]:
    """The city; what there is, where none of it lies in the city of the settings."""
    city = ctx.settings.city.city_bbox
    boxes = [x.state.extent for x in ctx.catalogue.layers.values() if x.state.extent]
    here = [b for b in boxes if b[0] < city[2] and b[2] > city[0] and b[1] < city[3] and b[3] > city[1]]
    if here or not boxes:
        return city
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def _unknown(project: str, themes: dict[str, str]) -> UnknownCollection:
    names = [f"/qgis/{name}.qgz" for name in (_CITY, *themes)]
    return UnknownCollection(
        f"There is no project `{project[:60]}`.",
        f"没有名为 {project[:60]} 的工程。",
        todo_en=f"There are: {', '.join(names)}.",
        todo_zh=f"可用:{'、'.join(names)}。",
        allowed=names,
    )


ROUTES: list[tuple[str, Handler]] = [("/qgis/{project}.qgz", _project)]

# SPDX-License-Identifier: Apache-2.0
"""`/styles` (OGC API Styles, draft), legends, label points, sprites and glyphs."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from geocloud import styles
from geocloud.errors import GeocloudError, InvalidParameter, UnknownCollection
from geocloud.features.request import unknown_parameter
from geocloud.ogc import Context, Document, listing
from geocloud.ogc.context import link
from geocloud.settings import StyleSettings
from geocloud.web.answer import Answer, etag_of, is_match
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES"]

Handler = Callable[[Service, Ask, dict[str, str]], Awaitable[Answer]]
_JSON, _STYLE, _PNG = "application/json", "application/vnd.mapbox.style+json", "image/png"
_GEOJSON, _PBF = "application/geo+json", "application/x-protobuf"


async def _listing(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang")
    ask.format(("json",))
    ctx = service.context(ask)
    say = ctx.say
    found: list[Document] = []
    for style_id in styles.subjects(ctx.catalogue):
        here = ctx.url(f"/styles/{style_id}")
        title = _title(ctx, style_id)
        links = [
            link(f"{here}?f=json", "stylesheet", _STYLE, title),
            link(f"{here}?f=json&dark=true", "stylesheet", _STYLE, say(f"{title}（深色）", f"{title} (dark)")),
            link(f"{here}/legend?f=json", "describedby", _JSON, say("图例", "Legend")),
            link(f"{here}/legend?f=png", "preview", _PNG, say("图例（图片）", "Legend as a picture")),
        ]
        found.append({"id": style_id, "title": title, "links": links})
    self_link = link(ctx.url("/styles?f=json"), "self", _JSON, say("本文档（JSON）", "This document as JSON"))
    body = orjson.dumps({"styles": found, "default": styles.CITY, "links": [self_link]})
    return Answer(body, _JSON, headers=[said_in(ctx)], etag=etag_of(body), document=True, token=ctx.catalogue)


async def _style(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang", "dark", "base")
    ask.format(("json",))
    ctx, base = service.context(ask), _yes_or_no(ask, "base")
    of = styles.subject(ctx.catalogue, params["style"], base=base)
    settings = service.settings.styles
    wanted = styles.Wanted(
        ctx.base_url, ctx.language, bool(_yes_or_no(ask, "dark")), _title(ctx, of.id), service.settings.city.city_bbox
    )
    path = settings.styles_folder / f"{of.id}.json"
    found = await asyncio.to_thread(
        lambda: styles.overridden(
            styles.generate(of, wanted), path, ctx.base_url, settings.style_override_kb, partial=base is not None
        )
    )
    # Not kept by catalogue: an override may change at any time.
    return _checked(ask, ctx, orjson.dumps(found), _STYLE)


async def _legend(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask, "f", "lang", "dark", "base", "scale")
    file_format = ask.format(("json", "png"))
    ctx, dark, scale = service.context(ask), bool(_yes_or_no(ask, "dark")), _scale(ask)
    of = styles.subject(ctx.catalogue, params["style"], base=_yes_or_no(ask, "base"))
    document = styles.legend(of, ctx.language, dark=dark, title=_title(ctx, of.id))
    if file_format == "json":
        body, media_type = orjson.dumps(document), _JSON
    else:
        body, media_type = await asyncio.to_thread(_picture, service, ctx, document, dark, scale), _PNG
    return Answer(body, media_type, headers=[said_in(ctx)], etag=etag_of(body), document=True, token=ctx.catalogue)


def _picture(service: Service, ctx: Context, document: dict[str, Any], dark: bool, scale: int) -> bytes:
    sheet = styles.sheet(ctx.catalogue, dark=dark, scale=scale)
    # A picture explains what can be seen; the JSON has every layer.
    document = {**document, "layers": [x for x in document["layers"] if not x["empty"]]}
    fonts = _glyphs(service.settings.database.home, service.settings.styles).fonts
    return styles.legend_png(document, styles.palette(dark=dark), sheet, fonts, scale)


async def _labels(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    """Points with the names of places and divisions that tiles cannot carry whole."""
    _only(ask, "f")
    ask.format(("json",))
    catalogue = service.catalogue
    of = styles.subject(catalogue, params["style"])
    features: list[str] = []
    async with service.reader.lease() as conn:
        for query in styles.label_queries(of.base, service.settings.styles.style_labels_max):
            features += [row[0] for row in await conn.fetch(query.sql, *query.values)]
    body = ('{"type":"FeatureCollection","features":[' + ",".join(map(_text, features)) + "]}").encode()
    token = None if any(x.state.timed for x in of.base) else catalogue
    return Answer(body, _GEOJSON, etag=etag_of(body), document=True, token=token)


async def _sprite(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask)
    name, dot, kind = params["name"].partition(".")
    theme, _, scale = name.partition("@")
    if theme not in ("light", "dark") or scale not in ("", "2x") or kind not in ("json", "png") or not dot:
        raise _unknown(
            f"sprite `{params['name'][:60]}`", f"名为 {params['name'][:60]} 的符号集", "light and dark", "light 与 dark"
        )
    catalogue = service.catalogue
    sheet = await asyncio.to_thread(styles.sheet, catalogue, dark=theme == "dark", scale=2 if scale else 1)
    body = orjson.dumps(sheet.index) if kind == "json" else sheet.png
    token = (catalogue.identity, catalogue.revision)
    return Answer(body, _JSON if kind == "json" else _PNG, etag=etag_of(body), document=True, token=token)


async def _font(service: Service, ask: Ask, params: dict[str, str]) -> Answer:
    _only(ask)
    # A style may name several stacks in order of preference; the first one known is drawn.
    names = [n.strip() for n in params["fontstack"].split(",")]
    stack = next((s for n in names for s in styles.STACKS if s == n), None)
    if stack is None:
        known = ", ".join(styles.STACKS)
        raise _unknown(f"font `{names[0][:60]}`", f"名为 {names[0][:60]} 的字体", known, known)
    start = styles.first_of(params["range"])
    store = await asyncio.to_thread(_glyphs, service.settings.database.home, service.settings.styles)
    body = gzip.decompress(await asyncio.to_thread(store.get, stack, start))
    catalogue = service.catalogue
    return Answer(body, _PBF, etag=etag_of(body), document=True, token=(catalogue.identity, catalogue.revision))


@lru_cache(maxsize=4)
def _glyphs(home: Path, settings: StyleSettings) -> styles.GlyphStore:
    return styles.GlyphStore(home / "glyphs", styles.find_fonts(settings))


def _checked(ask: Ask, ctx: Context, body: bytes, media_type: str) -> Answer:
    etag = etag_of(body)
    if ask.if_none_match and is_match(ask.if_none_match, etag.encode()):
        return Answer(b"", "", 304, etag=etag)
    return Answer(body, media_type, headers=[said_in(ctx)], etag=etag, document=True)


def _title(ctx: Context, style_id: str) -> str:
    if style_id == styles.CITY:
        return ctx.service
    layer = ctx.catalogue.layers.get(style_id)
    return ctx.text(layer.title) if layer else f"{ctx.city} · {listing.theme_title(ctx, style_id)}"


def _yes_or_no(ask: Ask, name: str) -> bool | None:
    value = ask.parameter(name)
    if value is None:
        return None
    if value not in ("true", "false"):
        raise _bad(name, value, ["true", "false"])
    return value == "true"


def _scale(ask: Ask) -> int:
    value = ask.parameter("scale")
    if value not in (None, "1", "2"):
        raise _bad("scale", value or "", ["1", "2"])
    return int(value or 1)


def _bad(name: str, value: str, allowed: list[str]) -> GeocloudError:
    listed = ", ".join(allowed)
    return InvalidParameter(
        f"`{name}` is `{value[:20]}`.",
        f"参数 {name} 的值“{value[:20]}”不可用。",
        todo_en=f"Allowed are: {listed}.",
        todo_zh=f"可用:{listed}。",
        parameter=name,
        allowed=allowed,
    )


def _unknown(en: str, zh: str, known_en: str, known_zh: str) -> GeocloudError:
    return UnknownCollection(
        f"There is no {en}.", f"没有{zh}。", todo_en=f"There are: {known_en}.", todo_zh=f"可用:{known_zh}。"
    )


def _only(ask: Ask, *names: str) -> None:
    for name, _ in ask.pairs if ask.query else ():
        if name not in names:
            raise unknown_parameter(name, list(names))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


ROUTES: list[tuple[str, Handler]] = [
    ("/styles", _listing),
    ("/styles/{style}", _style),
    ("/styles/{style}/legend", _legend),
    ("/styles/{style}/labels", _labels),
    ("/sprites/{name}", _sprite),
    ("/fonts/{fontstack}/{range}.pbf", _font),
]

# SPDX-License-Identifier: Apache-2.0
"""`/responsible`: departments' grids, persons and phones at a point or an address, and where departments disagree."""

from __future__ import annotations

from typing import Any

import orjson

from geocloud.features.binder import Binder
from geocloud.features.literals import invalid, read_number
from geocloud.features.request import unknown_parameter
from geocloud.search import lookup_sql, read_named, read_position
from geocloud.sectors.grids.responsible import answer, responsible_sql
from geocloud.sectors.grids.responsible_process import not_found
from geocloud.sectors.grids.zones import moment_on
from geocloud.web.answer import Answer, etag_of
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["RESPONSIBLE_PARAMETERS", "ROUTES"]

RESPONSIBLE_PARAMETERS = ("lon", "lat", "q", "date")
_JSON = "application/json"
# 1e-7 degree is 1 cm; other places of the same name told beside the one taken.
_DIGITS, _OTHERS = 7, 4


async def _responsible(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    """By one statement on the grids; an address is looked up first, and searched for as the search box does."""
    known = (*RESPONSIBLE_PARAMETERS, "f", "lang")
    seen: set[str] = set()
    for name, _ in ask.pairs:
        if name not in known:
            raise unknown_parameter(name, known)
        if name in seen:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        seen.add(name)
    ask.format(("json",))
    ctx, catalogue = service.context(ask), service.catalogue
    date = ask.parameter("date")
    moment = moment_on(date)
    question = _question(ask, service)
    places: list[dict[str, Any]] = []
    if question is None:
        lon, lat = _degrees(ask, "lon", 180), _degrees(ask, "lat", 90)
    else:
        places = await _places(service, ctx.text, question)
        if not places:
            raise not_found(question)
        lon, lat = places[0]["lon"], places[0]["lat"]
    binder = Binder()
    sql = responsible_sql(catalogue, moment, lon, lat, binder)
    async with service.reader.lease() as conn:
        rows = await conn.fetch(sql, *binder.args)
    document = answer(catalogue, rows, round(lon, _DIGITS), round(lat, _DIGITS), date, ctx.text)
    document |= {"place": places[0] if places else None, "others": places[1 : 1 + _OTHERS]}
    body = orjson.dumps(document)
    return Answer(body, _JSON, headers=[said_in(ctx)], etag=etag_of(body), token=catalogue)


async def _places(service: Service, say: Any, question: str) -> list[dict[str, Any]]:
    catalogue = service.catalogue
    readings = read_position(question, service.settings.city.city_bbox, None)
    if readings:
        return [{"title": r.title, "by": "position", "lon": r.lon, "lat": r.lat} for r in readings]
    binder = Binder()
    sql = lookup_sql(catalogue, question, binder, whole=True)
    if sql is not None:
        async with service.reader.lease() as conn:
            rows = await conn.fetch(sql, *binder.args)
        named = read_named(catalogue, rows)
        if named:
            return [
                {"title": n.title, "by": n.by, "collection": n.layer, "fid": n.fid, "lon": n.lon, "lat": n.lat}
                for n in named
            ]
    found = await service.places.find(question, catalogue, limit=1 + _OTHERS)
    return [
        {
            "title": p.title, "by": "search", "subtitle": say(p.subtitle), "collection": p.collection, "fid": p.fid,
            "lon": p.position[0], "lat": p.position[1],
        }
        for p in found
    ]  # fmt: skip


def _question(ask: Ask, service: Service) -> str | None:
    text = ask.parameter("q")
    there = ask.parameter("lon") is not None or ask.parameter("lat") is not None
    if (text is None) == (not there):
        raise invalid(
            "q", "Give `lon` and `lat`, or `q`, and not both.", "请给出 lon 与 lat,或 q,二者取一。",
            "Such as /responsible?lon=115.98&lat=36.45.", "例如 /responsible?lon=115.98&lat=36.45。",
        )  # fmt: skip
    most = service.settings.web.search_chars_max
    if text is not None and (len(text) > most or not text.strip()):
        raise invalid(
            "q", f"`q` is empty or longer than {most} characters.", f"参数 q 为空,或超过 {most} 个字符。", maximum=most
        )
    return text


def _degrees(ask: Ask, name: str, most: int) -> float:
    text = ask.parameter(name)
    number: Any = None if text is None else read_number(text.strip())
    if number is None or not abs(number) <= most:
        raise invalid(
            name, f"`{name}` is not a number of degrees within ±{most}.", f"参数 {name} 不是 ±{most} 以内的度数。",
            "Write degrees of CGCS2000, such as lon=115.98 and lat=36.45.",
            "请写 CGCS2000 度数,如 lon=115.98、lat=36.45。",
        )  # fmt: skip
    return float(number)


ROUTES = [("/responsible", _responsible)]

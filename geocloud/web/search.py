# SPDX-License-Identifier: Apache-2.0
"""`/search`: places by name, pinyin, initials or code, and positions in any notation, for one search box."""

from __future__ import annotations

from typing import Any

import orjson

from geocloud.features.literals import invalid, read_number
from geocloud.features.request import unknown_parameter
from geocloud.ogc import Context, Document
from geocloud.search import Place, Reading, read_position
from geocloud.settings import WebSettings
from geocloud.web.answer import Answer, etag_of
from geocloud.web.ask import Ask
from geocloud.web.items import said_in
from geocloud.web.service import Service

__all__ = ["ROUTES", "SEARCH_PARAMETERS"]

SEARCH_PARAMETERS = ("q", "limit", "near")
_JSON = "application/json"
# 1e-7 degree is 1 cm.
_DIGITS = 7


async def _search(service: Service, ask: Ask, _params: dict[str, str]) -> Answer:
    """Readings of the question as a position first, then places, the best first."""
    _only_known(ask)
    ask.format(("json",))
    settings = service.settings
    question, limit, near = _question(ask, settings.web), _limit(ask, settings.web), _near(ask)
    ctx, catalogue = service.context(ask), service.catalogue
    readings = read_position(question, settings.city.city_bbox, near)[:limit]
    places = await service.places.find(question, catalogue, limit=limit - len(readings), near=near)
    results = [*(_of_reading(ctx, r) for r in readings), *(_of_place(ctx, p) for p in places)]
    body = orjson.dumps({"query": question, "results": results})
    return Answer(body, _JSON, headers=[said_in(ctx)], etag=etag_of(body), token=catalogue)


def _of_reading(ctx: Context, reading: Reading) -> Document:
    document: Document = {"kind": "coordinate", "title": reading.title, "subtitle": ctx.text(reading.subtitle)}
    document |= {"lon": round(reading.lon, _DIGITS), "lat": round(reading.lat, _DIGITS)}
    if reading.bbox is not None:
        document["bbox"] = list(reading.bbox)
    return document | {"crs": reading.crs, "score": round(reading.score, 4)}


def _of_place(ctx: Context, place: Place) -> Document:
    return {
        "kind": "place",
        "title": place.title,
        "subtitle": ctx.text(place.subtitle),
        "collection": place.collection,
        "fid": place.fid,
        "lon": round(place.position[0], _DIGITS),
        "lat": round(place.position[1], _DIGITS),
        "bbox": list(place.bbox),
        "score": place.score,
    }


def _only_known(ask: Ask) -> None:
    seen: set[str] = set()
    for name, _ in ask.pairs:
        if name not in (*SEARCH_PARAMETERS, "f", "lang"):
            raise unknown_parameter(name, [*SEARCH_PARAMETERS, "f", "lang"])
        if name in seen:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        seen.add(name)


def _question(ask: Ask, settings: WebSettings) -> str:
    text = ask.parameter("q")
    if text is None:
        raise invalid(
            "q", "`q` is missing.", "缺少参数 q。",
            "Give what to look for: a name, pinyin, initials, a code or a position.",
            "请给出要查找的名称、拼音、首字母、编码或坐标。",
        )  # fmt: skip
    if len(text) > settings.search_chars_max:
        most = settings.search_chars_max
        raise invalid(
            "q",
            f"`q` has {len(text)} characters, more than {most}.",
            f"参数 q 有 {len(text)} 个字符,超过上限 {most}。",
            "Ask for a shorter text.",
            "请缩短查找内容。",
            maximum=most,
        )
    return text


def _limit(ask: Ask, settings: WebSettings) -> int:
    text = ask.parameter("limit")
    if text is None:
        return min(settings.search_default, settings.search_max)
    number = int(text[:9]) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise invalid(
            "limit",
            f"`limit` is `{text[:40]}`, not a whole number of 1 or more.",
            f"参数 limit 的值“{text[:40]}”应为不小于 1 的整数。",
            minimum=1,
        )
    return min(number, settings.search_max)


def _near(ask: Ask) -> tuple[float, float] | None:
    text = ask.parameter("near")
    if text is None:
        return None
    numbers: list[Any] = [read_number(part.strip()) for part in text.split(",")]
    if len(numbers) != 2 or None in numbers or not (abs(numbers[0]) <= 180 and abs(numbers[1]) <= 90):
        raise invalid(
            "near",
            f"`near` is `{text[:60]}`, not a longitude and a latitude.",
            f"参数 near 的值“{text[:60]}”不是经度与纬度。",
            "Write it as lon,lat in degrees, such as near=115.98,36.45.",
            "请写作“经度,纬度”(度),例如 near=115.98,36.45。",
        )
    return float(numbers[0]), float(numbers[1])


ROUTES = [("/search", _search)]

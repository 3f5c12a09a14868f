# SPDX-License-Identifier: Apache-2.0
"""Finding places by name, pinyin, initials or code: the best matches of all layers, as the database has them now."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import Text
from geocloud.db.reader import Reader
from geocloud.search.codes import CodeHit, find_codes, looks_like_code
from geocloud.search.index import NameIndex
from geocloud.search.plan import NamePlan
from geocloud.search.segment import LayerIndex, Matches
from geocloud.search.stretches import stretches
from geocloud.search.text import fold

__all__ = ["Place", "Places"]

LonLat = tuple[float, float]
Box = tuple[float, float, float, float]
# Shares of a score: how well the name fits, how important its layer is, how near it lies.
_FIT, _IMPORTANCE, _NEAR = 0.7, 0.18, 0.12
# Distance at which nearness has fallen to a half, and the length of a degree of latitude.
_NEAR_KM, _KM_PER_DEGREE = 5.0, 111.32
# Rows looked up in the database beyond the limit, because some may have gone or say the same.
_SPARE = 10
# A place name this near to a place of the same name is that place.
_SAME_KM = 1.0
_PLACE_NAMES = "base.place_name"
# Fields that name the area a feature lies in, and the layer that has the names to such codes.
_AREAS = {"county_code": "base.county", "township_code": "base.township"}
_AREA_NAMES = ("county_name", "township_name")


@dataclass(frozen=True, slots=True)
class Place:
    """A place found: title, what it is and where in both languages, position and box in degrees, score 0 to 1."""

    title: str
    subtitle: Text
    collection: str
    fid: int
    position: LonLat
    bbox: Box
    score: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    layer: str
    fid: int
    score: float
    box: Box | None = None
    """Of several stretches together; of one row the database has it exactly."""


class Places:
    """The search of one web worker."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.index = NameIndex(reader)
        self._area_names: dict[str, tuple[Layer, dict[str, str]]] = {}

    async def find(self, question: str, catalogue: Catalogue, *, limit: int, near: LonLat | None = None) -> list[Place]:
        """The best `limit` places for a question; `near` (lon, lat) lifts those that lie near it."""
        words = [w for w in (fold(part) for part in question.split()) if w]
        if not words or limit < 1:
            return []
        indexes = await self.index.current(catalogue)
        found = await asyncio.to_thread(_best, indexes, words, limit + _SPARE, near)
        plans = self.index.plans(catalogue)
        async with self._reader.lease() as conn:
            text = question.strip()
            if looks_like_code(text):
                layers = [(catalogue.layers[i], plan) for i, plan in plans.items() if plan.codes]
                codes = await find_codes(conn, layers, text, limit + _SPARE)
                found = _with_codes(found, codes, plans)
            found = sorted(found, key=lambda c: -c.score)[: limit + _SPARE]
            places = await self._looked_up(conn, catalogue, plans, found)
        return _without_doubles(places)[:limit]

    async def _looked_up(
        self, conn: Any, catalogue: Catalogue, plans: dict[str, NamePlan], found: list[_Candidate]
    ) -> list[Place]:
        """Candidates as the database has them now; those it no longer has are left out."""
        places: dict[tuple[str, int], Place] = {}
        scores = {(c.layer, c.fid): c for c in found}
        for layer_id in {c.layer for c in found}:
            layer, plan = catalogue.layers[layer_id], plans[layer_id]
            areas = await self._areas(conn, catalogue, layer)
            for row in await conn.fetch(_lookup_sql(layer, plan), [c.fid for c in found if c.layer == layer_id]):
                candidate = scores[layer_id, row["fid"]]
                places[layer_id, candidate.fid] = _place(layer, plan, row, areas, candidate)
        return [place for c in found if (place := places.get((c.layer, c.fid)))]

    async def _areas(self, conn: Any, catalogue: Catalogue, layer: Layer) -> dict[str, dict[str, str]]:
        """Names by code for the fields of a layer that name an area."""
        fields = {f.name for f in layer.spec.visible_fields}
        found = {}
        for field, area_id in _AREAS.items():
            area = catalogue.layers.get(area_id)
            if field not in fields or area is None or area_id == layer.id or area.spec.access.read != "public":
                continue
            if not {"code", "name"} <= {f.name for f in area.spec.visible_fields}:
                continue
            known = self._area_names.get(area_id)
            if known is None or known[0] is not area:
                rows = await conn.fetch(f"SELECT code, name FROM {area.table} WHERE name IS NOT NULL")
                known = self._area_names[area_id] = (area, {r[0].decode(): r[1].decode() for r in rows})
            found[field] = known[1]
        return found


def _best(indexes: dict[str, LayerIndex], words: list[str], count: int, near: LonLat | None) -> list[_Candidate]:
    """The best candidates of every layer. Words typed apart are looked for together first: `古 楼` is 古楼."""
    questions = [["".join(words)]] + ([words] if len(words) > 1 else [])
    found: dict[tuple[str, int], _Candidate] = {}
    for number, question in enumerate(questions):
        for layer_id, index in indexes.items():
            for candidate in _of_layer(layer_id, index, question, count, near):
                score = candidate.score - 0.05 * number
                known = found.get((layer_id, candidate.fid))
                if known is None or known.score < score:
                    found[layer_id, candidate.fid] = replace(candidate, score=score)
    return list(found.values())


def _of_layer(
    layer_id: str, index: LayerIndex, words: list[str], count: int, near: LonLat | None
) -> Iterable[_Candidate]:
    lines = index.plan.lines
    matches = index.find(words, None if lines or near is not None else count)
    if not matches.fids.size:
        return []
    score = _FIT * matches.fit + np.float32(_IMPORTANCE * index.plan.importance)
    if near is not None:
        score = score + np.float32(_NEAR) * _nearness(matches, near)
    if lines:
        return _lines(layer_id, matches, score, count)
    best = np.argsort(-score, kind="stable") if score.size <= count else np.argpartition(-score, count)[:count]
    return [_Candidate(layer_id, int(matches.fids[i]), float(score[i])) for i in best]


def _lines(layer_id: str, matches: Matches, score: NDArray[Any], count: int) -> list[_Candidate]:
    """Stretches of one name that lie together as one candidate, with the best one first."""
    order = np.lexsort((-score, matches.names))
    names = matches.names[order]
    first = np.flatnonzero(np.concatenate([np.ones(1, bool), names[1:] != names[:-1]]))
    last = np.append(first[1:], names.size)
    candidates: list[_Candidate] = []
    for n in np.argsort(-score[order[first]], kind="stable")[:count]:
        rows = order[first[n] : last[n]]
        for together in stretches(matches.boxes[rows]):
            best = rows[together]
            box = _around(matches.boxes[best]) if best.size > 1 else None
            candidates.append(_Candidate(layer_id, int(matches.fids[best[0]]), float(score[best[0]]), box))
        if len(candidates) >= count:
            break
    return candidates[:count]


def _around(boxes: NDArray[np.float32]) -> Box:
    """The box around boxes, a metre wider so that single precision cuts nothing off."""
    west, south = boxes[:, :2].min(axis=0).tolist()
    east, north = boxes[:, 2:].max(axis=0).tolist()
    return round(west - 1e-5, 6), round(south - 1e-5, 6), round(east + 1e-5, 6), round(north + 1e-5, 6)


def _nearness(matches: Matches, near: LonLat) -> NDArray[np.float32]:
    """1 where a row's box holds the position, a half at 5 km from it, less beyond."""
    lon, lat = near
    west, south, east, north = matches.boxes.T
    across = np.maximum(np.maximum(west - lon, lon - east), 0) * math.cos(math.radians(lat))
    up = np.maximum(np.maximum(south - lat, lat - north), 0)
    nearness: NDArray[np.float32] = (1 / (1 + np.hypot(across, up) * (_KM_PER_DEGREE / _NEAR_KM))).astype(np.float32)
    return nearness


def _with_codes(found: list[_Candidate], codes: list[CodeHit], plans: dict[str, NamePlan]) -> list[_Candidate]:
    best = {(c.layer, c.fid): c for c in found}
    for hit in codes:
        score = _FIT * hit.fit + _IMPORTANCE * plans[hit.layer].importance
        known = best.get((hit.layer, hit.fid))
        if known is None or known.score < score:
            best[hit.layer, hit.fid] = _Candidate(hit.layer, hit.fid, score)
    return list(best.values())


def _lookup_sql(layer: Layer, plan: NamePlan) -> str:
    names = dict.fromkeys([*plan.names, *plan.codes, *_extra_fields(layer)])
    columns = ", ".join(f'"{name}"' for name in names)
    return (
        f"SELECT fid, {columns}, ST_X(p) AS lon, ST_Y(p) AS lat, ST_XMin(geom) AS west, ST_YMin(geom) AS south, "
        f"ST_XMax(geom) AS east, ST_YMax(geom) AS north FROM {layer.table}, "
        "LATERAL (SELECT ST_PointOnSurface(geom) AS p) place "
        "WHERE fid = ANY($1) AND geom IS NOT NULL AND NOT ST_IsEmpty(geom) "
        "AND valid_from <= clock_timestamp() AND valid_to > clock_timestamp()"
    )


def _extra_fields(layer: Layer) -> list[str]:
    fields = [f.name for f in layer.spec.visible_fields if f.type == "text"]
    wanted = {layer.spec.style.color_by, "kind", "category", "class", *_AREAS, *_AREA_NAMES}
    return [name for name in fields if name in wanted]


def _place(layer: Layer, plan: NamePlan, row: Any, areas: dict[str, dict[str, str]], found: _Candidate) -> Place:
    title = next((t for name in (*plan.names, *plan.codes) if (t := _text(row[name]))), str(row["fid"]))
    extra = _extra_fields(layer)
    zh, en = [layer.title.zh], [layer.title.en]
    if "name_en" in plan.names and (english := _text(row["name_en"])) and english != title:
        en.insert(0, english)
    for field in extra:
        codes = layer.codes.get(layer.spec.field(field).codes or "")
        words = codes.titles().get(_text(row[field])) if codes else None
        if words is not None:
            zh.append(words.zh)
            en.append(words.en)
            break
    area = next((t for name in _AREA_NAMES if name in extra and (t := _text(row[name]))), "")
    area = area or next((t for f, names in areas.items() if f in extra and (t := names.get(_text(row[f]), ""))), "")
    if area and area != title:
        zh.append(area)
        en.append(area)
    box = found.box or (row["west"], row["south"], row["east"], row["north"])
    subtitle = Text(zh=" · ".join(dict.fromkeys(zh)), en=" · ".join(dict.fromkeys(en)))
    return Place(title, subtitle, layer.id, row["fid"], (row["lon"], row["lat"]), box, round(found.score, 4))


def _without_doubles(places: list[Place]) -> list[Place]:
    """Leaves out the pointing position of a place that is found itself."""
    others = [p for p in places if p.collection != _PLACE_NAMES]
    return [p for p in places if p.collection != _PLACE_NAMES or not any(_same(p, o) for o in others)]


def _same(name: Place, other: Place) -> bool:
    (lon, lat), (west, south, east, north) = name.position, other.bbox
    if name.title != other.title:
        return False
    across = max(west - lon, lon - east, 0) * math.cos(math.radians(lat))
    return math.hypot(across, max(south - lat, lat - north, 0)) * _KM_PER_DEGREE <= _SAME_KM


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else ""

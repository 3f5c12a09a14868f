# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: what is asked, and what geocloud has to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.asks import Ask
from benchmarks.city import CAMERA, COMPONENT, PARCEL, City

__all__ = ["WORKLOADS", "Workload"]

# Distinct questions of a workload; the generator walks them over and over.
ITEMS, BOXES, PAGES = 2_000, 400, 20
EXPORT = 50_000


@dataclass(frozen=True)
class Workload:
    """`of_raw` and `of_peer` are the least ratios to reach at 16 connections; None where nothing is asked for.

    `kept`: asked of the server as it comes too, and judged there; such answers hold no features, and keeping
    them until the catalogue changes is no matter of the cache of pages.
    """

    key: str
    title: str
    asks: Callable[[City], list[Ask]]
    of_raw: float | None = None
    of_peer: float | None = None
    connections: tuple[int, ...] = (1, 16)
    kept: bool = False


def _items(city: City) -> list[Ask]:
    return [Ask("item", COMPONENT, fid=fid, limit=1) for fid in city.random_fids(COMPONENT, ITEMS)]


def _boxes(city: City) -> list[Ask]:
    return [Ask("items", COMPONENT, limit=100, bbox=box) for box in city.boxes(COMPONENT, BOXES)]


def _boxes_attribute(city: City) -> list[Ask]:
    boxes = city.boxes(COMPONENT, BOXES)
    return [Ask("items", COMPONENT, limit=100, bbox=box, equals=city.category) for box in boxes]


def _boxes_cql(city: City) -> list[Ask]:
    boxes = city.boxes(COMPONENT, BOXES)
    return [Ask("items", COMPONENT, limit=100, bbox=b, equals=city.category, like=city.text) for b in boxes]


def _polygons(city: City) -> list[Ask]:
    return [Ask("items", PARCEL, limit=100, bbox=box) for box in city.boxes(PARCEL, BOXES)]


def _deep(city: City) -> list[Ask]:
    """Pages of 100 one after another from the middle of the layer, 500,000 features deep in the full city."""
    rows = city.layers[COMPONENT].rows
    places = list(range(rows // 2, rows - 100, 100))[:PAGES]
    return [Ask("items", COMPONENT, limit=100, after=city.fid_at(COMPONENT, p), offset=p) for p in places]


def _last(city: City) -> list[Ask]:
    place = city.layers[COMPONENT].rows - 100
    return [Ask("items", COMPONENT, limit=100, after=city.fid_at(COMPONENT, place), offset=place)]


WORKLOADS: dict[str, Workload] = {
    w.key: w
    for w in (
        Workload("landing", "landing page", lambda _: [Ask("landing")], None, 2, kept=True),
        Workload("collections", "collections", lambda _: [Ask("collections")], None, 2, kept=True),
        Workload("item", "item by random id", _items, 0.5, 2),
        Workload("items10", "first page of 10", lambda _: [Ask("items", COMPONENT, limit=10)], 0.5, 2),
        Workload("items1000", "first page of 1,000", lambda _: [Ask("items", COMPONENT, limit=1000)], 0.8, 2.5),
        Workload("bbox", "2 km box, limit 100", _boxes, 0.7, 1.5),
        Workload("bboxattr", "2 km box and attribute", _boxes_attribute, 0.7, 1.5),
        Workload("bboxcql", "2 km box and CQL2", _boxes_cql, 0.7, 1.5),
        Workload("polygons", "2 km box of polygons, limit 100", _polygons),
        Workload("deep", "page at half depth", _deep, 0.5, 100),
        Workload("last", "last page", _last, 0.5, 100),
        Workload("export", "50,000 as one GeoJSON", lambda _: [Ask("items", CAMERA, limit=EXPORT)], 0.8, 2.5),
    )
}

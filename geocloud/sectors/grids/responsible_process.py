# SPDX-License-Identifier: Apache-2.0
"""The process `responsible-at` (责任人查询): departments' grids, persons and phones at a point or an address."""

from __future__ import annotations

from typing import Any

from geocloud.catalogue.spec import Text
from geocloud.errors import InvalidParameter, UnknownItem
from geocloud.features.binder import Binder
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.places import POINT_SCHEMA
from geocloud.jobs.run import Run
from geocloud.search import lookup_sql, read_named, read_position
from geocloud.sectors.grids.responsible import answer, responsible_sql
from geocloud.sectors.grids.zones import moment_on

__all__ = ["PROCESS", "not_found", "responsible_at"]

# Other places of the same name that are told beside the one taken.
_OTHERS = 4


def responsible_at(
    run: Run, lon: float | None = None, lat: float | None = None, address: str | None = None, date: str | None = None
) -> dict[str, Any]:
    """Who is responsible at a point (degrees, CGCS2000) or at an address, as of a day (its end in Beijing).

    `address` is a position in any notation, an address, a name or a code as written, or the beginning of a name; the
    first place found counts and up to four others are told. InvalidParameter where neither or both are given,
    UnknownItem where nothing is called so.
    """
    moment = moment_on(date)
    place: dict[str, Any] | None = None
    others: list[dict[str, Any]] = []
    if (lon is None) != (lat is None) or (lon is None) == (address is None):
        raise InvalidParameter(
            "Give `point`, or `address`, and not both.", "请给出 point 或 address 之一。",
            todo_en="A point is GeoJSON, longitude first.", todo_zh="点为 GeoJSON,经度在前。", parameter="point",
        )  # fmt: skip
    if address is not None:
        found = _places(run, address)
        if not found:
            raise not_found(address)
        place, others = found[0], found[1 : 1 + _OTHERS]
        lon, lat = place["lon"], place["lat"]
    assert lon is not None and lat is not None
    binder = Binder()
    rows = run.rows(responsible_sql(run.catalogue, moment, lon, lat, binder), binder)
    found_at = answer(run.catalogue, rows, lon, lat, date, lambda text: text.model_dump())
    return {**found_at, "place": place, "others": others}


def not_found(address: str) -> UnknownItem:
    """What is said of an address that nothing is called by."""
    return UnknownItem(
        f"Nothing is found by `{address[:60]}`.", f"找不到“{address[:60]}”。",
        todo_en="Give a whole address, name or code, or a position such as 115.98,36.45.",
        todo_zh="请给出完整的地址、名称或编码,或坐标,如 115.98,36.45。",
    )  # fmt: skip


def _places(run: Run, address: str) -> list[dict[str, Any]]:
    readings = read_position(address, run.settings.city.city_bbox, None)
    if readings:
        return [{"title": r.title, "by": "position", "lon": r.lon, "lat": r.lat} for r in readings]
    for whole in (True, False):
        binder = Binder()
        sql = lookup_sql(run.catalogue, address, binder, whole=whole)
        found = read_named(run.catalogue, run.rows(sql, binder)) if sql and address.strip() else []
        if found:
            return [
                {"title": n.title, "by": n.by, "collection": n.layer, "fid": n.fid, "lon": n.lon, "lat": n.lat}
                for n in found
            ]
    return []


def _run(run: Run, inputs: dict[str, Any], _wanted: frozenset[str]) -> Results:
    lon, lat = inputs["point"]["coordinates"][:2] if inputs.get("point") else (None, None)
    return {"report": responsible_at(run, lon, lat, inputs.get("address"), inputs.get("date"))}


PROCESS = Process(
    id="responsible-at",
    version="1.0.0",
    title=Text(zh="责任人查询", en="Who is responsible"),
    description=Text(
        zh="一个地点或地址归谁负责:各部门的网格、责任人和电话,以及部门之间不一致之处。",
        en="Who is responsible at a point or an address: every department's grid, person and phone, and where "
        "departments disagree.",
    ),
    inputs=(
        Input("point", Text(zh="地点", en="Point"), POINT_SCHEMA, Text(zh="GeoJSON 点", en="A GeoJSON point")),
        Input(
            "address", Text(zh="地址", en="Address"), {"type": "string", "minLength": 1, "maxLength": 200},
            Text(zh="完整的地址、名称、编码或坐标,或名称的开头",
                 en="A whole address, name, code or position, or the beginning of a name"),
        ),
        Input("date", Text(zh="日期", en="Date"), {"type": "string"},
              Text(zh="该日在用的网格", en="Grids in use on that day")),
    ),
    outputs=(
        Output(
            "report", Text(zh="责任人", en="Who is responsible"),
            schema={
                "type": "object",
                "required": ["lon", "lat", "departments", "disagreements", "community", "place", "synthetic"],
                "properties": {
                    "departments": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["layer", "title", "verdict", "grids"],
                            "properties": {"verdict": {"enum": ["one", "several", "border", "none"]}},
                        },
                    },
                    "disagreements": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["kind", "layers", "message"],
                            "properties": {"kind": {"enum": ["overlap", "gap", "community"]}},
                        },
                    },
                },
            },
        ),
    ),
    run=_run,
    keywords=("责任人", "网格员", "网格融合"),
)  # fmt: skip

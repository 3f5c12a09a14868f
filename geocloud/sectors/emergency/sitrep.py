# SPDX-License-Identifier: Apache-2.0
"""The state of an incident at a time (灾情报告): as it was believed then, so that the same time gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import shapely

from geocloud.catalogue.spec import Text
from geocloud.errors import UnknownItem
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment, read_moment
from geocloud.jobs.model import Input, Output, Process, Results
from geocloud.jobs.run import Run
from geocloud.planning.compliance import fingerprint
from geocloud.reports.outputs import DOCX, PAGE, PDF, load_writers, written
from geocloud.sectors.emergency.circle import LAYERS, RINGS_MAX, incident_circle, surroundings
from geocloud.sectors.emergency.common import (
    INCIDENTS,
    LOG,
    RADIUS_MAX_M,
    STOCK,
    STORES,
    TEAMS,
    Origin,
    Situation,
    beijing,
    code_title,
    is_empty,
    now_of,
    relation_of,
    shown,
    title_of,
    zone,
)

__all__ = ["PROCESS", "Situation", "sitrep"]

_RADII = (500.0, 1_000.0, 3_000.0)
_NEAREST = 8
_RESOURCES = 6
_RESOURCES_M = 30_000.0
_LOG_MAX = 500
_PICTURED = 400
_ROADS_MAX = 4_000
_ROADS = ("expressway", "urban_expressway", "trunk", "arterial", "secondary")
_WORDS = frozenset({"titles", "title", "state_title", "kind_title", "why", "method"})
_CASUALTIES = ("deaths", "injured", "missing", "evacuated")


def sitrep(run: Run, code: str, at: str | None = None, radii_m: Sequence[float] | None = None) -> Situation:
    """What was known of an incident at a time: an RFC 3339 instant or a day's end in Beijing, now if None.

    Everything is read as it was believed then to be then, the log up to that time too; `at` and `fingerprint` stand in
    the document, so that the report can be made again and compared. The ring of the incident's own `radius_m` is added
    to `radii_m`. UnknownItem where there was no such incident.
    """
    moment = read_moment(None, at)
    believed = moment.believed or now_of(run)
    moment = replace(moment, believed=believed)
    layer = run.catalogue.layer(INCIDENTS)
    names = [f.name for f in layer.spec.visible_fields]
    binder = Binder()
    columns = ", ".join(quote_identifier(n) for n in names)
    found = run.rows(
        f"SELECT {columns}, ST_X(geom), ST_Y(geom) FROM {relation_of(binder, layer, moment, by_place=False)} i "
        f"WHERE code = {binder.bind(code, 'text')}",
        binder,
    )
    if not found or found[0][-1] is None:
        raise UnknownItem(
            f"No incident `{code[:60]}` with a position was known at {beijing(believed)}.",
            f"{beijing(believed)} 时没有已知位置的事件 {code[:60]}。",
            todo_en=f"GET /collections/{INCIDENTS}/items lists them; `at` may lie before it was reported.",
            todo_zh=f"可在 /collections/{INCIDENTS}/items 查看;所给时间可能早于接报。",
        )  # fmt: skip
    *values, x, y = found[0]
    incident = dict(zip(names, values, strict=True))
    own = incident.get("radius_m")
    radii = sorted({*(radii_m or _RADII), *([float(own)] if own else [])})[-RINGS_MAX:]
    origin = Origin(shapely.Point(x, y))
    circle = incident_circle(run, origin, radii, LAYERS, _NEAREST, moment)
    circle.pop("zones")
    document: dict[str, Any] = {
        "kind": "sitrep",
        "format": 1,
        "at": beijing(believed),
        "incident": {
            **{k: beijing(v) if isinstance(v, datetime) else v for k, v in incident.items() if v is not None},
            "position": [x, y],
            "titles": {k: code_title(layer, k, incident.get(k), run.language) for k in ("kind", "level", "state")},
        },
        "casualties": {k: incident.get(k) for k in _CASUALTIES},
        "log": _log(run, code, believed, moment),
        "changes": _changes(run, code, believed),
        "affected": {k: v for k, v in circle.items() if k not in ("origin", "at", "synthetic")},
        "affected_radius_m": float(own) if own else None,
        "teams": _near(run, origin, TEAMS, moment),
        "stores": _with_stock(run, _near(run, origin, STORES, moment), moment),
        "synthetic": circle["synthetic"] or layer.synthetic,
    }
    document["fingerprint"] = fingerprint(_without_words(document))
    zones = tuple(zone(origin, r) for r in radii)
    return Situation(
        document, origin.shape, zones, _roads(run, zones[-1], moment), _pictured(run, origin, radii, moment)
    )


def _without_words(value: Any) -> Any:
    """A document without what is said in one language, so that both languages have one fingerprint."""
    if isinstance(value, dict):
        return {k: _without_words(v) for k, v in value.items() if k not in _WORDS}
    return [_without_words(v) for v in value] if isinstance(value, list) else value


def _log(run: Run, code: str, believed: datetime, moment: Moment) -> list[dict[str, Any]]:
    if is_empty(run, LOG, moment):
        return []
    layer = run.catalogue.layer(LOG)
    binder = Binder()
    rows = run.rows(
        f"SELECT code, at, state, text, {shown(layer, ('author', 'source'), 'l')} "
        f"FROM {relation_of(binder, layer, moment, by_place=False)} l "
        f"WHERE incident_code = {binder.bind(code, 'text')} AND at <= {binder.bind(believed, 'timestamptz')} "
        f"ORDER BY at, code LIMIT {_LOG_MAX}",
        binder,
    )
    return [
        {"code": c, "at": beijing(when), "state": s, "state_title": code_title(layer, "state", s, run.language),
         "text": text, "author": author, "source": source}
        for c, when, s, text, author, source in rows
    ]  # fmt: skip


def _changes(run: Run, code: str, believed: datetime) -> list[dict[str, Any]]:
    """When each state was entered into the system, by the versions of the feature."""
    layer = run.catalogue.layer(INCIDENTS)
    binder = Binder()
    key, until = binder.bind(code, "text"), binder.bind(believed, "timestamptz")
    rows = run.rows(
        "SELECT DISTINCT ON (sys_from) sys_from, state, level FROM ("
        f"SELECT sys_from, valid_from, state, level FROM {layer.table} WHERE code = {key} UNION ALL "
        f"SELECT sys_from, valid_from, state, level FROM {layer.history} WHERE code = {key}) v "
        f"WHERE sys_from <= {until} ORDER BY sys_from, valid_from DESC",
        binder,
    )
    out: list[dict[str, Any]] = []
    for when, state, level in rows:
        if not out or (out[-1]["state"], out[-1]["level"]) != (state, level):
            title = code_title(layer, "state", state, run.language)
            out.append({"at": beijing(when), "state": state, "state_title": title, "level": level})
    return out


def _near(run: Run, origin: Origin, layer_id: str, moment: Moment) -> list[dict[str, Any]]:
    if is_empty(run, layer_id, moment):
        return []
    layer = run.catalogue.layer(layer_id)
    found = surroundings(run, origin, layer_id, _RESOURCES_M, moment, _RESOURCES)
    return [
        {**told, "kind_title": code_title(layer, "kind", told.get("kind"), run.language), "distance_m": round(m, 2),
         "position": list(at)}
        for told, at, m in found
    ]  # fmt: skip


def _with_stock(run: Run, stores: list[dict[str, Any]], moment: Moment) -> list[dict[str, Any]]:
    if not stores or is_empty(run, STOCK, moment):
        return [{**s, "stock": []} for s in stores]
    layer = run.catalogue.layer(STOCK)
    binder = Binder()
    rows = run.rows(
        "SELECT store_code, item, quantity, unit "
        f"FROM {relation_of(binder, layer, moment, by_place=False)} k "
        f"WHERE store_code = ANY ({binder.bind([s['code'] for s in stores], 'text[]')}) ORDER BY 1, 2, 4",
        binder,
    )
    held: dict[str, list[dict[str, Any]]] = {}
    for store, item, quantity, unit in rows:
        title = code_title(layer, "item", item, run.language)
        held.setdefault(store, []).append({"item": item, "title": title, "quantity": float(quantity), "unit": unit})
    return [{**s, "stock": held.get(s["code"], [])} for s in stores]


def _roads(run: Run, within: Any, moment: Moment) -> tuple[Any, ...]:
    if is_empty(run, "base.road", moment):
        return ()
    binder = Binder()
    box = ", ".join(binder.bind(v, "float8") for v in within.buffer(0.01).bounds)
    rows = run.rows(
        f"SELECT ST_AsBinary(geom) FROM {relation_of(binder, run.catalogue.layer('base.road'), moment)} r "
        f'WHERE geom && ST_MakeEnvelope({box}, 4490) AND "class" = ANY ({binder.bind(list(_ROADS), "text[]")}) '
        f"ORDER BY fid LIMIT {_ROADS_MAX}",
        binder,
    )
    return tuple(shapely.from_wkb([bytes(r[0]) for r in rows]).tolist()) if rows else ()


def _pictured(run: Run, origin: Origin, radii: Sequence[float], moment: Moment) -> dict[str, list[Any]]:
    return {
        i: [shapely.Point(at) for _, at, _ in surroundings(run, origin, i, radii[-1], moment, _PICTURED)]
        for i in LAYERS
        if not is_empty(run, i, moment)
    }


def _run(run: Run, inputs: dict[str, Any], wanted: frozenset[str]) -> Results:
    run.progress(0.0, "读取事件与周边", "reading the incident and what is round it")
    language = inputs.get("language") or run.language
    found = sitrep(replace(run, language=language), inputs["incident"], inputs.get("at"), inputs.get("radii_m"))
    out: dict[str, Any] = {"report": found.document}
    if not wanted - {"report"}:
        return out
    from geocloud.sectors.emergency.sitrep_report import report_of

    titles = {i: title_of(run.catalogue.layers[i]) for i in LAYERS if i in run.catalogue.layers}
    report = report_of(found, titles, language)
    name = f"sitrep-{found.document['fingerprint'][:12]}"
    run.progress(0.5, "编写报告", "writing the report")
    out |= written(report, name, wanted)
    return out


def _warm(_settings: object) -> None:
    load_writers()


PROCESS = Process(
    id="sitrep",
    version="1.0.0",
    title=Text(zh="灾情报告", en="Situation report"),
    description=Text(
        zh="某事件在某一时刻的情况:状态、处置记录、影响人口与设施、周边力量与物资,附该时刻的地图;同一时刻可重复生成,指纹相同。",
        en="An incident as it was known at a time: state, log, persons and facilities affected, teams and stores near, "
        "with the map of that time; the same time gives the same report and fingerprint.",
    ),
    inputs=(
        Input("incident", Text(zh="事件编码", en="Incident code"), {"type": "string", "minLength": 1, "maxLength": 64},
              required=True),
        Input("at", Text(zh="时刻", en="At"), {"type": "string"},
              Text(zh="北京时间的日期或 RFC 3339 时刻,不填为现在",
                   en="A day in Beijing or an RFC 3339 instant; now if unset")),
        Input("radii_m", Text(zh="半径(米)", en="Radii in metres"),
              {"type": "array", "minItems": 1, "maxItems": RINGS_MAX - 1,
               "items": {"type": "number", "exclusiveMinimum": 0, "maximum": RADIUS_MAX_M}}),
        Input("language", Text(zh="语言", en="Language"), {"enum": ["zh", "en"]}),
    ),
    outputs=(
        Output("report", Text(zh="报告数据", en="Report as data")),
        PAGE,
        PDF,
        DOCX,
    ),
    run=_run,
    warm=_warm,
    keywords=("应急", "灾情", "报告"),
)  # fmt: skip

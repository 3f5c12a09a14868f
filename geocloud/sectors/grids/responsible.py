# SPDX-License-Identifier: Apache-2.0
"""Who is responsible at a point (责任人查询): every department's grid, person and phone, and where they disagree.

The question is one statement and the answer is made of its rows alone, so that a process and a request share both.
Fields that a layer hides are not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.catalogue.spec import Text
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import Moment
from geocloud.sectors.grids.zones import department_layers, key_of

__all__ = ["answer", "asked_layers", "responsible_sql"]

COMMUNITY = "base.village"
# What is told of a grid, where its layer has the field and shows it.
_TOLD = ("name", "level", "owner", "person", "phone", "responsible", "community_code", "community_name")
_NOTHING = "NULL::int, NULL::bigint, NULL::boolean, NULL::text"


def asked_layers(catalogue: Catalogue) -> list[Layer]:
    """Departments' layers of grids that have rows, or had some."""
    return [x for x in department_layers(catalogue) if x.state.row_count or x.state.dated]


def responsible_sql(catalogue: Catalogue, moment: Moment, lon: float, lat: float, binder: Binder) -> str:
    """SQL of the grids and the community at a point (degrees, CGCS2000): rows of layer number (-1: community), fid,
    whether the point is inside and not on the border, and what is told, as JSON text."""
    layers = list(enumerate(asked_layers(catalogue)))
    community = catalogue.layers.get(COMMUNITY)
    if community is not None and community.spec.access.read == "public":
        layers.append((-1, community))
    if not layers:
        # Nothing may be bound that is not asked.
        return f"SELECT {_NOTHING} WHERE false"
    point = f"ST_SetSRID(ST_Point({binder.bind(lon, 'float8')}, {binder.bind(lat, 'float8')}), 4490)"
    parts = []
    for n, layer in layers:
        visible = {f.name for f in layer.spec.visible_fields}
        key = key_of(layer)
        named = {**({"code": key} if key else {}), **{f: f for f in _TOLD if f in visible}}
        told = ", ".join(f"'{name}', {quote_identifier(f)}" for name, f in named.items())
        when = moment if layer.state.dated or layer.state.timed else Moment()
        relation = when.relation(binder, layer) or layer.table
        parts.append(
            f"SELECT {n}, fid, ST_Contains(geom, {point}), json_build_object({told})::text FROM {relation} r "
            f"WHERE ST_Dimension(geom) = 2 AND ST_Intersects(geom, {point})"
        )
    return " UNION ALL ".join(parts)


def answer(
    catalogue: Catalogue,
    rows: Iterable[Sequence[Any]],
    lon: float,
    lat: float,
    date: str | None,
    say: Callable[[Text], Any],
) -> dict[str, Any]:
    """The rows of `responsible_sql` as a document; `say` writes a text in the language asked for, or in both."""
    layers = asked_layers(catalogue)
    at: dict[int, list[dict[str, Any]]] = {}
    for n, fid, inside, told in sorted(rows, key=lambda r: (r[0], r[1])):
        grid = {"fid": fid, "on_border": not inside, **orjson.loads(told)}
        at.setdefault(n, []).append({k: v for k, v in grid.items() if v is not None})
    community = _inside(at.pop(-1, []))
    departments = [_department(layer, _inside(at.get(n, [])), say) for n, layer in enumerate(layers)]
    home = community[0] if len(community) == 1 and not community[0]["on_border"] else None
    known = {layer.id for layer in layers}
    return {
        "kind": "responsible-at",
        "lon": lon,
        "lat": lat,
        "date": date,
        "community": None if home is None else {"code": home.get("code"), "name": home.get("name")},
        "departments": departments,
        "disagreements": [{**d, "message": say(d["message"])} for d in _disagreements(layers, departments, home)],
        "empty": [layer.id for layer in department_layers(catalogue) if layer.id not in known],
        "synthetic": any(layer.synthetic for layer in layers),
    }


def _inside(grids: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that hold the point; where none does, those on whose border it lies."""
    return [g for g in grids if not g["on_border"]] or grids


def _department(layer: Layer, grids: list[dict[str, Any]], say: Callable[[Text], Any]) -> dict[str, Any]:
    if layer.spec.name == "unit_grid":
        # The first twelve digits are the community; where the field is empty they say so still.
        grids = [{"community_code": g["code"][:12], **g} if "code" in g else g for g in grids]
    border = bool(grids) and all(g["on_border"] for g in grids)
    verdict = "none" if not grids else "border" if border else "one" if len(grids) == 1 else "several"
    owners = list(dict.fromkeys(g["owner"] for g in grids if g.get("owner")))
    return {
        "layer": layer.id,
        "title": say(layer.spec.title),
        "department": owners[0] if len(owners) == 1 else None,
        "verdict": verdict,
        "grids": grids,
    }


def _disagreements(
    layers: Sequence[Layer], departments: Sequence[dict[str, Any]], home: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Overlaps of one department, gaps where others have a grid, and communities that are not the same."""
    found: list[dict[str, Any]] = []
    titles = [layer.spec.title for layer in layers]
    for title, d in zip(titles, departments, strict=True):
        if d["verdict"] == "several":
            codes = [g.get("code", str(g["fid"])) for g in d["grids"]]
            zh = f"{title.zh}在此重叠:{'、'.join(codes)}"
            message = Text(zh=zh, en=f"{title.en}: {len(codes)} grids overlap here: {', '.join(codes)}")
            found.append({"kind": "overlap", "layers": [d["layer"]], "message": message})
    missing = [(t, d) for t, d in zip(titles, departments, strict=True) if d["verdict"] == "none"]
    if missing and len(missing) < len(departments):
        zh, en = "、".join(t.zh for t, _ in missing), ", ".join(t.en for t, _ in missing)
        message = Text(zh=f"此处没有:{zh}", en=f"None here: {en}")
        found.append({"kind": "gap", "layers": [d["layer"] for _, d in missing], "message": message})
    said: dict[str, list[int]] = {}
    for n, d in enumerate(departments):
        for grid in d["grids"] if d["verdict"] in ("one", "several") else ():
            if code := grid.get("community_code"):
                said.setdefault(code, []).append(n)
    there = home.get("code") if home else None
    if len(said) > 1 or (there is not None and said and there not in said):
        order = sorted(said, key=lambda c: (c != there, c))
        zh = ";".join(f"{c}({'、'.join(dict.fromkeys(titles[n].zh for n in said[c]))})" for c in order)
        en = "; ".join(f"{c} ({', '.join(dict.fromkeys(titles[n].en for n in said[c]))})" for c in order)
        place = Text(zh=f",所在社区为 {there}", en=f"; the place is in {there}") if there else Text(zh="。", en=".")
        message = Text(zh=f"社区代码不一致:{zh}{place.zh}", en=f"Communities differ: {en}{place.en}")
        wrong = [departments[n]["layer"] for c in order if c != there for n in dict.fromkeys(said[c])]
        found.append({"kind": "community", "layers": list(dict.fromkeys(wrong)), "message": message})
    return found

# SPDX-License-Identifier: Apache-2.0
"""A place by its address, name or code as it is written, by the database alone: for whoever has no index in memory.

Unlike the search box no pinyin and no parts of names are read: an address (地址), a name or a code, whole, and where
there is none, names that begin so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from geocloud.catalogue.registry import Catalogue, Layer
from geocloud.features.binder import Binder, quote_identifier
from geocloud.search.plan import NamePlan, plan_of

__all__ = ["Named", "lookup_sql", "read_named"]

ADDRESS = "address"
# Rows looked at of each layer and field.
_MOST = 5
# The last character there is: what begins with a text lies before the text with it behind.
_LAST = "\U0010ffff"
_WORTH = {"address": 3.0, "code": 2.0, "name": 1.0}


@dataclass(frozen=True, slots=True)
class Named:
    """A feature found: what it is called, by which of address, code or name, where it is (degrees, CGCS2000)."""

    title: str
    by: str
    layer: str
    fid: int
    lon: float
    lat: float


def lookup_sql(catalogue: Catalogue, text: str, binder: Binder, *, whole: bool) -> str | None:
    """SQL of features called so: rows of layer number, `by`, fid, title, longitude, latitude. None where no layer is
    looked at. Without `whole`: names that begin so. `read_named` reads the rows."""
    # A text of the database holds no NUL.
    said = binder.bind(text.replace("\0", "").strip(), "text")
    end = "" if whole else f"{said} || {binder.bind(_LAST, 'text')}"
    parts = [
        _part(n, layer, by, field, said, end)
        for n, (layer, plan) in enumerate(_searched(catalogue))
        for by, field in _fields(layer, plan, whole=whole)
    ]
    return " UNION ALL ".join(parts) or None


def read_named(catalogue: Catalogue, rows: Iterable[Sequence[Any]]) -> list[Named]:
    """The rows of `lookup_sql`, addresses before codes before names, the more important layer first."""
    layers = _searched(catalogue)
    found = [
        (-_WORTH[_text(by)] - layers[n][1].importance, Named(_text(title), _text(by), layers[n][0].id, fid, lon, lat))
        for n, by, fid, title, lon, lat in rows
    ]
    return [named for _, named in sorted(found, key=lambda x: (x[0], x[1].layer, x[1].fid))]


def _searched(catalogue: Catalogue) -> list[tuple[Layer, NamePlan]]:
    return [(layer, plan) for layer in catalogue.layers.values() if (plan := plan_of(layer.spec)) is not None]


def _fields(layer: Layer, plan: NamePlan, *, whole: bool) -> list[tuple[str, str]]:
    """What a layer is looked at by: fields with an index, and addresses, which may have none."""
    visible = {f.name: f for f in layer.spec.visible_fields}
    names = [("name", n) for n in plan.names[:1] if visible[n].index]
    if not whole:
        return names
    address = [("address", ADDRESS)] if ADDRESS in visible and visible[ADDRESS].type == "text" else []
    return [*address, *(("code", n) for n in plan.codes), *names]


def _part(n: int, layer: Layer, by: str, field: str, said: str, end: str) -> str:
    name = quote_identifier(field)
    test = f"{name} >= {said} AND {name} < {end} AND starts_with({name}, {said})" if end else f"{name} = {said}"
    return (
        f"(SELECT {n}, '{by}'::text, fid, {name}::text, ST_X(p), ST_Y(p) FROM {layer.table}, "
        f"LATERAL (SELECT ST_PointOnSurface(geom) AS p) place WHERE {test} AND geom IS NOT NULL "
        "AND NOT ST_IsEmpty(geom) AND valid_from <= clock_timestamp() AND valid_to > clock_timestamp() "
        f"ORDER BY {name}, fid LIMIT {_MOST})"
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

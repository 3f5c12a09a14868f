# SPDX-License-Identifier: Apache-2.0
"""Stops a trail may have (线路站点): protected sites, venues and intangible heritage that have a place to go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder, quote_identifier
from geocloud.features.moment import NOW
from geocloud.jobs.run import Run
from geocloud.sectors.culture.near import VENUES, box_round

__all__ = ["INEXACT", "SITES", "THEMES", "Stop", "chosen_stops", "stops_near"]

SITES, INTANGIBLE = "facility.heritage_site", "culture.intangible_heritage"
THEMES = {"heritage": (SITES,), "venues": (VENUES,), "intangible": (INTANGIBLE,), "all": (SITES, VENUES, INTANGIBLE)}
# Codes of `position_quality` whose point stands for a township or county and is no place one can go to.
INEXACT = ("area", "none")


@dataclass(frozen=True, slots=True)
class Stop:
    """A feature that can be a stop: key, name, position (lon/lat, EPSG:4490; None without one), hours as text, whether
    it is open to the public (None where nobody said), and how its position is known."""

    layer: str
    code: str
    fid: int
    name: str
    lon: float | None
    lat: float | None
    hours: str | None
    public: bool | None
    quality: str | None
    synthetic: bool

    @property
    def approximate(self) -> bool:
        return self.quality in INEXACT


def stops_near(run: Run, theme: str, lon: float, lat: float, radius_m: float, most: int) -> list[Stop]:
    """Stops of a theme within `radius_m` (m, ellipsoid) of a place, the nearest first, at most `most` of each layer."""
    found: list[Stop] = []
    for name in _published(run, theme):
        binder = Binder()
        at = f"ST_SetSRID(ST_MakePoint({binder.bind(lon, 'float8')}, {binder.bind(lat, 'float8')}), 4490)::geography"
        metres = f"ST_Distance(s.geom::geography, {at})"
        where = f"{box_round(binder, 's.geom', lon, lat, radius_m)} AND {metres} <= {binder.bind(radius_m, 'float8')}"
        found += _read(run, name, binder, where, f"{metres}, fid LIMIT {int(most)}")
    return found


def chosen_stops(run: Run, theme: str, keys: Sequence[str]) -> list[Stop]:
    """Stops by their codes, or `layer/code` where two layers have the same; in the order asked for, each once.

    InvalidParameter for a code that no layer of the theme has, and for one that several have.
    """
    layers = _published(run, theme)
    named = [key.rpartition("/") for key in dict.fromkeys(keys)]
    found: dict[str, list[Stop]] = {}
    for name in layers:
        codes = [code for layer, _, code in named if layer in ("", name)]
        binder = Binder()
        for stop in _read(run, name, binder, f's."code" = ANY({binder.bind(codes, "text[]")})', "fid"):
            found.setdefault(stop.code, []).append(stop)
    stops = []
    for layer, _, code in named:
        these = [s for s in found.get(code, []) if layer in ("", s.layer)]
        if len(these) != 1:
            en = "several layers have it" if these else f"none of {', '.join(layers)} has it"
            zh = "多个图层都有该编码" if these else f"{'、'.join(layers)} 中没有该编码"
            raise InvalidParameter(
                f"The stop `{code[:60]}` cannot be taken: {en}.", f"无法取站点 {code[:60]}:{zh}。",
                todo_en="Give codes of features, with the layer before them where needed: facility.heritage_site/CODE.",
                todo_zh="请给出要素编码,必要时写明图层,如 facility.heritage_site/编码。", parameter="stops",
            )  # fmt: skip
        stops.append(these[0])
    return stops


def _published(run: Run, theme: str) -> list[str]:
    layers = [name for name in THEMES[theme] if name in run.catalogue.layers]
    if not layers:
        # Says which layer is missing, and what to do.
        run.catalogue.layer(THEMES[theme][0])
    return layers


def _read(run: Run, name: str, binder: Binder, where: str, order: str) -> list[Stop]:
    layer = run.catalogue.layer(name)
    fields = {f.name for f in layer.spec.visible_fields}

    def column(field: str, kind: str) -> str:
        return f"s.{quote_identifier(field)}" if field in fields else f"NULL::{kind}"

    relation = NOW.relation(binder, layer, by_place=False) or layer.table
    title = layer.spec.style.label or "name"
    rows = run.rows(
        f"SELECT s.code::text, s.fid, {column(title, 'text')}::text, ST_X(ST_PointOnSurface(s.geom)), "
        f"ST_Y(ST_PointOnSurface(s.geom)), {column('hours', 'text')}, {column('open_to_public', 'boolean')}, "
        f"{column('position_quality', 'text')} FROM {relation} s WHERE {where} ORDER BY {order}",
        binder,
    )
    return [
        Stop(name, code or str(fid), fid, title or code or str(fid), lon, lat, hours, public, quality, layer.synthetic)
        for code, fid, title, lon, lat, hours, public, quality in rows
    ]

# SPDX-License-Identifier: Apache-2.0
"""folium maps that need no network once they are made: scripts, styles and base map are written into the page.

folium by default loads Leaflet, jQuery, Bootstrap and fonts from five other hosts and tiles from a sixth. Here Leaflet
comes from the city's own host when the map is made, and a content security policy in the page keeps whatever is added
to it from asking elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import orjson
import pandas as pd
import shapely
from branca.element import Element, Figure, MacroElement
from folium.template import Template

from geocloud.errors import RequestError
from geocloud.notebook.client import Client
from geocloud.notebook.colours import Class, amounts, by_code

__all__ = ["OfflineMap", "base_layers", "draw"]

_HERE = Path(__file__).parent
# Base map: role, collection, filter. What a city does not have is left out.
_BASE = (
    ("county", "base.county", None),
    ("water", "base.water_area", None),
    ("river", "base.water_line", "class IN ('river', 'canal')"),
    ("expressway", "base.road", "class IN ('expressway', 'urban_expressway')"),
    ("trunk", "base.road", "class = 'trunk'"),
    ("road", "base.road", "class IN ('arterial', 'secondary')"),
)
_BASE_MAX = 5_000
# 3e-4 degree is 30 m, a pixel at zoom 12.
_SIMPLIFIED = 3e-4
_DIGITS = 5


class OfflineMap(folium.Map):
    """A folium map over a box (west, south, east, north in degrees) whose page holds everything it shows.

    What folium knows can be added, as long as it brings no script from elsewhere: shapes, circles, tooltips, popups and
    layer control do, font-awesome icons and most plugins do not.
    """

    default_js: list[tuple[str, str]] = []
    default_css: list[tuple[str, str]] = []

    def __init__(self, client: Client, bounds: Any, height: int = 560) -> None:
        west, south, east, north = (float(n) for n in bounds)
        super().__init__(
            location=((south + north) / 2, (west + east) / 2),
            tiles=None,
            control_scale=False,
            zoom_snap=0.25,
            zoom_delta=0.5,
            attributionControl=True,
            font_size="12px",
        )
        self._name = "OfflineMap"
        self.language = client.language
        self._base: dict[str, Any] = {}
        figure = Figure(height=f"{height}px", width="100%")
        self.add_to(figure)
        script, style = _leaflet(client)
        head = (
            f'<meta http-equiv="content-security-policy" content="{_policy()}">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{style}</style><style>{_own('page.css')}</style><script>{script}</script>"
        )
        figure.header.add_child(_Verbatim(head), name="geocloud_head")
        figure.header.add_child(_Verbatim(f"<script>{_own('page.js')}</script>"), name="geocloud_page")
        self.add_child(_Frame([[south, west], [north, east]], self._base))

    def add_base(self, role: str, shapes: dict[str, Any]) -> None:
        """A part of the base map, as `base_layers` gives it."""
        self._base[role] = shapes


class _Verbatim(Element):  # type: ignore[misc]
    """Text that goes into the page as it is: scripts hold braces that a template would read."""

    def __init__(self, text: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._text = text

    def render(self, **_kwargs: Any) -> str:
        return self._text


class _Frame(MacroElement):  # type: ignore[misc]
    """Bounds, metric scale bar, attribution and base map of a map."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        {{ this._parent.get_name() }}.attributionControl.setPrefix(false);
        L.control.scale({imperial: false, maxWidth: 120}).addTo({{ this._parent.get_name() }});
        {{ this._parent.get_name() }}.fitBounds({{ this.bounds|tojson }}, Object.assign({animate: false},
            window.innerWidth > 560
            ? {paddingTopLeft: [24, 24], paddingBottomRight: [264, 40]}
            : {paddingTopLeft: [8, 8], paddingBottomRight: [8, Math.round(window.innerHeight * .4) + 48]}));
        geocloudBase({{ this._parent.get_name() }}, {{ this.base|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, bounds: list[list[float]], base: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Frame"
        self.bounds, self.base = bounds, base


class _Card(MacroElement):  # type: ignore[misc]
    """Title, numbers, legend; and the sources in the attribution."""

    _template = Template(
        """
        {% macro html(this, kwargs) %}{{ this.card|safe }}{% endmacro %}
        {% macro script(this, kwargs) %}
        {{ this._parent.get_name() }}.attributionControl.addAttribution({{ this.credit|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, card: str, credit: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Card"
        self.card, self.credit = card, credit


def base_layers(client: Client) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts of the base map that the city has: (role, {shapes: GeoJSON, names: [lat, lon, name]}), generalised."""
    for role, collection, condition in _BASE:
        try:
            params = {"limit": _BASE_MAX, "properties": "name", "filter": condition}
            features = client.document(client.path("collections", collection, "items"), params)["features"]
        except RequestError as exc:
            if exc.context.get("status") in (400, 404):
                continue
            raise
        kept = [f for f in features if f["geometry"]]
        if not kept:
            continue
        geometry = shapely.from_geojson([orjson.dumps(f["geometry"]) for f in kept])
        # Counties share their boundaries, which must stay shared.
        coarse = (
            shapely.coverage_simplify(geometry, _SIMPLIFIED)
            if role == "county"
            else shapely.simplify(geometry, _SIMPLIFIED)
        )  # noqa: E501
        shapes = {"type": "GeometryCollection", "geometries": [_rounded(g) for g in coarse if not g.is_empty]}
        names: list[list[Any]] = []
        if role == "county":
            inside = shapely.point_on_surface(geometry)
            labels = [f["properties"]["name"] for f in kept]
            names = [[round(p.y, 4), round(p.x, 4), n] for p, n in zip(inside, labels, strict=True) if n]
        yield role, {"shapes": shapes, "names": names}


def draw(
    onto: OfflineMap,
    data: gpd.GeoDataFrame,
    column: str | None,
    title: str | None,
    own: Mapping[str, str] | None = None,
) -> None:
    """Draws a frame of `City.features` or `City.h3` (CRS84) with tooltips, legend, sources; `own` is colour by code."""
    attrs, zh = data.attrs, onto.language == "zh"
    cells = "resolution" in attrs
    column = column or ("count" if cells else None)
    colors, classes = _classes(data, column, zh, own)
    shown = data[["geometry"]].copy()
    fields = _tips(shown, data, zh)
    shown["_fill"] = colors
    shown["_id"] = [str(i) for i in data.index]
    point = len(data) > 0 and bool(data.geometry.geom_type.isin(["Point", "MultiPoint"]).all())
    if len(data):
        folium.GeoJson(
            orjson.loads(shown.to_json(drop_id=True)),
            name=title or attrs.get("title"),
            style_function=lambda f: (
                {
                    "className": "hexagon" if cells else "feature",
                    "fillColor": f["properties"]["_fill"],
                    "fillOpacity": 0.82,
                    "color": "#ffffff",
                    "weight": 0.6,
                    "opacity": 1,
                    "lineJoin": "miter",
                }
                | ({"color": f["properties"]["_fill"], "weight": 2} if _is_line(f) else {})
            ),
            highlight_function=lambda _: {"color": "#1f2a30", "weight": 2, "opacity": 1},
            tooltip=folium.GeoJsonTooltip(
                list(fields), [escape(a) for a in fields.values()], class_name="gc-tip", sticky=True
            )
            if fields
            else None,
            marker=folium.CircleMarker(radius=5, fill=True) if point else None,
            smooth_factor=0,
        ).add_to(onto)
    onto.add_child(_Card(_card(data, column, title, classes, zh), _credit(attrs, zh)))


def _classes(
    data: gpd.GeoDataFrame, column: str | None, zh: bool, own: Mapping[str, str] | None
) -> tuple[list[str], list[Class]]:
    if column is None:
        return ["#1c6e8c"] * len(data), []
    if column not in data.columns:
        raise RequestError(
            f"There is no column `{column}`; there are {', '.join(map(str, data.columns))}.",
            f"没有名为 {column} 的列;可用的列:{'、'.join(map(str, data.columns))}。",
        )
    if data[column].dtype.kind in "iuf":
        return amounts(data[column].to_numpy(dtype=float))
    titles = data.attrs.get("codes", {}).get(column, {})
    return by_code(data[column].tolist(), titles, "其他" if zh else "Other", "未填写" if zh else "Not given", own)


def _tips(shown: gpd.GeoDataFrame, data: gpd.GeoDataFrame, zh: bool) -> dict[str, str]:
    """Puts the texts of tooltips into `shown`, safe as HTML; titles by column."""
    attrs, fields = data.attrs, {}
    titles, codes, units = (attrs.get(name, {}) for name in ("fields", "codes", "units"))
    names = [n for n in data.columns if n not in ("geometry", "mix")]
    # More than a tooltip can hold is for the table.
    for name in names[:8]:
        known = codes.get(name, {})
        unit = f" {units[name]}" if name in units else ""
        texts = ["" if pd.isna(v) else _number(known.get(v, v)) + unit for v in data[name].tolist()]
        shown[f"t_{name}"] = [escape(t) for t in texts]
        label = str(titles.get(name, name))
        if name == attrs.get("code_field"):
            label = f"最多的{label}" if zh else f"Leading {label.lower()}"
        fields[f"t_{name}"] = label
    if "mix" in data.columns and attrs.get("code_field"):
        known = codes.get(attrs["code_field"], {})
        none = "未填写" if zh else "not given"
        shown["t_mix"] = [
            "<br>".join(escape(f"{known.get(c, c) or none} {n:,}") for c, n in list(m.items())[:6])
            + ("<br>…" if len(m) > 6 else "")
            for m in data["mix"]
        ]
        fields["t_mix"] = "构成" if zh else "Mix"
    return fields


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)[:200]
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _card(data: gpd.GeoDataFrame, column: str | None, title: str | None, classes: list[Class], zh: bool) -> str:
    attrs = data.attrs
    own = re.sub(r"(?:\(示例数据\)|\s*\(synthetic\))$", "", str(attrs.get("title", "")))
    parts = [f"<h1>{escape(title or own)}</h1>"]
    if title and own:
        parts.append(f'<p class="gc-sub">{escape(own)}</p>')
    if "resolution" in attrs:
        of, cells = f"{attrs['count']:,}", f"{len(data):,}"
        small = f"{cells} 个 H3 网格 · {attrs['resolution']} 级"
        if not zh:
            small = f"{cells} H3 cells · resolution {attrs['resolution']}"
        parts.append(
            f'<p class="gc-big">{of} <small>{"个" if zh else "counted"}</small></p><p class="gc-sub">{small}</p>'
        )
    else:
        parts.append(f'<p class="gc-big">{len(data):,} <small>{"个要素" if zh else "features"}</small></p>')
    if attrs.get("synthetic"):
        words = "示例数据,由程序生成" if zh else "Synthetic data, made by a program"
        parts.append(f'<p class="gc-note"><i></i>{words}</p>')
    if classes and column is not None:
        name, unit = str(attrs.get("fields", {}).get(column, column)), attrs.get("units", {}).get(column)
        if column == attrs.get("code_field"):
            name = f"最多的{name}" if zh else f"Leading {name.lower()}"
        head = f"{name}({unit})" if unit and zh else f"{name} ({unit})" if unit else name
        counted = ("网格数" if zh else "cells") if "resolution" in attrs else ("要素数" if zh else "features")
        mark = "" if "resolution" in attrs else ' class="gc-round"'
        lines = "".join(
            f'<li><i{mark} style="background:{c.color}"></i>{escape(c.label)}<b>{c.features:,}</b></li>'
            for c in classes
        )
        parts.append(
            f'<hr><h2>{escape(head)}<span style="float:right;font-weight:400;color:#5b6a72">{counted}</span></h2>'
        )
        parts.append(f"<ul>{lines}</ul>")
    return f'<section class="gc-card" aria-label="{"图例" if zh else "Legend"}">{"".join(parts)}</section>'


def _credit(attrs: dict[str, Any], zh: bool) -> str:
    """Sources, date and CRS, safe as HTML."""
    parts = []
    sources = [str(s) for s in attrs.get("sources", ())]
    if sources:
        parts.append(("来源:" if zh else "Sources: ") + ("、" if zh else ", ").join(sources))
    if attrs.get("updated"):
        date = pd.Timestamp(attrs["updated"]).tz_convert("Asia/Shanghai")
        said = f"{date.year}年{date.month}月{date.day}日" if zh else f"{date.day} {date:%B} {date.year}"
        parts.append(("数据截至 " if zh else "Data of ") + said)
    parts.append("CGCS2000(EPSG:4490)" if zh else "CGCS2000 (EPSG:4490)")
    return escape(" · ".join(parts))


def _is_line(feature: dict[str, Any]) -> bool:
    return feature["geometry"] is not None and "LineString" in feature["geometry"]["type"]


def _rounded(geometry: Any) -> Any:
    return orjson.loads(shapely.to_geojson(shapely.transform(geometry, lambda xy: xy.round(_DIGITS))))


def _policy() -> str:
    """The page may run what is written into it, and asks nobody for anything."""
    return (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    )


def _leaflet(client: Client) -> tuple[str, str]:
    """Leaflet from the city's host; pictures its style names are taken out, the page draws its own."""
    script = client.text("/static/vendor/leaflet/leaflet.js")
    style = client.text("/static/vendor/leaflet/leaflet.css")
    return script.replace("</script", "<\\/script"), re.sub(r"url\([^)]*\)", "none", style)


@cache
def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")

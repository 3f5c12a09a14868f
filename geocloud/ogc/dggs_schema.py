# SPDX-License-Identifier: Apache-2.0
"""What the figures of zones are: the `schema` of DGGS-JSON (OGC 21-038r1), with titles and units (UCUM)."""

from __future__ import annotations

from collections.abc import Sequence

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.ogc.context import Context, Document
from geocloud.overlay.measures import Measure

__all__ = ["schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(ctx: Context, layer: Layer, measures: Sequence[Measure]) -> Document:
    """A property for each list of values, in their order. Means, least and greatest are null where there are none."""
    fields = {f.name: f for f in layer.spec.queryables}
    found = {m.name: _of_field(ctx, m, fields[m.field]) if m.field else _plain(ctx, layer, m) for m in measures}
    for name in dict.fromkeys(m.field for m in measures if m.field):
        title = ctx.text(fields[name].title)
        # A share of a line or polygon is no whole number.
        found[f"without_value_{name}"] = {
            "type": _count_type(layer),
            "title": ctx.say(f"{title}无值的要素数", f"Features without a value: {title}"),
        }
    for number, entry in enumerate(found.values(), 1):
        entry["x-ogc-property-seq"] = number
    return {"$schema": _DIALECT, "title": ctx.text(layer.title), "type": "object", "properties": found}


def _plain(ctx: Context, layer: Layer, m: Measure) -> Document:
    say = ctx.say
    if m.kind == "count":
        if layer.spec.geometry == "point":
            return {"type": "integer", "title": say("网格内的点数", "Points in the zone")}
        return {
            "type": "number",
            "title": say(
                "网格内的要素数,按长度或面积的份额计", "Features in the zone, by their share of length or area"
            ),
        }
    title, unit = {
        "density": (say("每平方千米的要素数", "Features per square kilometre"), "/km2"),
        "length": (say("网格内的长度", "Length in the zone"), "m"),
        "area": (say("网格内的面积", "Area in the zone"), "m2"),
    }[m.kind]
    return {"type": "number", "title": title, **_unit(unit)}


def _of_field(ctx: Context, m: Measure, field: FieldSpec) -> Document:
    title = ctx.text(field.title)
    words = {
        "sum": ctx.say(f"{title}之和", f"Sum: {title}"),
        "mean": ctx.say(f"{title}的均值", f"Mean: {title}"),
        "min": ctx.say(f"{title}的最小值", f"Least: {title}"),
        "max": ctx.say(f"{title}的最大值", f"Greatest: {title}"),
    }
    kind: object = "number" if m.kind == "sum" else ["number", "null"]
    return {"type": kind, "title": words[m.kind], **(_unit(field.unit) if field.unit else {})}


def _unit(unit: str) -> Document:
    return {"x-ogc-unit": unit, "x-ogc-unitLang": "UCUM"}


def _count_type(layer: Layer) -> str:
    return "integer" if layer.spec.geometry == "point" else "number"

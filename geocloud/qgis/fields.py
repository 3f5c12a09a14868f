# SPDX-License-Identifier: Apache-2.0
"""Fields of a feature layer: titles, code lists as choices, constraints and units."""

from __future__ import annotations

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.qgis.draw import quoted
from geocloud.qgis.model import Request
from geocloud.qgis.xml import Element, Option, node, option_map

__all__ = ["field_settings"]

# What QGIS writes for "no value" in a list of choices.
_NULL = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"
_UNITS = {
    "m": ("米", "m"),
    "m2": ("平方米", "m²"),
    "km": ("千米", "km"),
    "km2": ("平方千米", "km²"),
    "deg": ("度", "°"),
}


def field_settings(parent: Element, request: Request, layer: Layer) -> None:
    """Form widgets, aliases and constraints of every visible field, by name."""
    fields = layer.spec.visible_fields
    required = {*layer.spec.key, *(f.name for f in fields if f.required)}
    configuration = node(parent, "fieldConfiguration")
    for f in fields:
        one = node(configuration, "field", {"name": f.name, "configurationFlags": "None"})
        kind, options = _widget(request, layer, f, f.name in required)
        option_map(node(node(one, "editWidget", {"type": kind}), "config"), options)
    aliases = node(parent, "aliases")
    for place, f in enumerate(fields):
        node(aliases, "alias", {"index": place, "field": f.name, "name": _alias(request, f)})
    constraints, expressions = node(parent, "constraints"), node(parent, "constraintExpressions")
    for f in fields:
        needed, (rule, words) = f.name in required, _rule(request, f)
        node(
            constraints, "constraint",
            {"field": f.name, "constraints": needed * 1 + bool(rule) * 4, "notnull_strength": needed * 1,
             "exp_strength": bool(rule) * 1, "unique_strength": 0},
        )  # fmt: skip
        node(expressions, "constraint", {"field": f.name, "exp": rule, "desc": words})


def _alias(request: Request, f: FieldSpec) -> str:
    title = request.text(f.title)
    if not f.unit:
        return title
    unit = request.say(*_UNITS.get(f.unit, (f.unit, f.unit)))
    return request.say(f"{title}（{unit}）", f"{title} ({unit})")


def _widget(request: Request, layer: Layer, f: FieldSpec, required: bool) -> tuple[str, dict[str, Option]]:
    listed = layer.codes.get(f.codes) if f.codes else None
    if listed is not None:
        choices: list[Option] = [] if required else [{request.say("（空）", "(empty)"): _NULL}]
        seen: set[str] = set()
        for code in listed.codes:
            title = request.text(code.title)
            # A choice is looked up by its words: two codes of one title carry their code as well.
            shown = f"{title} {code.code}" if title in seen else title
            seen.add(title)
            choices.append({shown: code.code})
        return "ValueMap", {"map": choices}
    if f.type == "boolean":
        return "CheckBox", {"CheckedState": "", "UncheckedState": "", "TextDisplayMethod": 1}
    if f.type in ("date", "datetime"):
        shown = "yyyy-MM-dd" if f.type == "date" else "yyyy-MM-dd HH:mm:ss"
        return "DateTime", {"display_format": shown, "field_format": shown, "calendar_popup": True, "allow_null": True}
    return "TextEdit", {"IsMultiline": f.type == "text" and (f.max_length or 0) >= 500, "UseHtml": False}


def _rule(request: Request, f: FieldSpec) -> tuple[str, str]:
    """A condition that the form checks, with the sentence it shows."""
    parts, words = [], []
    if f.pattern:
        parts.append(f'regexp_match("{f.name}", {quoted(f"^(?:{f.pattern})$")}) > 0')
        words.append(request.say(f"应符合 {f.pattern}", f"must match {f.pattern}"))
    if f.max_length:
        parts.append(f'length("{f.name}") <= {f.max_length}')
        words.append(request.say(f"不超过 {f.max_length} 字", f"at most {f.max_length} characters"))
    if f.minimum is not None:
        parts.append(f'"{f.name}" >= {f.minimum:g}')
        words.append(request.say(f"不小于 {f.minimum:g}", f"not below {f.minimum:g}"))
    if f.maximum is not None:
        parts.append(f'"{f.name}" <= {f.maximum:g}')
        words.append(request.say(f"不大于 {f.maximum:g}", f"not above {f.maximum:g}"))
    if not parts:
        return "", ""
    return f'"{f.name}" IS NULL OR ({" AND ".join(parts)})', request.say("；", "; ").join(words)

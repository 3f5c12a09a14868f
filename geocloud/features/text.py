# SPDX-License-Identifier: Apache-2.0
"""SQL that writes features as text: GeoJSON and CSV, in the CRS and axis order asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.features.binder import quote_identifier

__all__ = ["Output", "csv_cell", "drawn", "feature_text", "json_columns", "json_value", "separator"]

# Decimals of coordinates: 1e-9 degree is 0.1 mm, 1e-4 metre too.
_DEGREE_DIGITS, _METRE_DIGITS = 9, 4
# CGCS2000 and WGS 84 agree to the metre level: no transformation between them.
_AS_STORED = frozenset({4326, 4490})
# From here on PostgreSQL writes doubles with an exponent, which no reader takes for a whole number.
_WITH_EXPONENT = "1e15"


@dataclass(frozen=True, slots=True)
class Output:
    """How a feature is written: format, CRS by EPSG number, whether its axes are swapped, and which fields."""

    format: str = "geojson"
    srid: int = 4326
    flip: bool = False
    fields: tuple[FieldSpec, ...] = ()


def separator(output: Output) -> str:
    """SQL of what stands between two features."""
    return "E'\\r\\n'" if output.format == "csv" else "','"


def feature_text(layer: Layer, output: Output) -> str:
    """SQL of a feature's text, over a row named t."""
    names = tuple((f.name, f.type) for f in output.fields)
    return _text_of(layer.spec.geometry, names, output.format, output.srid, output.flip)


def drawn(geometry: str, srid: int, flip: bool) -> tuple[str, int]:
    """SQL of a geometry in a CRS and axis order, and the decimals of its coordinates."""
    stored = srid in _AS_STORED
    expression = geometry if stored else f"ST_Transform({geometry}, {srid:d})"
    return f"ST_FlipCoordinates({expression})" if flip else expression, _DEGREE_DIGITS if stored else _METRE_DIGITS


def json_value(column: str, kind: str) -> str:
    """SQL of a field's value as a member of row_to_json.

    A field of numbers keeps its decimal point where a value is whole (`2.0`): readers that learn a field's type from
    the first features, QGIS among them, would take it for one of whole numbers and cut off all later decimals.
    """
    if kind != "number":
        return column
    whole = f"{column} = trunc({column}) AND abs({column}) < {_WITH_EXPONENT}"
    return f"CASE WHEN {whole} THEN ({column}::text || '.0')::json ELSE to_json({column}) END"


def json_columns(fields: Iterable[tuple[str, str]], table: str) -> str:
    """SQL of the select list whose row_to_json are the properties of a feature; `fields` are names and types."""
    named = ((quote_identifier(name), kind) for name, kind in fields)
    return ", ".join(f"{json_value(f'{table}.{name}', kind)} AS {name}" for name, kind in named)


def csv_cell(column: str, kind: str) -> str:
    """SQL of a field's value as a cell of CSV, empty for null."""
    if kind == "datetime":
        return f"coalesce(to_json({column})#>>'{{}}', '')"
    if kind != "text":
        return f"coalesce({column}::text, '')"
    quoted = f"""'"' || replace({column}, '"', '""') || '"'"""
    return f"""coalesce(CASE WHEN {column} ~ '[",\\r\\n]' THEN {quoted} ELSE {column} END, '')"""


@lru_cache(maxsize=512)
def _text_of(kind: str, fields: tuple[tuple[str, str], ...], file_format: str, srid: int, flip: bool) -> str:
    """SQL of one feature's text; the same for every request of a layer in a format and CRS."""
    write = _csv if file_format == "csv" else _geojson
    return write(kind, fields, *drawn("t.geom", srid, flip))


def _geojson(kind: str, fields: tuple[tuple[str, str], ...], expression: str, digits: int) -> str:
    geometry = f"coalesce(ST_AsGeoJSON({expression}, {digits}, 0), 'null')" if kind != "none" else "'null'"
    properties = "'{}'"
    if fields:
        properties = f"(SELECT row_to_json(p)::text FROM (SELECT {json_columns(fields, 't')}) p)"
    return (
        f"""'{{"type":"Feature","id":' || t.fid || ',"geometry":' || {geometry} """
        f"""|| ',"properties":' || {properties} || '}}'"""
    )


def _csv(kind: str, fields: tuple[tuple[str, str], ...], expression: str, digits: int) -> str:
    cells = ["t.fid::text", *(csv_cell(f"t.{quote_identifier(name)}", of_kind) for name, of_kind in fields)]
    if kind == "point":
        cells += [f"coalesce(round(ST_{axis}({expression})::numeric, {digits})::text, '')" for axis in "XY"]
    elif kind != "none":
        cells.append(f"""'"' || coalesce(ST_AsText({expression}, {digits}), '') || '"'""")
    return " || ',' || ".join(cells)

# SPDX-License-Identifier: Apache-2.0
"""CQL2 filters (OGC 21-065r2) as bound SQL over one layer.

    text or JSON  --from_text, from_json-->  nodes  --compiler-->  SQL and arguments

What a client sends never becomes SQL text: operators, functions and casts come from fixed tables, columns from the
layer's definition, values are bound. A name that is hidden, not queryable or absent gets one and the same answer.

What the standard leaves to the server, here: arithmetic is done in doubles and gives null where a result does not exist
(1/0); `div` and `%` cut towards zero; a date against a timestamp is compared by the day in Beijing; text is ordered as
the database orders it; `valid_from` and `valid_to` are null where open, and greater or smaller than every instant;
INTERVAL(valid_from, valid_to) is closed like every interval of CQL2, though a row is no longer valid at `valid_to`; the
edges of a geometry literal are straight in longitude and latitude; a stored collection that mixes points, lines and
areas meets or does not meet, all other relations to it are unknown. Array and custom functions do not exist.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from geocloud.catalogue.registry import Layer
from geocloud.features.binder import Binder
from geocloud.features.cql2.compiler import Compiler
from geocloud.features.cql2.from_json import load_json, read_json
from geocloud.features.cql2.from_text import read_text
from geocloud.features.cql2.nodes import Limits, bad, check_text, too_big
from geocloud.geodesy.crs import Crs
from geocloud.settings import WebSettings

__all__ = ["CONFORMANCE", "Language", "compile_filter"]

Language = Literal["cql2-text", "cql2-json"]

# What this compiler fulfils of OGC 21-065r2. The classes of OGC 19-079r2 (filter, features-filter, queryables) are
# those of the routes that use it.
CONFORMANCE: Final[tuple[str, ...]] = tuple(
    f"http://www.opengis.net/spec/cql2/1.0/conf/{name}"
    for name in (
        "cql2-text",
        "cql2-json",
        "basic-cql2",
        "advanced-comparison-operators",
        "case-insensitive-comparison",
        "accent-insensitive-comparison",
        "basic-spatial-functions",
        "basic-spatial-functions-plus",
        "spatial-functions",
        "temporal-functions",
        "property-property",
        "arithmetic",
    )
)


def compile_filter(
    binder: Binder,
    expression: str | dict[str, Any] | bool,
    language: Language,
    layer: Layer,
    system: Crs | None,
    settings: WebSettings,
) -> str:
    """SQL of a filter over the columns of `layer`; its arguments are added to `binder`.

    `expression` is CQL2 text, or CQL2 JSON as text or already parsed. `system` is the CRS of geometry literals with
    its authority's axis order (`filter-crs`); None is CRS84, longitude first. A row belongs to the answer when the SQL
    is true for it, not when it is false or null.

    Raises InvalidParameter with `parameter="filter"` and `position` (character number, or JSON pointer) for whatever
    cannot be read, does not fit the types, names what cannot be asked for, or is over `filter_chars_max`,
    `filter_depth_max` or `filter_nodes_max`. Nothing else is raised, and SQL that was returned runs without error.
    """
    if isinstance(expression, str):
        if len(expression) > settings.filter_chars_max:
            raise too_big("filter_chars_max", settings.filter_chars_max, "")
        check_text(expression, "")
    limits = Limits(settings)
    try:
        if language == "cql2-text" and isinstance(expression, str):
            node = read_text(expression, limits)
        else:
            document = load_json(expression, settings) if isinstance(expression, str) else expression
            node = read_json(document, limits, settings.filter_chars_max)
        return Compiler(binder, layer, system, settings.filter_depth_max).condition(node)
    except RecursionError:
        raise too_big("filter_depth_max", settings.filter_depth_max, "") from None
    except OverflowError:
        raise bad("", "`filter` has too many values", "filter 中的值过多") from None

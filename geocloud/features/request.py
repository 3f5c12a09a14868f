# SPDX-License-Identifier: Apache-2.0
"""Query parameters of a request for features, as one Question (OGC API Features parts 1, 2 and 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geocloud.catalogue.registry import Layer
from geocloud.catalogue.spec import FieldSpec
from geocloud.errors import InvalidParameter
from geocloud.features.binder import Binder
from geocloud.features.cql2 import Language, compile_filter
from geocloud.features.literals import invalid, parse_date, parse_instant
from geocloud.features.moment import NOW, Moment, read_moment, together
from geocloud.features.pages import Question
from geocloud.features.params import parse_bbox, parse_simple_filters
from geocloud.features.query import PageQuery, Sort
from geocloud.features.text import Output
from geocloud.features.tokens import Position, Tokens
from geocloud.geodesy.crs import Crs, crs, parse_crs
from geocloud.settings import WebSettings

__all__ = [
    "ITEM_PARAMETERS", "PAGE_PARAMETERS", "SERVED_CRS", "Rows", "current_relation", "read_fields", "read_item",
    "read_question", "read_rows", "read_whole", "served_crs",
]  # fmt: skip

Pairs = Sequence[tuple[str, str]]

# Parameters of /items and of one item, besides `f` and `lang`, which belong to every page.
PAGE_PARAMETERS = (
    "limit", "offset", "token", "bbox", "bbox-crs", "crs", "datetime", "asof", "filter", "filter-lang", "filter-crs",
    "properties", "sortby",
)  # fmt: skip
ITEM_PARAMETERS = ("crs", "properties", "datetime", "asof")
# What `crs`, `bbox-crs` and `filter-crs` take; the first is the default.
SERVED_CRS = ("OGC:CRS84", "EPSG:4490", "EPSG:4326", "EPSG:3857", "EPSG:4526", "EPSG:4527", "EPSG:4547", "EPSG:4548")
# `cql-text` is what GDAL's OAPIF driver (to 3.12 at least) calls it; what it sends is CQL2 text.
_FILTER_LANGUAGES: dict[str, Language] = {"cql2-text": "cql2-text", "cql2-json": "cql2-json", "cql-text": "cql2-text"}
# A box of less than this share of the layer's extent is answered without asking the planner for an estimate.
_NARROW_SHARE = 0.01


def served_crs(text: str | None, parameter: str) -> Crs:
    """The CRS a parameter names; InvalidParameter when it is not one that is served."""
    if text is None:
        return crs(SERVED_CRS[0])
    found = parse_crs(text, parameter)
    if found.id not in SERVED_CRS:
        raise invalid(
            parameter,
            f"`{parameter}` names {found.id}, which is not served.",
            f"参数 {parameter} 指定的 {found.id} 不提供服务。",
            f"Allowed are: {', '.join(SERVED_CRS)}, as their URIs in the collection's `crs` list.",
            f"可用:{'、'.join(SERVED_CRS)},写法见数据集的 crs 列表。",
            allowed=list(SERVED_CRS),
        )
    return found


def read_question(pairs: Pairs, layer: Layer, file_format: str, settings: WebSettings, tokens: Tokens) -> Question:
    """A page request as a Question; InvalidParameter names the parameter that cannot be used."""
    if file_format == "html":
        # A form sends its empty fields along.
        pairs = [(k, v) for k, v in pairs if v]
    given = _known(pairs, layer, PAGE_PARAMETERS)
    most = settings.html_page_max if file_format == "html" else settings.page_max
    limit = min(read_whole(given, "limit", settings.page_default, 1, None), most)
    offset = read_whole(given, "offset", 0, 0, settings.offset_max)
    sort = _sort(given.get("sortby"), layer, settings)
    output = _output(given, layer, file_format)
    binder = Binder()
    moment, by_place = _moment(given), _by_place(given)
    branches = moment.branches(binder, layer, by_place=by_place)
    relation = together(layer, branches) if branches else moment.relation(binder, layer, by_place=by_place)
    relation_args = len(binder.args)
    clauses = []
    if "bbox" in given:
        clauses.append(parse_bbox(binder, given["bbox"], layer, served_crs(given.get("bbox-crs"), "bbox-crs")))
    elif "bbox-crs" in given:
        served_crs(given["bbox-crs"], "bbox-crs")
    clauses += parse_simple_filters(binder, [(k, v) for k, v in pairs if k in layer.spec.queryable_names], layer)
    clauses += _filter(binder, given, layer, settings)

    condition = sorted((k, v) for k, v in pairs if k in _CONDITIONS or k in layer.spec.queryable_names)
    key = hashlib.sha256(repr((condition, layer.state.epoch)).encode("utf-8", "replace")).hexdigest()[:24]
    order = f"{layer.id} {key} {given.get('sortby', '')}"
    position = None
    if "token" in given:
        if "offset" in given:
            raise invalid("offset", "`offset` and `token` exclude each other.", "参数 offset 与 token 不能同时使用。")
        position = tokens.read(given["token"], order)
    query = PageQuery(
        layer=layer,
        output=output,
        limit=limit,
        offset=offset,
        where=" AND ".join(clauses),
        args=tuple(binder.args),
        sort=sort,
        after=_typed(position, sort, layer) if position else None,
        backwards=position.backwards if position else False,
        relation=relation,
        relation_args=relation_args,
        branches=branches,
    )
    narrow = "bbox" in given and "bbox-crs" not in given and _share(given["bbox"], layer) < _NARROW_SHARE
    return Question(query, key, layer.state.version, narrow, position, order)


def read_item(pairs: Pairs, layer: Layer) -> tuple[Output, str, tuple[object, ...]]:
    """Output of a request for one feature, what it is read from, and the arguments of that."""
    given = _known(pairs, layer, ITEM_PARAMETERS, properties_too=False)
    binder = Binder()
    relation = _moment(given).relation(binder, layer)
    return _output(given, layer, "geojson"), relation, tuple(binder.args)


def current_relation(layer: Layer) -> tuple[str, tuple[object, ...]]:
    """What rows valid now are read from, and its arguments."""
    binder = Binder()
    return NOW.relation(binder, layer), tuple(binder.args)


_CONDITIONS = frozenset({"bbox", "bbox-crs", "datetime", "asof", "filter", "filter-lang", "filter-crs"})


def _by_place(given: Mapping[str, str]) -> bool:
    """Whether a place is asked about, so that an index by place and time is of use; without one it would mislead."""
    return "bbox" in given or "s_" in given.get("filter", "").lower()


def _known(pairs: Pairs, layer: Layer, parameters: Sequence[str], properties_too: bool = True) -> dict[str, str]:
    """Parameters by name, each once, none unknown, none with NUL bytes."""
    given: dict[str, str] = {}
    names = layer.spec.queryable_names if properties_too else frozenset()
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise invalid(
                name.replace("\0", ""), f"`{name!r:.60}` holds a NUL byte.", f"参数 {name!r:.60} 含有空字节。"
            )
        if name in given:
            raise invalid(name, f"`{name}` is given more than once.", f"参数 {name} 重复出现。")
        if name not in parameters and name not in ("f", "lang") and name not in names:
            raise unknown_parameter(name, [*parameters, "f", "lang", *sorted(names)])
        given[name] = value
    return given


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of a layer a question is about: what is read, the condition, and the arguments of both.

    `relation` is empty for the layer's own table, else a subquery whose arguments are the first `relation_args`.
    """

    relation: str = ""
    where: str = ""
    args: tuple[object, ...] = ()
    relation_args: int = 0

    @property
    def plain(self) -> bool:
        """Every current row of the layer's own table."""
        return not self.relation and not self.where


def read_rows(
    pairs: Pairs, layer: Layer, settings: WebSettings, others: Sequence[str] = ()
) -> tuple[Rows, dict[str, str]]:
    """The rows that `datetime`, `asof`, `filter` and `name=value` leave, and all parameters by name, `others` too.

    InvalidParameter names the parameter that cannot be used, or that nobody knows.
    """
    given = _known(pairs, layer, ("datetime", "asof", "filter", "filter-lang", "filter-crs", *others))
    binder = Binder()
    relation = _moment(given).relation(binder, layer)
    relation_args = len(binder.args)
    clauses = parse_simple_filters(binder, [(k, v) for k, v in pairs if k in layer.spec.queryable_names], layer)
    clauses += _filter(binder, given, layer, settings)
    return Rows(relation, " AND ".join(clauses), tuple(binder.args), relation_args), given


def unknown_parameter(name: str, allowed: Sequence[str]) -> InvalidParameter:
    """The answer for a parameter nobody knows (OGC 17-069r4, 7.1.4)."""
    return invalid(
        name[:100],
        f"There is no parameter `{name[:100]}`.",
        f"没有名为 {name[:100]} 的参数。",
        f"Allowed are: {', '.join(allowed)}.",
        f"可用参数:{'、'.join(allowed)}。",
        allowed=list(allowed),
    )


def read_whole(given: Mapping[str, str], name: str, default: int, least: int, most: int | None) -> int:
    """A parameter that is a whole number within limits."""
    text = given.get(name)
    if text is None:
        return default
    digits = text.isascii() and text.isdigit()
    value = int(text[:19]) if digits else -1
    if not digits or value < least or (most is not None and value > most):
        upto = f" to {most}" if most is not None else " or more"
        raise invalid(
            name,
            f"`{name}` is `{text[:40]}`, not a whole number of {least}{upto}.",
            f"参数 {name} 的值“{text[:40]}”应为不小于 {least}"
            + (f"、不大于 {most}" if most is not None else "")
            + "的整数。",
            "Follow the `next` links for deeper pages." if name == "offset" else "",
            "更深的页请沿 next 链接翻页。" if name == "offset" else "",
            minimum=least,
            maximum=most,
        )
    return value


def _output(given: dict[str, str], layer: Layer, file_format: str) -> Output:
    system = served_crs(given.get("crs"), "crs")
    return Output(
        "csv" if file_format == "csv" else "geojson",
        system.srid,
        system.swapped,
        read_fields(given.get("properties"), layer),
    )


def read_fields(text: str | None, layer: Layer) -> tuple[FieldSpec, ...]:
    """`properties=a,b`: only these, in the layer's order; empty for none (OGC 19-079r2 leaves it to the API)."""
    visible = layer.spec.visible_fields
    if text is None:
        return visible
    wanted = [n for n in text.split(",") if n]
    for name in wanted:
        if name not in {f.name for f in visible}:
            raise _no_field("properties", name, [f.name for f in visible], layer)
    return tuple(f for f in visible if f.name in wanted)


def _sort(text: str | None, layer: Layer, settings: WebSettings) -> tuple[Sort, ...]:
    """`sortby=a,-b` (`+` or nothing: ascending)."""
    if text is None:
        return ()
    sort: list[Sort] = []
    allowed = [f.name for f in layer.spec.queryables]
    for part in text.split(","):
        name = part.strip().removeprefix("+").removeprefix("-")
        if name not in allowed or name in [s.name for s in sort]:
            raise _no_field("sortby", part.strip(), allowed, layer)
        sort.append(Sort(name, part.strip().startswith("-")))
    if len(sort) > settings.sortby_max:
        raise invalid(
            "sortby",
            f"`sortby` names {len(sort)} properties, more than {settings.sortby_max}.",
            f"参数 sortby 给出 {len(sort)} 个字段,超过上限 {settings.sortby_max}。",
        )
    return tuple(sort)


def _no_field(parameter: str, name: str, allowed: list[str], layer: Layer) -> InvalidParameter:
    return invalid(
        parameter,
        f"`{parameter}` names `{name[:60]}`, which `{layer.id}` does not offer (once).",
        f"参数 {parameter} 中的“{name[:60]}”不是 {layer.id} 可用的字段,或重复出现。",
        f"Allowed are: {', '.join(allowed)}.",
        f"可用字段:{'、'.join(allowed)}。",
        allowed=allowed,
    )


def _moment(given: Mapping[str, str]) -> Moment:
    return read_moment(given.get("datetime"), given.get("asof"))


def _filter(binder: Binder, given: dict[str, str], layer: Layer, settings: WebSettings) -> list[str]:
    language = _FILTER_LANGUAGES.get(given.get("filter-lang", "cql2-text"))
    if language is None:
        raise invalid(
            "filter-lang",
            f"`filter-lang` is `{given['filter-lang'][:40]}`.",
            f"参数 filter-lang 的值“{given['filter-lang'][:40]}”不可用。",
            f"Allowed are: {', '.join(_FILTER_LANGUAGES)}.",
            f"可用:{'、'.join(_FILTER_LANGUAGES)}。",
            allowed=list(_FILTER_LANGUAGES),
        )
    system = served_crs(given.get("filter-crs"), "filter-crs")
    if "filter" not in given:
        return []
    return [compile_filter(binder, given["filter"], language, layer, system, settings)]


def _typed(position: Position, sort: tuple[Sort, ...], layer: Layer) -> tuple[object, ...] | None:
    """Values of a token in the types the database compares; dates travel as text."""
    if position.after is None:
        return None
    values = [_typed_value(v, layer.spec.field(s.name).type) for s, v in zip(sort, position.after, strict=False)]
    return (*values, position.after[-1])


def _typed_value(value: object, kind: str) -> object:
    if isinstance(value, str) and kind == "date":
        return parse_date(value)
    if isinstance(value, str) and kind == "datetime":
        return parse_instant(value.replace(" ", "T"))
    return float(value) if kind == "number" and isinstance(value, int) else value


def _share(text: str, layer: Layer) -> float:
    """The box's share of the layer's extent by degrees; 1 when it cannot be told."""
    extent = layer.state.extent
    try:
        west, south, east, north = (float(n) for n in text.split(","))
    except ValueError:
        return 1.0
    whole = (extent[2] - extent[0]) * (extent[3] - extent[1]) if extent else 0.0
    return (east - west) * (north - south) / whole if whole and east > west else 1.0

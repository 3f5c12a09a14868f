# SPDX-License-Identifier: Apache-2.0
"""`geocloud changes`: what differs in a layer between two dates, as a table of counts and areas, and as a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocloud.cli.common import language, pick, print_json, ready_database
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.catalogue.registry import Layer
    from geocloud.features.changes import ChangesQuery
    from geocloud.features.changes_read import ChangesSummary
    from geocloud.features.changes_request import ChangesQuestion

__all__ = ["command"]

_PAGE = 5_000
_SUFFIXES = (".csv", ".geojson", ".gpkg")


def command(
    layer: Annotated[str, typer.Argument(help="Layer id, such as land.parcel (图层标识).")],
    since: Annotated[str, typer.Option("--from", help="Earlier date or instant (起点日期或时刻).")],
    to: Annotated[str | None, typer.Option(help="Later date or instant; now if not given (终点,默认现在).")] = None,
    asof: Annotated[
        str | None, typer.Option(help="Compare as it was believed at this date or instant (按该时刻的记录).")
    ] = None,
    by: Annotated[
        str, typer.Option(help="valid: the city; transaction: the record (城市的变化或记录的变化).")
    ] = "valid",
    datetime: Annotated[
        str | None, typer.Option(help="With --by transaction: the valid time both beliefs are about (有效时间).")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only these in the file: added,removed,moved,reshaped,attributes (只写这些类别).")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--filter", help="CQL2 condition that either state meets (过滤条件).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write each change to a file: .csv, .geojson or .gpkg (写入文件).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")] = False,
) -> None:
    """Show what was added, removed, moved, reshaped or changed in words between two dates (两个日期之间的变化)."""
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise typer.BadParameter(f"must end in {', '.join(_SUFFIXES)}", param_hint="--out")
    settings = Settings.read()
    from geocloud.catalogue.publish import read_catalogue
    from geocloud.db.pool import connect
    from geocloud.features.changes_request import read_changes_question
    from geocloud.features.tokens import Tokens

    given = {"from": since, "to": to, "asof": asof, "by": by, "datetime": datetime, "kind": kind, "filter": where}
    with ready_database(settings, quiet=as_json) as urls:
        with connect(urls.reader, application_name="geocloud changes") as conn:
            layers = read_catalogue(conn).layers
        if layer not in layers:
            raise _unknown(layer, list(layers))
        pairs = [(k, v) for k, v in given.items() if v is not None]
        pairs += [("crs", "http://www.opengis.net/def/crs/EPSG/0/4490"), ("before", "true")] if out is not None else []
        question = read_changes_question(pairs, layers[layer], "json", settings.web, Tokens(b""))
        found, written = asyncio.run(_read(urls.reader, question, out))
    document = _document(question, found) | ({"file": str(out), "written": written} if out is not None else {})
    if as_json:
        print_json(document)
        return
    _show(question, found)
    if out is not None:
        print(pick(f"{written:,} changes written to {out}", f"已将 {written:,} 处变化写入 {out}"))


async def _read(url: str, question: ChangesQuestion, out: Path | None) -> tuple[ChangesSummary, int]:
    """The summary and, for a file, how many were written to it; both from one snapshot."""
    import asyncpg

    from geocloud.features.changes_read import summarise_changes

    conn = await asyncpg.connect(
        url, server_settings={"application_name": "geocloud changes", "statement_timeout": "0"}
    )
    try:
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            found = await summarise_changes(conn, question.query)
            written = 0 if out is None else await _write(conn, question, out)
        return found, written
    finally:
        await conn.close()


async def _texts(conn: Any, query: ChangesQuery) -> AsyncIterator[list[str]]:
    """Texts of all changes, page by page."""
    from geocloud.features.changes_read import read_changes

    part = replace(query, limit=_PAGE)
    while True:
        page = await read_changes(conn, part)
        if page.texts:
            yield [t.decode() if isinstance(t, bytes) else t for t in page.texts]
        if not page.more:
            return
        part = replace(part, after=page.last)


async def _write(conn: Any, question: ChangesQuestion, out: Path) -> int:
    """Writes beside the file first, so that a file of that name is whole or as it was."""
    query = question.query
    part = out.with_name(f".{out.name}.part{out.suffix}")
    written = 0
    try:
        if out.suffix.lower() == ".gpkg":
            written = await _geopackage(conn, query, part)
        else:
            csv = out.suffix.lower() == ".csv"
            write = _csv if csv else _geojson
            written = await write(conn, query, part)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return written


async def _csv(conn: Any, query: ChangesQuery, path: Path) -> int:
    from geocloud.features.changes import csv_names

    query = replace(query, output=replace(query.output, format="csv", flip=False))
    written = 0
    # With a mark at its beginning Excel and WPS read Chinese text right.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(",".join(csv_names(query)) + "\r\n")
        async for texts in _texts(conn, query):
            file.writelines(f"{t}\r\n" for t in texts)
            written += len(texts)
    return written


async def _geojson(conn: Any, query: ChangesQuery, path: Path) -> int:
    query = replace(query, output=replace(query.output, flip=False))
    written = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        async for texts in _texts(conn, query):
            file.write((",\n" if written else "\n") + ",\n".join(texts))
            written += len(texts)
        file.write("\n]}\n")
    return written


async def _geopackage(conn: Any, query: ChangesQuery, path: Path) -> int:
    """One layer `changes`: geometry as it is (as it was where it has gone), each field as it was and as it is."""
    import numpy as np
    import orjson
    import pyogrio.raw
    import shapely

    from geocloud.features.changes import fact_names

    query = replace(query, output=replace(query.output, flip=False))
    features: list[Any] = []
    async for texts in _texts(conn, query):
        features += [orjson.loads(t) for t in texts]
    columns: dict[str, list[Any]] = {
        "feature": [f["id"] for f in features],
        "change_kinds": [" ".join(f["properties"]["change_kinds"]) for f in features],
        "change_fields": [" ".join(f["properties"]["change_fields"]) for f in features],
    }
    kinds = {"feature": "integer"}
    for name in fact_names(query):
        columns[f"change_{name}"] = [f["properties"][f"change_{name}"] for f in features]
        kinds[f"change_{name}"] = "number"
    for field in query.output.fields:
        for end, missing in (("was", "added"), ("is", "removed")):
            column = f"{field.name}_{end}"
            columns[column] = [_value(f["properties"], field.name, end, missing) for f in features]
            kinds[column] = field.type
    data, masks = [], []
    for name, values in columns.items():
        array, mask = _array(values, kinds.get(name, "text"))
        data.append(array)
        masks.append(mask)
    drawn = query.layer.spec.geometry != "none"
    shapes = [None if f["geometry"] is None else shapely.geometry.shape(f["geometry"]) for f in features]
    flat = np.array(shapes, dtype=object) if drawn else None
    several = {g.geom_type.removeprefix("Multi") for g in shapes if g is not None}
    kind = f"Multi{several.pop()}" if len(several) == 1 else "Unknown"
    if flat is not None and kind.startswith("Multi"):
        flat = np.array([_multi(g) for g in shapes], dtype=object)
    pyogrio.raw.write(
        str(path),
        geometry=None if flat is None else shapely.to_wkb(flat),
        field_data=data,
        fields=np.array(list(columns), dtype=object),
        field_mask=masks,
        layer="changes",
        driver="GPKG",
        geometry_type=kind if drawn else None,
        crs="EPSG:4490" if drawn else None,
        promote_to_multi=False,
    )
    return len(features)


def _multi(geometry: Any) -> Any:
    import shapely

    if geometry is None or geometry.geom_type.startswith("Multi"):
        return geometry
    make = {"Point": shapely.MultiPoint, "LineString": shapely.MultiLineString, "Polygon": shapely.MultiPolygon}
    return make[geometry.geom_type]([geometry])


def _value(properties: dict[str, Any], name: str, end: str, missing: str) -> Any:
    if missing in properties["change_kinds"]:
        return None
    changed = properties["change_fields"].get(name)
    return properties[name] if changed is None else changed[end]


def _array(values: list[Any], kind: str) -> tuple[Any, Any]:
    """Values as numpy takes them, and where there are none."""
    import numpy as np

    empty = np.array([v is None for v in values], dtype=bool)
    dtype, blank = {"integer": ("int64", 0), "number": ("float64", 0.0), "boolean": ("bool", False)}.get(
        kind, ("object", None)
    )
    return np.array([blank if v is None else v for v in values], dtype=dtype), empty


def _document(question: ChangesQuestion, found: ChangesSummary) -> dict[str, Any]:
    from geocloud.ogc.changes import summary_document
    from geocloud.ogc.context import Context

    ctx = Context(_catalogue(question.query.layer), Settings.read(), "", language())
    return summary_document(ctx, question, found)


def _catalogue(layer: Layer) -> Any:
    from geocloud.catalogue.registry import Catalogue

    return Catalogue(layers={layer.id: layer})


def _show(question: ChangesQuestion, found: ChangesSummary) -> None:
    from rich.console import Console
    from rich.table import Table

    from geocloud.ogc.changes import KIND_STYLES, KIND_TITLES, changes_span
    from geocloud.reports import formats

    out, zh = Console(highlight=False, soft_wrap=True), language() == "zh"
    layer, tongue = question.query.layer, language()
    span = {k: formats.moment(v, tongue) for k, v in changes_span(question).items() if k != "by"}
    title = layer.title.zh if zh else layer.title.en
    believed = pick(f", as believed on {span['asof']}", f",按 {span['asof']} 的记录") if "asof" in span else ""
    by = "" if question.by == "valid" else pick(" (the record)", "(记录的变化)")
    out.print(f"{title}  {span['from']} → {span['to']}{believed}{by}", markup=False)
    table = Table(pick("change", "变化"), pick("features", "要素数"), box=None)
    table.columns[1].justify = "right"
    measure = next(iter(found.amounts), None)
    if measure:
        table.add_column(pick("area", "面积") if measure == "area_m2" else pick("length", "长度"), justify="right")
    gained: dict[str, float] = {}
    if measure:
        amount = found.amounts[measure]
        gained = {"added": amount.added, "removed": -amount.removed, "reshaped": amount.has - amount.was}
    for kind, words in KIND_TITLES.items():
        cells = [f"{KIND_STYLES[kind][2]} {words[0] if zh else words[1].lower()}", f"{found.kinds[kind]:,}"]
        table.add_row(*cells, *([_amount(gained[kind], measure, tongue)] if kind in gained and measure else []))
    cells = [pick("changed in all", "有变化的要素"), f"{found.changed:,}"]
    table.add_row(*cells, *([_amount(found.amounts[measure].net, measure, tongue)] if measure else []), style="bold")
    out.print(table)
    out.print(pick(f"features: {found.before:,} → {found.after:,}", f"要素总数:{found.before:,} → {found.after:,}"))
    named = [(f.title.zh if zh else f.title.en, found.fields[f.name]) for f in layer.spec.visible_fields]
    told = [f"{name} {number:,}" for name, number in named if number]
    if told:
        out.print(pick("fields: ", "改动的字段:") + pick(", ", "、").join(told), markup=False)


def _amount(number: float, measure: str, tongue: Any) -> str:
    from geocloud.reports import formats

    sign = "+" if number > 0 else "\N{MINUS SIGN}" if number < 0 else ""
    size = abs(number)
    return sign + (formats.area(size, tongue) if measure == "area_m2" else formats.length(size))


def _unknown(layer: str, known: list[str]) -> Exception:
    from difflib import get_close_matches

    from geocloud.errors import UnknownLayer

    close = get_close_matches(layer, known, n=1)
    return UnknownLayer(
        f"There is no layer {layer}.",
        f"没有图层 {layer}。",
        todo_en=f"Did you mean {close[0]}?" if close else "`geocloud layers list` lists them.",
        todo_zh=f"是否指 {close[0]}?" if close else "`geocloud layers list` 可列出全部图层。",
        layer=layer,
    )

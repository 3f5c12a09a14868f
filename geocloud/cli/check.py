# SPDX-License-Identifier: Apache-2.0
"""`geocloud check`: look at a file without any database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocloud.cli.common import language, pick, print_json
from geocloud.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from geocloud.ingest.report import Report

__all__ = ["command"]

_FIELDS_SHOWN = 40


def command(
    file: Annotated[str, typer.Argument(help="File or folder to look at (要检查的文件或目录).")],
    layer: Annotated[
        str | None,
        typer.Option(help="Check the rules of this layer as well, such as base.county (按该图层的规则检查)."),
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="Coordinate system: EPSG:4548, a URI, GCJ-02, BD-09, WKT or PROJ (坐标系).")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of text, such as GB18030 (文字编码).")] = None,
    source_layer: Annotated[
        str | None, typer.Option(help="Layer, sheet or data set within the file (文件中的图层、工作表或数据集).")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="field=column, for a column that is not recognised (字段=列名).")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="File of known boundaries or points to tell GCJ-02 and BD-09 by (用于比对的已知界线)."),
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Findings shown one by one (逐条列出的数量).")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")] = False,
) -> None:
    """Report encoding, coordinate system, fields and faults of a file (检查文件,不需要数据库)."""
    settings = Settings.read()
    from geocloud.ingest.check import check_file

    spec, codes = _layer(settings, layer) if layer else (None, {})
    checked = check_file(
        file,
        settings,
        layer=spec,
        codes=codes,
        crs=crs,
        encoding=encoding,
        source_layer=source_layer,
        columns=_columns(column or []),
        reference=_known(reference, settings) if reference else None,
    )
    if as_json:
        print_json(checked.report.as_dict() | {"would_load": checked.error is None})
    else:
        _show(checked.report, rows)
    if checked.error is not None:
        if as_json:
            # The report is the one JSON document of this command: what the error says is in it.
            raise SystemExit(checked.error.exit_code)
        raise checked.error


def _layer(settings: Settings, name: str) -> tuple[Any, Any]:
    from difflib import get_close_matches

    from geocloud.errors import UnknownLayer
    from geocloud.sectors.registry import definitions

    specs, codes = definitions(settings.city)
    if name not in specs:
        close = ", ".join(get_close_matches(name, specs, n=3)) or ", ".join(sorted(specs)[:10])
        raise UnknownLayer(
            f"There is no layer {name}.",
            f"没有图层 {name}。",
            todo_en=f"Perhaps {close}; `geocloud layers list` has them all.",
            todo_zh=f"可能是 {close};`geocloud layers list` 列出全部图层。",
        )
    return specs[name], codes


def _columns(pairs: list[str]) -> dict[str, str]:
    wrong = [p for p in pairs if "=" not in p]
    if wrong:
        raise typer.BadParameter(f"`{wrong[0]}` is not field=column", param_hint="--column")
    return dict(p.split("=", 1) for p in pairs)


def _known(path: str, settings: Settings) -> Any:
    """Geometry of a reference file in EPSG:4490."""
    import numpy as np

    from geocloud.ingest.crs_doctor import diagnose
    from geocloud.ingest.readers import open_source

    with open_source(Path(path), settings=settings.ingest) as source:
        placement = diagnose(source, settings.city.city_bbox).placement
        parts = [b.geometry for b in source.batches(settings.ingest.batch_rows) if b.geometry is not None]
    if placement is None or not parts:
        raise typer.BadParameter("has no geometry", param_hint="--reference")
    return placement.apply(np.concatenate(parts))


def _show(report: Report, rows: int) -> None:
    from rich.console import Console

    out = Console(highlight=False, soft_wrap=True)
    _facts(report, out)
    counts, listed = report.tables(language(), rows)
    if report.counts:
        out.print(counts)
    if rows and report.findings:
        out.print(listed)


def _facts(report: Report, out: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    facts, zh = report.facts, language() == "zh"
    table = Table(title=escape(report.source), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    tongue = "zh" if zh else "en"

    def add(en: str, chinese: str, value: Any) -> None:
        if value not in (None, "", {}, []):
            table.add_row(pick(en, chinese), escape(str(value)))

    add("format", "格式", " / ".join(str(v) for v in (facts["driver"], facts["source_layer"]) if v))
    add("rows", "行数", f"{facts['rows']:,}")
    add("rows that cannot be loaded", "无法入库的行", f"{facts['rows_rejected']:,}" if facts["rows_rejected"] else None)
    add("geometry", "几何", ", ".join(f"{k} {n:,}" for k, n in facts["geometry_kinds"].items()))
    text = facts["encoding"]
    if text:
        add("encoding", "编码", f"{text['name']} ({text['evidence'][tongue]})")
    crs = facts.get("crs") or {}
    if crs.get("crs"):
        turned = pick(" (axes exchanged)", "(坐标轴对调)") if crs["exchanged"] else ""
        add("coordinate system", "坐标系", f"{crs['crs']} {crs['name'][tongue]}{turned}")
    for place, one in enumerate(crs.get("guesses", []), 1):
        add(f"  {pick('guess', '可能')} {place}", f"  可能 {place}", f"{one['crs']} {one['evidence'][tongue]}")
    add("extent", "范围", facts.get("extent"))
    names = [f"{f['name']} ({f['type']})" for f in facts["fields"]]
    more = f" … +{len(names) - _FIELDS_SHOWN}" if len(names) > _FIELDS_SHOWN else ""
    add("fields", "字段", ", ".join(names[:_FIELDS_SHOWN]) + more)
    mapped = facts.get("columns")
    if mapped:
        add("columns used", "对应的列", ", ".join(f"{k} <- {v}" for k, v in mapped.items()))
    out.print(table)

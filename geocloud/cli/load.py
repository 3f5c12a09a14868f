# SPDX-License-Identifier: Apache-2.0
"""`geocloud load`: a file a bureau delivered into a layer, OpenStreetMap data, or all files of a recipe."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocloud.cli.common import console, language, pick, print_json, progress_bar, ready_database
from geocloud.cli.lean import leave_out
from geocloud.errors import GeocloudError, IngestError, UnknownLayer
from geocloud.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geocloud.catalogue.registry import Catalogue, Layer
    from geocloud.ingest.files import FileOptions
    from geocloud.ingest.load import LoadOptions, LoadResult, Progress
    from geocloud.ingest.recipe import Recipe

__all__ = ["command"]

_OSM = (".pbf", ".osm")
# Files whose columns have no nanoseconds, the one thing pyarrow needs pandas for; it takes 0.4 s to import.
_PLAIN = frozenset({".csv", ".fgb", ".geojson", ".gml", ".gpkg", ".json", ".kml", ".shp", ".tsv", ".txt", ".xlsx"})
_SHOWN_FINDINGS = 20
_FILE_WIDTH = 140
_STAGES = {"read": ("reading", "读取"), "index": ("indexing", "建立索引"), "merge": ("merging", "合并"),
           "stamp": ("stamping", "标记")}  # fmt: skip


def command(
    file: Annotated[Path | None, typer.Argument(help="File or folder to load (要入库的文件).")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to load into, theme.layer (目标图层).")] = None,
    crs: Annotated[
        str | None, typer.Option(help="Coordinate system, if the file's own is wrong: EPSG:4527, GCJ-02 … (坐标系).")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text, if wrongly told: gb18030 … (文字编码).")
    ] = None,
    source_layer: Annotated[str | None, typer.Option(help="Layer or sheet in the file (文件内图层或工作表).")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="field=column, where names do not tell; may be repeated (字段对应).")
    ] = None,
    source_title: Annotated[str | None, typer.Option(help="Who the rows come from (数据来源).")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX identifier or terms in words (许可).")] = None,
    source_url: Annotated[str | None, typer.Option(help="Where the data are published (来源网址).")] = None,
    valid_from: Annotated[
        str | None, typer.Option(help="Since when this is so in the city, Beijing time: 2024-03-01 (生效日期).")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The file is the whole layer: features it lacks are retired (全量).")
    ] = False,
    same_source: Annotated[
        bool, typer.Option("--same-source", help="With --full: only features of the same source (仅限同一来源).")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="One rejected row and nothing is loaded (严格).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change (试运行).")] = False,
    quarantine: Annotated[Path | None, typer.Option(help="GeoPackage for rejected rows (隔离文件).")] = None,
    recipe: Annotated[Path | None, typer.Option(help="Load all files of a recipe instead (入库清单).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder the recipe's files are in (清单的数据目录).")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the full report as JSON to this file (报告文件).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result and its report as JSON on stdout.")] = False,
) -> None:
    """Load a file into a layer: encoding and coordinate system found out, geometry repaired, rules checked.

    Rows that break a rule go to a quarantine GeoPackage with their reasons; the others are merged by the
    layer's key in one transaction. Loading the same file twice changes nothing. A `.osm.pbf` file goes to
    all layers of the OpenStreetMap mapping at once. Exit codes: docs/exit-codes.md.
    """

    _check_usage(file, layer, recipe, data)
    if file is not None and file.suffix.lower() in _PLAIN:
        leave_out("pandas", "geopandas")
    from geocloud.ingest.files import FileOptions
    from geocloud.ingest.recipe import read_recipe

    settings = Settings.read()
    results: list[LoadResult] = []
    with ready_database(settings, quiet=as_json) as urls:
        catalogue = _catalogue(settings, urls.owner)
        if recipe is not None and data is not None:
            city = read_recipe(recipe)
            results = _recipe(settings, urls.owner, catalogue, city, data, strict, dry_run, as_json)
        elif file is not None:
            origin = _origin(file, source_title, licence, source_url)
            options = _options(origin, full, same_source, strict, dry_run, valid_from, quarantine, column)
            if layer is None:
                results = _osm(settings, urls.owner, catalogue, file, options, quiet=as_json)
            else:
                target, reading = _layer(catalogue, layer), FileOptions(crs, encoding, source_layer)
                results = [_one(settings, urls.owner, target, file, reading, options, as_json)]
    if report is not None:
        _write_report(report, results)
    _tell(results, as_json=as_json)


def _check_usage(file: Path | None, layer: str | None, recipe: Path | None, data: Path | None) -> None:
    if (file is None) == (recipe is None):
        raise typer.BadParameter(pick("name either a file or --recipe", "请给出文件或 --recipe 其中之一"))
    if recipe is not None and data is None:
        raise typer.BadParameter(pick("--recipe needs --data", "--recipe 需要 --data"))
    if file is not None and layer is None and file.suffix.lower() not in _OSM:
        raise typer.BadParameter(pick("name the layer with --layer theme.layer", "请用 --layer 主题.图层 指定图层"))


def _catalogue(settings: Settings, url: str) -> Catalogue:
    """The published catalogue; an empty one is published from the layer folder first."""
    from geocloud.catalogue.publish import read_catalogue, sync
    from geocloud.db.pool import connect
    from geocloud.sectors.registry import definitions

    with connect(url, application_name="geocloud load") as conn:
        found = read_catalogue(conn)
        if not found.layers:
            sync(conn, *definitions(settings.city))
            found = read_catalogue(conn)
    return found


def _layer(catalogue: Catalogue, layer_id: str) -> Layer:
    from difflib import get_close_matches

    found = catalogue.layers.get(layer_id)
    if found is None:
        close = get_close_matches(layer_id, catalogue.layers, n=3) or sorted(catalogue.layers)[:3]
        raise UnknownLayer(
            f"There is no layer `{layer_id}`.",
            f"没有图层 {layer_id}。",
            todo_en=f"Did you mean {', '.join(close)}? `geocloud layers list` shows them all.",
            todo_zh=f"是否指 {'、'.join(close)}?`geocloud layers list` 列出全部图层。",
            layer=layer_id,
        )
    return found


def _origin(file: Path, title: str | None, licence: str | None, url: str | None) -> Any:
    """Where the rows come from; None when nothing was said about it."""
    from geocloud.catalogue.spec import Source, Text

    if title is None and licence is None and url is None:
        return None
    name = title or file.name
    return Source(title=Text(zh=name, en=name), licence=licence or "UNCLEAR", url=url)


def _options(
    origin: Any, full: bool, same_source: bool, strict: bool, dry_run: bool, valid_from: str | None,
    quarantine: Path | None, column: list[str] | None,
) -> LoadOptions:  # fmt: skip
    from geocloud.ingest.load import LoadOptions
    from geocloud.overlay.keep import stamp_written

    columns = {}
    for pair in column or []:
        name, sign, source = pair.partition("=")
        if not sign or not source:
            raise typer.BadParameter(pick(f"--column {pair}: write field=column", f"--column {pair}:应写作 字段=列名"))
        columns[name.strip()] = source.strip()
    return LoadOptions(
        origin=origin, full=full, full_scope="source" if same_source else "layer", strict=strict, dry_run=dry_run,
        valid_from=_instant(valid_from), quarantine=quarantine, columns=columns, written=stamp_written,
    )  # fmt: skip


def _instant(text: str | None) -> Any:
    """A date or time in Beijing as an instant."""
    if text is None:
        return None
    import pyarrow as pa

    from geocloud.rules.convert import convert

    value = convert(pa.array([text], pa.string()), "datetime").values[0].as_py()
    if value is None:
        raise typer.BadParameter(
            pick(f"--valid-from {text}: write a date such as 2024-03-01", f"--valid-from {text}:应写作 2024-03-01")
        )
    return value


@contextmanager
def _bar(title: str, quiet: bool) -> Iterator[Progress | None]:
    if quiet:
        yield None
        return
    with progress_bar() as bar:
        task = bar.add_task(title, total=None)

        def progress(stage: str, done: int, total: int | None) -> None:
            words = _STAGES.get(stage, (stage, stage))
            bar.update(task, description=f"{title}: {pick(*words)}")
            if stage == "read":
                bar.update(task, completed=done, total=total)

        yield progress


def _one(
    settings: Settings, url: str, layer: Layer, file: Path, reading: FileOptions, options: LoadOptions, quiet: bool
) -> LoadResult:
    from geocloud.ingest.files import load_file

    with _bar(layer.id, quiet) as progress:
        return load_file(url, file, layer, settings=settings, reading=reading, options=options, progress=progress)


def _osm(
    settings: Settings, url: str, catalogue: Catalogue, file: Path, options: LoadOptions, *, quiet: bool
) -> list[LoadResult]:
    from geocloud.ingest.osm import load_osm

    with _bar(file.name, quiet) as progress:
        return load_osm(url, file, catalogue, settings=settings, options=options, progress=progress)


def _recipe(
    settings: Settings, url: str, catalogue: Catalogue, recipe: Recipe, data: Path, strict: bool, dry_run: bool,
    quiet: bool,
) -> list[LoadResult]:  # fmt: skip
    from geocloud.overlay.keep import stamp_written

    missing = [one.file for one in recipe.loads if not (data / one.file).exists()]
    if missing:
        raise IngestError(
            f"{data} lacks {len(missing)} files of the recipe, the first is {missing[0]}.",
            f"{data} 中缺少清单里的 {len(missing)} 个文件,第一个是 {missing[0]}。",
            todo_en="Name the folder that holds them with --data. Nothing was loaded.",
            todo_zh="请用 --data 指定数据所在目录。未载入任何数据。",
            missing=missing,
        )
    results: list[LoadResult] = []
    for one in recipe.loads:
        options = replace(one.loading(strict=strict, dry_run=dry_run), written=stamp_written)
        if one.layer is None:
            results += _osm(settings, url, catalogue, data / one.file, options, quiet=quiet)
            continue
        layer = _layer(catalogue, one.layer)
        results.append(_one(settings, url, layer, data / one.file, one.reading(), options, quiet))
    return results


def _write_report(path: Path, results: list[LoadResult]) -> None:
    import json

    try:
        text = json.dumps([r.as_dict() for r in results], ensure_ascii=False, indent=2, default=str)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as exc:
        raise GeocloudError(f"The report {path} cannot be written: {exc}.", f"无法写入报告 {path}:{exc}。") from None


def _tell(results: list[LoadResult], *, as_json: bool) -> None:
    if as_json:
        print_json([r.as_dict() for r in results])
        return
    from rich.console import Console
    from rich.table import Table

    heads = pick(
        "layer file read new changed unchanged retired rejected version seconds",
        "图层 文件 读取 新增 变更 未变 停用 拒绝 版本 秒",
    ).split()
    table = Table(title=pick("Loaded", "入库结果"), title_justify="left")
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < 2 else "right")
    for r in results:
        numbers = (r.read, r.new, r.changed, r.unchanged, r.retired, r.rejected, r.version)
        table.add_row(r.layer, Path(r.file).name, *(f"{n:,}" for n in numbers), f"{r.seconds:.1f}")
    out = Console()
    if not out.is_terminal:
        out = Console(width=_FILE_WIDTH)
    out.print(table)
    for r in results:
        if len(results) == 1 or r.report.has_errors:
            for part in r.report.tables(language(), _SHOWN_FINDINGS):
                out.print(part)
        if r.quarantine:
            console().print(pick(f"Rejected rows are in {r.quarantine}", f"被拒的行在 {r.quarantine}"))
        if r.dry_run:
            console().print(pick("Dry run: nothing was changed.", "试运行:未作任何更改。"))

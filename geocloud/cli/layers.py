# SPDX-License-Identifier: Apache-2.0
"""`geocloud layers`: publishes layer definitions, lists and shows them, begins new ones, prints their JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from geocloud.cli.common import console, pick, print_json, ready_database
from geocloud.errors import CatalogueError, SyncRefused, UnknownLayer
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.catalogue.plan import Step
    from geocloud.catalogue.registry import Layer

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_JSON = Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")]
_ID = Annotated[str, typer.Argument(metavar="ID", help="Layer id, theme.layer (图层标识,主题.图层).")]
_ACTIONS = {
    "create": "新建",
    "add-column": "新增字段",
    "hide-column": "停发字段",
    "change-type": "修改类型",
    "change-key": "修改自然键",
    "index": "建立索引",
    "update": "更新定义",
    "retire": "停用",
    "restore": "恢复",
    "refused": "拒绝",
}
_TEMPLATE = """\
# SPDX-License-Identifier: Apache-2.0
# A layer (图层): one table, one OGC collection. `geocloud layers schema` prints the JSON Schema of this file.
id: {id}
title: {{zh: 图层名称, en: Layer title}}
description:
  zh: 一句话说明本图层是什么。
  en: One sentence on what this layer is.
# base 基础时空数据, thematic 公共专题, sensing 实时感知, web 网络抓取, local 本地特色
kind: local
# point linestring polygon, their multi- forms, geometry (mixed), none
geometry: point
# The natural key (自然键): unique among current rows; a load finds by it what is new and what has changed.
key: [code]
order: 100
# Column names in delivered files that say from when and to when a row was so (有效时间).
valid_time:
  start: [起始时间, valid_start]
  end: [终止时间, valid_end]
fields:
  - name: code
    title: {{zh: 编码, en: Code}}
    required: true
    max_length: 64
    # Column names under which bureaus deliver this field.
    aliases: [编号, BM]
  - name: name
    title: {{zh: 名称, en: Name}}
    # index: filters and sorting on this field use an index.
    index: true
    aliases: [名称, MC]
  # types: text integer number boolean date datetime
  - name: area_m2
    type: number
    title: {{zh: 面积, en: Area}}
    # unit: UCUM symbol.
    unit: m2
    minimum: 0
    aliases: [MJ]
  # More that a field may say:
  #   description: {{zh: …, en: …}}
  #   pattern: '[1-9]\\d{{5}}'      the whole text must match
  #   codes: admin_level          name of a code list in layers/codes/
  #   hidden: true                kept in the database, never served
  #   queryable: false            no filter may name it
# Attributes a tile carries from a zoom level on.
tiles:
  min_zoom: 8
  max_zoom: 16
  bands:
    - {{zoom: 8, fields: [name]}}
style:
  color: "#1c6e8c"
  label: name
access:
  # public, or internal: for the commands of this machine alone, over HTTP there is no such layer
  read: public
"""


@app.callback()
def _layers() -> None:
    """Layer definitions and what is published of them (图层定义与发布)."""


@app.command()
def sync(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the steps and take none (只显示步骤).")] = False,
    as_json: _JSON = False,
) -> None:
    """Publish the definitions: make, migrate, retire and restore layers, all in one transaction."""
    settings = Settings.read()
    from geocloud.catalogue import publish
    from geocloud.db.pool import connect
    from geocloud.sectors.registry import definitions

    layers, codes = definitions(settings.city)
    with (
        ready_database(settings, quiet=as_json) as urls,
        connect(urls.owner, application_name="geocloud layers") as conn,
    ):
        plan = publish.plan_sync(conn, layers)
        conn.rollback()
        refused = any(s.action == "refused" for s in plan)
        if not dry_run and not refused:
            plan = publish.sync(conn, layers, codes)
    told = [{"layer": s.layer, "action": s.action, "en": s.en, "zh": s.zh} for s in plan]
    if as_json and not refused:
        print_json({"dry_run": dry_run, "layers": len(layers), "steps": told})
    elif plan and not as_json:
        _show_plan(plan)
    elif not as_json:
        print(pick(f"Nothing to do: {len(layers)} layers are published.", f"无需更改:已发布 {len(layers)} 个图层。"))
    if refused:
        raise SyncRefused(
            "The definitions ask for changes that would lose data.",
            "图层定义要求的更改会丢失数据。",
            todo_en="Give the field a new name, or migrate the values with SQL first. Nothing was changed.",
            todo_zh="请改用新的字段名,或先用 SQL 迁移数据。未作任何更改。",
            steps=told,
        )


def _show_plan(plan: Sequence[Step]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(pick("layer", "图层"), pick("step", "步骤"), pick("what", "内容"), box=None)
    for s in plan:
        style = "red" if s.action == "refused" else None
        table.add_row(s.layer, pick(s.action, _ACTIONS[s.action]), pick(s.en, s.zh), style=style)
    Console(highlight=False).print(table)


def _reads(layer: Layer) -> str:
    return pick("anybody", "公开") if layer.public else pick("internal", "内部")


@app.command("list")
def list_layers(as_json: _JSON = False) -> None:
    """List the published layers with their rows."""
    from geocloud.catalogue.publish import read_catalogue
    from geocloud.db.pool import connect

    with (
        ready_database(Settings.read(), quiet=as_json) as urls,
        connect(urls.reader, application_name="geocloud layers") as conn,
    ):
        catalogue = read_catalogue(conn)
    if as_json:
        print_json(
            [
                {
                    "id": x.id,
                    "title": x.title.model_dump(),
                    "geometry": x.spec.geometry,
                    "read": x.spec.access.read,
                    "rows": x.state.row_count,
                    "version": x.state.version,
                    "extent": x.state.extent,
                    "last_write": x.state.stamp,
                    "synthetic": x.synthetic,
                    "sources": [s.model_dump() for s in x.sources],
                }
                for x in catalogue.layers.values()
            ]
        )
        return
    from rich.console import Console
    from rich.table import Table

    heads = (
        ("id", "标识"), ("title", "名称"), ("geometry", "几何类型"), ("read", "可读"), ("rows", "行数"),
        ("last write", "最近写入"),
    )  # fmt: skip
    table = Table(*(pick(*h) for h in heads), box=None)
    table.columns[4].justify = "right"
    for x in catalogue.layers.values():
        when = x.state.stamp.strftime("%Y-%m-%d %H:%M UTC") if x.state.stamp else ""
        table.add_row(x.id, pick(x.title.en, x.title.zh), x.spec.geometry, _reads(x), f"{x.state.row_count:,}", when)
    if catalogue.layers:
        Console(highlight=False).print(table)
    else:
        print(
            pick(
                "No layer is published; `geocloud layers sync` does it.", "尚未发布图层;请运行 `geocloud layers sync`。"
            )
        )


@app.command()
def show(layer_id: _ID, as_json: _JSON = False) -> None:
    """Show one definition: fields, types, code lists and the column names they are delivered under."""
    settings = Settings.read()
    from geocloud.sectors.registry import definitions

    layers, codes = definitions(settings.city)
    if layer_id not in layers:
        from difflib import get_close_matches

        close = get_close_matches(layer_id, layers, n=1)
        raise UnknownLayer(
            f"There is no definition of `{layer_id}` in {settings.city.layers_folder}.",
            f"{settings.city.layers_folder} 中没有图层 {layer_id} 的定义。",
            todo_en=f"Did you mean {close[0]}?" if close else "`geocloud layers list` lists them.",
            todo_zh=f"是否指 {close[0]}?" if close else "`geocloud layers list` 可列出全部图层。",
            layer=layer_id,
        )
    spec = layers[layer_id]
    if as_json:
        used = {f.codes for f in spec.fields if f.codes}
        print_json(
            {
                "definition": spec.model_dump(mode="json"),
                "codes": {n: c.model_dump(mode="json") for n, c in codes.items() if n in used},
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    out.print(f"[bold]{spec.id}[/]  {pick(spec.title.en, spec.title.zh)}")
    out.print(pick(spec.description.en, spec.description.zh))
    out.print(
        pick(
            f"geometry {spec.geometry}, key {', '.join(spec.key)}", f"几何 {spec.geometry},自然键 {', '.join(spec.key)}"
        )
    )
    heads = (("field", "字段"), ("title", "名称"), ("type", "类型"), ("rules", "规则"), ("delivered as", "交付列名"))
    table = Table(*(pick(*h) for h in heads), box=None)
    for f in spec.fields:
        rules = [pick("required", "必填")] if f.required else []
        rules += [f.pattern] if f.pattern else []
        rules += [f"{pick('codes', '代码表')} {f.codes}"] if f.codes else []
        rules += [pick("hidden", "不发布")] if f.hidden else []
        kind = f.type + (f" {f.unit}" if f.unit else "")
        table.add_row(
            f.name, pick(f.title.en, f.title.zh), kind, _plain(", ".join(rules)), _plain(", ".join(f.aliases[:8]))
        )
    out.print(table)


def _plain(text: str) -> str:
    """Text that rich must not read as markup."""
    from rich.markup import escape

    return escape(text)


@app.command()
def new(layer_id: _ID) -> None:
    """Begin a definition: writes <theme>/<layer>.yaml with every choice explained."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}\.[a-z][a-z0-9_]{0,47}", layer_id):
        raise CatalogueError(
            f"`{layer_id}` is no layer id.",
            f"{layer_id} 不是图层标识。",
            todo_en="Write theme.layer in small Latin letters, digits and underscores, such as culture.library.",
            todo_zh="请写成 主题.图层,用小写字母、数字和下划线,例如 culture.library。",
        )
    folder = Settings.read().city.layers_folder
    theme, name = layer_id.split(".")
    path = folder / theme / f"{name}.yaml"
    _check(layer_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(id=layer_id))
    except FileExistsError:
        raise CatalogueError(
            f"{path} exists already.",
            f"{path} 已存在。",
            todo_en="Edit it, or choose another id.",
            todo_zh="请直接编辑,或换一个标识。",
        ) from None
    print(path)
    console().print(
        pick(
            "Edit it, then `geocloud layers sync --dry-run`.", "编辑后运行 `geocloud layers sync --dry-run` 查看步骤。"
        )
    )


def _check(layer_id: str) -> None:
    """Raises CatalogueError when the template would not be a definition under this id."""
    import yaml
    from pydantic import ValidationError

    from geocloud.catalogue.spec import LayerSpec

    try:
        LayerSpec.model_validate(yaml.safe_load(_TEMPLATE.format(id=layer_id)))
    except ValidationError as exc:
        said = exc.errors()[0]["msg"]
        raise CatalogueError(f"`{layer_id}` cannot be used: {said}.", f"{layer_id} 不可用:{said}。") from None


@app.command()
def schema() -> None:
    """Print the JSON Schema of a layer file, for editors."""
    from geocloud.catalogue.spec import json_schema

    print(json.dumps(json_schema(), ensure_ascii=False, indent=2))

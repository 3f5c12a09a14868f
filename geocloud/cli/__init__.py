# SPDX-License-Identifier: Apache-2.0
"""The command line: a table of commands, each in its own file, imported when it is used.

A command's module has `app` (a typer.Typer) or `command` (a function). What it raises becomes one sentence on
stderr, in the language of LANG or GEOCLOUD_LANGUAGE, and the exit code of docs/exit-codes.md; with `--json` the
error is also a JSON object on stdout.
"""

from __future__ import annotations

import sys
from importlib import import_module

from geocloud import __version__
from geocloud.cli.common import language
from geocloud.cli.failure import report

__all__ = ["COMMANDS", "main"]

# name: English, Chinese; the module is geocloud.cli.<name>.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("Bring everything up: database, layers, demo city, web server", "一键启动:数据库、图层、示例城市、网站"),
    "stop": ("Stop the web server and the private database", "停止网站与私有数据库"),
    "serve": ("Serve a database that is already prepared", "为已就绪的数据库提供服务"),
    "load": ("Load a file into a layer", "把文件导入图层"),
    "check": ("Check a file without any database", "不连数据库检查文件"),
    "changes": ("Show what differs in a layer between two dates", "查看图层在两个日期之间的变化"),
    "restore": ("Bring features or a layer back to an earlier state", "把要素或图层恢复到以前的状态"),
    "layers": ("Publish, list, show and make layer definitions", "发布、列出、查看、新建图层定义"),
    "demo": ("Fill the database with the synthetic demo city", "用合成的示例城市填充数据库"),
    "keys": ("Make, list and revoke keys for editing over HTTP", "生成、列出、吊销在线编辑的密钥"),
    "plans": ("Check, compare and use plans", "规划的检查、比对与应用"),
    "grids": ("Check and make unit grids, and read grid codes", "单元网格的检查与划分,网格编码的换算"),
    "network": ("Make the road graph", "生成路网"),
    "process": ("List, show and run processes", "列出、查看、运行处理"),
    "sector": ("List sectors and begin one of your own", "列出行业模块、新建模块"),
    "jobs": ("List, show and call off jobs", "列出、查看、取消作业"),
    "worker": ("Work on jobs of the queue", "执行排队的作业"),
    "sensing": ("Register devices; load and look over readings", "登记设备,导入与检查读数"),
    "stamps": ("Show and renew in which district and grid features lie", "查看、更新要素所在区划与网格的标记"),
    "tiles": ("Make and renew archives of vector tiles", "生成、更新矢量瓦片档案"),
    "ogc": ("Write the pygeoapi configuration of the catalogue", "按目录生成 pygeoapi 配置"),
    "doctor": ("Check the machine, the packages, the database and the catalogue", "检查本机、软件包、数据库与目录"),
}


def main(argv: list[str] | None = None) -> None:
    """Entry point of `geocloud`; ends the process with an exit code."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help", "help"):
        _help()
        raise SystemExit(0 if args else 2)
    if args[0] in ("-V", "--version"):
        print(f"geocloud {__version__}")
        raise SystemExit(0)
    name, rest = args[0], args[1:]
    if name not in COMMANDS:
        _unknown(name)
    try:
        _run(name, rest)
    except Exception as exc:
        raise SystemExit(report(exc, as_json="--json" in rest)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _run(name: str, args: list[str]) -> None:
    import typer

    module = import_module(f"geocloud.cli.{name}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name)(module.command)
    typer.main.get_command(app)(args=args, prog_name=f"geocloud {name}")


def _help() -> None:
    zh = language() == "zh"
    print("用法:geocloud 命令 [选项]" if zh else "Usage: geocloud COMMAND [OPTIONS]")
    print()
    for name, texts in COMMANDS.items():
        print(f"  {name:<8}{texts[zh]}")
    print()
    print("各命令的选项:geocloud 命令 --help" if zh else "Options of a command: geocloud COMMAND --help")


def _unknown(name: str) -> None:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1)
    if language() == "zh":
        hint = f"是否想用 {close[0]}?" if close else "`geocloud --help` 列出全部命令。"
        print(f"没有命令 {name}。{hint}", file=sys.stderr)
    else:
        hint = f"Did you mean {close[0]}?" if close else "`geocloud --help` lists them all."
        print(f"There is no command {name}. {hint}", file=sys.stderr)
    raise SystemExit(2)

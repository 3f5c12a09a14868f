# SPDX-License-Identifier: Apache-2.0
"""`geocloud process`: processes listed, shown and run, at once and without the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from geocloud.cli.common import console, language, pick, print_json, ready_database
from geocloud.errors import InvalidBody
from geocloud.settings import Settings

if TYPE_CHECKING:
    from geocloud.jobs.model import Process

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _process() -> None:
    """Processes (处理): calculations on the city's layers."""


@app.command("list")
def _list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the processes."""
    from geocloud.sectors.registry import processes

    found = processes().values()
    if as_json:
        print_json([{"id": p.id, "version": p.version, "title": p.title.model_dump()} for p in found])
        return
    for p in found:
        print(f"{p.id:<20}{pick(p.title.en, p.title.zh)}")


@app.command("show")
def _show(process: Annotated[str, typer.Argument(help="Id of the process (处理标识).")]) -> None:
    """Show what a process takes and gives, as JSON."""
    from geocloud.sectors.registry import find

    p = find(process)
    print_json(
        {
            "id": p.id, "version": p.version, "title": p.title.model_dump(), "description": p.description.model_dump(),
            "inputs": {
                i.name: {"title": i.title.model_dump(), "required": i.required, "schema": i.schema} for i in p.inputs
            },
            "outputs": {o.name: {"title": o.title.model_dump(), "mediaType": o.media_type} for o in p.outputs},
        }
    )  # fmt: skip


@app.command("run")
def _run(
    process: Annotated[str, typer.Argument(help="Id of the process (处理标识).")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="name=value; a value that is JSON is read as such; name=@file reads a JSON file (输入)."),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="Output wanted; may be repeated; JSON if unset (输出)."),
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where files go (文件存放处).")] = Path(),
) -> None:
    """Run a process here and now; JSON goes to stdout, files go to a folder."""
    from geocloud.jobs.inputs import read_inputs
    from geocloud.jobs.model import Blob
    from geocloud.jobs.run import run_process
    from geocloud.sectors.registry import find

    p = find(process)
    given = read_inputs(p, dict(_pair(one) for one in inputs or ()))
    wanted = _wanted(p, output)
    settings = Settings.read()
    out = console()

    def progress(share: float, zh: str, en: str) -> None:
        out.print(f"{share * 100:3.0f} %  {pick(en, zh)}")

    with ready_database(settings, quiet=True) as urls:
        results = run_process(
            p, settings, given, wanted, reader_url=urls.reader, writer_url=urls.writer, language=language(),
            progress=progress,
        )  # fmt: skip
    documents: dict[str, Any] = {}
    for name in (o.name for o in p.outputs if o.name in wanted):
        value = results[name]
        if isinstance(value, Blob):
            path = folder / value.name
            path.write_bytes(value.data)
            out.print(str(path))
        else:
            documents[name] = value
    if documents:
        print_json(next(iter(documents.values())) if len(documents) == 1 else documents)


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InvalidBody(
            f"`{text[:60]}` is no input.", f"“{text[:60]}”不是输入。",
            todo_en="Write name=value or name=@file.json.", todo_zh="请写 名称=值 或 名称=@文件.json。",
        )  # fmt: skip
    if value.startswith("@"):
        try:
            return name, orjson.loads(Path(value[1:]).read_bytes())
        except (OSError, orjson.JSONDecodeError) as exc:
            raise InvalidBody(
                f"{value[1:]} cannot be read as JSON: {exc}.", f"无法将 {value[1:]} 读作 JSON:{exc}。",
                todo_en="Name a file that holds one JSON value.", todo_zh="请指定内容为一个 JSON 值的文件。",
            ) from None  # fmt: skip
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def _wanted(process: Process, output: list[str] | None) -> frozenset[str]:
    names = [o.name for o in process.outputs]
    if not output:
        return frozenset(o.name for o in process.outputs if o.media_type == "application/json") or frozenset(names[:1])
    for one in output:
        if one not in names:
            raise InvalidBody(
                f"{process.id} has no output `{one[:40]}`.", f"{process.id} 没有输出 {one[:40]}。",
                todo_en=f"There are: {', '.join(names)}.", todo_zh=f"现有:{'、'.join(names)}。",
            )  # fmt: skip
    return frozenset(output)

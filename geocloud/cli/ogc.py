# SPDX-License-Identifier: Apache-2.0
"""`geocloud ogc config`: the catalogue as a configuration for a stock `pygeoapi serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from geocloud.cli.common import pick, print_json, ready_database
from geocloud.settings import Settings

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _ogc() -> None:
    """The catalogue for other OGC API servers (供其他 OGC API 服务器使用)."""


@app.command()
def config(
    out: Annotated[Path, typer.Option(help="File to write (输出文件).")] = Path("ogc_config/pygeoapi.yml"),
    url: Annotated[
        str, typer.Option(help="Address pygeoapi will be reached at (pygeoapi 的访问地址).")
    ] = "http://127.0.0.1:5000",
    with_database: Annotated[
        bool,
        typer.Option(
            "--with-database",
            help="Write the reader's database URL, with its password, instead of ${GEOCLOUD_READER_URL} "
            "(写入含口令的只读库地址).",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON (以 JSON 输出).")] = False,
) -> None:
    """Write pygeoapi.yml from the published catalogue."""
    settings = Settings.read()
    from geocloud.catalogue.publish import read_catalogue
    from geocloud.db.pool import connect
    from geocloud.ogc.config import READER_URL, configuration, to_yaml
    from geocloud.ogc.context import Context

    with ready_database(settings, quiet=as_json) as urls, connect(urls.reader, application_name="geocloud ogc") as conn:
        catalogue = read_catalogue(conn).public()
        reader = urls.reader if with_database else READER_URL
    ctx = Context(catalogue, settings, url.rstrip("/"), settings.web.language)
    text = to_yaml(configuration(ctx, reader))
    out.parent.mkdir(parents=True, exist_ok=True)
    # A file that holds a password is its owner's alone from the moment it exists.
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if with_database else 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    if with_database:
        out.chmod(0o600)
    if as_json:
        print_json({"file": str(out), "layers": len(catalogue.layers), "password_in_file": with_database})
        return
    print(pick(f"{len(catalogue.layers)} layers written to {out}.", f"已将 {len(catalogue.layers)} 个图层写入 {out}。"))
